-- SPDX-License-Identifier: GPL-2.0-or-later
-- Portals that a machine's system waited for in vain: its next scripts leave them out (multipath=yes). Words: "10.0.1.1:3260 10.0.2.1:3260".

ALTER TABLE machine ADD COLUMN lost_portals TEXT NOT NULL DEFAULT '';
