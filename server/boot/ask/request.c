// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /boot, from the question to the script. Everything runs on boot's own loop but the two jobs, which run on the
 * inventory's threads and touch only the request, which nobody else touches meanwhile.
 *
 *     boot_request -> start: neighbour table -> look (read job) -> decide
 *                                                                    |
 *               a current boot, not yet probed  +--------------------+--------------------+ nothing to write
 *                                               v                    | something to write |
 *                          probe (at most 5 s), then decide again    v                    v
 *                                          settle (write job): looks and decides again -> answer
 *
 * A machine that asks every five seconds causes a read, and a write at most once a minute. What a request may do is
 * said in design.md: it may create what is missing, and never resets, replaces or deletes.
 */
#include "boot/internal.h"

#include "answer.h"
#include "ask.h"
#include "base/log.h"
#include "base/util.h"
#include "boot/progress/stages.h"
#include "boot/progress/timeline.h"
#include "boot/progress/turns.h"
#include "boot/progress/warm.h"
#include "decide.h"
#include "enrol.h"
#include "flood.h"
#include "look.h"
#include "neighbour.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct boot *boot;
	void (*answered)(void *arg, const struct boot_answer *answer);
	void *arg;
	struct asker asker;
	bool invalid;
	enum neighbour neighbour;
	bool probed;
	struct look look;
	enum decision decision;
	struct boot_session running;
	struct turn turn; /* place 0: not asked yet, or it may go on */
	struct enrolment enrolment;
	char reason[REASON_TEXT];
	struct inventory_job job;
	struct loop_msg msg;
};

/* ---- the answer ---- */

static void request_finish(struct request *r, struct boot_answer *answer)
{
	struct boot *boot = r->boot;

	r->answered(r->arg, answer);
	if (answer->script.data)
		explicit_bzero(answer->script.data, answer->script.len);
	buf_fini(&answer->script);
	explicit_bzero(r, sizeof(*r));
	free(r);
	boot_leave(boot);
}

static void request_fail(struct request *r, int status, const char *outcome, const char *reason)
{
	struct boot_answer answer = { 0 };

	buf_init(&answer.script, 1u << 16);
	answer_error(r->boot, &r->asker, status, outcome, reason, &answer);
	request_finish(r, &answer);
}

static const char *request_stranger_reason(struct request *r)
{
	const char *client = r->asker.client[0] ? r->asker.client : "your address";

	if (r->neighbour == NEIGHBOUR_OTHER)
		snprintf(r->reason, sizeof(r->reason), "the server's neighbour table shows another MAC address for %s",
			 client);
	else
		snprintf(r->reason, sizeof(r->reason), "the server's neighbour table shows no MAC address for %s",
			 client);
	return r->reason;
}

static const char *request_reason(struct request *r)
{
	switch (r->decision) {
	case DECIDE_WAIT_STRANGER:
		return request_stranger_reason(r);
	case DECIDE_WAIT_FAILED:
		return r->look.machine.state_reason;
	case DECIDE_WAIT_SPACE:
		return r->reason;
	case DECIDE_SERVE:
	case DECIDE_ENTRY_DISK:
		/* It failed, and comes back: its screen says what only the server knows. */
		return r->asker.error[0] &&
				       slots_refused(&r->boot->slots, r->look.machine.id, r->reason, sizeof(r->reason))
			       ? r->reason
			       : NULL;
	case DECIDE_MENU:
		return r->look.want.images_free ? NULL : "Its disk holds data: another image only after machine reset";
	case DECIDE_DENY:
		return r->look.facts.denied ? "a person said no" : "this server takes no new machines (enrol=deny)";
	default:
		return NULL;
	}
}

/* A failed sanboot is worth an event: it is the machine's only way to say what is wrong. */
static void request_note_error(struct request *r)
{
	const struct machine *machine = &r->look.machine;
	const char *what = r->decision == DECIDE_ENTRY_DISK ? r->look.want.text : "its disk";
	char problem[160];

	if (!r->asker.error[0] || !r->look.facts.known || r->look.facts.stranger)
		return;
	snprintf(problem, sizeof(problem), "iPXE could not boot %.60s (https://ipxe.org/%s)", what, r->asker.error);
	timeline_problem(stages_timeline(r->boot->stages), machine->id, problem, false);
	if (!slots_event_due(&r->boot->slots, machine->id, SLOT_SANBOOT_FAILED, 1, 60000))
		return;
	boot_note(r->boot, "warning", "sanboot-failed", "machine", machine->id,
		  "iPXE could not boot %s: https://ipxe.org/%s (attempt %u)", what, r->asker.error, r->asker.attempt);
}

