-- SPDX-License-Identifier: GPL-2.0-or-later
-- Groups of machines, what a machine boots besides its disk, and what its next boot alone is to be.

CREATE TABLE machine_group (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0, -- higher: sooner, when the server takes machines in turns
	boot TEXT NOT NULL DEFAULT '', -- as machine.boot, for those that have none of their own
	note TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX machine_group_name ON machine_group (lower(name));

ALTER TABLE machine ADD COLUMN group_id INTEGER REFERENCES machine_group (id); -- NULL: none
ALTER TABLE machine ADD COLUMN boot TEXT NOT NULL DEFAULT ''; -- '': the group's, and without one disk; else disk, local, menu, the name of an entry, or a URL
ALTER TABLE machine ADD COLUMN boot_once TEXT NOT NULL DEFAULT ''; -- the same, for the next boot alone
ALTER TABLE machine ADD COLUMN boot_once_token TEXT NOT NULL DEFAULT ''; -- who shows it has run the script that boot_once caused; it stays when boot_once is used up
ALTER TABLE machine ADD COLUMN multipath INTEGER NOT NULL DEFAULT 0 CHECK (multipath IN (0, 1)); -- 1: its script names every portal
CREATE INDEX machine_group_id ON machine (group_id) WHERE group_id IS NOT NULL;
UPDATE machine SET boot = 'local' WHERE boot_local = 1;
ALTER TABLE machine DROP COLUMN boot_local;

ALTER TABLE boot ADD COLUMN version_id INTEGER REFERENCES image_version (id) ON DELETE SET NULL; -- chosen in a menu: its disk is made from this one; NULL: as the machine says
CREATE INDEX boot_version ON boot (version_id) WHERE version_id IS NOT NULL;
