// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whom a rollout reaches, and what that means for a machine's next boot: see rollout.h. One rule for all who ask (a login,
 * a dry run, the list of machines): standing_of.
 */
#include "inventory/rollout.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/effective.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const standing_words[] = {
	[ROLLOUT_HAS] = "has",
	[ROLLOUT_GETS] = "gets",
	[ROLLOUT_GOES_BACK] = "goes-back",
	[ROLLOUT_LATER] = "later",
	[ROLLOUT_KEEPS_DISK] = "keeps-disk",
	[ROLLOUT_NEWER] = "newer",
	[ROLLOUT_CHOSEN] = "chosen",
	[ROLLOUT_OUTSIDE] = "outside",
};

const char *rollout_standing_name(enum rollout_standing standing)
{
	return (unsigned)standing < array_len(standing_words) ? standing_words[standing] : "unknown";
}

/* ---- one machine and one rollout ---- */

/* What its disk is made from now. */
struct version_now {
	int64_t image_id;
	unsigned number;
	bool published, retired;
};

static int read_version_now(struct inventory_tx *tx, int64_t version_id, struct version_now *now)
{
	struct query q;
	bool row;

	query_begin(&q, tx, "SELECT image_id, number, published > 0, unpublished = 3 FROM image_version WHERE id = ?");
	query_bind(&q, version_id);
	row = query_row(&q);
	if (row) {
		now->image_id = query_int(&q);
		now->number = (unsigned)query_int(&q);
		now->published = query_int(&q);
		now->retired = query_int(&q);
	}
	return query_end_one(&q, row);
}

/* Another version destroys nothing of it: its disk is new at each boot, or was never used. In maintenance it is chosen. */
static bool has_free_disk(const struct machine *machine, const struct policy *policy)
{
	return machine->mode != MODE_MAINTENANCE && (effective_mode(machine, policy) == MODE_EPHEMERAL ||
						     (machine->system.fresh && !machine->system.snapshot_id));
}

/* The first step that reaches it; -1: none. */
static int step_of(const struct rollout *r, int64_t machine_id, const char *ring)
{
	for (unsigned i = 0; i < r->step_count; i++) {
		const struct rollout_step *step = &r->steps[i];

		if (step->ring[0] ? !strcasecmp(step->ring, ring) :
				    rollout_among(machine_id, r->version_id, step->percent))
			return (int)i;
	}
	return -1;
}

/* What the rollout's row of a machine says. */
enum row { ROW_NONE, ROW_GOT, ROW_BACK };

static int read_row(struct inventory_tx *tx, int64_t rollout_id, int64_t machine_id, enum row *row)
{
	struct query q;

	*row = ROW_NONE;
	query_begin(&q, tx, "SELECT back_ms FROM rollout_machine WHERE machine_id = ? AND rollout_id = ?");
	query_bind(&q, machine_id);
	query_bind(&q, rollout_id);
	if (query_row(&q))
		*row = query_int(&q) ? ROW_BACK : ROW_GOT;
	return query_end(&q);
}

static enum rollout_standing standing_of(const struct rollout *r, const struct machine *machine,
					 const struct policy *policy, const struct version_now *now, int step,
					 enum row row)
{
	/* Published by hand in the middle of it: it is for all. */
	bool done = r->state == ROLLOUT_DONE;

	if (machine->system.version_id == r->version_id)
		return r->back && row == ROW_GOT ? ROLLOUT_GOES_BACK : ROLLOUT_HAS;
	if (r->state == ROLLOUT_UNDONE || r->state == ROLLOUT_REPLACED)
		return ROLLOUT_OUTSIDE;
	if (row == ROW_BACK && !r->back)
		return ROLLOUT_CHOSEN;
	if (!now->published && !now->retired && now->number > r->number)
		return ROLLOUT_NEWER;
	if (step < 0 && !done)
		return ROLLOUT_OUTSIDE;
	if (machine->mode == MODE_MAINTENANCE || (!r->persistent && !has_free_disk(machine, policy)))
		return ROLLOUT_KEEPS_DISK;
	return done || (r->state == ROLLOUT_RUNNING && r->steps[step].begun_ms) ? ROLLOUT_GETS : ROLLOUT_LATER;
}

