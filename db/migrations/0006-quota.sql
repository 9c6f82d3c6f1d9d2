-- SPDX-License-Identifier: GPL-2.0-or-later
-- The most that a machine's own disk may take on the server.

ALTER TABLE machine ADD COLUMN quota TEXT NOT NULL DEFAULT ''; -- a size, or none; '': as policy says
