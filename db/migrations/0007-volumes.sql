-- SPDX-License-Identifier: GPL-2.0-or-later
-- A disk is a thing of its own: volumes, and which machine has which one under which LUN. Until now a machine was its one disk: each
-- becomes a machine and its system volume at LUN 0. Machine ids, IQNs, boots, target states and the files of children stay as they were.

CREATE TABLE volume (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, -- '': a system volume, which goes by its machine's name
	kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- enum volume_kind
	backend TEXT NOT NULL, -- which backend of server/store keeps it
	object TEXT NOT NULL, -- what that calls it; '': nothing of its own, it is the version
	version_id INTEGER REFERENCES image_version (id), -- the golden version that it stands on; NULL: none
	size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0), -- at least so much; 0: as its version has it
	quota TEXT NOT NULL, -- a size, or none; '': as policy says
	physical_512 INTEGER NOT NULL CHECK (physical_512 IN (0, 1)),
	state INTEGER NOT NULL CHECK (state IN (0, 1)), -- enum volume_state
	state_reason TEXT NOT NULL,
	fresh INTEGER NOT NULL CHECK (fresh IN (0, 1)), -- nobody has used it: it may be made again
	note TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	CHECK (object <> '' OR version_id IS NOT NULL),
	CHECK (kind NOT IN (0, 2, 3) OR version_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX volume_name ON volume (lower(name)) WHERE name <> '';
CREATE UNIQUE INDEX volume_object ON volume (backend, object) WHERE object <> '';
CREATE INDEX volume_version ON volume (version_id) WHERE version_id IS NOT NULL;

-- Which volume a machine finds under which LUN. Several machines may share a volume that nobody writes to.
CREATE TABLE attachment (
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
	lun INTEGER NOT NULL CHECK (lun BETWEEN 0 AND 255),
	volume_id INTEGER NOT NULL REFERENCES volume (id),
	PRIMARY KEY (machine_id, lun),
	UNIQUE (volume_id, machine_id)
) WITHOUT ROWID, STRICT;

INSERT INTO volume (name, kind, backend, object, version_id, size_bytes, quota, physical_512, state, state_reason, fresh, note, created_ms)
	SELECT '', 0, 'files', child, version_id, size_bytes, quota, physical_512, state, state_reason, child_fresh, id, created_ms
	FROM machine ORDER BY id;
-- The note says for a moment whose it is.
INSERT INTO attachment (machine_id, lun, volume_id) SELECT CAST(note AS INTEGER), 0, id FROM volume;
UPDATE volume SET note = '';

CREATE TABLE machine_next (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	iqn TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL,
	serial TEXT NOT NULL,
	product TEXT NOT NULL,
	mode INTEGER NOT NULL CHECK (mode IN (0, 1)),
	auth INTEGER NOT NULL CHECK (auth BETWEEN 0 AND 3),
	access_many INTEGER NOT NULL CHECK (access_many IN (0, 1)),
	note TEXT NOT NULL,
	address TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	no_gateway INTEGER NOT NULL CHECK (no_gateway IN (0, 1)),
	last_boot INTEGER NOT NULL DEFAULT 0, -- boot numbers are never used again
	group_id INTEGER REFERENCES machine_group (id), -- NULL: none
	boot TEXT NOT NULL, -- '': the group's, and without one disk; else disk, local, menu, the name of an entry, or a URL
	boot_once TEXT NOT NULL, -- the same, for the next boot alone
	boot_once_token TEXT NOT NULL, -- who shows it has run the script that boot_once caused; it stays when boot_once is used up
	multipath INTEGER NOT NULL CHECK (multipath IN (0, 1)) -- 1: its script names every portal
) STRICT;
-- Ids are never used again, also those of machines that are gone.
INSERT INTO sqlite_sequence (name, seq) SELECT 'machine_next', seq FROM sqlite_sequence WHERE name = 'machine';
INSERT INTO machine_next (id, name, iqn, uuid, serial, product, mode, auth, access_many, note, address, created_ms, seen_ms, no_gateway,
		last_boot, group_id, boot, boot_once, boot_once_token, multipath)
	SELECT id, name, iqn, uuid, serial, product, mode, auth, access_many, note, address, created_ms, seen_ms, no_gateway,
		last_boot, group_id, boot, boot_once, boot_once_token, multipath
	FROM machine;
DROP TABLE machine;
ALTER TABLE machine_next RENAME TO machine;
CREATE UNIQUE INDEX machine_name ON machine (lower(name)); -- host names do not know case
CREATE INDEX machine_uuid ON machine (uuid) WHERE uuid <> '';
CREATE INDEX machine_serial ON machine (serial) WHERE serial <> '';
CREATE INDEX machine_group_id ON machine (group_id) WHERE group_id IS NOT NULL;

-- Objects that a committed change has given up, by backend. What lies in a backend without a volume and is not named here is somebody's data.
CREATE TABLE discarded_object (
	backend TEXT NOT NULL,
	object TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	PRIMARY KEY (backend, object)
) WITHOUT ROWID, STRICT;
INSERT INTO discarded_object (backend, object, at_ms) SELECT 'files', child, at_ms FROM discarded_child;
DROP TABLE discarded_child;
CREATE INDEX discarded_object_at ON discarded_object (at_ms);
