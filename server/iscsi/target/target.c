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
#include "iscsi/target/target.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void target_loop_init(struct target_loop *loop, struct link_loop *link, struct session_loop *sessions,
		      const struct iscsi_provider *provider, unsigned lun_in_use_ms)
{
	loop->io = link->loop;
	loop->link = link;
	loop->sessions = sessions;
	loop->provider = provider;
	loop->lun_in_use_ms = lun_in_use_ms;
	list_init(&loop->kicked);
	list_init(&loop->checks);
	for (int i = 0; i < TARGET_BUCKETS; i++)
		list_init(&loop->targets[i]);
}

void target_loop_fini(struct target_loop *loop)
{
	free_list_fini(&loop->scsi_tasks);
}

struct target *target_find(struct target_loop *loop, uint64_t key)
{
	struct list *bucket = &loop->targets[key % TARGET_BUCKETS];

	list_each(link, next, bucket)
	{
		struct target *target = list_entry(link, struct target, link);

		if (target->port.key == key)
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

void target_kick(struct target *target)
{
	if (!list_linked(&target->kick_link))
		list_append(&target->loop->kicked, &target->kick_link);
	/* A session may end, and its target begin its grace, in a round that nothing else has brought about. */
	link_wake(target->loop->link);
}

static void port_changed(struct target_port *port)
{
	target_kick(container_of(port, struct target, port));
}

static struct target *target_new(struct target_loop *loop, const struct iscsi_access *access)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->loop = loop;
	target->port.key = access->key;
	memcpy(target->port.iqn, access->iqn, sizeof(target->port.iqn));
	list_init(&target->kick_link);
	list_init(&target->port.sessions);
	list_init(&target->port.tmfs);
	target->port.changed = port_changed;
	list_init(&target->waiting);
	list_init(&target->releases);
	list_init(&target->changes);
	list_append(&loop->targets[access->key % TARGET_BUCKETS], &target->link);
	live_get(loop->link->live);
	return target;
}

static void target_free(struct target *target)
{
	struct live *live = target->loop->link->live;

	list_remove(&target->link);
	list_remove(&target->kick_link);
	free(target);
	live_put(live);
}

void target_end_sessions(struct target *target, const char *why)
{
	list_each(link, next, &target->port.sessions) session_end(list_entry(link, struct session, link), why);
}

/* ---- admission ---- */

/* The sessions of the boots before the one that begins. True: none is left. */
static bool earlier_boots_ended(struct target *target)
{
	target_end_sessions(target, "the machine has booted again");
	return list_empty(&target->port.sessions);
}

static void on_begun(void *arg, int err, const char *reason)
{
	struct target *target = arg;
	char text[256];

	target->beginning = false;
	target_kick(target);
	if (!err) {
		target->boot = target->begin_boot;
		log_info("iscsi: %s: boot %llu begins", target->port.iqn, (unsigned long long)target->boot);
		return;
	}
	snprintf(text, sizeof(text), "the boot could not begin: %s", reason ? reason : "unknown");
	list_each(link, next, &target->waiting)
	{
		struct login *login = list_entry(link, struct login, waiting_link);

		if (login->boot == target->begin_boot)
			target_refuse(login, LOGIN_UNAVAILABLE, text);
	}
}

/* Step 2. True: done, or not needed. False: something is awaited. */
static bool begin_step(struct target *target, const struct login *login)
{
	const struct iscsi_provider *provider = target->loop->provider;

	if (!login->pending || login->boot <= target->boot)
		return true;
	if (!earlier_boots_ended(target))
		return false;
	if (target->state == TARGET_OPENING || target->state == TARGET_CLOSING)
		return false;
	if (target->state == TARGET_OPEN) {
		if (target->begin_boot != login->boot)
			scsi_target_clear_reservations(target->port.scsi);
		target->begin_boot = login->boot;
		if (provider->begin_needs_closed && provider->begin_needs_closed(provider->arg, target->port.key)) {
			target_close(target);
			return false;
		}
	} else if (target->port.scsi) {
		scsi_target_clear_reservations(target->port.scsi);
	}
	target->beginning = true;
	target->begin_boot = login->boot;
	provider->begin(provider->arg, target->port.key, login->boot, target->loop->io, on_begun, target);
	return false;
}

static struct session *find_session(struct target *target, const struct login *login)
{
	list_each(link, next, &target->port.sessions)
	{
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

	list_each(link, next, &target->port.sessions)
	{
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

/* The session exists from here on, at a port or for discovery. */
static void log_in(struct target_loop *loop, struct target_port *port, struct login *login)
{
	struct session *session = session_new(loop->sessions, port, login);
	struct conn *conn = login->conn;
	uint32_t statsn;

	if (!session) {
		target_refuse(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	list_remove(&login->waiting_link);
	login->target = NULL;
	if (login_succeed(login, session->tsih, session->max_cmdsn, &statsn))
		session_start(session, conn, statsn);
	else
		session_lost(session, "the connection was lost during the login");
}

static void admit(struct target *target, struct login *login)
{
	const char *reason;
	uint16_t status = check_bounds(target, login, &reason);

	if (status) {
		target_refuse(login, status, reason);
		return;
	}
	target->close_after_ms = 0;
	log_in(target->loop, &target->port, login);
}

/* Takes the first login as far as it goes. False: something is awaited. */
static bool admission_step(struct target *target)
{
	struct login *login = list_entry(target->waiting.next, struct login, waiting_link);
	struct session *same;

	if (target->loop->link->stopping) {
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
		if (target->port.scsi && target->boot)
			scsi_target_clear_reservations(target->port.scsi);
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

void target_admit(struct target_loop *loop, struct login *login)
{
	struct target *target;

	if (login->discovery) {
		log_in(loop, NULL, login);
		return;
	}
	target = target_find(loop, login->access->key);
	if (!target)
		target = target_new(loop, login->access);
	if (!target) {
		login_refuse(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	target->many = login->access->many;
	login->target = target;
	login->lost = target_kick;
	list_append(&target->waiting, &login->waiting_link);
	target_kick(target);
}

/* ---- what next? ---- */

/* Nobody wants in. */
static void idle_step(struct target *target)
{
	if (!list_empty(&target->port.sessions))
		return;
	if (target->state == TARGET_ABSENT) {
		if (target->saves || (target->port.scsi && scsi_target_has_registrations(target->port.scsi) &&
				      !target->loop->link->stopping))
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
	if (target->loop->link->stopping || time_monotonic_ms() >= target->close_after_ms)
		target_close(target);
}

/* One step; may free the target. */
static void target_advance(struct target *target)
{
	tmf_advance(&target->port);
	if (target->beginning || !lun_change_advance(target) || !release_advance(target))
		return;
	while (!list_empty(&target->waiting))
		if (!admission_step(target))
			return;
	idle_step(target);
}

void target_advance_all(struct target_loop *loop)
{
	while (!list_empty(&loop->kicked)) {
		struct target *target = list_entry(loop->kicked.next, struct target, kick_link);

		list_remove(&target->kick_link);
		target_advance(target);
	}
}

bool target_tick_all(struct target_loop *loop, bool all)
{
	bool any = false;

	for (int i = 0; i < TARGET_BUCKETS; i++) {
		list_each(link, next, &loop->targets[i])
		{
			struct target *target = list_entry(link, struct target, link);

			if (!all && !target->close_after_ms && list_empty(&target->changes))
				continue;
			target_kick(target);
			any = true;
		}
	}
	return any;
}
