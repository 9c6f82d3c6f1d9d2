// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An iSCSI target for tests: the server of server/iscsi over disks in memory, with a provider whose targets are this
 * table.
 *
 *	testd [--listen ADDR:PORT] [--threads N] [--size BYTES]
 *
 * Prints "ready iscsi=ADDR:PORT", then what the provider is told, a line each. On standard input it takes "probe KEY
 * MS", "release KEY", "sessions KEY", "pending KEY" (a new boot is to begin), "begun KEY" (the pending one is the
 * current, as after a server that died having made it so), "resize KEY BYTES" (grow it;
 * 0: it does not come back), "hold KEY" (what touches HELD of its disk waits from now on, and is told as "held KEY"),
 * "go KEY" (0: every one; it waits no longer) and "stop"; the end of input stops it too.
 */
#include "base/fd_table.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/disk.h"
#include "iscsi/server.h"
#include "memory_disk.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS_MAX = 16, STATE_MAX = 1 << 20 };

static struct machine {
	const char *name;
	enum iscsi_auth auth, begun_under;
	bool many, listed, needs_closed, physical_512;
	uint16_t refused; /* by find */
	uint16_t unopened; /* by open */
	const char *initiator; /* the only one */
	uint64_t boot, pending;
	uint64_t size_bytes; /* once it has grown */
	void *memory;
	struct memory_gate gate;
	void *state;
	size_t state_len;
} machines[] = {
	/* key 1, 2, ... */
	{ .name = "iqn.2026-11.test:none", .listed = true },
	{ .name = "iqn.2026-11.test:many", .listed = true, .many = true },
	{ .name = "iqn.2026-11.test:chap", .auth = ISCSI_AUTH_CHAP, .begun_under = ISCSI_AUTH_CHAP, .boot = 1 },
	{ .name = "iqn.2026-11.test:mutual", .auth = ISCSI_AUTH_MUTUAL, .begun_under = ISCSI_AUTH_MUTUAL, .boot = 1 },
	{ .name = "iqn.2026-11.test:boots",
	  .auth = ISCSI_AUTH_CHAP,
	  .begun_under = ISCSI_AUTH_CHAP,
	  .boot = 1,
	  .pending = 2 },
	{ .name = "iqn.2026-11.test:ephemeral", .boot = 1, .needs_closed = true },
	{ .name = "iqn.2026-11.test:forbidden", .refused = 0x0202 },
	{ .name = "iqn.2026-11.test:broken", .unopened = 0x0301 },
	{ .name = "iqn.2026-11.test:bound", .initiator = "iqn.2026-11.test:right" },
	/* begun under another rule than that of now */
	{ .name = "iqn.2026-11.test:was-none", .auth = ISCSI_AUTH_CHAP, .boot = 1, .pending = 2 },
	{ .name = "iqn.2026-11.test:was-chap", .begun_under = ISCSI_AUTH_CHAP, .boot = 1 },
	{ .name = "iqn.2026-11.test:was-chap-now-mutual",
	  .auth = ISCSI_AUTH_MUTUAL,
	  .begun_under = ISCSI_AUTH_CHAP,
	  .boot = 1 },
	{ .name = "iqn.2026-11.test:512n", .physical_512 = true, .many = true },
};

struct testd {
	pthread_mutex_t mutex; /* guards machines */
	struct iscsi_server *server;
	struct disk_env *env;
	uint64_t size_bytes;
	struct loop *loops[THREADS_MAX];
	unsigned loop_count;
	pthread_mutex_t stop_mutex;
	pthread_cond_t stop_cond;
	bool stopped;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("%s\n", line);
	fflush(stdout);
}

static struct machine *machine_of(uint64_t key)
{
	assert(key >= 1 && key <= array_len(machines));
	return &machines[key - 1];
}

/* ---- the provider ---- */

static void credential_of(uint64_t boot, bool pending, enum iscsi_auth auth, struct iscsi_credential *out)
{
	if (!boot)
		return;
	out->boot = boot;
	out->pending = pending;
	out->auth = auth;
	if (auth == ISCSI_AUTH_NONE)
		return;
	snprintf(out->user, sizeof(out->user), "user");
	snprintf(out->secret, sizeof(out->secret), "secret-of-boot-%llu", (unsigned long long)boot);
	snprintf(out->reverse_user, sizeof(out->reverse_user), "target");
	snprintf(out->reverse_secret, sizeof(out->reverse_secret), "reverse-of-boot-%llu", (unsigned long long)boot);
}

