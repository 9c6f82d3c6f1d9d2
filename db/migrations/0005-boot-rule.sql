-- SPDX-License-Identifier: GPL-2.0-or-later
-- What a boot keeps over a restart of the server: whether it had sessions, and the rule under which it began.

ALTER TABLE boot ADD COLUMN running INTEGER NOT NULL DEFAULT 0 CHECK (running IN (0, 1)); -- 1: somebody was logged in when this was last written
ALTER TABLE boot ADD COLUMN auth INTEGER NOT NULL DEFAULT 0 CHECK (auth BETWEEN 0 AND 3); -- enum auth_kind when it began; 0: not known