/* ---- all machines ---- */

struct walk {
	struct inventory_tx *tx;
	const struct rollout *rollout;
	int64_t image_id;
	struct policy policy;
	int (*each)(void *arg, const struct rollout_place *place);
	void *arg;
};

static int walk_machine(void *arg, const struct machine *machine)
{
	struct walk *walk = arg;
	const struct rollout *r = walk->rollout;
	struct rollout_place place = { .machine = machine };
	struct version_now now;
	enum row row;
	int err = read_version_now(walk->tx, machine->system.version_id, &now);

	if (err || now.image_id != walk->image_id)
		return err;
	snprintf(place.ring, sizeof(place.ring), "%s", effective_ring(machine));
	err = read_row(walk->tx, r->id, machine->id, &row);
	if (err)
		return err;
	place.number = now.number;
	place.step = step_of(r, machine->id, place.ring);
	place.standing = standing_of(r, machine, &walk->policy, &now, place.step, row);
	return walk->each(walk->arg, &place);
}

int rollout_each_machine(struct inventory_tx *tx, const struct rollout *rollout,
			 int (*each)(void *arg, const struct rollout_place *place), void *arg)
{
	struct walk walk = { .tx = tx, .rollout = rollout, .each = each, .arg = arg };
	struct query q;
	int err;

	query_begin(&q, tx, "SELECT id FROM image WHERE name = ?");
	query_bind_text(&q, rollout->image, sizeof(rollout->image));
	err = query_number(&q, &walk.image_id);
	if (!err)
		err = policy_get(tx, &walk.policy);
	return err ? err : machine_each(tx, walk_machine, &walk);
}

/* ---- its next boot ---- */

static int name_version(struct inventory_tx *tx, struct rollout_next *next)
{
	struct query q;
	bool row;

	query_begin(&q, tx,
		    "SELECT image.name || '@' || number FROM image_version JOIN image ON image.id = image_id WHERE "
		    "image_version.id = ?");
	query_bind(&q, next->version_id);
	row = query_row(&q);
	if (row)
		query_text(&q, next->name, sizeof(next->name));
	return query_end_one(&q, row);
}

/* -ENOENT: it does not go back. */
static int next_is_back(struct inventory_tx *tx, const struct machine *machine, struct rollout_next *next)
{
	struct query q;
	bool row;
	int err;

	query_begin(
		&q, tx,
		"SELECT rollout.id, old_version_id, snapshot_id, instance FROM rollout_machine JOIN rollout ON rollout.id = "
		"rollout_id WHERE machine_id = ? AND back_ms = 0 AND back = 1 AND version_id = ? AND old_version_id IS "
		"NOT NULL ORDER BY rollout.id DESC LIMIT 1");
	query_bind(&q, machine->id);
	query_bind(&q, machine->system.version_id);
	row = query_row(&q);
	if (row) {
		next->rollout_id = query_int(&q);
		next->version_id = query_int(&q);
		next->snapshot_id = query_int(&q);
		next->instance = query_int(&q);
	}
	err = query_end_one(&q, row);
	next->back = !err;
	next->kept = next->snapshot_id != 0;
	return err;
}

/* The last rollout of the image of its version, where that gives something. *gives: false. */
static int find_giving(struct inventory_tx *tx, int64_t image_id, char image[NAME_MAX_TEXT], bool *gives)
{
	struct query q;

	query_begin(
		&q, tx,
		"SELECT image.name FROM rollout JOIN image ON image.id = rollout.image_id WHERE image_id = ? AND state "
		"IN (0, 2) LIMIT 1");
	query_bind(&q, image_id);
	*gives = query_row(&q);
	if (*gives)
		query_text(&q, image, NAME_MAX_TEXT);
	return query_end(&q);
}

