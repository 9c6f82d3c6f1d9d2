// SPDX-License-Identifier: GPL-2.0-or-later
/* Rollouts as they are read, and what can be said of one without the machines: see rollout.h. */
#include "inventory/rollout.h"

#include "base/util.h"
#include "inventory/db.h"

#include <stdio.h>
#include <strings.h>

#define ROLLOUT_COLUMNS                                                                                                     \
	"rollout.id, rollout.image_id, version_id, old_version_id, image.name, new.number, old.number, state, persistent, " \
	"back, steps_begun, proven_ms, since_ms, began_ms, ended_ms, began_by, why"
#define ROLLOUT_FROM                                                                                                \
	" FROM rollout JOIN image ON image.id = rollout.image_id JOIN image_version AS new ON new.id = version_id " \
	"LEFT JOIN image_version AS old ON old.id = old_version_id "

static const char *const state_words[] = { [ROLLOUT_RUNNING] = "running",
					   [ROLLOUT_STOPPED] = "stopped",
					   [ROLLOUT_DONE] = "done",
					   [ROLLOUT_UNDONE] = "undone",
					   [ROLLOUT_REPLACED] = "replaced" };

const char *rollout_state_name(enum rollout_state state)
{
	return (unsigned)state < array_len(state_words) ? state_words[state] : "unknown";
}

const char *rollout_who(const struct rollout_step *step, char out[ROLLOUT_WHO_TEXT])
{
	if (step->ring[0])
		snprintf(out, ROLLOUT_WHO_TEXT, "ring %s", step->ring);
	else if (step->percent < 100)
		snprintf(out, ROLLOUT_WHO_TEXT, "%u %% of all", step->percent);
	else
		snprintf(out, ROLLOUT_WHO_TEXT, "all");
	return out;
}

bool rollout_ring_valid(const char *ring)
{
	return group_name_valid(ring) && strcasecmp(ring, "group");
}

/* ---- rows ---- */

static void rollout_read(struct query *q, struct rollout *r)
{
	*r = (struct rollout){ .id = query_int(q) };
	r->image_id = query_int(q);
	r->version_id = query_int(q);
	r->old_version_id = query_int(q);
	query_text(q, r->image, sizeof(r->image));
	r->number = (unsigned)query_int(q);
	r->old_number = (unsigned)query_int(q);
	r->state = (enum rollout_state)query_int(q);
	r->persistent = query_int(q);
	r->back = query_int(q);
	r->steps_begun = (unsigned)query_int(q);
	r->proven_ms = query_int(q);
	r->since_ms = query_int(q);
	r->began_ms = query_int(q);
	r->ended_ms = query_int(q);
	query_text(q, r->began_by, sizeof(r->began_by));
	query_text(q, r->why, sizeof(r->why));
}

static int read_steps(struct inventory_tx *tx, struct rollout *r)
{
	struct query q;

	query_begin(&q, tx,
		    "SELECT ring, percent, at_ms, begun_ms FROM rollout_step WHERE rollout_id = ? ORDER BY number");
	query_bind(&q, r->id);
	while (r->step_count < ROLLOUT_STEPS_MAX && query_row(&q)) {
		struct rollout_step *step = &r->steps[r->step_count++];

		query_text(&q, step->ring, sizeof(step->ring));
		step->percent = (unsigned)query_int(&q);
		step->at_ms = query_int(&q);
		step->begun_ms = query_int(&q);
	}
	return query_end(&q);
}

int rollout_of(struct inventory_tx *tx, const char *image, struct rollout *rollout)
{
	struct rollout found;
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx,
		    "SELECT " ROLLOUT_COLUMNS ROLLOUT_FROM "WHERE image.name = ? ORDER BY rollout.id DESC LIMIT 1");
	query_bind_text(&q, image, NAME_MAX_TEXT);
	row = query_row(&q);
	if (row)
		rollout_read(&q, &found);
	err = query_end_one(&q, row);
	if (!err)
		err = read_steps(tx, &found);
	if (!err)
		*rollout = found;
	return err;
}

bool rollout_step_is_for_all(const struct rollout_step *step)
{
	return !step->ring[0] && step->percent == 100;
}

bool rollout_is_for_all(const struct rollout *r)
{
	return r->state == ROLLOUT_DONE || (r->steps_begun && rollout_step_is_for_all(&r->steps[r->steps_begun - 1]));
}

/* ---- a percentage of all ---- */

/* splitmix64: neighbouring ids do not become neighbours. */
static uint64_t scatter(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

bool rollout_among(int64_t machine_id, int64_t version_id, unsigned percent)
{
	return scatter((uint64_t)machine_id ^ scatter((uint64_t)version_id)) % 10000 < (uint64_t)percent * 100;
}
