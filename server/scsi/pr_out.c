// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PERSISTENT RESERVE OUT (SPC-4 §6.16, and what its service actions do: §5.13.5 to §5.13.11).
 *
 * Each action validates, changes struct reservations, raises the unit attentions that others are owed, and ends in
 * pr_done, which first has it kept where APTPL is or was active.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/reservations.h"

/* SPC-4 §6.16.3 */
struct pr_parameters {
	struct be64 key, action_key;
	uint8_t obsolete1[4], flags, reserved, obsolete2[2];
};

/* SPC-4 §6.16.4, REGISTER AND MOVE */
struct pr_move_parameters {
	struct be64 key, action_key;
	uint8_t reserved, flags;
	struct be16 relative_target_port;
	struct be32 transport_id_length;
};

enum pr_action {
	PR_REGISTER,
	PR_RESERVE,
	PR_RELEASE,
	PR_CLEAR,
	PR_PREEMPT,
	PR_PREEMPT_AND_ABORT,
	PR_REGISTER_IGNORE,
	PR_REGISTER_MOVE
};

enum {
	FLAG_SPEC_I_PT = 0x08,
	FLAG_ALL_TG_PT = 0x04,
	FLAG_APTPL = 0x01,
	MOVE_UNREG = 0x02,
	PARAMETERS_BYTES = 24,
};

/* One PERSISTENT RESERVE OUT: what it says, and who says it. */
struct pr_request {
	struct task_state *st;
	struct reservations *r;
	enum pr_action action;
	uint8_t scope, type;
	uint64_t key, action_key;
	uint8_t flags;
	int self;  /* index of the sender's registration; -1: none */
	bool keep; /* has something changed that must be kept? */
};

/* ---- ends ---- */

/*
 * Only now, when the reservation is what it will be: the end of an aborted task may let others run, which may change
 * it. Nexuses that have logged out meanwhile are no longer in the list.
 */
static void pr_abort_preempted(struct task_state *st)
{
	struct scsi_nexus *n;

again:
	for (n = st->target->nexuses; n; n = n->next) {
		if (!n->preempted)
			continue;
		n->preempted = false;
		task_preempt(st, n);
		goto again;
	}
}

