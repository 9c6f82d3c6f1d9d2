/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command's handler works with. Private to scsi/.
 *
 *     decoded -> (waiting ->) running -> done -> released
 *
 * A handler runs when nothing in the task set stands before its task. It ends the task with task_good, task_data,
 * task_fail..., or starts a disk request with task_disk and goes on in the function given there; task_disk
 * takes care of errors and aborts, so that a step only ever sees a request that succeeded.
 */
#ifndef SCSI_TASK_H
#define SCSI_TASK_H

#include "scsi/lu.h"
#include "scsi/opcode_table.h"
#include "scsi/persist.h"

enum task_phase { TASK_DECODED, TASK_WAITING, TASK_RUNNING, TASK_DONE };

struct task_state {
	struct scsi_task *task;
	struct scsi_nexus *nexus;
	struct scsi_target *target;
	enum lun_kind lun_kind;
	struct scsi_lu *lu;	 /* NULL unless lun_kind is LUN_UNIT */
	const struct opcode *op; /* NULL: no such command */
	enum task_phase phase;
	uint32_t removals; /* target->removals when lun was looked up */
	bool bad;	   /* the CDB is: error says why */
	bool aborted;	   /* done will say so */
	bool in_set, barrier;
	struct sense error;

	/* from the CDB, as the opcode table says */
	uint64_t lba;
	uint64_t blocks;
	uint32_t length; /* allocation length or parameter list length, bytes */

	/* the handler's */
	struct disk_request req;
	bool lent; /* req is a read whose pieces have not been given back */
	void (*next)(struct task_state *st);
	uint64_t progress;		     /* blocks done, or whatever the handler counts */
	uint64_t chunk;			     /* blocks in hand */
	unsigned item, item_count;	     /* of a parameter list: the one in hand, and how many there are */
	bool allocate;			     /* its WRITEs take their space, whatever they write */
	void (*then)(struct task_state *st); /* what follows a loop of requests */
	uint8_t *buffer;		     /* freed with the task */
	struct iovec *iov;		     /* freed with the task */
	struct iovec *write_iov;	     /* what a WRITE takes: task->out, or iov */
	int write_count;
	struct disk_extent *extents; /* what STATUS fills; freed with the task */
	unsigned extent_max;
	struct iovec in; /* data-in that lies in buffer */
	struct save_waiter saved;
	bool waits_for_aborts; /* PREEMPT AND ABORT, until what it aborted has ended */
	bool preempted;	       /* aborted by one */
};

/* Whose commands it may be: OPCODE_DISK... */
static inline unsigned task_types(const struct task_state *st)
{
	return st->lu ? st->lu->opcode_types : (unsigned)OPCODE_ANY;
}

/* ---- ends ---- */

void task_good(struct task_state *st);
void task_status(struct task_state *st, enum scsi_status status);
/* CHECK CONDITION. */
void task_fail(struct task_state *st, enum sense_key key, enum sense_code code);
void task_fail_sense(struct task_state *st, const struct sense *sense);
/* ILLEGAL REQUEST, INVALID FIELD IN CDB or IN PARAMETER LIST, at a byte; bit -1: all of it. */
void task_fail_cdb(struct task_state *st, unsigned byte, int bit);
void task_fail_parameter(struct task_state *st, unsigned byte, int bit);
void task_fail_list_length(struct task_state *st);

/* ---- parameter data ---- */

/* Zeroed room for data-in, or NULL after having ended the task. At most SCSI_PARAMETERS_MAX. */
void *task_buffer(struct task_state *st, size_t size);
/* GOOD with the first len bytes of the buffer as data-in, cut to the allocation length. */
void task_data(struct task_state *st, size_t len);
/*
 * The parameter list in one piece (the task's buffer), or NULL after having ended the task: shorter than the CDB says.
 */
const uint8_t *task_parameters(struct task_state *st);

/* ---- Data-Out ---- */

/*
 * Makes the part [from, from + len) of the Data-Out what the next WRITE takes. There must be that much. False: out of
 * memory, and the task has ended.
 */
bool task_slice_out(struct task_state *st, size_t from, size_t len);
/* The first of len bytes in which the Data-Out from offset from on differs from the read in hand; -1: none. */
int64_t task_compare_out(const struct task_state *st, size_t from, size_t len);
/* Copies len bytes of the Data-Out from offset from on. There must be that much. */
void task_copy_out(const struct task_state *st, size_t from, void *to, size_t len);
/*
 * Whole blocks of Data-Out that a WRITE has: all that the CDB asks for, or fewer where the initiator announced fewer.
 * False: the last one is incomplete, and the task has ended.
 */
bool task_blocks_out(struct task_state *st, uint64_t *blocks);

/* ---- disk ---- */

/*
 * Starts a request on blocks; next runs when it has succeeded. WRITE takes write_iov. A read's pieces are given back at
 * the next request.
 */
void task_disk(struct task_state *st, enum disk_op op, uint64_t lba, uint64_t blocks,
	       void (*next)(struct task_state *st));
/* The same with FUA, and unmap for WRITE_ZEROES. */
void task_disk_flags(struct task_state *st, enum disk_op op, uint64_t lba, uint64_t blocks, bool fua, bool unmap,
		     void (*next)(struct task_state *st));

/* What was written and is acknowledged becomes durable; then next runs, at once where nothing can have been written. */
void task_flush(struct task_state *st, void (*next)(struct task_state *st));
/* Gives back what the last read lent, if anything. */
void task_give_back(struct task_state *st);

/* ---- the task set of a logical unit ---- */

/* Runs the handler now. */
void task_run(struct task_state *st);
/* Runs the handler now, or when nothing stands before it any more. */
void task_enter_set(struct task_state *st);
/* Starts what no longer has to wait. */
void task_set_kick(struct scsi_lu *lu);
/* Its logical unit is gone: it fails with LOGICAL UNIT NOT SUPPORTED. */
void task_lose_unit(struct task_state *st);
/* The logical unit is gone, and nothing of it runs: what waited in its task set is told so. */
void task_set_end(struct scsi_lu *lu);
/* Aborts the tasks of a nexus for a PREEMPT AND ABORT. */
void task_preempt(struct task_state *by, struct scsi_nexus *nexus);
/* Ends by with GOOD once all that task_preempt aborted has ended. */
void task_good_after_aborts(struct task_state *by);

/* decode.c: fills in op, lba, blocks, length and the task's direction and lengths, or bad and error. */
void task_decode_cdb(struct task_state *st);

#endif
