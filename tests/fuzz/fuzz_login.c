// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: what a peer may send on a connection, login and everything after it, to the real server on a loop
 * without a thread and a target with an empty disk. The corpus is what the tests in tests/conformance send. Afterwards
 * nothing of the connection may be left: no connection, no session.
 */
#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/engine.h"
#include "iscsi/iscsi_loop.h"
#include "iscsi/link/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a disk of zeroes ---- */

static uint8_t zeroes[DISK_REQUEST_MAX];

static void submit(struct disk *disk, struct disk_request *req)
{
	(void)disk;
	if (req->op == DISK_READ) {
		struct iovec *iov = malloc(sizeof(*iov));

		if (!iov)
			abort();
		*iov = (struct iovec){ zeroes, req->length };
		req->iov = iov;
		req->iov_count = 1;
	} else if (req->op == DISK_STATUS) {
		req->extents[0] = (struct disk_extent){ req->offset, req->length, false };
		req->extent_count = 1;
	}
	disk_complete_soon(req, 0);
}

static void release(struct disk *disk, struct disk_request *req)
{
	(void)disk;
	free(req->iov);
}

static void info(const struct disk *disk, struct disk_info *out)
{
	(void)disk;
	(void)out;
}

static void close_disk(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	free(disk);
	closed(arg, 0);
}

static const struct disk_ops ops = {
	.name = "zeroes", .submit = submit, .release = release, .info = info, .close = close_disk
};

/* ---- a provider of one target for each kind of authentication ---- */

static struct disk_env *env;
static struct loop *loop;

static void find(void *arg, const char *iqn, const char *initiator, struct loop *reply_loop,
		 void (*found)(void *found_arg, const struct iscsi_access *access), void *found_arg)
{
	struct iscsi_access access = { .key = 1, .many = true };

	(void)arg;
	(void)initiator;
	(void)reply_loop;
	if (strstr(iqn, "chap") || strstr(iqn, "mutual")) {
		access.key = 2;
		access.auth = strstr(iqn, "chap") ? ISCSI_AUTH_CHAP : ISCSI_AUTH_MUTUAL;
		access.credentials[0] =
			(struct iscsi_credential){ .boot = 1, .auth = access.auth, .user = "user", .secret = "secret" };
	}
	snprintf(access.iqn, sizeof(access.iqn), "iqn.2026-11.test:%d", (int)access.key);
	found(found_arg, &access);
}

static void list(void *arg, const char *initiator, struct loop *reply_loop,
		 void (*each)(void *each_arg, const char *iqn, int err), void *each_arg)
{
	(void)arg;
	(void)initiator;
	(void)reply_loop;
	each(each_arg, "iqn.2026-11.test:1", 0);
	each(each_arg, NULL, 0);
}

static void open_disk(void *arg, uint64_t key, uint64_t boot, struct loop *on,
		      void (*opened)(void *opened_arg, const struct iscsi_lun *luns, unsigned count,
				     uint16_t login_status, const char *reason),
		      void *opened_arg)
{
	struct iscsi_lun luns[] = { { .number = 0 }, { .number = 1, .type = ISCSI_LUN_CDROM, .serial = "iso" } };
	const struct disk_open how = { 0 };

	(void)arg;
	(void)key;
	(void)boot;
	for (unsigned i = 0; i < array_len(luns); i++) {
		luns[i].disk = malloc(sizeof(*luns[i].disk));
		if (!luns[i].disk)
			abort();
		disk_init(luns[i].disk, env, on, &ops, &how, 64 << 20);
	}
	opened(opened_arg, luns, array_len(luns), 0, NULL);
}

struct closing {
	unsigned left;
	void (*closed)(void *closed_arg);
	void *closed_arg;
};

static void on_closed(void *arg, int err)
{
	struct closing *closing = arg;

	(void)err;
	if (--closing->left)
		return;
	closing->closed(closing->closed_arg);
	free(closing);
}

static void give_back(void *arg, uint64_t key, const struct iscsi_lun *luns, unsigned count, struct loop *on,
		      void (*closed)(void *closed_arg), void *closed_arg)
{
	struct closing *closing = malloc(sizeof(*closing));

	(void)arg;
	(void)key;
	(void)on;
	if (!closing)
		abort();
	*closing = (struct closing){ count, closed, closed_arg };
	for (unsigned i = 0; i < count; i++)
		disk_close(luns[i].disk, on_closed, closing);
}

static const struct iscsi_provider provider = { .find = find, .list = list, .open = open_disk, .close = give_back };

/* ---- the harness ---- */

static struct iscsi_server *server;

static void start(void)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	struct iscsi_server_config config = { .loops = &loop, .loop_count = 1, .provider = &provider };
	struct pool *pool;
	struct reason reason;

	log_init(LOG_LEVEL_ERROR, false);
	loop = loop_new(0);
	if (!loop || pool_new(threads, &pool) || disk_env_new(pool, &loop, 1, &env) ||
	    iscsi_server_start(&config, &server, &reason))
		abort();
	loop_run_once(loop, false);
}

static void drain(int fd)
{
	char sink[65536];

	while (read(fd, sink, sizeof(sink)) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint peer = { .len = sizeof(struct sockaddr_in), .addr.ss_family = AF_INET };
	struct iscsi_loop *at;
	int fds[2];

	if (!server)
		start();
	at = &server->loops[0];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		abort();
	if (conn_new(&at->link, fds[0], &peer))
		abort();
	while (size > 0) {
		ssize_t n = write(fds[1], data, size);

		if (n < 0 && list_empty(&at->link.conns))
			break;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		loop_run_once(loop, false);
		drain(fds[1]);
	}
	for (int i = 0; i < 4; i++) {
		loop_run_once(loop, false);
		drain(fds[1]);
	}
	close(fds[1]);
	for (int i = 0; !list_empty(&at->link.conns) || !list_empty(&at->sessions.ending); i++) {
		loop_run_once(loop, false);
		if (i > 100000)
			abort(); /* something of it stays for ever */
	}
	return 0;
}
