/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who writes to a folder where locks do not reach every server that may: FOLDER/.beat/now says who does, and a thread of its
 * own changes it every few seconds. For file systems that mount_kind.h names; elsewhere a lock says it, and nothing beats.
 */
#ifndef STORE_BEAT_H
#define STORE_BEAT_H

#include "base/reason.h"

enum { BEAT_PERIOD_MS = 3000 };

struct beat;

struct beat_config {
	const char *folder; /* borrowed */
	unsigned period_ms;
	/* On the beat's thread, once for each other server: it wrote there too, and will have to leave. */
	void (*seen)(void *arg, const struct reason *what);
	/*
	 * On the beat's thread: another server has the folder. Whoever is told must not write there any more, not even to
	 * finish what is in hand: it ends the process. Nothing beats after that.
	 */
	void (*superseded)(void *arg, const struct reason *what);
	void *arg;
};

/*
 * Takes the folder and starts the beat. Blocks: a fraction of a period where nobody else can have it; where somebody may,
 * until it has been silent for several. 0; -EBUSY: another server lives, and the sentence says which; others.
 */
int beat_take(const struct beat_config *config, struct beat **beat, struct reason *reason);
/* Gives the folder back. NULL is fine. */
void beat_free(struct beat *beat);

#endif
