// SPDX-License-Identifier: GPL-2.0-or-later
/* See world.h. Everything asynchronous is waited for with a semaphore, never with a guessed time. */
#include "world.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ftw.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGE_BYTES = 4 << 20 };

/* ---- the runtime ---- */

struct runtime_answer {
	struct loop_msg msg;
	struct world *world;
	void (*probed)(void *arg, bool alive, const struct boot_session *session);
	void (*each)(void *arg, const struct boot_session *session);
	void (*released)(void *arg);
	void *arg;
};

static void runtime_run(struct loop_msg *msg)
{
	struct runtime_answer *a = container_of(msg, struct runtime_answer, msg);
	struct world *w = a->world;

	if (a->probed)
		a->probed(a->arg, w->alive, w->alive ? &w->session : NULL);
	if (a->each) {
		for (unsigned i = 0; i < w->sessions; i++)
			a->each(a->arg, &w->session);
		a->each(a->arg, NULL);
	}
	if (a->released)
		a->released(a->arg);
	free(a);
}

static struct runtime_answer *runtime_new(void *world, void *arg)
{
	struct runtime_answer *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	a->msg.run = runtime_run;
	a->world = world;
	a->arg = arg;
	return a;
}

static void runtime_probe(void *world, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
			  void (*answered)(void *arg, bool alive, const struct boot_session *session), void *arg)
{
	struct runtime_answer *a = runtime_new(world, arg);

	(void)key;
	assert_int_equal(timeout_ms, 5000);
	a->world->probes++;
	a->probed = answered;
	loop_post(reply_loop, &a->msg);
}

static void runtime_sessions(void *world, uint64_t key, struct loop *reply_loop,
			     void (*each)(void *arg, const struct boot_session *session), void *arg)
{
	struct runtime_answer *a = runtime_new(world, arg);

	(void)key;
	a->each = each;
	loop_post(reply_loop, &a->msg);
}

struct releasing {
	struct loop_msg msg;
	struct runtime_answer *answer;
	struct loop *reply_loop;
};

static void release_closed(void *arg)
{
	struct releasing *r = arg;

	loop_post(r->reply_loop, &r->answer->msg);
	free(r);
}

static void release_on_io(struct loop_msg *msg)
{
	struct releasing *r = container_of(msg, struct releasing, msg);
	struct world *w = r->answer->world;
	struct disk *disk = w->disk;

	w->sessions = 0;
	w->alive = false;
	w->disk = NULL;
	if (disk)
		boot_target_close(w->boot, w->disk_machine, disk, w->io, release_closed, r);
	else
		release_closed(r);
}

struct resizing {
	struct loop_msg msg;
	struct world *world;
	uint64_t key, size_bytes;
	struct loop *reply_loop;
	void (*resized)(void *arg, int err, const char *reason);
	void *arg;
	int err;
	char reason[300];
};

static void resize_reply(struct loop_msg *msg)
{
	struct resizing *r = container_of(msg, struct resizing, msg);

	r->resized(r->arg, r->err, r->reason);
	free(r);
}

static void resize_grown(void *arg, struct disk *disk, int err, const char *reason)
{
	struct resizing *r = arg;

	r->world->disk = disk;
	r->err = err;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	r->msg.run = resize_reply;
	loop_post(r->reply_loop, &r->msg);
}

static void resize_on_io(struct loop_msg *msg)
{
	struct resizing *r = container_of(msg, struct resizing, msg);
	struct world *w = r->world;

	if (w->disk && (uint64_t)w->disk_machine == r->key)
		boot_target_grow(w->boot, w->disk_machine, w->disk, r->size_bytes, w->io, resize_grown, r);
	else
		resize_grown(r, w->disk, -ENOENT, "");
}

static void runtime_resize(void *world, uint64_t key, uint64_t size_bytes, struct loop *reply_loop,
			   void (*resized)(void *arg, int err, const char *reason), void *arg)
{
	struct resizing *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*r = (struct resizing){ .msg.run = resize_on_io, .world = world, .key = key, .size_bytes = size_bytes,
				.reply_loop = reply_loop, .resized = resized, .arg = arg };
	loop_post(r->world->io, &r->msg);
}

