// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Chores: see chores.h. A minute after the start, when the first crowd is through, and every ten minutes from then on; never two
 * at a time. Each finds out for itself whether there is anything to do.
 */
#include "chores.h"

#include "base/pool.h"
#include "base/util.h"
#include "boot/internal.h"
#include "boot/login/left_disk.h"
#include "boot/retention.h"
#include "flatten.h"
#include "layers.h"
#include "promote.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <uv.h>

enum { CHORES_FIRST_MS = 60 * 1000, CHORES_EVERY_MS = 10 * 60 * 1000 };

static void (*const chores_table[])(struct boot *boot) = { boot_retention_chore, boot_settle_left_disks,
							   boot_join_layers, boot_identify_versions,
							   boot_flatten_versions };

struct chores {
	struct boot *boot;
	uv_timer_t timer;
	bool started, running; /* running: on the loop only */
	sem_t closed;
	struct pool_job job;
};

/* On a worker. */
static void chores_run(struct pool_job *job)
{
	struct chores *c = container_of(job, struct chores, job);

	for (size_t i = 0; i < array_len(chores_table); i++)
		chores_table[i](c->boot);
}

static void chores_done(struct pool_job *job)
{
	struct chores *c = container_of(job, struct chores, job);

	c->running = false;
	in_flight_leave(&c->boot->in_flight);
}

static void chores_tick(uv_timer_t *timer)
{
	struct chores *c = timer->data;

	if (c->running)
		return;
	c->running = true;
	in_flight_enter(&c->boot->in_flight);
	c->job = (struct pool_job){ .work = chores_run, .done = chores_done, .loop = c->boot->loop };
	pool_submit(c->boot->pool, POOL_SLOW, &c->job);
}

static void chores_open(void *arg)
{
	struct chores *c = arg;

	uv_timer_init(loop_uv(c->boot->loop), &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, chores_tick, CHORES_FIRST_MS, CHORES_EVERY_MS);
}

static void chores_closed(uv_handle_t *timer)
{
	struct chores *c = timer->data;

	sem_post(&c->closed);
}

static void chores_close(void *arg)
{
	struct chores *c = arg;

	uv_close((uv_handle_t *)&c->timer, chores_closed);
}

struct chores *chores_new(struct boot *boot)
{
	struct chores *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->boot = boot;
	sem_init(&c->closed, 0, 0);
	return c;
}

void chores_start(struct chores *c)
{
	if (!c->started)
		loop_call(c->boot->loop, chores_open, c);
	c->started = true;
}

void chores_stop(struct chores *c)
{
	if (!c->started)
		return;
	loop_call(c->boot->loop, chores_close, c);
	while (sem_wait(&c->closed) && errno == EINTR)
		;
}

void chores_free(struct chores *c)
{
	if (!c)
		return;
	sem_destroy(&c->closed);
	free(c);
}
