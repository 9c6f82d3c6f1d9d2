-- SPDX-License-Identifier: GPL-2.0-or-later
-- Two more ways in which a machine may have its disk.

ALTER TABLE machine ADD COLUMN next_mode INTEGER NOT NULL DEFAULT 0 CHECK (next_mode BETWEEN 0 AND 3); -- enum machine_mode: persistent, ephemeral, maintenance, its group's
UPDATE machine SET next_mode = mode;
ALTER TABLE machine DROP COLUMN mode;
ALTER TABLE machine RENAME COLUMN next_mode TO mode;
