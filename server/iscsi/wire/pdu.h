/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PDU framing (RFC 7143 §11.2): header, additional header segments, digests, padding.
 *
 * Receiving is a state machine over whatever bytes have come; it keeps only the header, so a PDU that is half there
 * costs nothing but that. Data goes by in pieces, to wherever the owner of the connection wants it. Sending is a queue
 * of struct pdu_out, whose data stays where it is until the socket has taken it. One thread; knows no socket.
 */
#ifndef ISCSI_PDU_H
#define ISCSI_PDU_H

#include "iscsi/wire/bhs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	DIGEST_BYTES = 4,
	PDU_HEADER_MAX = BHS_BYTES + 255 * 4 + DIGEST_BYTES,
	MAX_RECV_DATA = 262144, /* our MaxRecvDataSegmentLength (§13.12), bytes */
};

enum pdu_event {
	PDU_MORE,	       /* all that was given is used up */
	PDU_HEADER,	       /* header and AHS are whole; data_len says what follows */
	PDU_DATA,	       /* a piece of the data segment */
	PDU_END,	       /* all of it came; data_digest_bad says how */
	PDU_BAD_HEADER_DIGEST, /* nothing after this can be framed */
	PDU_TOO_LONG,	       /* the data segment is longer than max_data */
};

enum pdu_state { PDU_IN_HEADER, PDU_IN_DATA, PDU_IN_TRAILER };

struct pdu_in {
	/* set by the owner, between PDUs */
	bool header_digest, data_digest;
	uint32_t max_data; /* bytes */

	enum pdu_state state;
	bool data_digest_bad;
	uint32_t data_len;   /* of this PDU */
	uint32_t data_left;  /* still to come */
	uint32_t crc;	     /* of the data so far */
	uint32_t header_len; /* BHS and AHS, once known */
	uint32_t need, have; /* of header, or of trailer */
	uint32_t pad;
	uint8_t trailer[3 + DIGEST_BYTES];
	uint8_t header[PDU_HEADER_MAX];
};

void pdu_in_init(struct pdu_in *in, uint32_t max_data);
/*
 * Takes bytes from *at (at most *len), moves both on. With PDU_DATA, piece and piece_len say which bytes. Call again
 * until PDU_MORE; also with *len 0, for an end that needs no bytes. After one of the errors, never again.
 */
enum pdu_event pdu_in_next(struct pdu_in *in, const uint8_t **at, size_t *len, const uint8_t **piece,
			   size_t *piece_len);
/* The owner received len bytes of the data segment directly, into place: accounts for them. len <= data_left. */
void pdu_in_direct(struct pdu_in *in, const void *data, size_t len);
/* Whether the peer is in the middle of a PDU. */
bool pdu_in_partial(const struct pdu_in *in);
const struct bhs *pdu_in_bhs(const struct pdu_in *in);
/*
 * The AHS of that type (§11.2.2): its content without length and type, NULL where there is none. False where the AHS do
 * not fit into the header.
 */
bool pdu_in_ahs(const struct pdu_in *in, uint8_t type, const uint8_t **content, size_t *len);

/* One PDU on its way out. */
struct pdu_out {
	struct pdu_out *next;
	void *mark;		 /* whom the connection tells that it is sent; NULL: nobody */
	void *owned;		 /* freed with it, or NULL */
	const struct iovec *iov; /* the data, from offset on in its first piece */
	size_t offset;
	size_t data_len;
	struct iovec inline_iov;
	uint32_t head_len, tail_len;
	size_t total, sent; /* bytes on the wire */
	uint8_t head[BHS_BYTES + DIGEST_BYTES];
	uint8_t tail[3 + DIGEST_BYTES];
};

/* head holds the BHS, iov/offset/data_len the data: sets DataSegmentLength, digests and padding. */
void pdu_out_seal(struct pdu_out *out, bool header_digest, bool data_digest);
/* Puts what is not sent yet into iov; returns the number of entries used, at most max. *whole: all of it is in. */
int pdu_out_gather(const struct pdu_out *out, struct iovec *iov, int max, bool *whole);

#endif