static void find(void *arg, const char *iqn, const char *initiator, struct loop *reply_loop,
		 void (*found)(void *found_arg, const struct iscsi_access *access), void *found_arg)
{
	struct testd *testd = arg;
	struct iscsi_access access = { .login_status = 0x0203, .reason = "no such target" };

	(void)initiator;
	(void)reply_loop;
	pthread_mutex_lock(&testd->mutex);
	for (size_t i = 0; i < array_len(machines); i++) {
		const struct machine *machine = &machines[i];

		if (strcmp(machine->name, iqn))
			continue;
		access.key = machine->refused ? 0 : i + 1;
		access.login_status = machine->refused;
		snprintf(access.iqn, sizeof(access.iqn), "%s", machine->name);
		snprintf(access.initiator, sizeof(access.initiator), "%s",
			 machine->initiator ? machine->initiator : "");
		access.auth = machine->auth;
		access.many = machine->many;
		access.physical_512 = machine->physical_512;
		credential_of(machine->boot, false, machine->begun_under, &access.credentials[0]);
		credential_of(machine->pending, true, machine->auth, &access.credentials[1]);
	}
	pthread_mutex_unlock(&testd->mutex);
	found(found_arg, &access);
}

static void list(void *arg, const char *initiator, struct loop *reply_loop,
		 void (*each)(void *each_arg, const char *iqn, int err), void *each_arg)
{
	int err = strcmp(initiator, "iqn.2026-11.test:unlisted") ? 0 : -ENOMEM;

	(void)arg;
	(void)reply_loop;
	for (size_t i = 0; i < array_len(machines); i++)
		if (machines[i].listed)
			each(each_arg, machines[i].name, 0);
	each(each_arg, NULL, err);
}

static void begin(void *arg, uint64_t key, uint64_t boot, struct loop *reply_loop,
		  void (*begun)(void *begun_arg, int err, const char *reason), void *begun_arg)
{
	struct testd *testd = arg;

	(void)reply_loop;
	pthread_mutex_lock(&testd->mutex);
	machine_of(key)->boot = boot;
	machine_of(key)->pending = 0;
	machine_of(key)->begun_under = machine_of(key)->auth;
	pthread_mutex_unlock(&testd->mutex);
	say("begin %llu %llu", (unsigned long long)key, (unsigned long long)boot);
	begun(begun_arg, 0, NULL);
}

static void *zeroed(uint64_t size_bytes)
{
	void *memory =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(memory != MAP_FAILED);
	return memory;
}

static void on_held(void *arg)
{
	const struct machine *machine = arg;

	say("held %zu", (size_t)(machine - machines) + 1);
}

static void open_disk(void *arg, uint64_t key, uint64_t boot, struct loop *loop,
		      void (*opened)(void *opened_arg, struct disk *disk, uint16_t login_status, const char *reason),
		      void *opened_arg)
{
	struct testd *testd = arg;
	struct machine *machine = machine_of(key);
	struct memory_disk_config config = {
		.size_bytes = machine->size_bytes ? machine->size_bytes : testd->size_bytes,
		.slow_from = testd->size_bytes - (4 << 20),
		.slow_ms = machine->many ? 0 : 300,
		.held_from = testd->size_bytes - (6 << 20),
		.gate = &machine->gate,
		.broken_from = machine->many ? UINT64_MAX - (1 << 20) : testd->size_bytes - (2 << 20),
	};

	if (machine->unopened) {
		opened(opened_arg, NULL, machine->unopened, "the disk of this target never opens");
		return;
	}
	if (!machine->memory)
		machine->memory = zeroed(2 * testd->size_bytes); /* room to grow */
	config.memory = machine->memory;
	say("open %llu %llu", (unsigned long long)key, (unsigned long long)boot);
	opened(opened_arg, memory_disk_new(testd->env, loop, &config), 0, NULL);
}

struct closing {
	uint64_t key;
	void (*closed)(void *closed_arg);
	void *closed_arg;
};

static void on_closed(void *arg, int err)
{
	struct closing *closing = arg;

	assert(!err);
	say("close %llu", (unsigned long long)closing->key);
	closing->closed(closing->closed_arg);
	free(closing);
}

static void close_disk(void *arg, uint64_t key, struct disk *disk, struct loop *loop, void (*closed)(void *closed_arg),
		       void *closed_arg)
{
	struct closing *closing = malloc(sizeof(*closing));

	(void)arg;
	(void)loop;
	assert(closing);
	*closing = (struct closing){ key, closed, closed_arg };
	disk_close(disk, on_closed, closing);
}

struct growing {
	struct testd *testd;
	uint64_t key, size_bytes;
	struct loop *loop;
	void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason);
	void *grown_arg;
};

static void on_grow_opened(void *arg, struct disk *disk, uint16_t login_status, const char *reason)
{
	struct growing *growing = arg;

	(void)login_status;
	growing->grown(growing->grown_arg, disk, 0, reason ? reason : "");
	free(growing);
}

static void on_grow_closed(void *arg, int err)
{
	struct growing *growing = arg;

	assert(!err);
	say("away %llu", (unsigned long long)growing->key);
	if (!growing->size_bytes) {
		growing->grown(growing->grown_arg, NULL, -EIO, "the disk of this target does not come back");
		free(growing);
		return;
	}
	machine_of(growing->key)->size_bytes = growing->size_bytes;
	open_disk(growing->testd, growing->key, 0, growing->loop, on_grow_opened, growing);
}

static void grow_disk(void *arg, uint64_t key, struct disk *disk, uint64_t size_bytes, struct loop *loop,
		      void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason), void *grown_arg)
{
	struct growing *growing = malloc(sizeof(*growing));

	assert(growing);
	*growing = (struct growing){ arg, key, size_bytes, loop, grown, grown_arg };
	disk_close(disk, on_grow_closed, growing);
}

