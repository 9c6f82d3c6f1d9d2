/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a machine asks. Private to the folder. */
#ifndef HTTP_SCRIPT_PATHS_H
#define HTTP_SCRIPT_PATHS_H

#include "boot/boot.h"
#include "http/request.h"

/* The question of GET /boot, out of a request's arguments. */
void http_make_ask(const struct request *request, struct boot_ask *ask);

#endif
