/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes that many machines have at once: a golden version, opened once for each loop and counted. Private to store/.
 */
#ifndef STORE_SHARED_H
#define STORE_SHARED_H

#include "store/backend.h"

struct shared_disk;

void shared_init(struct store *store);
/* All are closed. */
void shared_fini(struct store *store);
/* As store_open_volume. */
void shared_open(struct store *store, const struct store_backend *backend, struct loop *loop,
		 const struct volume *volume, const struct image_version *version, const struct store_open *how,
		 void (*opened)(void *arg, const struct disk_opened *result), void *arg);
/* As store_close_volume; false: it is no shared disk. On its loop. */
bool shared_close(struct store *store, struct disk *disk, void (*closed)(void *arg, int err), void *arg);

#endif
