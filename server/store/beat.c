// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The beat of a folder. See beat.h.
 *
 *	                 the file is not there, says "stopped",    the file is another's
 *	                 or its process is known to be dead        and may be alive
 *	                            |                                     |
 *	                            |                          watched for WATCH_PERIODS --it changes--> refused
 *	                            |                                     |             (or known to be alive)
 *	                            |                                     |
 *	                            +---------> "starting" <--------------+
 *	                                            |
 *	                                      settles, reads --another's----------------> refused
 *	                                            |
 *	                                        "serving", and from then on every period: read, then write
 *	                                            |
 *	                      reads a later server's that has served: superseded; any other's: says so, and writes its own
 *
 * Rules:
 * 1. Nobody serves before the folder was silent for longer than a server that lives is, and then his own claim has stayed:
 *    of two that begin at once the one that wrote first finds the other's (Fischer's lock).
 * 2. A claim is not obeyed by who serves: he writes over it with a later term, and the claimant finds that when he has
 *    settled. So a server that was stuck for a while keeps its sessions unless another one serves already.
 * 3. Of two that serve, the earlier term leaves. The later one has taken the folder over from a server that was silent, has
 *    opened the disks as after a crash of that one, and has answered machines since: what the earlier one has in memory is
 *    of the past. It leaves as if it was killed (beat.h, superseded): a flush in its last moment would put its maps
 *    into files that the other one has open. For what it has acknowledged holds what holds after any crash (design.md,
 *    invariants 1 to 4): the journals have it, where the other one is on the same host; else whoever had not flushed
 *    it is not let go on over the loss.
 * 4. Who ends in order says "stopped" and leaves that there, so that a server which was stuck all the while finds it.
 * What it cannot do: stop a write that its host has on the way already. Only the storage could.
 *
 * The file is replaced as a whole, so nobody reads half of one. Clocks of hosts are not compared.
 */
#include "store/beat.h"

#include "base/log.h"
#include "base/util.h"
#include "store/beat_record.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCH_PERIODS = 3, LOOKS_PER_PERIOD = 4 };
/* In a folder of its own: whoever watches the other one for changes is not woken by each beat. */
#define BEAT_FOLDER ".beat"
#define BEAT_FILE "now"
#define BEAT_NEW "new-" /* and the token: what becomes the file */

struct beat {
	struct beat_config config; /* const, as the folder */
	char folder[PATH_MAX - 64];
	struct beat_record own; /* the beat's thread */
	char seen[BEAT_TOKEN_CHARS + 1];
	bool failing; /* said already */
	bool running; /* the thread is there; it has served */
	pthread_t thread;
	pthread_mutex_t mutex; /* guards stop */
	pthread_cond_t wake;
	bool stop;
};

/* What lies in the file. */
struct beat_found {
	int err; /* 0, -ENOENT or another */
	char bytes[BEAT_BYTES + 1];
	size_t size;
	bool valid; /* then: */
	struct beat_record record;
};

static const char *beat_path(const struct beat *beat, bool fresh, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/" BEAT_FOLDER "/%s%s", beat->folder, fresh ? BEAT_NEW : BEAT_FILE,
		 fresh ? beat->own.token : "");
	return out;
}

