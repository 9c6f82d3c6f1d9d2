// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Targets at run time: see target.h. target_open.c opens and closes; here is who may come in, and in which boot.
 *
 * For the first login that waits, in this order (design.md, "Which machine, which boot"):
 *   1. of an earlier boot than the current: refused
 *   2. the first of a pending boot: sessions of earlier boots end and are waited for, the disk is closed where it will
 *      be replaced, reservations are cleared, provider->begin
 *   3. the target is opened
 *   4. the session with the same ISID and name, if there is one, ends and is waited for (reinstatement, RFC 7143 §6.3.5)
 *   5. bounds; then the session exists and the final Login Response goes out
 */
#include "iscsi/target.h"

#include "base/log.h"
#include "iscsi/change.h"
#include "iscsi/hub.h"
#include "iscsi/login.h"
#include "iscsi/session.h"
#include "iscsi/target_open.h"
#include "iscsi/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target *target_find(struct hub *hub, uint64_t key)
{
	struct list *bucket = &hub->targets[key % HUB_TARGET_BUCKETS];

	list_each(link, next, bucket) {
		struct target *target = list_entry(link, struct target, link);

		if (target->key == key)
			return target;
	}
	return NULL;
}

struct iscsi_lun *target_lun(const struct target *target, unsigned number)
{
	for (unsigned i = 0; i < target->lun_count; i++)
		if (target->luns[i].number == number)
			return &target->luns[i];
	return NULL;
}

static struct target *target_new(struct hub *hub, const struct iscsi_access *access)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->hub = hub;
	target->key = access->key;
	memcpy(target->iqn, access->iqn, sizeof(target->iqn));
	list_init(&target->kick_link);
	list_init(&target->sessions);
	list_init(&target->waiting);
	list_init(&target->tmfs);
	list_init(&target->releases);
	list_init(&target->changes);
	list_append(&hub->targets[access->key % HUB_TARGET_BUCKETS], &target->link);
	server_live_get(hub->server);
	return target;
}

static void target_free(struct target *target)
{
	struct iscsi_server *server = target->hub->server;

	list_remove(&target->link);
	list_remove(&target->kick_link);
	free(target);
	server_live_put(server);
}

void target_kick(struct target *target)
{
	if (!list_linked(&target->kick_link))
		list_append(&target->hub->kicked, &target->kick_link);
	/* A session may end, and its target begin its grace, in a round that nothing else has brought about. */
	hub_wake(target->hub);
}

uint16_t target_next_tsih(struct target *target)
{
	bool used;

	do {
		if (++target->last_tsih == 0)
			target->last_tsih = 1; /* §11.12.6: 0 asks for a new session */
		used = false;
		list_each(link, next, &target->sessions)
			used |= list_entry(link, struct session, link)->tsih == target->last_tsih;
	} while (used);
	return target->last_tsih;
}

/* ---- sessions ---- */

void target_session_began(struct target *target, struct session *session)
{
	const struct iscsi_provider *provider = target->hub->server->provider;
	struct iscsi_session_info info;

	target->close_after_ms = 0;
	log_info("iscsi: %s: session of %s from %s%s, boot %llu", target->iqn, session->initiator, session->address,
		 session->ipxe ? " (iPXE)" : "", (unsigned long long)session->boot);
	if (!provider->session_began)
		return;
	session_info(session, &info);
	provider->session_began(provider->arg, &info);
}

void target_session_ended(struct target *target, struct session *session)
{
	const struct iscsi_provider *provider = target->hub->server->provider;
	struct iscsi_session_info info;

	list_remove(&session->link);
	scsi_nexus_close(session->nexus);
	target_kick(target);
	log_info("iscsi: %s: session of %s from %s ended: %s", target->iqn, session->initiator, session->address,
		 session->end_why);
	if (!provider->session_ended)
		return;
	session_info(session, &info);
	provider->session_ended(provider->arg, &info, session->end_why);
}

void target_end_sessions(struct target *target, const char *why)
{
	list_each(link, next, &target->sessions)
		session_end(list_entry(link, struct session, link), why);
}

/* ---- admission ---- */

/* The sessions of the boots before the one that begins. True: none is left. */
static bool earlier_boots_ended(struct target *target)
{
	target_end_sessions(target, "the machine has booted again");
	return list_empty(&target->sessions);
}

static void on_begun(void *arg, int err, const char *reason)
{
	struct target *target = arg;
	char text[256];

	target->beginning = false;
	target_kick(target);
	if (!err) {
		target->boot = target->begin_boot;
		log_info("iscsi: %s: boot %llu begins", target->iqn, (unsigned long long)target->boot);
		return;
	}
	snprintf(text, sizeof(text), "the boot could not begin: %s", reason ? reason : "unknown");
	list_each(link, next, &target->waiting) {
		struct login *login = list_entry(link, struct login, waiting_link);

		if (login->boot == target->begin_boot)
			target_refuse(login, LOGIN_UNAVAILABLE, text);
	}
}

/* Step 2. True: done, or not needed. False: something is awaited. */
static bool begin_step(struct target *target, const struct login *login)
{
	const struct iscsi_provider *provider = target->hub->server->provider;

	if (!login->pending || login->boot <= target->boot)
		return true;
	if (!earlier_boots_ended(target))
		return false;
	if (target->state == TARGET_OPENING || target->state == TARGET_CLOSING)
		return false;
	if (target->state == TARGET_OPEN) {
		if (target->begin_boot != login->boot)
			scsi_target_clear_reservations(target->scsi);
		target->begin_boot = login->boot;
		if (provider->begin_needs_closed && provider->begin_needs_closed(provider->arg, target->key)) {
			target_close(target);
			return false;
		}
	} else if (target->scsi) {
		scsi_target_clear_reservations(target->scsi);
	}
	target->beginning = true;
	target->begin_boot = login->boot;
	provider->begin(provider->arg, target->key, login->boot, target->hub->loop, on_begun, target);
	return false;
}

