/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the timeline into the inventory: a tick each second on boot's loop takes what has changed and writes it in one
 * job, so that no event waits for a write. While nothing boots, nothing ticks. Private to boot/.
 */
#ifndef BOOT_STAGES_H
#define BOOT_STAGES_H

#include "boot/boot.h"

struct stages;

/* NULL without memory. */
struct stages *stages_new(struct boot *boot);
/* From now on it ticks: boot->loop runs, boot->runtime is known. Main thread. */
void stages_start(struct stages *stages);
/* No more ticks. Main thread, while the loop runs. */
void stages_stop(struct stages *stages);
/* Writes what is left; nobody feeds the timeline any more. Main thread. */
void stages_free(struct stages *stages);
/* The timeline was told something: it ticks, until nothing is to be done any more. Any thread. */
void stages_changed(struct stages *stages);
/* Asks the sessions when iPXE was heard of last, for the timeline. Any thread. */
void stages_ask_ipxe(struct boot *boot, int64_t machine_id, uint64_t number);

#endif
