/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends a reply through libmicrohttpd. Private to the folder. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "http/request.h"

#include <microhttpd.h>

/* On the listener's thread. gave_up: the reply is not touched (somebody may still write it), 503 goes out instead. */
enum MHD_Result reply_queue(struct request *request, bool gave_up);

#endif
