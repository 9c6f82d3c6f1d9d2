// SPDX-License-Identifier: GPL-2.0-or-later
/* From a decision to a script: see internal.h. Nothing here waits or writes. */
#include "internal.h"

#include "base/log.h"
#include "script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Where the values live while a script is made. */
struct answer_values {
	struct script_values v;
	char image[NAME_MAX_TEXT + 16];
	char port[8], number[24], attempt[16], seconds[8], place[12], queue[12];
	char initiator[IQN_MAX_TEXT];
	char where[160], since[32];
};

static const struct {
	const char *template, *outcome;
} answers[DECISIONS] = {
	[DECIDE_SERVE] = { "sanboot.ipxe", "sanboot" },
	[DECIDE_ENROL] = { "sanboot.ipxe", "sanboot" },
	[DECIDE_LOCAL] = { "local.ipxe", "local" },
	[DECIDE_DENY] = { "denied.ipxe", "denied" },
	[DECIDE_WAIT_STRANGER] = { "wait-neighbour.ipxe", "wait" },
	[DECIDE_WAIT_CONFLICT] = { "wait-conflict.ipxe", "wait" },
	[DECIDE_WAIT_SWAP] = { "wait-swap.ipxe", "wait" },
	[DECIDE_WAIT_FAILED] = { "wait-failed.ipxe", "wait" },
	[DECIDE_WAIT_RUNNING] = { "wait-running.ipxe", "wait" },
	[DECIDE_WAIT_FULL] = { "wait-full.ipxe", "wait" },
	[DECIDE_WAIT_IMAGE] = { "wait-image.ipxe", "wait" },
	[DECIDE_WAIT_APPROVAL] = { "wait-approval.ipxe", "wait" },
	[DECIDE_WAIT_SPACE] = { "wait-space.ipxe", "wait" },
	[DECIDE_WAIT_TURN] = { "wait-turn.ipxe", "wait" },
};

void answer_session(const struct boot_session *session, char *where, size_t where_size, char *since, size_t since_size)
{
	time_t seconds = (time_t)(session->since_ms / 1000);
	struct tm tm;

	snprintf(where, where_size, "%s (%s)", session->address[0] ? session->address : "an unknown address",
		 session->ipxe ? "iPXE" : "its system");
	if (session->since_ms <= 0 || !localtime_r(&seconds, &tm) ||
	    !strftime(since, since_size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(since, since_size, "an unknown time");
}

static void answer_asker(struct answer_values *a, const struct asker *asker)
{
	const char **v = a->v.value;

	snprintf(a->attempt, sizeof(a->attempt), "%u", asker->attempt + 1);
	snprintf(a->seconds, sizeof(a->seconds), "%u", (unsigned)BOOT_ASK_SECONDS);
	v[VAR_BASE] = asker->base_url;
	v[VAR_MAC] = asker->mac;
	v[VAR_ATTEMPT] = a->attempt;
	v[VAR_SECONDS] = a->seconds;
	v[VAR_AGAIN] = asker->attempt ? "1" : NULL;
	v[VAR_BIOS] = asker->platform == PLATFORM_BIOS ? "1" : NULL;
	v[VAR_EFI] = asker->platform == PLATFORM_EFI ? "1" : NULL;
}

static void answer_look(struct answer_values *a, const struct look *look)
{
	const char **v = a->v.value;

	v[VAR_NAME] = look->machine.name;
	if (look->version.id) {
		snprintf(a->image, sizeof(a->image), "%s@%u", look->version.image, look->version.number);
		v[VAR_IMAGE] = a->image;
	}
	if (look->waits && look->waiting.number > 0) {
		snprintf(a->number, sizeof(a->number), "%" PRId64, look->waiting.number);
		v[VAR_NUMBER] = a->number;
	}
}

/* What leads to the disk. Under auth=none no secret leaves the server. */
static void answer_target(struct boot *boot, struct answer_values *a, const struct answer_facts *facts)
{
	const struct look *look = facts->look;
	enum auth_kind auth = enrol_auth(&look->machine, &look->policy);
	const char **v = a->v.value;

	snprintf(a->port, sizeof(a->port), "%u", boot->iscsi_port);
	enrol_initiator(look->machine.iqn, a->initiator);
	v[VAR_SERVER] = boot->advertise[0] ? boot->advertise : facts->asker->server;
	v[VAR_PORT] = a->port;
	v[VAR_IQN] = look->machine.iqn;
	v[VAR_INITIATOR] = a->initiator;
	v[VAR_NO_GATEWAY] = look->machine.no_gateway ? "1" : NULL;
	if (auth == AUTH_NONE)
		return;
	v[VAR_USER] = enrol_user(look->machine.iqn);
	v[VAR_SECRET] = look->pending.secret;
	if (auth != AUTH_MUTUAL)
		return;
	v[VAR_REVERSE_USER] = "sanbootd";
	v[VAR_REVERSE_SECRET] = look->pending.reverse_secret;
}

void answer_error(const struct asker *asker, int status, const char *outcome, const char *reason,
		  struct boot_answer *answer)
{
	struct answer_values a = { 0 };

	answer_asker(&a, asker);
	a.v.value[VAR_REASON] = reason;
	answer->status = status;
	answer->outcome = outcome;
	buf_reset(&answer->script);
	if (script_render("error.ipxe", &a.v, &answer->script))
		buf_reset(&answer->script);
}

/* The iBFT holds IPv4 addresses only. */
static bool answer_server_fits(const struct boot *boot, const struct asker *asker)
{
	struct in_addr unused;

	return boot->advertise[0] || inet_pton(AF_INET, asker->server, &unused) == 1;
}

void answer_make(struct boot *boot, const struct answer_facts *facts, struct boot_answer *answer)
{
	struct answer_values a = { 0 };

	answer_asker(&a, facts->asker);
	answer_look(&a, facts->look);
	a.v.value[VAR_REASON] = facts->reason;
	if (facts->turn) {
		snprintf(a.place, sizeof(a.place), "%u", facts->turn->place);
		snprintf(a.queue, sizeof(a.queue), "%u", facts->turn->waiting);
		a.v.value[VAR_PLACE] = a.place;
		a.v.value[VAR_QUEUE] = a.queue;
	}
	if (facts->running) {
		answer_session(facts->running, a.where, sizeof(a.where), a.since, sizeof(a.since));
		a.v.value[VAR_WHERE] = a.where;
		a.v.value[VAR_SINCE] = a.since;
	}
	if (facts->decision == DECIDE_SERVE || facts->decision == DECIDE_ENROL) {
		if (!answer_server_fits(boot, facts->asker)) {
			answer_error(
				facts->asker, 200, "invalid",
				"a disk is only reached over IPv4: the server needs --advertise and its IPv4 address",
				answer);
			return;
		}
		answer_target(boot, &a, facts);
	}
	answer->status = 200;
	answer->outcome = answers[facts->decision].outcome;
	buf_reset(&answer->script);
	if (script_render(answers[facts->decision].template, &a.v, &answer->script))
		answer_error(facts->asker, 503, "busy", "the server could not make a script; its log says why", answer);
	explicit_bzero(&a, sizeof(a));
}
