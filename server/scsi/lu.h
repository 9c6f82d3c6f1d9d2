/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a target: logical units, I_T nexuses, unit attentions. Private to scsi/.
 *
 *     struct scsi_target --- lus[n] ---> struct scsi_lu: disk, mode parameters, reservations, task set
 *                        \-- nexuses --> struct scsi_nexus: a set of unit attentions for each logical unit
 *
 * All on the loop of the target. A target that is freed from inside a callback of one of its tasks lives until the
 * outermost call into it returns (scsi_target_enter, scsi_target_leave), and until its last save is answered.
 */
#ifndef SCSI_LU_H
#define SCSI_LU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"
#include "scsi/sense.h"
#include "scsi/target.h"

struct task_state;

enum {
	SCSI_LUNS = 256,
	SCSI_TASK_SET_MAX = 1024,      /* commands of one logical unit at a time: beyond it TASK SET FULL */
	SCSI_PARAMETERS_MAX = 65536,   /* most bytes of a parameter list or of parameter data */
	SCSI_BLOCK = DISK_BLOCK_BYTES, /* of a disk: block commands but READ are for disks only */
	SCSI_CDROM_SHIFT = 11,
	SCSI_PHYSICAL_BLOCKS = DISK_PHYSICAL_BYTES / DISK_BLOCK_BYTES,
	/*
	 * MAXIMUM TRANSFER LENGTH: what one disk request takes, 4 MiB, so that each READ and WRITE is one request.
	 * (Windows and iPXE stay far below, Linux obeys; iscsi-test-cu wants 256 blocks.) The optimum, 1 MiB, is what a
	 * session holds unsent.
	 */
	SCSI_TRANSFER_BLOCKS_MAX = DISK_REQUEST_MAX / DISK_BLOCK_BYTES,
	SCSI_TRANSFER_BLOCKS_OPTIMAL = 2048,
	SCSI_COMPARE_BLOCKS_MAX = 255,	 /* the field has 8 bits */
	SCSI_UNMAP_BLOCKS_MAX = 1 << 20, /* 512 MiB a command: bounds what one command makes a disk do in one go */
	SCSI_UNMAP_DESCRIPTORS_MAX = 256,
	SCSI_SAME_BLOCKS_MAX = 65528, /* whole physical blocks, also expressible in WRITE SAME(10) */
	SCSI_REGISTRANTS_MAX = 64,
	SCSI_NO_SPACE_BUSY_MS = 20000, /* how long a full disk answers BUSY before it says so */
	SCSI_THRESHOLD_EXPONENT = 11,  /* a threshold set is 2^11 blocks, 1 MiB (SBC-3 §4.7.3.7) */
};

/* SAM-5 §5.14. The order is that of reporting. */
enum unit_attention {
	UA_POWER_ON,
	UA_BUS_RESET,
	UA_DEVICE_RESET,
	UA_LUNS_CHANGED,
	UA_CAPACITY_CHANGED,
	UA_MODE_CHANGED,
	UA_RESERVATIONS_PREEMPTED,
	UA_RESERVATIONS_RELEASED,
	UA_REGISTRATIONS_PREEMPTED,
	UA_COMMANDS_CLEARED,
	UA_THIN_THRESHOLD,
	UA_COUNT,
};

/* What MODE SELECT can change. */
struct mode_values {
	bool wce;     /* caching page: volatile write cache */
	bool d_sense; /* control page: descriptor format sense data */
	bool swp;     /* control page: software write protect */
	/* logical block provisioning page: soft threshold on the space used */
	bool threshold_enabled;
	uint32_t threshold_count; /* threshold sets */
};

/* One I_T nexus that has registered a key (SPC-4 §5.13.7). It outlives the nexus, so it is known by the port's name. */
struct registrant {
	char *port_name;
	uint64_t key;
	bool all_target_ports;
};

/* SPC-4 §5.13: persistent reservations, and the RESERVE of SPC-2. */
struct reservations {
	struct registrant registrants[SCSI_REGISTRANTS_MAX];
	unsigned count;
	uint32_t generation;
	uint8_t type;			/* enum pr_type; 0: no persistent reservation */
	int holder;			/* index of the holder; -1 where all registrants hold it, or nobody */
	bool aptpl;			/* survives a restart */
	struct scsi_nexus *reserved_by; /* RESERVE(6), RESERVE(10) */
};

