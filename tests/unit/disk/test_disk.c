// SPDX-License-Identifier: GPL-2.0-or-later
/* disk.c over an engine that only keeps what it is handed, so that order, bounds and closing can be looked at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/fixture.h"

enum { K = 1024, M = 1024 * 1024, SIZE = 64 * M };

/* ---- the engine ---- */

struct keeper {
	struct disk disk;
	struct disk_request *kept[256]; /* as handed over */
	unsigned kept_count, released, closes;
};

static char lent[DISK_REQUEST_MAX];
static struct iovec lent_iov;

static void keeper_submit(struct disk *disk, struct disk_request *req)
{
	struct keeper *keeper = container_of(disk, struct keeper, disk);

	assert_true(keeper->kept_count < array_len(keeper->kept));
	keeper->kept[keeper->kept_count++] = req;
}

static void keeper_release(struct disk *disk, struct disk_request *req)
{
	(void)req;
	container_of(disk, struct keeper, disk)->released++;
}

static void keeper_info(const struct disk *disk, struct disk_info *info)
{
	info->allocated_bytes = disk->size_bytes / 2;
}

static void keeper_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	container_of(disk, struct keeper, disk)->closes++;
	closed(arg, 0);
}

static const struct disk_ops keeper_ops = {
	.name = "keeper", .submit = keeper_submit, .release = keeper_release, .info = keeper_info, .close = keeper_close
};
static const struct disk_ops ordering_ops = { .name = "ordering",
					      .orders = true,
					      .submit = keeper_submit,
					      .release = keeper_release,
					      .info = keeper_info,
					      .close = keeper_close };

static struct keeper *keeper_new(struct fixture *fx, const struct disk_ops *ops, const struct disk_open *how)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	assert_non_null(keeper);
	disk_init(&keeper->disk, fx->env, fx->loop, ops, how, SIZE);
	return keeper;
}

/* Completes the request that was handed over as the i-th. */
static void keeper_complete(struct keeper *keeper, unsigned i, int result)
{
	struct disk_request *req = keeper->kept[i];

	keeper->kept_count--;
	memmove(&keeper->kept[i], &keeper->kept[i + 1], (keeper->kept_count - i) * sizeof(req));
	if (req->op == DISK_READ && !result) {
		lent_iov = (struct iovec){ lent, req->length };
		req->iov = &lent_iov;
		req->iov_count = 1;
	}
	disk_complete(req, result);
}

/* ---- requests ---- */

struct probe {
	struct disk_request req;
	struct iovec iov;
	bool done;
};

static void on_done(struct disk_request *req)
{
	container_of(req, struct probe, req)->done = true;
}

static void submit(struct keeper *keeper, struct probe *probe, enum disk_op op, uint64_t offset, uint64_t length)
{
	*probe = (struct probe){ .req = { .op = op, .offset = offset, .length = length, .done = on_done } };
	probe->iov = (struct iovec){ lent, length };
	if (op == DISK_WRITE) {
		probe->req.iov = &probe->iov;
		probe->req.iov_count = 1;
	}
	disk_submit(&keeper->disk, &probe->req);
	assert_false(probe->done);
}

static int refused(struct fixture *fx, struct keeper *keeper, enum disk_op op, uint64_t offset, uint64_t length)
{
	struct probe probe;

	submit(keeper, &probe, op, offset, length);
	assert_int_equal(keeper->kept_count, 0);
	fixture_wait(fx, &probe.done);
	return probe.req.result;
}

static void free_closed(struct fixture *fx, struct keeper *keeper)
{
	assert_int_equal(fixture_close(fx, &keeper->disk), 0);
	assert_int_equal(keeper->closes, 1);
	free(keeper);
}

/* ---- tests ---- */