static void beat_look(const struct beat *beat, struct beat_found *found)
{
	char path[PATH_MAX];
	struct stat st;
	int fd = open(beat_path(beat, false, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got = 0;

	*found = (struct beat_found){ 0 };
	if (fd < 0 || fstat(fd, &st))
		found->err = -errno;
	else if (!S_ISREG(st.st_mode))
		found->err = -EINVAL;
	while (!found->err && found->size < sizeof(found->bytes) &&
	       (got = read(fd, found->bytes + found->size, sizeof(found->bytes) - found->size)) > 0)
		found->size += (size_t)got;
	if (got < 0)
		found->err = -errno;
	if (fd >= 0)
		close(fd);
	found->valid = !found->err && beat_record_parse(found->bytes, found->size, &found->record);
}

static int beat_write_new(const struct beat *beat, const char *path)
{
	char bytes[BEAT_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	ssize_t put;
	int err = 0;

	if (fd < 0)
		return -errno;
	beat_record_format(&beat->own, bytes);
	put = write(fd, bytes, sizeof(bytes));
	if (put != (ssize_t)sizeof(bytes))
		err = put < 0 ? -errno : -ENOSPC;
	/* The other mount is to see it, not only our page cache. */
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static int beat_write(struct beat *beat)
{
	char fresh[PATH_MAX], path[PATH_MAX];
	int err;

	beat->own.count++;
	err = beat_write_new(beat, beat_path(beat, true, fresh));
	if (!err && rename(fresh, beat_path(beat, false, path)))
		err = -errno;
	if (err)
		unlink(fresh);
	return err;
}

/* A write of ours that failed may have come through all the same, so any count up to ours is ours. */
static bool beat_is_own(const struct beat *beat, const struct beat_found *found)
{
	return found->valid && !strcmp(found->record.token, beat->own.token) && found->record.count <= beat->own.count;
}

static const char *beat_who(const struct beat_found *found, char out[160])
{
	if (found->valid)
		snprintf(out, 160, "sanbootd on %s (process %llu)", found->record.host,
			 (unsigned long long)found->record.pid);
	else
		snprintf(out, 160, "program (what it wrote is not sanbootd's)");
	return out;
}

/* ---- taking it ---- */

static void beat_pause(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

static int beat_refuse_alive(const struct beat *beat, const struct beat_found *found, struct reason *reason)
{
	char who[160];

	return reason_refuse(reason, -EBUSY,
			     "%s is in use by another %s: two would write the same disks, and locks do not reach it; "
			     "stop that one, or give this one another --state-dir",
			     beat->folder, beat_who(found, who));
}

static int beat_refuse(const struct beat *beat, const char *what, int err, struct reason *reason)
{
	char path[PATH_MAX];

	return reason_refuse(
		reason, err,
		"%s cannot be %s: %s; it shows whether another sanbootd uses this folder, where locks do not",
		beat_path(beat, false, path), what, strerror(-err));
}

/* Does nobody use the folder for certain? */
static bool beat_is_over(const struct beat_found *found)
{
	return found->valid && (found->record.state == BEAT_STOPPED || beat_record_life(&found->record) == BEAT_DEAD);
}

/* Is who wrote *found alive? Refuses as soon as that is seen; else *found is what lay there last. */
static int beat_watch(const struct beat *beat, struct beat_found *found, struct reason *reason)
{
	unsigned pause_ms = beat->config.period_ms / LOOKS_PER_PERIOD;
	struct beat_found now = *found;
	char who[160];

	log_info("%s was last used by another %s: watching for %u s whether it still is", beat->folder,
		 beat_who(found, who), beat->config.period_ms * WATCH_PERIODS / 1000);
	for (unsigned i = 0; i <= WATCH_PERIODS * LOOKS_PER_PERIOD; i++) {
		beat_pause(pause_ms);
		beat_look(beat, &now);
		if (now.err == -ENOENT || beat_is_over(&now))
			break; /* it has ended meanwhile */
		/* An error is not a change: a file system that is away for a moment. */
		if (!now.err && (now.size != found->size || memcmp(now.bytes, found->bytes, now.size) != 0))
			return beat_refuse_alive(beat, &now, reason);
	}
	if (now.err && now.err != -ENOENT)
		return beat_refuse(beat, "read", now.err, reason);
	*found = now;
	return 0;
}

/* What those that were killed while they wrote have left. */
static void beat_clean(const struct beat *beat)
{
	char path[PATH_MAX];
	DIR *dir;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/" BEAT_FOLDER, beat->folder);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strncmp(entry->d_name, BEAT_NEW, strlen(BEAT_NEW)))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

static int beat_claim(struct beat *beat, struct reason *reason)
{
	unsigned settle_ms = beat->config.period_ms / 2;
	struct beat_found found;
	char path[PATH_MAX];
	int err = 0;

	snprintf(path, sizeof(path), "%s/" BEAT_FOLDER, beat->folder);
	if (mkdir(path, 0750) && errno != EEXIST)
		err = -errno;
	if (err)
		return beat_refuse(beat, "written", err, reason);
	beat_look(beat, &found);
	if (found.err && found.err != -ENOENT)
		return beat_refuse(beat, "read", found.err, reason);
	/* One that is stuck has the folder all the same, as it would have a lock. */
	if (found.valid && found.record.state != BEAT_STOPPED && beat_record_life(&found.record) == BEAT_ALIVE)
		return beat_refuse_alive(beat, &found, reason);
	if (!found.err && !beat_is_over(&found)) {
		err = beat_watch(beat, &found, reason);
		if (err)
			return err;
		/* It may be stuck: if it wakes up now, it is to find our claim and write over it. */
		settle_ms = beat->config.period_ms * 2;
	}
	beat->own.term = found.valid && found.record.term < INT64_MAX ? found.record.term + 1 : 1;
	err = beat_write(beat);
	if (err)
		return beat_refuse(beat, "written", err, reason);
	beat_pause(settle_ms);
	beat_look(beat, &found);
	if (found.err)
		return beat_refuse(beat, "read", found.err, reason);
	if (!beat_is_own(beat, &found))
		return beat_refuse_alive(beat, &found, reason);
	beat_clean(beat);
	beat->own.state = BEAT_SERVING;
	err = beat_write(beat);
	return err ? beat_refuse(beat, "written", err, reason) : 0;
}

/* ---- beating ---- */

/* Another server's beat lies where ours was. False: it has the folder now. */
static bool beat_meet(struct beat *beat, const struct beat_found *found)
{
	const struct beat_record *other = &found->record;
	struct reason what;
	char who[160];

	if (other->state != BEAT_STARTING && beat_record_compare(other, &beat->own) > 0) {
		reason_set(&what,
			   "another %s serves from %s now, and both would write the same disks: this one ends at once, and "
			   "leaves the disks as a crash would. Let one server use that folder only",
			   beat_who(found, who), beat->folder);
		beat->config.superseded(beat->config.arg, &what);
		return false;
	}
	/* Ours is to be the later one, so that a claimant that meanwhile serves leaves. */
	if (other->state == BEAT_STARTING && other->term >= beat->own.term && other->term < INT64_MAX)
		beat->own.term = other->term + 1;
	if (!strcmp(beat->seen, other->token))
		return true;
	memcpy(beat->seen, other->token, sizeof(beat->seen));
	reason_set(&what,
		   "another %s has %s %s: it is refused or ends by itself. Let one server use that folder only, and look "
		   "at the disks that it may have written: sanbootctl volume list",
		   beat_who(found, who), other->state == BEAT_STARTING ? "tried to start in" : "served from",
		   beat->folder);
	beat->config.seen(beat->config.arg, &what);
	return true;
}

static void beat_say_failing(struct beat *beat, const char *what, int err)
{
	char path[PATH_MAX];

	if (err && !beat->failing)
		log_error("%s cannot be %s: %s; until it can, another sanbootd may take this one for dead",
			  beat_path(beat, false, path), what, strerror(-err));
	beat->failing = err;
}

/* False: the folder is another's. */
static bool beat_once(struct beat *beat)
{
	struct beat_found found;

	beat_look(beat, &found);
	/* Not written over what may be a later server's. */
	if (found.err && found.err != -ENOENT) {
		beat_say_failing(beat, "read", found.err);
		return true;
	}
	if (found.valid && !beat_is_own(beat, &found) && !beat_meet(beat, &found))
		return false;
	beat_say_failing(beat, "written", beat_write(beat));
	return true;
}

static void *beat_main(void *arg)
{
	struct beat *beat = arg;
	struct timespec next;
	bool ours = true;

	pthread_setname_np(pthread_self(), "beat");
	pthread_mutex_lock(&beat->mutex);
	while (!beat->stop && ours) {
		next = time_monotonic_in(beat->config.period_ms);
		while (!beat->stop && pthread_cond_timedwait(&beat->wake, &beat->mutex, &next) != ETIMEDOUT)
			;
		if (beat->stop)
			break;
		pthread_mutex_unlock(&beat->mutex);
		ours = beat_once(beat);
		pthread_mutex_lock(&beat->mutex);
	}
	pthread_mutex_unlock(&beat->mutex);
	return NULL;
}

int beat_take(const struct beat_config *config, struct beat **beat, struct reason *reason)
{
	struct beat *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return reason_refuse(reason, -ENOMEM, "no memory");
	made->config = *config;
	snprintf(made->folder, sizeof(made->folder), "%s", config->folder);
	pthread_mutex_init(&made->mutex, NULL);
	cond_init_monotonic(&made->wake);
	beat_record_describe_self(&made->own);
	err = beat_claim(made, reason);
	if (!err) {
		err = -pthread_create(&made->thread, NULL, beat_main, made);
		made->running = !err;
		if (err)
			reason_set(reason, "cannot start a thread: %s", strerror(-err));
	}
	if (err) {
		beat_free(made);
		return err;
	}
	*beat = made;
	return 0;
}

void beat_free(struct beat *beat)
{
	struct beat_found found;
	char path[PATH_MAX];

	if (!beat)
		return;
	pthread_mutex_lock(&beat->mutex);
	beat->stop = true;
	pthread_cond_signal(&beat->wake);
	pthread_mutex_unlock(&beat->mutex);
	if (beat->running)
		pthread_join(beat->thread, NULL);
	/* Only over our own: another's says that he lives. A claim that came to nothing is no term. */
	beat_look(beat, &found);
	beat->own.state = BEAT_STOPPED;
	if (beat_is_own(beat, &found) && (!beat->running || beat_write(beat)))
		unlink(beat_path(beat, false, path));
	pthread_cond_destroy(&beat->wake);
	pthread_mutex_destroy(&beat->mutex);
	free(beat);
}
