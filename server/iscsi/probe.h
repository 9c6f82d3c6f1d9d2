/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a target's sessions still have somebody at their other end. Private to the folder; see iscsi_server_probe. */
#ifndef ISCSI_PROBE_H
#define ISCSI_PROBE_H

#include <stdint.h>

struct hub;

void probe_tick(struct hub *hub, uint64_t now_ms);
/* The server has stopped: nobody is there. */
void probe_end_all(struct hub *hub);

#endif
