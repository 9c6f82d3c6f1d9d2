// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the module, and the first script: see boot.h. Main thread, but boot_first_script. */
#include "boot/boot.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/ask/flood.h"
#include "boot/ask/neighbour.h"
#include "boot/progress/stages.h"
#include "boot/progress/turns.h"
#include "boot/progress/warm.h"
#include "boot/script/entry.h"
#include "boot/script/script.h"
#include "boot/script/templates.h"
#include "boot/login/objects.h"
#include "boot/login/resume.h"
#include "internal.h"
#include "store/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void boot_enter(struct boot *boot)
{
	pthread_mutex_lock(&boot->mutex);
	boot->in_flight++;
	pthread_mutex_unlock(&boot->mutex);
}

void boot_leave(struct boot *boot)
{
	pthread_mutex_lock(&boot->mutex);
	if (--boot->in_flight == 0)
		pthread_cond_broadcast(&boot->idle);
	pthread_mutex_unlock(&boot->mutex);
}

struct discard {
	struct pool_job job;
	struct boot *boot;
	struct volume volume;
};

static void discard_work(struct pool_job *job)
{
	struct discard *discard = container_of(job, struct discard, job);

	store_delete_object(discard->boot->store, &discard->volume);
	if (discard->volume.snapshot_id)
		store_delete_given_up(discard->boot->store);
}

static void discard_done(struct pool_job *job)
{
	struct discard *discard = container_of(job, struct discard, job);
	struct boot *boot = discard->boot;

	free(discard);
	boot_leave(boot);
}

void boot_discard_object(struct boot *boot, const struct volume *volume)
{
	struct discard *discard = volume->object[0] ? calloc(1, sizeof(*discard)) : NULL;

	if (!discard)
		return; /* the next start removes it */
	discard->boot = boot;
	discard->volume = *volume;
	discard->job = (struct pool_job){ .work = discard_work, .done = discard_done };
	boot_enter(boot);
	pool_submit(boot->pool, POOL_SLOW, &discard->job);
}

int boot_renew_system(struct boot *boot, struct machine *machine, const struct image_version *version,
		      const struct policy *policy, struct volume *made, struct volume *given_up, struct reason *reason)
{
	struct volume anew = machine->system;
	int err;

	anew.version_id = version->id;
	anew.snapshot_id = 0;
	err = store_create_volume(boot->store, &anew, version, policy, machine->id, reason);
	if (err)
		return err;
	*given_up = machine->system;
	*made = anew;
	machine->system = anew;
	return 0;
}

/* RFC 7143 §4.2.7.2: what iqn. names may be made of; and room for ":" + short id + ":i". */
static bool boot_prefix_valid(const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(prefix, "iqn.", 4) || len + BOOT_SHORT_ID + 4 > 223)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)prefix[i]) && !isdigit((unsigned char)prefix[i]) &&
		    !strchr(".:-", prefix[i]))
			return false;
	return true;
}

/* What every answer will need, tried once, so that it fails at the start and not at the first machine. */
static int boot_check_parts(const struct boot_config *config)
{
	enum neighbour neighbour;
	int err;

	if (!boot_prefix_valid(config->iqn_prefix)) {
		log_error("iqn-prefix %s: expected iqn.YYYY-MM.DOMAIN[:NAME], of lower-case letters, digits, '.', '-' "
			  "and ':', at most %d characters",
			  config->iqn_prefix, 223 - BOOT_SHORT_ID - 4);
		return -EINVAL;
	}
	if (config->advertise && strlen(config->advertise) >= sizeof(((struct boot *)0)->advertise)) {
		log_error("advertise: too long");
		return -EINVAL;
	}
	err = neighbour_check("127.0.0.1", "02:00:00:00:00:01", &neighbour);
	if (err)
		log_error("the kernel's neighbour table cannot be read (rtnetlink): %s", strerror(-err));
	return err;
}

static void boot_free_parts(struct boot *boot)
{
	objects_free(boot->objects);
	warm_free(boot->warm);
	turns_free(boot->turns);
	flood_free(boot->flood);
	templates_free(boot->templates);
	entries_free(boot->entries);
	presence_fini(&boot->presence);
	disks_fini(&boot->disks);
	pthread_cond_destroy(&boot->idle);
	pthread_mutex_destroy(&boot->mutex);
	free(boot);
}

int boot_new(const struct boot_config *config, struct boot **boot)
{
	struct boot *made;
	int err = boot_check_parts(config);

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->inventory = config->inventory;
	made->store = config->store;
	made->disk_env = config->disk_env;
	made->pool = config->pool;
	made->loop = config->loop;
	snprintf(made->iqn_prefix, sizeof(made->iqn_prefix), "%s", config->iqn_prefix);
	snprintf(made->advertise, sizeof(made->advertise), "%s", config->advertise ? config->advertise : "");
	snprintf(made->ipxe_scripts, sizeof(made->ipxe_scripts), "%s",
		 config->ipxe_scripts ? config->ipxe_scripts : "");
	snprintf(made->entries_folder, sizeof(made->entries_folder), "%s", config->entries ? config->entries : "");
	presence_init(&made->presence);
	disks_init(&made->disks);
	pthread_mutex_init(&made->mutex, NULL);
	pthread_cond_init(&made->idle, NULL);
	made->turns = turns_new();
	made->flood = flood_new();
	made->warm = warm_new(made);
	err = made->turns && made->flood && made->warm ? resume_load(made) : -ENOMEM;
	if (!err)
		err = templates_new(&made->templates);
	if (!err)
		err = entries_new(&made->entries);
	if (!err)
		err = objects_new(made, &made->objects);
	if (!err)
		err = stages_new(made, &made->stages);
	if (err) {
		boot_free_parts(made);
		return err;
	}
	boot_reload(made);
	*boot = made;
	return 0;
}

void boot_set_runtime(struct boot *boot, const struct boot_runtime *runtime, uint16_t iscsi_port)
{
	boot->runtime = runtime;
	boot->iscsi_port = iscsi_port;
	stages_start(boot->stages);
	objects_start(boot->objects);
	warm_start(boot->warm);
}

void boot_set_portals(struct boot *boot, const struct endpoint *list, unsigned count)
{
	boot->portal_count = count < BOOT_PORTALS_MAX ? count : BOOT_PORTALS_MAX;
	memcpy(boot->portals, list, boot->portal_count * sizeof(*list));
}

void boot_free(struct boot *boot)
{
	if (!boot)
		return;
	stages_stop(boot->stages);
	objects_stop(boot->objects);
	warm_stop(boot->warm);
	pthread_mutex_lock(&boot->mutex);
	while (boot->in_flight)
		pthread_cond_wait(&boot->idle, &boot->mutex);
	pthread_mutex_unlock(&boot->mutex);
	stages_free(boot->stages);
	boot_free_parts(boot);
}

int boot_first_script(struct boot *boot, const char *base_url, struct buf *script)
{
	struct script_values values = { .value = { [VAR_BASE] = base_url } };

	return templates_render(boot->templates, "boot.ipxe", &values, script);
}
