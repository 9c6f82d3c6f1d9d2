// SPDX-License-Identifier: GPL-2.0-or-later
/* Permits and tickets: see turns.h. The mutex guards all of it; a scan of the table is all that happens under it. */
#include "turns.h"

#include <pthread.h>
#include <stdlib.h>

struct row {
	int64_t machine_id; /* 0: unused */
	bool booting;
	/* booting */
	uint64_t since_ms, idle_ms; /* idle: since when it has had no session */
	unsigned sessions;
	bool logged_in; /* it has had one */
	/* waiting */
	uint64_t ticket, first_ms, asked_ms;
	int priority;
};

struct turns {
	pthread_mutex_t mutex;
	uint64_t last_ticket;
	unsigned used; /* rows from here on are unused */
	struct row rows[TURNS_TICKETS];
};

struct turns *turns_new(void)
{
	struct turns *turns = calloc(1, sizeof(*turns));

	if (turns)
		pthread_mutex_init(&turns->mutex, NULL);
	return turns;
}

void turns_free(struct turns *turns)
{
	if (!turns)
		return;
	pthread_mutex_destroy(&turns->mutex);
	free(turns);
}

/* ---- under the mutex ---- */

static bool is_over(const struct row *e, uint64_t now_ms)
{
	if (!e->booting)
		return now_ms - e->asked_ms > TURNS_PATIENCE_MS;
	return now_ms - e->since_ms >= TURNS_BOOT_MS ||
	       (!e->sessions && now_ms - e->idle_ms >= (e->logged_in ? TURNS_IDLE_MS : TURNS_LOGIN_MS));
}

static void turns_expire(struct turns *t, uint64_t now_ms)
{
	for (unsigned i = 0; i < t->used; i++)
		if (t->rows[i].machine_id && is_over(&t->rows[i], now_ms))
			t->rows[i] = (struct row){ 0 };
	while (t->used && !t->rows[t->used - 1].machine_id)
		t->used--;
}

static struct row *row_find(struct turns *t, int64_t machine_id)
{
	for (unsigned i = 0; i < t->used; i++)
		if (t->rows[i].machine_id == machine_id)
			return &t->rows[i];
	return NULL;
}

static struct row *row_add(struct turns *t, int64_t machine_id)
{
	struct row *e = NULL;

	for (unsigned i = 0; i < TURNS_TICKETS && !e; i++)
		if (!t->rows[i].machine_id)
			e = &t->rows[i];
	if (!e)
		return NULL;
	if (e - t->rows >= t->used)
		t->used = (unsigned)(e - t->rows) + 1;
	*e = (struct row){ .machine_id = machine_id };
	return e;
}

static bool comes_before(const struct row *a, const struct row *b, uint64_t now_ms)
{
	bool old_a = now_ms - a->first_ms >= TURNS_AGE_MS, old_b = now_ms - b->first_ms >= TURNS_AGE_MS;

	if (old_a != old_b)
		return old_a;
	if (!old_a && a->priority != b->priority)
		return a->priority > b->priority;
	return a->ticket < b->ticket;
}

static struct turn turns_place(struct turns *t, const struct row *mine, unsigned limit, uint64_t now_ms)
{
	struct turn turn = { .place = 1, .waiting = 1 };
	unsigned booting = 0;

	for (unsigned i = 0; i < t->used; i++) {
		const struct row *e = &t->rows[i];

		if (!e->machine_id || e == mine)
			continue;
		if (e->booting) {
			booting++;
			continue;
		}
		turn.waiting++;
		turn.place += comes_before(e, mine, now_ms);
	}
	turn.now = booting < limit && turn.place <= limit - booting;
	return turn;
}

static void start_boot(struct row *e, uint64_t now_ms)
{
	e->booting = true;
	e->since_ms = e->idle_ms = now_ms;
	e->sessions = 0;
	e->logged_in = false;
}

/* ---- public ---- */

struct turn turns_ask(struct turns *t, int64_t machine_id, int priority, unsigned limit, uint64_t now_ms)
{
	struct turn turn = { .now = true };
	struct row *e;

	pthread_mutex_lock(&t->mutex);
	turns_expire(t, now_ms);
	e = row_find(t, machine_id);
	if (e && e->booting)
		goto out;
	if (!e) {
		e = row_add(t, machine_id);
		if (!e) {
			turn = (struct turn){ .now = !limit, .place = TURNS_TICKETS, .waiting = TURNS_TICKETS };
			goto out;
		}
		e->ticket = ++t->last_ticket;
		e->first_ms = now_ms;
	}
	e->asked_ms = now_ms;
	e->priority = priority;
	if (limit)
		turn = turns_place(t, e, limit, now_ms);
	if (turn.now)
		start_boot(e, now_ms);
out:
	pthread_mutex_unlock(&t->mutex);
	return turn;
}

void turns_session(struct turns *t, int64_t machine_id, bool began, uint64_t now_ms)
{
	struct row *e;

	pthread_mutex_lock(&t->mutex);
	e = row_find(t, machine_id);
	if (e && e->booting) {
		e->logged_in = true;
		if (began)
			e->sessions++;
		else if (e->sessions)
			e->sessions--;
		e->idle_ms = now_ms;
	}
	pthread_mutex_unlock(&t->mutex);
}

void turns_leave(struct turns *t, int64_t machine_id)
{
	struct row *e;

	pthread_mutex_lock(&t->mutex);
	e = row_find(t, machine_id);
	if (e)
		*e = (struct row){ 0 };
	pthread_mutex_unlock(&t->mutex);
}

void turns_count(struct turns *t, uint64_t now_ms, unsigned *booting, unsigned *waiting)
{
	*booting = *waiting = 0;
	pthread_mutex_lock(&t->mutex);
	turns_expire(t, now_ms);
	for (unsigned i = 0; i < t->used; i++) {
		*booting += t->rows[i].machine_id && t->rows[i].booting;
		*waiting += t->rows[i].machine_id && !t->rows[i].booting;
	}
	pthread_mutex_unlock(&t->mutex);
}
