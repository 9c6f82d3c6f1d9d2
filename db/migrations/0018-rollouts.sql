-- SPDX-License-Identifier: GPL-2.0-or-later
-- Publication in rings: a version goes to some machines first, and to the others once it has proven itself there.

ALTER TABLE machine ADD COLUMN ring TEXT NOT NULL DEFAULT ''; -- '': its group's; none: none, whatever its group has
ALTER TABLE machine_group ADD COLUMN ring TEXT NOT NULL DEFAULT ''; -- '': none

-- On which version a boot ran, so that versions can be compared. NULL: it has not begun, or nobody knows.
ALTER TABLE boot ADD COLUMN ran_version_id INTEGER REFERENCES image_version (id) ON DELETE SET NULL;
UPDATE boot SET ran_version_id = (SELECT volume.version_id FROM attachment JOIN volume ON volume.id = attachment.volume_id
	WHERE attachment.machine_id = boot.machine_id AND attachment.lun = 0) WHERE state = 1;
CREATE INDEX boot_ran_version ON boot (ran_version_id, started_ms) WHERE ran_version_id IS NOT NULL;

CREATE TABLE rollout (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	image_id INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
	version_id INTEGER NOT NULL REFERENCES image_version (id) ON DELETE CASCADE,
	old_version_id INTEGER REFERENCES image_version (id) ON DELETE SET NULL, -- what was published when it began
	state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- enum rollout_state
	persistent INTEGER NOT NULL CHECK (persistent IN (0, 1)), -- 1: also machines that keep their disk
	back INTEGER NOT NULL DEFAULT 0 CHECK (back IN (0, 1)), -- 1: those that have it go back to the old version
	steps_begun INTEGER NOT NULL DEFAULT 0,
	proven_ms INTEGER NOT NULL DEFAULT 0, -- when the last step that has begun had proven itself; 0: not yet
	since_ms INTEGER NOT NULL, -- boots before that do not count: when it began, or went on after a stop
	began_ms INTEGER NOT NULL,
	began_by TEXT NOT NULL,
	ended_ms INTEGER NOT NULL DEFAULT 0, -- stopped, done, undone
	why TEXT NOT NULL DEFAULT '' -- it was stopped
) STRICT;
CREATE UNIQUE INDEX rollout_open ON rollout (image_id) WHERE state IN (0, 1); -- running, stopped
CREATE INDEX rollout_image ON rollout (image_id, id);
CREATE INDEX rollout_version ON rollout (version_id);
CREATE INDEX rollout_old_version ON rollout (old_version_id) WHERE old_version_id IS NOT NULL;

CREATE TABLE rollout_step (
	rollout_id INTEGER NOT NULL REFERENCES rollout (id) ON DELETE CASCADE,
	number INTEGER NOT NULL, -- 0, 1, ...
	ring TEXT NOT NULL, -- '': percent of all machines
	percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
	at_ms INTEGER NOT NULL, -- 0: once the step before has proven itself; the first: at once
	begun_ms INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (rollout_id, number)
) WITHOUT ROWID, STRICT;

-- Who has got it, and what is kept of what each had before.
CREATE TABLE rollout_machine (
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
	rollout_id INTEGER NOT NULL REFERENCES rollout (id) ON DELETE CASCADE,
	got_ms INTEGER NOT NULL,
	snapshot_id INTEGER NOT NULL, -- its disk before that; 0: there was nothing to keep. No reference: it may have been removed
	instance INTEGER NOT NULL, -- its machine.instance before that
	back_ms INTEGER NOT NULL DEFAULT 0, -- when it went back, or got another version from a person; 0: it has not
	PRIMARY KEY (machine_id, rollout_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX rollout_machine_rollout ON rollout_machine (rollout_id);
