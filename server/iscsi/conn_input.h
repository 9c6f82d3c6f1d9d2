/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection's input: receiving, framing, handing PDUs to the login or the session. Private to conn.c. */
#ifndef ISCSI_CONN_INPUT_H
#define ISCSI_CONN_INPUT_H

#include "iscsi/conn.h"

void conn_input_init(struct conn *conn);
void conn_input_fini(struct conn *conn);
/* Whether PDUs may be parsed at present. */
bool conn_wants_input(const struct conn *conn);
/* The socket is readable. */
void conn_receive(struct conn *conn);
/* Goes on with what was read before parsing had to stop. */
void conn_parse_unread(struct conn *conn);

#endif
