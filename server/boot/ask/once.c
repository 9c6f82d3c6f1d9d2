// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /boot/taken: how a boot-once that leads to no login is used up. GET /boot may be repeated by anybody, so it
 * uses nothing up; its script does, at the last moment that can still be seen from here, by a token that only this
 * script holds. The token may be sent again (an answer may be lost) until boot-once is set anew.
 */
#include "boot/internal.h"

#include "base/log.h"
#include "base/util.h"
#include "flood.h"
#include "neighbour.h"
#include "want.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct taken {
	struct boot *boot;
	void (*answered)(void *arg, int err);
	void *arg;
	char mac[PARSE_MAC_TEXT], client[PARSE_ENDPOINT_TEXT], token[SECRET_TEXT];
	bool fresh; /* it is not used up yet */
	struct inventory_job job;
	struct loop_msg msg;
};

static void taken_finish(struct taken *taken, int err)
{
	struct boot *boot = taken->boot;

	taken->answered(taken->arg, err);
	free(taken);
	in_flight_leave(&boot->in_flight);
}

static int taken_check(struct taken *taken, struct inventory_tx *tx, struct machine *machine)
{
	int err = machine_by_token(tx, taken->mac, taken->token, machine);

	if (!err)
		taken->fresh = machine->boot_once[0];
	return err;
}

static int taken_look(struct inventory_tx *tx, struct inventory_job *job)
{
	struct machine machine;

	return taken_check(container_of(job, struct taken, job), tx, &machine);
}

static int taken_use(struct inventory_tx *tx, struct inventory_job *job)
{
	struct taken *taken = container_of(job, struct taken, job);
	struct machine machine;
	int err = taken_check(taken, tx, &machine);

	return !err && taken->fresh ? want_use_once(tx, &machine) : err;
}

static void taken_done(struct inventory_job *job, int err)
{
	struct taken *taken = container_of(job, struct taken, job);

	if (err && err != -ENOENT)
		log_error("boot: %s: that its boot-once was taken could not be recorded: %s", taken->mac,
			  strerror(-err));
	taken_finish(taken, err == 0 || err == -ENOENT ? err : -EAGAIN);
}

/* A guessed token is refused here, before anything is written. */
static void taken_looked(struct inventory_job *job, int err)
{
	struct taken *taken = container_of(job, struct taken, job);

	if (err || !taken->fresh) {
		taken_done(job, err);
		return;
	}
	taken->job = (struct inventory_job){ .run = taken_use, .done = taken_done, .loop = taken->boot->loop };
	inventory_write(taken->boot->inventory, &taken->job);
}

static void taken_start(struct loop_msg *msg)
{
	struct taken *taken = container_of(msg, struct taken, msg);
	enum neighbour neighbour;
	int err = neighbour_check(taken->client, taken->mac, &neighbour);

	if (err || neighbour == NEIGHBOUR_OTHER || neighbour == NEIGHBOUR_MISSING) {
		taken_finish(taken, -ENOENT);
		return;
	}
	taken->job = (struct inventory_job){ .run = taken_look, .done = taken_looked, .loop = taken->boot->loop };
	inventory_read(taken->boot->inventory, &taken->job);
}

void boot_taken(struct boot *boot, const char *mac, const char *token, const char *client,
		void (*answered)(void *arg, int err), void *arg)
{
	struct taken *taken = calloc(1, sizeof(*taken));

	if (!taken) {
		answered(arg, -EAGAIN);
		return;
	}
	if (!parse_mac(mac, taken->mac) || strlen(token) >= sizeof(taken->token)) {
		answered(arg, -ENOENT);
		free(taken);
		return;
	}
	if (flood_ask(boot->flood, client, taken->mac, time_monotonic_ms()).refused) {
		answered(arg, -EAGAIN);
		free(taken);
		return;
	}
	taken->boot = boot;
	taken->answered = answered;
	taken->arg = arg;
	snprintf(taken->token, sizeof(taken->token), "%s", token);
	snprintf(taken->client, sizeof(taken->client), "%s", client);
	taken->msg.run = taken_start;
	in_flight_enter(&boot->in_flight);
	loop_post(boot->loop, &taken->msg);
}
