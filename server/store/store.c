// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the store: its folders, its lock, its backends. See store.h. */
#include "store/store.h"

#include "base/parse.h"
#include "base/util.h"
#include "store/backend.h"
#include "store/beat.h"
#include "store/generated/generated.h"
#include "store/mount_kind.h"
#include "store/jobs.h"
#include "store/private.h"
#include "store/reach.h"
#include "store/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 2000, LOCK_POLL_MS = 10 };

static const char *const folders[] = { "images", "children", "generated", "tmp" };
static const struct store_backend *const store_backends[] = { &store_files, &store_generated, NULL };

static int make_folder(const char *path, struct reason *reason)
{
	struct stat st;

	if (mkdir(path, 0750) && errno != EEXIST) {
		int err = -errno;

		return reason_refuse(reason, err, "%s cannot be made: %s", path, strerror(-err));
	}
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return 0;
	return reason_refuse(reason, -ENOTDIR, "%s is not a folder: move it away", path);
}

/* The pid that the file of the lock names; 0: none. */
static long lock_holder(const struct store *store)
{
	char text[32];
	ssize_t len = pread(store->lock_fd, text, sizeof(text) - 1, 0);
	uint64_t pid = 0;

	text[len > 0 ? len : 0] = '\0';
	text[strspn(text, "0123456789")] = '\0';
	return parse_u64(text, 1, INT32_MAX, &pid) ? (long)pid : 0;
}

/*
 * A process that was killed may leave the lock for a moment to a child that it had just forked for qemu-img, which closes
 * it before it does anything else. 0 or -errno; *holder: who has it.
 */
static int lock_whole(const struct store *store, long *holder)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (unsigned waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
		if (!fcntl(store->lock_fd, F_OFD_SETLK, &whole))
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		*holder = lock_holder(store);
		if (waited_ms >= LOCK_WAIT_MS || !*holder || !kill((pid_t)*holder, 0) || errno != ESRCH)
			return -EBUSY;
		usleep(LOCK_POLL_MS * 1000);
	}
}

/* One process per state directory. The lock is the kernel's: it dies with us. The pid in the file is for people. */
static int take_lock(struct store *store, struct reason *reason)
{
	char path[PATH_MAX], pid[32] = "unknown";
	long holder = 0;
	int err;

	store->lock_fd = open(store_path(store, NULL, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0) {
		err = -errno;
		return reason_refuse(reason, err, "%s: %s", path, strerror(-err));
	}
	err = lock_whole(store, &holder);
	if (err == -EBUSY) {
		if (holder)
			snprintf(pid, sizeof(pid), "%ld", holder);
		return reason_refuse(reason, err,
				     "%s is in use by another sanbootd (process %s): stop that one, or give this one "
				     "another --state-dir",
				     store->dir, pid);
	}
	if (err)
		return reason_refuse(reason, err, "%s cannot be locked: %s", path, strerror(-err));
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(store->lock_fd, 0) || pwrite(store->lock_fd, pid, strlen(pid), 0) < 0) {
		err = -errno;
		return reason_refuse(reason, err, "%s cannot be written: %s", path, strerror(-err));
	}
	return 0;
}

static int find_qemu_img(struct store *store, struct reason *reason)
{
	const char *path = getenv("PATH");
	char list[4096], *rest = list, *folder;

	snprintf(list, sizeof(list), "%s:/usr/local/bin:/usr/bin:/bin", path ? path : "");
	while ((folder = strsep(&rest, ":"))) {
		int len = snprintf(store->qemu_img, sizeof(store->qemu_img), "%s/qemu-img", folder);

		if (folder[0] == '/' && len < (int)sizeof(store->qemu_img) && !access(store->qemu_img, X_OK))
			return 0;
	}
	return reason_refuse(reason, -ENOENT, "qemu-img was not found: install it (Debian: apt install qemu-utils)");
}

int store_open(const char *state_dir, struct pool *pool, struct store **store, struct reason *reason)
{
	struct store *made = calloc(1, sizeof(*made));
	char path[PATH_MAX];
	int err = 0;

	if (!made)
		return reason_refuse(reason, -ENOMEM, "no memory");
	made->lock_fd = -1;
	made->pool = pool;
	made->backends = store_backends;
	pthread_mutex_init(&made->mutex, NULL);
	shared_init(made);
	jobs_init(made);
	if (strlen(state_dir) >= sizeof(made->dir))
		err = reason_refuse(reason, -ENAMETOOLONG,
				    "the name of the state directory is too long (at most %zu bytes)",
				    sizeof(made->dir) - 1);
	if (!err) {
		snprintf(made->dir, sizeof(made->dir), "%s", state_dir);
		snprintf(made->inventory_path, sizeof(made->inventory_path), "%s/inventory.db", state_dir);
		err = make_folder(made->dir, reason);
	}
	if (!err)
		err = take_lock(made, reason);
	for (size_t i = 0; i < array_len(folders) && !err; i++)
		err = make_folder(store_path(made, folders[i], NULL, path), reason);
	if (!err)
		err = reach_open(made->dir, mount_kind_of, BEAT_PERIOD_MS, &made->reach, reason);
	/* Nobody else may reach what is being imported: qemu-img's output is writable for all while it is made. */
	if (!err && chmod(store_path(made, "tmp", NULL, path), 0700))
		err = reason_refuse(reason, -errno, "%s: %s", path, strerror(errno));
	if (!err)
		err = find_qemu_img(made, reason);
	if (err) {
		store_close(made);
		return err;
	}
	*store = made;
	return 0;
}

int store_attach(struct store *store, struct inventory *inventory, struct reason *reason)
{
	store->inventory = inventory;
	reach_attach(store->reach, inventory);
	return store_reclaim(store, reason);
}

void store_each_warning(struct store *store, void (*each)(void *arg, const char *text), void *arg)
{
	reach_each_warning(store->reach, each, arg);
}

void store_stop(struct store *store)
{
	if (store->stopped)
		return;
	store->stopped = true;
	jobs_fini(store);
	if (store->reach)
		reach_attach(store->reach, NULL);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_stop(store);
	reach_close(store->reach);
	shared_fini(store);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

const char *store_inventory_path(const struct store *store)
{
	return store->inventory_path;
}
