-- SPDX-License-Identifier: GPL-2.0-or-later
-- A version may stand on another one: it is the layer of a machine that was made from that.

ALTER TABLE image_version ADD COLUMN parent_id INTEGER REFERENCES image_version (id); -- NULL: on nothing
CREATE INDEX image_version_parent ON image_version (parent_id) WHERE parent_id IS NOT NULL;
