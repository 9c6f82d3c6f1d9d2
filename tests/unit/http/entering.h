/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of logins share. */
#ifndef UNIT_HTTP_ENTERING_H
#define UNIT_HTTP_ENTERING_H

#include "fixture.h"

/* The status of a request. */
unsigned status_of(struct fixture *f, enum via via, const char *method, const char *path, const char *headers,
		   const char *body);
/* "Cookie: NAME=VALUE\r\n" from a Set-Cookie of an answer; fails where there is none. */
void cookie_named(const struct answer *answer, const char *name, char out[256]);
/* The one-time address sets "correct horse". */
void set_first_password(struct fixture *f);

#endif
