// SPDX-License-Identifier: GPL-2.0-or-later
/* See files.h. */
#include "files.h"

#include "base/assets.h"
#include "base/log.h"
#include "boot/script/folder.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char seed[] = "cloud-init"; /* built in */
static const char *const seed_files[] = { "meta-data", "network-config", "user-data", "vendor-data" };
static const char *const answer_files[] = { "Unattend.xml", "Autounattend.xml" };

/* A folder's name, and neither none nor group. */
static bool name_valid(const char *name)
{
	return image_name_valid(name) && strcmp(name, "none") && strcmp(name, "group");
}

static int complain(const struct whoami_files *files, const char *name, unsigned line, int err, const char *why,
		    struct boot_problem *problem)
{
	snprintf(problem->file, sizeof(problem->file), "%.100s/%.55s", files->folder[0] ? files->folder : "built-in",
		 name);
	problem->line = line;
	reason_set(&problem->why, "%s", why);
	return err;
}

static const struct whoami_file *find(const struct whoami_files *files, const char *name)
{
	for (unsigned i = 0; i < files->count; i++)
		if (!strcasecmp(files->list[i].name, name))
			return &files->list[i];
	return NULL;
}

static bool have_any(const struct whoami_files *files, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (find(files, names[i]))
			return true;
	return false;
}

bool whoami_files_are_for_windows(const struct whoami_files *files)
{
	return have_any(files, answer_files, sizeof(answer_files) / sizeof(answer_files[0]));
}

bool whoami_files_are_a_seed(const struct whoami_files *files)
{
	return have_any(files, seed_files, sizeof(seed_files) / sizeof(seed_files[0]));
}

/* ---- loading ---- */

struct load {
	struct whoami_files *files;
	struct boot_problem *problem;
	size_t total;
	int err;
};

/* As both Rock Ridge and Joliet keep it. */
static bool file_name_valid(const char *name)
{
	if (strlen(name) >= WHOAMI_FILE_TEXT)
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || strchr("*/:;?\\\"<>|", *name))
			return false;
	return true;
}

static const char *read_words(int err)
{
	return err == -EFBIG  ? "more than 1 MiB" :
	       err == -EINVAL ? "it is no file: who-am-i volumes have no folders" :
				strerror(-err);
}

static void load_file(void *arg, const char *name, const char *path)
{
	struct load *load = arg;
	struct whoami_files *files = load->files;
	struct whoami_file *file = &files->list[files->count];
	const char *why = NULL;
	int err = -EINVAL;

	if (load->err)
		return;
	if (!file_name_valid(name))
		why = "a file's name has at most 64 characters of ASCII, and none of *:;?\\\"<>| or space";
	else if (find(files, name))
		why = "two files have this name, but for its case";
	else if (files->count == WHOAMI_FILES_MAX)
		why = "more than 64 files";
	if (!why) {
		err = folder_read(path, WHOAMI_FILE_BYTES, &file->own, &file->len);
		why = err ? read_words(err) : NULL;
	}
	if (!why && load->total + file->len > WHOAMI_TOTAL_BYTES) {
		free(file->own);
		err = -EFBIG;
		why = "with it, more than 4 MiB";
	}
	if (why) {
		load->err = complain(files, name, 0, err, why, load->problem);
		return;
	}
	load->total += file->len;
	file->text = file->own;
	snprintf(file->name, sizeof(file->name), "%s", name);
	files->count++;
}

/* Those of a built-in name that are not there yet. True: there are some of that name. */
static bool add_built_in(struct whoami_files *files, const char *name)
{
	size_t len = strlen(name);
	bool any = false;

	for (const struct asset *asset = assets_whoami; asset->name; asset++) {
		const char *file = asset->name + len + 1;

		if (strncmp(asset->name, name, len) || asset->name[len] != '/')
			continue;
		any = true;
		if (find(files, file) || files->count == WHOAMI_FILES_MAX)
			continue;
		files->list[files->count] =
			(struct whoami_file){ .text = (const char *)asset->data, .len = asset->len };
		snprintf(files->list[files->count++].name, WHOAMI_FILE_TEXT, "%s", file);
	}
	return any;
}

static int refuse_name(const struct whoami_files *files, const char *folder, const char *name,
		       struct boot_problem *problem)
{
	char shown[64], why[400];

	snprintf(why, sizeof(why),
		 "there are no templates %s: cloud-init and windows are built in, your own are a folder in %.200s",
		 log_escape(shown, sizeof(shown), name, strnlen(name, 40)), folder[0] ? folder : "--templates DIR");
	return complain(files, "", 0, -ENOENT, why, problem);
}

int whoami_files_load(const char *folder, const char *name, struct whoami_files *files, struct boot_problem *problem)
{
	struct load load = { .files = files, .problem = problem };
	char path[PATH_MAX];
	bool built_in;
	int err = -ENOENT;

	memset(files, 0, sizeof(*files));
	*problem = (struct boot_problem){ .line = 0 };
	if (!name_valid(name))
		return refuse_name(files, folder, name, problem);
	if (folder[0]) {
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		snprintf(files->folder, sizeof(files->folder), "%.*s", (int)sizeof(files->folder) - 1, path);
		err = folder_each(path, load_file, &load);
	}
	if (err == -ENOENT)
		files->folder[0] = '\0';
	if (load.err)
		return load.err;
	built_in = add_built_in(files, name);
	if (err == -ENOENT && !built_in)
		return refuse_name(files, folder, name, problem);
	if (err && err != -ENOENT)
		return complain(files, "", 0, err, strerror(-err), problem);
	if (whoami_files_are_a_seed(files))
		add_built_in(files, seed);
	return files->count ? 0 : complain(files, "", 0, -EINVAL, "the folder is empty", problem);
}

void whoami_files_fini(struct whoami_files *files)
{
	for (unsigned i = 0; i < files->count; i++)
		free(files->list[i].own);
	files->count = 0;
}

int whoami_files_fill(const struct whoami_files *files, const struct fill_values *values, struct buf *texts,
		      size_t ends[WHOAMI_FILES_MAX], struct boot_problem *problem)
{
	for (unsigned i = 0; i < files->count; i++) {
		const struct whoami_file *file = &files->list[i];
		struct reason why;
		unsigned line;
		int err = fill_text(fill_kind_of(file->name, file->text, file->len), file->text, file->len, values,
				    texts, &line, &why);

		if (err)
			return complain(files, file->name, line, err, why.text, problem);
		ends[i] = texts->len;
	}
	return texts->failed ? complain(files, "", 0, -EFBIG, "what is made of it is too large", problem) : 0;
}

int whoami_files_check(const struct whoami_files *files, struct boot_problem *problem)
{
	size_t ends[WHOAMI_FILES_MAX];
	struct buf texts;
	int err;

	buf_init(&texts, WHOAMI_FILLED_BYTES);
	err = whoami_files_fill(files, NULL, &texts, ends, problem);
	buf_fini(&texts);
	return err;
}

struct each_name {
	void (*each)(void *arg, const char *name);
	void *arg;
};

static void tell_name(void *arg, const char *name, const char *path)
{
	struct each_name *tell = arg;
	struct stat st;

	/* A file beside them, a README say, is nobody's templates. */
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		tell->each(tell->arg, name);
}

void whoami_files_each_name(const char *folder, void (*each)(void *arg, const char *name), void *arg)
{
	struct each_name tell = { each, arg };

	if (folder[0])
		folder_each(folder, tell_name, &tell);
}
