// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who has registered, who holds what, and which commands a reservation lets through (SPC-4 §5.13, table 66; SBC-3
 * table 13). The commands that change it are in pr_out.c, those that show it in pr_in.c.
 *
 * Invariants: type is 0 and holder -1, or type is valid and there is a registrant; holder is the index of one unless
 * the type is "all registrants", when it is -1 and each registrant is a holder.
 */
#include "scsi/reservations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scsi/handlers.h"

void reservations_init(struct reservations *r)
{
	r->holder = -1;
}

void reservations_clear(struct reservations *r)
{
	for (unsigned i = 0; i < r->count; i++)
		free(r->registrants[i].port_name);
	r->count = 0;
	r->type = PR_NONE;
	r->holder = -1;
	r->aptpl = false;
	r->reserved_by = NULL;
}

void reservations_fini(struct reservations *r)
{
	reservations_clear(r);
}

bool pr_type_valid(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS ||
	       (type >= PR_WRITE_EXCLUSIVE_REGISTRANTS && type <= PR_EXCLUSIVE_ACCESS_ALL);
}

bool pr_type_is_all(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE_ALL || type == PR_EXCLUSIVE_ACCESS_ALL;
}

bool pr_type_is_registrants(unsigned type)
{
	return type >= PR_WRITE_EXCLUSIVE_REGISTRANTS && type <= PR_EXCLUSIVE_ACCESS_ALL;
}

static bool pr_type_is_exclusive_access(unsigned type)
{
	return type == PR_EXCLUSIVE_ACCESS || type == PR_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       type == PR_EXCLUSIVE_ACCESS_ALL;
}

int reservations_find(const struct reservations *r, const char *port_name)
{
	/* iSCSI names are lower case by then; the hexadecimal digits of the ISID may be either. */
	for (unsigned i = 0; i < r->count; i++)
		if (strcasecmp(r->registrants[i].port_name, port_name) == 0)
			return (int)i;
	return -1;
}

bool reservations_is_holder(const struct reservations *r, int index)
{
	return r->type && index >= 0 && (pr_type_is_all(r->type) || r->holder == index);
}

int reservations_add(struct reservations *r, const char *port_name, uint64_t key, bool all_target_ports)
{
	char *name;

	if (r->count >= SCSI_REGISTRANTS_MAX)
		return -ENOSPC;
	name = strdup(port_name);
	if (!name)
		return -ENOMEM;
	r->registrants[r->count++] =
		(struct registrant){ .port_name = name, .key = key, .all_target_ports = all_target_ports };
	return 0;
}

void reservations_remove(struct reservations *r, unsigned index)
{
	free(r->registrants[index].port_name);
	r->count--;
	memmove(r->registrants + index, r->registrants + index + 1, (r->count - index) * sizeof(r->registrants[0]));
	if (r->holder == (int)index)
		reservations_release(r);
	else if (r->holder > (int)index)
		r->holder--;
	if (!r->count)
		reservations_release(r);
}

void reservations_release(struct reservations *r)
{
	r->type = PR_NONE;
	r->holder = -1;
}

/* ---- conflicts ---- */

static bool pr_allow(const struct reservations *r, const struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	int index;

	if (!r->type || st->op->reserve == RESERVE_ALLOWED || st->op->reserve == RESERVE_ITSELF)
		return true;
	index = reservations_find(r, st->nexus->port_name);
	if (reservations_is_holder(r, index) || (index >= 0 && pr_type_is_registrants(r->type)))
		return true;
	switch (st->op->reserve) {
	case RESERVE_READ:
		return !pr_type_is_exclusive_access(r->type);
	case RESERVE_START:
		return (cdb[4] & 0xf1) == 0x01;
	case RESERVE_PREVENT:
		return !(cdb[4] & 0x01);
	default:
		return false;
	}
}

bool reservations_allow(const struct task_state *st)
{
	const struct reservations *r = &st->lu->reservations;

	/* SPC-2 §5.5.1, table 10 */
	if (r->reserved_by && r->reserved_by != st->nexus) {
		if (st->op->reserve == RESERVE_PREVENT)
			return !(st->task->cdb[4] & 0x01);
		return st->op->flags & OP_LEGACY;
	}
	return pr_allow(r, st);
}
