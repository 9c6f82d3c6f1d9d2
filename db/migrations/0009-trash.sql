-- SPDX-License-Identifier: GPL-2.0-or-later
-- Machines that were removed, with their disks, until their time is over or somebody wants them back. They are no machines: whatever
-- asks for those does not find them.

CREATE TABLE trash (
	id INTEGER PRIMARY KEY, -- the machine's, which it gets back
	name TEXT NOT NULL,
	record TEXT NOT NULL, -- the fields that it had, as a JSON object by column
	macs TEXT NOT NULL, -- with a space between
	volume_id INTEGER NOT NULL UNIQUE REFERENCES volume (id), -- its system volume
	removed_ms INTEGER NOT NULL,
	removed_by TEXT NOT NULL
) STRICT;
CREATE INDEX trash_removed ON trash (removed_ms);

-- What else it had: restored as far as it is still there, and free.
CREATE TABLE trash_attachment (
	trash_id INTEGER NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
	lun INTEGER NOT NULL CHECK (lun BETWEEN 1 AND 255),
	volume_id INTEGER NOT NULL REFERENCES volume (id) ON DELETE CASCADE,
	PRIMARY KEY (trash_id, lun)
) WITHOUT ROWID, STRICT;
