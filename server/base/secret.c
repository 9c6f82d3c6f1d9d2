// SPDX-License-Identifier: GPL-2.0-or-later
/* Random bytes and secrets: see secret.h. */
#include "base/secret.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void secret_bytes(void *out, size_t len)
{
	unsigned char *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			log_error("no random numbers from the kernel: %s", strerror(errno));
			abort();
		}
		at += got;
		len -= (size_t)got;
	}
}

void secret_text(char *out, size_t count)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

	secret_bytes(out, count);
	for (size_t i = 0; i < count; i++)
		out[i] = alphabet[(unsigned char)out[i] & 31];
	out[count] = '\0';
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= (unsigned char)(x[i] ^ y[i]);
	return diff == 0;
}

void secret_hex(char *out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}
