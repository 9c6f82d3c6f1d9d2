// SPDX-License-Identifier: GPL-2.0-or-later
/* CHAP: see chap.h. */
#include "iscsi/login/chap.h"

#include "base/parse.h"
#include "iscsi/wire/keys.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

int chap_choose(const char *list)
{
	char item[8];
	uint64_t number;

	while (keys_list_next(&list, item, sizeof(item)))
		if (parse_number(item, 0, 255, &number) && (number == CHAP_MD5 || number == CHAP_SHA256))
			return (int)number;
	return 0;
}

size_t chap_digest_len(int algorithm)
{
	return algorithm == CHAP_SHA256 ? 32 : 16;
}

bool chap_respond(int algorithm, uint8_t id, const char *secret, const void *challenge, size_t challenge_len,
		  uint8_t out[CHAP_DIGEST_MAX])
{
	uint8_t input[1 + 255 + CHAP_BINARY_MAX];
	size_t secret_len = strlen(secret);
	bool ok;

	if (secret_len > 255 || challenge_len > CHAP_BINARY_MAX)
		return false;
	input[0] = id;
	memcpy(input + 1, secret, secret_len);
	memcpy(input + 1 + secret_len, challenge, challenge_len);
	ok = gnutls_hash_fast(algorithm == CHAP_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_MD5, input,
			      1 + secret_len + challenge_len, out) == 0;
	gnutls_memset(input, 0, sizeof(input));
	return ok;
}

static int digit(char c, int bits)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at;

	if (!c)
		return -1;
	if (bits == 6) {
		at = strchr(base64, c);
		return at ? (int)(at - base64) : -1;
	}
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool chap_decode(const char *text, uint8_t *out, size_t max, size_t *len)
{
	size_t digits, n = 0;
	uint32_t bits = 0;
	int have = 0, width;

	if (text[0] != '0' || !text[1] || !strchr("xXbB", text[1]))
		return false;
	width = (text[1] | 0x20) == 'x' ? 4 : 6;
	text += 2;
	digits = strlen(text);
	if (width == 6)
		while (digits > 0 && text[digits - 1] == '=')
			digits--;
	/* An odd number of hex digits: the first one stands alone. */
	if (width == 4 && digits % 2)
		have = 4;
	for (size_t i = 0; i < digits; i++) {
		int value = digit(text[i], width);

		if (value < 0)
			return false;
		bits = (bits << width) | (uint32_t)value;
		have += width;
		if (have >= 8) {
			have -= 8;
			if (n == max)
				return false;
			out[n++] = (uint8_t)(bits >> have);
			bits &= (1u << have) - 1;
		}
	}
	*len = n;
	return n > 0;
}
