// SPDX-License-Identifier: GPL-2.0-or-later
/* Windows' registry: see hive.h. */
#include "doctor/hive.h"

#include "base/box.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	HIVE_BYTES_MAX = 256 << 20,
	HEAD_BYTES = 12,
	ANSWER_MAX = 1 << 20,
	MEMORY_MIB = 2048,
	TIMEOUT_MS = 10000,
};

static const char tool[] = "/usr/bin/hivexsh";

enum hive_state hive_look(const uint8_t *head, size_t len)
{
	if (len < HEAD_BYTES || memcmp(head, "regf", 4))
		return HIVE_UNREAD;
	return memcmp(head + 4, head + 8, 4) ? HIVE_UNCLEAN : HIVE_CLEAN;
}

struct copy {
	int fd;
	uint64_t bytes;
	bool failed;
};

static bool take_copy(void *arg, const void *data, size_t len)
{
	struct copy *copy = arg;

	copy->bytes += len;
	copy->failed |= copy->bytes > HIVE_BYTES_MAX || write(copy->fd, data, len) != (ssize_t)len;
	return !copy->failed;
}

void hive_open(const struct tree *tree, const char *path, struct hive *hive)
{
	struct copy copy = { .fd = memfd_create("hive", MFD_CLOEXEC) };
	uint8_t head[HEAD_BYTES];
	ssize_t len;
	int err;

	*hive = (struct hive){ .state = HIVE_UNREAD, .fd = copy.fd, .source = tree->source };
	if (copy.fd < 0)
		return;
	err = tree_stream(tree, path, take_copy, &copy);
	len = pread(copy.fd, head, sizeof(head), 0);
	if (err == -ENOENT)
		hive->state = HIVE_MISSING;
	else if (!err && !copy.failed && len > 0)
		hive->state = hive_look(head, (size_t)len);
	if (hive->state > HIVE_UNREAD && access(tool, X_OK))
		hive->state = HIVE_UNREAD;
}

void hive_close(struct hive *hive)
{
	if (hive->fd >= 0)
		close(hive->fd);
	hive->fd = -1;
}

static bool take_answer(void *arg, const void *data, size_t len)
{
	struct buf *answer = arg;

	buf_add(answer, data, len);
	return !answer->failed;
}

/* Runs its lines; the first that fails ends it. False: one did. */
static bool ask(const struct hive *hive, const char *lines, struct buf *answer)
{
	const char *const argv[] = { tool, "/dev/fd/3", NULL };
	struct box box = { .argv = argv,
			   .files = { hive->fd },
			   .file_count = 1,
			   .input = -1,
			   .memory_mib = MEMORY_MIB,
			   .timeout_ms = TIMEOUT_MS,
			   .take = take_answer,
			   .arg = answer };
	struct tree_source *source = hive->source;
	struct box_end *end;
	bool done;

	if (!source->runs || time_monotonic_ms() > source->until_ms)
		source->out_of_time = true;
	if (hive->state != HIVE_CLEAN || source->out_of_time)
		return false;
	source->runs--;
	box.input = memfd_create("lines", MFD_CLOEXEC);
	end = calloc(1, sizeof(*end));
	done = end && box.input >= 0 && write(box.input, lines, strlen(lines)) == (ssize_t)strlen(lines) &&
	       !lseek(box.input, 0, SEEK_SET) && !box_run(&box, end) && !end->code && !end->enough;
	if (box.input >= 0)
		close(box.input);
	free(end);
	return done;
}

bool hive_value(const struct hive *hive, const char *key, const char *name, char value[HIVE_VALUE_TEXT])
{
	struct buf lines, answer;
	bool found;

	buf_init(&lines, 4096);
	buf_init(&answer, ANSWER_MAX);
	buf_printf(&lines, "cd %s\nlsval %s\n", key, name);
	found = !lines.failed && ask(hive, buf_text(&lines), &answer);
	if (found) {
		snprintf(value, HIVE_VALUE_TEXT, "%s", buf_text(&answer));
		value[strcspn(value, "\r\n")] = '\0';
	}
	buf_fini(&lines);
	buf_fini(&answer);
	return found;
}

void hive_each_key(const struct hive *hive, const char *key, void (*each)(void *arg, const char *name), void *arg)
{
	struct buf lines, answer;
	char *rest, *name;

	buf_init(&lines, 4096);
	buf_init(&answer, ANSWER_MAX);
	buf_printf(&lines, "cd %s\nls\n", key);
	if (!lines.failed && ask(hive, buf_text(&lines), &answer) && answer.data) {
		for (name = strtok_r(answer.data, "\r\n", &rest); name; name = strtok_r(NULL, "\r\n", &rest))
			each(arg, name);
	}
	buf_fini(&lines);
	buf_fini(&answer);
}
