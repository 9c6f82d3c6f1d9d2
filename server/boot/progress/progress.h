/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the rest of boot/ says what happens to machines that boot. Each event goes to all who follow boots: timeline.h,
 * turns.h, warm.h and stages.h. Two questions are asked of these themselves: turns_ask and warm_trace. Private to boot/.
 */
#ifndef BOOT_PROGRESS_H
#define BOOT_PROGRESS_H

#include "boot/boot.h"
#include "boot/portals.h"

/* ---- life; main thread ---- */

/* 0 or -ENOMEM; progress_free either way. */
int progress_new(struct boot *boot);
/* boot->loop runs, boot->runtime is known. */
void progress_start(struct boot *boot);
/* While the loop runs: nothing more begins. */
void progress_stop(struct boot *boot);
/* No call is in flight. Writes what is left. */
void progress_free(struct boot *boot);

/* ---- events; any thread, at once ---- */

/* A machine has got the script for boot `number` of its disk, over this version, at these portals; mac, address: of who asked. */
void progress_script(struct boot *boot, int64_t machine_id, uint64_t number, const char *mac, const char *address,
		     const struct image_version *version, const struct portals_offer *offer);
/* A MAC asked, and got something else than the script to its disk: it waits. machine_id: whose MAC it is, 0: not known. */
void progress_waits(struct boot *boot, int64_t machine_id, const char *mac, const char *why);
/* What keeps a machine's boot from going on; explains: see timeline_problem. */
void progress_problem(struct boot *boot, int64_t machine_id, bool explains, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* As boot_target_session. */
void progress_session(struct boot *boot, int64_t machine_id, const struct boot_session *session, const char *ended_why);
/* A boot of a machine began: its first login. */
void progress_begun(struct boot *boot);
/* A person released the machine: others may boot in its place. */
void progress_released(struct boot *boot, int64_t machine_id);
/* The machine is gone. */
void progress_removed(struct boot *boot, int64_t machine_id);

#endif
