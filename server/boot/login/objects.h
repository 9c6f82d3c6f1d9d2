/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies under disks that are open, watched: a file that is deleted or replaced while a machine runs, or an image that is
 * not what was published any more, makes an event at once, not only when the machine is switched off and all is lost.
 * Private to boot/.
 */
#ifndef BOOT_OBJECTS_H
#define BOOT_OBJECTS_H

struct boot;
struct objects;

/* 0 or -ENOMEM. */
int objects_new(struct boot *boot, struct objects **objects);
/* From now on; where the folders cannot be watched, that is logged. Main thread, while boot->loop runs, as the next. */
void objects_start(struct objects *objects);
/* No more; a look that is under way ends by itself, before in_flight_wait returns. */
void objects_stop(struct objects *objects);
void objects_free(struct objects *objects);

#endif
