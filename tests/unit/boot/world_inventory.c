// SPDX-License-Identifier: GPL-2.0-or-later
/* What a world has in its inventory and its folders, put there and read: see world.h. */
#include "world.h"

#include "base/util.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGE_BYTES = 4 << 20 };

int world_write(struct world *w, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_write_call(w->inventory, run, arg);
}

static int world_read(struct world *w, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_read_call(w->inventory, run, arg);
}

static int add_image(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;
	int err = version_insert(tx, version);

	return err ? err : version_publish(tx, version->id);
}

static int next_number(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;

	return version_next_number(tx, version->image, &version->number);
}

void world_add_image(struct world *w, const char *name, unsigned char byte)
{
	struct image_version version = { .state = VERSION_TEST, .format = "raw", .size_bytes = IMAGE_BYTES };
	char path[PATH_MAX], command[PATH_MAX + 32];
	unsigned char *data = malloc(1 << 20);
	struct stat st;
	FILE *sum;
	int fd;

	assert_non_null(data);
	snprintf(version.image, sizeof(version.image), "%s", name);
	assert_int_equal(world_write(w, next_number, &version), 0);
	snprintf(version.file, sizeof(version.file), "%s@%u.raw", name, version.number);
	snprintf(path, sizeof(path), "%s/images/%s", w->dir, version.file);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0444);
	assert_true(fd >= 0);
	memset(data, byte, 1 << 20);
	assert_int_equal(write(fd, data, 1 << 20), 1 << 20);
	assert_int_equal(ftruncate(fd, IMAGE_BYTES), 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	free(data);
	snprintf(command, sizeof(command), "sha256sum '%s'", path);
	sum = popen(command, "r");
	assert_non_null(sum);
	assert_int_equal(fread(version.sha256, 1, 64, sum), 64);
	pclose(sum);
	version.inode = st.st_ino;
	version.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	version.created_ms = time_unix_ms();
	assert_int_equal(world_write(w, add_image, &version), 0);
}

struct key_value {
	const char *key, *value;
};

static int set_policy(struct inventory_tx *tx, void *arg)
{
	struct key_value *kv = arg;
	struct reason reason;

	return policy_set(tx, kv->key, kv->value, &reason);
}

void world_policy(struct world *w, const char *key, const char *value)
{
	struct key_value kv = { key, value };

	assert_int_equal(world_write(w, set_policy, &kv), 0);
}

struct machine_of {
	const char *which;
	struct machine machine;
	unsigned count;
};

static int read_machine(struct inventory_tx *tx, void *arg)
{
	struct machine_of *of = arg;

	return machine_find(tx, of->which, &of->machine);
}

struct machine world_machine(struct world *w, const char *which)
{
	struct machine_of of = { .which = which };
	int err = world_read(w, read_machine, &of);

	if (err)
		fail_msg("no machine %s: %s", which, strerror(-err));
	return of.machine;
}

static int read_count(struct inventory_tx *tx, void *arg)
{
	return machine_count(tx, arg);
}

unsigned world_machine_count(struct world *w)
{
	unsigned count;

	assert_int_equal(world_read(w, read_count, &count), 0);
	return count;
}

struct waiting_of {
	const char *mac;
	struct waiting row;
	unsigned count;
};

static int count_waiting(void *arg, const struct waiting *row)
{
	struct waiting_of *of = arg;

	of->count++;
	if (!strcmp(row->mac, of->mac))
		of->row = *row;
	return 0;
}

static int read_waiting(struct inventory_tx *tx, void *arg)
{
	return waiting_each(tx, count_waiting, arg);
}

unsigned world_waiting(struct world *w, const char *mac, struct waiting *row)
{
	struct waiting_of of = { .mac = mac };

	assert_int_equal(world_read(w, read_waiting, &of), 0);
	if (row)
		*row = of.row;
	return of.count;
}

struct boots_of {
	int64_t machine_id;
	struct machine_boot *current, *pending;
};

static int read_boots(struct inventory_tx *tx, void *arg)
{
	struct boots_of *of = arg;
	int err = machine_boot_current(tx, of->machine_id, of->current);

	if (err && err != -ENOENT)
		return err;
	err = machine_boot_pending(tx, of->machine_id, of->pending);
	return err == -ENOENT ? 0 : err;
}

bool world_boots(struct world *w, int64_t machine_id, struct machine_boot *current, struct machine_boot *pending)
{
	struct boots_of of = { machine_id, current, pending };

	memset(current, 0, sizeof(*current));
	memset(pending, 0, sizeof(*pending));
	assert_int_equal(world_read(w, read_boots, &of), 0);
	return current->number || pending->number;
}

struct events_of {
	const char *kind;
	unsigned count;
};

static int count_event(void *arg, const struct event *event)
{
	struct events_of *of = arg;

	of->count += !strcmp(event->kind, of->kind);
	return 0;
}

static int read_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 100000, count_event, arg);
}

unsigned world_events(struct world *w, const char *kind)
{
	struct events_of of = { kind, 0 };

	/* A write job: behind all events that were queued. */
	assert_int_equal(world_write(w, read_events, &of), 0);
	return of.count;
}

unsigned world_children(struct world *w)
{
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	in_flight_wait(&w->boot->in_flight); /* what was given up goes on a worker */
	snprintf(path, sizeof(path), "%s/children", w->dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strstr(entry->d_name, ".qcow2") && !strstr(entry->d_name, ".journal");
	closedir(dir);
	return count;
}

static int count_volume(void *arg, const struct volume *volume)
{
	*(unsigned *)arg += volume->kind != VOLUME_SYSTEM;
	return 0;
}

static int count_volumes(struct inventory_tx *tx, void *arg)
{
	return volume_each(tx, count_volume, arg);
}

unsigned world_volume_count(struct world *w)
{
	unsigned count = 0;

	assert_int_equal(world_read(w, count_volumes, &count), 0);
	return count;
}

struct volume_of {
	const char *which;
	struct volume volume;
};

static int read_volume(struct inventory_tx *tx, void *arg)
{
	struct volume_of *of = arg;
	int err = volume_find(tx, of->which, &of->volume);

	return err == -ENOENT ? 0 : err;
}

struct volume world_volume(struct world *w, const char *which)
{
	struct volume_of of = { .which = which };

	assert_int_equal(world_read(w, read_volume, &of), 0);
	return of.volume;
}
