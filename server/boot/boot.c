// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the module, and the first script: see boot.h. Main thread, but boot_first_script. */
#include "boot/boot.h"

#include "base/log.h"
#include "boot/ask/flood.h"
#include "boot/ask/neighbour.h"
#include "boot/progress/progress.h"
#include "boot/progress/warm.h"
#include "boot/script/entry.h"
#include "boot/script/script.h"
#include "boot/script/templates.h"
#include "boot/login/objects.h"
#include "boot/login/resume.h"
#include "boot/operator/plans.h"
#include "boot/operator/chores.h"
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	plans_free(boot->plans);
	chores_free(boot->chores);
	objects_free(boot->objects);
	progress_free(boot);
	flood_free(boot->flood);
	templates_free(boot->templates);
	entries_free(boot->entries);
	presence_fini(&boot->presence);
	disks_fini(&boot->disks);
	in_flight_fini(&boot->in_flight);
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
	snprintf(made->templates_folder, sizeof(made->templates_folder), "%s",
		 config->templates ? config->templates : "");
	snprintf(made->entries_folder, sizeof(made->entries_folder), "%s", config->entries ? config->entries : "");
	snprintf(made->boot_file_sets, sizeof(made->boot_file_sets), "%s",
		 config->boot_file_sets ? config->boot_file_sets : "");
	presence_init(&made->presence);
	disks_init(&made->disks);
	in_flight_init(&made->in_flight);
	made->flood = flood_new();
	err = made->flood ? progress_new(made) : -ENOMEM;
	if (!err)
		err = resume_load(made);
	if (!err)
		err = templates_new(&made->templates);
	if (!err)
		err = entries_new(&made->entries);
	if (!err)
		err = objects_new(made, &made->objects);
	if (!err) {
		made->plans = plans_new(made);
		err = made->plans ? 0 : -ENOMEM;
	}
	if (!err)
		err = (made->chores = chores_new(made)) ? 0 : -ENOMEM;
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
	progress_start(boot);
	objects_start(boot->objects);
	plans_start(boot->plans);
	chores_start(boot->chores);
}

void boot_set_portals(struct boot *boot, const struct endpoint *list, unsigned count)
{
	boot->portal_count = count < BOOT_PORTALS_MAX ? count : BOOT_PORTALS_MAX;
	memcpy(boot->portals, list, boot->portal_count * sizeof(*list));
}

void boot_stopping(struct boot *boot)
{
	atomic_store(&boot->stopping, true);
	warm_stop(boot->warm);
}

void boot_free(struct boot *boot)
{
	if (!boot)
		return;
	progress_stop(boot);
	chores_stop(boot->chores);
	objects_stop(boot->objects);
	plans_stop(boot->plans);
	in_flight_wait(&boot->in_flight);
	boot_free_parts(boot);
}

int boot_first_script(struct boot *boot, const char *base_url, struct buf *script)
{
	struct script_values values = { .value = { [VAR_BASE] = base_url } };

	return templates_render(boot->templates, "boot.ipxe", &values, script);
}
