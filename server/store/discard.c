// SPDX-License-Identifier: GPL-2.0-or-later
/* Objects that the inventory has given up, in a committed change: deleted, and only then forgotten. */
#include "store/store.h"

#include "base/log.h"
#include "store/backend.h"
#include "store/names.h"
#include "store/private.h"

#include <errno.h>
#include <string.h>

struct discarded {
	const struct store_backend *backend;
	bool reserved; /* also what was about to be made */
	size_t begun;  /* how many of the names are that */
	struct names names;
};

static int take_discarded(void *arg, const char *object)
{
	names_add(arg, object);
	return 0;
}

static int read_discarded(struct inventory_tx *tx, void *arg)
{
	struct discarded *d = arg;
	int err = discarded_each(tx, d->backend->name, d->reserved, take_discarded, &d->names);

	return !err && d->names.failed ? -ENOMEM : err;
}

static int read_begun(struct inventory_tx *tx, void *arg)
{
	struct discarded *d = arg;
	struct names given_up = { .list = NULL };
	int err = discarded_each(tx, d->backend->name, false, take_discarded, &given_up);

	d->begun = d->names.count - given_up.count;
	names_free(&given_up);
	return err;
}

/* Copies go under no name that people know: whoever waited for one has seen the server end. */
static int tell_begun(struct inventory_tx *tx)
{
	return event_add(
		tx, "warning", "copy-undone", "server", 0, "",
		"the server ended while something was copied, and nothing of it is left: what somebody asked for has to "
		"be asked for again, what goes on in the background is done again by itself");
}

/* In one job, so that it is told once, however often starts are cut off. */
static int forget_discarded(struct inventory_tx *tx, void *arg)
{
	struct discarded *d = arg;
	int err = 0;

	for (size_t i = 0; i < d->names.count && !err; i++)
		err = discarded_forget(tx, d->backend->name, d->names.list[i]);
	return err || !d->begun ? err : tell_begun(tx);
}

int store_delete_discarded(struct store *store, const struct store_backend *backend, bool reserved)
{
	struct discarded d = { .backend = backend, .reserved = reserved };
	int err = store_read(store, read_discarded, &d);

	if (!err && d.names.count && reserved)
		err = store_read(store, read_begun, &d);
	for (size_t i = 0; i < d.names.count && !err; i++)
		backend->remove(store, d.names.list[i]);
	if (!err && d.names.count)
		err = store_write(store, forget_discarded, &d);
	names_free(&d.names);
	return err;
}

void store_delete_given_up(struct store *store)
{
	for (const struct store_backend *const *backend = store->backends; *backend; backend++) {
		int err = store_delete_discarded(store, *backend, false);

		if (err)
			log_error("store: %s: what was given up could not be deleted, and the next start does: %s",
				  (*backend)->name, strerror(-err));
	}
}
