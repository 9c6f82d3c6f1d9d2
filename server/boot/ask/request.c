// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /boot, from the question to the script. Everything runs on boot's own loop but the two jobs, which run on the
 * inventory's threads and touch only the request, which nobody else touches meanwhile.
 *
 *     boot_request -> start: neighbour table -> lookup (read job) -> decide
 *                                                                    |
 *               a current boot, not yet probed  +--------------------+--------------------+ nothing to write
 *                                               v                    | something to write |
 *                          probe (at most 5 s), then decide again    v                    v
 *                                          settle (write job): looks and decides again -> answer
 *
 * A machine that asks every five seconds causes a read, and a write at most once a minute: settle.c.
 */
#include "request.h"

#include "answer.h"
#include "base/log.h"
#include "base/util.h"
#include "boot/progress/progress.h"
#include "flood.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the answer ---- */

static void request_finish(struct ask_request *r, struct boot_answer *answer)
{
	struct boot *boot = r->boot;

	r->answered(r->arg, answer);
	if (answer->script.data)
		explicit_bzero(answer->script.data, answer->script.len);
	buf_fini(&answer->script);
	explicit_bzero(r, sizeof(*r));
	free(r);
	in_flight_leave(&boot->in_flight);
}

static void request_fail(struct ask_request *r, int status, enum boot_outcome outcome, const char *reason)
{
	struct boot_answer answer = { 0 };

	buf_init(&answer.script, 1u << 16);
	answer_error(r->boot, &r->asker, status, outcome, reason, &answer);
	request_finish(r, &answer);
}

static const char *request_stranger_reason(struct ask_request *r)
{
	const char *client = r->asker.client[0] ? r->asker.client : "your address";

	reason_set(&r->reason, "the server's neighbour table shows %s MAC address for %s",
		   r->neighbour == NEIGHBOUR_OTHER ? "another" : "no", client);
	return r->reason.text;
}

static const char *request_reason(struct ask_request *r)
{
	switch (r->decision) {
	case DECIDE_WAIT_STRANGER:
		return request_stranger_reason(r);
	case DECIDE_WAIT_FAILED:
		return r->lookup.machine.system.state_reason;
	case DECIDE_WAIT_SPACE:
		return r->reason.text;
	case DECIDE_WAIT_SWAP:
		return r->lookup.card[0] ? r->lookup.card : NULL;
	case DECIDE_SERVE:
	case DECIDE_ENTRY_DISK:
		/* It failed, and comes back: its screen says what only the server knows. */
		return r->asker.error[0] && presence_refused(&r->boot->presence, r->lookup.machine.id, &r->reason) ?
			       r->reason.text :
			       NULL;
	case DECIDE_MENU:
		return r->lookup.want.images_free ? NULL :
						    "Its disk holds data: another image only after machine reset";
	case DECIDE_DENY:
		return r->lookup.facts.denied ? "a person said no" : "this server takes no new machines (enrol=deny)";
	default:
		return NULL;
	}
}

/* A failed sanboot is worth an event: it is the machine's only way to say what is wrong. */
static void request_note_error(struct ask_request *r)
{
	const struct machine *machine = &r->lookup.machine;
	const char *what = r->decision == DECIDE_ENTRY_DISK ? r->lookup.want.text : "its disk";

	if (!r->asker.error[0] || !r->lookup.facts.known || r->lookup.facts.stranger)
		return;
	progress_problem(r->boot, machine->id, false, "iPXE could not boot %.60s (https://ipxe.org/%s)", what,
			 r->asker.error);
	if (!presence_event_due(&r->boot->presence, machine->id, PRESENCE_SANBOOT_FAILED, 1, 60000))
		return;
	boot_note(r->boot, "warning", "sanboot-failed", "machine", machine->id,
		  "iPXE could not boot %s: https://ipxe.org/%s (attempt %u)", what, r->asker.error, r->asker.attempt);
}

