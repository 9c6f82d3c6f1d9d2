/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rollouts: a version of an image goes to some machines first, then to others, step by step. Inside a job, like everything
 * of inventory.h. Nothing happens to a machine that runs: what is due to it is done when its next boot begins
 * (boot/login/give.h), and only where that destroys nothing of its disk, unless the rollout takes persistent disks, too.
 *
 *     rollout_begin -> RUNNING <--- _resume, _stop, the brake ---> STOPPED
 *                         |  \_________ rollout_undo ________________/  \__> UNDONE
 *                         `--- all have been reached, and it has proven itself: DONE -> (another one is published) REPLACED
 *
 * A step begins at its time, or once the step before has proven itself: for as long as policy says (rollout-wait), with as
 * many boots as the brake needs, and without a fault that it finds. The step of 100 percent publishes the version. Of an
 * image at most one rollout is RUNNING or STOPPED.
 */
#ifndef INVENTORY_ROLLOUT_H
#define INVENTORY_ROLLOUT_H

#include "inventory/brake.h"
#include "inventory/inventory.h"

enum { ROLLOUT_STEPS_MAX = 16 };

enum rollout_state { ROLLOUT_RUNNING, ROLLOUT_STOPPED, ROLLOUT_DONE, ROLLOUT_UNDONE, ROLLOUT_REPLACED };

struct rollout_step {
	char ring[NAME_MAX_TEXT]; /* those of this ring; "": of all of the image percent */
	unsigned percent;
	int64_t at_ms;	  /* not before; 0: once the step before has proven itself, the first one at once */
	int64_t begun_ms; /* 0: not yet */
};

struct rollout {
	int64_t id;
	int64_t image_id, version_id, old_version_id; /* old: what was published when it began; 0: that is gone */
	char image[NAME_MAX_TEXT];
	unsigned number, old_number; /* NAME@number */
	enum rollout_state state;
	bool persistent; /* also machines that keep their disk: what is on it becomes a snapshot before */
	bool back;	 /* machines that have it go back to the old version at their next boot */
	unsigned step_count, steps_begun;
	struct rollout_step steps[ROLLOUT_STEPS_MAX];
	int64_t proven_ms; /* when the last step that has begun had proven itself; 0: not yet */
	int64_t since_ms;  /* the brake looks at boots from then on */
	int64_t began_ms, ended_ms;
	char began_by[ACTOR_TEXT];
	char why[REASON_TEXT]; /* it was stopped */
};

const char *rollout_state_name(enum rollout_state state); /* "running", "stopped", ... */
/* "ring canary", "25 % of all", "all". Returns out. */
enum { ROLLOUT_WHO_TEXT = NAME_MAX_TEXT + 16 };
const char *rollout_who(const struct rollout_step *step, char out[ROLLOUT_WHO_TEXT]);

bool rollout_step_is_for_all(const struct rollout_step *step);
/* Has it come to all machines, new ones included? */
bool rollout_is_for_all(const struct rollout *rollout);

/* Is a machine among the first `percent` of an order that is its own for each version? Who is stays so with more percent. */
bool rollout_among(int64_t machine_id, int64_t version_id, unsigned percent);

/* The last one of an image, whatever its state. -ENOENT. */
int rollout_of(struct inventory_tx *tx, const char *image, struct rollout *rollout);

/*
 * Begins it: its first step has begun, unless that has a time. In: version_id, persistent, step_count, and of each step ring or
 * percent, and at_ms; the rest is filled in. Refuses with a sentence: -EINVAL (steps that do not follow each other, a time
 * that is over, a ring without machines, or nobody who could get it), -ESTALE (it is published, or retired; or another one is
 * under way).
 */
int rollout_begin(struct inventory_tx *tx, struct rollout *rollout, const char *actor, struct reason *reason);
/* Nobody more gets it. why "": a person wanted that. back: those that have it go back. -ENOENT: none is running. */
int rollout_stop(struct inventory_tx *tx, const char *image, const char *why, bool back, const char *actor,
		 struct reason *reason);
/* A stopped one goes on; boots until now do not count any more. -ENOENT: none is stopped. */
int rollout_resume(struct inventory_tx *tx, const char *image, const char *actor, struct reason *reason);
/* All go back. -ENOENT: none is running, stopped or done; -ESTALE: another version was published since; with a sentence. */
int rollout_undo(struct inventory_tx *tx, const char *image, const char *actor, struct reason *reason);
/* A step has begun: who is in it gets it. Publishes with the last one. */
int rollout_begin_step(struct inventory_tx *tx, struct rollout *rollout);
int rollout_set_proven(struct inventory_tx *tx, struct rollout *rollout);

/* ---- for what publishes by hand, and changes states ---- */

/* May a version of this image be published just now? -ESTALE with a sentence: another one of it is rolled out. */
int rollout_check_publish(struct inventory_tx *tx, const struct image_version *version, struct reason *reason);
/* It was: its rollout is done (*ended), that of another version is replaced. */
int rollout_note_published(struct inventory_tx *tx, const struct image_version *version, bool *ended);
/* Is it part of a rollout that runs, or is stopped? -ESTALE with a sentence. */
int rollout_check_unused(struct inventory_tx *tx, const struct image_version *version, struct reason *reason);

/* ---- machines (rollout_reach.c) ---- */

/* As a group's name. */
bool rollout_ring_valid(const char *ring);

enum rollout_standing {
	ROLLOUT_HAS,	    /* it has it */
	ROLLOUT_GETS,	    /* at its next boot */
	ROLLOUT_GOES_BACK,  /* to the old version, at its next boot */
	ROLLOUT_LATER,	    /* its step has not begun, or the rollout is stopped */
	ROLLOUT_KEEPS_DISK, /* in reach, but its disk holds data: persistent disks are not included */
	ROLLOUT_NEWER,	    /* it was given a newer version to test */
	ROLLOUT_CHOSEN,	    /* a person gave it another version since: that stays */
	ROLLOUT_OUTSIDE,    /* no step reaches it */
};
const char *rollout_standing_name(enum rollout_standing standing); /* "has", "gets", ... */

/* A machine of the image, as the rollout sees it. */
struct rollout_place {
	const struct machine *machine;
	char ring[NAME_MAX_TEXT];
	unsigned number; /* of the version that it has */
	int step;	 /* the first that reaches it; -1: none */
	enum rollout_standing standing;
};

/* All machines of its image (by name: it need not be one that has begun), in order of name. each returns 0 to go on. */
int rollout_each_machine(struct inventory_tx *tx, const struct rollout *rollout,
			 int (*each)(void *arg, const struct rollout_place *place), void *arg);

/* What a machine's next boot begins with, because of a rollout. */
struct rollout_next {
	int64_t rollout_id; /* 0: its disk stays as it is */
	int64_t version_id;
	char name[NAME_MAX_TEXT + 16]; /* NAME@V of it */
	bool back;		       /* to the version from before */
	bool kept;		       /* back: snapshot_id says what it had */
	int64_t snapshot_id;
	int64_t instance; /* back: its machine.instance before */
	bool has;	  /* it has what a rollout gives: it is not outdated */
	int64_t has_from; /* has: the rollout that is to know it (rollout_gave), as it got it by a reset or when it was new */
};
int rollout_next(struct inventory_tx *tx, const struct machine *machine, struct rollout_next *next);
/* It has got it. snapshot_id: what is kept of before; 0: nothing had to be. instance: machine.instance before. */
int rollout_gave(struct inventory_tx *tx, int64_t rollout_id, int64_t machine_id, int64_t snapshot_id,
		 int64_t instance);
/* It went back, or cannot. */
int rollout_went_back(struct inventory_tx *tx, int64_t rollout_id, int64_t machine_id);
/* A person gave it the version that it has now: no rollout that is there changes that. */
int rollout_note_chosen(struct inventory_tx *tx, const struct machine *machine);

/* ---- the brake at work (rollout_watch.c) ---- */

int rollout_facts(struct inventory_tx *tx, const struct rollout *rollout, struct brake_facts *facts);
/*
 * Looks at all that are running: stops what the brake finds, begins the steps that are due. *next_ms: when to look again at
 * the latest; 0: none is running.
 */
int rollout_look(struct inventory_tx *tx, int64_t *next_ms);

#endif
