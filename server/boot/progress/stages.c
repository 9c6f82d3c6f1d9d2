// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes the timeline down, and asks what it wants to know: see stages.h. On boot's loop but where said. */
#include "stages.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/internal.h"
#include "timeline.h"
#include "turns.h"
#include "warm.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { STAGES_TICK_MS = 1000, STAGES_BATCH = 128 };

struct stages {
	struct boot *boot;
	uv_timer_t timer;
	bool started;	   /* the main thread's */
	atomic_bool awake; /* the timer runs, or wake is on its way */
	struct loop_msg wake;
	bool open; /* the timer may be used; the loop's */
	sem_t closed;
	/* the one job, and what it writes */
	bool writing;
	struct inventory_job job;
	unsigned count;
	bool judged; /* of those, some say how a boot ends: rollouts are looked at */
	struct timeline_change changes[STAGES_BATCH];
};

/* ---- the write job; the inventory's thread ---- */

static int write_event(struct stages *s, struct inventory_tx *tx, const struct timeline_change *change)
{
	const struct stage_record *r = &change->record;
	const char *hint = timeline_hint(r->stage, r->why);
	struct machine machine = { 0 };
	int err =
		r->machine_id ? machine_by_id(tx, r->machine_id, &machine) : machine_by_mac(tx, change->mac, &machine);

	if (err && err != -ENOENT && err != -ENOTUNIQ)
		return err;
	/* Hardware that is no machine of ours may boot from another server, and there may be much of it. */
	if (err && (r->stage == STAGE_DHCP || !presence_event_due(&s->boot->presence, 0, PRESENCE_STUCK, 6, 60000)))
		return 0;
	return event_add(tx, "warning", "stuck", "server", machine.id, machine.name, "%s%sstuck at %s: %s%s%s",
			 r->machine_id ? "" : change->mac, r->machine_id ? "" : " is ", stage_name(r->stage), r->why,
			 hint[0] ? "; " : "", hint);
}

static int find_script(void *arg, const struct stage_record *record)
{
	if (record->stage == STAGE_SCRIPT)
		*(int64_t *)arg = record->at_ms;
	return 0;
}

static int write_clear(struct inventory_tx *tx, const struct stage_record *r)
{
	int64_t script_ms = 0;
	int err = r->at_ms ? stage_each(tx, r->machine_id, r->number, find_script, &script_ms) : 0;

	return err || (r->at_ms && script_ms >= r->at_ms) ? err : stage_clear(tx, r->machine_id, r->number);
}

/* What its system waited for in vain is left out of its next scripts; what it then reached after all is not. */
static int write_portals(struct inventory_tx *tx, const struct timeline_change *change)
{
	char before[PORTALS_TEXT];
	struct machine machine;
	int err;

	if (!change->portals[0])
		return 0;
	err = machine_by_id(tx, change->record.machine_id, &machine);
	if (err)
		return err;
	memcpy(before, machine.lost_portals, sizeof(before));
	if (change->kind == TIMELINE_STUCK)
		portals_add(machine.lost_portals, change->portals);
	else
		portals_remove(machine.lost_portals, change->portals);
	return strcmp(before, machine.lost_portals) ? machine_update(tx, &machine) : 0;
}

static int write_change(struct stages *s, struct inventory_tx *tx, const struct timeline_change *change)
{
	const struct stage_record *r = &change->record;
	int err = 0;

	switch (change->kind) {
	case TIMELINE_PUT:
	case TIMELINE_REPLACE:
		err = stage_put(tx, r, change->kind == TIMELINE_REPLACE);
		if (!err)
			err = write_portals(tx, change);
		break;
	case TIMELINE_CLEAR:
		err = write_clear(tx, r);
		break;
	case TIMELINE_STUCK:
		if (r->machine_id)
			err = stage_set_stuck(tx, r);
		if (!err)
			err = write_portals(tx, change);
		if (!err && change->tell)
			err = write_event(s, tx, change);
		break;
	case TIMELINE_ASK:
		break;
	}
	return err == -ENOENT ? 0 : err; /* the boot, or its machine, is gone */
}

static int stages_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct stages *s = container_of(job, struct stages, job);
	int err = 0;

	for (unsigned i = 0; i < s->count && !err; i++)
		err = write_change(s, tx, &s->changes[i]);
	return err;
}

/* ---- the tick ---- */

struct asking {
	struct boot *boot;
	int64_t machine_id;
	uint64_t number;
	int64_t heard_ms; /* of iPXE */
};

static void asking_each(void *arg, const struct boot_session *session, int err)
{
	struct asking *asking = arg;
	struct boot *boot = asking->boot;

	if (session) {
		if (session->ipxe && session->boot == asking->number && session->heard_ms > asking->heard_ms)
			asking->heard_ms = session->heard_ms;
		if (!session->ipxe && session->boot == asking->number)
			timeline_used(boot->timeline, asking->machine_id, asking->number, session->bytes_read,
				      session->bytes_written);
		return;
	}
	/* Where those were not all, nobody knows: it is asked again later. */
	if (!err)
		timeline_ipxe_heard(boot->timeline, asking->machine_id, asking->number, asking->heard_ms,
				    time_unix_ms());
	stages_changed(boot->stages);
	free(asking);
	in_flight_leave(&boot->in_flight);
}