struct scsi_lu {
	struct scsi_target *target;
	unsigned number;
	enum scsi_device_type type;
	uint8_t opcode_types;	   /* OPCODE_DISK... of type */
	uint8_t block_shift;	   /* 2^n bytes a logical block */
	uint8_t physical_exponent; /* 2^n logical blocks are said to be a physical one */
	bool read_only;
	uint32_t born;			  /* target->removals when it came */
	char serial[SCSI_SERIAL_MAX + 1]; /* its own; "": made of the target's */
	struct disk *disk;		  /* NULL while it is closed */
	uint64_t blocks;		  /* logical blocks */
	struct mode_values mode, saved_mode;
	struct reservations reservations;
	/* since when the disk has had no space (time_monotonic_ms); 0: it has some */
	uint64_t no_space_since_ms;
	uint64_t written_unchecked; /* bytes since the threshold was last looked at */
	bool threshold_reported;    /* until the space used falls below it again */
	/* the task set, in order of arrival (task.c) */
	struct scsi_task *first_task, *last_task;
	unsigned task_count;
	unsigned barriers; /* ORDERED, HEAD OF QUEUE and atomic tasks in the set: while there is none, nothing waits */
	unsigned heads;
	unsigned waiting; /* tasks that wait for older ones, or until the disk is back */
	bool kicking;
	bool held; /* the disk is away, or wanted: no task begins */
};

struct scsi_nexus {
	struct scsi_target *target;
	struct scsi_nexus *next, *prev;
	char *port_name;
	void *user;
	unsigned tasks;		    /* decoded and not done */
	bool preempted;		    /* a PREEMPT AND ABORT is about to abort its tasks */
	uint16_t ua[SCSI_LUNS];	    /* a bit for each enum unit_attention that is pending */
	bool media_told[SCSI_LUNS]; /* GET EVENT STATUS NOTIFICATION has named the medium as new (mmc.c) */
};

struct save_waiter;

struct scsi_target {
	char *name, *serial;
	struct loop *loop;
	struct free_list *tasks;
	void (*save)(void *arg, const void *blob, size_t len, void (*done)(void *done_arg, int err), void *done_arg);
	void *save_arg;
	void *saved; /* until the first nexus: the logical units that it speaks of are there by then */
	size_t saved_len;
	struct scsi_lu *lus[SCSI_LUNS];
	uint32_t removals; /* logical units that have gone */
	struct scsi_nexus *nexuses;
	void (*abort_nexus)(void *arg, struct scsi_nexus *nexus);
	void *abort_arg;
	void (*event)(void *arg, struct scsi_nexus *nexus, const uint8_t lun[8], const void *sense, size_t sense_len);
	void *event_arg;
	unsigned depth; /* calls that are inside */
	bool freed;
	/* persist.c */
	bool saving;
	struct save_waiter *waiters_now, *waiters_next;
	bool save_again;
};

/* ---- target.c ---- */

void scsi_target_enter(struct scsi_target *target);
void scsi_target_leave(struct scsi_target *target);

enum lun_kind { LUN_NONE, LUN_UNIT, LUN_WELL_KNOWN };
/*
 * SAM-5 §4.7: peripheral and flat addressing, and the REPORT LUNS well-known logical unit. *lu is NULL but for
 * LUN_UNIT.
 */
enum lun_kind scsi_target_find_lun(const struct scsi_target *target, const uint8_t lun[8], struct scsi_lu **lu);

static inline uint64_t lu_bytes(const struct scsi_lu *lu, uint64_t blocks)
{
	return blocks << lu->block_shift;
}

/* ---- attention.c ---- */

void lu_raise(struct scsi_lu *lu, struct scsi_nexus *nexus, enum unit_attention ua);
/* To all nexuses but one (NULL: to all). */
void lu_raise_others(struct scsi_lu *lu, const struct scsi_nexus *but, enum unit_attention ua);
/* To the nexus of that port, where it is logged in. */
void lu_raise_port(struct scsi_lu *lu, const char *port_name, enum unit_attention ua);
/* Takes the first pending unit attention of a nexus. False: none. */
bool lu_take_attention(struct scsi_lu *lu, struct scsi_nexus *nexus, struct sense *sense);
void lu_drop_attention(struct scsi_lu *lu, struct scsi_nexus *nexus, enum unit_attention ua);
/* Tells every nexus at once (the event hook), with the sense data of that unit attention. */
void lu_tell_nexuses(const struct scsi_lu *lu, enum unit_attention ua);

/*
 * Looks whether the soft threshold is crossed (SBC-3 §4.7.3.7.5), and raises its unit attention. bytes: written since
 * the last call.
 */
void lu_check_threshold(struct scsi_lu *lu, uint64_t bytes);
/* Threshold sets in use. */
uint32_t lu_used_sets(const struct scsi_lu *lu);

#endif