static struct session *find_session(struct target *target, const struct login *login)
{
	list_each(link, next, &target->sessions) {
		struct session *session = list_entry(link, struct session, link);

		if (!memcmp(session->isid, login->isid, sizeof(session->isid)) &&
		    !strcmp(session->initiator, login->initiator))
			return session;
	}
	return NULL;
}

/* Step 5. 0, or the login status of a refusal. */
static uint16_t check_bounds(struct target *target, const struct login *login, const char **reason)
{
	unsigned count = 0;

	list_each(link, next, &target->sessions) {
		const struct session *session = list_entry(link, struct session, link);

		if (session->ending)
			continue;
		if (!target->many && strcmp(session->initiator, login->initiator)) {
			*reason = "another initiator has it open";
			return LOGIN_UNAVAILABLE;
		}
		count++;
	}
	if (count < (target->many ? (unsigned)TARGET_SESSIONS_MAX : (unsigned)ISCSI_SESSIONS_PER_BOOT))
		return 0;
	*reason = "too many sessions";
	return LOGIN_OUT_OF_RESOURCES;
}

static void admit(struct target *target, struct login *login)
{
	struct session *session;
	const char *reason;
	uint16_t status = check_bounds(target, login, &reason);

	if (status) {
		target_refuse(login, status, reason);
		return;
	}
	session = session_new(target, login);
	if (!session) {
		target_refuse(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	list_remove(&login->waiting_link);
	login->target = NULL;
	login_succeed(login, session);
	/* The connection may have died of its last response. */
	if (!session->conn && !session->ending)
		session_connection_lost(session, "the connection was lost during the login");
}

/* Takes the first login as far as it goes. False: something is awaited. */
static bool admission_step(struct target *target)
{
	struct login *login = list_entry(target->waiting.next, struct login, waiting_link);
	struct session *same;

	if (target->hub->stopping) {
		target_refuse(login, LOGIN_UNAVAILABLE, "the server stops");
		return true;
	}
	if (login->boot && login->boot < target->boot) {
		target_refuse(login, LOGIN_AUTHENTICATION_FAILED, "the secret of an earlier boot");
		return true;
	}
	if (!begin_step(target, login))
		return false;
	if (login->boot > target->boot) {
		/* The provider knows of a boot that did not begin here. */
		if (!earlier_boots_ended(target))
			return false;
		if (target->scsi && target->boot)
			scsi_target_clear_reservations(target->scsi);
		target->boot = login->boot;
	}
	if (target->state == TARGET_ABSENT)
		target_open(target);
	if (target->state != TARGET_OPEN)
		return false;
	same = find_session(target, login);
	if (login->tsih) {
		/* §11.12.6: a second connection for a session: MaxConnections is 1 */
		target_refuse(login, same && same->tsih == login->tsih ? LOGIN_TOO_MANY_CONNECTIONS : LOGIN_NO_SESSION,
			      "a connection for a session that exists, or does not");
		return true;
	}
	if (same) {
		session_end(same, "reinstated by a new login");
		return false;
	}
	admit(target, login);
	return true;
}

void target_refuse(struct login *login, uint16_t status, const char *reason)
{
	list_remove(&login->waiting_link);
	login->target = NULL;
	login_refuse(login, status, reason);
}

void target_admit(struct hub *hub, struct login *login)
{
	struct target *target = target_find(hub, login->access->key);

	if (!target)
		target = target_new(hub, login->access);
	if (!target) {
		login_refuse(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	target->many = login->access->many;
	login->target = target;
	list_append(&target->waiting, &login->waiting_link);
	target_kick(target);
}

/* ---- what next? ---- */

/* Somebody wants it closed: logins wait for that, and open it again. False: something is awaited. */
static bool release_step(struct target *target)
{
	if (list_empty(&target->releases))
		return true;
	target_end_sessions(target, "released");
	if (target->state == TARGET_OPEN && list_empty(&target->sessions))
		target_close(target);
	if (target->state != TARGET_ABSENT || !list_empty(&target->sessions) || target->saves)
		return false;
	target_forget_scsi(target);
	while (!list_empty(&target->releases)) {
		struct release_request *request = list_entry(target->releases.next, struct release_request, link);

		list_remove(&request->link);
		request->released(request);
	}
	return true;
}

/* Nobody wants in. */
static void idle_step(struct target *target)
{
	if (!list_empty(&target->sessions))
		return;
	if (target->state == TARGET_ABSENT) {
		if (target->saves ||
		    (target->scsi && scsi_target_has_registrations(target->scsi) && !target->hub->stopping))
			return;
		target_forget_scsi(target);
		target_free(target);
		return;
	}
	if (target->state != TARGET_OPEN)
		return;
	/* A machine's next login often is seconds away. */
	if (!target->close_after_ms)
		target->close_after_ms = time_monotonic_ms() + TARGET_GRACE_MS;
	if (target->hub->stopping || time_monotonic_ms() >= target->close_after_ms)
		target_close(target);
}

void target_advance(struct target *target)
{
	task_mgmt_advance(target);
	if (target->beginning || !change_advance(target) || !release_step(target))
		return;
	while (!list_empty(&target->waiting))
		if (!admission_step(target))
			return;
	idle_step(target);
}

void target_release(struct target *target, struct release_request *request, const char *why)
{
	target_end_sessions(target, why);
	list_append(&target->releases, &request->link);
	target_kick(target);
}
