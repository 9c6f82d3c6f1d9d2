// SPDX-License-Identifier: GPL-2.0-or-later
/* What the connections of a loop share: see link_loop.h. */
#include "iscsi/link/link_loop.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_LINES_A_TICK = 10 };

void live_get(struct live *live)
{
	atomic_fetch_add(&live->count, 1);
}

void live_put(struct live *live)
{
	if (atomic_fetch_sub(&live->count, 1) == 1)
		live->none(live);
}

int link_init(struct link_loop *link, struct loop *loop, struct live *live, int (*accepted)(struct conn *conn))
{
	link->loop = loop;
	link->live = live;
	link->accepted = accepted;
	list_init(&link->conns);
	list_init(&link->busy);
	link->log_left = LOG_LINES_A_TICK;
	return rx_pool_init(&link->rx);
}

void link_fini(struct link_loop *link)
{
	free_list_fini(&link->pdus);
	rx_pool_fini(&link->rx);
}

void link_wake(struct link_loop *link)
{
	if (!link->resting)
		return;
	link->resting = false;
	uv_timer_start(&link->tick, link->tick.timer_cb, LINK_TICK_MS, LINK_TICK_MS);
}

void link_rest(struct link_loop *link, uint64_t until_ms, uint64_t now_ms)
{
	if (until_ms <= now_ms + LINK_TICK_MS)
		return;
	link->resting = true;
	if (until_ms == UINT64_MAX)
		uv_timer_stop(&link->tick);
	else
		uv_timer_start(&link->tick, link->tick.timer_cb, until_ms - now_ms, LINK_TICK_MS);
}

void link_ticked(struct link_loop *link)
{
	link->resting = false;
	if (link->log_suppressed)
		log_info("iscsi: %u more lines like these were not written", link->log_suppressed);
	link->log_suppressed = 0;
	link->log_left = LOG_LINES_A_TICK;
}

bool link_log(struct link_loop *link, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!link->log_left) {
		link->log_suppressed++;
		return false;
	}
	link->log_left--;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_info("%s", text);
	return true;
}
