-- SPDX-License-Identifier: GPL-2.0-or-later
-- The last disks of an ephemeral machine, which are kept for a while as snapshots that nobody took.

ALTER TABLE snapshot ADD COLUMN left_by INTEGER NOT NULL DEFAULT 0; -- the number of the ephemeral boot whose disk it was; 0: of none
ALTER TABLE snapshot ADD COLUMN unsynced INTEGER NOT NULL DEFAULT 0 CHECK (unsynced IN (0, 1)); -- a loss of power would damage it

-- A version is about to stand on nothing any more: until that is done its file may be the old one, or this one, which reads the same.
CREATE TABLE version_flat (
	version_id INTEGER PRIMARY KEY REFERENCES image_version (id) ON DELETE CASCADE,
	sha256 TEXT NOT NULL,
	inode INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL
) STRICT;
