-- SPDX-License-Identifier: GPL-2.0-or-later
-- The inventory, version 1. A later version is db/migrations/NNNN-what.sql, run once in order of its number; PRAGMA user_version says
-- which was last. This file never changes once released. Times are Unix milliseconds, 0 means "not yet". Enumerations are
-- the numbers of server/inventory/inventory.h, in the order in which they stand there.

CREATE TABLE image (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
	last_number INTEGER NOT NULL DEFAULT 0 -- no NAME@V is ever used for two versions
) STRICT;
CREATE UNIQUE INDEX image_default ON image (is_default) WHERE is_default = 1;

CREATE TABLE image_version (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	image_id INTEGER NOT NULL REFERENCES image (id),
	number INTEGER NOT NULL CHECK (number > 0),
	published INTEGER NOT NULL DEFAULT 0, -- 0: not; else the order in which versions were: the highest is what new machines get
	file TEXT NOT NULL UNIQUE,
	format TEXT NOT NULL CHECK (format IN ('raw', 'qcow2')),
	size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
	sha256 TEXT NOT NULL,
	inode INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	source TEXT NOT NULL,
	warnings TEXT NOT NULL,
	UNIQUE (image_id, number)
) STRICT;

CREATE TABLE machine (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	iqn TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL,
	serial TEXT NOT NULL,
	product TEXT NOT NULL,
	version_id INTEGER NOT NULL REFERENCES image_version (id),
	mode INTEGER NOT NULL CHECK (mode IN (0, 1)),
	state INTEGER NOT NULL CHECK (state IN (0, 1)),
	state_reason TEXT NOT NULL,
	auth INTEGER NOT NULL CHECK (auth BETWEEN 0 AND 3),
	access_many INTEGER NOT NULL CHECK (access_many IN (0, 1)),
	boot_local INTEGER NOT NULL CHECK (boot_local IN (0, 1)),
	note TEXT NOT NULL,
	child TEXT NOT NULL,
	child_fresh INTEGER NOT NULL CHECK (child_fresh IN (0, 1)),
	address TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	no_gateway INTEGER NOT NULL CHECK (no_gateway IN (0, 1)),
	last_boot INTEGER NOT NULL DEFAULT 0 -- boot numbers are never used again
) STRICT;
CREATE UNIQUE INDEX machine_name ON machine (lower(name)); -- host names do not know case
CREATE INDEX machine_version ON machine (version_id);
CREATE INDEX machine_uuid ON machine (uuid) WHERE uuid <> '';
CREATE INDEX machine_serial ON machine (serial) WHERE serial <> '';
CREATE UNIQUE INDEX machine_child ON machine (child) WHERE child <> '';

CREATE TABLE machine_mac (
	id INTEGER PRIMARY KEY,
	mac TEXT NOT NULL UNIQUE,
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX machine_mac_machine ON machine_mac (machine_id);

-- Children that a committed change has given up. What lies in children/ without a machine and is not named here is somebody's data.
CREATE TABLE discarded_child (
	child TEXT PRIMARY KEY,
	at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX discarded_child_at ON discarded_child (at_ms);

CREATE TABLE boot (
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
	number INTEGER NOT NULL CHECK (number > 0),
	state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
	secret TEXT NOT NULL,
	reverse_secret TEXT NOT NULL,
	mac TEXT NOT NULL,
	address TEXT NOT NULL,
	issued_ms INTEGER NOT NULL,
	started_ms INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
	PRIMARY KEY (machine_id, number)
) STRICT;
CREATE UNIQUE INDEX boot_pending ON boot (machine_id) WHERE state = 0;
CREATE UNIQUE INDEX boot_current ON boot (machine_id) WHERE state = 1;

CREATE TABLE target_state (
	machine_id INTEGER PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
	state BLOB NOT NULL
) STRICT;

CREATE TABLE waiting (
	number INTEGER PRIMARY KEY AUTOINCREMENT,
	mac TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL,
	serial TEXT NOT NULL,
	product TEXT NOT NULL,
	address TEXT NOT NULL,
	reason INTEGER NOT NULL CHECK (reason BETWEEN 0 AND 6),
	machine_id INTEGER REFERENCES machine (id) ON DELETE SET NULL,
	first_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_machine ON waiting (machine_id);

CREATE TABLE policy (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;

CREATE TABLE setting (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;

CREATE TABLE token (
	hash TEXT PRIMARY KEY,
	label TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL -- 0: never
) STRICT;

-- An audit trail: no foreign key, it outlives what it speaks of.
CREATE TABLE event (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at_ms INTEGER NOT NULL,
	level TEXT NOT NULL,
	kind TEXT NOT NULL,
	actor TEXT NOT NULL,
	machine_id INTEGER, -- NULL: none
	object TEXT NOT NULL,
	text TEXT NOT NULL
) STRICT;
CREATE INDEX event_machine ON event (machine_id, id) WHERE machine_id IS NOT NULL;
