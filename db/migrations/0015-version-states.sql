-- SPDX-License-Identifier: GPL-2.0-or-later
-- What a version is while it is not published, what people note about it, and when it is to be published.

ALTER TABLE image_version ADD COLUMN unpublished INTEGER NOT NULL DEFAULT 1 CHECK (unpublished IN (0, 1, 3)); -- draft, test, retired
ALTER TABLE image_version ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE image_version ADD COLUMN publish_at_ms INTEGER NOT NULL DEFAULT 0; -- 0: not planned
ALTER TABLE image_version ADD COLUMN publish_by TEXT NOT NULL DEFAULT ''; -- who planned it
CREATE INDEX image_version_planned ON image_version (publish_at_ms) WHERE publish_at_ms > 0;
