// SPDX-License-Identifier: GPL-2.0-or-later
/* The timer of a loop's write log: it runs while the log holds something. See wlog_front.h. */
#include "disk/wlog_front.h"

#include <stdlib.h>
#include <uv.h>

#include "base/loop.h"

/* Its own memory: libuv has it for a moment longer than we. */
struct wlog_timer {
	uv_timer_t uv;
	struct wlog_loop *shared;
};

static void timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void wlog_timer_stop(struct wlog_loop *shared)
{
	if (!shared->timer || shared->fronts)
		return;
	uv_close((uv_handle_t *)&shared->timer->uv, timer_closed);
	shared->timer = NULL;
}

static void timer_fires(uv_timer_t *uv)
{
	struct wlog_timer *timer = uv->data;

	wlog_tick(timer->shared);
	wlog_timer_stop(timer->shared);
}

/* Without memory what is here waits for a flush, a close, or others who want the room. */
void wlog_timer_start(struct wlog_loop *shared)
{
	if (shared->timer || shared->by_hand)
		return;
	shared->timer = calloc(1, sizeof(*shared->timer));
	if (!shared->timer)
		return;
	shared->timer->shared = shared;
	shared->timer->uv.data = shared->timer;
	uv_timer_init(loop_uv(shared->loop), &shared->timer->uv);
	uv_timer_start(&shared->timer->uv, timer_fires, WLOG_TICK_MS, WLOG_TICK_MS);
}
