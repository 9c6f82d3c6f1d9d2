-- SPDX-License-Identifier: GPL-2.0-or-later
-- What tells a machine who it is: the templates from which its who-am-i volume is generated, and which of its lives its disk is in.

ALTER TABLE machine ADD COLUMN templates TEXT NOT NULL DEFAULT ''; -- '': its group's; none: none, whatever its group has
ALTER TABLE machine ADD COLUMN instance INTEGER NOT NULL DEFAULT 1 CHECK (instance > 0); -- one more with each new disk: reset, another image
ALTER TABLE machine_group ADD COLUMN templates TEXT NOT NULL DEFAULT ''; -- '': none
