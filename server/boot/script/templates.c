// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The templates in force: see templates.h. A lock guards what SIGHUP changes; a script is made under it, in
 * microseconds.
 */
#include "templates.h"

#include "base/assets.h"
#include "base/log.h"
#include "folder.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATES_MAX = 64, PROBLEMS_MAX = 32 };

struct template
{
	char name[TEMPLATE_NAME_MAX];
	char *text;
	size_t len;
};

struct template_set {
	struct template own[TEMPLATES_MAX];
	unsigned count;
	bool built_in_only; /* while a script is made again without them */
};

struct templates {
	pthread_rwlock_t lock; /* guards all below */
	char folder[FOLDER_PATH_MAX];
	struct template_set set;
	struct boot_problem problems[PROBLEMS_MAX];
	unsigned problem_count;
};

static bool set_find(const void *arg, const char *name, const char **text, size_t *len)
{
	const struct template_set *set = arg;
	const struct asset *asset;

	for (unsigned i = 0; i < set->count && !set->built_in_only; i++) {
		if (strcmp(set->own[i].name, name))
			continue;
		*text = set->own[i].text;
		*len = set->own[i].len;
		return true;
	}
	asset = asset_find(assets_ipxe, name);
	if (!asset)
		return false;
	*text = (const char *)asset->data;
	*len = asset->len;
	return true;
}

static int set_check(const struct template_set *set, struct boot_problem *problem)
{
	struct script_source source = { .find = set_find, .arg = set };
	int err = 0;

	for (const struct asset *asset = assets_ipxe; asset->name && !err; asset++)
		err = script_check(&source, asset->name, problem);
	for (unsigned i = 0; i < set->count && !err; i++)
		err = script_check(&source, set->own[i].name, problem);
	return err;
}

static void set_clear(struct template_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		free(set->own[i].text);
	set->count = 0;
}

int templates_new(struct templates **templates)
{
	struct templates *made = calloc(1, sizeof(*made));
	struct boot_problem problem;
	int err;

	if (!made)
		return -ENOMEM;
	err = set_check(&made->set, &problem);
	if (err) {
		log_error("script %s line %u: %s", problem.file, problem.line, problem.why.text);
		free(made);
		return err;
	}
	pthread_rwlock_init(&made->lock, NULL);
	*templates = made;
	return 0;
}

void templates_free(struct templates *templates)
{
	if (!templates)
		return;
	set_clear(&templates->set);
	pthread_rwlock_destroy(&templates->lock);
	free(templates);
}

/* ---- loading ---- */

static void load_refuse(struct templates *t, const char *name, unsigned line, const char *why)
{
	struct boot_problem *problem;

	if (t->problem_count == PROBLEMS_MAX)
		return;
	problem = &t->problems[t->problem_count++];
	*problem = (struct boot_problem){ .line = line };
	snprintf(problem->file, sizeof(problem->file), "%.100s/%.50s", t->folder, name);
	reason_set(&problem->why, "%s", why);
}

/* Takes the text. With the whole set checked: what includes it has to be sound too. */
static void load_take(struct templates *t, const char *name, char *text, size_t len)
{
	struct template *own = &t->set.own[t->set.count];
	struct boot_problem problem;

	snprintf(own->name, sizeof(own->name), "%s", name);
	own->text = text;
	own->len = len;
	t->set.count++;
	if (!set_check(&t->set, &problem))
		return;
	/* A file that is broken only in the place where it is included is said to be so there. */
	if (strcmp(problem.file, name)) {
		struct reason why;

		reason_set(&why, "with it %.30s line %u is broken: %.120s", problem.file, problem.line,
			   problem.why.text);
		load_refuse(t, name, 0, why.text);
	} else {
		load_refuse(t, name, problem.line, problem.why.text);
	}
	t->set.count--;
	free(text);
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && !strcmp(name + len - end_len, end);
}

static void load_file(void *arg, const char *name, const char *path)
{
	struct templates *t = arg;
	bool part = ends_with(name, ".part");
	size_t len;
	char *text;
	int err;

	if (!part && !ends_with(name, ".ipxe"))
		return;
	if (strlen(name) >= TEMPLATE_NAME_MAX || (!part && !asset_find(assets_ipxe, name))) {
		load_refuse(t, name, 0, "there is no template of this name to be replaced: see ipxe-scripts/README.md");
		return;
	}
	if (t->set.count == TEMPLATES_MAX) {
		load_refuse(t, name, 0, "too many files");
		return;
	}
	err = folder_read(path, TEMPLATE_MAX, &text, &len);
	if (err)
		load_refuse(t, name, 0, err == -EFBIG ? "more than 16 KiB" : strerror(-err));
	else
		load_take(t, name, text, len);
}

static void load_part(void *arg, const char *name, const char *path)
{
	if (ends_with(name, ".part"))
		load_file(arg, name, path);
}

static void load_script(void *arg, const char *name, const char *path)
{
	if (!ends_with(name, ".part"))
		load_file(arg, name, path);
}

void templates_load(struct templates *templates, const char *folder)
{
	int err = 0;

	pthread_rwlock_wrlock(&templates->lock);
	set_clear(&templates->set);
	templates->problem_count = 0;
	snprintf(templates->folder, sizeof(templates->folder), "%s", folder ? folder : "");
	/* Parts first: what includes them is checked with them. */
	if (folder)
		err = folder_each(folder, load_part, templates);
	if (folder && !err)
		err = folder_each(folder, load_script, templates);
	if (err && err != -ENOENT)
		load_refuse(templates, "", 0, strerror(-err));
	pthread_rwlock_unlock(&templates->lock);
}

void templates_each(struct templates *templates, void (*each)(void *arg, const char *file), void *arg)
{
	char path[FOLDER_PATH_MAX + TEMPLATE_NAME_MAX + 2];

	pthread_rwlock_rdlock(&templates->lock);
	for (unsigned i = 0; i < templates->set.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", templates->folder, templates->set.own[i].name);
		each(arg, path);
	}
	pthread_rwlock_unlock(&templates->lock);
}

void templates_each_problem(struct templates *templates, void (*each)(void *arg, const struct boot_problem *problem),
			    void *arg)
{
	pthread_rwlock_rdlock(&templates->lock);
	for (unsigned i = 0; i < templates->problem_count; i++)
		each(arg, &templates->problems[i]);
	pthread_rwlock_unlock(&templates->lock);
}

/* ---- scripts ---- */

int templates_render(struct templates *templates, const char *template, const struct script_values *values,
		     struct buf *script)
{
	static const struct template_set built_in = { .built_in_only = true };
	struct script_source source = { .find = set_find, .arg = &templates->set };
	struct boot_problem problem;
	int err;

	pthread_rwlock_rdlock(&templates->lock);
	err = script_make(&source, template, values, script, &problem);
	if (err && templates->set.count) {
		log_error("script %s line %u: %s; the built-in one is used", problem.file, problem.line,
			  problem.why.text);
		buf_reset(script);
		source.arg = &built_in;
		err = script_make(&source, template, values, script, &problem);
	}
	pthread_rwlock_unlock(&templates->lock);
	if (err)
		log_error("script %s line %u: %s", problem.file, problem.line, problem.why.text);
	return err;
}
