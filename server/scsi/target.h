/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SCSI target device (SAM-5): logical units over disks, I_T nexuses, and the tasks that they send.
 *
 * Knows nothing of the transport: iscsi/ makes nexuses and tasks, moves the data, and reports status. All of a target
 * is touched on one loop, the one that owns its disks. Commands: SPC-4, SBC-3.
 */
#ifndef SCSI_TARGET_H
#define SCSI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;
struct loop;
struct scsi_nexus;
struct scsi_target;
struct free_list;

enum {
	SCSI_CDB_MAX = 260,   /* SPC-4 §4.2.1: the longest variable-length CDB */
	SCSI_SENSE_MAX = 252, /* SPC-4 §4.5.1 */
};

/* SAM-5 §5.3.1 */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_attribute { SCSI_SIMPLE, SCSI_ORDERED, SCSI_HEAD_OF_QUEUE, SCSI_ACA, SCSI_UNTAGGED };

struct scsi_target_config {
	const char *name;   /* the iSCSI name: becomes the SCSI name string of VPD 83h; copied */
	const char *serial; /* unit serial number, VPD 80h, and the seed of the NAA identifier; copied */
	struct loop *loop;
	struct free_list *tasks; /* memory for tasks: one pool for all targets of the loop */
	/*
	 * Keeps what must survive a restart (APTPL registrations, saved mode pages): a small blob. NULL: nothing is
	 * kept. done may come later, on the loop.
	 */
	void (*save)(void *arg, const void *blob, size_t len, void (*done)(void *done_arg, int err), void *done_arg);
	void *save_arg;
	const void *saved; /* what save was last given; borrowed during the call */
	size_t saved_len;
};

int scsi_target_new(const struct scsi_target_config *config, struct scsi_target **target);
/* All nexuses are closed. Does not close the disks. */
void scsi_target_free(struct scsi_target *target);

/* ---- logical units ---- */

/* SPC-4 §6.6.2, peripheral device type */
enum scsi_device_type { SCSI_DISK = 0x00, SCSI_CDROM = 0x05 };
enum { SCSI_PHYSICAL_4096 = 3, SCSI_SERIAL_MAX = 100 };

struct scsi_lun_config {
	/* A CD-ROM has blocks of 2048 bytes, as many as the disk has whole ones, is removable and read-only. */
	enum scsi_device_type type;
	bool read_only; /* as is whatever stands on a read-only disk */
	/*
	 * LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT (SBC-3 §5.16) of a disk: SCSI_PHYSICAL_4096 for 512e, 0 for 512n.
	 * What suits the disk (optimal transfer length, unmap granularity) stays. A 512n disk is one that SBC-2 knows:
	 * WSNZ=0.
	 */
	unsigned physical_exponent;
	/*
	 * Its own unit serial number, at most SCSI_SERIAL_MAX ASCII characters, and the seed of its other identifiers
	 * (VPD 80h, 83h): they are those of what lies on it, whatever its LUN and target. NULL or "": the target's,
	 * with the LUN behind it unless that is 0.
	 */
	const char *serial;
};

/*
 * LUN 0 to 255, also under nexuses: they are told (REPORTED LUNS DATA HAS CHANGED on the other units). The disk stays
 * the caller's. config NULL: a 512e disk. What was saved counts for units that come before the first nexus, if they had
 * the same serial. 0, -EEXIST, -ENOMEM; -EINVAL: no such number, or too small a disk.
 */
int scsi_target_add_lun(struct scsi_target *target, unsigned lun, struct disk *disk,
			const struct scsi_lun_config *config);
/*
 * The unit goes, and with it all that initiators have set there: whatever comes under its number later begins anew.
 * Before: scsi_target_hold, and wait until it is idle (nobody touches its disk any more then, which may be closed); or
 * no nexuses. Tasks that wait, or have been decoded, fail with LOGICAL UNIT NOT SUPPORTED; nexuses are told as above.
 * -ENOENT: there is none.
 */
int scsi_target_remove_lun(struct scsi_target *target, unsigned lun);
/*
 * The disk of a LUN without nexuses is closed (NULL), or opened again: registrations, reservations and mode parameters
 * stay. -ENOENT: no such LUN; -ESTALE: it has another type or serial, so it is another unit; -EINVAL: too small a disk.
 */
int scsi_target_set_disk(struct scsi_target *target, unsigned lun, struct disk *disk,
			 const struct scsi_lun_config *config);
/* Is anybody registered (PERSISTENT RESERVE OUT)? SPC-4 §5.13.5: that outlives the nexus, and ends with power. */
bool scsi_target_has_registrations(const struct scsi_target *target);
/* The disk of a LUN has another size now: CAPACITY DATA HAS CHANGED to all nexuses. */
void scsi_target_capacity_changed(struct scsi_target *target, unsigned lun);
/*
 * The disk of a LUN is wanted for a moment, under its nexuses: tasks that come from now on wait. Once the LUN is idle
 * (none runs, nothing that it lent is out) nobody touches the disk, and it may be closed; scsi_target_unhold brings the
 * same or another one, which is not smaller, and lets the tasks go on. Where its size is another, initiators are told
 * as by scsi_target_capacity_changed.
 */
void scsi_target_hold(struct scsi_target *target, unsigned lun);
bool scsi_target_is_idle(const struct scsi_target *target, unsigned lun);
void scsi_target_unhold(struct scsi_target *target, unsigned lun, struct disk *disk);
/* A new boot of the machine begins: registrations and reservations of earlier boots go, APTPL ones too. */
void scsi_target_clear_reservations(struct scsi_target *target);

/* ---- nexuses ---- */