void stages_ask_ipxe(struct boot *boot, int64_t machine_id, uint64_t number)
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (!asking)
		return; /* it is asked again later */
	*asking = (struct asking){ .boot = boot, .machine_id = machine_id, .number = number };
	in_flight_enter(&boot->in_flight);
	boot->runtime->sessions(boot->runtime->arg, (uint64_t)machine_id, boot->loop, asking_each, asking);
}

/* What the server itself sees of the portals that a machine waits for. */
static void stages_explain(struct timeline_change *change)
{
	char list[PORTALS_TEXT];
	char *why = change->record.why, *rest = list, *portal;
	struct reason cause;

	memcpy(list, change->portals, sizeof(list));
	while ((portal = strtok_r(rest, " ", &rest))) {
		size_t len = strlen(why);

		if (portals_cause(portal, &cause))
			snprintf(why + len, sizeof(change->record.why) - len, " (%s: %.90s)", portal, cause.text);
	}
}

/* Takes what can be written; questions are asked and drop out. */
static void stages_take(struct stages *s)
{
	unsigned got = timeline_take(s->boot->timeline, s->changes, STAGES_BATCH);

	s->count = 0;
	s->judged = false;
	for (unsigned i = 0; i < got; i++) {
		const struct stage_record *r = &s->changes[i].record;

		if (s->changes[i].kind == TIMELINE_ASK) {
			stages_ask_ipxe(s->boot, r->machine_id, r->number);
			continue;
		}
		if (s->changes[i].kind == TIMELINE_STUCK)
			stages_explain(&s->changes[i]);
		s->judged |= s->changes[i].kind == TIMELINE_STUCK || r->stage == STAGE_STEADY;
		if (r->stage == STAGE_STEADY) {
			turns_leave(s->boot->turns, r->machine_id);
			warm_steady(s->boot->warm, r->machine_id, r->number);
		}
		s->changes[s->count++] = s->changes[i];
	}
}

static void stages_written(struct inventory_job *job, int err);

static void stages_write(struct stages *s)
{
	stages_take(s);
	if (!s->count)
		return;
	s->writing = true;
	s->job = (struct inventory_job){ .run = stages_run, .done = stages_written, .loop = s->boot->loop };
	in_flight_enter(&s->boot->in_flight);
	inventory_write(s->boot->inventory, &s->job);
}

static void stages_written(struct inventory_job *job, int err)
{
	struct stages *s = container_of(job, struct stages, job);
	struct boot *boot = s->boot;

	s->writing = false;
	if (err)
		log_error("boot: %u stages of boots could not be recorded: %s", s->count, strerror(-err));
	else if (s->judged)
		boot_look_at_plans(boot);
	in_flight_leave(&boot->in_flight);
}

static void stages_tick(uv_timer_t *timer)
{
	struct stages *s = timer->data;

	timeline_tick(s->boot->timeline, time_unix_ms(), time_monotonic_ms());
	if (!s->writing)
		stages_write(s);
	if (s->writing || !timeline_is_idle(s->boot->timeline))
		return;
	uv_timer_stop(&s->timer);
	atomic_store(&s->awake, false);
	/* What was told just before that found it awake, and did not wake it. */
	if (!timeline_is_idle(s->boot->timeline))
		stages_changed(s);
}

static void stages_wake(struct loop_msg *msg)
{
	struct stages *s = container_of(msg, struct stages, wake);

	if (s->open)
		uv_timer_start(&s->timer, stages_tick, STAGES_TICK_MS, STAGES_TICK_MS);
	in_flight_leave(&s->boot->in_flight);
}

/* ---- life; main thread ---- */

static void stages_open(void *arg)
{
	struct stages *s = arg;

	uv_timer_init(loop_uv(s->boot->loop), &s->timer);
	s->timer.data = s;
	s->open = true;
}

struct stages *stages_new(struct boot *boot)
{
	struct stages *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->boot = boot;
	sem_init(&s->closed, 0, 0);
	return s;
}

void stages_start(struct stages *s)
{
	if (!s->started)
		loop_call(s->boot->loop, stages_open, s);
	s->started = true;
}

static void stages_closed(uv_handle_t *timer)
{
	struct stages *s = timer->data;

	sem_post(&s->closed);
}

static void stages_close(void *arg)
{
	struct stages *s = arg;

	s->open = false;
	uv_close((uv_handle_t *)&s->timer, stages_closed);
}

void stages_stop(struct stages *s)
{
	if (!s->started)
		return;
	loop_call(s->boot->loop, stages_close, s);
	while (sem_wait(&s->closed) && errno == EINTR)
		;
}

void stages_free(struct stages *s)
{
	if (!s)
		return;
	while ((s->count = timeline_take(s->boot->timeline, s->changes, STAGES_BATCH)) > 0) {
		s->job = (struct inventory_job){ .run = stages_run };
		inventory_write_wait(s->boot->inventory, &s->job);
	}
	sem_destroy(&s->closed);
	free(s);
}

void stages_changed(struct stages *s)
{
	if (atomic_exchange(&s->awake, true))
		return;
	s->wake.run = stages_wake;
	in_flight_enter(&s->boot->in_flight);
	loop_post(s->boot->loop, &s->wake);
}
