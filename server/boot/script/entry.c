// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries: see entry.h. A lock guards what SIGHUP changes. */
#include "entry.h"

#include "base/log.h"
#include "base/util.h"
#include "folder.h"
#include "script.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 64, ENTRY_PROBLEMS_MAX = 32, ENTRY_VALUE_MAX = 1024 };

struct entries {
	pthread_rwlock_t lock; /* guards all below */
	char folder[FOLDER_PATH_MAX];
	struct entry list[ENTRIES_MAX];
	unsigned count;
	struct boot_problem problems[ENTRY_PROBLEMS_MAX];
	unsigned problem_count;
};

/* ---- one file ---- */

struct entry_parser {
	struct entry *entry;
	char directory[ENTRY_PLACE_TEXT];
	bool has_kind, has_disk;
};

bool entry_url_valid(const char *url)
{
	static const char *const schemes[] = { "http://", "https://", "tftp://", "ftp://", "nfs://" };

	for (size_t i = 0; i < array_len(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (!strncmp(url, schemes[i], len) && url[len])
			return script_url_valid(url);
	}
	return false;
}

/* Below boot-files/: no part that is empty, "." or begins with "..", so that it cannot climb. */
static bool path_valid(const char *path)
{
	const char *part = path;

	if (!script_word_valid(path) || strchr(path, ':'))
		return false;
	while (true) {
		size_t len = strcspn(part, "/");

		if (!len || part[0] == '-' || (part[0] == '.' && (len == 1 || part[1] == '.')))
			return false;
		if (!part[len])
			return true;
		part += len + 1;
	}
}

static bool put(char *to, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (!len || len >= size)
		return false;
	memcpy(to, value, len + 1);
	return true;
}

static bool put_place(char to[ENTRY_PLACE_TEXT], const char *value)
{
	return (path_valid(value) || entry_url_valid(value)) && put(to, ENTRY_PLACE_TEXT, value);
}

static bool set_title(struct entry_parser *p, const char *value)
{
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			return false;
	return put(p->entry->title, sizeof(p->entry->title), value);
}

static bool set_kind(struct entry_parser *p, const char *value)
{
	static const char *const kinds[] = {
		[ENTRY_LINUX] = "linux", [ENTRY_WINDOWS] = "windows", [ENTRY_CHAIN] = "chain"
	};

	for (unsigned i = 0; i < array_len(kinds); i++) {
		if (strcmp(kinds[i], value))
			continue;
		p->entry->kind = (enum entry_kind)i;
		p->has_kind = true;
		return true;
	}
	return false;
}

static bool set_kernel(struct entry_parser *p, const char *value)
{
	return put_place(p->entry->kernel, value);
}

static bool set_shim(struct entry_parser *p, const char *value)
{
	return put_place(p->entry->shim, value);
}

static bool set_file(struct entry_parser *p, const char *value)
{
	struct entry *e = p->entry;

	return e->file_count < ENTRY_FILES_MAX && put_place(e->files[e->file_count], value) && ++e->file_count;
}

static bool set_cmdline(struct entry_parser *p, const char *value)
{
	return script_line_valid(value) && put(p->entry->cmdline, sizeof(p->entry->cmdline), value);
}

static bool set_directory(struct entry_parser *p, const char *value)
{
	return put_place(p->directory, value);
}

static bool set_url(struct entry_parser *p, const char *value)
{
	return entry_url_valid(value) && put(p->entry->url, sizeof(p->entry->url), value);
}

static bool set_yes(bool *to, const char *value)
{
	*to = !strcmp(value, "yes");
	return *to || !strcmp(value, "no");
}

static bool set_disk(struct entry_parser *p, const char *value)
{
	p->has_disk = true;
	return set_yes(&p->entry->disk, value);
}

static bool set_menu(struct entry_parser *p, const char *value)
{
	return set_yes(&p->entry->menu, value);
}

#define PLACE "a path below boot-files (of letters, digits and . _ - / @ [ ]), or a URL"

static const struct {
	const char *name, *expected;
	bool (*set)(struct entry_parser *p, const char *value);
} entry_keys[] = {
	{ "title", "up to 63 ASCII characters", set_title },
	{ "kind", "linux, windows or chain", set_kind },
	{ "kernel", PLACE, set_kernel },
	{ "shim", PLACE, set_shim },
	{ "initrd", PLACE ", at most 16", set_file },
	{ "cmdline", "the kernel's command line, up to 999 characters, without && || ; and # as words", set_cmdline },
	{ "directory", PLACE ", with wimboot, BCD, boot.sdi and boot.wim in it", set_directory },
	{ "file", PLACE ", at most 16", set_file },
	{ "url", "a URL: http, https, tftp, ftp or nfs", set_url },
	{ "disk", "yes or no", set_disk },
	{ "menu", "yes or no", set_menu },
};

static bool parse_line(struct entry_parser *p, char *line, struct reason *why)
{
	char *text = parse_trim(line), *name, *value, shown[80];

	if (!*text || *text == '#')
		return true;
	if (!parse_assignment(text, &name, &value))
		return reason_refuse(why, false, "expected KEY = VALUE");
	for (size_t i = 0; i < array_len(entry_keys); i++) {
		if (strcmp(entry_keys[i].name, name))
			continue;
		if (entry_keys[i].set(p, value))
			return true;
		return reason_refuse(why, false, "%s: expected %s", name, entry_keys[i].expected);
	}
	return reason_refuse(
		why, false,
		"there is no key %s: title, kind, kernel, shim, initrd, cmdline, directory, file, url, disk, menu",
		log_escape(shown, sizeof(shown), name, strlen(name)));
}

/* The four files that wimboot needs stand before what the site adds. */
static bool finish_windows(struct entry_parser *p)
{
	static const char *const names[] = { "BCD", "boot.sdi", "boot.wim" };
	enum { NAMES = array_len(names) };
	struct entry *e = p->entry;
	int len;

	if (!p->directory[0] || e->file_count + NAMES > ENTRY_FILES_MAX)
		return false;
	memmove(e->files[NAMES], e->files[0], e->file_count * sizeof(e->files[0]));
	for (unsigned i = 0; i < NAMES; i++) {
		len = snprintf(e->files[i], sizeof(e->files[i]), "%.*s/%s", ENTRY_PLACE_TEXT - 16, p->directory,
			       names[i]);
		if (len >= ENTRY_PLACE_TEXT)
			return false;
	}
	e->file_count += NAMES;
	if (!e->kernel[0])
		snprintf(e->kernel, sizeof(e->kernel), "%.*s/wimboot", ENTRY_PLACE_TEXT - 16, p->directory);
	return strlen(p->directory) < ENTRY_PLACE_TEXT - 16;
}

/* What the kind needs and what it cannot use. */
static const char *finish(struct entry_parser *p)
{
	struct entry *e = p->entry;

	if (!p->has_kind)
		return "kind = linux, windows or chain is missing";
	if (!e->title[0])
		snprintf(e->title, sizeof(e->title), "%.*s", ENTRY_TITLE_TEXT - 1, e->name);
	if (!p->has_disk)
		e->disk = e->kind == ENTRY_WINDOWS;
	if ((e->kind == ENTRY_CHAIN) != (e->url[0] != '\0'))
		return "kind = chain has a url, the others have none";
	if ((e->kind == ENTRY_WINDOWS) != (p->directory[0] != '\0'))
		return "kind = windows has a directory, the others have none";
	if (e->kind != ENTRY_LINUX && e->shim[0])
		return "only kind = linux has a shim";
	if (e->kind == ENTRY_LINUX && !e->kernel[0])
		return "kind = linux needs a kernel";
	if (e->kind == ENTRY_CHAIN && (e->kernel[0] || e->file_count))
		return "kind = chain loads its url and nothing else";
	if (e->kind == ENTRY_WINDOWS && !finish_windows(p))
		return "too long, or too many files";
	return NULL;
}

/* Words that mean something where an entry's name could stand. */
static bool entry_name_valid(const char *name)
{
	static const char *const taken[] = { "disk", "cd", "local", "menu", "group", "none" };

	for (size_t i = 0; i < array_len(taken); i++)
		if (!strcmp(taken[i], name))
			return false;
	return image_name_valid(name);
}

bool entry_parse(const char *name, const char *text, size_t len, struct entry *entry, struct boot_problem *problem)
{
	struct entry made = { .menu = true };
	struct entry_parser parser = { .entry = &made };
	const char *end = text + len, *wrong;
	char line[ENTRY_VALUE_MAX + 64];

	problem->line = 0;
	if (!entry_name_valid(name))
		return reason_refuse(&problem->why, false,
				     "an entry's name is made of letters, digits, '-', '_', '.', and is not disk, "
				     "local, menu, group or none");
	snprintf(made.name, sizeof(made.name), "%s", name);
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		size_t line_len = (size_t)((line_end ? line_end : end) - text);

		problem->line++;
		if (line_len >= sizeof(line) || memchr(text, '\0', line_len))
			return reason_refuse(&problem->why, false, "too long, or not a text");
		memcpy(line, text, line_len);
		line[line_len] = '\0';
		if (!parse_line(&parser, line, &problem->why))
			return false;
		text += line_len + 1;
	}
	wrong = finish(&parser);
	if (wrong) {
		problem->line = 0;
		return reason_refuse(&problem->why, false, "%s", wrong);
	}
	*entry = made;
	return true;
}

