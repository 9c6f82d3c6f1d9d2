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

static int forget_discarded(struct inventory_tx *tx, void *arg)
{
	struct discarded *d = arg;
	int err = 0;

	for (size_t i = 0; i < d->names.count && !err; i++)
		err = discarded_forget(tx, d->backend->name, d->names.list[i]);
	return err;
}

int store_delete_discarded(struct store *store, const struct store_backend *backend, bool reserved)
{
	struct discarded d = { .backend = backend, .reserved = reserved };
	int err = store_read(store, read_discarded, &d);

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