static void runtime_release(void *world, uint64_t key, const char *why, struct loop *reply_loop,
			    void (*released)(void *arg), void *arg)
{
	struct releasing *r = calloc(1, sizeof(*r));

	(void)key;
	assert_non_null(r);
	assert_true(why[0]);
	r->msg.run = release_on_io;
	r->answer = runtime_new(world, arg);
	r->answer->released = released;
	r->reply_loop = reply_loop;
	r->answer->world->releases++;
	loop_post(r->answer->world->io, &r->msg);
}

/* ---- life ---- */

static void world_start(struct world *w)
{
	static const unsigned threads[POOL_CLASSES] = { 2, 2, 2, 4 };
	char reason[REASON_TEXT] = "";
	struct boot_config config = { .iqn_prefix = "iqn.2026-11.org.example:sanbootd" };

	assert_int_equal(pool_new(threads, &w->pool), 0);
	w->loop = loop_new(0);
	w->io = loop_new(1);
	assert_non_null(w->loop);
	assert_non_null(w->io);
	assert_int_equal(loop_start(w->loop, "control"), 0);
	assert_int_equal(loop_start(w->io, "io-0"), 0);
	if (store_open(w->dir, w->pool, &w->store, reason, sizeof(reason)) ||
	    inventory_open(store_inventory_path(w->store), &w->inventory, reason, sizeof(reason)) ||
	    store_attach(w->store, w->inventory, reason, sizeof(reason)))
		fail_msg("%s", reason);
	assert_int_equal(disk_env_new(w->pool, &w->io, 1, &w->disk_env), 0);
	char scripts[96], entries[96];

	snprintf(scripts, sizeof(scripts), "%s/site/ipxe-scripts", w->dir);
	snprintf(entries, sizeof(entries), "%s/site/entries", w->dir);
	config.ipxe_scripts = scripts;
	config.entries = entries;
	config.inventory = w->inventory;
	config.store = w->store;
	config.disk_env = w->disk_env;
	config.pool = w->pool;
	config.loop = w->loop;
	assert_int_equal(boot_new(&config, &w->boot), 0);
	w->runtime = (struct boot_runtime){
		.arg = w, .probe = runtime_probe, .release = runtime_release, .sessions = runtime_sessions,
		.resize = runtime_resize
	};
	boot_set_runtime(w->boot, &w->runtime, 3260);
}

static void world_stop(struct world *w)
{
	world_close(w);
	boot_free(w->boot);
	inventory_close(w->inventory);
	store_close(w->store);
	pool_free(w->pool);
	loop_stop(w->loop);
	loop_stop(w->io);
	disk_env_free(w->disk_env);
	loop_free(w->loop);
	loop_free(w->io);
}

struct world *world_new(bool with_image)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(w->dir, sizeof(w->dir), "/tmp/unit-boot.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	world_start(w);
	if (with_image)
		world_add_image(w, "debian", 'd');
	return w;
}

void world_restart(struct world *w)
{
	world_stop(w);
	world_start(w);
}

void world_site_file(struct world *w, const char *name, const char *text)
{
	static const char *const folders[] = { "site", "site/entries", "site/ipxe-scripts" };
	char path[160];
	FILE *file;

	for (size_t i = 0; i < array_len(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, folders[i]);
		mkdir(path, 0755);
	}
	snprintf(path, sizeof(path), "%s/site/%s", w->dir, name);
	if (!text) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_free(struct world *w)
{
	world_stop(w);
	nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
}

/* ---- the inventory ---- */

struct world_job {
	struct inventory_job job;
	int (*run)(struct inventory_tx *tx, void *arg);
	void *arg;
};

static int world_job_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct world_job *wj = container_of(job, struct world_job, job);

	return wj->run(tx, wj->arg);
}

