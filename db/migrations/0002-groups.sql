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
ALTER TABLE machine ADD COLUMN boot TEXT NOT NULL DEFAULT ''; -- '': the group's, and without one disk; else disk, local, menu, or the name of an entry
ALTER TABLE machine ADD COLUMN boot_once TEXT NOT NULL DEFAULT ''; -- the same, for the next boot alone
ALTER TABLE machine ADD COLUMN multipath INTEGER NOT NULL DEFAULT 0 CHECK (multipath IN (0, 1)); -- 1: its script names every portal
CREATE INDEX machine_group_id ON machine (group_id) WHERE group_id IS NOT NULL;
UPDATE machine SET boot = 'local' WHERE boot_local = 1;
