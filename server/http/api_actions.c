// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: what people do with machines. Each is one call of boot/, which says why where it refuses. */
#include "http/api_machines.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { APPROVE_MAX = 1024 };

/* What to do about a refusal of boot/; "" where its own words say it already. */
static const char *hint_of(int err, const char *reason)
{
	if (strstr(reason, "sanbootctl"))
		return "";
	switch (err) {
	case -EBUSY:
		return "switch the machine off, or end its sessions with: sanbootctl machine release M";
	case -ENOENT:
		return "see the machines with: sanbootctl machine list";
	case -ENOSPC:
		return "make room on the file system of the state directory, or lower the reserve with: sanbootctl "
		       "policy set reserve=SIZE";
	default:
		return "";
	}
}

static void reply_done(struct request *request, int err, const char *reason, const char *verb, const char *what)
{
	if (err)
		reply_errno(request, err, reason, hint_of(err, reason));
	else
		reply_json(request, 200, json_pack("{s:o}", verb, http_text_json(what)));
}

/* ---- those who wait ---- */

struct approval {
	struct http *http;
	struct boot_approval how;
	const char *actor;
	json_t *approved, *failed;
	int err; /* of the last that failed */
	struct reason reason;
};

static void approve_one(struct approval *approval, const char *which)
{
	struct machine machine;
	struct reason reason = { "" };
	int err = boot_approve(approval->http->config.boot, which, &approval->how, approval->actor, &machine, &reason);
	json_t *json;

	if (!err) {
		json = api_machine_json(&machine);
		json_object_set_new(json, "which", http_text_json(which));
		json_array_append_new(approval->approved, json);
		return;
	}
	reason_default(&reason, err, "%s", strerror(-err));
	approval->err = err;
	approval->reason = reason;
	json_array_append_new(approval->failed, json_pack("{s:o, s:o}", "which", http_text_json(which), "error",
							  http_text_json(reason.text)));
}

struct waiting_macs {
	struct inventory_job job;
	json_t *list;
};

/*
 * --all means those who wait for a person's word: not conflicts and swaps, which each need a decision, and not the
 * denied.
 */
static int add_waiting_mac(void *arg, const struct waiting *waiting)
{
	if (waiting->reason == WAIT_CONFLICT || waiting->reason == WAIT_SWAP || waiting->reason == WAIT_DENIED)
		return 0;
	return json_array_append_new(arg, json_string(waiting->mac)) ? -ENOMEM : 0;
}

static int run_waiting_macs(struct inventory_tx *tx, struct inventory_job *job)
{
	return waiting_each(tx, add_waiting_mac, container_of(job, struct waiting_macs, job)->list);
}

static void append_all(json_t *to, const json_t *from)
{
	json_t *value;
	size_t i;

	json_array_foreach(from, i, value)
		json_array_append(to, value);
}

/* The MACs and numbers that a body names; NULL, and it is answered, where there are none. */
static json_t *approval_list(struct request *request, const json_t *body)
{
	json_t *list = json_array();
	struct waiting_macs waiting = { .job.run = run_waiting_macs, .list = list };

	append_all(list, json_object_get(body, "macs"));
	append_all(list, json_object_get(body, "numbers"));
	if (json_object_get(body, "mac"))
		json_array_append(list, json_object_get(body, "mac"));
	if (json_is_true(json_object_get(body, "all"))) {
		if (!api_read(request, &waiting.job, "the list of those who wait could not be read"))
			goto fail;
	} else if (!json_array_size(list)) {
		reply_error(request, 400,
			    "for example {\"macs\": [\"52:54:00:12:34:56\"]}, {\"numbers\": [3]} or {\"all\": true}",
			    "say which machines to approve");
		goto fail;
	}
	if (json_array_size(list) > APPROVE_MAX || (json_array_size(list) > 1 && json_object_get(body, "name"))) {
		reply_error(request, 400, "",
			    json_array_size(list) > APPROVE_MAX ? "too many machines at once" :
								  "several machines cannot get the same name");
		goto fail;
	}
	return list;
fail:
	json_decref(list);
	return NULL;
}

static const char *text_or_null(const json_t *body, const char *key)
{
	return json_string_value(json_object_get(body, key));
}

void handle_approve(struct request *request)
{
	const json_t *body = request->json;
	json_t *list = approval_list(request, body);
	struct approval approval = { .http = request->http, .actor = request->actor };
	json_t *which;
	size_t i;

	if (!list)
		return;
	approval.how = (struct boot_approval){ .name = text_or_null(body, "name"),
					       .image = text_or_null(body, "image"),
					       .group = text_or_null(body, "group"),
					       .shared = json_is_true(json_object_get(body, "shared")) };
	approval.approved = json_array();
	approval.failed = json_array();
	json_array_foreach(list, i, which) {
		char text[64];

		if (!api_scalar_text(which, text, sizeof(text)))
			snprintf(text, sizeof(text), "?");
		approve_one(&approval, text);
	}
	if (approval.err && !json_array_size(approval.approved) && json_array_size(list) == 1)
		reply_errno(request, approval.err, approval.reason.text,
			    approval.err == -ENOENT ? "see the machines that wait with: sanbootctl machine list" :
						      hint_of(approval.err, approval.reason.text));
	else
		reply_json(request, 200,
			   json_pack("{s:O, s:O}", "approved", approval.approved, "failed", approval.failed));
	json_decref(approval.approved);
	json_decref(approval.failed);
	json_decref(list);
}

