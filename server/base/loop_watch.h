/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches that an I/O loop never waits: for a disk, for a page that has to be read, for a lock for long. Only in builds
 * with LOOP_WATCH (debug, asan); elsewhere it is nothing. Whatever runs on the loop is watched, callbacks of all kinds
 * and what libuv does itself: at the end of each turn the watch looks at what the kernel noted of its thread. A wait
 * is an error in the log, "loop io-N waited ...", once a second at most, with where in the kernel it was and, as far as
 * frame pointers lead, whose call it was. The tests fail on such a line.
 *
 * A wait for a disk may take 50 us, one for a busy mutex 50 ms: time does not tell them apart, nor does the count of
 * voluntary context switches. Measured on Linux 6.18 and ext4, in one thread (in brackets: what it should have been):
 *
 *	                               switches  major  ru_inblock  asleep as D
 *	pread, not in memory                  1      0           8            1  (wait)
 *	the same with RWF_NOWAIT              0      0           8            0  (none: it fails, and reading begins)
 *	a mapped page, not in memory          1      1           8            1  (wait)
 *	fdatasync                             3      0           0            3  (wait)
 *	pwrite beside another's fdatasync     1      0           0            1  (wait: for the inode's lock)
 *	a mutex that is taken                 1      0           0            0  (lock)
 *	mmap, munmap, beside another's       33      0           0           33  (lock: of the address space)
 *
 * The delay counters of /proc/self/stat are off by default, count in 10 ms, and do not count the inode's lock. So it is
 * the uninterruptible sleep (D) that counts: a perf event on the tracepoint sched_switch, for this thread alone, which
 * keeps the stack as well. It needs root and tracefs. Of D sleeps only those for the address space's lock (page faults,
 * mmap and its kin) are let pass, unless they wait for I/O. So are those of an inline write for ext4's journal, which
 * takes the file's new time and size: that is a wait for a disk, and known. Nothing but a worker for each write avoids
 * it, as ext4 has no RWF_NOWAIT for writes. The log says how many there were when the loop ends.
 *
 * Whoever sleeps interruptibly waits for a lock, mostly of another thread for a few instructions: that is an error from
 * LOOP_WATCH_LOCK_MS on, without the time that the thread was ready to run and got no core. Where the kernel does not
 * let us look, the log says so once, and major faults are all that is seen.
 */
#ifndef BASE_LOOP_WATCH_H
#define BASE_LOOP_WATCH_H

struct uv_loop_s;
struct loop_watch;

#ifdef LOOP_WATCH

enum { LOOP_WATCH_LOCK_MS = 100 };

/* A watch over the calling thread while it runs uv. NULL: the name is not an I/O loop's ("io-N"), or out of memory. */
struct loop_watch *loop_watch_open(struct uv_loop_s *uv, const char *name);
/* Before and after uv_run, on that thread. NULL is fine. What enter gives, leave takes: loops without threads nest. */
struct loop_watch *loop_watch_enter(struct loop_watch *watch);
void loop_watch_leave(struct loop_watch *watch, struct loop_watch *outer);
/* uv runs once more before its memory goes. NULL is fine. */
void loop_watch_close(struct loop_watch *watch);

/* Between these a loop may wait: say why where you call them. Any thread; they do not nest. */
void loop_watch_allow(void);
void loop_watch_forbid(void);

#else

static inline struct loop_watch *loop_watch_open(struct uv_loop_s *uv, const char *name)
{
	(void)uv;
	(void)name;
	return 0;
}

static inline struct loop_watch *loop_watch_enter(struct loop_watch *watch)
{
	return watch;
}

static inline void loop_watch_leave(struct loop_watch *watch, struct loop_watch *outer)
{
	(void)watch;
	(void)outer;
}

static inline void loop_watch_close(struct loop_watch *watch)
{
	(void)watch;
}

static inline void loop_watch_allow(void)
{
}

static inline void loop_watch_forbid(void)
{
}

#endif
#endif
