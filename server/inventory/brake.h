/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The brake of a rollout: boots of the new version against boots of the old one. Pure functions over facts; rollout_watch.c
 * gathers them. Times are Unix milliseconds.
 */
#ifndef INVENTORY_BRAKE_H
#define INVENTORY_BRAKE_H

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BRAKE_JUDGE_MS = 10 * 60 * 1000, /* a boot that nobody follows any more has failed by then */
	BRAKE_SLOWER = 2,		 /* so many times the median of the old version is too slow */
};

/* What is known of a boot. */
struct brake_boot {
	int64_t started_ms;
	int64_t script_ms; /* when it got its script; 0: not known */
	int64_t steady_ms; /* 0: it has not got there */
	int64_t stuck_ms;  /* since when it has been clear that it does not get on; 0: not */
	int64_t ended_ms;  /* 0: it is the current one */
	int64_t asked_ms;  /* the machine has asked for another boot since; 0: not */
	bool running;	   /* it has sessions */
	bool interrupted;  /* the server lost its power, and the boot with it */
};

enum brake_outcome {
	BRAKE_OPEN, /* it may still get there; or nobody can say whether it did, say over a restart of the server */
	BRAKE_STEADY,
	BRAKE_FAILED,
};
enum brake_outcome brake_outcome(const struct brake_boot *boot, int64_t now_ms);
/* From its script (else its first login) to a steady system; 0 where it is not steady. */
int64_t brake_duration_ms(const struct brake_boot *boot);

struct brake_side {
	unsigned steady, failed; /* boots that ended so */
	int64_t median_ms;	 /* how long those that are steady took; 0: there is none */
};

struct brake_facts {
	struct brake_side old, new;
};

struct brake_rule {
	unsigned min_boots;   /* less than so many of the new version say nothing */
	unsigned drop_points; /* how far the share of steady boots may fall, in percent of all */
};

enum brake_verdict {
	BRAKE_TOO_FEW, /* boots, to say anything */
	BRAKE_FINE,
	BRAKE_SHARE, /* fewer get there than of the old version */
	BRAKE_SLOW,  /* they take too long */
};

/* why: a sentence, where it is BRAKE_SHARE or BRAKE_SLOW. Of an old version with too few boots all are taken to get there. */
enum brake_verdict brake_judge(const struct brake_facts *facts, const struct brake_rule *rule, struct reason *why);

/* Sorts them. 0 where there are none. */
int64_t brake_median(int64_t *durations_ms, size_t count);

#endif
