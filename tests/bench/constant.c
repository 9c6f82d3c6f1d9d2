// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bound of the benchmark: the server of server/iscsi, on one loop, over disks that have no storage. A read lends the same
 * bytes whatever its offset, a write or a flush is done at once. What a load costs here is what it costs to speak iSCSI; no
 * disk can make the same server answer faster.
 *
 *	constant [--listen ADDR:PORT] [--size BYTES]
 *
 * Every target name that ends in ":NUMBER" (from 1) exists. Prints "ready iscsi=ADDR:PORT"; the end of input stops it.
 */
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/engine.h"
#include "iscsi/server.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	struct disk_env *env;
	uint64_t size_bytes;
	struct iovec whole; /* DISK_REQUEST_MAX of the same bytes */
	atomic_bool stopped;
} bench;

/* ---- the disk ---- */

static void constant_submit(struct disk *disk, struct disk_request *req)
{
	struct iovec *lent;

	(void)disk;
	if (req->op == DISK_STATUS) {
		req->extents[0] = (struct disk_extent){ req->offset, req->length, true };
		req->extent_count = 1;
	}
	if (req->op == DISK_READ) {
		lent = malloc(sizeof(*lent));
		if (!lent) {
			disk_complete_soon(req, -ENOMEM);
			return;
		}
		*lent = (struct iovec){ bench.whole.iov_base, req->length };
		req->private = lent;
		req->iov = lent;
		req->iov_count = 1;
	}
	disk_complete_soon(req, 0);
}

static void constant_release(struct disk *disk, struct disk_request *req)
{
	(void)disk;
	free(req->private);
}

static void constant_info(const struct disk *disk, struct disk_info *info)
{
	info->allocated_bytes = disk->size_bytes;
}

static void constant_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	free(disk);
	closed(arg, 0);
}

static const struct disk_ops constant_ops = {
	.name = "constant",
	.submit = constant_submit,
	.release = constant_release,
	.info = constant_info,
	.close = constant_close,
};

/* ---- the provider ---- */

static void find(void *arg, const char *iqn, const char *initiator, struct loop *reply_loop,
		 void (*found)(void *found_arg, const struct iscsi_access *access), void *found_arg)
{
	struct iscsi_access access = { .login_status = 0x0203, .reason = { "no such target" } };
	const char *number = strrchr(iqn, ':');

	(void)arg;
	(void)initiator;
	(void)reply_loop;
	if (number && parse_u64(number + 1, 1, 1000000, &access.key)) {
		access.login_status = 0;
		snprintf(access.iqn, sizeof(access.iqn), "%s", iqn);
	}
	found(found_arg, &access);
}

static void list(void *arg, const char *initiator, struct loop *reply_loop,
		 void (*each)(void *each_arg, const char *iqn, int err), void *each_arg)
{
	(void)arg;
	(void)initiator;
	(void)reply_loop;
	each(each_arg, NULL, 0);
}

static void begin(void *arg, uint64_t key, uint64_t boot, struct loop *reply_loop,
		  void (*begun)(void *begun_arg, int err, const char *reason), void *begun_arg)
{
	(void)arg;
	(void)key;
	(void)boot;
	(void)reply_loop;
	begun(begun_arg, 0, NULL);
}

static void open_disk(void *arg, uint64_t key, uint64_t boot, struct loop *loop,
		      void (*opened)(void *opened_arg, const struct iscsi_lun *luns, unsigned count,
				     uint16_t login_status, const char *reason),
		      void *opened_arg)
{
	const struct disk_open how = { 0 };
	struct iscsi_lun lun = { .number = 0 };
	struct disk *disk = calloc(1, sizeof(*disk));

	(void)arg;
	(void)key;
	(void)boot;
	assert(disk);
	disk_init(disk, bench.env, loop, &constant_ops, &how, bench.size_bytes);
	lun.disk = disk;
	opened(opened_arg, &lun, 1, 0, NULL);
}

struct closing {
	void (*closed)(void *closed_arg);
	void *closed_arg;
};

static void on_closed(void *arg, int err)
{
	struct closing closing = *(struct closing *)arg;

	(void)err;
	free(arg);
	closing.closed(closing.closed_arg);
}

