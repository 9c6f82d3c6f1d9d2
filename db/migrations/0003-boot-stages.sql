-- SPDX-License-Identifier: GPL-2.0-or-later
-- The timeline of a boot: when each stage was reached. Stages are the numbers of enum boot_stage (server/inventory/boot_stage.h).

CREATE TABLE boot_stage (
	machine_id INTEGER NOT NULL,
	number INTEGER NOT NULL, -- of the boot
	stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 8),
	at_ms INTEGER NOT NULL,
	detail TEXT NOT NULL DEFAULT '', -- the boot file's name, an initiator's address, ...
	stuck_ms INTEGER NOT NULL DEFAULT 0, -- since when it has been clear that the next stage does not come; counts while this is the last one
	why TEXT NOT NULL DEFAULT '', -- and its usual cause
	PRIMARY KEY (machine_id, number, stage),
	FOREIGN KEY (machine_id, number) REFERENCES boot (machine_id, number) ON DELETE CASCADE
) WITHOUT ROWID, STRICT;