static void test_checks(void **state)
{
	struct fixture *fx = *state;
	struct keeper *keeper = keeper_new(fx, &keeper_ops, &(struct disk_open){ .read_only = false });
	struct keeper *golden = keeper_new(fx, &keeper_ops, &(struct disk_open){ .read_only = true });
	struct disk_request wrong_sum = { .op = DISK_WRITE, .length = 1024, .done = on_done };
	struct disk_info info;
	struct probe probe;

	assert_int_equal(refused(fx, keeper, DISK_READ, 1, 512), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_READ, 0, 511), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_READ, SIZE, 512), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_READ, SIZE - 512, 1024), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_WRITE, UINT64_MAX - 511, 1024), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_DISCARD, 512, UINT64_MAX - 511), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_READ, 0, DISK_REQUEST_MAX + 512), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_STATUS, 0, 512), -EINVAL);
	assert_int_equal(refused(fx, keeper, DISK_WRITE, 0, 0), 0);
	assert_int_equal(refused(fx, golden, DISK_WRITE, 0, 512), -EROFS);
	assert_int_equal(refused(fx, golden, DISK_WRITE_ZEROES, 0, 512), -EROFS);
	assert_int_equal(refused(fx, golden, DISK_FLUSH, 0, 0), 0);
	/* Nothing is lent for a read of nothing, but it is released as any other. */
	submit(keeper, &probe, DISK_READ, 512, 0);
	fixture_wait(fx, &probe.done);
	assert_int_equal(probe.req.result, 0);
	disk_release(&keeper->disk, &probe.req);
	assert_int_equal(keeper->released, 0);
	probe = (struct probe){ .iov = { lent, 512 }, .req = wrong_sum };
	probe.req.iov = &probe.iov;
	probe.req.iov_count = 1;
	disk_submit(&keeper->disk, &probe.req);
	fixture_wait(fx, &probe.done);
	assert_int_equal(probe.req.result, -EINVAL);
	submit(keeper, &probe, DISK_DISCARD, 0, SIZE);
	assert_int_equal(keeper->kept_count, 1);
	keeper_complete(keeper, 0, -ENOSPC);
	assert_int_equal(probe.req.result, -ENOSPC);
	disk_get_info(&golden->disk, &info);
	assert_true(info.read_only);
	assert_int_equal(info.size_bytes, SIZE);
	assert_int_equal(info.allocated_bytes, SIZE / 2);
	free_closed(fx, keeper);
	free_closed(fx, golden);
}

static void test_order(void **state)
{
	struct fixture *fx = *state;
	struct keeper *keeper = keeper_new(fx, &keeper_ops, &(struct disk_open){ .read_only = false });
	struct probe p[8];

	submit(keeper, &p[0], DISK_WRITE, 4 * K, 8 * K);
	submit(keeper, &p[1], DISK_READ, 0, 4 * K + 512); /* the first block of 0 */
	submit(keeper, &p[2], DISK_WRITE, 0, 4 * K);	  /* only 1 */
	submit(keeper, &p[3], DISK_READ, 12 * K, 4 * K);  /* nothing */
	submit(keeper, &p[4], DISK_READ, 13 * K, 4 * K);  /* two reads do not mind */
	submit(keeper, &p[5], DISK_FLUSH, 0, 0);
	submit(keeper, &p[6], DISK_DISCARD, 0, SIZE);
	assert_int_equal(keeper->kept_count, 4);
	assert_ptr_equal(keeper->kept[0], &p[0].req);
	assert_ptr_equal(keeper->kept[1], &p[3].req);
	assert_ptr_equal(keeper->kept[2], &p[4].req);
	assert_ptr_equal(keeper->kept[3], &p[5].req);
	keeper_complete(keeper, 0, 0);
	assert_int_equal(keeper->kept_count, 4);
	assert_ptr_equal(keeper->kept[3], &p[1].req);
	keeper_complete(keeper, 3, 0);
	/* It is over when it is done; that it is still lent does not matter. */
	assert_ptr_equal(keeper->kept[3], &p[2].req);
	keeper_complete(keeper, 3, -EIO);
	keeper_complete(keeper, 0, 0);
	assert_int_equal(keeper->kept_count, 2);
	keeper_complete(keeper, 0, -EIO);
	assert_int_equal(keeper->kept_count, 2);
	assert_ptr_equal(keeper->kept[1], &p[6].req);
	keeper_complete(keeper, 1, 0);
	keeper_complete(keeper, 0, 0);
	disk_release(&keeper->disk, &p[1].req);
	disk_release(&keeper->disk, &p[3].req);
	assert_int_equal(keeper->released, 2);
	free_closed(fx, keeper);
}

