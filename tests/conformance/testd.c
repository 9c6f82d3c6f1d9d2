// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An iSCSI target for tests: the server of server/iscsi over disks in memory; testd_provider.c has its targets.
 *
 *	testd [--listen ADDR:PORT] [--threads N] [--size BYTES] [--in-use MS]
 *
 * Prints "ready iscsi=ADDR:PORT", then what the provider is told, a line each. On standard input it takes:
 *
 *	probe KEY MS, release KEY, sessions KEY
 *	pending KEY		a new boot is to begin
 *	begun KEY		the pending one is the current, as after a server that died having made it so
 *	resize KEY LUN BYTES	grow it; 0: it does not come back
 *	volume KEY LUN KIND BYTES SERIAL
 *				this opens under that number from now on: data, ro, cd; 0 BYTES: nothing does
 *	attach KEY LUN, detach KEY LUN, force KEY LUN (detach all the same)
 *	hold KEY		what touches HELD of its LUN 0 waits from now on, and is told as "held KEY"
 *	go KEY			(0: every one) it waits no longer
 *	stop			so does the end of input
 */
#include "base/fd_table.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/util.h"
#include "testd.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- commands ---- */

static void on_probed(void *arg, bool alive, const struct iscsi_session_info *session)
{
	(void)arg;
	say("probed %s", alive ? session->initiator : "nobody");
}

static void on_released(void *arg)
{
	(void)arg;
	say("released");
}

static void on_resized(void *arg, int err, const char *reason)
{
	(void)arg;
	say("resized %d %s", err, reason);
}

static void on_attached(void *arg, int err, const char *reason)
{
	(void)arg;
	say("attached %d %s", err, reason);
}

static void on_detached(void *arg, int err, const char *reason)
{
	(void)arg;
	say("detached %d %s", err, reason);
}

static void on_session(void *arg, const struct iscsi_session_info *session, int err)
{
	(void)arg;
	if (session)
		say("session %llu %llu %s %llu", (unsigned long long)session->key, (unsigned long long)session->boot,
		    session->initiator, (unsigned long long)session->commands);
	else
		say(err ? "sessions end: %d" : "sessions end", err);
}

/* False: the end. */
static bool command(struct testd *testd, const char *line)
{
	unsigned long long key = 0, ms = 0, bytes = 0;
	char kind[8], serial[ISCSI_SERIAL_MAX + 1];
	unsigned lun = 0;

	if (sscanf(line, "probe %llu %llu", &key, &ms) == 2) {
		iscsi_server_check_alive(testd->server, key, (unsigned)ms, testd->loops[0], on_probed, testd);
	} else if (sscanf(line, "release %llu", &key) == 1) {
		iscsi_server_release(testd->server, key, "somebody asked for it", testd->loops[0], on_released, testd);
	} else if (sscanf(line, "sessions %llu", &key) == 1) {
		iscsi_server_sessions(testd->server, key, testd->loops[0], on_session, testd);
	} else if (sscanf(line, "pending %llu", &key) == 1) {
		unsigned long long boot;

		pthread_mutex_lock(&testd->mutex);
		boot = machine_of(key)->pending = machine_of(key)->boot + 1;
		pthread_mutex_unlock(&testd->mutex);
		say("pending %llu", boot);
	} else if (sscanf(line, "begun %llu", &key) == 1) {
		pthread_mutex_lock(&testd->mutex);
		machine_of(key)->boot = machine_of(key)->pending;
		machine_of(key)->pending = 0;
		pthread_mutex_unlock(&testd->mutex);
		say("begun");
	} else if (sscanf(line, "resize %llu %u %llu", &key, &lun, &bytes) == 3) {
		iscsi_server_resize(testd->server, key, lun, bytes, testd->loops[0], on_resized, testd);
	} else if (sscanf(line, "volume %llu %u %7s %llu %64s", &key, &lun, kind, &bytes, serial) == 5) {
		set_volume(testd, machine_of(key), lun, kind, bytes, serial);
	} else if (sscanf(line, "attach %llu %u", &key, &lun) == 2) {
		iscsi_server_attach(testd->server, key, lun, testd->loops[0], on_attached, testd);
	} else if (sscanf(line, "detach %llu %u", &key, &lun) == 2) {
		iscsi_server_detach(testd->server, key, lun, false, testd->loops[0], on_detached, testd);
	} else if (sscanf(line, "force %llu %u", &key, &lun) == 2) {
		iscsi_server_detach(testd->server, key, lun, true, testd->loops[0], on_detached, testd);
	} else if (sscanf(line, "hold %llu", &key) == 1) {
		memory_gate_set(&machine_of(key)->gate, true);
		say("holding %llu", key);
	} else if (sscanf(line, "go %llu", &key) == 1) {
		open_gates(key);
	} else {
		return false;
	}
	return true;
}

