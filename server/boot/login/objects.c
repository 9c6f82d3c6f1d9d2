// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See objects.h. On boot's loop: something has changed in the store's folders; once it has been quiet for a moment a worker
 * looks at every volume that is open. A change that comes meanwhile has it look once more.
 */
#include "objects.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/internal.h"
#include "store/store.h"
#include "volume.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { QUIET_MS = 500 };

struct open_object {
	struct volume volume;
	struct image_version version; /* id 0: none */
	char layer[NAME_MAX_TEXT];
	int64_t machine_id; /* 0: none */
	uint64_t identity;
};

struct objects {
	struct boot *boot;
	uv_poll_t poll;
	uv_timer_t timer;
	int fd; /* -1: nothing is watched */
	bool looking, again;
	sem_t closed;
	struct pool_job job;
	/* the look's */
	struct inventory_tx *tx;
	struct open_object *list;
	unsigned count;
};

/* ---- the look, on a worker ---- */

static int take_machine(void *arg, int64_t machine_id, unsigned lun)
{
	struct open_object *object = arg;

	(void)lun;
	object->machine_id = machine_id;
	return 1;
}

static int take_open(void *arg, const struct volume *volume)
{
	struct objects *o = arg;
	struct open_object *object;
	uint64_t identity;
	int err;

	if (!volume->object[0] || !disks_open_object(&o->boot->disks, volume->id, &identity))
		return 0;
	object = reallocarray(o->list, o->count + 1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	o->list = object;
	object += o->count++;
	*object = (struct open_object){ .volume = *volume, .identity = identity };
	err = boot_volume_read_layer(o->tx, volume, object->layer);
	if (!err && volume->version_id)
		err = version_by_id(o->tx, volume->version_id, &object->version);
	if (err)
		return err;
	err = attachment_each_machine(o->tx, volume->id, take_machine, object);
	return err < 0 ? err : 0;
}

static int read_open(struct inventory_tx *tx, void *arg)
{
	struct objects *o = arg;

	o->tx = tx;
	return volume_each(tx, take_open, o);
}

static void tell(struct objects *o, const struct open_object *object, const char *kind, const char *text,
		 const char *advice)
{
	uint64_t identity;

	/* Closed, or opened again, since its row was read: then it was checked. */
	if (!disks_open_object(&o->boot->disks, object->volume.id, &identity) || identity != object->identity)
		return;
	disks_told(&o->boot->disks, object->volume.id);
	boot_note(o->boot, "error", kind, "server", object->machine_id, "%.380s. %s", text, advice);
}

static void look_at(struct objects *o, const struct open_object *object)
{
	struct store *store = o->boot->store;
	const struct image_version *version = object->version.id ? &object->version : NULL;
	struct reason reason;
	uint64_t identity;
	int err = store_check_volume(store, &object->volume, version, object->layer, &identity, &reason);

	if (err == -ENOENT)
		tell(o, object, "disk-deleted", reason.text,
		     "It is in use: what is written goes on into the deleted file, and is gone once it is closed. Save what "
		     "matters while it runs");
	else if (!err && identity != object->identity)
		tell(o, object, "disk-replaced", "the file of a disk in use was replaced by another one",
		     "What is written goes on into the old one, and is gone once it is closed. Save what matters while it "
		     "runs");
	else if (err == -ESTALE)
		tell(o, object, "disk-rebased", reason.text, "It is in use, and will be refused at its next boot");
	else if (version && (err = store_verify_version(store, version, &reason)))
		tell(o, object, err == -ESTALE ? "golden-changed" : "golden-unusable", reason.text,
		     "New logins are refused. Who runs goes on with the old file or, where it was changed in its place, with what is there now: shut those machines down");
}

static void look(struct pool_job *job)
{
	struct objects *o = container_of(job, struct objects, job);
	int err = inventory_read_call(o->boot->inventory, read_open, o);

	if (err)
		log_error("it cannot be looked whether disks in use are still there: %s", strerror(-err));
	for (unsigned i = 0; i < o->count; i++)
		look_at(o, &o->list[i]);
	free(o->list);
	o->list = NULL;
	o->count = 0;
}

/* ---- when, on the loop ---- */

static void looked(struct pool_job *job);

static void on_quiet(uv_timer_t *timer)
{
	struct objects *o = timer->data;

	o->again = o->looking;
	if (o->looking)
		return;
	o->looking = true;
	in_flight_enter(&o->boot->in_flight);
	o->job = (struct pool_job){ .work = look, .done = looked, .loop = o->boot->loop };
	pool_submit(o->boot->pool, POOL_SLOW, &o->job);
}

static void looked(struct pool_job *job)
{
	struct objects *o = container_of(job, struct objects, job);

	o->looking = false;
	if (o->again && o->fd >= 0)
		uv_timer_start(&o->timer, on_quiet, QUIET_MS, 0);
	o->again = false;
	in_flight_leave(&o->boot->in_flight);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct objects *o = poll->data;
	char thrown_away[4096];

	(void)status;
	(void)events;
	while (read(o->fd, thrown_away, sizeof(thrown_away)) > 0)
		;
	/* Not put off by what comes meanwhile: where machines are enrolled all the time it would never be quiet. */
	if (!uv_is_active((uv_handle_t *)&o->timer))
		uv_timer_start(&o->timer, on_quiet, QUIET_MS, 0);
}

static void open_handles(void *arg)
{
	struct objects *o = arg;

	uv_timer_init(loop_uv(o->boot->loop), &o->timer);
	uv_poll_init(loop_uv(o->boot->loop), &o->poll, o->fd);
	o->timer.data = o->poll.data = o;
	uv_poll_start(&o->poll, UV_READABLE, on_readable);
}

static void handle_closed(uv_handle_t *handle)
{
	struct objects *o = handle->data;

	sem_post(&o->closed);
}

static void close_handles(void *arg)
{
	struct objects *o = arg;

	uv_close((uv_handle_t *)&o->timer, handle_closed);
	uv_close((uv_handle_t *)&o->poll, handle_closed);
	close(o->fd);
	o->fd = -1;
}

int objects_new(struct boot *boot, struct objects **objects)
{
	struct objects *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->boot = boot;
	o->fd = -1;
	sem_init(&o->closed, 0, 0);
	*objects = o;
	return 0;
}

void objects_start(struct objects *o)
{
	if (o->fd >= 0)
		return;
	o->fd = store_watch_files(o->boot->store);
	if (o->fd >= 0)
		loop_call(o->boot->loop, open_handles, o);
	else
		log_warning("files that are deleted under running machines will not be noticed: inotify: %s",
			    strerror(-o->fd));
}

void objects_stop(struct objects *o)
{
	if (o->fd < 0)
		return;
	loop_call(o->boot->loop, close_handles, o);
	for (int i = 0; i < 2; i++)
		while (sem_wait(&o->closed) && errno == EINTR)
			;
}

void objects_free(struct objects *o)
{
	if (!o)
		return;
	sem_destroy(&o->closed);
	free(o);
}