/* ---- the folder ---- */

int entries_new(struct entries **entries)
{
	struct entries *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	pthread_rwlock_init(&made->lock, NULL);
	*entries = made;
	return 0;
}

void entries_free(struct entries *entries)
{
	if (!entries)
		return;
	pthread_rwlock_destroy(&entries->lock);
	free(entries);
}

static void load_refuse(struct entries *e, const char *name, const struct boot_problem *problem)
{
	struct boot_problem *to;

	if (e->problem_count == ENTRY_PROBLEMS_MAX)
		return;
	to = &e->problems[e->problem_count++];
	*to = *problem;
	snprintf(to->file, sizeof(to->file), "%.100s/%.50s", e->folder, name);
}

static void load_file(void *arg, const char *name, const char *path)
{
	struct boot_problem problem = { 0 };
	struct entries *e = arg;
	size_t name_len = strlen(name), len;
	char entry_name[256], *text;
	int err;

	if (name_len < 6 || name_len >= sizeof(entry_name) || strcmp(name + name_len - 5, ".conf"))
		return;
	snprintf(entry_name, sizeof(entry_name), "%.*s", (int)name_len - 5, name);
	err = e->count == ENTRIES_MAX ? -ENOSPC : folder_read(path, ENTRY_CONF_MAX, &text, &len);
	if (err) {
		reason_set(&problem.why, "%s",
			   err == -EFBIG  ? "more than 16 KiB" :
			   err == -ENOSPC ? "more than 64 entries" :
					    strerror(-err));
		load_refuse(e, name, &problem);
		return;
	}
	if (entry_parse(entry_name, text, len, &e->list[e->count], &problem))
		e->count++;
	else
		load_refuse(e, name, &problem);
	free(text);
}

