// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What GET /boot writes, and when: see request.h. A machine that asks every five seconds causes a write at most once a
 * minute. What a request may do is said in design.md: it may create what is missing, and never resets, replaces or
 * deletes.
 */
#include "request.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

static bool request_verified_address(const struct ask_request *r)
{
	return r->neighbour == NEIGHBOUR_MATCH;
}

/*
 * Facts that may change from boot to boot: true where one is told for the first time; a change is written with what is written
 * anyway, once for each boot and each minute.
 */
static bool request_learn_facts(const struct ask_request *r, struct machine *machine)
{
	const struct asker *asker = &r->asker;
	bool first = (asker->secure_boot && !machine->secure_boot) || (asker->setup_mode && !machine->setup_mode) ||
		     (asker->board_serial[0] && !machine->board_serial[0]) || (asker->cards[0] && !machine->cards[0]);

	if (asker->secure_boot)
		machine->secure_boot = asker->secure_boot;
	if (asker->setup_mode)
		machine->setup_mode = asker->setup_mode;
	if (asker->board_serial[0])
		memcpy(machine->board_serial, asker->board_serial, sizeof(machine->board_serial));
	if (asker->cards[0])
		memcpy(machine->cards, asker->cards, sizeof(machine->cards));
	return first;
}

/* What a known machine tells that the inventory does not know yet. */
static bool request_learn(const struct ask_request *r, struct machine *machine)
{
	bool changed = false;

	if (!machine->uuid[0] && r->asker.uuid[0]) {
		memcpy(machine->uuid, r->asker.uuid, sizeof(machine->uuid));
		changed = true;
	}
	if (!machine->serial[0] && r->asker.serial[0]) {
		memcpy(machine->serial, r->asker.serial, sizeof(machine->serial));
		changed = true;
	}
	if (!machine->product[0] && r->asker.product[0]) {
		memcpy(machine->product, r->asker.product, sizeof(machine->product));
		changed = true;
	}
	return request_learn_facts(r, machine) || changed;
}

static bool request_wants_address(const struct ask_request *r)
{
	return !r->lookup.shared && !r->lookup.machine.address[0] && r->asker.client[0] &&
	       !strchr(r->asker.client, ':') && request_verified_address(r);
}

/* It waited, and need not any more. A person's "no" stays: it concerned other hardware with this MAC. */
static bool request_row_is_over(const struct ask_request *r)
{
	return r->lookup.waits && r->lookup.waiting.reason != WAIT_DENIED;
}

static bool request_must_write_known(const struct ask_request *r, int64_t now)
{
	struct machine machine = r->lookup.machine;

	return (decision_opens_disk(r->decision) &&
		(!r->lookup.pending.number || r->lookup.pending.version_id != r->lookup.want.version_id)) ||
	       request_row_is_over(r) || now - machine.seen_ms >= BOOT_SEEN_MS || request_learn(r, &machine) ||
	       request_wants_address(r);
}

/* Whoever may not even ask proves nothing. */
static bool request_must_learn_twin(const struct ask_request *r)
{
	return twin_has_proof(&r->lookup.proofs) && r->decision != DECIDE_WAIT_STRANGER && r->decision != DECIDE_DENY;
}

bool settle_must_write(const struct ask_request *r)
{
	int64_t now = time_unix_ms();
	enum waiting_reason reason;

	if (request_must_learn_twin(r))
		return true;
	switch (r->decision) {
	case DECIDE_ENROL:
		return true;
	case DECIDE_SERVE:
	case DECIDE_WAIT_TURN:
	case DECIDE_LOCAL:
	case DECIDE_MENU:
	case DECIDE_ENTRY:
	case DECIDE_ENTRY_DISK:
		return request_must_write_known(r, now);
	default:
		if (!decision_waiting_reason(r->decision, &reason))
			return false;
		return !r->lookup.waits || r->lookup.waiting.reason != reason ||
		       r->lookup.waiting.machine_id != r->lookup.machine.id ||
		       now - r->lookup.waiting.seen_ms >= BOOT_SEEN_MS;
	}
}

/* The pending boot, made where there is none, with what was chosen for it. */
static int request_write_boot(struct ask_request *r, struct inventory_tx *tx)
{
	const struct machine *machine = &r->lookup.machine;
	struct machine_boot *pending = &r->lookup.pending;
	int err = 0;

	if (!pending->number) {
		err = enrol_issue_boot(tx, machine->id, r->asker.mac, r->asker.client, pending);
		if (!err)
			err = event_add(tx, "info", "boot-asked", "machine", machine->id, machine->name,
					"%s%s%s got its script for boot %llu", r->asker.mac,
					r->asker.client[0] ? " at " : "", r->asker.client,
					(unsigned long long)pending->number);
	}
	if (err || pending->version_id == r->lookup.want.version_id)
		return err;
	err = machine_boot_choose(tx, machine->id, pending->number, r->lookup.want.version_id);
	if (!err)
		pending->version_id = r->lookup.want.version_id;
	return err;
}

