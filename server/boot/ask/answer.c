// SPDX-License-Identifier: GPL-2.0-or-later
/* From a decision to a script: see answer.h. Nothing here waits or writes. */
#include "answer.h"

#include "ask.h"
#include "base/log.h"
#include "base/util.h"
#include "boot/internal.h"
#include "boot/script/entry.h"
#include "boot/script/script.h"
#include "boot/script/templates.h"
#include "decide.h"
#include "enrol.h"
#include "inventory/effective.h"
#include "want.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { URL_TEXT = 128 + ENTRY_PLACE_TEXT + 16, LIST_MAX = 32768 };

/* Where the values live while a script is made. */
struct answer_values {
	struct script_values v;
	char image[NAME_MAX_TEXT + 16];
	unsigned cd_lun; /* 0: none is booted */
	char port[8], number[24], attempt[16], seconds[8], place[12], queue[12];
	char initiator[IQN_MAX_TEXT];
	char where[160], since[32];
	char cmdline[ENTRY_LINE_TEXT + ENTRY_FILES_MAX * (ENTRY_PLACE_TEXT + 8)];
	char kernel[URL_TEXT], shim[URL_TEXT], item[NAME_MAX_TEXT + 8], timeout[16];
	struct buf uris, cd, files, names, items, titles; /* lists */
};