static void pr_after_save(struct save_waiter *waiter, int err)
{
	struct task_state *st = container_of(waiter, struct task_state, saved);

	if (st->task->cdb[1] == PR_PREEMPT_AND_ABORT)
		pr_abort_preempted(st);
	if (err)
		task_fail(st, SENSE_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
	else if (st->task->cdb[1] == PR_PREEMPT_AND_ABORT && !st->aborted)
		task_good_after_aborts(st);
	else
		task_good(st);
}

static void pr_done(struct pr_request *q)
{
	struct task_state *st = q->st;

	st->saved.done = pr_after_save;
	if ((q->keep || q->r->aptpl) && persist_possible(st->target))
		persist_save(st->target, &st->saved);
	else
		pr_after_save(&st->saved, 0);
}

static void pr_conflict(struct pr_request *q)
{
	task_status(q->st, SCSI_RESERVATION_CONFLICT);
}

/* To all registered nexuses but the sender. */
static void pr_raise_registered(struct pr_request *q, enum unit_attention ua)
{
	for (unsigned i = 0; i < q->r->count; i++)
		if ((int)i != q->self)
			lu_raise_port(q->st->lu, q->r->registrants[i].port_name, ua);
}

/* ---- REGISTER ---- */

/* SPC-4 §5.13.11.3: what becomes of a reservation when its holder unregisters. */
static void pr_unregister(struct pr_request *q)
{
	struct reservations *r = q->r;
	bool released = reservations_is_holder(r, q->self) && (!pr_type_is_all(r->type) || r->count == 1);

	if (released && pr_type_is_registrants(r->type))
		pr_raise_registered(q, UA_RESERVATIONS_RELEASED);
	reservations_remove(r, (unsigned)q->self);
}

static void pr_no_room(struct pr_request *q, int err)
{
	if (err == -ENOSPC)
		task_fail(q->st, SENSE_ILLEGAL_REQUEST, ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
	else
		task_status(q->st, SCSI_BUSY);
}

/*
 * SPEC_I_PT (SPC-4 §6.16.3): registers the ports of a list as well. All of them are checked before the first is
 * registered. False: the task has ended.
 */
static bool pr_register_ports(struct pr_request *q, const uint8_t *list)
{
	size_t end = q->st->length, at = PARAMETERS_BYTES + 4, ids;
	bool all_target_ports = q->flags & FLAG_ALL_TG_PT;
	char name[TRANSPORT_ID_MAX];
	struct be32 length;
	unsigned wanted = 0;

	memcpy(&length, list + PARAMETERS_BYTES, sizeof(length));
	ids = be32_get(length);
	if (ids != end - at) {
		task_fail_list_length(q->st);
		return false;
	}
	while (at < end) {
		size_t len = transport_id_decode(list + at, end - at, name);

		/* One that is registered already, or is there twice: SPC-4 §5.13.7. */
		if (!len || reservations_find(q->r, name) >= 0 || strcasecmp(name, q->st->nexus->port_name) == 0) {
			task_fail_parameter(q->st, (unsigned)at, -1);
			return false;
		}
		wanted++;
		at += len;
	}
	if (wanted + 1 > SCSI_REGISTRANTS_MAX - q->r->count) {
		pr_no_room(q, -ENOSPC);
		return false;
	}
	for (at = PARAMETERS_BYTES + 4; at < end;) {
		at += transport_id_decode(list + at, end - at, name);
		if (reservations_find(q->r, name) < 0 &&
		    reservations_add(q->r, name, q->action_key, all_target_ports)) {
			pr_no_room(q, -ENOMEM);
			return false;
		}
	}
	return true;
}

static void pr_register(struct pr_request *q, const uint8_t *list)
{
	struct reservations *r = q->r;
	int err;

	if (q->action == PR_REGISTER && q->key != (q->self >= 0 ? r->registrants[q->self].key : 0)) {
		pr_conflict(q);
		return;
	}
	if ((q->flags & FLAG_SPEC_I_PT) && (q->action != PR_REGISTER || q->self >= 0)) {
		task_fail_parameter(q->st, 20, 3);
		return;
	}
	if ((q->flags & FLAG_APTPL) && !persist_possible(q->st->target)) {
		task_fail_parameter(q->st, 20, 0);
		return;
	}
	if (q->self < 0 && !q->action_key) { /* table 212: nothing to do */
		task_good(q->st);
		return;
	}
	if ((q->flags & FLAG_SPEC_I_PT) && !pr_register_ports(q, list))
		return;
	if (q->self < 0) {
		err = reservations_add(r, q->st->nexus->port_name, q->action_key, q->flags & FLAG_ALL_TG_PT);
		if (err) {
			pr_no_room(q, err);
			return;
		}
	} else if (q->action_key) {
		r->registrants[q->self].key = q->action_key;
		r->registrants[q->self].all_target_ports = q->flags & FLAG_ALL_TG_PT;
	} else {
		pr_unregister(q);
	}
	r->generation++;
	/* The last REGISTER decides: §5.13.5. What was kept before must be forgotten durably, too. */
	q->keep = r->aptpl;
	r->aptpl = q->flags & FLAG_APTPL;
	pr_done(q);
}

/* SPC-4 §5.13.8: the registration, and the reservation with it, go to another port. */
static void pr_register_move(struct pr_request *q, const uint8_t *list)
{
	const struct pr_move_parameters *p = (const struct pr_move_parameters *)list;
	struct reservations *r = q->r;
	char name[TRANSPORT_ID_MAX];
	int to, err;

	if (!reservations_is_holder(r, q->self)) {
		pr_conflict(q);
		return;
	}
	if (pr_type_is_all(r->type)) { /* there is no holder to move it from */
		pr_conflict(q);
		return;
	}
	if (be32_get(p->transport_id_length) != q->st->length - PARAMETERS_BYTES) {
		task_fail_list_length(q->st);
		return;
	}
	if (!q->action_key) {
		task_fail_parameter(q->st, 8, -1);
		return;
	}
	if (be16_get(p->relative_target_port) != SCSI_TARGET_PORT) {
		task_fail_parameter(q->st, 18, -1);
		return;
	}
	if ((p->flags & FLAG_APTPL) && !persist_possible(q->st->target)) {
		task_fail_parameter(q->st, 17, 0);
		return;
	}
	if (transport_id_decode(list + PARAMETERS_BYTES, q->st->length - PARAMETERS_BYTES, name) !=
		    q->st->length - PARAMETERS_BYTES ||
	    strcasecmp(name, q->st->nexus->port_name) == 0) {
		task_fail_parameter(q->st, PARAMETERS_BYTES, -1);
		return;
	}
	to = reservations_find(r, name);
	if (to < 0) {
		err = reservations_add(r, name, q->action_key, false);
		if (err) {
			pr_no_room(q, err);
			return;
		}
		to = (int)r->count - 1;
	}
	r->registrants[to].key = q->action_key;
	r->holder = to;
	if (p->flags & MOVE_UNREG)
		reservations_remove(r, (unsigned)q->self);
	r->generation++;
	q->keep = r->aptpl;
	r->aptpl = p->flags & FLAG_APTPL;
	pr_done(q);
}

/* ---- RESERVE, RELEASE, CLEAR ---- */

static void pr_reserve(struct pr_request *q)
{
	struct reservations *r = q->r;

	if (r->type) {
		/* The holder may say it again, but not otherwise: SPC-4 §5.13.9. */
		if (!reservations_is_holder(r, q->self) || r->type != q->type)
			pr_conflict(q);
		else
			task_good(q->st);
		return;
	}
	r->type = q->type;
	r->holder = pr_type_is_all(q->type) ? -1 : q->self;
	pr_done(q);
}

static void pr_release(struct pr_request *q)
{
	struct reservations *r = q->r;

	if (!reservations_is_holder(r, q->self)) { /* not held by the sender: no error, SPC-4 §5.13.11.2 */
		task_good(q->st);
		return;
	}
	if (r->type != q->type) {
		task_fail(q->st, SENSE_ILLEGAL_REQUEST, ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION);
		return;
	}
	if (pr_type_is_registrants(r->type))
		pr_raise_registered(q, UA_RESERVATIONS_RELEASED);
	reservations_release(r);
	pr_done(q);
}

static void pr_clear(struct pr_request *q)
{
	bool aptpl = q->r->aptpl;

	pr_raise_registered(q, UA_RESERVATIONS_PREEMPTED);
	reservations_clear(q->r);
	q->r->aptpl = aptpl;
	q->r->generation++;
	pr_done(q);
}

/* ---- PREEMPT (SPC-4 §5.13.11.4) ---- */

static void pr_mark_preempted(const struct pr_request *q, const char *port_name)
{
	for (struct scsi_nexus *n = q->st->target->nexuses; n; n = n->next)
		if (n != q->st->nexus && strcasecmp(n->port_name, port_name) == 0)
			n->preempted = true;
}

/* Removes the registrations with that key (any: all), but not the sender's own, and tells them. How many matched. */
static unsigned pr_remove_matching(struct pr_request *q, uint64_t key, bool any)
{
	struct reservations *r = q->r;
	unsigned matched = 0;

	for (unsigned i = r->count; i-- > 0;) {
		const char *port_name = r->registrants[i].port_name;

		if (!any && r->registrants[i].key != key)
			continue;
		matched++;
		if ((int)i == q->self)
			continue;
		lu_raise_port(q->st->lu, port_name, UA_REGISTRATIONS_PREEMPTED);
		if (q->action == PR_PREEMPT_AND_ABORT)
			pr_mark_preempted(q, port_name);
		reservations_remove(r, i);
		if ((int)i < q->self)
			q->self--;
	}
	return matched;
}

static void pr_preempt(struct pr_request *q)
{
	struct reservations *r = q->r;
	uint8_t old_type = r->type;
	bool all = pr_type_is_all(r->type), takes;

	/* Does it take the reservation over, or only remove registrations? */
	if (all)
		takes = !q->action_key;
	else
		takes = r->type && r->registrants[r->holder].key == q->action_key;
	if (!q->action_key && !all) {
		task_fail_parameter(q->st, 8, -1);
		return;
	}
	if (!pr_remove_matching(q, q->action_key, all && takes) && !takes) {
		pr_conflict(q);
		return;
	}
	if (takes) {
		if (old_type != q->type)
			pr_raise_registered(q, UA_RESERVATIONS_RELEASED);
		r->type = q->type;
		r->holder = pr_type_is_all(q->type) ? -1 : q->self;
	}
	r->generation++;
	pr_done(q);
}

/* ---- the command ---- */

static bool pr_uses_type(enum pr_action action)
{
	return action == PR_RESERVE || action == PR_RELEASE || action == PR_PREEMPT || action == PR_PREEMPT_AND_ABORT;
}

/* The length that the list must have: SPC-4 §6.16.1. */
static bool pr_length_fits(const struct pr_request *q, const uint8_t *list)
{
	uint32_t length = q->st->length;

	if (length < PARAMETERS_BYTES)
		return false;
	if (q->action == PR_REGISTER_MOVE)
		return length > PARAMETERS_BYTES;
	if (q->action == PR_REGISTER && (list[20] & FLAG_SPEC_I_PT))
		return length >= PARAMETERS_BYTES + 4;
	return length == PARAMETERS_BYTES;
}

static void pr_dispatch(struct pr_request *q, const uint8_t *list)
{
	switch (q->action) {
	case PR_REGISTER:
	case PR_REGISTER_IGNORE:
		pr_register(q, list);
		return;
	case PR_REGISTER_MOVE:
		pr_register_move(q, list);
		return;
	case PR_RESERVE:
		pr_reserve(q);
		return;
	case PR_RELEASE:
		pr_release(q);
		return;
	case PR_CLEAR:
		pr_clear(q);
		return;
	case PR_PREEMPT:
	case PR_PREEMPT_AND_ABORT:
		pr_preempt(q);
		return;
	}
}

void pr_out(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb, *list;
	struct pr_request q = { .st = st, .r = &st->lu->reservations, .action = (enum pr_action)cdb[1] };
	const struct pr_parameters *p;

	q.scope = cdb[2] >> 4;
	q.type = cdb[2] & 0x0f;
	/* A RESERVE of SPC-2 excludes these commands, its own nexus's too: SPC-2 §5.5.1. */
	if (q.r->reserved_by) {
		pr_conflict(&q);
		return;
	}
	if (pr_uses_type(q.action) && q.scope) {
		task_fail_cdb(st, 2, 7);
		return;
	}
	if (pr_uses_type(q.action) && !pr_type_valid(q.type)) {
		task_fail_cdb(st, 2, 3);
		return;
	}
	list = task_parameters(st);
	if (!list)
		return;
	if (!pr_length_fits(&q, list)) {
		task_fail_list_length(st);
		return;
	}
	p = (const struct pr_parameters *)list;
	q.key = be64_get(p->key);
	q.action_key = be64_get(p->action_key);
	q.flags = q.action == PR_REGISTER_MOVE ? 0 : p->flags;
	q.self = reservations_find(q.r, st->nexus->port_name);
	/* All but REGISTER need a registration, and its key: SPC-4 §5.13.7. */
	if (q.action != PR_REGISTER && q.action != PR_REGISTER_IGNORE &&
	    (q.self < 0 || q.r->registrants[q.self].key != q.key)) {
		pr_conflict(&q);
		return;
	}
	pr_dispatch(&q, list);
}
