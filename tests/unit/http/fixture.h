/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running HTTP endpoint over a real inventory in a temporary directory, with boot/ and store/ faked; and a client
 * that sends raw bytes.
 */
#ifndef UNIT_HTTP_FIXTURE_H
#define UNIT_HTTP_FIXTURE_H

#include "boot/boot.h"
#include "http/http.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct fixture {
	char dir[64];
	char control[96], ipxe_dir[96], boot_files[96];
	struct inventory *inventory;
	struct http *http;
	char address[64]; /* of --http */
};

/* cmocka set-up and tear-down. */
int fixture_start(void **state);
int fixture_stop(void **state);
/* The same with an image, two machines, one of which runs, and three that wait. */
int fixture_start_filled(void **state);

struct answer {
	unsigned status;
	char *head, *body; /* NUL-terminated; body as sent, without chunked framing undone */
	size_t body_len;
};

/* VIA_PROXY: from the address of a proxy that is trusted, 127.0.0.2. */
enum via { VIA_TCP, VIA_CONTROL, VIA_PROXY };

/* Sends bytes as they are, reads until the peer closes (10 s at most). status 0: no answer. */
struct answer send_raw(struct fixture *fixture, enum via via, const void *bytes, size_t len);
/* METHOD PATH with "Connection: close"; headers "" or "Name: value\r\n..."; body NULL or text. */
struct answer ask(struct fixture *fixture, enum via via, const char *method, const char *path, const char *headers,
		  const char *body);
void answer_free(struct answer *answer);
/* A header's value; NULL. free(3). */
char *answer_header(const struct answer *answer, const char *name);
json_t *answer_json(const struct answer *answer);
/* GET over the control socket: 200 and JSON. */
json_t *api_get(struct fixture *fixture, const char *path);
/* A request there that changes something: its status. */
unsigned api_change(struct fixture *fixture, const char *method, const char *path, const char *body);
/* A member that is a text; "". */
const char *text_of(const json_t *object, const char *key);
/* Connects; the caller closes. */
int connect_to(struct fixture *fixture, enum via via);
/* One write job from a function. */
int inventory_do(struct fixture *fixture, int (*run)(struct inventory_tx *tx, void *arg), void *arg);

/* ---- the fakes (fakes.c) ---- */

struct fake_boot {
	struct inventory *inventory;
	struct boot_ask last_ask;
	unsigned looked_at_plans;
	char last_call[256]; /* "approve 3 name=pc image=debian by ctl" */
	char last_fetch[256];
	struct stage_record arriving; /* at_ms 0: nothing */
	int64_t volume_id;	      /* of the next volume that is made */
	int fail;		      /* what the next action returns */
	const char *fail_at;	      /* approvals: only of this one; NULL: of all */
	const char *refused;	      /* a key that no rehearsal takes */
	unsigned running;	      /* sessions that machines have */
	int sessions_err;	      /* what their list ends with */
	int child_err;		      /* what a child's file says */
	int space_err;		      /* what the file system does */
};

extern struct fake_boot fake_boot;
/* What fake_boot.fail says, with a sentence where it is a refusal. */
int fake_finish(struct reason *reason);
/* Answers every boot_request that waits. */
void fake_boot_answer_all(void);
unsigned fake_boot_waiting(void);

extern struct job_status fake_import;

#endif
