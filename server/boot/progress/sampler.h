/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes on, looked at every ten seconds: the last hour of it in memory, and ten minutes together in the inventory,
 * for a month (inventory/activity.h). Private to boot/.
 */
#ifndef BOOT_SAMPLER_H
#define BOOT_SAMPLER_H

#include "inventory/activity.h"

struct boot;
struct boot_session;
struct sampler;

enum { SAMPLER_STEP_MS = 10 * 1000, SAMPLER_HOUR = 360, SAMPLER_TOGETHER = 60 };

/* Main thread. NULL: no memory. */
struct sampler *sampler_new(struct boot *boot);
/* boot->loop runs, boot->runtime is known. */
void sampler_start(struct sampler *sampler);
/* No sample is begun any more; what is under way counts in boot's in_flight. */
void sampler_stop(struct sampler *sampler);
void sampler_free(struct sampler *sampler);

/* Any thread. A boot began; a session ended, and these are its bytes. */
void sampler_boot_began(struct sampler *sampler);
void sampler_session_ended(struct sampler *sampler, const struct boot_session *session);

/* The last hour, the oldest first. Any thread. How many of out are set. */
unsigned sampler_hour(struct sampler *sampler, struct activity out[SAMPLER_HOUR]);

#endif
