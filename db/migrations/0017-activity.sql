-- SPDX-License-Identifier: GPL-2.0-or-later
-- What went on, every ten minutes, for a month: for the graphs of the overview.

CREATE TABLE activity (
	at_ms INTEGER PRIMARY KEY, -- the end of these minutes
	running INTEGER NOT NULL, -- machines with sessions, at most
	booting INTEGER NOT NULL, -- between their script and a system that stays, at most
	boots INTEGER NOT NULL, -- that began
	read_bytes INTEGER NOT NULL, -- by machines
	written_bytes INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL -- on the file system of the state directory, at the end
) STRICT;
