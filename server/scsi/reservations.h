/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Persistent reservations (SPC-4 §5.13) and those of SPC-2. Private to scsi/. */
#ifndef SCSI_RESERVATIONS_H
#define SCSI_RESERVATIONS_H

#include "scsi/task.h"

/* SPC-4 §6.15.3.4 */
enum pr_type {
	PR_NONE = 0,
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7,
	PR_EXCLUSIVE_ACCESS_ALL = 8,
};

/* The relative port identifier of the only target port. */
enum { SCSI_TARGET_PORT = 1 };

void reservations_init(struct reservations *r);
void reservations_fini(struct reservations *r);
/* No registrations, no reservations. */
void reservations_clear(struct reservations *r);

bool pr_type_valid(unsigned type);
bool pr_type_is_all(unsigned type);	    /* every registrant holds it */
bool pr_type_is_registrants(unsigned type); /* registrants only, or all registrants */
/* The index of a port's registration; -1: none. */
int reservations_find(const struct reservations *r, const char *port_name);
bool reservations_is_holder(const struct reservations *r, int index);
/* 0, -ENOSPC or -ENOMEM. */
int reservations_add(struct reservations *r, const char *port_name, uint64_t key, bool all_target_ports);
void reservations_remove(struct reservations *r, unsigned index);
void reservations_release(struct reservations *r);

/* May this command run, or is it RESERVATION CONFLICT? */
bool reservations_allow(const struct task_state *st);

void pr_in_read_keys(struct task_state *st);
void pr_in_read_reservation(struct task_state *st);
void pr_in_report_capabilities(struct task_state *st);
void pr_in_read_full_status(struct task_state *st);
void pr_out(struct task_state *st);
void spc2_reserve(struct task_state *st);
void spc2_release(struct task_state *st);

/* ---- TransportID (SPC-4 §7.6.4.6) ---- */

enum { TRANSPORT_ID_MAX = 4 + 256 };
/* Writes the TransportID of an iSCSI initiator port; returns its length, a multiple of 4. */
size_t transport_id_encode(const char *port_name, uint8_t out[TRANSPORT_ID_MAX]);
/* Reads one. Its length, 0 where it is none of an iSCSI initiator port. name holds TRANSPORT_ID_MAX. */
size_t transport_id_decode(const uint8_t *data, size_t len, char *name);

#endif
