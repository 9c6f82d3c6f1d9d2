// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which machines ran when the server stopped. A machine that rides out a restart logs in again within seconds, and
 * until then nobody may take its disk away. So the inventory has, with each boot, whether it has sessions;
 * a machine that had some at the last stop, in order or not, counts as perhaps running for BOOT_RESUME_MS after the
 * start, until it logs in or a person releases it.
 *
 * A session that ends because the server stops changes nothing in the inventory. Writes are queued in the order of the
 * sessions, from their target's loop.
 */
#include "resume.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct resume_note {
	struct boot *boot;
	int64_t machine_id;
	uint64_t number;
	bool running;
	struct inventory_job job;
};

static int note_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct resume_note *note = container_of(job, struct resume_note, job);

	return machine_boot_set_running(tx, note->machine_id, note->number, note->running);
}

static void note_done(struct inventory_job *job, int err)
{
	struct resume_note *note = container_of(job, struct resume_note, job);
	struct boot *boot = note->boot;

	if (err)
		log_error("machine %lld: whether it runs could not be recorded: %s", (long long)note->machine_id,
			  strerror(-err));
	free(note);
	in_flight_leave(&boot->in_flight);
}

void resume_session(struct boot *boot, int64_t machine_id, uint64_t number, bool began)
{
	struct resume_note *note;

	if (!presence_count_session(&boot->presence, machine_id, began) || (!began && atomic_load(&boot->stopping)))
		return;
	note = calloc(1, sizeof(*note));
	if (!note)
		return; /* a machine is then off after a restart, as before it is logged in */
	*note = (struct resume_note){ .boot = boot, .machine_id = machine_id, .number = number, .running = began };
	note->job = (struct inventory_job){ .run = note_run, .done = note_done };
	in_flight_enter(&boot->in_flight);
	inventory_write(boot->inventory, &note->job);
}

struct resume_load {
	struct inventory_job job;
	struct boot *boot;
	uint64_t until_ms;
};

static int load_each(void *arg, int64_t machine_id)
{
	struct resume_load *load = arg;

	presence_set_resume(&load->boot->presence, machine_id, load->until_ms);
	return 0;
}

static int load_run(struct inventory_tx *tx, struct inventory_job *job)
{
	int err = machine_boot_each_running(tx, load_each, container_of(job, struct resume_load, job));

	return err ? err : machine_boot_saw_running(tx);
}

int resume_load(struct boot *boot)
{
	struct resume_load load = { .job = { .run = load_run },
				    .boot = boot,
				    .until_ms = time_monotonic_ms() + BOOT_RESUME_MS };

	return inventory_write_wait(boot->inventory, &load.job);
}
