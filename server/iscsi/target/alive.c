// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is somebody there: see iscsi_server_check_alive. An OS is sent a NOP-In and anything that it then sends is an answer.
 * iPXE never answers NOP-In, so TCP keep-alive is made fast for it, and an ACK that came after the question is an
 * answer; a machine that has booted again answers with RST.
 */
#include "iscsi/target/target.h"

#include <stdlib.h>

struct alive_check {
	struct loop_msg msg;
	struct list link; /* loop->checks */
	struct target_loop *loop;
	uint64_t key;
	unsigned timeout_ms;
	uint64_t started_ms;
	bool answered;
	struct loop *reply_loop;
	void (*callback)(void *arg, bool alive, const struct iscsi_session_info *session);
	void *arg;
};

struct alive_answer {
	struct loop_msg msg;
	bool alive;
	struct iscsi_session_info info;
	void (*callback)(void *arg, bool alive, const struct iscsi_session_info *session);
	void *arg;
};

static void run_answer(struct loop_msg *msg)
{
	struct alive_answer *answer = container_of(msg, struct alive_answer, msg);

	answer->callback(answer->arg, answer->alive, answer->alive ? &answer->info : NULL);
	free(answer);
}

/* session NULL: nobody is there. */
static void answer_check(struct alive_check *check, const struct session *session)
{
	struct alive_answer *answer;

	if (check->answered)
		return;
	check->answered = true;
	answer = calloc(1, sizeof(*answer));
	if (!answer)
		abort(); /* somebody waits for it, and there is no other way to tell him */
	answer->msg.run = run_answer;
	answer->alive = session;
	if (session)
		session_info(session, &answer->info);
	answer->callback = check->callback;
	answer->arg = check->arg;
	loop_post(check->reply_loop, &answer->msg);
}

static void ask(struct alive_check *check, struct session *session)
{
	session->asked_by = check;
	session->asked_receives = session->conn->receives;
	if (session->ipxe)
		conn_set_keepalive(session->conn, true);
	else if (session->ping_ttt == TAG_NONE)
		nop_ping(session);
}

static bool has_answered(const struct alive_check *check, const struct session *session, uint64_t now_ms)
{
	/* A session that began after the question, or that another check has asked since: its other end is there. */
	if (session->asked_by != check || session->conn->receives != session->asked_receives)
		return true;
	return session->ipxe && now_ms > check->started_ms &&
	       conn_last_ack_ms(session->conn) < now_ms - check->started_ms;
}

/* True: the check is over. */
static bool check_step(struct target_loop *loop, struct alive_check *check, uint64_t now_ms)
{
	struct target *target = target_find(loop, check->key);
	bool late = now_ms - check->started_ms >= check->timeout_ms, silent = false;

	if (target) {
		list_each(link, next, &target->port.sessions)
		{
			struct session *session = list_entry(link, struct session, link);

			if (session->ending)
				continue;
			if (has_answered(check, session, now_ms))
				answer_check(check, session);
			else if (late)
				session_end(session, "it did not answer");
			else
				silent = true;
			if (session->conn && session->ipxe && (late || check->answered))
				conn_set_keepalive(session->conn, false);
		}
	}
	if (silent)
		return false;
	answer_check(check, NULL);
	return true;
}

void alive_tick(struct target_loop *loop, uint64_t now_ms)
{
	list_each(link, next, &loop->checks)
	{
		struct alive_check *check = list_entry(link, struct alive_check, link);

		if (!check_step(loop, check, now_ms))
			continue;
		list_remove(&check->link);
		free(check);
	}
}

void alive_end_all(struct target_loop *loop)
{
	list_each(link, next, &loop->checks)
	{
		struct alive_check *check = list_entry(link, struct alive_check, link);

		answer_check(check, NULL);
		list_remove(&check->link);
		free(check);
	}
}

static void start(struct loop_msg *msg)
{
	struct alive_check *check = container_of(msg, struct alive_check, msg);
	struct target_loop *loop = check->loop;
	struct target *target = target_find(loop, check->key);

	check->started_ms = time_monotonic_ms();
	if (!target || list_empty(&target->port.sessions) || loop->link->stopping) {
		answer_check(check, NULL);
		free(check);
		return;
	}
	list_each(link, next, &target->port.sessions)
	{
		struct session *session = list_entry(link, struct session, link);

		if (!session->ending)
			ask(check, session);
	}
	list_append(&loop->checks, &check->link);
	link_wake(loop->link);
}

void alive_ask(struct target_loop *loop, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
	       void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session), void *arg)
{
	struct alive_check *check = calloc(1, sizeof(*check));

	if (!check)
		abort();
	*check = (struct alive_check){ .msg.run = start,
				       .loop = loop,
				       .key = key,
				       .timeout_ms = timeout_ms,
				       .reply_loop = reply_loop,
				       .callback = answered,
				       .arg = arg };
	list_init(&check->link);
	loop_post(loop->io, &check->msg);
}