/* A MAC out of the body, in its one notation; false, and it is answered, where it is none. */
static bool body_mac(struct request *request, char mac[PARSE_MAC_TEXT])
{
	if (parse_mac(api_text(request->json, "mac"), mac))
		return true;
	reply_error(request, 400, "for example {\"mac\": \"52:54:00:12:34:56\"}",
		    "\"mac\" must be the MAC address of a network card");
	return false;
}

void handle_deny(struct request *request)
{
	char mac[PARSE_MAC_TEXT];
	struct reason reason = { "" };
	int err;

	if (!body_mac(request, mac))
		return;
	err = boot_deny(request->http->config.boot, mac, request->actor, &reason);
	reply_done(request, err, reason.text, "denied", mac);
}

void handle_waiting_forget(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_forget(request->http->config.boot, request->params[0], request->actor, &reason);

	reply_done(request, err, reason.text, "removed", request->params[0]);
}

/* ---- machines ---- */

typedef int act_on_machine(struct boot *boot, const char *which, const char *actor, struct reason *reason);

static void act(struct request *request, act_on_machine *run, const char *verb)
{
	struct reason reason = { "" };
	int err = run(request->http->config.boot, request->params[0], request->actor, &reason);

	reply_done(request, err, reason.text, verb, request->params[0]);
}

void handle_machine_release(struct request *request)
{
	act(request, boot_release, "released");
}

void handle_machine_reset(struct request *request)
{
	act(request, boot_reset, "reset");
}

void handle_machine_remove(struct request *request)
{
	bool for_good = json_is_true(json_object_get(request->json, "for_good"));
	struct reason reason = { "" };
	int err = boot_remove(request->http->config.boot, request->params[0], for_good, request->actor, &reason);

	if (err)
		reply_done(request, err, reason.text, "removed", request->params[0]);
	else
		reply_json(request, 200,
			   json_pack("{s:o, s:o}", "removed", http_text_json(request->params[0]), "hint",
				     http_text_json(reason.text)));
}

void handle_machine_swap(struct request *request)
{
	char mac[PARSE_MAC_TEXT];
	struct reason reason = { "" };
	int err;

	if (!body_mac(request, mac))
		return;
	err = boot_swap(request->http->config.boot, request->params[0], mac, request->actor, &reason);
	reply_done(request, err, reason.text, "swapped", mac);
}

void handle_machine_mac_add(struct request *request)
{
	char mac[PARSE_MAC_TEXT];
	struct reason reason = { "" };
	int err;

	if (!body_mac(request, mac))
		return;
	err = boot_mac(request->http->config.boot, request->params[0], true, mac, request->actor, &reason);
	reply_done(request, err, reason.text, "added", mac);
}

void handle_machine_mac_remove(struct request *request)
{
	char mac[PARSE_MAC_TEXT];
	struct reason reason = { "" };
	int err;

	if (!parse_mac(request->params[1], mac)) {
		reply_error(request, 400, "", "this is no MAC address");
		return;
	}
	err = boot_mac(request->http->config.boot, request->params[0], false, mac, request->actor, &reason);
	reply_done(request, err, reason.text, "removed", mac);
}

void handle_machine_mac_set(struct request *request)
{
	const json_t *value = json_object_get(request->json, "shared");
	struct reason reason = { "" };
	char mac[PARSE_MAC_TEXT];
	int err;

	if (!parse_mac(request->params[1], mac) || !json_is_boolean(value)) {
		reply_error(request, 400, "for example {\"shared\": true}",
			    json_is_boolean(value) ? "this is no MAC address" : "say whether it is shared");
		return;
	}
	err = boot_share_mac(request->http->config.boot, request->params[0], mac, json_is_true(value), request->actor,
			     &reason);
	reply_done(request, err, reason.text, json_is_true(value) ? "shared" : "unshared", mac);
}

static int set_key(struct request *request, const char *key, const char *text, struct reason *reason)
{
	int err = boot_set(request->http->config.boot, request->params[0], key, text, request->actor, reason);

	if (!err && !strcmp(key, "name") && machine_name_valid(text))
		http_text_copy(request->params[0], sizeof(request->params[0]), text);
	return err;
}

static int rehearse(struct request *request, const struct boot_setting *settings, unsigned count, struct reason *reason)
{
	return boot_rehearse_set(request->http->config.boot, request->params[0], settings, count, reason);
}

void handle_machine_set(struct request *request)
{
	struct reason said = { "" };
	int err;

	if (!json_object_size(request->json)) {
		reply_error(request, 400, "for example {\"note\": \"third row\"}", "no key was given");
		return;
	}
	err = api_set_keys(request, rehearse, set_key, &said);
	if (err)
		reply_errno(request, err, said.text, hint_of(err, said.text));
	else
		api_reply_machine(request, said.text);
}