/* ---- life ---- */

static void on_stopped(void *arg)
{
	struct testd *testd = arg;

	pthread_mutex_lock(&testd->stop_mutex);
	testd->stopped = true;
	pthread_cond_signal(&testd->stop_cond);
	pthread_mutex_unlock(&testd->stop_mutex);
}

static void start_loops(struct testd *testd)
{
	for (unsigned i = 0; i < testd->loop_count; i++) {
		char name[16];

		testd->loops[i] = loop_new(i);
		assert(testd->loops[i]);
		snprintf(name, sizeof(name), "io-%u", i);
		if (loop_start(testd->loops[i], name))
			abort();
	}
}

static void run(struct testd *testd, const struct endpoint *listen)
{
	struct iscsi_provider provider = testd_provider;
	struct iscsi_server_config config = {
		.loops = testd->loops,
		.loop_count = testd->loop_count,
		.endpoints = listen,
		.endpoint_count = 1,
		.provider = &provider,
		.first_statsn = 0xfffffffb, /* all tests run across the wrap of StatSN */
		.lun_in_use_ms = testd->in_use_ms,
	};
	char line[256], text[PARSE_ENDPOINT_TEXT];
	struct reason reason;
	struct endpoint bound;

	provider.arg = testd;
	if (iscsi_server_start(&config, &testd->server, &reason)) {
		fprintf(stderr, "testd: %s\n", reason.text);
		exit(1);
	}
	iscsi_server_endpoints(testd->server, &bound, 1);
	say("ready iscsi=%s", endpoint_format(&bound, text));
	while (fgets(line, sizeof(line), stdin) && command(testd, line))
		;
	open_gates(0);
	iscsi_server_stop(testd->server, 3000, on_stopped, testd);
	pthread_mutex_lock(&testd->stop_mutex);
	while (!testd->stopped)
		pthread_cond_wait(&testd->stop_cond, &testd->stop_mutex);
	pthread_mutex_unlock(&testd->stop_mutex);
	/* The loops first: their last turns may still touch the server. */
	for (unsigned i = 0; i < testd->loop_count; i++)
		loop_stop(testd->loops[i]);
	iscsi_server_free(testd->server);
}

int main(int argc, char **argv)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	struct testd testd = { .size_bytes = 256 << 20,
			       .loop_count = 2,
			       .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .stop_mutex = PTHREAD_MUTEX_INITIALIZER,
			       .stop_cond = PTHREAD_COND_INITIALIZER };
	const char *listen = "127.0.0.1:0";
	struct endpoint endpoint;
	struct pool *pool;

	log_init(getenv("TESTD_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, false);
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t number;

		if (!strcmp(argv[i], "--listen"))
			listen = argv[i + 1];
		else if (!strcmp(argv[i], "--threads") && parse_u64(argv[i + 1], 1, THREADS_MAX, &number))
			testd.loop_count = (unsigned)number;
		else if (!strcmp(argv[i], "--size") && parse_size(argv[i + 1], &number))
			testd.size_bytes = number;
		else if (!strcmp(argv[i], "--in-use") && parse_u64(argv[i + 1], 1, 60000, &number))
			testd.in_use_ms = (unsigned)number;
	}
	if (!parse_endpoint(listen, &endpoint)) {
		fprintf(stderr, "usage: testd [--listen ADDR:PORT] [--threads N] [--size BYTES] [--in-use MS]\n");
		return 2;
	}
	init_gates();
	fd_table_prepare();
	start_loops(&testd);
	if (pool_new(threads, &pool) || disk_env_new(pool, testd.loops, testd.loop_count, &testd.env))
		return 1;
	run(&testd, &endpoint);
	disk_env_free(testd.env);
	pool_free(pool);
	for (unsigned i = 0; i < testd.loop_count; i++)
		loop_free(testd.loops[i]);
	free_machines();
	return 0;
}