int rollout_next(struct inventory_tx *tx, const struct machine *machine, struct rollout_next *next)
{
	char image[NAME_MAX_TEXT];
	struct policy policy;
	enum rollout_standing standing;
	enum row row;
	struct rollout_next found = { .rollout_id = 0 };
	struct version_now now;
	struct rollout r;
	bool gives;
	int err;

	*next = (struct rollout_next){ .rollout_id = 0 };
	if (machine->mode == MODE_MAINTENANCE)
		return 0; /* what it works on was chosen, and becomes a version itself */
	err = next_is_back(tx, machine, &found);
	if (!err)
		goto found;
	if (err == -ENOENT)
		err = read_version_now(tx, machine->system.version_id, &now);
	if (!err)
		err = find_giving(tx, now.image_id, image, &gives);
	if (err || !gives)
		return err;
	err = rollout_of(tx, image, &r);
	if (!err)
		err = policy_get(tx, &policy);
	if (!err)
		err = read_row(tx, r.id, machine->id, &row);
	if (err || (r.state != ROLLOUT_RUNNING && r.state != ROLLOUT_DONE))
		return err;
	standing = standing_of(&r, machine, &policy, &now, step_of(&r, machine->id, effective_ring(machine)), row);
	next->has = standing == ROLLOUT_HAS;
	if (next->has && row == ROW_NONE && rollout_is_for_all(&r))
		next->has_from = r.id;
	if (standing != ROLLOUT_GETS)
		return 0;
	found = (struct rollout_next){ .rollout_id = r.id, .version_id = r.version_id };
found:
	err = name_version(tx, &found);
	if (!err)
		*next = found;
	return err;
}

int rollout_gave(struct inventory_tx *tx, int64_t rollout_id, int64_t machine_id, int64_t snapshot_id, int64_t instance)
{
	struct query q;

	query_begin(
		&q, tx,
		"INSERT INTO rollout_machine (machine_id, rollout_id, got_ms, snapshot_id, instance) VALUES (?, ?, ?, ?, ?) "
		"ON CONFLICT (machine_id, rollout_id) DO UPDATE SET got_ms = excluded.got_ms, snapshot_id = "
		"excluded.snapshot_id, instance = excluded.instance, back_ms = 0");
	query_bind(&q, machine_id);
	query_bind(&q, rollout_id);
	query_bind(&q, tx->now_ms);
	query_bind(&q, snapshot_id);
	query_bind(&q, instance);
	return query_run(&q);
}

int rollout_went_back(struct inventory_tx *tx, int64_t rollout_id, int64_t machine_id)
{
	struct query q;

	query_begin(&q, tx, "UPDATE rollout_machine SET back_ms = ? WHERE rollout_id = ? AND machine_id = ?");
	query_bind(&q, tx->now_ms);
	query_bind(&q, rollout_id);
	query_bind(&q, machine_id);
	return query_run(&q);
}

int rollout_note_chosen(struct inventory_tx *tx, const struct machine *machine)
{
	struct query q;

	query_begin(
		&q, tx,
		"INSERT INTO rollout_machine (machine_id, rollout_id, got_ms, snapshot_id, instance, back_ms) SELECT ?1, "
		"rollout.id, ?2, 0, 0, ?2 FROM rollout JOIN image_version ON image_version.image_id = rollout.image_id WHERE "
		"image_version.id = ?3 AND (state IN (0, 1, 2) OR back = 1) "
		"ON CONFLICT (machine_id, rollout_id) DO UPDATE SET got_ms = excluded.got_ms, back_ms = "
		"excluded.back_ms");
	query_bind(&q, machine->id);
	query_bind(&q, tx->now_ms);
	query_bind(&q, machine->system.version_id);
	return query_run(&q);
}
