// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events of machines that are only known by their id where they happen: see internal.h. The job that records one looks
 * up its name.
 */
#include "internal.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct note {
	struct boot *boot;
	int64_t machine_id; /* 0: by iqn, or none */
	char iqn[IQN_MAX_TEXT];
	const char *level, *kind, *actor; /* literals */
	char text[REASON_TEXT];
	struct inventory_job job;
};

static int note_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct note *note = container_of(job, struct note, job);
	struct machine machine;
	int err = note->machine_id ? machine_by_id(tx, note->machine_id, &machine) :
				     machine_by_iqn(tx, note->iqn, &machine);

	if (err && err != -ENOENT)
		return err;
	if (!err)
		note->machine_id = machine.id;
	return event_add(tx, note->level, note->kind, note->actor, note->machine_id, err ? "" : machine.name, "%s",
			 note->text);
}

static void note_done(struct inventory_job *job, int err)
{
	struct note *note = container_of(job, struct note, job);
	struct boot *boot = note->boot;

	if (err)
		log_error("machine %lld: %s: %s; it could not be recorded: %s", (long long)note->machine_id, note->kind,
			  note->text, strerror(-err));
	free(note);
	in_flight_leave(&boot->in_flight);
}

static void note_queue(const struct note *what, const char *format, va_list args)
{
	struct note *note = calloc(1, sizeof(*note));

	if (!note)
		return; /* an event less; the log of those who call tells the rest */
	*note = *what;
	vsnprintf(note->text, sizeof(note->text), format, args);
	note->job = (struct inventory_job){ .run = note_run, .done = note_done };
	in_flight_enter(&note->boot->in_flight);
	inventory_write(note->boot->inventory, &note->job);
}

void boot_note(struct boot *boot, const char *level, const char *kind, const char *actor, int64_t machine_id,
	       const char *format, ...)
{
	struct note note = { .boot = boot, .machine_id = machine_id, .level = level, .kind = kind, .actor = actor };
	va_list args;

	va_start(args, format);
	note_queue(&note, format, args);
	va_end(args);
}

void boot_note_target(struct boot *boot, const char *level, const char *kind, const char *actor, const char *iqn,
		      const char *format, ...)
{
	struct note note = { .boot = boot, .level = level, .kind = kind, .actor = actor };
	va_list args;

	snprintf(note.iqn, sizeof(note.iqn), "%s", iqn);
	va_start(args, format);
	note_queue(&note, format, args);
	va_end(args);
}
