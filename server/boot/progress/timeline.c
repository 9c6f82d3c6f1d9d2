// SPDX-License-Identifier: GPL-2.0-or-later
/* Boots in progress: see timeline.h. What is seen, and what follows from time; timeline_tables.c has the tables. */
#include "timeline_tables.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_JUMP_MS = 5000 };

/* ---- what is seen ---- */

/* Detail lists what came one after the other: "snponly.efi, boot.ipxe". */
static void detail_append(char detail[STAGE_DETAIL_TEXT], const char *more)
{
	size_t len = strlen(detail);

	if (!more[0] || strstr(detail, more) || len + strlen(more) + 3 > STAGE_DETAIL_TEXT)
		return;
	snprintf(detail + len, STAGE_DETAIL_TEXT - len, "%s%s", len ? ", " : "", more);
}

static enum stage arrival_stage(const struct arrival *a)
{
	return a->at_ms[STAGE_WAITED] ? STAGE_WAITED : a->at_ms[STAGE_BOOT_FILE] ? STAGE_BOOT_FILE : STAGE_DHCP;
}

void timeline_arrival(struct timeline *t, const char *key, enum stage stage, const char *detail, int64_t at_ms)
{
	struct arrival *a;

	if (stage > STAGE_WAITED || !key[0] || strlen(key) >= KEY_TEXT)
		return;
	pthread_mutex_lock(&t->mutex);
	a = arrival_find(t, key);
	if (!a)
		a = arrival_new(t, key);
	/* It was off meanwhile: a machine that waits asks all the time, and not for an address. */
	if (at_ms - a->seen_ms > TIMELINE_GAP_MS || (stage == STAGE_DHCP && a->at_ms[STAGE_WAITED])) {
		*a = (struct arrival){ 0 };
		snprintf(a->key, sizeof(a->key), "%s", key);
	}
	a->seen_ms = at_ms;
	if (!a->at_ms[stage]) {
		a->at_ms[stage] = at_ms;
		a->stuck_ms = 0;
		if (arrival_stage(a) == stage)
			a->due_ms = timeline_stage_due(stage, at_ms);
	}
	if (stage == STAGE_BOOT_FILE)
		detail_append(a->detail[stage], detail);
	else if (detail[0])
		snprintf(a->detail[stage], sizeof(a->detail[stage]), "%s", detail);
	pthread_mutex_unlock(&t->mutex);
}

unsigned timeline_arriving(struct timeline *t, const char *mac, struct stage_record records[STAGE_WAITED + 1])
{
	const struct arrival *a;
	unsigned count = 0;

	pthread_mutex_lock(&t->mutex);
	a = arrival_find(t, mac);
	for (int stage = 0; a && stage <= STAGE_WAITED; stage++) {
		struct stage_record *r = &records[count];

		if (!a->at_ms[stage])
			continue;
		count++;
		*r = (struct stage_record){ .stage = (enum stage)stage, .at_ms = a->at_ms[stage] };
		memcpy(r->detail, a->detail[stage], sizeof(r->detail));
		if (!a->stuck_ms || arrival_stage(a) != r->stage)
			continue;
		r->stuck_ms = a->stuck_ms;
		snprintf(r->why, sizeof(r->why), "%s", timeline_why(r->stage));
	}
	pthread_mutex_unlock(&t->mutex);
	return count;
}

static void script_take(struct timeline *t, struct track *track, struct arrival *a, int64_t now_ms)
{
	for (int stage = 0; a && stage <= STAGE_WAITED && now_ms - a->seen_ms <= TIMELINE_GAP_MS; stage++)
		if (a->at_ms[stage])
			track_reach(t, track, (enum stage)stage, a->at_ms[stage], a->detail[stage]);
	if (a)
		*a = (struct arrival){ 0 };
}

/* Its firmware was heard of, before it asked: a power-on. Who only waits may have had a script before. */
static bool arrival_is_power_on(const struct arrival *a)
{
	return a && (a->at_ms[STAGE_DHCP] || a->at_ms[STAGE_BOOT_FILE]);
}

/* What its script names, where that is several portals, and what it leaves out. */
static void script_portals(struct track *track, const char *address, const struct portals_offer *offer,
			   char detail[STAGE_DETAIL_TEXT])
{
	char portal[PORTALS_HOST_TEXT + 8];

	track->portals[0] = track->reached[0] = '\0';
	for (unsigned i = 0; offer && offer->count > 1 && i < offer->count; i++) {
		snprintf(portal, sizeof(portal), "%s:%u", offer->list[i].host, offer->list[i].port);
		portals_add(track->portals, portal);
	}
	snprintf(detail, STAGE_DETAIL_TEXT, "%.50s%s%.66s", address, offer && offer->left_out[0] ? ", without " : "",
		 offer ? offer->left_out : "");
}

