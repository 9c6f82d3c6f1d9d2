-- SPDX-License-Identifier: GPL-2.0-or-later
-- What a group gives its machines: defaults that each of them may override, and read-only volumes that all of them have.

ALTER TABLE machine_group ADD COLUMN image TEXT NOT NULL DEFAULT ''; -- its name; '': the default image
ALTER TABLE machine_group ADD COLUMN mode TEXT NOT NULL DEFAULT ''; -- persistent, ephemeral; '': as policy says, and so with what follows
ALTER TABLE machine_group ADD COLUMN name_pattern TEXT NOT NULL DEFAULT '';
ALTER TABLE machine_group ADD COLUMN quota TEXT NOT NULL DEFAULT '';
ALTER TABLE machine_group ADD COLUMN restore_points TEXT NOT NULL DEFAULT '';

ALTER TABLE machine ADD COLUMN image_inherited INTEGER NOT NULL DEFAULT 0 CHECK (image_inherited IN (0, 1)); -- 1: its group's image where a disk begins anew

CREATE TABLE group_volume (
	group_id INTEGER NOT NULL REFERENCES machine_group (id) ON DELETE CASCADE,
	volume_id INTEGER NOT NULL REFERENCES volume (id),
	PRIMARY KEY (group_id, volume_id)
) STRICT;
CREATE INDEX group_volume_volume ON group_volume (volume_id);
ALTER TABLE attachment ADD COLUMN by_group INTEGER NOT NULL DEFAULT 0 CHECK (by_group IN (0, 1)); -- 1: it came by the machine's group, and goes with it
CREATE INDEX attachment_by_group ON attachment (machine_id) WHERE by_group = 1;
