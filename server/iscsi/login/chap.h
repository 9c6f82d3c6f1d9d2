/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CHAP (RFC 1994, RFC 7143 §12.1.3): algorithms 5 (MD5, all that iPXE has) and 7 (SHA-256). Any thread.
 */
#ifndef ISCSI_CHAP_H
#define ISCSI_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHAP_MD5 = 5,
	CHAP_SHA256 = 7,
	CHAP_DIGEST_MAX = 32,
	CHAP_CHALLENGE_BYTES = 32, /* ours */
	CHAP_BINARY_MAX = 1024,	   /* §12.1.3: of the peer */
};

/* The first algorithm of CHAP_A's list that we have; 0: none. */
int chap_choose(const char *list);
/* Bytes of a response. */
size_t chap_digest_len(int algorithm);
/* H(id, secret, challenge) -> out. False where the library refuses. */
bool chap_respond(int algorithm, uint8_t id, const char *secret, const void *challenge, size_t challenge_len,
		  uint8_t out[CHAP_DIGEST_MAX]);
/* "0x1f.." or "0b.." (base64, RFC 7143 §6.1) -> bytes. False where malformed or longer than max. */
bool chap_decode(const char *text, uint8_t *out, size_t max, size_t *len);

#endif