void timeline_script(struct timeline *t, int64_t machine_id, uint64_t number, const char *mac, const char *address,
		     const struct portals_offer *offer, int64_t now_ms)
{
	int64_t oldest_ms = now_ms - 10 * TIMELINE_LOGIN_MS; /* a script from before that was for another power-on */
	struct arrival *by_mac, *by_address;
	struct timeline_change *clear;
	char detail[STAGE_DETAIL_TEXT];
	struct track *track;
	bool anew, known;

	pthread_mutex_lock(&t->mutex);
	by_mac = arrival_find(t, mac);
	by_address = arrival_find(t, address);
	track = track_get(t, machine_id, number);
	known = track->at_ms[STAGE_SCRIPT];
	anew = arrival_is_power_on(by_mac) || (known && track->at_ms[STAGE_SCRIPT] < oldest_ms);
	track->seen_ms = now_ms;
	if (track->elsewhere)
		track->due_ms = timeline_stage_due(track_stage(track), now_ms);
	track->elsewhere = false;
	if (anew || !known) {
		*track = (struct track){ .machine_id = machine_id, .number = number, .seen_ms = now_ms };
		snprintf(track->mac, sizeof(track->mac), "%s", mac);
		clear = change_add(t, TIMELINE_CLEAR, track, STAGE_DHCP);
		/* It may be another attempt of a boot from before a restart of the server: what is stored of that stays. */
		if (clear && !anew)
			clear->record.at_ms = oldest_ms;
		script_take(t, track, by_mac, now_ms);
		/* Behind an address may be others. */
		script_take(t, track, by_address, now_ms);
		script_portals(track, address, offer, detail);
		track_reach(t, track, STAGE_SCRIPT, now_ms, detail);
	} else {
		script_portals(track, address, offer, detail);
		if (by_mac)
			*by_mac = (struct arrival){ 0 };
	}
	pthread_mutex_unlock(&t->mutex);
}

void timeline_elsewhere(struct timeline *t, int64_t machine_id)
{
	pthread_mutex_lock(&t->mutex);
	for (unsigned i = 0; i < t->tracks_used; i++)
		if (t->tracks[i].machine_id == machine_id)
			t->tracks[i].elsewhere = true;
	pthread_mutex_unlock(&t->mutex);
}

void timeline_problem(struct timeline *t, int64_t machine_id, const char *problem, bool explains)
{
	pthread_mutex_lock(&t->mutex);
	for (unsigned i = 0; i < t->tracks_used; i++) {
		struct track *track = &t->tracks[i];

		if (track->machine_id != machine_id)
			continue;
		snprintf(track->problem, sizeof(track->problem), "%s", problem);
		track->explains = explains;
	}
	pthread_mutex_unlock(&t->mutex);
}

void timeline_reached(struct timeline *t, int64_t machine_id, uint64_t number, const char *portal)
{
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_find(t, machine_id, number);
	if (track && portals_has(track->portals, portal))
		portals_add(track->reached, portal);
	pthread_mutex_unlock(&t->mutex);
}

void timeline_used(struct timeline *t, int64_t machine_id, uint64_t number, uint64_t bytes_read, uint64_t bytes_written)
{
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_find(t, machine_id, number);
	if (track && (bytes_written || bytes_read >= TIMELINE_USED_BYTES))
		track->used = true;
	pthread_mutex_unlock(&t->mutex);
}

static bool track_waits(const struct track *track)
{
	char portals[PORTALS_TEXT];

	return !track->used && track_awaits(track, portals)[0];
}

void timeline_session_began(struct timeline *t, int64_t machine_id, uint64_t number, bool ipxe, const char *address,
			    int64_t now_ms)
{
	struct arrival *a;
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_get(t, machine_id, number);
	track->seen_ms = now_ms;
	if (ipxe) {
		track->ipxe_heard_ms = now_ms;
		track_reach(t, track, STAGE_IPXE_LOGIN, now_ms, address);
	} else {
		track->system_sessions++;
		track->steady_ms = now_ms + TIMELINE_STEADY_MS;
		if (!track->at_ms[STAGE_KERNEL_LOGIN] && track->ipxe_heard_ms)
			track_loader_done(t, track, track->ipxe_heard_ms);
		track_reach(t, track, STAGE_KERNEL_LOGIN, now_ms, address);
		if (track->portals[0])
			track->due_ms = track_waits(track) ? now_ms + TIMELINE_PORTAL_MS :
							     timeline_stage_due(STAGE_KERNEL_LOGIN, now_ms);
		/* The initramfs asked for an address, too: that was no power-on. */
		a = arrival_find(t, track->mac);
		if (a)
			*a = (struct arrival){ 0 };
	}
	pthread_mutex_unlock(&t->mutex);
}

