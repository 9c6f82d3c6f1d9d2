/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages as answers. Private to the folder; on workers. */
#ifndef HTTP_PAGES_H
#define HTTP_PAGES_H

#include "http/request.h"

/* A page with a form, and in its place for errors (role="alert") this text, which may be anything. */
void reply_page_with_error(struct request *request, const char *name, unsigned status, const char *error);

#endif