/* For the timeline: it has its script, or it was here and waits. A stranger proves nothing. */
static void request_note_stage(struct request *r, const struct boot_answer *answer)
{
	struct timeline *timeline = stages_timeline(r->boot->stages);

	if (r->look.facts.stranger)
		return;
	if (!strcmp(answer->outcome, "sanboot") ||
	    (r->decision == DECIDE_ENTRY_DISK && !strcmp(answer->outcome, "entry"))) {
		timeline_script(timeline, r->look.machine.id, r->look.pending.number, r->asker.mac, r->asker.client,
				time_unix_ms());
		warm_script(r->boot->warm, r->look.machine.id, r->look.pending.number, &r->look.version);
	} else {
		timeline_arrival(timeline, r->asker.mac, STAGE_WAITED, decision_name(r->decision), time_unix_ms());
	}
	stages_changed(r->boot->stages);
}

static void request_answer(struct request *r)
{
	struct boot_answer answer = { 0 };
	struct answer_facts facts = {
		.asker = &r->asker,
		.look = &r->look,
		.decision = r->decision,
		.reason = request_reason(r),
		.running = r->decision == DECIDE_WAIT_RUNNING ? &r->running : NULL,
		.turn = r->decision == DECIDE_WAIT_TURN ? &r->turn : NULL,
	};

	request_note_error(r);
	buf_init(&answer.script, 1u << 16);
	answer_make(r->boot, &facts, &answer);
	request_note_stage(r, &answer);
	log_debug("boot: %s at %s: %s", r->asker.mac, r->asker.client, answer.outcome);
	request_finish(r, &answer);
}

/* ---- what has to be written ---- */

static bool request_verified_address(const struct request *r)
{
	return r->neighbour == NEIGHBOUR_MATCH;
}

/* What a known machine tells that the inventory does not know yet. */
static bool request_learn(const struct request *r, struct machine *machine)
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
	return changed;
}

static bool request_wants_address(const struct request *r)
{
	return !r->look.machine.address[0] && r->asker.client[0] && !strchr(r->asker.client, ':') &&
	       request_verified_address(r);
}

/* It waited, and need not any more. A person's "no" stays: it concerned other hardware with this MAC. */
static bool request_row_is_over(const struct request *r)
{
	return r->look.waits && r->look.waiting.reason != WAIT_DENIED;
}

static bool request_must_write_known(const struct request *r, int64_t now)
{
	struct machine machine = r->look.machine;

	return (decision_opens_disk(r->decision) &&
		(!r->look.pending.number || r->look.pending.version_id != r->look.want.version_id)) ||
	       request_row_is_over(r) ||
	       now - machine.seen_ms >= BOOT_SEEN_MS || request_learn(r, &machine) || request_wants_address(r);
}

static bool request_must_write(const struct request *r)
{
	int64_t now = time_unix_ms();
	enum waiting_reason reason;

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
		return !r->look.waits || r->look.waiting.reason != reason ||
		       r->look.waiting.machine_id != r->look.machine.id ||
		       now - r->look.waiting.seen_ms >= BOOT_SEEN_MS;
	}
}

/* The pending boot, made where there is none, with what was chosen for it. */
static int request_write_boot(struct request *r, struct inventory_tx *tx)
{
	const struct machine *machine = &r->look.machine;
	struct boot_record *pending = &r->look.pending;
	int err = 0;

	if (!pending->number) {
		err = enrol_issue_boot(tx, machine->id, r->asker.mac, r->asker.client, pending);
		if (!err)
			err = event_add(tx, "info", "boot-asked", "machine", machine->id, machine->name,
					"%s%s%s got its script for boot %llu", r->asker.mac,
					r->asker.client[0] ? " at " : "", r->asker.client,
					(unsigned long long)pending->number);
	}
	if (err || pending->version_id == r->look.want.version_id)
		return err;
	err = boot_choose(tx, machine->id, pending->number, r->look.want.version_id);
	if (!err)
		pending->version_id = r->look.want.version_id;
	return err;
}