void timeline_session_ended(struct timeline *t, int64_t machine_id, uint64_t number, bool ipxe, int64_t heard_ms,
			    const char *why)
{
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_find(t, machine_id, number);
	if (track && ipxe && heard_ms > track->ipxe_heard_ms) {
		track->ipxe_heard_ms = heard_ms;
	} else if (track && !ipxe) {
		if (track->system_sessions)
			track->system_sessions--;
		if (!track->system_sessions)
			track->steady_ms = 0;
		snprintf(track->problem, sizeof(track->problem), "the system's session ended: %.200s", why);
		track->explains = false;
	}
	pthread_mutex_unlock(&t->mutex);
}

void timeline_first_read(struct timeline *t, int64_t machine_id, uint64_t number, int64_t now_ms)
{
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_find(t, machine_id, number);
	if (track && !track->at_ms[STAGE_KERNEL_LOGIN])
		track_reach(t, track, STAGE_FIRST_READ, now_ms, "");
	pthread_mutex_unlock(&t->mutex);
}

static void track_stuck(struct timeline *t, struct track *track, int64_t now_ms)
{
	enum stage stage = track_stage(track);
	bool both = track->problem[0] && !track->explains;
	char why[STAGE_WHY_TEXT], portals[PORTALS_TEXT];
	bool waits = stage == STAGE_KERNEL_LOGIN && track->system_sessions && track_waits(track) &&
		     !(track->problem[0] && track->explains);
	struct timeline_change *change;

	if (waits)
		snprintf(why, sizeof(why), "the machine has logged in at %s" TIMELINE_WAITS "%s, which does not answer",
			 track->reached, track_awaits(track, portals));
	else
		snprintf(why, sizeof(why), "%s%s%s", track->problem, both ? "; " : "",
			 both || !track->problem[0] ? timeline_why(stage) : "");
	change = change_stuck(t, track, stage, now_ms, track->mac, why, !track->told);
	if (waits && change)
		track_awaits(track, change->portals);
	track->told = true;
	track->due_ms = 0;
}

void timeline_ipxe_heard(struct timeline *t, int64_t machine_id, uint64_t number, int64_t heard_ms, int64_t now_ms)
{
	struct track *track;

	pthread_mutex_lock(&t->mutex);
	track = track_find(t, machine_id, number);
	if (!track)
		goto out;
	if (heard_ms > track->ipxe_heard_ms)
		track->ipxe_heard_ms = heard_ms;
	heard_ms = track->ipxe_heard_ms;
	if (track->at_ms[STAGE_KERNEL_LOGIN]) {
		/* Asked when the kernel logged in: what iPXE did until then was the loader. */
		if (heard_ms && heard_ms <= track->at_ms[STAGE_KERNEL_LOGIN])
			track_loader_done(t, track, heard_ms);
		goto out;
	}
	if (!track->at_ms[STAGE_FIRST_READ])
		goto out;
	if (now_ms - heard_ms < TIMELINE_SILENCE_MS) {
		track->due_ms = heard_ms + TIMELINE_SILENCE_MS; /* it is still loading */
		goto out;
	}
	track_loader_done(t, track, heard_ms);
	if (now_ms - heard_ms < TIMELINE_KERNEL_MS)
		track->due_ms = heard_ms + TIMELINE_KERNEL_MS;
	else
		track_stuck(t, track, now_ms);
out:
	pthread_mutex_unlock(&t->mutex);
}

void timeline_forget(struct timeline *t, int64_t machine_id)
{
	pthread_mutex_lock(&t->mutex);
	for (unsigned i = 0; i < t->tracks_used; i++)
		if (t->tracks[i].machine_id == machine_id)
			t->tracks[i] = (struct track){ 0 };
	pthread_mutex_unlock(&t->mutex);
}

/* ---- time ---- */

static void track_steady(struct timeline *t, struct track *track, int64_t now_ms)
{
	char without[PORTALS_TEXT], detail[STAGE_DETAIL_TEXT] = "";
	struct timeline_change *change;

	if (track_awaits(track, without)[0])
		snprintf(detail, sizeof(detail), "without %.100s", without);
	change = track_reach(t, track, STAGE_STEADY, now_ms, detail);
	if (change && track->told)
		memcpy(change->portals, track->reached, sizeof(change->portals));
	*track = (struct track){ 0 };
}

