-- SPDX-License-Identifier: GPL-2.0-or-later
-- What machines say of their hardware; MACs that several machines share (of a dock); which set of boot files DHCP names.

ALTER TABLE machine ADD COLUMN board_serial TEXT NOT NULL DEFAULT '';
ALTER TABLE machine ADD COLUMN secure_boot INTEGER NOT NULL DEFAULT 0 CHECK (secure_boot BETWEEN 0 AND 2); -- unknown, off, on
ALTER TABLE machine ADD COLUMN setup_mode INTEGER NOT NULL DEFAULT 0 CHECK (setup_mode BETWEEN 0 AND 2);
ALTER TABLE machine ADD COLUMN cards TEXT NOT NULL DEFAULT ''; -- MACs of its other network cards, by commas
ALTER TABLE machine ADD COLUMN boot_file_set TEXT NOT NULL DEFAULT ''; -- '': its group's
ALTER TABLE machine_group ADD COLUMN boot_file_set TEXT NOT NULL DEFAULT ''; -- '': the default one
ALTER TABLE waiting ADD COLUMN cards TEXT NOT NULL DEFAULT '';

-- A MAC belongs to one machine, unless a person says that it is shared.
CREATE TABLE machine_mac_new (
	id INTEGER PRIMARY KEY,
	mac TEXT NOT NULL,
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
	shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
	UNIQUE (mac, machine_id)
) STRICT;
INSERT INTO machine_mac_new (id, mac, machine_id) SELECT id, mac, machine_id FROM machine_mac;
DROP TABLE machine_mac;
ALTER TABLE machine_mac_new RENAME TO machine_mac;
CREATE UNIQUE INDEX machine_mac_own ON machine_mac (mac) WHERE shared = 0;
CREATE INDEX machine_mac_machine ON machine_mac (machine_id);
