/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The partition table of somebody else's disk, parsed by ourselves: other tools exit 0 with problems, or find a table in
 * sectors that a network boot does not have. Hostile bytes: everything is bounded. Private to doctor/. Formats: UEFI
 * §5.2 (MBR) and §5.3 (GPT).
 */
#ifndef DOCTOR_PARTITION_H
#define DOCTOR_PARTITION_H

#include "doctor/view.h"

enum {
	PARTITIONS_MAX = 64,
	SECTOR_BYTES = 512,
};

enum partition_table {
	PARTITION_TABLE_NONE,
	PARTITION_TABLE_MBR,
	PARTITION_TABLE_GPT,
	PARTITION_TABLE_GPT_4096, /* it counts in sectors of 4096 bytes; what is in it is not looked at */
};

struct partition {
	unsigned number;       /* as Linux counts: sda2 */
	uint64_t start, bytes; /* wholly inside the disk, unless cut */
	bool cut;	       /* it ends behind the disk's end */
	bool esp;	       /* firmware would start from it, if it is FAT */
	char uuid[40];	       /* PARTUUID, as Linux writes it */
};

struct partition_list {
	enum partition_table table;
	bool boot_code;	     /* in the first sector, which ends in 55 AA */
	bool signature;	     /* 55 AA */
	bool damaged;	     /* a checksum of the GPT is wrong */
	bool backup_missing; /* no second GPT in the last sector */
	bool more;	     /* than PARTITIONS_MAX */
	unsigned count;
	struct partition list[PARTITIONS_MAX];
};

/* False: the disk cannot be read. */
bool partition_list_read(const struct view *view, struct partition_list *list);

#endif
