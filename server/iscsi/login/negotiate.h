/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operational keys (RFC 7143 §13): one table says of each its kind, range, when it may be sent and what comes of it.
 *
 * We never offer, only answer; what the initiator does not offer keeps its default. The one thing that we declare is
 * our MaxRecvDataSegmentLength. One thread.
 */
#ifndef ISCSI_NEGOTIATE_H
#define ISCSI_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
	DEFAULT_RECV_DATA = 8192,   /* §13.12 */
	MAX_BURST = (1u << 24) - 1, /* most that we agree to, bytes */
	MAX_FIRST_BURST = 262144,
	MAX_R2TS = 8,
};

struct iscsi_params {
	uint32_t header_digest, data_digest; /* 0, 1: CRC32C */
	uint32_t initial_r2t, immediate_data;
	uint32_t max_send_data; /* the initiator's MaxRecvDataSegmentLength: most data in a PDU of ours */
	uint32_t max_burst, first_burst;
	uint32_t max_r2ts;
	uint32_t time2wait, time2retain; /* seconds */
	uint32_t max_connections, error_recovery_level;
	uint32_t pdu_in_order, sequence_in_order;
	uint32_t protocol_level;
};

enum negotiate_phase { NEGOTIATE_LOGIN, NEGOTIATE_FULL };

struct negotiation {
	struct iscsi_params params;
	bool discovery;
	uint32_t seen;	  /* keys of the table that this login has had, by index */
	unsigned unknown; /* keys answered NotUnderstood */
};

void negotiation_init(struct negotiation *negotiation);
/*
 * Takes all operational keys of a checked text (keys.h), answers them in reply; skips those that the login itself
 * reads (names, AuthMethod, CHAP, SendTargets). NULL, or why this is a protocol error.
 */
const char *negotiate(struct negotiation *negotiation, enum negotiate_phase phase, const char *text, size_t len,
		      struct buf *reply);

#endif
