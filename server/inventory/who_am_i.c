// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which machines have a who-am-i volume: those that have templates, by themselves or by their group. The rows follow
 * from that, whatever changed it. The volume's object is made when it is opened (boot/whoami). See inventory.h.
 */
#include "inventory/db.h"
#include "inventory/private.h"

#include <errno.h>
#include <stdio.h>

#define BACKEND "generated" /* of store/ */
/* Of a machine and its group, joined: the templates that it has. */
#define EFFECTIVE "coalesce(nullif(machine.templates, ''), machine_group.templates, '')"
#define JOIN_GROUP " LEFT JOIN machine_group ON machine_group.id = machine.group_id "

static int add(struct inventory_tx *tx, int64_t machine_id, const char *random)
{
	struct volume volume = { .kind = VOLUME_WHO_AM_I, .backend = BACKEND };
	unsigned lun;
	int err = attachment_high_lun(tx, machine_id, &lun);

	snprintf(volume.object, sizeof(volume.object), "w%lld-%.16s.iso", (long long)machine_id, random);
	if (!err)
		err = volume_insert(tx, &volume);
	return err ? err : attachment_add(tx, machine_id, lun, volume.id);
}

/* A machine whose LUNs are all taken goes without. */
static int add_missing(struct inventory_tx *tx)
{
	int64_t after = 0;

	for (;;) {
		char random[17] = "";
		struct query q;
		int err;

		query_begin(&q, tx,
			    "SELECT machine.id, lower(hex(randomblob(8))) FROM machine" JOIN_GROUP
			    "WHERE machine.id > ? AND " EFFECTIVE " NOT IN ('', 'none') AND NOT EXISTS "
			    "(SELECT 1 FROM attachment JOIN volume ON volume.id = volume_id WHERE machine_id = machine.id "
			    "AND kind = ?) ORDER BY machine.id LIMIT 1");
		query_bind(&q, after);
		query_bind(&q, VOLUME_WHO_AM_I);
		after = 0;
		if (query_row(&q)) {
			after = query_int(&q);
			query_text(&q, random, sizeof(random));
		}
		err = query_end(&q);
		if (err || !after)
			return err;
		err = add(tx, after, random);
		if (err && err != -ENOSPC)
			return err;
	}
}

static int drop_superfluous(struct inventory_tx *tx)
{
	for (;;) {
		int64_t volume_id = 0;
		struct query q;
		int err;

		query_begin(&q, tx,
			    "SELECT volume.id FROM volume WHERE kind = ? AND NOT EXISTS (SELECT 1 FROM attachment "
			    "JOIN machine ON machine.id = attachment.machine_id" JOIN_GROUP
			    "WHERE attachment.volume_id = volume.id AND " EFFECTIVE " NOT IN ('', 'none')) LIMIT 1");
		query_bind(&q, VOLUME_WHO_AM_I);
		if (query_row(&q))
			volume_id = query_int(&q);
		err = query_end(&q);
		if (err || !volume_id)
			return err;
		query_begin(&q, tx, "DELETE FROM attachment WHERE volume_id = ?");
		query_bind(&q, volume_id);
		err = query_run(&q);
		if (!err)
			err = volume_delete(tx, volume_id);
		if (err)
			return err;
	}
}

int who_am_i_settle(struct inventory_tx *tx)
{
	int err = drop_superfluous(tx);

	return err ? err : add_missing(tx);
}
