/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between libmicrohttpd and the handlers. Private to the folder. */
#ifndef HTTP_SERVE_H
#define HTTP_SERVE_H

#include "http/core.h"

/* Starts libmicrohttpd on listener->fd. 0 or -errno. */
int serve_start(struct listener *listener);
/* Accepts no more. */
void serve_quiesce(struct listener *listener);
/* Ends its thread and its connections; nothing may be suspended. */
void serve_stop(struct listener *listener);

/* A handler that answers later has filled reply. Any thread; drops the reference that the handler was given. */
void request_finish(struct request *request);

#endif
