/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a browser keeps that has logged in: a number, and our mark of it, which a new password makes void. It opens nothing: with
 * it a browser's attempts to log in are counted for itself. Private to the folder; pure, any thread.
 */
#ifndef HTTP_DEVICE_H
#define HTTP_DEVICE_H

#include <stdbool.h>

enum {
	DEVICE_CHARS = 16,
	DEVICE_TEXT = DEVICE_CHARS + 65, /* with the mark: HMAC-SHA-256 in hex */
	DEVICE_KEY_TEXT = DEVICE_CHARS + 8,
	DEVICE_DAYS = 365
};

/* password_hash: of the password in force, crypt(5). */
void device_make(const char *password_hash, char device[DEVICE_TEXT]);
/* Have we made it? Then who is what the limiter knows it by: "device:" and its number. */
bool device_is_ours(const char *device, const char *password_hash, char who[DEVICE_KEY_TEXT]);

#endif