static void track_tick(struct timeline *t, struct track *track, int64_t now_ms)
{
	if (track->steady_ms && now_ms >= track->steady_ms) {
		if (!track_waits(track)) {
			track_steady(t, track, now_ms);
			return;
		}
		/* Does it run all the same? */
		track->steady_ms = now_ms + TIMELINE_USE_MS;
		change_add(t, TIMELINE_ASK, track, STAGE_KERNEL_LOGIN);
	}
	if (now_ms - track->seen_ms > TIMELINE_FORGET_MS) {
		*track = (struct track){ 0 };
		return;
	}
	if (!track->due_ms || now_ms < track->due_ms)
		return;
	/*
	 * Without a script of ours to its disk (an installer with the disk hooked, a boot from before a restart), or with
	 * another one since, nobody knows what it does.
	 */
	if (!track->at_ms[STAGE_SCRIPT] || (track->elsewhere && track_stage(track) == STAGE_SCRIPT)) {
		track->due_ms = 0;
		return;
	}
	switch (track_stage(track)) {
	case STAGE_FIRST_READ:
	case STAGE_LOADER_DONE:
		track->due_ms = now_ms + TIMELINE_SILENCE_MS;
		change_add(t, TIMELINE_ASK, track, STAGE_FIRST_READ);
		break;
	default:
		track_stuck(t, track, now_ms);
		break;
	}
}

static void arrival_tick(struct timeline *t, struct arrival *a, int64_t now_ms)
{
	if (!a->due_ms || now_ms < a->due_ms)
		return;
	a->due_ms = 0;
	/* An address alone proves nothing: somebody may only have looked at a file. */
	if (strlen(a->key) + 1 != PARSE_MAC_TEXT || a->key[2] != ':')
		return;
	a->stuck_ms = now_ms;
	change_stuck(t, NULL, arrival_stage(a), now_ms, a->key, timeline_why(arrival_stage(a)), true);
}

/* The clock was set: what is due is as far away as before. */
static void clock_moved(struct timeline *t, int64_t by_ms)
{
	for (unsigned i = 0; i < t->tracks_used; i++) {
		struct track *track = &t->tracks[i];

		track->seen_ms += by_ms;
		track->due_ms += track->due_ms ? by_ms : 0;
		track->steady_ms += track->steady_ms ? by_ms : 0;
	}
	for (unsigned i = 0; i < t->arrivals_used; i++) {
		t->arrivals[i].seen_ms += by_ms;
		t->arrivals[i].due_ms += t->arrivals[i].due_ms ? by_ms : 0;
	}
}

void timeline_tick(struct timeline *t, int64_t now_ms, uint64_t monotonic_ms)
{
	int64_t offset = now_ms - (int64_t)monotonic_ms;

	pthread_mutex_lock(&t->mutex);
	if (t->ticked && llabs(offset - t->clock_offset_ms) > CLOCK_JUMP_MS)
		clock_moved(t, offset - t->clock_offset_ms);
	t->clock_offset_ms = offset;
	t->ticked = true;
	for (unsigned i = 0; i < t->tracks_used; i++)
		if (t->tracks[i].machine_id)
			track_tick(t, &t->tracks[i], now_ms);
	for (unsigned i = 0; i < t->arrivals_used; i++)
		if (t->arrivals[i].key[0])
			arrival_tick(t, &t->arrivals[i], now_ms);
	pthread_mutex_unlock(&t->mutex);
}

bool timeline_is_idle(struct timeline *t)
{
	bool idle;

	pthread_mutex_lock(&t->mutex);
	idle = !t->change_count;
	for (unsigned i = 0; i < t->tracks_used && idle; i++)
		idle = !t->tracks[i].due_ms && !t->tracks[i].steady_ms;
	for (unsigned i = 0; i < t->arrivals_used && idle; i++)
		idle = !t->arrivals[i].due_ms;
	pthread_mutex_unlock(&t->mutex);
	return idle;
}

unsigned timeline_take(struct timeline *t, struct timeline_change *changes, unsigned max)
{
	unsigned count = 0;

	pthread_mutex_lock(&t->mutex);
	for (; count < max && t->change_count; count++) {
		changes[count] = t->changes[t->first_change];
		t->first_change = (t->first_change + 1) % TIMELINE_CHANGES;
		t->change_count--;
	}
	pthread_mutex_unlock(&t->mutex);
	return count;
}

/* ---- life ---- */

struct timeline *timeline_new(void)
{
	struct timeline *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->changes = calloc(TIMELINE_CHANGES, sizeof(*t->changes));
	if (!t->changes) {
		free(t);
		return NULL;
	}
	pthread_mutex_init(&t->mutex, NULL);
	return t;
}

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->mutex);
	free(t->changes);
	free(t);
}
