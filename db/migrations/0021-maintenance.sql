-- SPDX-License-Identifier: GPL-2.0-or-later
-- Machines in maintenance work on a system volume that will be the next version of its image; their own one waits without a machine.

CREATE TABLE maintenance (
	machine_id INTEGER PRIMARY KEY REFERENCES machine (id),
	volume_id INTEGER NOT NULL UNIQUE REFERENCES volume (id), -- its own system volume
	mode INTEGER NOT NULL CHECK (mode IN (0, 1, 3)), -- its own mode
	instance INTEGER NOT NULL, -- what machine.instance was for that volume
	began_ms INTEGER NOT NULL,
	began_by TEXT NOT NULL
) STRICT;

-- Layers of one volume may now have others standing on them: those that may go are looked for among all that are removed.
CREATE INDEX snapshot_removed ON snapshot (id) WHERE removed = 1;