static const struct {
	const char *template;
	enum boot_outcome outcome;
} answers[DECISIONS] = {
	[DECIDE_SERVE] = { "sanboot.ipxe", BOOT_SANBOOT },
	[DECIDE_ENROL] = { "sanboot.ipxe", BOOT_SANBOOT },
	[DECIDE_LOCAL] = { "local.ipxe", BOOT_LOCAL },
	[DECIDE_MENU] = { "menu.ipxe", BOOT_MENU },
	[DECIDE_ENTRY] = { "wait-entry.ipxe", BOOT_ENTRY }, /* or its kind's, below */
	[DECIDE_ENTRY_DISK] = { "wait-entry.ipxe", BOOT_ENTRY },
	[DECIDE_DENY] = { "denied.ipxe", BOOT_DENIED },
	[DECIDE_WAIT_STRANGER] = { "wait-neighbour.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_NAMELESS] = { "wait-shared.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_CONFLICT] = { "wait-conflict.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_SWAP] = { "wait-swap.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_FAILED] = { "wait-failed.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_RUNNING] = { "wait-running.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_FULL] = { "wait-full.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_IMAGE] = { "wait-image.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_APPROVAL] = { "wait-approval.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_SPACE] = { "wait-space.ipxe", BOOT_WAIT },
	[DECIDE_WAIT_TURN] = { "wait-turn.ipxe", BOOT_WAIT },
};

static const char *const entry_templates[] = {
	[ENTRY_LINUX] = "entry-linux.ipxe", [ENTRY_WINDOWS] = "entry-windows.ipxe", [ENTRY_CHAIN] = "entry-chain.ipxe"
};

static void values_init(struct answer_values *a)
{
	memset(a, 0, sizeof(*a));
	buf_init(&a->uris, LIST_MAX);
	buf_init(&a->cd, LIST_MAX);
	buf_init(&a->files, LIST_MAX);
	buf_init(&a->names, LIST_MAX);
	buf_init(&a->items, LIST_MAX);
	buf_init(&a->titles, LIST_MAX);
}

static void values_fini(struct answer_values *a)
{
	buf_fini(&a->uris);
	buf_fini(&a->cd);
	buf_fini(&a->files);
	buf_fini(&a->names);
	buf_fini(&a->items);
	buf_fini(&a->titles);
	explicit_bzero(a, sizeof(*a));
}

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

static void answer_lookup(struct answer_values *a, const struct lookup *lookup)
{
	const char **v = a->v.value;

	v[VAR_NAME] = lookup->machine.name;
	if (lookup->version.id) {
		snprintf(a->image, sizeof(a->image), "%s@%u", lookup->version.image, lookup->version.number);
		v[VAR_IMAGE] = a->image;
	}
	if (lookup->waits && lookup->waiting.number > 0) {
		snprintf(a->number, sizeof(a->number), "%" PRId64, lookup->waiting.number);
		v[VAR_NUMBER] = a->number;
	}
}

/* ---- the disk ---- */

/* Several become several targets in the iBFT: only where a person asks for that. The LUN is in hexadecimal (RFC 4173 §5). */
static void answer_uris(struct answer_values *a, const struct portals_offer *offer, const char *iqn)
{
	for (unsigned i = 0; i < offer->count; i++) {
		const struct offered_portal *portal = &offer->list[i];

		buf_printf(&a->uris, "%siscsi:%s::%u:0:%s", i ? " " : "", portal->host, portal->port, iqn);
		if (a->cd_lun)
			buf_printf(&a->cd, "%siscsi:%s::%u:%x:%s", i ? " " : "", portal->host, portal->port, a->cd_lun,
				   iqn);
	}
	a->v.value[VAR_URIS] = buf_text(&a->uris);
	a->v.value[VAR_CD] = a->cd_lun ? buf_text(&a->cd) : NULL;
}

/* What leads to the disk. Under auth=none no secret leaves the server. */
static void answer_target(struct answer_values *a, const struct answer_facts *facts)
{
	const struct lookup *lookup = facts->lookup;
	enum auth_kind auth = enrol_auth(&lookup->machine, &lookup->policy);
	const char **v = a->v.value;

	snprintf(a->port, sizeof(a->port), "%u", facts->offer->list[0].port);
	a->cd_lun = lookup->want.cd_lun;
	enrol_initiator(lookup->machine.iqn, a->initiator);
	v[VAR_SERVER] = facts->offer->list[0].host;
	v[VAR_PORT] = a->port;
	v[VAR_IQN] = lookup->machine.iqn;
	v[VAR_INITIATOR] = a->initiator;
	answer_uris(a, facts->offer, lookup->machine.iqn);
	v[VAR_NO_GATEWAY] = lookup->machine.no_gateway ? "1" : NULL;
	if (auth == AUTH_NONE)
		return;
	v[VAR_USER] = enrol_user(lookup->machine.iqn);
	v[VAR_SECRET] = lookup->pending.secret;
	if (auth != AUTH_MUTUAL)
		return;
	v[VAR_REVERSE_USER] = "sanbootd";
	v[VAR_REVERSE_SECRET] = lookup->pending.reverse_secret;
}

/* ---- entries ---- */

/* A URL stays as it is; a path is below ours. */
static const char *place_url(const struct asker *asker, const char *place, char url[URL_TEXT])
{
	if (strstr(place, "://"))
		snprintf(url, URL_TEXT, "%s", place);
	else
		snprintf(url, URL_TEXT, "%s/boot-files/%s", asker->base_url, place);
	return url;
}

static const char *base_name(const char *place)
{
	const char *slash = strrchr(place, '/');

	return slash ? slash + 1 : place;
}

static void answer_entry(struct answer_values *a, const struct asker *asker, const struct entry *entry)
{
	const char **v = a->v.value;
	char url[URL_TEXT];
	struct buf line;

	v[VAR_ENTRY] = entry->name;
	v[VAR_TITLE] = entry->title;
	v[VAR_URL] = entry->url;
	if (entry->kernel[0])
		v[VAR_KERNEL] = place_url(asker, entry->kernel, a->kernel);
	/* Who has Secure Boot has an iPXE that knows the command. */
	if (entry->shim[0] && asker->secure_boot == TOLD_ON)
		v[VAR_SHIM] = place_url(asker, entry->shim, a->shim);
	buf_init(&line, sizeof(a->cmdline));
	for (unsigned i = 0; i < entry->file_count; i++) {
		const char *name = base_name(entry->files[i]);

		buf_printf(&a->files, "%s\n", place_url(asker, entry->files[i], url));
		buf_printf(&a->names, "%s\n", name);
		/* The kernel's EFI stub loads what this names; elsewhere it means nothing. */
		if (entry->kind == ENTRY_LINUX && asker->platform == PLATFORM_EFI)
			buf_printf(&line, "initrd=%s ", name);
	}
	buf_add_string(&line, entry->cmdline);
	snprintf(a->cmdline, sizeof(a->cmdline), "%s", buf_text(&line));
	buf_fini(&line);
	v[VAR_CMDLINE] = a->cmdline;
	v[entry->kind == ENTRY_LINUX ? VAR_INITRD : VAR_FILE] = buf_text(&a->files);
	v[VAR_FILE_NAME] = buf_text(&a->names);
}

/* ---- the menu ---- */

struct menu {
	struct answer_values *values;
	const char *default_name; /* of an entry */
	bool default_found;
};

static void add_item(struct answer_values *a, const char *kind, const char *name, const char *title)
{
	buf_printf(&a->items, "%s%s\n", kind, name);
	buf_printf(&a->titles, "%s\n", title);
}

static void add_entry(void *arg, const struct entry *entry)
{
	struct menu *menu = arg;

	if (!entry->menu)
		return;
	add_item(menu->values, "entry:", entry->name, entry->title);
	if (!strcmp(entry->name, menu->default_name))
		menu->default_found = true;
}

static void answer_menu(struct boot *boot, struct answer_values *a, const struct lookup *lookup)
{
	struct menu menu = { .values = a, .default_name = lookup->policy.menu_default };
	const struct want *want = &lookup->want;
	char title[160];

	snprintf(title, sizeof(title), "Its disk: %s%s", a->image,
		 effective_mode(&lookup->machine, &lookup->policy) == MODE_EPHEMERAL ? ", new at each boot" :
		 lookup->machine.mode == MODE_MAINTENANCE			     ? ", in maintenance" :
										       "");
	add_item(a, "disk", "", title);
	for (unsigned i = 0; i < want->image_count; i++) {
		snprintf(title, sizeof(title), "Another disk: %s@%u", want->images[i].name, want->images[i].number);
		add_item(a, "image:", want->images[i].name, title);
	}
	entries_each(boot->entries, add_entry, &menu);
	add_item(a, "local", "", "The machine's local disk");
	snprintf(a->item, sizeof(a->item), "%s%s", menu.default_found ? "entry:" : "",
		 menu.default_found || !strcmp(menu.default_name, "local") ? menu.default_name : "disk");
	a->v.value[VAR_ITEM] = buf_text(&a->items);
	a->v.value[VAR_ITEM_TITLE] = buf_text(&a->titles);
	a->v.value[VAR_DEFAULT] = a->item;
	if (lookup->policy.menu_timeout) {
		snprintf(a->timeout, sizeof(a->timeout), "%u", lookup->policy.menu_timeout * 1000);
		a->v.value[VAR_TIMEOUT] = a->timeout;
	}
}

void answer_error(struct boot *boot, const struct asker *asker, int status, enum boot_outcome outcome,
		  const char *reason, struct boot_answer *answer)
{
	struct answer_values a;

	values_init(&a);
	answer_asker(&a, asker);
	a.v.value[VAR_REASON] = reason;
	answer->status = status;
	answer->outcome = outcome;
	buf_reset(&answer->script);
	if (templates_render(boot->templates, "error.ipxe", &a.v, &answer->script))
		buf_reset(&answer->script);
	values_fini(&a);
}

/* The iBFT holds IPv4 addresses only. */
static bool answer_server_fits(const struct boot *boot, const struct asker *asker)
{
	struct in_addr unused;

	return boot->advertise[0] || inet_pton(AF_INET, asker->server, &unused) == 1;
}

/* A boot-once that leads to no login is used up by what the script says. */
static bool answer_uses_up_once(const struct answer_facts *facts)
{
	const struct want *want = &facts->lookup->want;

	switch (facts->decision) {
	case DECIDE_LOCAL:
	case DECIDE_ENTRY:
	case DECIDE_ENTRY_DISK:
		return want->once;
	case DECIDE_SERVE:
		return want->once && (want->chosen || want->cd_lun);
	default:
		return false;
	}
}

static const char *answer_fill(struct boot *boot, const struct answer_facts *facts, struct answer_values *a)
{
	const struct lookup *lookup = facts->lookup;
	const struct want *want = &lookup->want;
	bool entry = facts->decision == DECIDE_ENTRY || facts->decision == DECIDE_ENTRY_DISK;

	answer_asker(a, facts->asker);
	answer_lookup(a, lookup);
	a->v.value[VAR_REASON] = facts->reason;
	if (facts->turn) {
		snprintf(a->place, sizeof(a->place), "%u", facts->turn->place);
		snprintf(a->queue, sizeof(a->queue), "%u", facts->turn->waiting);
		a->v.value[VAR_PLACE] = a->place;
		a->v.value[VAR_QUEUE] = a->queue;
	}
	if (facts->running) {
		answer_session(facts->running, a->where, sizeof(a->where), a->since, sizeof(a->since));
		a->v.value[VAR_WHERE] = a->where;
		a->v.value[VAR_SINCE] = a->since;
	}
	if (facts->decision == DECIDE_ENROL || decision_opens_disk(facts->decision))
		answer_target(a, facts);
	if (facts->decision == DECIDE_MENU)
		answer_menu(boot, a, lookup);
	if (answer_uses_up_once(facts))
		a->v.value[VAR_TOKEN] = lookup->machine.boot_once_token;
	if (!entry)
		return answers[facts->decision].template;
	a->v.value[VAR_TITLE] = want->text;
	if (!want->found)
		return answers[facts->decision].template;
	answer_entry(a, facts->asker, &want->entry);
	return entry_templates[want->entry.kind];
}

void answer_make(struct boot *boot, const struct answer_facts *facts, struct boot_answer *answer)
{
	struct answer_values a;
	const char *template;

	if ((facts->decision == DECIDE_ENROL || decision_opens_disk(facts->decision)) &&
	    !answer_server_fits(boot, facts->asker)) {
		answer_error(boot, facts->asker, 200, BOOT_INVALID,
			     "a disk is only reached over IPv4: the server needs --advertise and its IPv4 address",
			     answer);
		return;
	}
	values_init(&a);
	template = answer_fill(boot, facts, &a);
	answer->status = 200;
	answer->outcome = answers[facts->decision].outcome;
	buf_reset(&answer->script);
	if (templates_render(boot->templates, template, &a.v, &answer->script))
		answer_error(boot, facts->asker, 503, BOOT_BUSY, "the server could not make a script; its log says why",
			     answer);
	values_fini(&a);
}
