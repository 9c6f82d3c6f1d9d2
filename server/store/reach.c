// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See reach.h. The golden images are only warned of: that many servers read the same ones is sane, and none of them is
 * written to again. The state directory and the children are taken.
 */
#include "store/reach.h"

#include "base/log.h"
#include "base/util.h"
#include "inventory/inventory.h"
#include "store/beat.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	bool taken;
} folders[] = { { "", true }, { "/children", true }, { "/images", false } };

enum { REACH_FOLDERS = array_len(folders), REACH_SEEN = 4 };

struct reach {
	struct beat *beats[REACH_FOLDERS];
	pthread_mutex_t mutex; /* guards what follows */
	struct inventory *inventory;
	bool attached; /* it has had one */
	struct reason warnings[REACH_FOLDERS + REACH_SEEN];
	unsigned warning_count;
};

/* An event as soon as there is an inventory (which puts it into the log), and in the status. */
static void reach_warn(struct reach *reach, const struct reason *what)
{
	pthread_mutex_lock(&reach->mutex);
	/* The newest stay; the first ones say which folders it is about. */
	if (reach->warning_count == array_len(reach->warnings))
		memmove(&reach->warnings[REACH_FOLDERS], &reach->warnings[REACH_FOLDERS + 1],
			(REACH_SEEN - 1) * sizeof(reach->warnings[0]));
	else
		reach->warning_count++;
	reach->warnings[reach->warning_count - 1] = *what;
	if (reach->inventory)
		inventory_event(reach->inventory, "error", "state-shared", "server", 0, "", "%s", what->text);
	pthread_mutex_unlock(&reach->mutex);
}

static void reach_seen(void *arg, const struct reason *what)
{
	reach_warn(arg, what);
}

/* No event: the inventory is the other server's now. */
static void reach_superseded(void *arg, const struct reason *what)
{
	(void)arg;
	log_error("%s", what->text);
	_exit(1);
}

static int reach_take(struct reach *reach, size_t i, const char *path, const char *kind, unsigned period_ms,
		      struct reason *reason)
{
	const struct beat_config config = {
		.folder = path, .period_ms = period_ms, .seen = reach_seen, .superseded = reach_superseded, .arg = reach
	};
	struct reason what;

	reason_set(&what,
		   "%s is on a file system of the kind %s, where locks may not reach another server that has it mounted: "
		   "%s. Better is a disk of this host's own",
		   path, kind,
		   folders[i].taken ? "use it with one sanbootd only; .beat/now there says which, and a second one "
				      "is refused a few seconds after its start" :
				      "let no other server write to it");
	reach_warn(reach, &what);
	return folders[i].taken ? beat_take(&config, &reach->beats[i], reason) : 0;
}

int reach_open(const char *state_dir, const char *(*kind_of)(const char *path), unsigned period_ms,
	       struct reach **reach, struct reason *reason)
{
	struct reach *made = calloc(1, sizeof(*made));
	dev_t seen[REACH_FOLDERS];
	int err = 0;

	if (!made)
		return reason_refuse(reason, -ENOMEM, "no memory");
	pthread_mutex_init(&made->mutex, NULL);
	for (size_t i = 0; i < REACH_FOLDERS && !err; i++) {
		char path[PATH_MAX];
		const char *kind;
		struct stat st;
		bool again = false;

		snprintf(path, sizeof(path), "%s%s", state_dir, folders[i].name);
		seen[i] = stat(path, &st) ? 0 : st.st_dev;
		for (size_t j = 0; j < i; j++)
			again = again || seen[j] == seen[i];
		kind = again ? NULL : kind_of(path);
		if (kind)
			err = reach_take(made, i, path, kind, period_ms, reason);
	}
	if (err) {
		reach_close(made);
		return err;
	}
	*reach = made;
	return 0;
}

void reach_attach(struct reach *reach, struct inventory *inventory)
{
	pthread_mutex_lock(&reach->mutex);
	reach->inventory = inventory;
	reach->attached = reach->attached || inventory;
	for (unsigned i = 0; i < reach->warning_count && inventory; i++)
		inventory_event(inventory, "warning", "state-on-network", "server", 0, "", "%s",
				reach->warnings[i].text);
	pthread_mutex_unlock(&reach->mutex);
}

void reach_each_warning(struct reach *reach, void (*each)(void *arg, const char *text), void *arg)
{
	pthread_mutex_lock(&reach->mutex);
	for (unsigned i = 0; i < reach->warning_count; i++)
		each(arg, reach->warnings[i].text);
	pthread_mutex_unlock(&reach->mutex);
}

void reach_close(struct reach *reach)
{
	if (!reach)
		return;
	for (size_t i = 0; i < REACH_FOLDERS; i++)
		beat_free(reach->beats[i]);
	/* The start has failed, perhaps for that. */
	for (unsigned i = 0; i < reach->warning_count && !reach->attached; i++)
		log_warning("%s", reach->warnings[i].text);
	pthread_mutex_destroy(&reach->mutex);
	free(reach);
}