/*
 * port_name: the initiator port's TransportID name "iqn...,i,0x00023d000001" (SPC-4 §7.6.4.6); copied. POWER ON unit
 * attention is queued.
 */
int scsi_nexus_open(struct scsi_target *target, const char *port_name, struct scsi_nexus **nexus);
/* All its tasks are done. */
void scsi_nexus_close(struct scsi_nexus *nexus);

enum scsi_direction { SCSI_NO_DATA, SCSI_DATA_IN, SCSI_DATA_OUT };

/*
 * One command. The transport fills the first part and calls scsi_task_decode, which says what data the command wants;
 * gathers that, and calls scsi_task_execute. done comes once, later or inside execute (never inside decode). After
 * done: status, sense and the data-in are valid until scsi_task_release, which must be called once.
 */
struct scsi_task {
	/* from the transport */
	struct scsi_nexus *nexus;
	uint8_t lun[8]; /* SAM-5 §4.7 */
	size_t cdb_len; /* of cdb, below */
	enum scsi_attribute attribute;
	uint64_t tag;
	void (*done)(struct scsi_task *task);
	void *user;
	/*
	 * Data-Out: what arrived, in order; out_len may be less than data_out_len when the initiator sent less (the
	 * target answers that).
	 */
	const struct iovec *out;
	int out_count;
	size_t out_len;
	/*
	 * How much Data-Out the initiator announced (the Expected Data Transfer Length of a write), which may be more
	 * than data_out_len: WRITE SAME and COMPARE AND WRITE refuse that. 0: not known, not compared. Set before
	 * execute.
	 */
	size_t out_expected;

	/* from decode */
	enum scsi_direction direction;
	size_t data_out_len; /* bytes that it takes, else 0. Bounded by what READ CAPACITY and VPD B0h promise */
	size_t data_in_len;  /* most bytes that it returns: allocation length or transfer length */
	int medium;	     /* the LUN whose medium it reads, writes or flushes; -1: none */

	/* from execute */
	enum scsi_status status;
	size_t sense_len; /* of sense, below; without iSCSI's own length field */
	struct iovec *in; /* lent until scsi_task_release */
	int in_count;
	size_t in_len;
	bool aborted; /* done came because of an abort: no status goes to the initiator */

	/* private to scsi/ */
	void *private;
	struct scsi_task *next, *prev;

	/* Last, because most commands use little of them, and need not touch (or clear) the memory of the rest. */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t sense[SCSI_SENSE_MAX];
};

/*
 * Looks at the CDB only. Errors are not reported here: a bad CDB has no data phase, and execute completes it with its
 * sense.
 */
void scsi_task_decode(struct scsi_task *task);
void scsi_task_execute(struct scsi_task *task);

/* Why the transport cannot have a command executed; RFC 7143 §11.4.7.2 says with which sense data. */
enum scsi_transport_error {
	SCSI_TRANSPORT_GOOD,
	SCSI_UNEXPECTED_DATA,	/* unsolicited data that was not agreed on */
	SCSI_WRONG_DATA_AMOUNT, /* more or less of it than announced, or in another order */
	SCSI_DATA_CORRUPTED,	/* a digest is wrong */
	SCSI_BIDIRECTIONAL,	/* no command that we have moves data both ways */
	SCSI_NO_MEMORY,
	SCSI_TRANSPORT_ERRORS,
};
/* Instead of execute: CHECK CONDITION. done comes inside. */
void scsi_task_fail(struct scsi_task *task, enum scsi_transport_error why);
/* After decode: whether it is a READ, of whatever length. */
bool scsi_task_is_read(const struct scsi_task *task);
/*
 * After decode: the task's done will come, soon, with aborted set; at once where it has not been executed, and when its
 * disk request has finished where it has (a write is never half-aborted: it has happened or never will).
 */
void scsi_task_abort(struct scsi_task *task);
/* After done, or instead of execute: gives lent data back. */
void scsi_task_release(struct scsi_task *task);

/*
 * Task management that concerns more than one task's own transport state (SAM-5 §7). The transport aborts the tasks;
 * these set the unit attentions and state.
 */
/* LOGICAL UNIT RESET. False: no such LUN. */
bool scsi_lun_reset(struct scsi_target *target, const uint8_t lun[8], struct scsi_nexus *by);
void scsi_target_reset(struct scsi_target *target, struct scsi_nexus *by);
/*
 * CLEAR TASK SET, before the tasks are aborted: COMMANDS CLEARED BY ANOTHER INITIATOR for other nexuses that have some.
 */
void scsi_task_set_cleared(struct scsi_target *target, const uint8_t lun[8], struct scsi_nexus *by);
bool scsi_lun_exists(const struct scsi_target *target, const uint8_t lun[8]);

/*
 * PREEMPT AND ABORT aborts the tasks of other nexuses: scsi/ calls back into the transport, which knows them.
 */
void scsi_target_set_abort_hook(struct scsi_target *target, void (*abort_nexus)(void *arg, struct scsi_nexus *nexus),
				void *arg);
/*
 * Changes that nobody's command brought about (capacity, LUNs) are told to each nexus at once, with the sense data that
 * its next command will get as a unit attention: iSCSI's Async Message, event 0 (RFC 7143 §11.9.1).
 */
void scsi_target_set_event_hook(struct scsi_target *target,
				void (*event)(void *arg, struct scsi_nexus *nexus, const uint8_t lun[8],
					      const void *sense, size_t sense_len),
				void *arg);
void *scsi_nexus_user(const struct scsi_nexus *nexus);
void scsi_nexus_set_user(struct scsi_nexus *nexus, void *user);

#endif