static void request_note_portals(struct ask_request *r, const struct portals_offer *offer)
{
	if (offer->left_out[0] &&
	    presence_event_due(&r->boot->presence, r->lookup.machine.id, PRESENCE_PORTALS, 1, 60000))
		boot_note(r->boot, "warning", "portal-left-out", "server", r->lookup.machine.id,
			  "its script names %u portal%s and leaves out %s", offer->count, offer->count == 1 ? "" : "s",
			  offer->left_out);
}

/* It has its script, or it was here and waits. A stranger proves nothing. */
static void request_note_stage(struct ask_request *r, const struct boot_answer *answer,
			       const struct portals_offer *offer)
{
	if (r->lookup.facts.stranger)
		return;
	if (answer->outcome == BOOT_SANBOOT || (r->decision == DECIDE_ENTRY_DISK && answer->outcome == BOOT_ENTRY)) {
		progress_script(r->boot, r->lookup.machine.id, r->lookup.pending.number, r->asker.mac, r->asker.client,
				&r->lookup.version, offer);
		request_note_portals(r, offer);
		return;
	}
	progress_waits(r->boot, r->lookup.facts.known && !r->lookup.facts.conflict ? r->lookup.machine.id : 0,
		       r->asker.mac, decision_name(r->decision));
}

static void request_answer(struct ask_request *r)
{
	struct boot_answer answer = { 0 };
	struct portals_offer offer;
	struct answer_facts facts = {
		.asker = &r->asker,
		.offer = &offer,
		.lookup = &r->lookup,
		.decision = r->decision,
		.reason = request_reason(r),
		.running = r->decision == DECIDE_WAIT_RUNNING ? &r->running : NULL,
		.turn = r->decision == DECIDE_WAIT_TURN ? &r->turn : NULL,
	};

	request_note_error(r);
	portals_offer(r->boot, r->asker.server, &r->lookup.machine, &offer);
	buf_init(&answer.script, 1u << 16);
	answer_make(r->boot, &facts, &answer);
	request_note_stage(r, &answer, &offer);
	log_debug("boot: %s at %s: %s", r->asker.mac, r->asker.client, boot_outcome_name(answer.outcome));
	request_finish(r, &answer);
}

/* ---- the sequence ---- */

static void request_decide(struct ask_request *r);

/* It would be served. May it be, now? */
static void request_turn(struct ask_request *r)
{
	r->turn = turns_ask(r->boot->turns, r->lookup.machine.id, r->lookup.priority, r->lookup.policy.max_booting,
			    time_monotonic_ms());
	if (!r->turn.now)
		r->decision = DECIDE_WAIT_TURN;
}

static void request_busy(struct ask_request *r, int err)
{
	log_error("boot: %s: %s%s%s", r->asker.mac, strerror(-err), r->reason.text[0] ? ": " : "", r->reason.text);
	request_fail(r, 503, BOOT_BUSY, "the server could not look into its inventory; its log says why");
}

static void request_settled(struct inventory_job *job, int err)
{
	struct ask_request *r = container_of(job, struct ask_request, job);

	if (err)
		boot_discard_object(r->boot, &r->enrolment.made);
	if (err) {
		request_busy(r, err);
		return;
	}
	if (!settle_is_ready(r)) {
		request_decide(r);
		return;
	}
	if (r->decision == DECIDE_ENROL)
		request_turn(r);
	request_answer(r);
}

static void request_write(struct ask_request *r)
{
	r->enrolment.made = (struct volume){ 0 };
	r->job = (struct inventory_job){ .run = settle_request, .done = request_settled, .loop = r->boot->loop };
	inventory_write(r->boot->inventory, &r->job);
}

static void request_looked_again(struct inventory_job *job, int err)
{
	struct ask_request *r = container_of(job, struct ask_request, job);

	if (err)
		request_busy(r, err);
	else
		request_decide(r);
}

static int request_look(struct inventory_tx *tx, struct inventory_job *job)
{
	struct ask_request *r = container_of(job, struct ask_request, job);

	return lookup_make(r->boot, tx, &r->asker, &r->lookup);
}

