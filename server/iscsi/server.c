// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The iSCSI server as a whole: see server.h. Start, stop, and the count of what is alive: connections, targets,
 * listeners, and one for each hub that has not stopped. When that reaches 0 the hubs close, and the last one says so.
 */
#include "iscsi/server.h"

#include "base/log.h"
#include "iscsi/hub.h"
#include "iscsi/portal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LUN_IN_USE_MS = 60000 };

/* ---- life ---- */

void server_live_get(struct iscsi_server *server)
{
	atomic_fetch_add(&server->live, 1);
}

static void run_close(struct loop_msg *msg)
{
	hub_close(container_of(msg, struct hub, msg));
}

void server_live_put(struct iscsi_server *server)
{
	if (atomic_fetch_sub(&server->live, 1) != 1)
		return;
	for (unsigned i = 0; i < server->hub_count; i++) {
		server->hubs[i].msg.run = run_close;
		loop_post(server->hubs[i].loop, &server->hubs[i].msg);
	}
}

void server_hub_closed(struct iscsi_server *server)
{
	if (atomic_fetch_sub(&server->hubs_open, 1) == 1)
		server->stopped(server->stopped_arg);
}

/* ---- start ---- */

static void run_start(struct loop_msg *msg)
{
	struct hub *hub = container_of(msg, struct hub, msg);

	hub_start(hub);
	for (unsigned i = 0; i < hub->server->listener_count; i++) {
		struct listener *listener = &hub->server->listeners[i];
		int err = listener->hub == hub ? portal_start(listener) : 0;

		if (err)
			log_error("iscsi: a portal does not accept: %s", strerror(-err));
	}
}

void iscsi_server_free(struct iscsi_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->listener_count; i++)
		if (server->listeners[i].fd >= 0)
			close(server->listeners[i].fd);
	for (unsigned i = 0; i < server->hub_count; i++)
		hub_fini(&server->hubs[i]);
	free(server->listeners);
	free(server->hubs);
	free(server->advertise);
	free(server);
}

static struct iscsi_server *server_alloc(const struct iscsi_server_config *config)
{
	struct iscsi_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->provider = config->provider;
	server->hubs = calloc(config->loop_count, sizeof(*server->hubs));
	server->listeners = calloc(config->endpoint_count, sizeof(*server->listeners));
	server->first_statsn = config->first_statsn;
	server->lun_in_use_ms = config->lun_in_use_ms ? config->lun_in_use_ms : LUN_IN_USE_MS;
	server->advertise = config->advertise ? strdup(config->advertise) : NULL;
	if (!server->hubs || !server->listeners || (config->advertise && !server->advertise))
		goto fail;
	for (; server->hub_count < config->loop_count; server->hub_count++)
		if (hub_init(&server->hubs[server->hub_count], server, config->loops[server->hub_count]))
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

		listener->server = server;
		listener->hub = &server->hubs[i % server->hub_count];
		err = portal_bind(listener, &config->endpoints[i], reason);
		if (err) {
			iscsi_server_free(server);
			return err;
		}
		server->listener_count++;
	}
	atomic_store(&server->live, server->hub_count + server->listener_count);
	atomic_store(&server->hubs_open, server->hub_count);
	for (unsigned i = 0; i < server->hub_count; i++) {
		server->hubs[i].msg.run = run_start;
		loop_post(server->hubs[i].loop, &server->hubs[i].msg);
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
	struct hub *hub = container_of(msg, struct hub, stop_msg);
	struct iscsi_server *server = hub->server;

	for (unsigned i = 0; i < server->listener_count; i++)
		if (server->listeners[i].hub == hub)
			portal_stop(&server->listeners[i]);
	hub_stop(hub);
	server_live_put(server);
}

void iscsi_server_stop(struct iscsi_server *server, unsigned drain_ms, void (*stopped)(void *arg), void *arg)
{
	server->drain_ms = drain_ms;
	server->stopped = stopped;
	server->stopped_arg = arg;
	/* The start messages have run or will run first: same senders, same order. */
	for (unsigned i = 0; i < server->hub_count; i++) {
		server->hubs[i].stop_msg.run = run_stop;
		loop_post(server->hubs[i].loop, &server->hubs[i].stop_msg);
	}
}