static void test_engine_that_orders(void **state)
{
	struct fixture *fx = *state;
	struct keeper *keeper = keeper_new(fx, &ordering_ops, &(struct disk_open){ .read_only = false });
	struct probe p[3];

	for (unsigned i = 0; i < 3; i++)
		submit(keeper, &p[i], DISK_WRITE, 0, 4 * K);
	assert_int_equal(keeper->kept_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(keeper->kept[0], &p[i].req);
		keeper_complete(keeper, 0, 0);
	}
	free_closed(fx, keeper);
}

/* Reads beyond the bound wait, of two disks in turn; what overlaps them waits, too, even where the engine orders. */
static void test_buffers_are_bounded(void **state)
{
	enum { FIT = DISK_BUFFERS_LIMIT / DISK_REQUEST_MAX };
	struct fixture *fx = *state;
	struct keeper *a = keeper_new(fx, &ordering_ops, &(struct disk_open){ .read_only = false });
	struct keeper *b = keeper_new(fx, &keeper_ops, &(struct disk_open){ .read_only = false });
	static struct probe many[FIT], more[4], write[2];

	for (unsigned i = 0; i < FIT; i++)
		submit(a, &many[i], DISK_READ, 0, DISK_REQUEST_MAX);
	assert_int_equal(a->kept_count, FIT);
	submit(a, &more[0], DISK_READ, 0, DISK_REQUEST_MAX);
	submit(a, &more[1], DISK_READ, 0, 512); /* small, but behind the others */
	submit(b, &more[2], DISK_READ, 0, 512);
	submit(a, &write[0], DISK_WRITE, 0, 512);
	submit(a, &write[1], DISK_WRITE, 8 * M, 512);
	assert_int_equal(a->kept_count, FIT + 1);
	assert_ptr_equal(a->kept[FIT], &write[1].req);
	assert_int_equal(b->kept_count, 0);
	keeper_complete(a, FIT, 0);

	/* Done is not enough: it is lent. */
	keeper_complete(a, 0, 0);
	loop_run_once(fx->loop, false);
	assert_int_equal(a->kept_count, FIT - 1);
	disk_release(&a->disk, &many[0].req);
	loop_run_once(fx->loop, false);
	assert_int_equal(a->kept_count, FIT);
	assert_ptr_equal(a->kept[FIT - 1], &more[0].req);
	assert_int_equal(b->kept_count, 0);
	/* A failed one gives its room back at once; now both of the small ones fit. */
	keeper_complete(a, 0, -EIO);
	loop_run_once(fx->loop, false);
	assert_int_equal(b->kept_count, 1);
	assert_int_equal(a->kept_count, FIT);
	assert_ptr_equal(a->kept[FIT - 1], &more[1].req);
	/* The write went behind reads that were held, and goes when they are with the engine: it orders from there. */
	keeper_complete(a, FIT - 1, -EIO);
	assert_ptr_equal(a->kept[FIT - 1], &write[0].req);
	while (a->kept_count)
		keeper_complete(a, 0, -EIO);
	keeper_complete(b, 0, -EIO);
	free_closed(fx, a);
	free_closed(fx, b);
}

struct closing {
	struct keeper *keeper;
	bool done;
};

static void on_closed(void *arg, int err)
{
	struct closing *closing = arg;

	assert_int_equal(err, 0);
	free(closing->keeper);
	closing->done = true;
}

