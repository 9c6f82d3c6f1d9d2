/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening sockets, TCP and the control socket. Private to the folder; main thread, at start. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include "base/parse.h"
#include "base/reason.h"

/*
 * A listening socket, close-on-exec and non-blocking; *bound has port 0 replaced. -errno with a sentence that names the
 * flag.
 */
int listen_tcp(const char *flag, const struct endpoint *wanted, int *fd, struct endpoint *bound, struct reason *reason);
/*
 * The control socket: mode 0660 from the first moment. A socket file that is there already is removed only when nobody
 * answers on it; anything else there is left alone and refused.
 */
int listen_control(const char *path, int *fd, struct reason *reason);
/*
 * An address under which people reach this host: bound's own, or where that is a wildcard the host's first one that is
 * not loopback.
 */
void listen_public_address(const struct endpoint *bound, struct endpoint *address);

#endif
