-- SPDX-License-Identifier: GPL-2.0-or-later
-- The last disks of an ephemeral machine, which are kept for a while as snapshots that nobody took.

ALTER TABLE snapshot ADD COLUMN left_by INTEGER NOT NULL DEFAULT 0; -- the number of the ephemeral boot whose disk it was; 0: of none
ALTER TABLE snapshot ADD COLUMN unsynced INTEGER NOT NULL DEFAULT 0 CHECK (unsynced IN (0, 1)); -- a loss of power would damage it