int world_write(struct world *w, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	struct world_job wj = { .job.run = world_job_run, .run = run, .arg = arg };

	return inventory_write_wait(w->inventory, &wj.job);
}

static int world_read(struct world *w, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	struct world_job wj = { .job.run = world_job_run, .run = run, .arg = arg };

	return inventory_read_wait(w->inventory, &wj.job);
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
	struct image_version version = { .state = VERSION_READY, .format = "raw", .size_bytes = IMAGE_BYTES };
	char path[PATH_MAX], command[PATH_MAX + 32];
	unsigned char *data = malloc(1 << 20);
	struct stat st;
	FILE *sum;
	int fd;

	assert_non_null(data);
	snprintf(version.image, sizeof(version.image), "%s", name);
	assert_int_equal(world_write(w, next_number, &version), 0);
	snprintf(version.file, sizeof(version.file), "%s@%u.raw", name, version.number);
	store_version_path(w->store, &version, path, sizeof(path));
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
	char reason[REASON_TEXT];

	return policy_set(tx, kv->key, kv->value, reason, sizeof(reason));
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
	struct boot_record *current, *pending;
};

static int read_boots(struct inventory_tx *tx, void *arg)
{
	struct boots_of *of = arg;
	int err = boot_current(tx, of->machine_id, of->current);

	if (err && err != -ENOENT)
		return err;
	err = boot_pending(tx, of->machine_id, of->pending);
	return err == -ENOENT ? 0 : err;
}

bool world_boots(struct world *w, int64_t machine_id, struct boot_record *current, struct boot_record *pending)
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

	snprintf(path, sizeof(path), "%s/children", w->dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strstr(entry->d_name, ".qcow2") && !strstr(entry->d_name, ".journal");
	closedir(dir);
	return count;
}

/* ---- asking ---- */

struct boot_ask world_ask_of(const char *mac, const char *uuid, const char *serial)
{
	struct boot_ask ask = { .platform = "pcbios",
				.buildarch = "i386",
				.client = "127.0.0.1:5000",
				.server = "127.0.0.1",
				.base_url = "http://127.0.0.1:8080",
				.manufacturer = "QEMU",
				.product = "PC" };

	snprintf(ask.mac, sizeof(ask.mac), "%s", mac);
	snprintf(ask.uuid, sizeof(ask.uuid), "%s", uuid);
	snprintf(ask.serial, sizeof(ask.serial), "%s", serial);
	return ask;
}

struct asking {
	sem_t done;
	struct reply reply;
};

static void asked(void *arg, const struct boot_answer *answer)
{
	struct asking *asking = arg;

	asking->reply.status = answer->status;
	snprintf(asking->reply.outcome, sizeof(asking->reply.outcome), "%s", answer->outcome);
	asking->reply.script = strdup(buf_text(&answer->script));
	sem_post(&asking->done);
}

struct reply world_ask(struct world *w, const struct boot_ask *ask)
{
	struct asking asking = { .reply = { 0 } };

	sem_init(&asking.done, 0, 0);
	boot_request(w->boot, ask, asked, &asking);
	sem_wait(&asking.done);
	sem_destroy(&asking.done);
	return asking.reply;
}

void world_expect(struct world *w, const char *mac, const char *uuid, const char *serial, const char *outcome,
		  const char *in_script)
{
	struct boot_ask ask = world_ask_of(mac, uuid, serial);
	struct reply reply = world_ask(w, &ask);

	if (strcmp(reply.outcome, outcome) || (in_script && !strstr(reply.script, in_script)))
		fail_msg("%s: %d %s instead of %s with \"%s\":\n%s", mac, reply.status, reply.outcome, outcome,
			 in_script ? in_script : "", reply.script);
	free(reply.script);
}

void script_setting(const char *script, const char *name, char *out, size_t out_size)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\nset %s ", name);
	at = strstr(script, line);
	snprintf(out, out_size, "%.*s", at ? (int)strcspn(at + strlen(line), " \n") : 0, at ? at + strlen(line) : "");
}

/* ---- targets ---- */