static int request_write_known(struct ask_request *r, struct inventory_tx *tx)
{
	struct machine *machine = &r->lookup.machine;
	int err = 0;

	machine->seen_ms = time_unix_ms();
	request_learn(r, machine);
	if (request_wants_address(r))
		err = enrol_free_address(tx, r->asker.client, machine->address);
	if (!err)
		err = machine_update(tx, machine);
	if (!err && request_row_is_over(r))
		err = enrol_forget_waiting(tx, r->asker.mac);
	if (err || !decision_opens_disk(r->decision))
		return err;
	return request_write_boot(r, tx);
}

static int request_waiting_event(struct ask_request *r, struct inventory_tx *tx, enum waiting_reason reason)
{
	const struct lookup *lookup = &r->lookup;
	bool odd = reason == WAIT_CONFLICT || reason == WAIT_SWAP;
	bool bad = reason == WAIT_NO_SPACE || reason == WAIT_FULL;

	return event_add(tx, odd || bad ? "warning" : "info", bad && reason == WAIT_NO_SPACE ? "no-space" : "waiting",
			 "machine", lookup->machine.id, odd ? lookup->machine.name : "",
			 "%s%s%s waits (%s), number %lld%s%s%s%s", r->asker.mac, r->asker.client[0] ? " at " : "",
			 r->asker.client, waiting_reason_name(reason), (long long)lookup->waiting.number,
			 reason == WAIT_NO_SPACE && r->reason.text[0] ? ": " : "",
			 reason == WAIT_NO_SPACE ? r->reason.text : "",
			 lookup->card[0] ? ": another network card of it is " : "", lookup->card);
}

static int request_write_waiting(struct ask_request *r, struct inventory_tx *tx, enum waiting_reason reason)
{
	struct lookup *lookup = &r->lookup;
	struct waiting row = lookup->waiting;
	bool news = !lookup->waits || row.reason != reason || row.machine_id != lookup->machine.id;
	int err;

	memcpy(row.mac, r->asker.mac, sizeof(row.mac));
	memcpy(row.uuid, r->asker.uuid, sizeof(row.uuid));
	memcpy(row.serial, r->asker.serial, sizeof(row.serial));
	memcpy(row.product, r->asker.product, sizeof(row.product));
	memcpy(row.cards, r->asker.cards, sizeof(row.cards));
	memcpy(row.address, r->asker.client, sizeof(row.address));
	row.reason = reason;
	row.machine_id = lookup->machine.id;
	row.seen_ms = time_unix_ms();
	if (!lookup->waits)
		row.first_ms = row.seen_ms;
	err = waiting_put(tx, &row, lookup->policy.max_waiting);
	/* The list is full: it waits all the same, without a number. */
	if (err == -ENOSPC)
		return 0;
	if (err)
		return err;
	lookup->waiting = row;
	lookup->waits = true;
	return news ? request_waiting_event(r, tx, reason) : 0;
}

static int request_enrol(struct ask_request *r, struct inventory_tx *tx)
{
	int err;

	r->enrolment = (struct enrolment){
		.asker = &r->asker,
		.address = request_verified_address(r) ? r->asker.client : "",
		.version = &r->lookup.version,
		.group = &r->lookup.group,
		.policy = &r->lookup.policy,
		.actor = "machine",
	};
	err = enrol_machine(r->boot, tx, &r->enrolment, &r->lookup.machine, &r->reason);
	if (!err)
		return machine_boot_pending(tx, r->lookup.machine.id, &r->lookup.pending);
	if (err != -ENOSPC)
		return err;
	memset(&r->lookup.machine, 0, sizeof(r->lookup.machine));
	r->lookup.facts.no_space = true;
	r->decision = decide(&r->lookup.facts);
	return request_write_waiting(r, tx, WAIT_NO_SPACE);
}

bool settle_must_probe(const struct ask_request *r)
{
	return (decision_opens_disk(r->decision) || r->decision == DECIDE_WAIT_SWAP) && r->lookup.current.number &&
	       r->lookup.probed_id != r->lookup.machine.id;
}

bool settle_is_ready(const struct ask_request *r)
{
	if (settle_must_probe(r))
		return false;
	return r->decision != DECIDE_SERVE || r->turn.now;
}

/* Between the first look and this job another request may have changed everything. */
int settle_request(struct inventory_tx *tx, struct inventory_job *job)
{
	struct ask_request *r = container_of(job, struct ask_request, job);
	enum waiting_reason reason;
	int err = lookup_make(r->boot, tx, &r->asker, &r->lookup);

	if (err)
		return err;
	r->decision = decide(&r->lookup.facts);
	if (request_must_learn_twin(r))
		err = twin_learn(tx, &r->asker, &r->lookup.proofs);
	if (err)
		return err;
	if (r->decision == DECIDE_ENROL)
		return request_enrol(r, tx);
	if (r->decision == DECIDE_SERVE && r->turn.place && !r->turn.now)
		r->decision = DECIDE_WAIT_TURN;
	if (!settle_is_ready(r))
		return 0; /* it was enrolled, or has begun to run, meanwhile: from the start */
	if (!settle_must_write(r))
		return 0;
	if (decision_waiting_reason(r->decision, &reason))
		return request_write_waiting(r, tx, reason);
	return request_write_known(r, tx);
}
