// SPDX-License-Identifier: GPL-2.0-or-later
/* See timeline_tables.h. */
#include "timeline_tables.h"

#include <stdio.h>
#include <string.h>

/* When its next stage is late; 0: never. */
int64_t timeline_stage_due(enum stage stage, int64_t at_ms)
{
	int64_t limit_ms = timeline_limit_ms(stage);

	return limit_ms ? at_ms + limit_ms : 0;
}

/* A full ring drops the newest: whoever takes them is far behind, and the first stages explain the most. */
struct timeline_change *change_add(struct timeline *t, enum timeline_kind kind, const struct track *track,
				   enum stage stage)
{
	struct timeline_change *change;

	if (t->change_count == TIMELINE_CHANGES)
		return NULL;
	change = &t->changes[(t->first_change + t->change_count++) % TIMELINE_CHANGES];
	*change = (struct timeline_change){ .kind = kind, .record.stage = stage };
	if (track) {
		change->record.machine_id = track->machine_id;
		change->record.number = track->number;
	}
	return change;
}

static struct timeline_change *change_stage(struct timeline *t, enum timeline_kind kind, const struct track *track,
					    enum stage stage, int64_t at_ms, const char *detail)
{
	struct timeline_change *change = change_add(t, kind, track, stage);

	if (!change)
		return NULL;
	change->record.at_ms = at_ms;
	snprintf(change->record.detail, sizeof(change->record.detail), "%s", detail);
	return change;
}

struct timeline_change *change_stuck(struct timeline *t, const struct track *track, enum stage stage, int64_t now_ms,
				     const char *mac, const char *why, bool tell)
{
	struct timeline_change *change = change_add(t, TIMELINE_STUCK, track, stage);

	if (!change)
		return NULL;
	change->record.stuck_ms = now_ms;
	change->tell = tell;
	snprintf(change->record.why, sizeof(change->record.why), "%s", why);
	snprintf(change->mac, sizeof(change->mac), "%s", mac);
	return change;
}

struct arrival *arrival_find(struct timeline *t, const char *key)
{
	for (unsigned i = 0; key[0] && i < t->arrivals_used; i++)
		if (!strcmp(t->arrivals[i].key, key))
			return &t->arrivals[i];
	return NULL;
}

struct arrival *arrival_new(struct timeline *t, const char *key)
{
	struct arrival *oldest = &t->arrivals[0];

	for (unsigned i = 0; i < TIMELINE_ARRIVALS && oldest->key[0]; i++)
		if (!t->arrivals[i].key[0] || t->arrivals[i].seen_ms < oldest->seen_ms)
			oldest = &t->arrivals[i];
	if (oldest - t->arrivals >= t->arrivals_used)
		t->arrivals_used = (unsigned)(oldest - t->arrivals) + 1;
	*oldest = (struct arrival){ 0 };
	snprintf(oldest->key, sizeof(oldest->key), "%s", key);
	return oldest;
}

struct track *track_find(struct timeline *t, int64_t machine_id, uint64_t number)
{
	for (unsigned i = 0; i < t->tracks_used; i++)
		if (t->tracks[i].machine_id == machine_id && t->tracks[i].number == number)
			return &t->tracks[i];
	return NULL;
}

/* A boot that is not known: a machine has one at a time, so earlier ones are over. */
struct track *track_get(struct timeline *t, int64_t machine_id, uint64_t number)
{
	struct track *track = track_find(t, machine_id, number), *oldest = &t->tracks[0];

	if (track)
		return track;
	for (unsigned i = 0; i < t->tracks_used; i++)
		if (t->tracks[i].machine_id == machine_id && t->tracks[i].number < number)
			t->tracks[i] = (struct track){ 0 };
	for (unsigned i = 0; i < TIMELINE_TRACKS && oldest->machine_id; i++)
		if (!t->tracks[i].machine_id || t->tracks[i].seen_ms < oldest->seen_ms)
			oldest = &t->tracks[i];
	if (oldest - t->tracks >= t->tracks_used)
		t->tracks_used = (unsigned)(oldest - t->tracks) + 1;
	*oldest = (struct track){ .machine_id = machine_id, .number = number };
	return oldest;
}

enum stage track_stage(const struct track *track)
{
	int stage = STAGES - 1;

	while (stage > 0 && !track->at_ms[stage])
		stage--;
	return (enum stage)stage;
}

const char *track_awaits(const struct track *track, char portals[PORTALS_TEXT])
{
	snprintf(portals, PORTALS_TEXT, "%s", track->portals);
	portals_remove(portals, track->reached);
	return portals;
}

struct timeline_change *track_reach(struct timeline *t, struct track *track, enum stage stage, int64_t at_ms,
				    const char *detail)
{
	if (track->at_ms[stage])
		return NULL;
	track->at_ms[stage] = at_ms;
	track->problem[0] = '\0';
	if (track_stage(track) == stage)
		track->due_ms = timeline_stage_due(stage, at_ms);
	return change_stage(t, TIMELINE_PUT, track, stage, at_ms, detail);
}

void track_loader_done(struct timeline *t, struct track *track, int64_t at_ms)
{
	if (track->at_ms[STAGE_LOADER_DONE] >= at_ms)
		return;
	track->at_ms[STAGE_LOADER_DONE] = at_ms;
	change_stage(t, TIMELINE_REPLACE, track, STAGE_LOADER_DONE, at_ms, "");
}