static void request_probed(void *arg, bool alive, const struct boot_session *session)
{
	struct ask_request *r = arg;

	r->lookup.probed_id = r->lookup.machine.id;
	r->lookup.running_id = alive ? r->lookup.machine.id : 0;
	r->lookup.facts.running = alive;
	if (alive && session)
		r->running = *session;
	if (!alive || r->decision != DECIDE_WAIT_SWAP) {
		request_decide(r);
		return;
	}
	/* A swap for a machine that runs: so it is another one, with the same UUID or serial number. What is it then? */
	r->job = (struct inventory_job){ .run = request_look, .done = request_looked_again, .loop = r->boot->loop };
	inventory_read(r->boot->inventory, &r->job);
}

static void request_decide(struct ask_request *r)
{
	r->decision = decide(&r->lookup.facts);
	if (settle_must_probe(r)) {
		r->boot->runtime->probe(r->boot->runtime->arg, (uint64_t)r->lookup.machine.id, BOOT_PROBE_MS,
					r->boot->loop, request_probed, r);
		return;
	}
	if (r->decision == DECIDE_SERVE)
		request_turn(r);
	if (settle_must_write(r))
		request_write(r);
	else
		request_answer(r);
}

/* True: it is answered. Said once a minute and address, and six times a minute at most. */
static bool request_flood(struct ask_request *r, const struct flood_verdict *verdict, const char *what)
{
	const char *client = r->asker.client[0] ? r->asker.client : "an unknown address";

	if (!verdict->refused)
		return false;
	if (verdict->event && presence_event_due(&r->boot->presence, 0, PRESENCE_FLOOD, 6, 60000))
		boot_note(
			r->boot, "warning", "flood", "server", 0,
			"%s asks for %s: %u a second just now, %u refused; whoever asks from elsewhere is served as before",
			client, what, verdict->per_second, verdict->refused_count);
	reason_set(&r->reason, "%s asks for %s; it goes on more slowly", client, what);
	request_fail(r, 503, BOOT_BUSY, r->reason.text);
	return true;
}

static void request_looked(struct inventory_job *job, int err)
{
	struct ask_request *r = container_of(job, struct ask_request, job);
	struct flood_verdict verdict = { 0 };

	if (err) {
		request_busy(r, err);
		return;
	}
	if (!r->lookup.facts.known || r->lookup.facts.stranger)
		verdict = flood_unknown(r->boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	else
		flood_known(r->boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	if (!request_flood(r, &verdict, "more machines than it can have"))
		request_decide(r);
}

static void request_start(struct loop_msg *msg)
{
	struct ask_request *r = container_of(msg, struct ask_request, msg);
	int err;

	if (r->invalid) {
		request_fail(r, 400, BOOT_INVALID, r->reason.text);
		return;
	}
	err = neighbour_check(r->asker.client, r->asker.mac, &r->neighbour);
	if (err) {
		log_warning("boot: %s: the neighbour table cannot be asked about \"%s\": %s", r->asker.mac,
			    r->asker.client, strerror(-err));
		r->neighbour = NEIGHBOUR_MISSING;
	}
	r->lookup.facts.stranger = r->neighbour == NEIGHBOUR_OTHER || r->neighbour == NEIGHBOUR_MISSING;
	r->job = (struct inventory_job){ .run = request_look, .done = request_looked, .loop = r->boot->loop };
	inventory_read(r->boot->inventory, &r->job);
}

void boot_request(struct boot *boot, const struct boot_ask *ask,
		  void (*answered)(void *arg, const struct boot_answer *answer), void *arg)
{
	static const struct boot_answer no_memory = { .status = 503, .outcome = BOOT_BUSY };
	struct flood_verdict verdict;
	struct ask_request *r = calloc(1, sizeof(*r));

	if (!r) {
		answered(arg, &no_memory);
		return;
	}
	r->boot = boot;
	r->answered = answered;
	r->arg = arg;
	r->invalid = !ask_check(ask, &r->asker, &r->reason);
	r->msg.run = request_start;
	in_flight_enter(&boot->in_flight);
	verdict = flood_ask(boot->flood, r->asker.client, r->asker.mac, time_monotonic_ms());
	if (!request_flood(r, &verdict, "scripts without end"))
		loop_post(boot->loop, &r->msg);
}
