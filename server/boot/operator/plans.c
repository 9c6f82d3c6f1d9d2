// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See plans.h. On boot's loop but where said. One job at a time looks what is due, publishes it and says when the next one is
 * (rollouts that run are looked at every half minute at least, and when boots of machines have got somewhere):
 *
 *     wake, timer --> job on the inventory's thread --> timer for the next, or none
 */
#include "plans.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/internal.h"
#include "inventory/rollout.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* The clock may be set meanwhile, and a timer does not notice. */
enum { LOOK_AGAIN_MS = 30000 };

struct plans {
	struct boot *boot;
	uv_timer_t timer;
	bool started; /* the main thread's */
	bool open;    /* the timer may be used; the loop's */
	bool looking; /* the job is out; the loop's */
	bool again;   /* somebody asked meanwhile; the loop's */
	atomic_bool woken;
	struct loop_msg wake;
	struct inventory_job job;
	int64_t next_ms; /* what the job found; 0: nothing is planned */
	sem_t closed;
};

/* ---- the job; the inventory's thread ---- */

/* One that cannot be published is planned no more, and an event says why: the others are not to wait for it. */
static int publish_due(struct inventory_tx *tx, const struct image_version *version)
{
	char actor[ACTOR_TEXT];
	struct published published;
	struct reason reason = { "" };
	int err;

	snprintf(actor, sizeof(actor), "%.40s (planned)", version->publish_by);
	err = version_publish_by(tx, version->id, actor, &published, &reason);
	if (err != -ESTALE)
		return err;
	err = version_plan(tx, version->id, 0, "server", &reason);
	return err ? err :
		     event_add(tx, "warning", "image-plan", "server", 0, version->image, "%s@%u was not published: %s",
			       version->image, version->number, reason.text);
}

/* *next_ms: when the next one is due; 0: nothing is planned. */
static int publish_all_due(struct inventory_tx *tx, int64_t *next_ms)
{
	struct image_version version;
	int err;

	for (;;) {
		err = version_planned(tx, &version);
		*next_ms = err ? 0 : version.publish_at_ms;
		if (err)
			return err == -ENOENT ? 0 : err;
		if (version.publish_at_ms > time_unix_ms())
			return 0;
		err = publish_due(tx, &version);
		if (err)
			return err;
	}
}

static int plans_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct plans *plans = container_of(job, struct plans, job);
	int64_t look_ms;
	int err = publish_all_due(tx, &plans->next_ms);

	if (!err)
		err = rollout_look(tx, &look_ms);
	if (!err && look_ms && (!plans->next_ms || look_ms < plans->next_ms))
		plans->next_ms = look_ms;
	return err;
}

/* ---- the loop ---- */

static void plans_look(struct plans *plans);

static void plans_due(uv_timer_t *timer)
{
	plans_look(timer->data);
}

static void plans_done(struct inventory_job *job, int err)
{
	struct plans *plans = container_of(job, struct plans, job);
	struct boot *boot = plans->boot;
	int64_t wait = plans->next_ms - time_unix_ms();

	plans->looking = false;
	if (err)
		log_error("boot: what is to be published could not be looked up, again in %d s: %s",
			  LOOK_AGAIN_MS / 1000, strerror(-err));
	if (plans->open && plans->again)
		plans_look(plans);
	else if (plans->open && (err || plans->next_ms))
		uv_timer_start(&plans->timer, plans_due,
			       err || wait > LOOK_AGAIN_MS ? LOOK_AGAIN_MS :
			       wait < 0			   ? 0 :
							     (uint64_t)wait,
			       0);
	in_flight_leave(&boot->in_flight);
}

static void plans_look(struct plans *plans)
{
	plans->again = plans->looking;
	if (plans->looking)
		return;
	plans->looking = true;
	uv_timer_stop(&plans->timer);
	plans->job = (struct inventory_job){ .run = plans_run, .done = plans_done, .loop = plans->boot->loop };
	in_flight_enter(&plans->boot->in_flight);
	inventory_write(plans->boot->inventory, &plans->job);
}

static void plans_wake(struct loop_msg *msg)
{
	struct plans *plans = container_of(msg, struct plans, wake);
	struct boot *boot = plans->boot;

	atomic_store(&plans->woken, false);
	if (plans->open)
		plans_look(plans);
	in_flight_leave(&boot->in_flight);
}

void boot_look_at_plans(struct boot *boot)
{
	struct plans *plans = boot->plans;

	if (atomic_exchange(&plans->woken, true))
		return;
	plans->wake.run = plans_wake;
	in_flight_enter(&boot->in_flight);
	loop_post(boot->loop, &plans->wake);
}

/* ---- life; main thread ---- */

static void plans_open(void *arg)
{
	struct plans *plans = arg;

	uv_timer_init(loop_uv(plans->boot->loop), &plans->timer);
	plans->timer.data = plans;
	plans->open = true;
	plans_look(plans);
}

struct plans *plans_new(struct boot *boot)
{
	struct plans *plans = calloc(1, sizeof(*plans));

	if (!plans)
		return NULL;
	plans->boot = boot;
	sem_init(&plans->closed, 0, 0);
	return plans;
}

void plans_start(struct plans *plans)
{
	if (!plans->started)
		loop_call(plans->boot->loop, plans_open, plans);
	plans->started = true;
}

static void plans_closed(uv_handle_t *timer)
{
	struct plans *plans = timer->data;

	sem_post(&plans->closed);
}

static void plans_close(void *arg)
{
	struct plans *plans = arg;

	plans->open = false;
	uv_close((uv_handle_t *)&plans->timer, plans_closed);
}

void plans_stop(struct plans *plans)
{
	if (!plans->started)
		return;
	loop_call(plans->boot->loop, plans_close, plans);
	while (sem_wait(&plans->closed) && errno == EINTR)
		;
}

void plans_free(struct plans *plans)
{
	if (!plans)
		return;
	sem_destroy(&plans->closed);
	free(plans);
}
