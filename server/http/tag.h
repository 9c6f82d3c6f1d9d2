/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ETags of the API's answers, so that who asks again is not sent the same again. Private to the folder; on workers. */
#ifndef HTTP_TAG_H
#define HTTP_TAG_H

#include "http/request.h"

/*
 * Gives a GET's JSON answer its tag, a hash of it; 304 without a body where If-None-Match names it (RFC 9110 §13.1.2). Asking costs
 * the server as much as before, the line and the page nothing.
 */
void tag_answer(struct request *request);

#endif
