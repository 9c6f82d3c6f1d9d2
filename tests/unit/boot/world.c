// SPDX-License-Identifier: GPL-2.0-or-later
/* See world.h. Everything asynchronous is waited for with a semaphore, never with a guessed time. */
#include "world.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the runtime ---- */

struct runtime_answer {
	struct loop_msg msg;
	struct world *world;
	void (*probed)(void *arg, bool alive, const struct boot_session *session);
	void (*each)(void *arg, const struct boot_session *session, int err);
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
			a->each(a->arg, &w->session, 0);
		a->each(a->arg, NULL, w->sessions_err);
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
			     void (*each)(void *arg, const struct boot_session *session, int err), void *arg)
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
		boot_target_close(w->boot, w->luns, w->lun_count, release_closed, r);
	else
		release_closed(r);
	w->lun_count = 0;
}

struct resizing {
	struct loop_msg msg;
	struct world *world;
	uint64_t key, size_bytes;
	unsigned lun; /* in: its number; then its place in luns */
	struct loop *reply_loop;
	void (*resized)(void *arg, int err, const char *reason);
	void *arg;
	int err;
	struct reason reason;
};

static void resize_reply(struct loop_msg *msg)
{
	struct resizing *r = container_of(msg, struct resizing, msg);

	r->resized(r->arg, r->err, r->reason.text);
	free(r);
}

static void resize_grown(void *arg, struct disk *disk, int err, const char *reason)
{
	struct resizing *r = arg;

	if (r->lun < r->world->lun_count) {
		r->world->luns[r->lun].disk = disk;
		r->world->disk = r->world->luns[0].disk;
	}
	r->err = err;
	reason_set(&r->reason, "%s", reason);
	r->msg.run = resize_reply;
	loop_post(r->reply_loop, &r->msg);
}

static void resize_on_io(struct loop_msg *msg)
{
	struct resizing *r = container_of(msg, struct resizing, msg);
	struct world *w = r->world;

	unsigned i = 0;

	while (i < w->lun_count && w->luns[i].number != r->lun)
		i++;
	r->lun = i;
	if (w->disk && (uint64_t)w->disk_machine == r->key && i < w->lun_count) {
		boot_target_grow(w->boot, w->disk_machine, &w->luns[i], r->size_bytes, w->io, resize_grown, r);
		return;
	}
	r->lun = w->lun_count;
	resize_grown(r, NULL, -ENOENT, "");
}

static void runtime_resize(void *world, uint64_t key, unsigned lun, uint64_t size_bytes, struct loop *reply_loop,
			   void (*resized)(void *arg, int err, const char *reason), void *arg)
{
	struct resizing *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*r = (struct resizing){ .msg.run = resize_on_io,
				.world = world,
				.key = key,
				.lun = lun,
				.size_bytes = size_bytes,
				.reply_loop = reply_loop,
				.resized = resized,
				.arg = arg };
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

void world_start(struct world *w)
{
	static const unsigned threads[POOL_CLASSES] = { 2, 2, 2, 4 };
	struct reason reason = { "" };
	struct boot_config config = { .iqn_prefix = "iqn.2026-11.org.example:sanbootd" };

	assert_int_equal(pool_new(threads, &w->pool), 0);
	w->loop = loop_new(0);
	w->io = loop_new(1);
	assert_non_null(w->loop);
	assert_non_null(w->io);
	assert_int_equal(loop_start(w->loop, "control"), 0);
	assert_int_equal(loop_start(w->io, "io-0"), 0);
	if (store_open(w->dir, w->pool, &w->store, &reason) ||
	    inventory_open(store_inventory_path(w->store), &w->inventory, &reason) ||
	    store_attach(w->store, w->inventory, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(disk_env_new(w->pool, &w->io, 1, &w->disk_env), 0);
	char scripts[96], entries[96], templates[96];

	snprintf(scripts, sizeof(scripts), "%s/site/ipxe-scripts", w->dir);
	snprintf(entries, sizeof(entries), "%s/site/entries", w->dir);
	config.ipxe_scripts = scripts;
	config.entries = entries;
	snprintf(templates, sizeof(templates), "%s/site/templates", w->dir);
	config.templates = templates;
	config.inventory = w->inventory;
	config.store = w->store;
	config.disk_env = w->disk_env;
	config.pool = w->pool;
	config.loop = w->loop;
	assert_int_equal(boot_new(&config, &w->boot), 0);
	w->runtime = (struct boot_runtime){ .arg = w,
					    .probe = runtime_probe,
					    .release = runtime_release,
					    .sessions = runtime_sessions,
					    .resize = runtime_resize,
					    .attach = world_attach,
					    .detach = world_detach };
	boot_set_runtime(w->boot, &w->runtime, 3260);
}

void world_stop(struct world *w)
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

int world_setup(void **state)
{
	*state = world_new(true);
	return 0;
}

int world_setup_empty(void **state)
{
	*state = world_new(false);
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	return 0;
}
