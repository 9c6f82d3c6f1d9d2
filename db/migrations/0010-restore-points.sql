-- SPDX-License-Identifier: GPL-2.0-or-later
-- Restore points: snapshots that the server takes by itself before a boot.

ALTER TABLE snapshot ADD COLUMN boot INTEGER NOT NULL DEFAULT 0; -- the number of the boot before which it was taken; 0: it is none
ALTER TABLE machine ADD COLUMN restore_points TEXT NOT NULL DEFAULT ''; -- how many are kept; '': as policy says
