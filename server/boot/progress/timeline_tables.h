/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of a timeline: who has been heard of, which boots are under way, and the ring of changes that nobody has
 * taken yet. All of it under the mutex. Private to timeline.c.
 */
#ifndef BOOT_TIMELINE_TABLES_H
#define BOOT_TIMELINE_TABLES_H

#include "timeline.h"

#include <pthread.h>

enum { KEY_TEXT = PARSE_ENDPOINT_TEXT };

/* Somebody of whom the server has heard, and who has no boot yet. */
struct arrival {
	char key[KEY_TEXT]; /* "": unused */
	int64_t at_ms[STAGE_WAITED + 1];
	char detail[STAGE_WAITED + 1][STAGE_DETAIL_TEXT];
	int64_t seen_ms;
	int64_t due_ms;	  /* 0: nothing */
	int64_t stuck_ms; /* 0: not */
};

struct track {
	int64_t machine_id; /* 0: unused */
	uint64_t number;
	char mac[PARSE_MAC_TEXT];
	int64_t at_ms[STAGES]; /* 0: not reached */
	int64_t seen_ms;
	int64_t due_ms;	   /* the next look; 0: none */
	int64_t steady_ms; /* steady then; 0: no session of the system */
	int64_t ipxe_heard_ms;
	unsigned system_sessions;
	char portals[PORTALS_TEXT]; /* that its script named, where it named several */
	char reached[PORTALS_TEXT]; /* of them, where the system has logged in */
	bool used;		    /* the system reads and writes: it runs */
	bool told;		    /* that it is stuck */
	bool elsewhere;		    /* it asked again after its script, and was given something else */
	bool explains;		    /* the problem is the cause */
	char problem[256];
};

struct timeline {
	pthread_mutex_t mutex; /* guards all below */
	struct arrival arrivals[TIMELINE_ARRIVALS];
	struct track tracks[TIMELINE_TRACKS];
	unsigned arrivals_used, tracks_used; /* none is in use from here on */
	struct timeline_change *changes;     /* a ring of TIMELINE_CHANGES */
	unsigned first_change, change_count;
	int64_t clock_offset_ms; /* Unix time minus monotonic time at the last tick */
	bool ticked;
};

/* When the stage after this one is late; 0: never. */
int64_t timeline_stage_due(enum stage stage, int64_t at_ms);
/* A full ring drops the newest: NULL. track NULL: of no boot. */
struct timeline_change *change_add(struct timeline *t, enum timeline_kind kind, const struct track *track,
				   enum stage stage);
/* NULL: the ring is full. */
struct timeline_change *change_stuck(struct timeline *t, const struct track *track, enum stage stage, int64_t now_ms,
				     const char *mac, const char *why, bool tell);
/* NULL: nothing was heard of it. */
struct arrival *arrival_find(struct timeline *t, const char *key);
/* In the place of who was quiet longest, where there is no other. */
struct arrival *arrival_new(struct timeline *t, const char *key);
/* NULL: it is not known. */
struct track *track_find(struct timeline *t, int64_t machine_id, uint64_t number);
/* The same, made where it is not known; earlier boots of its machine are over then. */
struct track *track_get(struct timeline *t, int64_t machine_id, uint64_t number);
/* The last one that it has reached. */
enum stage track_stage(const struct track *track);
/* The portals of its script where its system has not logged in, one text; "": none. */
const char *track_awaits(const struct track *track, char portals[PORTALS_TEXT]);
/* A stage is reached. The first time of each counts. The change; NULL: it was reached before, or the ring is full. */
struct timeline_change *track_reach(struct timeline *t, struct track *track, enum stage stage, int64_t at_ms,
				    const char *detail);
/* That may move: the last time counts. */
void track_loader_done(struct timeline *t, struct track *track, int64_t at_ms);

#endif
