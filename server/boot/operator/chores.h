/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nobody asks for and has to be done now and then: a table of functions, run on a worker. Private to boot/. */
#ifndef BOOT_CHORES_H
#define BOOT_CHORES_H

struct boot;
struct chores;

/* Main thread. NULL: no memory. */
struct chores *chores_new(struct boot *boot);
void chores_start(struct chores *chores);
/* No more are begun; one that runs is waited for with boot->in_flight. */
void chores_stop(struct chores *chores);
void chores_free(struct chores *chores);

#endif