static void close_disk(void *arg, uint64_t key, const struct iscsi_lun *luns, unsigned count, struct loop *loop,
		       void (*closed)(void *closed_arg), void *closed_arg)
{
	struct closing *closing = malloc(sizeof(*closing));

	(void)arg;
	(void)key;
	(void)count;
	(void)loop;
	assert(closing);
	*closing = (struct closing){ closed, closed_arg };
	disk_close(luns[0].disk, on_closed, closing);
}

static bool begin_needs_closed(void *arg, uint64_t key)
{
	(void)arg;
	(void)key;
	return false;
}

static void session_began(void *arg, const struct iscsi_session_info *session)
{
	(void)arg;
	(void)session;
}

static void session_ended(void *arg, const struct iscsi_session_info *session, const char *why)
{
	(void)arg;
	(void)session;
	(void)why;
}

static void login_refused(void *arg, uint64_t key, const char *iqn, const char *initiator, const char *address,
			  const char *why)
{
	(void)arg;
	(void)key;
	(void)address;
	log_info("refused: %s to %s: %s", initiator, iqn, why);
}

static void save_state(void *arg, uint64_t key, const void *blob, size_t len, struct loop *reply_loop,
		       void (*done)(void *done_arg, int err), void *done_arg)
{
	(void)arg;
	(void)key;
	(void)blob;
	(void)len;
	(void)reply_loop;
	done(done_arg, 0);
}

static void load_state(void *arg, uint64_t key, struct loop *reply_loop,
		       void (*loaded)(void *loaded_arg, const void *blob, size_t len), void *loaded_arg)
{
	(void)arg;
	(void)key;
	(void)reply_loop;
	loaded(loaded_arg, NULL, 0);
}

/* ---- life ---- */

static void on_stopped(void *arg)
{
	(void)arg;
	atomic_store(&bench.stopped, true);
}

static int run(struct loop *loop, const struct endpoint *listen)
{
	const struct iscsi_provider provider = {
		.find = find,
		.list = list,
		.begin = begin,
		.open = open_disk,
		.close = close_disk,
		.begin_needs_closed = begin_needs_closed,
		.session_began = session_began,
		.session_ended = session_ended,
		.login_refused = login_refused,
		.save_state = save_state,
		.load_state = load_state,
	};
	const struct iscsi_server_config config = {
		.loops = &loop,
		.loop_count = 1,
		.endpoints = listen,
		.endpoint_count = 1,
		.provider = &provider,
		.first_statsn = 1,
	};
	struct reason reason;
	char text[PARSE_ENDPOINT_TEXT];
	struct iscsi_server *server;
	struct endpoint bound;

	if (iscsi_server_start(&config, &server, &reason)) {
		fprintf(stderr, "constant: %s\n", reason.text);
		return 1;
	}
	iscsi_server_endpoints(server, &bound, 1);
	printf("ready iscsi=%s\n", endpoint_format(&bound, text));
	fflush(stdout);
	while (getchar() != EOF)
		;
	iscsi_server_stop(server, 1000, on_stopped, NULL);
	while (!atomic_load(&bench.stopped))
		usleep(1000);
	loop_stop(loop);
	iscsi_server_free(server);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	const char *listen = "127.0.0.1:0";
	struct endpoint endpoint;
	struct loop *loop;
	struct pool *pool;
	int status;

	log_init(LOG_LEVEL_INFO, false);
	bench.size_bytes = 4ull << 30;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--listen"))
			listen = argv[i + 1];
		else if (!strcmp(argv[i], "--size"))
			parse_size(argv[i + 1], &bench.size_bytes);
	}
	if (!parse_endpoint(listen, &endpoint)) {
		fprintf(stderr, "usage: constant [--listen ADDR:PORT] [--size BYTES]\n");
		return 2;
	}
	bench.whole = (struct iovec){ malloc(DISK_REQUEST_MAX), DISK_REQUEST_MAX };
	loop = loop_new(0);
	assert(loop && bench.whole.iov_base);
	memset(bench.whole.iov_base, 0x5a, DISK_REQUEST_MAX);
	if (loop_start(loop, "loop0") || pool_new(threads, &pool) || disk_env_new(pool, &loop, 1, &bench.env))
		return 1;
	status = run(loop, &endpoint);
	disk_env_free(bench.env);
	pool_free(pool);
	loop_free(loop);
	free(bench.whole.iov_base);
	return status;
}
