// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The iSCSI server as a whole: see server.h. Start, stop, and the count of what is alive: connections, targets,
 * listeners, and one for each loop that has not stopped. When that reaches 0 the loops close, and the last one says so.
 */
#include "iscsi/server.h"

#include "iscsi/iscsi_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LUN_IN_USE_MS = 60000 };

static struct iscsi_loop *loop_of(const struct iscsi_server *server, uint64_t key)
{
	return &server->loops[key % server->loop_count];
}

/* ---- start ---- */

static struct link_loop *login_loop_of(const struct login_service *logins, uint64_t key)
{
	return &loop_of(container_of(logins, struct iscsi_server, logins), key)->link;
}

static void login_admit(struct login *login)
{
	target_admit(&container_of(login->conn->loop, struct iscsi_loop, link)->targets, login);
}

static void run_close(struct loop_msg *msg)
{
	iscsi_loop_close(container_of(msg, struct iscsi_loop, msg));
}

static void nothing_lives(struct live *live)
{
	struct iscsi_server *server = container_of(live, struct iscsi_server, live);

	for (unsigned i = 0; i < server->loop_count; i++) {
		server->loops[i].msg.run = run_close;
		loop_post(server->loops[i].link.loop, &server->loops[i].msg);
	}
}

static void run_start(struct loop_msg *msg)
{
	iscsi_loop_start(container_of(msg, struct iscsi_loop, msg));
}

void iscsi_server_free(struct iscsi_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->listener_count; i++)
		if (server->listeners[i].fd >= 0)
			close(server->listeners[i].fd);
	for (unsigned i = 0; i < server->loop_count; i++)
		iscsi_loop_fini(&server->loops[i]);
	free(server->listeners);
	free(server->loops);
	free(server->advertise);
	free(server);
}

static struct iscsi_server *server_alloc(const struct iscsi_server_config *config)
{
	struct iscsi_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->provider = config->provider;
	server->loops = calloc(config->loop_count, sizeof(*server->loops));
	server->listeners = calloc(config->endpoint_count, sizeof(*server->listeners));
	server->logins = (struct login_service){ config->provider, config->first_statsn, login_loop_of, login_admit };
	server->live.none = nothing_lives;
	server->lun_in_use_ms = config->lun_in_use_ms ? config->lun_in_use_ms : LUN_IN_USE_MS;
	server->advertise = config->advertise ? strdup(config->advertise) : NULL;
	if (!server->loops || !server->listeners || (config->advertise && !server->advertise))
		goto fail;
	for (; server->loop_count < config->loop_count; server->loop_count++)
		if (iscsi_loop_init(&server->loops[server->loop_count], server, config->loops[server->loop_count]))
			goto fail;
	return server;
fail:
	iscsi_server_free(server);
	return NULL;
}

int iscsi_server_start(const struct iscsi_server_config *config, struct iscsi_server **out, struct reason *reason)
{
	struct iscsi_server *server = server_alloc(config);
	int err;

	if (!server)
		return reason_refuse(reason, -ENOMEM, "cannot start the iSCSI server: out of memory");
	for (unsigned i = 0; i < config->endpoint_count; i++) {
		struct listener *listener = &server->listeners[i];

		listener->loop = &server->loops[i % server->loop_count].link;
		err = portal_bind(listener, &config->endpoints[i], reason);
		if (err) {
			iscsi_server_free(server);
			return err;
		}
		server->listener_count++;
	}
	atomic_store(&server->live.count, server->loop_count + server->listener_count);
	atomic_store(&server->loops_open, server->loop_count);
	for (unsigned i = 0; i < server->loop_count; i++) {
		server->loops[i].msg.run = run_start;
		loop_post(server->loops[i].link.loop, &server->loops[i].msg);
	}
	*out = server;
	return 0;
}

unsigned iscsi_server_endpoints(const struct iscsi_server *server, struct endpoint *out, unsigned max)
{
	for (unsigned i = 0; i < server->listener_count && i < max; i++)
		out[i] = server->listeners[i].endpoint;
	return server->listener_count;
}

/* ---- stop ---- */

static void run_stop(struct loop_msg *msg)
{
	iscsi_loop_stop(container_of(msg, struct iscsi_loop, stop_msg));
}

void iscsi_server_stop(struct iscsi_server *server, unsigned drain_ms, void (*stopped)(void *arg), void *arg)
{
	server->drain_ms = drain_ms;
	server->stopped = stopped;
	server->stopped_arg = arg;
	/* The start messages have run or will run first: same senders, same order. */
	for (unsigned i = 0; i < server->loop_count; i++) {
		server->loops[i].stop_msg.run = run_stop;
		loop_post(server->loops[i].link.loop, &server->loops[i].stop_msg);
	}
}

/* ---- what other threads ask ---- */

void iscsi_server_check_alive(struct iscsi_server *server, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
			      void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session),
			      void *arg)
{
	alive_ask(&loop_of(server, key)->targets, key, timeout_ms, reply_loop, answered, arg);
}

void iscsi_server_release(struct iscsi_server *server, uint64_t key, const char *why, struct loop *reply_loop,
			  void (*released)(void *arg), void *arg)
{
	release_ask(&loop_of(server, key)->targets, key, why, reply_loop, released, arg);
}

void iscsi_server_resize(struct iscsi_server *server, uint64_t key, unsigned lun, uint64_t size_bytes,
			 struct loop *reply_loop, void (*resized)(void *arg, int err, const char *reason), void *arg)
{
	lun_change(&loop_of(server, key)->targets,
		   &(struct lun_request){ LUN_GROW, key, lun, size_bytes, false, reply_loop, resized, arg });
}

void iscsi_server_attach(struct iscsi_server *server, uint64_t key, unsigned lun, struct loop *reply_loop,
			 void (*attached)(void *arg, int err, const char *reason), void *arg)
{
	lun_change(&loop_of(server, key)->targets,
		   &(struct lun_request){ LUN_ATTACH, key, lun, 0, false, reply_loop, attached, arg });
}

void iscsi_server_detach(struct iscsi_server *server, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
			 void (*detached)(void *arg, int err, const char *reason), void *arg)
{
	lun_change(&loop_of(server, key)->targets,
		   &(struct lun_request){ LUN_DETACH, key, lun, 0, force, reply_loop, detached, arg });
}
