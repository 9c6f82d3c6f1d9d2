/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The security stage of a login: AuthMethod and CHAP (RFC 7143 §6.3.2, §12). */
#ifndef ISCSI_SECURITY_H
#define ISCSI_SECURITY_H

#include <stdint.h>

struct login;

struct refusal {
	uint16_t status; /* 0: none */
	const char *reason;
};

/* Takes the security keys of the login's text, answers in its reply, moves login->security. */
struct refusal security_step(struct login *login);
/* Whether the initiator may leave the stage (or skip it); chooses the boot that it belongs to. */
struct refusal security_finish(struct login *login);

#endif
