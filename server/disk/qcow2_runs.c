// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists of what is given back: runs of host clusters, and blocks within a cluster. Neighbours become one entry where
 * they come one after the other. Both grow, and are emptied by setting count to 0. On the disk's loop.
 */
#include <errno.h>
#include <stdlib.h>

#include "disk/qcow2_engine.h"

int qcow2_runs_add(struct qcow2_runs *list, uint64_t first, uint64_t count)
{
	struct qcow2_run *last = list->count ? &list->runs[list->count - 1] : NULL;

	if (last && last->first + last->count == first) {
		last->count += count;
		return 0;
	}
	if (list->count == list->room) {
		unsigned room = list->room * 2 + 16;
		struct qcow2_run *more = realloc(list->runs, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->runs = more;
		list->room = room;
	}
	list->runs[list->count++] = (struct qcow2_run){ first, count };
	return 0;
}

static int compare_runs(const void *a, const void *b)
{
	const struct qcow2_run *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

void qcow2_runs_sort(struct qcow2_runs *list)
{
	unsigned last = 0;

	if (list->count < 2)
		return;
	qsort(list->runs, list->count, sizeof(*list->runs), compare_runs);
	for (unsigned i = 1; i < list->count; i++) {
		struct qcow2_run *to = &list->runs[last];

		if (to->first + to->count == list->runs[i].first)
			to->count += list->runs[i].count;
		else
			list->runs[++last] = list->runs[i];
	}
	list->count = last + 1;
}

int qcow2_punches_add(struct qcow2_punches *list, const struct qcow2_punch *punch)
{
	struct qcow2_punch *last = list->count ? &list->punches[list->count - 1] : NULL;

	if (last && last->guest_cluster == punch->guest_cluster && last->host == punch->host) {
		last->mask |= punch->mask;
		return 0;
	}
	if (list->count == list->room) {
		unsigned room = list->room * 2 + 16;
		struct qcow2_punch *more = realloc(list->punches, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->punches = more;
		list->room = room;
	}
	list->punches[list->count++] = *punch;
	return 0;
}
