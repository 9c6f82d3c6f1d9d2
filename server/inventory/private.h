/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of inventory/ (and their tests) tell each other. */
#ifndef INVENTORY_PRIVATE_H
#define INVENTORY_PRIVATE_H

#include "base/reason.h"
#include "inventory/inventory.h"

struct asset;

/* inventory_open with another table of schemas: tests of migrations. */
int inventory_open_table(const char *path, const struct asset *table, struct inventory **inventory,
			 struct reason *reason);
/* inventory.c: its line in the log. */
void event_log(const struct event *event);
/*
 * A volume's fields, in the order in which they stand in every statement (record.h); here, because a machine is read
 * together with its system volume.
 */
#define VOLUME_FIXED(F)                                             \
	F(kind, WORD, "kind", NULL, FIXED, NULL, volume_kind_words) \
	F(backend, TEXT, "backend", NULL, FIXED, NULL, NULL)        \
	F(serial, TEXT, NULL, NULL, FIXED, NULL, NULL)              \
	F(created_ms, TIME, "created_ms", NULL, FIXED, NULL, NULL)
#define VOLUME_FIELDS(F)                                                                                        \
	F(name, TEXT, "name", "name", BY_PEOPLE, NULL, NULL)                                                    \
	F(object, TEXT, NULL, NULL, BY_SERVER, NULL, NULL)                                                      \
	F(version_id, REFERENCE, NULL, "image", BY_PEOPLE_WHEN_OFF, NULL, NULL)                                 \
	F(snapshot_id, REFERENCE, NULL, NULL, BY_SERVER, NULL, NULL)                                            \
	F(size_bytes, NUMBER, NULL, "size", BY_PEOPLE, NULL, NULL)                                              \
	F(quota, TEXT, "quota", "quota", BY_PEOPLE, "policy", NULL)                                             \
	F(physical_512, BYTES_OF, "physical_block", "physical-block", BY_PEOPLE_WHEN_OFF, NULL, physical_words) \
	F(state, WORD, "state", "state", BY_PEOPLE_WHEN_OFF, NULL, volume_state_words)                          \
	F(state_reason, TEXT, "state_reason", NULL, BY_SERVER, NULL, NULL)                                      \
	F(fresh, BOOL, "fresh", NULL, BY_SERVER, NULL, NULL)                                                    \
	F(note, TEXT, "note", "note", BY_PEOPLE, NULL, NULL)
#define VOLUME_COLUMN(column, ...) ", volume." #column
/* Behind other columns; read by record_read with volume_fields. */
#define VOLUME_JOINED_COLUMNS ", volume.id" VOLUME_FIXED(VOLUME_COLUMN) VOLUME_FIELDS(VOLUME_COLUMN)

extern const char *const machine_mode_words[], *const policy_auth_words[], *const volume_kind_words[];

/* volume.c, for find.c: whatever the name's case; -ENOENT. */
int volume_by_name(struct inventory_tx *tx, const char *name, struct volume *volume);
int volume_by_lun(struct inventory_tx *tx, int64_t machine_id, unsigned lun, struct volume *volume);

/* machine.c, for trash.c: the row goes there, with what it has; and comes back with its system volume. -ENOENT, -EEXIST. */
int machine_to_trash(struct inventory_tx *tx, int64_t id, const char *actor);
int machine_from_trash(struct inventory_tx *tx, int64_t id);

/* snapshot.c: those that are removed, and on which nothing stands, go. */
int snapshots_sweep(struct inventory_tx *tx);
/* A volume is about to go: so do its snapshots, but for those that other volumes stand on, which become theirs. */
int snapshots_let_go(struct inventory_tx *tx, int64_t volume_id);

/*
 * who_am_i.c: each machine with templates has one who-am-i volume, and others have none. After whatever changes which
 * templates a machine has, or which machines there are.
 */
int who_am_i_settle(struct inventory_tx *tx);

/*
 * A group's fields, in the order in which they stand in every statement (record.h); here, because a machine is read together
 * with its group.
 */
#define GROUP_FIELDS(F)                                                                    \
	F(name, TEXT, "name", "name", BY_PEOPLE, NULL, NULL)                               \
	F(priority, NUMBER, "priority", "priority", BY_PEOPLE, NULL, NULL)                 \
	F(note, TEXT, "note", "note", BY_PEOPLE, NULL, NULL)                               \
	F(boot, TEXT, "boot", "boot", BY_PEOPLE, NULL, NULL)                               \
	F(boot_file_set, TEXT, "boot_file_set", "boot-file-set", BY_PEOPLE, NULL, NULL)    \
	F(templates, TEXT, "templates", "templates", BY_PEOPLE, "none", NULL)              \
	F(image, TEXT, "image", "image", BY_PEOPLE, NULL, NULL)                            \
	F(mode, TEXT, "mode", "mode", BY_PEOPLE, NULL, NULL)                               \
	F(name_pattern, TEXT, "name_pattern", "name-pattern", BY_PEOPLE, NULL, NULL)       \
	F(quota, TEXT, "quota", "quota", BY_PEOPLE, NULL, NULL)                            \
	F(restore_points, TEXT, "restore_points", "restore-points", BY_PEOPLE, NULL, NULL) \
	F(ring, TEXT, "ring", "ring", BY_PEOPLE, "none", NULL)
#define GROUP_COLUMN(column, ...) ", coalesce(machine_group." #column ", '')"
/* Behind other columns, where a machine is LEFT JOINed with its group; read by record_read with group_fields. */
#define GROUP_JOINED_COLUMNS ", coalesce(machine_group.id, 0)" GROUP_FIELDS(GROUP_COLUMN)

/*
 * group_volume.c: which machine has what by its group follows from what it is in. After whatever changes that; machine_id 0: of
 * any.
 */
int group_volume_settle(struct inventory_tx *tx, int64_t machine_id);

#endif
