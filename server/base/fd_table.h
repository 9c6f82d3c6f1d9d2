/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room for file descriptors: a child, its journal and a socket for each machine. */
#ifndef BASE_FD_TABLE_H
#define BASE_FD_TABLE_H

/* As many descriptors as this table is grown to hold: three of each of 20,000 machines. Half a megabyte. */
#define FD_TABLE_DESCRIPTORS 65536

/*
 * Raises the limit of open files to what may be had, and grows the kernel's table of them now. A table
 * that threads share grows by waiting for all CPUs (an RCU grace period, 10 ms and more): done by whoever
 * needs the 65th, the 257th, the 513th descriptor, which would be an I/O loop at its accept(). So: call it
 * before there is a second thread. Fails silently: then there are fewer descriptors, and a wait.
 */
void fd_table_prepare(void);

#endif