struct calling {
	sem_t done;
	struct boot_access access;
	int err;
	struct disk *disk;
	uint16_t status;
	char reason[256];
};

static void call_found(void *arg, const struct boot_access *access)
{
	struct calling *calling = arg;

	calling->access = *access;
	sem_post(&calling->done);
}

static void call_wait(struct calling *calling)
{
	sem_wait(&calling->done);
	sem_destroy(&calling->done);
}

struct boot_access world_find(struct world *w, const char *iqn, const char *initiator)
{
	struct calling calling = { .err = 0 };

	sem_init(&calling.done, 0, 0);
	boot_target_find(w->boot, iqn, initiator, w->io, call_found, &calling);
	call_wait(&calling);
	return calling.access;
}

static void call_begun(void *arg, int err, const char *reason)
{
	struct calling *calling = arg;

	calling->err = err;
	assert_true(!err == !reason[0]);
	sem_post(&calling->done);
}

int world_begin(struct world *w, int64_t machine_id, uint64_t number)
{
	struct calling calling = { .err = 0 };

	sem_init(&calling.done, 0, 0);
	boot_target_begin(w->boot, machine_id, number, w->io, call_begun, &calling);
	call_wait(&calling);
	return calling.err;
}

static void call_opened(void *arg, struct disk *disk, uint16_t login_status, const char *reason)
{
	struct calling *calling = arg;

	calling->disk = disk;
	calling->status = login_status;
	snprintf(calling->reason, sizeof(calling->reason), "%s", reason);
	sem_post(&calling->done);
}

struct disk *world_open(struct world *w, int64_t machine_id, uint64_t number, uint16_t *status, char reason[256])
{
	struct calling calling = { .err = 0 };

	sem_init(&calling.done, 0, 0);
	boot_target_open(w->boot, machine_id, number, w->io, call_opened, &calling);
	call_wait(&calling);
	if (calling.disk) {
		w->disk = calling.disk;
		w->disk_machine = machine_id;
	}
	*status = calling.status;
	snprintf(reason, 256, "%s", calling.reason);
	return calling.disk;
}

struct closing {
	struct loop_msg msg;
	struct world *world;
	sem_t done;
};

static void close_done(void *arg)
{
	sem_post(arg);
}

static void close_run(struct loop_msg *msg)
{
	struct closing *closing = container_of(msg, struct closing, msg);
	struct world *w = closing->world;

	boot_target_close(w->boot, w->disk_machine, w->disk, w->io, close_done, &closing->done);
	w->disk = NULL;
}

void world_close(struct world *w)
{
	struct closing closing = { .msg.run = close_run, .world = w };

	if (!w->disk)
		return;
	sem_init(&closing.done, 0, 0);
	loop_post(w->io, &closing.msg);
	sem_wait(&closing.done);
	sem_destroy(&closing.done);
}

struct writing {
	struct loop_msg msg;
	struct disk *disk;
	struct disk_request request;
	struct iovec iov;
	unsigned char block[4096];
	sem_t done;
};

static void write_done(struct disk_request *request)
{
	sem_post(&((struct writing *)request->user)->done);
}

static void write_run(struct loop_msg *msg)
{
	struct writing *writing = container_of(msg, struct writing, msg);

	disk_submit(writing->disk, &writing->request);
}

int world_write_block(struct world *w, uint64_t offset, unsigned char byte, bool flush)
{
	struct writing writing = { .msg.run = write_run, .disk = w->disk };

	memset(writing.block, byte, sizeof(writing.block));
	writing.iov = (struct iovec){ writing.block, sizeof(writing.block) };
	writing.request = (struct disk_request){ .op = DISK_WRITE,
						 .fua = flush,
						 .offset = offset,
						 .length = sizeof(writing.block),
						 .iov = &writing.iov,
						 .iov_count = 1,
						 .done = write_done,
						 .user = &writing };
	sem_init(&writing.done, 0, 0);
	loop_post(w->io, &writing.msg);
	sem_wait(&writing.done);
	sem_destroy(&writing.done);
	return writing.request.result;
}
