-- SPDX-License-Identifier: GPL-2.0-or-later
-- What a machine's disk is to look like: its size where it has been grown, and its physical block.

ALTER TABLE machine ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0 CHECK (size_bytes >= 0); -- at least so much; 0: as the image has it
ALTER TABLE machine ADD COLUMN physical_512 INTEGER NOT NULL DEFAULT 0 CHECK (physical_512 IN (0, 1)); -- 1: physical blocks of 512 bytes are reported, else 4096
