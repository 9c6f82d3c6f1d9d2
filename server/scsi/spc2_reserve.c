// SPDX-License-Identifier: GPL-2.0-or-later
/* RESERVE and RELEASE of SPC-2 (§7.22 to §7.25), beside persistent reservations. */
#include "scsi/reservations.h"

/*
 * SPC-4 §5.13.3, CRH=1: while there are registrations, RESERVE and RELEASE of a registered nexus (with a reservation:
 * of one that holds it, or that a registrants type lets in) are good and change nothing; of others they conflict.
 */
static bool spc2_handled(struct task_state *st, struct reservations *r)
{
	int index;

	if (!r->count)
		return false;
	index = reservations_find(r, st->nexus->port_name);
	if (index >= 0 && (!r->type || reservations_is_holder(r, index) || pr_type_is_registrants(r->type)))
		task_good(st);
	else
		task_status(st, SCSI_RESERVATION_CONFLICT);
	return true;
}

void spc2_reserve(struct task_state *st)
{
	struct reservations *r = &st->lu->reservations;

	if (spc2_handled(st, r))
		return;
	r->reserved_by = st->nexus;
	task_good(st);
}

void spc2_release(struct task_state *st)
{
	struct reservations *r = &st->lu->reservations;

	if (spc2_handled(st, r))
		return;
	/* Of somebody else's reservation it is no error, and does nothing. */
	if (r->reserved_by == st->nexus)
		r->reserved_by = NULL;
	task_good(st);
}
