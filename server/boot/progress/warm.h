/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cold starts: what boots of an image have needed is learnt, and read ahead for the next machine. Private to boot/.
 *
 *     a script leads to the disk --> its image is read ahead, where that was not just done; the boot is followed (a few
 *                                    of each image)
 *     its disk is opened         --> with a trace: which blocks of the golden image it reads
 *     it is steady               --> the trace goes into the image's read set (store/read_set.h)
 *
 * At the server's start all images that machines use are read ahead. One image at a time, in file order, on one worker.
 * A boot that never gets steady teaches nothing. One mutex for the tables, never held while anything waits.
 */
#ifndef BOOT_WARM_H
#define BOOT_WARM_H

#include "boot/boot.h"

struct read_trace;
struct warm;

enum {
	WARM_FOLLOWED = 32,	     /* boots at a time, of all images */
	WARM_FOLLOWED_OF_ONE = 4,    /* of one image */
	WARM_FOLLOW_MS = 30 * 60000, /* then the place may be taken */
	WARM_QUEUE = 16,	     /* images that wait to be read ahead */
	WARM_AGAIN_MS = 30000,	     /* after the end of a read-ahead, before the same image is looked at again */
};

/* NULL without memory. */
struct warm *warm_new(struct boot *boot);
/* No job is under way any more. */
void warm_free(struct warm *warm);
/* Reads ahead what machines use. Main thread, once. */
void warm_start(struct warm *warm);
/* Ends what is being read ahead; nothing more begins. Any thread. */
void warm_stop(struct warm *warm);

/* A machine has got a script for boot `number` of a disk over this version. Any thread. */
void warm_script(struct warm *warm, int64_t machine_id, uint64_t number, const struct image_version *version);
/* The trace of a boot that is followed, for its disk over this version; a reference, or NULL. Any thread. */
struct read_trace *warm_trace(struct warm *warm, int64_t machine_id, uint64_t number, int64_t version_id);
/* The boot is steady. Any thread. */
void warm_steady(struct warm *warm, int64_t machine_id, uint64_t number);

#endif
