// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of somebody else's file systems: see tree.h.
 *
 * grub-fstest prints nothing and exits 0 for a folder that is not there, and leaves an empty file where it copies what
 * is not there: only `cat` tells. What it says on standard error tells a missing file from a file system that GRUB does not
 * know.
 */
#include "doctor/tree.h"

#include "base/box.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	RUNS_MAX = 400,
	TIME_MS = 20000, /* for all questions of one look */
	RUN_MS = 10000,
	MEMORY_MIB = 512,
	PATH_TEXT = 1024,
	FAT_PIECE = 65536,
};

static const char tool[] = "/usr/bin/grub-fstest";

void tree_source_init(struct tree_source *source, int fd)
{
	struct stat st;

	*source = (struct tree_source){ .fd = fd,
					.may_open = !fstat(fd, &st) && box_may_open(&st),
					.runs = RUNS_MAX,
					.until_ms = time_monotonic_ms() + TIME_MS };
	source->no_tool = access(tool, X_OK) != 0;
}

/* What it says of a path that leads to no file; anything else is about the file system. */
static bool says_missing(const char *text)
{
	static const char *const words[] = { "not found", "not a directory", "not a regular file", "too deep nesting" };

	for (size_t i = 0; i < array_len(words); i++) {
		if (strstr(text, words[i]))
			return true;
	}
	return false;
}

/* 0, -ENOENT, -EIO */
static int ask(struct tree_source *source, const char *command, const char *path,
	       bool (*take)(void *arg, const void *data, size_t len), void *arg)
{
	const char *argv[] = { tool, box_name, command, path, NULL };
	struct box box = { .argv = argv,
			   .files = { source->fd },
			   .file_count = 1,
			   .input = -1,
			   .memory_mib = MEMORY_MIB,
			   .timeout_ms = RUN_MS,
			   .take = take,
			   .arg = arg };
	struct box_end *end;
	int err;

	if (!source->runs || time_monotonic_ms() > source->until_ms)
		source->out_of_time = true;
	if (source->no_tool || !source->may_open || source->out_of_time)
		return -EIO;
	source->runs--;
	end = calloc(1, sizeof(*end));
	if (!end)
		return -EIO;
	err = box_run(&box, end);
	if (err)
		err = -EIO;
	else if (!end->enough && says_missing(end->text))
		err = -ENOENT;
	else if (!end->enough && (end->code || end->text[0]))
		err = -EIO;
	free(end);
	return err;
}

/* ---- FAT ---- */

static int stream_fat(const struct tree *tree, const char *path, bool (*take)(void *arg, const void *data, size_t len),
		      void *arg)
{
	uint8_t *data = malloc(FAT_PIECE);
	struct fat_entry entry;
	struct fat_file file;
	size_t len;
	int err = 0;

	if (!data)
		return -EIO;
	if (!fat_find(tree->fat, path + 1, &entry) || entry.folder) {
		err = tree->fat->budget ? -ENOENT : -EIO;
	} else {
		fat_open(tree->fat, &entry, &file);
		while ((len = fat_read(&file, data, FAT_PIECE)) && take(arg, data, len))
			;
	}
	free(data);
	return err;
}

static int list_fat(const struct tree *tree, const char *folder, void (*each)(void *arg, const char *name), void *arg)
{
	struct fat_entry entry;
	struct fat_file file;
	char name[sizeof(entry.name) + 1];
	size_t len = strlen(folder);

	snprintf(name, sizeof(name), "%.*s", (int)(len > 1 ? len - 2 : 0), folder + 1);
	if (name[0] && (!fat_find(tree->fat, name, &entry) || !entry.folder))
		return 0;
	fat_open(tree->fat, name[0] ? &entry : NULL, &file);
	while (fat_next(&file, &entry)) {
		snprintf(name, sizeof(name), "%s%s", entry.name, entry.folder ? "/" : "");
		each(arg, name);
	}
	return 0;
}

/* ---- any ---- */

static bool take_buf(void *arg, const void *data, size_t len)
{
	struct buf *buf = arg;
	size_t room = buf->limit - buf->len;

	buf_add(buf, data, (size_t)min_u64(len, room));
	return len <= room && !buf->failed;
}

static bool take_any(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	return !len;
}

static bool full_path(const struct tree *tree, const char *path, char out[PATH_TEXT])
{
	return snprintf(out, PATH_TEXT, "(%s)%s%s", tree->device, tree->prefix, path) < PATH_TEXT;
}

int tree_stream(const struct tree *tree, const char *path, bool (*take)(void *arg, const void *data, size_t len),
		void *arg)
{
	char full[PATH_TEXT];

	if (tree->fat)
		return stream_fat(tree, path, take, arg);
	return full_path(tree, path, full) ? ask(tree->source, "cat", full, take, arg) : -ENOENT;
}

int tree_read(const struct tree *tree, const char *path, struct buf *content)
{
	return tree_stream(tree, path, take_buf, content);
}

int tree_read_text(const struct tree *tree, const char *path, struct buf *text)
{
	int err = tree_read(tree, path, text);

	return err == -ENOENT ? 0 : err;
}

bool tree_has(const struct tree *tree, const char *path)
{
	return !tree_stream(tree, path, take_any, NULL);
}

bool tree_can_look(const struct tree *tree)
{
	return tree_stream(tree, "/there is no such file", take_any, NULL) != -EIO;
}

int tree_list(const struct tree *tree, const char *folder, void (*each)(void *arg, const char *name), void *arg)
{
	char full[PATH_TEXT], *rest, *name;
	struct buf names;
	int err;

	if (tree->fat)
		return list_fat(tree, folder, each, arg);
	buf_init(&names, TREE_FILE_MAX);
	err = full_path(tree, folder, full) ? ask(tree->source, "ls", full, take_buf, &names) : -ENOENT;
	if (!err && names.data) {
		for (name = strtok_r(names.data, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest))
			each(arg, name);
	}
	buf_fini(&names);
	return err == -ENOENT ? 0 : err;
}

int tree_list_devices(struct tree_source *source, struct buf *lines)
{
	return ask(source, "ls", NULL, take_buf, lines);
}
