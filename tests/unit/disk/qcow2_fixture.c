// SPDX-License-Identifier: GPL-2.0-or-later
/* See qcow2_fixture.h. */
#include "disk/qcow2_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

void make_golden(struct fixture *fx, const char *name, uint64_t size_bytes)
{
	unsigned char data[64 * KIB];

	for (uint64_t at = 0; at < size_bytes; at += 3 * sizeof(data)) {
		fixture_pattern(data, sizeof(data), at, 99);
		fixture_put(fixture_path(fx, name), at, data, min_u64(sizeof(data), size_bytes - at), size_bytes);
	}
}

void make_child(struct fixture *fx, const char *name, uint64_t size_bytes, const char *backing, const char *format)
{
	struct qcow2_create how = {
		.path = fixture_path(fx, name), .size_bytes = size_bytes, .backing = backing, .backing_format = format
	};
	struct reason reason;

	if (qcow2_create(&how, &reason))
		fail_msg("%s", reason.text);
}

struct disk *open_child_how(struct fixture *fx, const struct disk_open *how, bool *interrupted)
{
	struct disk_opened result;
	struct disk *disk = fixture_open(fx, qcow2_disk_open, how, &result);

	if (!disk)
		fail_msg("%s", result.reason);
	if (interrupted)
		*interrupted = result.interrupted;
	return disk;
}

struct disk *open_child(struct fixture *fx, const char *name)
{
	struct disk_open how = { .path = fixture_path(fx, name) };

	return open_child_how(fx, &how, NULL);
}

void open_is_refused(struct fixture *fx, const char *name, int err, const char *word)
{
	struct disk_open how = { .path = fixture_path(fx, name) };
	struct disk_opened result;

	assert_null(fixture_open(fx, qcow2_disk_open, &how, &result));
	if (result.err != err || !strstr(result.reason.text, word) || !strstr(result.reason.text, fx->dir))
		fail_msg("err %d, \"%s\" instead of %d, \"%s\"", result.err, result.reason, err, word);
}

void shell_works(struct fixture *fx, const char *format, ...)
{
	char command[1024], said[512] = "";
	va_list args;
	FILE *out;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (fixture_shell(fx, "%s", command) == 0)
		return;
	out = fopen(fixture_path(fx, "out"), "r");
	if (out) {
		said[fread(said, 1, sizeof(said) - 1, out)] = '\0';
		fclose(out);
	}
	fail_msg("%s: %s", command, said);
}

void qemu_is_content(struct fixture *fx, const char *name)
{
	shell_works(fx, "qemu-img check -q -f qcow2 %s", name);
}

uint64_t allocated_of(struct fixture *fx, const char *name)
{
	struct stat st;

	assert_int_equal(stat(fixture_path(fx, name), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* ---- the model ---- */

static void read_file(const char *path, void *data, uint64_t size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t at = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while (at < size_bytes && (n = pread(fd, (char *)data + at, size_bytes - at, (off_t)at)) > 0)
		at += (uint64_t)n;
	close(fd);
}

void model_disk_init(struct fixture *fx, struct model_disk *model, uint64_t size_bytes, const char *golden)
{
	model->size_bytes = size_bytes;
	model->bytes = calloc(1, size_bytes);
	assert_non_null(model->bytes);
	if (golden)
		read_file(fixture_path(fx, golden), model->bytes, size_bytes);
}

void model_disk_fini(struct model_disk *model)
{
	free(model->bytes);
}

void model_disk_compare(struct fixture *fx, struct disk *disk, const struct model_disk *model)
{
	static unsigned char data[MIB];

	for (uint64_t at = 0; at < model->size_bytes; at += sizeof(data)) {
		uint64_t length = min_u64(sizeof(data), model->size_bytes - at);

		assert_int_equal(fixture_read(fx, disk, at, data, length), 0);
		for (uint64_t i = 0; i < length; i += 512)
			if (memcmp(data + i, model->bytes + at + i, 512))
				fail_msg("offset %llu differs", (unsigned long long)(at + i));
	}
}

void model_disk_compare_qemu(struct fixture *fx, const char *name, const struct model_disk *model)
{
	unlink(fixture_path(fx, "model.raw"));
	fixture_put(fixture_path(fx, "model.raw"), 0, model->bytes, model->size_bytes, model->size_bytes);
	shell_works(fx, "qemu-img compare -f qcow2 -F raw %s model.raw", name);
}

static uint64_t choose(unsigned *seed, uint64_t below)
{
	return (((uint64_t)rand_r(seed) << 31) ^ (uint64_t)rand_r(seed)) % below;
}

void model_disk_change(struct fixture *fx, struct disk *disk, struct model_disk *model, unsigned *seed)
{
	static const uint64_t units[] = { 512, 4096, 128 * KIB };
	static unsigned char data[2 * MIB];
	uint64_t unit = units[choose(seed, array_len(units))];
	uint64_t length = min_u64((choose(seed, 16) + 1) * unit, sizeof(data));
	uint64_t offset = choose(seed, model->size_bytes / 512) * 512;
	unsigned kind = (unsigned)choose(seed, 10);

	if (choose(seed, 2))
		offset = align_down(offset, unit);
	length = min_u64(length, model->size_bytes - offset);
	if (kind < 7) {
		fixture_pattern(data, length, offset, *seed);
		memcpy(model->bytes + offset, data, length);
		assert_int_equal(fixture_write(fx, disk, offset, data, length, kind == 0), 0);
		return;
	}
	memset(model->bytes + offset, 0, length);
	assert_int_equal(fixture_zero(fx, disk, kind == 7 ? DISK_WRITE_ZEROES : DISK_DISCARD, offset, length), 0);
}