static void test_close_waits(void **state)
{
	struct fixture *fx = *state;
	struct keeper *keeper = keeper_new(fx, &keeper_ops, &(struct disk_open){ .read_only = false });
	struct closing closing = { .keeper = keeper };
	struct probe p[4];

	submit(keeper, &p[0], DISK_WRITE, 0, 512);
	submit(keeper, &p[1], DISK_READ, 0, 512); /* held */
	disk_close(&keeper->disk, on_closed, &closing);
	submit(keeper, &p[2], DISK_READ, 0, 512);
	fixture_wait(fx, &p[2].done);
	assert_int_equal(p[2].req.result, -ECANCELED);
	keeper_complete(keeper, 0, 0);
	assert_int_equal(keeper->kept_count, 1);
	keeper_complete(keeper, 0, 0);
	loop_run_once(fx->loop, false);
	assert_false(closing.done);
	disk_release(&keeper->disk, &p[1].req);
	assert_false(closing.done);
	/* Between the two it is refused without touching a disk that may be gone by then. */
	submit(keeper, &p[3], DISK_FLUSH, 0, 0);
	fixture_wait(fx, &p[3].done);
	assert_int_equal(p[3].req.result, -ECANCELED);
	fixture_wait(fx, &closing.done);
}

struct event {
	enum disk_event event;
	char text[64];
};

static void on_event(void *arg, enum disk_event event, const char *text)
{
	struct event *seen = arg;

	seen->event = event;
	snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static void test_events(void **state)
{
	struct fixture *fx = *state;
	struct event seen = { .event = DISK_FAILED };
	struct disk_open how = { .on_event = on_event, .event_arg = &seen };
	struct keeper *keeper = keeper_new(fx, &keeper_ops, &how);

	disk_report(&keeper->disk, DISK_NO_SPACE, "%s is %d", "x", 7);
	assert_int_equal(seen.event, DISK_NO_SPACE);
	assert_string_equal(seen.text, "x is 7");
	free_closed(fx, keeper);
}

/* ---- opening by format ---- */

static void open_unknown(struct disk_env *env, struct loop *loop, const struct disk_open *how,
			 void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	disk_open_file(env, loop, "vhdx", how, opened, arg);
}

static void open_by_format(struct disk_env *env, struct loop *loop, const struct disk_open *how,
			   void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	disk_open_file(env, loop, "raw", how, opened, arg);
}

static void test_formats(void **state)
{
	struct fixture *fx = *state;
	struct disk_open how = { .path = fixture_path(fx, "any"), .read_only = true };
	struct disk_opened result;
	struct disk *disk;

	fixture_put(how.path, 0, "QFI\xfb", 4, M);
	assert_null(fixture_open(fx, open_unknown, &how, &result));
	assert_int_equal(result.err, -EINVAL);
	assert_non_null(strstr(result.reason.text, "vhdx"));
	/* Raw is raw, whatever it begins with. */
	disk = fixture_open(fx, open_by_format, &how, &result);
	assert_non_null(disk);
	assert_int_equal(disk->size_bytes, M);
	assert_string_equal(disk->ops->name, "raw");
	assert_int_equal(fixture_close(fx, disk), 0);
}

static void test_buffers(void **state)
{
	struct fixture *fx = *state;
	const char *zeroes = disk_env_zeroes(fx->env);
	void *a = disk_buffers_get(fx->env, fx->loop, 512), *b = disk_buffers_get(fx->env, fx->loop, DISK_REQUEST_MAX);

	assert_int_equal((uintptr_t)a % DISK_PHYSICAL_BYTES, 0);
	assert_int_equal((uintptr_t)b % DISK_PHYSICAL_BYTES, 0);
	memset(a, 1, DISK_PHYSICAL_BYTES);
	memset(b, 1, DISK_REQUEST_MAX);
	disk_buffers_put(fx->env, fx->loop, a, 512);
	disk_buffers_put(fx->env, fx->loop, b, DISK_REQUEST_MAX);
	assert_int_equal(zeroes[0] | zeroes[DISK_ZEROES_BYTES - 1], 0);
	assert_int_equal(strlen(disk_env_boot_id(fx->env)), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_engine_that_orders),
		cmocka_unit_test(test_buffers_are_bounded),
		cmocka_unit_test(test_close_waits),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_formats),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
