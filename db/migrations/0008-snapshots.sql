-- SPDX-License-Identifier: GPL-2.0-or-later
-- Snapshots. What a volume had written when one was taken is a layer, an object of its own that nobody writes to any more; the volume and
-- later snapshots stand on it.

CREATE TABLE snapshot (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	volume_id INTEGER NOT NULL REFERENCES volume (id),
	label TEXT NOT NULL,
	object TEXT NOT NULL CHECK (object <> ''), -- in the volume's backend
	parent_id INTEGER REFERENCES snapshot (id), -- what its object stands on; NULL: on the version, or on nothing
	version_id INTEGER REFERENCES image_version (id), -- as volume.version_id was
	size_bytes INTEGER NOT NULL CHECK (size_bytes > 0), -- of the disk
	automatic INTEGER NOT NULL CHECK (automatic IN (0, 1)), -- made by a restore, of what was there before
	removed INTEGER NOT NULL CHECK (removed IN (0, 1)), -- goes once nothing stands on it
	created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX snapshot_label ON snapshot (volume_id, lower(label)) WHERE removed = 0;
CREATE INDEX snapshot_volume ON snapshot (volume_id);
CREATE INDEX snapshot_object ON snapshot (object);
CREATE INDEX snapshot_parent ON snapshot (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX snapshot_version ON snapshot (version_id) WHERE version_id IS NOT NULL;

ALTER TABLE volume ADD COLUMN snapshot_id INTEGER REFERENCES snapshot (id); -- what its object stands on; NULL: on the version, or on nothing
CREATE INDEX volume_snapshot ON volume (snapshot_id) WHERE snapshot_id IS NOT NULL;
-- Initiators know a disk again by it. Until now it was made of the object's name, which changes with a snapshot.
ALTER TABLE volume ADD COLUMN serial TEXT NOT NULL DEFAULT '';
UPDATE volume SET serial = CASE WHEN instr(object, '.') THEN substr(object, 1, instr(object, '.') - 1) ELSE object END WHERE kind <> 0;