static int request_write_known(struct request *r, struct inventory_tx *tx)
{
	struct machine *machine = &r->look.machine;
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

static int request_waiting_event(struct request *r, struct inventory_tx *tx, enum waiting_reason reason)
{
	const struct look *look = &r->look;
	bool odd = reason == WAIT_CONFLICT || reason == WAIT_SWAP;
	bool bad = reason == WAIT_NO_SPACE || reason == WAIT_FULL;

	return event_add(tx, odd || bad ? "warning" : "info", bad && reason == WAIT_NO_SPACE ? "no-space" : "waiting",
			 "machine", look->machine.id, odd ? look->machine.name : "",
			 "%s%s%s waits (%s), number %lld%s%s", r->asker.mac, r->asker.client[0] ? " at " : "",
			 r->asker.client, waiting_reason_name(reason), (long long)look->waiting.number,
			 reason == WAIT_NO_SPACE && r->reason[0] ? ": " : "", reason == WAIT_NO_SPACE ? r->reason : "");
}

static int request_write_waiting(struct request *r, struct inventory_tx *tx, enum waiting_reason reason)
{
	struct look *look = &r->look;
	struct waiting row = look->waiting;
	bool news = !look->waits || row.reason != reason || row.machine_id != look->machine.id;
	int err;

	memcpy(row.mac, r->asker.mac, sizeof(row.mac));
	memcpy(row.uuid, r->asker.uuid, sizeof(row.uuid));
	memcpy(row.serial, r->asker.serial, sizeof(row.serial));
	memcpy(row.product, r->asker.product, sizeof(row.product));
	memcpy(row.address, r->asker.client, sizeof(row.address));
	row.reason = reason;
	row.machine_id = look->machine.id;
	row.seen_ms = time_unix_ms();
	if (!look->waits)
		row.first_ms = row.seen_ms;
	err = waiting_put(tx, &row, look->policy.max_waiting);
	/* The list is full: it waits all the same, without a number. */
	if (err == -ENOSPC)
		return 0;
	if (err)
		return err;
	look->waiting = row;
	look->waits = true;
	return news ? request_waiting_event(r, tx, reason) : 0;
}

static int request_enrol(struct request *r, struct inventory_tx *tx)
{
	int err;

	r->enrolment = (struct enrolment){
		.asker = &r->asker,
		.address = request_verified_address(r) ? r->asker.client : "",
		.version = &r->look.version,
		.policy = &r->look.policy,
		.actor = "machine",
	};
	err = enrol_machine(r->boot, tx, &r->enrolment, &r->look.machine, r->reason, sizeof(r->reason));
	if (!err)
		return boot_pending(tx, r->look.machine.id, &r->look.pending);
	if (err != -ENOSPC)
		return err;
	memset(&r->look.machine, 0, sizeof(r->look.machine));
	r->look.facts.no_space = true;
	r->decision = decide(&r->look.facts);
	return request_write_waiting(r, tx, WAIT_NO_SPACE);
}

/* Nothing is left to be asked before it can be served. */
static bool request_is_ready(const struct request *r)
{
	if (decision_opens_disk(r->decision) && r->look.current.number && !r->probed)
		return false;
	return r->decision != DECIDE_SERVE || r->turn.now;
}

/* Looks again: between the first look and this job another request may have changed everything. */
static int request_settle(struct inventory_tx *tx, struct inventory_job *job)
{
	struct request *r = container_of(job, struct request, job);
	enum waiting_reason reason;
	int err = look_up(r->boot, tx, &r->asker, &r->look);

	if (err)
		return err;
	r->decision = decide(&r->look.facts);
	if (r->decision == DECIDE_ENROL)
		return request_enrol(r, tx);
	if (r->decision == DECIDE_SERVE && r->turn.place && !r->turn.now)
		r->decision = DECIDE_WAIT_TURN;
	if (!request_is_ready(r))
		return 0; /* it was enrolled, or has begun to run, meanwhile: from the start */
	if (!request_must_write(r))
		return 0;
	if (decision_waiting_reason(r->decision, &reason))
		return request_write_waiting(r, tx, reason);
	return request_write_known(r, tx);
}

/* ---- the sequence ---- */

static void request_decide(struct request *r);

/* It would be served. May it be, now? */
static void request_turn(struct request *r)
{
	r->turn = turns_ask(r->boot->turns, r->look.machine.id, r->look.priority, r->look.policy.max_booting,
			    time_monotonic_ms());
	if (!r->turn.now)
		r->decision = DECIDE_WAIT_TURN;
}

static void request_busy(struct request *r, int err)
{
	log_error("boot: %s: %s%s%s", r->asker.mac, strerror(-err), r->reason[0] ? ": " : "", r->reason);
	request_fail(r, 503, "busy", "the server could not look into its inventory; its log says why");
}

static void request_settled(struct inventory_job *job, int err)
{
	struct request *r = container_of(job, struct request, job);

	if (err && r->enrolment.child[0])
		boot_discard_child(r->boot, r->enrolment.child);
	if (err) {
		request_busy(r, err);
		return;
	}
	if (!request_is_ready(r)) {
		request_decide(r);
		return;
	}
	if (r->decision == DECIDE_ENROL)
		request_turn(r);
	request_answer(r);
}

static void request_write(struct request *r)
{
	r->enrolment.child[0] = '\0';
	r->job = (struct inventory_job){ .run = request_settle, .done = request_settled, .loop = r->boot->loop };
	inventory_write(r->boot->inventory, &r->job);
}

static void request_probed(void *arg, bool alive, const struct boot_session *session)
{
	struct request *r = arg;

	r->probed = true;
	r->look.facts.running = alive;
	if (alive && session)
		r->running = *session;
	request_decide(r);
}

static void request_decide(struct request *r)
{
	r->decision = decide(&r->look.facts);
	if (decision_opens_disk(r->decision) && r->look.current.number && !r->probed) {
		r->boot->runtime->probe(r->boot->runtime->arg, (uint64_t)r->look.machine.id, BOOT_PROBE_MS,
					r->boot->loop, request_probed, r);
		return;
	}
	if (r->decision == DECIDE_SERVE)
		request_turn(r);
	if (request_must_write(r))
		request_write(r);
	else
		request_answer(r);
}

static int request_look(struct inventory_tx *tx, struct inventory_job *job)
{
	struct request *r = container_of(job, struct request, job);

	return look_up(r->boot, tx, &r->asker, &r->look);
}

/* True: it is answered. Said once a minute and address, and six times a minute at most. */
static bool request_flood(struct request *r, const struct flood_verdict *verdict, const char *what)
{
	const char *client = r->asker.client[0] ? r->asker.client : "an unknown address";

	if (!verdict->refused)
		return false;
	if (verdict->event && slots_event_due(&r->boot->slots, 0, SLOT_FLOOD, 6, 60000))
		boot_note(r->boot, "warning", "flood", "server", 0,
			  "%s asks for %s: %u a second just now, %u refused; whoever asks from elsewhere is served as before",
			  client, what, verdict->per_second, verdict->refused_count);
	snprintf(r->reason, sizeof(r->reason), "%s asks for %s; it goes on more slowly", client, what);
	request_fail(r, 503, "busy", r->reason);
	return true;
}

static void request_looked(struct inventory_job *job, int err)
{
	struct request *r = container_of(job, struct request, job);
	struct flood_verdict verdict = { 0 };

	if (err) {
		request_busy(r, err);
		return;
	}
	if (!r->look.facts.known || r->look.facts.stranger)
		verdict = flood_unknown(r->boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	else
		flood_known(r->boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	if (!request_flood(r, &verdict, "more machines than it can have"))
		request_decide(r);
}

static void request_start(struct loop_msg *msg)
{
	struct request *r = container_of(msg, struct request, msg);
	int err;

	if (r->invalid) {
		request_fail(r, 400, "invalid", r->reason);
		return;
	}
	err = neighbour_check(r->asker.client, r->asker.mac, &r->neighbour);
	if (err) {
		log_warning("boot: %s: the neighbour table cannot be asked about \"%s\": %s", r->asker.mac,
			    r->asker.client, strerror(-err));
		r->neighbour = NEIGHBOUR_MISSING;
	}
	r->look.facts.stranger = r->neighbour == NEIGHBOUR_OTHER || r->neighbour == NEIGHBOUR_MISSING;
	r->job = (struct inventory_job){ .run = request_look, .done = request_looked, .loop = r->boot->loop };
	inventory_read(r->boot->inventory, &r->job);
}

void boot_request(struct boot *boot, const struct boot_ask *ask,
		  void (*answered)(void *arg, const struct boot_answer *answer), void *arg)
{
	static const struct boot_answer no_memory = { .status = 503, .outcome = "busy" };
	struct flood_verdict verdict;
	struct request *r = calloc(1, sizeof(*r));

	if (!r) {
		answered(arg, &no_memory);
		return;
	}
	r->boot = boot;
	r->answered = answered;
	r->arg = arg;
	r->invalid = !ask_check(ask, &r->asker, r->reason, sizeof(r->reason));
	r->msg.run = request_start;
	boot_enter(boot);
	verdict = flood_ask(boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	if (!request_flood(r, &verdict, "scripts without end"))
		loop_post(boot->loop, &r->msg);
}
