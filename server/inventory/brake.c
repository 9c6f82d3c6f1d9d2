// SPDX-License-Identifier: GPL-2.0-or-later
/* See brake.h. */
#include "inventory/brake.h"

#include <stdlib.h>

enum brake_outcome brake_outcome(const struct brake_boot *b, int64_t now_ms)
{
	int64_t end_ms = b->ended_ms ? b->ended_ms : b->asked_ms;

	if (b->steady_ms)
		return BRAKE_STEADY;
	if (b->interrupted)
		return BRAKE_OPEN;
	if (b->stuck_ms)
		return BRAKE_FAILED;
	/* One that lasted and was never said to be stuck ran: a restart of the server kept its last stage from being seen. */
	if (end_ms)
		return end_ms - b->started_ms < BRAKE_JUDGE_MS ? BRAKE_FAILED : BRAKE_OPEN;
	return !b->running && now_ms - b->started_ms >= BRAKE_JUDGE_MS ? BRAKE_FAILED : BRAKE_OPEN;
}

int64_t brake_duration_ms(const struct brake_boot *b)
{
	int64_t from_ms = b->script_ms ? b->script_ms : b->started_ms;

	/* A clock that was set back must not make a boot that took no time, or less. */
	return b->steady_ms > from_ms ? b->steady_ms - from_ms : 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

int64_t brake_median(int64_t *durations_ms, size_t count)
{
	if (!count)
		return 0;
	qsort(durations_ms, count, sizeof(*durations_ms), by_size);
	if (count % 2)
		return durations_ms[count / 2];
	return (durations_ms[count / 2 - 1] + durations_ms[count / 2]) / 2;
}

enum brake_verdict brake_judge(const struct brake_facts *facts, const struct brake_rule *rule, struct reason *why)
{
	const struct brake_side *new = &facts->new;
	unsigned boots = new->steady + new->failed, old_boots = facts->old.steady + facts->old.failed;
	bool known = old_boots && old_boots >= rule->min_boots;
	/* Of so many: what is not known counts as one of one. */
	uint64_t steady = known ? facts->old.steady : 1, of = known ? old_boots : 1;

	if (!boots || boots < rule->min_boots)
		return BRAKE_TOO_FEW;
	if (steady * boots * 100 > (uint64_t) new->steady *of * 100 + (uint64_t)rule->drop_points *of *boots) {
		reason_set(why, "only %u of %u boots got to a steady system", new->steady, boots);
		if (known)
			reason_append(why, ", and of the old version %u of %u did", facts->old.steady, old_boots);
		return BRAKE_SHARE;
	}
	if (known && facts->old.steady >= rule->min_boots && new->steady >= rule->min_boots &&
	    facts->old.median_ms &&new->median_ms >= BRAKE_SLOWER * facts->old.median_ms) {
		reason_set(why,
			   "half of its boots take %.1f s or more to a steady system, those of the old version %.1f s",
			   (double)new->median_ms / 1000, (double)facts->old.median_ms / 1000);
		return BRAKE_SLOW;
	}
	return BRAKE_FINE;
}
