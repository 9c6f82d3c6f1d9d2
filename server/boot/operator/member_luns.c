// SPDX-License-Identifier: GPL-2.0-or-later
/* Volumes that come and go by a group, under running sessions: see member_luns.h. */
#include "member_luns.h"

#include "base/util.h"
#include "running.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct member_luns *luns;
	bool after;
};

static int add_lun(void *arg, const struct group_lun *lun)
{
	struct reading *reading = arg;
	struct member_luns *luns = reading->luns;

	return array_append(&luns->list[reading->after], &luns->count[reading->after], lun, sizeof(*lun));
}

int member_luns_read(struct member_luns *luns, struct inventory_tx *tx, bool after)
{
	struct reading reading = { luns, after };

	if (!luns->machine_id && !luns->group_id)
		return 0;
	/* The job may have been tried before. */
	free(luns->list[after]);
	luns->list[after] = NULL;
	luns->count[after] = 0;
	return group_lun_each(tx, luns->machine_id, luns->group_id, add_lun, &reading);
}

/* Is it in the other list, too? Both are in the same order. */
static bool find(const struct group_lun *lun, const struct group_lun *list, unsigned count, unsigned *from)
{
	for (; *from < count; ++*from) {
		const struct group_lun *other = &list[*from];

		if (other->machine_id > lun->machine_id ||
		    (other->machine_id == lun->machine_id && other->lun > lun->lun))
			return false;
		if (other->machine_id == lun->machine_id && other->lun == lun->lun)
			return other->volume_id == lun->volume_id;
	}
	return false;
}

struct tally {
	unsigned now, later;
};

/* Those of one list that are not in the other: they went (taken), or came. */
static void apply(struct boot *boot, const struct member_luns *luns, bool taken, struct tally *tally)
{
	const struct group_lun *list = luns->list[!taken];
	unsigned at = 0;

	for (unsigned i = 0; i < luns->count[!taken]; i++) {
		struct reason why = { "" };
		int err;

		if (find(&list[i], luns->list[taken], luns->count[taken], &at))
			continue;
		err = taken ? running_detach(boot, list[i].machine_id, list[i].lun, false, &why) :
			      running_attach(boot, list[i].machine_id, list[i].lun, &why);
		if (err == -ENOENT)
			continue; /* it does not run */
		if (err)
			presence_set_reopens(&boot->presence, list[i].machine_id, true);
		tally->now += !err;
		tally->later += err != 0;
	}
}

void member_luns_apply(struct boot *boot, const struct member_luns *luns, struct reason *reason)
{
	struct tally gone = { 0 }, came = { 0 };

	apply(boot, luns, true, &gone);
	apply(boot, luns, false, &came);
	if (!gone.now && !gone.later && !came.now && !came.later)
		return;
	if (reason->text[0])
		reason_append(reason, "; ");
	reason_append(reason, "on machines that run %u volumes came and %u went at once", came.now, gone.now);
	if (came.later || gone.later)
		reason_append(reason, ", and %u come and %u, which are in use, go with their next boot", came.later,
			      gone.later);
}

void member_luns_fini(struct member_luns *luns)
{
	for (unsigned i = 0; i < array_len(luns->list); i++) {
		free(luns->list[i]);
		luns->list[i] = NULL;
		luns->count[i] = 0;
	}
}
