-- SPDX-License-Identifier: GPL-2.0-or-later
-- A token has a number by which it is named, a scope, a maker and a last use. Those that were made before may do what operators do:
-- not set the administrator's password, and make no tokens. Logins have rows here, too; theirs is the administrator's.

CREATE TABLE next_token (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
	hash TEXT NOT NULL UNIQUE,
	label TEXT NOT NULL,
	scope INTEGER NOT NULL CHECK (scope BETWEEN 0 AND 2), -- enum token_scope: viewer, operator, administrator
	created_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	expires_ms INTEGER NOT NULL, -- 0: never
	used_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO next_token (hash, label, scope, created_ms, created_by, expires_ms)
	SELECT hash, label, iif(label LIKE 'session:%', 2, 1), created_ms, '', expires_ms FROM token ORDER BY created_ms;
DROP TABLE token;
ALTER TABLE next_token RENAME TO token;
