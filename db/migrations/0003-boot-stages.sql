-- SPDX-License-Identifier: GPL-2.0-or-later
-- The timeline of a boot: when each stage was first seen. Stages are the numbers of enum boot_stage.

CREATE TABLE boot_stage (
	machine_id INTEGER NOT NULL,
	number INTEGER NOT NULL, -- of the boot
	stage INTEGER NOT NULL CHECK (stage >= 0),
	at_ms INTEGER NOT NULL,
	detail TEXT NOT NULL DEFAULT '', -- the boot file's name, an initiator's address, ...
	PRIMARY KEY (machine_id, number, stage),
	FOREIGN KEY (machine_id, number) REFERENCES boot (machine_id, number) ON DELETE CASCADE
) WITHOUT ROWID, STRICT;
