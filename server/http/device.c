// SPDX-License-Identifier: GPL-2.0-or-later
/* Browsers that have logged in: see device.h. */
#include "http/device.h"

#include "base/secret.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_TEXT = DEVICE_TEXT - DEVICE_CHARS };

static void make_mark(const char *number, const char *password_hash, char mark[MARK_TEXT])
{
	unsigned char digest[32];

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, password_hash, strlen(password_hash), number, DEVICE_CHARS, digest))
		abort(); /* HMAC cannot fail */
	secret_hex(mark, digest, sizeof(digest));
}

void device_make(const char *password_hash, char device[DEVICE_TEXT])
{
	secret_text(device, DEVICE_CHARS);
	make_mark(device, password_hash, device + DEVICE_CHARS);
}

bool device_is_ours(const char *device, const char *password_hash, char who[DEVICE_KEY_TEXT])
{
	char mark[MARK_TEXT];

	if (!password_hash[0] || strlen(device) != DEVICE_TEXT - 1)
		return false;
	make_mark(device, password_hash, mark);
	if (!secret_equal(mark, device + DEVICE_CHARS, MARK_TEXT - 1))
		return false;
	snprintf(who, DEVICE_KEY_TEXT, "device:%.*s", DEVICE_CHARS, device);
	return true;
}
