// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Probes: see server.h. An OS is sent a NOP-In and anything that it then sends is an answer. iPXE never answers NOP-In,
 * so TCP keep-alive is made fast for it, and an ACK that came after the question is an answer; a machine that has
 * booted again answers with RST.
 */
#include "iscsi/probe.h"

#include "iscsi/hub.h"
#include "iscsi/session.h"
#include "iscsi/target.h"

#include <netinet/tcp.h>
#include <stdlib.h>

struct probe {
	struct loop_msg msg;
	struct list link; /* hub->probes */
	struct iscsi_server *server;
	uint64_t key;
	unsigned timeout_ms;
	uint64_t started_ms;
	bool answered;
	struct loop *reply_loop;
	void (*callback)(void *arg, bool alive, const struct iscsi_session_info *session);
	void *arg;
};

struct probe_answer {
	struct loop_msg msg;
	bool alive;
	struct iscsi_session_info info;
	void (*callback)(void *arg, bool alive, const struct iscsi_session_info *session);
	void *arg;
};

static void run_answer(struct loop_msg *msg)
{
	struct probe_answer *answer = container_of(msg, struct probe_answer, msg);

	answer->callback(answer->arg, answer->alive, answer->alive ? &answer->info : NULL);
	free(answer);
}

/* session NULL: nobody is there. */
static void answer_probe(struct probe *probe, const struct session *session)
{
	struct probe_answer *answer;

	if (probe->answered)
		return;
	probe->answered = true;
	answer = calloc(1, sizeof(*answer));
	if (!answer)
		abort(); /* somebody waits for it, and there is no other way to tell him */
	answer->msg.run = run_answer;
	answer->alive = session;
	if (session)
		session_info(session, &answer->info);
	answer->callback = probe->callback;
	answer->arg = probe->arg;
	loop_post(probe->reply_loop, &answer->msg);
}

static void set_keepalive(const struct session *session, int idle_s, int interval_s)
{
	int fd = session->conn->fd;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
}

static void ask(struct probe *probe, struct session *session)
{
	session->probed_by = probe;
	session->probed_receives = session->conn->receives;
	if (session->ipxe)
		set_keepalive(session, 1, 1);
	else if (session->ping_ttt == TAG_NONE)
		nop_ping(session);
}

static bool has_answered(const struct probe *probe, const struct session *session, uint64_t now_ms)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* A session that began after the question, or that another probe has asked since: its other end is there. */
	if (session->probed_by != probe || session->conn->receives != session->probed_receives)
		return true;
	if (!session->ipxe || getsockopt(session->conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	return now_ms > probe->started_ms && info.tcpi_last_ack_recv < now_ms - probe->started_ms;
}

/* True: the probe is over. */
static bool probe_step(struct hub *hub, struct probe *probe, uint64_t now_ms)
{
	struct target *target = target_find(hub, probe->key);
	bool late = now_ms - probe->started_ms >= probe->timeout_ms, silent = false;

	if (target) {
		list_each(link, next, &target->sessions) {
			struct session *session = list_entry(link, struct session, link);

			if (session->ending)
				continue;
			if (has_answered(probe, session, now_ms))
				answer_probe(probe, session);
			else if (late)
				session_end(session, "it did not answer");
			else
				silent = true;
			if (session->conn && session->ipxe && (late || probe->answered))
				set_keepalive(session, CONN_KEEPIDLE_S, CONN_KEEPINTVL_S);
		}
	}
	if (silent)
		return false;
	answer_probe(probe, NULL);
	return true;
}

void probe_tick(struct hub *hub, uint64_t now_ms)
{
	list_each(link, next, &hub->probes) {
		struct probe *probe = list_entry(link, struct probe, link);

		if (!probe_step(hub, probe, now_ms))
			continue;
		list_remove(&probe->link);
		free(probe);
	}
}

void probe_end_all(struct hub *hub)
{
	list_each(link, next, &hub->probes) {
		struct probe *probe = list_entry(link, struct probe, link);

		answer_probe(probe, NULL);
		list_remove(&probe->link);
		free(probe);
	}
}

static void start(struct loop_msg *msg)
{
	struct probe *probe = container_of(msg, struct probe, msg);
	struct hub *hub = hub_of(probe->server, probe->key);
	struct target *target = target_find(hub, probe->key);

	probe->started_ms = time_monotonic_ms();
	if (!target || list_empty(&target->sessions) || hub->stopping) {
		answer_probe(probe, NULL);
		free(probe);
		return;
	}
	list_each(link, next, &target->sessions) {
		struct session *session = list_entry(link, struct session, link);

		if (!session->ending)
			ask(probe, session);
	}
	list_append(&hub->probes, &probe->link);
	hub_wake(hub);
}

void iscsi_server_probe(struct iscsi_server *server, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
			void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session), void *arg)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		abort();
	*probe = (struct probe){ .msg.run = start, .server = server, .key = key, .timeout_ms = timeout_ms,
				 .reply_loop = reply_loop, .callback = answered, .arg = arg };
	list_init(&probe->link);
	loop_post(hub_of(server, key)->loop, &probe->msg);
}
