// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may touch which blocks: overlapping operations run in the order in which they came, all others side by side.
 *
 * Every operation that does not finish at once holds a range of 4 KiB blocks (a write: those that it touches, so that
 * filling an edge is safe; zeroes and discards: whole clusters, so that nobody uses a cluster that they free). All
 * holds are in one list, oldest first. One that conflicts with an older one hangs below it, and is looked at again
 * when that one goes or shrinks; it need not hang below all of them. All on the disk's loop.
 */
#include <assert.h>
#include <stddef.h>

#include "disk/qcow2_engine.h"

static bool overlap(const struct qcow2_hold *hold, uint64_t first, uint64_t last, bool changes)
{
	return (hold->changes || changes) && hold->first < last && first < hold->last;
}

/* The oldest one before `end` (NULL: all) that stands in the way. */
static struct qcow2_hold *find_conflict(const struct qcow2 *q, const struct qcow2_hold *end, uint64_t first,
					uint64_t last, bool changes)
{
	if (!changes && q->changes == 0)
		return NULL;
	for (struct qcow2_hold *hold = q->hold_first; hold != end; hold = hold->next)
		if (overlap(hold, first, last, changes))
			return hold;
	return NULL;
}

bool qcow2_hold_conflicts(const struct qcow2 *q, uint64_t first, uint64_t last, bool changes)
{
	return find_conflict(q, NULL, first, last, changes) != NULL;
}

static void hang_below(struct qcow2_hold *holder, struct qcow2_hold *hold)
{
	hold->blocked_next = holder->blocked;
	holder->blocked = hold;
}

bool qcow2_hold_take(struct qcow2 *q, struct qcow2_hold *hold)
{
	struct qcow2_hold *conflict = find_conflict(q, NULL, hold->first, hold->last, hold->changes);

	hold->blocked = NULL;
	hold->next = NULL;
	hold->prev = q->hold_last;
	if (q->hold_last)
		q->hold_last->next = hold;
	else
		q->hold_first = hold;
	q->hold_last = hold;
	if (hold->changes)
		q->changes++;
	hold->waiting = conflict != NULL;
	if (conflict)
		hang_below(conflict, hold);
	return !conflict;
}

/*
 * Looks again at those that hang below hold. Granting one runs it, and it may change the list as it likes; so all are
 * taken down first, and those that have to wait on are hung up again before any is granted. The list is newest first:
 * reversed.
 */
static void look_again(struct qcow2 *q, struct qcow2_hold *list)
{
	struct qcow2_hold *granted = NULL, *next;

	for (struct qcow2_hold *hold = list; hold; hold = next) {
		struct qcow2_hold *conflict = find_conflict(q, hold, hold->first, hold->last, hold->changes);

		next = hold->blocked_next;
		if (conflict) {
			hang_below(conflict, hold);
		} else {
			hold->blocked_next = granted;
			granted = hold;
		}
	}
	for (; granted; granted = next) {
		next = granted->blocked_next;
		granted->waiting = false;
		granted->granted(granted);
	}
}

void qcow2_hold_shrink(struct qcow2 *q, struct qcow2_hold *hold, uint64_t first)
{
	struct qcow2_hold *blocked = hold->blocked;

	assert(first >= hold->first && first <= hold->last);
	hold->first = first;
	hold->blocked = NULL;
	look_again(q, blocked);
}

void qcow2_hold_drop(struct qcow2 *q, struct qcow2_hold *hold)
{
	struct qcow2_hold *blocked = hold->blocked;

	if (hold->prev)
		hold->prev->next = hold->next;
	else
		q->hold_first = hold->next;
	if (hold->next)
		hold->next->prev = hold->prev;
	else
		q->hold_last = hold->prev;
	if (hold->changes)
		q->changes--;
	hold->blocked = NULL;
	look_again(q, blocked);
}