static bool begin_needs_closed(void *arg, uint64_t key)
{
	(void)arg;
	return machine_of(key)->needs_closed;
}

static void session_began(void *arg, const struct iscsi_session_info *session)
{
	(void)arg;
	say("began %llu %llu %s%s", (unsigned long long)session->key, (unsigned long long)session->boot,
	    session->initiator, session->ipxe ? " ipxe" : "");
}

static void session_ended(void *arg, const struct iscsi_session_info *session, const char *why)
{
	(void)arg;
	say("ended %llu %llu %s: %s", (unsigned long long)session->key, (unsigned long long)session->boot,
	    session->initiator, why);
}

static void login_refused(void *arg, uint64_t key, const char *iqn, const char *initiator, const char *address,
			  const char *why)
{
	(void)arg;
	(void)iqn;
	(void)initiator;
	(void)address;
	say("refused %llu: %s", (unsigned long long)key, why);
}

static void save_state(void *arg, uint64_t key, const void *blob, size_t len, struct loop *reply_loop,
		       void (*done)(void *, int err), void *done_arg)
{
	struct machine *machine = machine_of(key);

	(void)arg;
	(void)reply_loop;
	assert(len <= STATE_MAX);
	machine->state = realloc(machine->state, len + 1);
	assert(machine->state);
	memcpy(machine->state, blob, len);
	machine->state_len = len;
	done(done_arg, 0);
}

static void load_state(void *arg, uint64_t key, struct loop *reply_loop,
		       void (*loaded)(void *, const void *blob, size_t len), void *loaded_arg)
{
	(void)arg;
	(void)reply_loop;
	loaded(loaded_arg, machine_of(key)->state, machine_of(key)->state_len);
}

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

static void on_session(void *arg, const struct iscsi_session_info *session, int err)
{
	(void)arg;
	if (session)
		say("session %llu %llu %s %llu", (unsigned long long)session->key, (unsigned long long)session->boot,
		    session->initiator, (unsigned long long)session->commands);
	else
		say(err ? "sessions end: %d" : "sessions end", err);
}

/* key 0: of all. */
static void open_gates(uint64_t key)
{
	for (size_t i = 0; i < array_len(machines); i++)
		if (!key || key == i + 1)
			memory_gate_set(&machines[i].gate, false);
}

/* False: the end. */
static bool command(struct testd *testd, const char *line)
{
	unsigned long long key = 0, ms = 0, bytes = 0;

	if (sscanf(line, "probe %llu %llu", &key, &ms) == 2) {
		iscsi_server_probe(testd->server, key, (unsigned)ms, testd->loops[0], on_probed, testd);
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
	} else if (sscanf(line, "resize %llu %llu", &key, &bytes) == 2) {
		iscsi_server_resize(testd->server, key, bytes, testd->loops[0], on_resized, testd);
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
	const struct iscsi_provider provider = {
		.arg = testd,
		.find = find,
		.list = list,
		.begin = begin,
		.open = open_disk,
		.close = close_disk,
		.grow = grow_disk,
		.begin_needs_closed = begin_needs_closed,
		.session_began = session_began,
		.session_ended = session_ended,
		.login_refused = login_refused,
		.save_state = save_state,
		.load_state = load_state,
	};
	struct iscsi_server_config config = {
		.loops = testd->loops,
		.loop_count = testd->loop_count,
		.endpoints = listen,
		.endpoint_count = 1,
		.provider = &provider,
		.first_statsn = 0xfffffffb, /* all tests run across the wrap of StatSN */
	};
	char reason[256], line[256], text[PARSE_ENDPOINT_TEXT];
	struct endpoint bound;

	if (iscsi_server_start(&config, &testd->server, reason, sizeof(reason))) {
		fprintf(stderr, "testd: %s\n", reason);
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
	struct testd testd = { .size_bytes = 256 << 20, .loop_count = 2, .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .stop_mutex = PTHREAD_MUTEX_INITIALIZER, .stop_cond = PTHREAD_COND_INITIALIZER };
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
	}
	if (!parse_endpoint(listen, &endpoint)) {
		fprintf(stderr, "usage: testd [--listen ADDR:PORT] [--threads N] [--size BYTES]\n");
		return 2;
	}
	for (size_t i = 0; i < array_len(machines); i++) {
		pthread_mutex_init(&machines[i].gate.mutex, NULL);
		machines[i].gate.on_held = on_held;
		machines[i].gate.arg = &machines[i];
	}
	fd_table_prepare();
	start_loops(&testd);
	if (pool_new(threads, &pool) || disk_env_new(pool, testd.loops, testd.loop_count, &testd.env))
		return 1;
	run(&testd, &endpoint);
	disk_env_free(testd.env);
	pool_free(pool);
	for (unsigned i = 0; i < testd.loop_count; i++)
		loop_free(testd.loops[i]);
	for (size_t i = 0; i < array_len(machines); i++)
		free(machines[i].state);
	return 0;
}
