// SPDX-License-Identifier: GPL-2.0-or-later
/* What tests of logins share: see entering.h. */
#include "entering.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

unsigned status_of(struct fixture *f, enum via via, const char *method, const char *path, const char *headers,
		   const char *body)
{
	struct answer answer = ask(f, via, method, path, headers, body);
	unsigned status = answer.status;

	answer_free(&answer);
	return status;
}

void cookie_named(const struct answer *answer, const char *name, char out[256])
{
	char wanted[96];
	const char *at;

	snprintf(wanted, sizeof(wanted), "Set-Cookie: %s=", name);
	at = answer->head ? strstr(answer->head, wanted) : NULL;
	assert_non_null(at);
	at += strlen("Set-Cookie: ");
	snprintf(out, 256, "Cookie: %.*s\r\n", (int)strcspn(at, ";"), at);
}

void set_first_password(struct fixture *f)
{
	const char *token = strstr(http_setup_url(f->http), "token=");
	char body[256];

	assert_non_null(token);
	snprintf(body, sizeof(body), "{\"token\": \"%s\", \"password\": \"correct horse\"}", token + 6);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/setup", "", body), 200);
}
