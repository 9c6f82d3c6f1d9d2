// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/fixture.h"

#include "base/util.h"
#include "store/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/var/tmp/sanbootd-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	return f;
}

void fixture_open(struct fixture *f)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 2 };
	struct reason reason = { "" };

	assert_int_equal(pool_new(threads, &f->pool), 0);
	if (store_open(f->state, f->pool, &f->store, &reason))
		fail_msg("%s", reason.text);
	if (f->backends)
		f->store->backends = f->backends;
	if (inventory_open(store_inventory_path(f->store), &f->inventory, &reason))
		fail_msg("%s", reason.text);
	if (store_attach(f->store, f->inventory, &reason))
		fail_msg("%s", reason.text);
}

void fixture_close(struct fixture *f)
{
	store_close(f->store);
	inventory_close(f->inventory);
	pool_free(f->pool);
	f->store = NULL;
	f->inventory = NULL;
	f->pool = NULL;
}

int fixture_setup(void **state)
{
	struct fixture *f = fixture_new();

	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->store)
		fixture_close(f);
	run_command("rm -rf %s", f->dir);
	free(f);
	return 0;
}

int in_write(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_write_call(f->inventory, run, arg);
}

/* ---- files ---- */

static char *next_buffer(void)
{
	static char buffers[8][PATH_MAX];
	static unsigned next;

	return buffers[next++ % array_len(buffers)];
}

const char *input(struct fixture *f, const char *name)
{
	char *path = next_buffer();

	snprintf(path, PATH_MAX, "%s/%s", f->dir, name);
	return path;
}

const char *in_state(struct fixture *f, const char *folder, const char *name)
{
	char *path = next_buffer();

	snprintf(path, PATH_MAX, "%s/%s/%s", f->state, folder, name);
	return path;
}

void run_command(const char *format, ...)
{
	char command[4 * PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

bool have_tool(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null 2>&1", name);
	if (!system(command))
		return true;
	test_skip("%s is not installed (make deps)", name);
	return false;
}

void make_file(const char *path, const void *data, size_t len, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

void make_disk(const char *path, uint64_t size, unsigned seed)
{
	static uint8_t block[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (uint64_t at = 0; at < size; at += size / 8 + 4096) {
		size_t len = (size_t)min_u64(sizeof(block), size - at);

		for (size_t i = 0; i < len; i++)
			block[i] = (uint8_t)(seed * 31 + at + i * 7 + (i >> 8));
		assert_int_equal(pwrite(fd, block, len, (off_t)at), len);
	}
	close(fd);
}

unsigned count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

bool same_content(const char *a, const char *b)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cmp -s %s %s", a, b);
	return !system(command);
}

/* ---- images ---- */

void import_wait(struct fixture *f, uint64_t id, struct job_status *status)
{
	struct job_status now;

	for (;;) {
		assert_int_equal(store_job_status(f->store, id, &now), 0);
		if (now.stage != status->stage || now.percent != status->percent || strcmp(now.text, status->text))
			break;
		usleep(1000);
	}
	*status = now;
}

struct job_status import_for(struct fixture *f, const char *path, const char *name, enum import_use use)
{
	struct job_status status = { 0 };
	struct reason reason = { "" };
	uint64_t id;

	if (store_import(f->store, path, name, use, "test", &id, &reason))
		fail_msg("%s", reason.text);
	while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	return status;
}

struct job_status import_file(struct fixture *f, const char *path, const char *name)
{
	return import_for(f, path, name, IMPORT_FOR_MACHINES);
}

struct version_query {
	const char *image;
	unsigned number;
	struct image_version version;
};

static int read_version(struct inventory_tx *tx, void *arg)
{
	struct version_query *query = arg;

	return version_find(tx, query->image, query->number, &query->version);
}

struct image_version get_version(struct fixture *f, const char *image, unsigned number)
{
	struct version_query query = { .image = image, .number = number };

	assert_int_equal(in_write(f, read_version, &query), 0);
	return query.version;
}

struct image_version import_version(struct fixture *f, const char *path, const char *name)
{
	struct job_status status = import_file(f, path, name);
	char *at;

	if (status.stage != JOB_DONE)
		fail_msg("%s", status.text);
	at = strchr(status.text, '@');
	assert_non_null(at);
	return get_version(f, name, (unsigned)strtoul(at + 1, NULL, 10));
}

/* ---- machines ---- */

struct enrolment {
	struct fixture *f;
	const struct image_version *version;
	unsigned n;
	struct machine machine;
};

static int enrol_run(struct inventory_tx *tx, void *arg)
{
	struct enrolment *e = arg;
	struct machine *m = &e->machine;
	char mac[PARSE_MAC_TEXT];
	struct reason reason;
	struct policy policy;

	if (policy_get(tx, &policy))
		return -EIO;
	policy.reserve_percent = 0;
	snprintf(m->name, sizeof(m->name), "pc-%u", e->n);
	snprintf(m->iqn, sizeof(m->iqn), "iqn.2026-11.test:%u", e->n);
	snprintf(mac, sizeof(mac), "52:54:00:00:%02x:%02x", e->n >> 8 & 255, e->n & 255);
	m->system.version_id = e->version->id;
	if (store_create_volume(e->f->store, &m->system, e->version, &policy, e->n, &reason))
		return -EIO;
	return machine_insert(tx, m, mac);
}

struct machine enrol(struct fixture *f, const struct image_version *version, unsigned n)
{
	struct enrolment e = { .f = f, .version = version, .n = n };

	assert_int_equal(in_write(f, enrol_run, &e), 0);
	return e.machine;
}

static int read_machine(struct inventory_tx *tx, void *arg)
{
	struct machine *machine = arg;

	return machine_by_id(tx, machine->id, machine);
}

struct machine get_machine(struct fixture *f, int64_t id)
{
	struct machine machine = { .id = id };

	assert_int_equal(in_write(f, read_machine, &machine), 0);
	return machine;
}

static int write_machine(struct inventory_tx *tx, void *arg)
{
	return machine_update(tx, arg);
}

void put_machine(struct fixture *f, const struct machine *machine)
{
	assert_int_equal(in_write(f, write_machine, (void *)(uintptr_t)machine), 0);
}
