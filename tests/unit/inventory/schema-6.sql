-- SPDX-License-Identifier: GPL-2.0-or-later
-- An inventory of schema 6 as the last sanbootd that had it left it when it was killed (sqlite3 .dump): machines that run, wait,
-- were set, reset and removed. Afterwards names of inputs and of the host's boot were changed, pc-006 was made to fail, boot 1 of
-- pc-007 to be interrupted, and Anna to have chosen debian@2.
PRAGMA application_id = 1396854612; PRAGMA user_version = 6;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE image (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
	last_number INTEGER NOT NULL DEFAULT 0 -- no NAME@V is ever used for two versions
) STRICT;
INSERT INTO image VALUES(1,'debian',1,2);
INSERT INTO image VALUES(3,'alpine',0,1);
CREATE TABLE image_version (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	image_id INTEGER NOT NULL REFERENCES image (id),
	number INTEGER NOT NULL CHECK (number > 0),
	published INTEGER NOT NULL DEFAULT 0, -- 0: not; else the order in which versions were: the highest is what new machines get
	file TEXT NOT NULL UNIQUE,
	format TEXT NOT NULL CHECK (format IN ('raw', 'qcow2')),
	size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
	sha256 TEXT NOT NULL,
	inode INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	source TEXT NOT NULL,
	warnings TEXT NOT NULL,
	UNIQUE (image_id, number)
) STRICT;
INSERT INTO image_version VALUES(1,1,1,1,'debian@1.raw','raw',8388608,'c64e2e2eacc25bd305eb22c213ac776f10732ce8dd5e9a423e3ea38fc5fcad40',11419673,1796042174983535937,1796042175032,'/srv/inputs/debian.raw','Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
INSERT INTO image_version VALUES(2,1,2,0,'debian@2.raw','raw',8388608,'3003c51ffb2f19f56f38ae8dfadc4ee6a53a219998a2bf3ecdb87042a6de8f35',11419902,1796042175339535953,1796042175460,'/srv/inputs/debian.raw','Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
INSERT INTO image_version VALUES(3,3,1,2,'alpine@1.raw','raw',8388608,'cf34215f003d5440bc8862095695bc7c6d135cb4afc5685caa9928994607324b',11419860,1796042175775535972,1796042175844,'/srv/inputs/alpine.raw','Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
CREATE TABLE machine (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	iqn TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL,
	serial TEXT NOT NULL,
	product TEXT NOT NULL,
	version_id INTEGER NOT NULL REFERENCES image_version (id),
	mode INTEGER NOT NULL CHECK (mode IN (0, 1)),
	state INTEGER NOT NULL CHECK (state IN (0, 1)),
	state_reason TEXT NOT NULL,
	auth INTEGER NOT NULL CHECK (auth BETWEEN 0 AND 3),
	access_many INTEGER NOT NULL CHECK (access_many IN (0, 1)),
	note TEXT NOT NULL,
	child TEXT NOT NULL,
	child_fresh INTEGER NOT NULL CHECK (child_fresh IN (0, 1)),
	address TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	no_gateway INTEGER NOT NULL CHECK (no_gateway IN (0, 1)),
	last_boot INTEGER NOT NULL DEFAULT 0 -- boot numbers are never used again
, group_id INTEGER REFERENCES machine_group (id), boot TEXT NOT NULL DEFAULT '', boot_once TEXT NOT NULL DEFAULT '', boot_once_token TEXT NOT NULL DEFAULT '', multipath INTEGER NOT NULL DEFAULT 0 CHECK (multipath IN (0, 1)), size_bytes INTEGER NOT NULL DEFAULT 0 CHECK (size_bytes >= 0), physical_512 INTEGER NOT NULL DEFAULT 0 CHECK (physical_512 IN (0, 1)), quota TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO machine VALUES(1,'pc-001','iqn.2026-11.org.example:sanbootd:mbyho266xl','5a4b0075-0000-4000-8000-000000000001','vm1','Example PC',1,0,0,'',0,0,'','m-nmyfqsum3l43.qcow2',0,'',1796042176578,1796042176955,0,1,NULL,'','','',0,0,0,'');
INSERT INTO machine VALUES(2,'pc-002','iqn.2026-11.org.example:sanbootd:yihxtsfrnu','5a4b0075-0000-4000-8000-000000000002','vm2','Example PC',1,0,0,'',0,0,'the one by the window','m-ud34dmhxwioe.qcow2',1,'',1796042176616,1796042176616,0,1,1,'local','menu','ucn7qjoj36mogvlh',0,16777216,1,'20G');
INSERT INTO machine VALUES(3,'pc-003','iqn.2026-11.org.example:sanbootd:onfkurfk7s','5a4b0075-0000-4000-8000-000000000003','vm3','Example PC',1,1,0,'',0,0,'','m3-nprx5fgyydsr.qcow2',0,'',1796042176654,1796042178039,0,1,NULL,'','','',0,0,0,'');
INSERT INTO machine VALUES(4,'pc-004','iqn.2026-11.org.example:sanbootd:g7ggladjas','5a4b0075-0000-4000-8000-000000000004','vm4','Example PC',1,0,0,'',0,0,'','m4-oececsswydos.qcow2',1,'',1796042176664,1796042178345,0,1,NULL,'','','',0,0,0,'');
INSERT INTO machine VALUES(5,'Anna','iqn.2026-11.org.example:sanbootd:4zuasgv7ox','5a4b0075-0000-4000-8000-000000000005','vm5','Example PC',1,0,0,'',3,1,'','m-xhlzipeoi7nr.qcow2',1,'',1796042176700,1796042176700,1,1,NULL,'','','',1,0,0,'');
INSERT INTO machine VALUES(6,'pc-006','iqn.2026-11.org.example:sanbootd:hs2kcbqjdv','5a4b0075-0000-4000-8000-000000000006','vm6','Example PC',3,0,1,'its disk failed: Input/output error',0,0,'','m6-m2mle37izdee.qcow2',1,'',1796042176729,1796042176729,0,1,NULL,'','','',0,0,0,'');
INSERT INTO machine VALUES(7,'pc-007','iqn.2026-11.org.example:sanbootd:prvzkra7bz','5a4b0075-0000-4000-8000-000000000007','vm7','Example PC',1,0,0,'',0,0,'','m-5wesly5jnqkc.qcow2',0,'10.0.0.17',1796042176753,1796042179044,0,1,NULL,'','','',0,0,0,'');
CREATE TABLE machine_mac (
	id INTEGER PRIMARY KEY,
	mac TEXT NOT NULL UNIQUE,
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE
) STRICT;
INSERT INTO machine_mac VALUES(1,'52:54:00:aa:00:01',1);
INSERT INTO machine_mac VALUES(2,'52:54:00:aa:00:02',2);
INSERT INTO machine_mac VALUES(3,'52:54:00:aa:00:03',3);
INSERT INTO machine_mac VALUES(4,'52:54:00:aa:00:04',4);
INSERT INTO machine_mac VALUES(5,'52:54:00:aa:00:05',5);
INSERT INTO machine_mac VALUES(6,'52:54:00:aa:00:06',6);
INSERT INTO machine_mac VALUES(7,'52:54:00:aa:00:07',7);
INSERT INTO machine_mac VALUES(9,'52:54:00:bb:00:02',2);
CREATE TABLE discarded_child (
	child TEXT PRIMARY KEY,
	at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO discarded_child VALUES('m-njh2ihssv2je.qcow2',1796042178039);
INSERT INTO discarded_child VALUES('m-ibpugwoyiqbr.qcow2',1796042178664);
INSERT INTO discarded_child VALUES('m-egjtqnzge745.qcow2',1796042178968);
INSERT INTO discarded_child VALUES('m-74bbfika3wnl.qcow2',1796042179872);
CREATE TABLE boot (
	machine_id INTEGER NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
	number INTEGER NOT NULL CHECK (number > 0),
	state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
	secret TEXT NOT NULL,
	reverse_secret TEXT NOT NULL,
	mac TEXT NOT NULL,
	address TEXT NOT NULL,
	issued_ms INTEGER NOT NULL,
	started_ms INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)), version_id INTEGER REFERENCES image_version (id) ON DELETE SET NULL, running INTEGER NOT NULL DEFAULT 0 CHECK (running IN (0, 1)), auth INTEGER NOT NULL DEFAULT 0 CHECK (auth BETWEEN 0 AND 3),
	PRIMARY KEY (machine_id, number)
) STRICT;
INSERT INTO boot VALUES(1,1,1,'bxbn5efkhyjiravq','v5jrr4xwv72sid2m','52:54:00:aa:00:01','127.0.0.1',1796042176579,1796042176955,0,0,NULL,1,1);
INSERT INTO boot VALUES(2,1,0,'zz4yoae7nharxohu','qnv47ictei6wbvws','52:54:00:aa:00:02','127.0.0.1',1796042176616,0,0,0,NULL,0,0);
INSERT INTO boot VALUES(3,1,1,'db2zmgimu7pfw2nw','3jpx6bkcnz7ayy3o','52:54:00:aa:00:03','127.0.0.1',1796042176654,1796042178039,0,0,NULL,1,1);
INSERT INTO boot VALUES(4,1,2,'','','52:54:00:aa:00:04','127.0.0.1',1796042176664,1796042178345,1796042178589,0,NULL,0,1);
INSERT INTO boot VALUES(5,1,0,'jebmwqggvp23dd53','kmmc7fag5ur2b7bl','52:54:00:aa:00:05','127.0.0.1',1796042176700,0,0,0,2,0,0);
INSERT INTO boot VALUES(7,1,1,'qvx6okmy25q5vpve','b53rjg5hgc7vippn','52:54:00:aa:00:07','127.0.0.1',1796042176753,1796042179044,0,1,NULL,1,1);
CREATE TABLE target_state (
	machine_id INTEGER PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
	state BLOB NOT NULL
) STRICT;
INSERT INTO target_state VALUES(1,X'5342535400000000000000000000000153425052000000018fcd6b0c000000690001000000000008010000000000000000020000000000486d616368696e6531000069716e2e323032362d31312e6f72672e6578616d706c653a73616e626f6f74643a6d6279686f323636786c3a692c692c3078383030303030303030313030000300000000000100');
CREATE TABLE waiting (
	number INTEGER PRIMARY KEY AUTOINCREMENT,
	mac TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL,
	serial TEXT NOT NULL,
	product TEXT NOT NULL,
	address TEXT NOT NULL,
	reason INTEGER NOT NULL CHECK (reason BETWEEN 0 AND 6),
	machine_id INTEGER REFERENCES machine (id) ON DELETE SET NULL,
	first_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL
) STRICT;
INSERT INTO waiting VALUES(1,'52:54:00:aa:00:14','5a4b0075-0000-4000-8000-000000000014','vm20','Example PC','127.0.0.1',0,NULL,1796042180360,1796042180360);
INSERT INTO waiting VALUES(2,'52:54:00:aa:00:01','5a4b0075-0000-4000-8000-0000000000ff','vm1','Example PC','127.0.0.1',1,1,1796042180391,1796042180391);
CREATE TABLE policy (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
INSERT INTO policy VALUES('reserve','1%');
INSERT INTO policy VALUES('auth','chap');
INSERT INTO policy VALUES('enrol','approve');
CREATE TABLE setting (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
INSERT INTO setting VALUES('host-boot-id','00000000-0000-4000-8000-000000000000');
CREATE TABLE token (
	hash TEXT PRIMARY KEY,
	label TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL -- 0: never
) STRICT;
INSERT INTO token VALUES('4130f01a2dce71215a4f6af5a46c22154a0c0d2fb0e390d4ce5fc841cb1d5b40','api:backup',1796042180534,1827578180528);
CREATE TABLE event (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at_ms INTEGER NOT NULL,
	level TEXT NOT NULL,
	kind TEXT NOT NULL,
	actor TEXT NOT NULL,
	machine_id INTEGER, -- NULL: none
	object TEXT NOT NULL,
	text TEXT NOT NULL
) STRICT;
INSERT INTO event VALUES(1,1796042175032,'info','image-imported','ctl',NULL,'debian','debian@1 from /srv/inputs/debian.raw, 8 MiB. Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
INSERT INTO event VALUES(2,1796042175460,'info','image-imported','ctl',NULL,'debian','debian@2 from /srv/inputs/debian.raw, 8 MiB; not published yet. Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
INSERT INTO event VALUES(3,1796042175844,'info','image-imported','ctl',NULL,'alpine','alpine@1 from /srv/inputs/alpine.raw, 8 MiB. Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?');
INSERT INTO event VALUES(4,1796042176148,'info','policy-changed','ctl',NULL,'reserve','reserve=1%');
INSERT INTO event VALUES(5,1796042176356,'info','policy-changed','ctl',NULL,'auth','auth=none');
INSERT INTO event VALUES(6,1796042176419,'info','group-added','ctl',NULL,'lab','new group');
INSERT INTO event VALUES(7,1796042176444,'info','group-set','ctl',NULL,'lab','boot=disk');
INSERT INTO event VALUES(8,1796042176453,'info','group-set','ctl',NULL,'lab','priority=7');
INSERT INTO event VALUES(9,1796042176459,'info','group-set','ctl',NULL,'lab','note=by the window');
INSERT INTO event VALUES(10,1796042176578,'info','enrolled','machine',1,'pc-001','new machine 52:54:00:aa:00:01 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(11,1796042176616,'info','enrolled','machine',2,'pc-002','new machine 52:54:00:aa:00:02 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(12,1796042176654,'info','enrolled','machine',3,'pc-003','new machine 52:54:00:aa:00:03 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(13,1796042176664,'info','enrolled','machine',4,'pc-004','new machine 52:54:00:aa:00:04 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(14,1796042176699,'info','enrolled','machine',5,'pc-005','new machine 52:54:00:aa:00:05 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(15,1796042176728,'info','enrolled','machine',6,'pc-006','new machine 52:54:00:aa:00:06 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(16,1796042176752,'info','enrolled','machine',7,'pc-007','new machine 52:54:00:aa:00:07 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(17,1796042176763,'info','enrolled','machine',8,'pc-008','new machine 52:54:00:aa:00:08 at 127.0.0.1, with debian@1');
INSERT INTO event VALUES(18,1796042176955,'info','boot-started','machine',1,'pc-001','boot 1 has begun');
INSERT INTO event VALUES(19,1796042177113,'info','session-began','machine',1,'pc-001','session of boot 1 began: the system at 127.0.0.1:41086');
INSERT INTO event VALUES(20,1796042177450,'info','machine-set','ctl',2,'pc-002','group=lab');
INSERT INTO event VALUES(21,1796042177455,'info','machine-set','ctl',2,'pc-002','size=16M');
INSERT INTO event VALUES(22,1796042177568,'info','machine-set','ctl',2,'pc-002','quota=20G');
INSERT INTO event VALUES(23,1796042177606,'info','machine-set','ctl',2,'pc-002','boot=local');
INSERT INTO event VALUES(24,1796042177618,'info','machine-set','ctl',2,'pc-002','note=the one by the window');
INSERT INTO event VALUES(25,1796042177620,'info','machine-set','ctl',2,'pc-002','boot-once=menu');
INSERT INTO event VALUES(26,1796042177660,'info','machine-set','ctl',2,'pc-002','physical-block=512');
INSERT INTO event VALUES(27,1796042177776,'info','mac-added','ctl',2,'pc-002','MAC address 52:54:00:bb:00:02 added');
INSERT INTO event VALUES(28,1796042177968,'info','machine-set','ctl',3,'pc-003','mode=ephemeral');
INSERT INTO event VALUES(29,1796042178039,'info','boot-started','machine',3,'pc-003','boot 1 has begun, with a new disk');
INSERT INTO event VALUES(30,1796042178206,'info','session-began','machine',3,'pc-003','session of boot 1 began: the system at 127.0.0.1:51808');
INSERT INTO event VALUES(31,1796042178345,'info','boot-started','machine',4,'pc-004','boot 1 has begun');
INSERT INTO event VALUES(32,1796042178454,'info','session-began','machine',4,'pc-004','session of boot 1 began: the system at 127.0.0.1:51824');
INSERT INTO event VALUES(33,1796042178573,'info','session-ended','machine',4,'pc-004','session of boot 1 ended: the system at 127.0.0.1:51824: closed by the peer; read 0, wrote 4096 bytes');
INSERT INTO event VALUES(34,1796042178589,'info','released','ctl',4,'pc-004','its sessions are ended');
INSERT INTO event VALUES(35,1796042178664,'info','reset','ctl',4,'pc-004','a new disk from debian@1');
INSERT INTO event VALUES(36,1796042178829,'info','machine-set','ctl',5,'pc-005','auth=mutual');
INSERT INTO event VALUES(37,1796042178839,'info','machine-set','ctl',5,'pc-005','access=many');
INSERT INTO event VALUES(38,1796042178843,'info','machine-set','ctl',5,'pc-005','no-gateway=yes');
INSERT INTO event VALUES(39,1796042178844,'info','machine-set','ctl',5,'pc-005','multipath=yes');
INSERT INTO event VALUES(40,1796042178868,'info','machine-set','ctl',5,'pc-005','name=Anna');
INSERT INTO event VALUES(41,1796042178968,'info','machine-set','ctl',6,'pc-006','image=alpine');
INSERT INTO event VALUES(42,1796042179044,'info','boot-started','machine',7,'pc-007','boot 1 has begun');
INSERT INTO event VALUES(43,1796042179066,'info','session-began','machine',7,'pc-007','session of boot 1 began: the system at 127.0.0.1:51840');
INSERT INTO event VALUES(44,1796042179185,'info','boot-started','machine',8,'pc-008','boot 1 has begun');
INSERT INTO event VALUES(45,1796042179385,'info','session-began','machine',8,'pc-008','session of boot 1 began: the system at 127.0.0.1:51854');
INSERT INTO event VALUES(46,1796042179560,'info','session-ended','machine',8,'pc-008','session of boot 1 ended: the system at 127.0.0.1:51854: closed by the peer; read 0, wrote 4096 bytes');
INSERT INTO event VALUES(47,1796042179560,'info','released','ctl',8,'pc-008','its sessions are ended');
INSERT INTO event VALUES(48,1796042179872,'info','removed','ctl',8,'pc-008','removed, with its disk');
INSERT INTO event VALUES(49,1796042180127,'info','policy-changed','ctl',NULL,'auth','auth=chap');
INSERT INTO event VALUES(50,1796042180260,'info','policy-changed','ctl',NULL,'enrol','enrol=approve');
INSERT INTO event VALUES(51,1796042180360,'info','waiting','machine',NULL,'','52:54:00:aa:00:14 at 127.0.0.1 waits (approval), number 1');
INSERT INTO event VALUES(52,1796042180390,'warning','waiting','machine',1,'pc-001','52:54:00:aa:00:01 at 127.0.0.1 waits (conflict), number 2');
INSERT INTO event VALUES(53,1796042180560,'info','token-created','ctl',NULL,'backup','an API token was made');
CREATE TABLE machine_group (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0, -- higher: sooner, when the server takes machines in turns
	boot TEXT NOT NULL DEFAULT '', -- as machine.boot, for those that have none of their own
	note TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO machine_group VALUES(1,'lab',7,'disk','by the window');
CREATE TABLE boot_stage (
	machine_id INTEGER NOT NULL,
	number INTEGER NOT NULL, -- of the boot
	stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 8),
	at_ms INTEGER NOT NULL,
	detail TEXT NOT NULL DEFAULT '', -- the boot file's name, an initiator's address, ...
	stuck_ms INTEGER NOT NULL DEFAULT 0, -- since when it has been clear that the next stage does not come; counts while this is the last one
	why TEXT NOT NULL DEFAULT '', -- and its usual cause
	PRIMARY KEY (machine_id, number, stage),
	FOREIGN KEY (machine_id, number) REFERENCES boot (machine_id, number) ON DELETE CASCADE
) WITHOUT ROWID, STRICT;
INSERT INTO boot_stage VALUES(1,1,3,1796042176608,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(1,1,7,1796042177113,'127.0.0.1:41086',0,'');
INSERT INTO boot_stage VALUES(2,1,3,1796042176648,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(3,1,3,1796042176660,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(3,1,7,1796042178206,'127.0.0.1:51808',0,'');
INSERT INTO boot_stage VALUES(4,1,3,1796042176697,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(4,1,7,1796042178453,'127.0.0.1:51824',0,'');
INSERT INTO boot_stage VALUES(5,1,3,1796042176714,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(7,1,3,1796042176761,'127.0.0.1',0,'');
INSERT INTO boot_stage VALUES(7,1,7,1796042179066,'127.0.0.1:51840',0,'');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('image',3);
INSERT INTO sqlite_sequence VALUES('image_version',3);
INSERT INTO sqlite_sequence VALUES('event',53);
INSERT INTO sqlite_sequence VALUES('machine_group',1);
INSERT INTO sqlite_sequence VALUES('machine',8);
INSERT INTO sqlite_sequence VALUES('waiting',2);
CREATE UNIQUE INDEX image_default ON image (is_default) WHERE is_default = 1;
CREATE UNIQUE INDEX machine_name ON machine (lower(name));
CREATE INDEX machine_version ON machine (version_id);
CREATE INDEX machine_uuid ON machine (uuid) WHERE uuid <> '';
CREATE INDEX machine_serial ON machine (serial) WHERE serial <> '';
CREATE UNIQUE INDEX machine_child ON machine (child) WHERE child <> '';
CREATE INDEX machine_mac_machine ON machine_mac (machine_id);
CREATE INDEX discarded_child_at ON discarded_child (at_ms);
CREATE UNIQUE INDEX boot_pending ON boot (machine_id) WHERE state = 0;
CREATE UNIQUE INDEX boot_current ON boot (machine_id) WHERE state = 1;
CREATE INDEX waiting_machine ON waiting (machine_id);
CREATE INDEX event_machine ON event (machine_id, id) WHERE machine_id IS NOT NULL;
CREATE UNIQUE INDEX machine_group_name ON machine_group (lower(name));
CREATE INDEX machine_group_id ON machine (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX boot_version ON boot (version_id) WHERE version_id IS NOT NULL;
COMMIT;