void entries_load(struct entries *entries, const char *folder)
{
	struct boot_problem problem = { 0 };
	int err = 0;

	pthread_rwlock_wrlock(&entries->lock);
	entries->count = 0;
	entries->problem_count = 0;
	snprintf(entries->folder, sizeof(entries->folder), "%s", folder ? folder : "");
	if (folder)
		err = folder_each(folder, load_file, entries);
	if (err && err != -ENOENT) {
		reason_set(&problem.why, "%s", strerror(-err));
		load_refuse(entries, "", &problem);
	}
	pthread_rwlock_unlock(&entries->lock);
}

bool entries_find(struct entries *entries, const char *name, struct entry *entry)
{
	bool found = false;

	pthread_rwlock_rdlock(&entries->lock);
	for (unsigned i = 0; i < entries->count && !found; i++) {
		found = !strcmp(entries->list[i].name, name);
		if (found)
			*entry = entries->list[i];
	}
	pthread_rwlock_unlock(&entries->lock);
	return found;
}

void entries_each(struct entries *entries, void (*each)(void *arg, const struct entry *entry), void *arg)
{
	pthread_rwlock_rdlock(&entries->lock);
	for (unsigned i = 0; i < entries->count; i++)
		each(arg, &entries->list[i]);
	pthread_rwlock_unlock(&entries->lock);
}

void entries_each_problem(struct entries *entries, void (*each)(void *arg, const struct boot_problem *problem),
			  void *arg)
{
	pthread_rwlock_rdlock(&entries->lock);
	for (unsigned i = 0; i < entries->problem_count; i++)
		each(arg, &entries->problems[i]);
	pthread_rwlock_unlock(&entries->lock);
}

struct names {
	char *out;
	size_t size, len;
};

static void add_name(void *arg, const struct entry *entry)
{
	struct names *names = arg;

	if (names->len < names->size)
		names->len += (size_t)snprintf(names->out + names->len, names->size - names->len, "%s%s",
					       names->len ? ", " : "", entry->name);
}

void entries_names(struct entries *entries, char *out, size_t out_size)
{
	struct names names = { .out = out, .size = out_size };

	entries_each(entries, add_name, &names);
	if (!names.len)
		snprintf(out, out_size, "none");
}
