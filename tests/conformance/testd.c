// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An iSCSI target for tests: the server of server/iscsi over disks in memory, with a provider whose targets are this
 * table.
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

enum { THREADS_MAX = 16, STATE_MAX = 1 << 20, VOLUMES = 8 };

/* What is attached to a machine besides its own disk. */
struct volume {
	unsigned lun; /* 0: nothing */
	char kind[8], serial[ISCSI_SERIAL_MAX + 1];
	uint64_t size_bytes;
	void *memory; /* room for twice as much */
};

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
	struct volume volumes[VOLUMES];
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
	{ .name = "iqn.2026-11.test:luns" },
	{ .name = "iqn.2026-11.test:two", .many = true },
};

struct testd {
	pthread_mutex_t mutex; /* guards machines */
	struct iscsi_server *server;
	struct disk_env *env;
	uint64_t size_bytes;
	unsigned in_use_ms;
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

/* ---- disks ---- */

static struct volume *volume_of(struct machine *machine, unsigned lun)
{
	for (unsigned i = 0; i < VOLUMES; i++)
		if (machine->volumes[i].lun == lun)
			return &machine->volumes[i];
	return NULL;
}

static struct disk *own_disk(struct testd *testd, struct machine *machine, struct loop *loop)
{
	struct memory_disk_config config = {
		.size_bytes = machine->size_bytes ? machine->size_bytes : testd->size_bytes,
		.slow_from = testd->size_bytes - (4 << 20),
		.slow_ms = machine->many ? 0 : 300,
		.held_from = testd->size_bytes - (6 << 20),
		.gate = &machine->gate,
		.broken_from = machine->many ? UINT64_MAX - (1 << 20) : testd->size_bytes - (2 << 20),
	};

	if (!machine->memory)
		machine->memory = zeroed(2 * testd->size_bytes); /* room to grow */
	config.memory = machine->memory;
	return memory_disk_new(testd->env, loop, &config);
}

/* Its last MiB is slow. */
static struct disk *volume_disk(struct testd *testd, const struct machine *machine, const struct volume *volume,
				struct loop *loop)
{
	const struct memory_disk_config config = {
		.memory = volume->memory,
		.size_bytes = volume->size_bytes,
		.slow_from = volume->size_bytes - (1 << 20),
		.slow_ms = machine->many ? 0 : 300,
		.broken_from = UINT64_MAX - (1 << 20),
	};

	return memory_disk_new(testd->env, loop, &config);
}

static struct iscsi_lun lun_of(struct testd *testd, const struct machine *machine, const struct volume *volume,
			       struct loop *loop)
{
	struct iscsi_lun lun = { .number = volume->lun, .volume = 100 + volume->lun };

	lun.type = strcmp(volume->kind, "cd") ? ISCSI_LUN_DISK : ISCSI_LUN_CDROM;
	lun.read_only = !strcmp(volume->kind, "ro");
	memcpy(lun.serial, volume->serial, sizeof(lun.serial));
	lun.disk = volume_disk(testd, machine, volume, loop);
	return lun;
}

static void open_disks(void *arg, uint64_t key, uint64_t boot, struct loop *loop,
		       void (*opened)(void *opened_arg, const struct iscsi_lun *luns, unsigned count,
				      uint16_t login_status, const char *reason),
		       void *opened_arg)
{
	struct testd *testd = arg;
	struct machine *machine = machine_of(key);
	struct iscsi_lun luns[1 + VOLUMES] = { { .volume = key, .physical_512 = machine->physical_512 } };
	unsigned count = 1;

	if (machine->unopened) {
		opened(opened_arg, NULL, 0, machine->unopened, "the disk of this target never opens");
		return;
	}
	pthread_mutex_lock(&testd->mutex);
	luns[0].disk = own_disk(testd, machine, loop);
	for (unsigned i = 0; i < VOLUMES; i++)
		if (machine->volumes[i].lun)
			luns[count++] = lun_of(testd, machine, &machine->volumes[i], loop);
	pthread_mutex_unlock(&testd->mutex);
	say("open %llu %llu", (unsigned long long)key, (unsigned long long)boot);
	opened(opened_arg, luns, count, 0, NULL);
}

static void open_lun(void *arg, uint64_t key, unsigned number, struct loop *loop,
		     void (*opened)(void *opened_arg, const struct iscsi_lun *lun, int err, const char *reason),
		     void *opened_arg)
{
	struct testd *testd = arg;
	struct volume *volume;
	struct iscsi_lun lun;

	pthread_mutex_lock(&testd->mutex);
	volume = volume_of(machine_of(key), number);
	if (volume)
		lun = lun_of(testd, machine_of(key), volume, loop);
	pthread_mutex_unlock(&testd->mutex);
	if (!volume) {
		opened(opened_arg, NULL, -ENXIO, "nothing is attached under that number");
		return;
	}
	say("open-lun %llu %u", (unsigned long long)key, number);
	opened(opened_arg, &lun, 0, NULL);
}

struct closing {
	char line[32];
	unsigned left;
	void (*closed)(void *closed_arg);
	void *closed_arg;
};

static void on_closed(void *arg, int err)
{
	struct closing *closing = arg;

	assert(!err);
	if (--closing->left)
		return;
	say("%s", closing->line);
	closing->closed(closing->closed_arg);
	free(closing);
}

static void close_disks(void *arg, uint64_t key, const struct iscsi_lun *luns, unsigned count, struct loop *loop,
			void (*closed)(void *closed_arg), void *closed_arg)
{
	struct closing *closing = malloc(sizeof(*closing));

	(void)arg;
	(void)loop;
	assert(closing && count);
	*closing = (struct closing){ .left = count, .closed = closed, .closed_arg = closed_arg };
	snprintf(closing->line, sizeof(closing->line), "close %llu", (unsigned long long)key);
	for (unsigned i = 0; i < count; i++)
		disk_close(luns[i].disk, on_closed, closing);
}

static void close_lun(void *arg, uint64_t key, const struct iscsi_lun *lun, struct loop *loop,
		      void (*closed)(void *closed_arg), void *closed_arg)
{
	struct closing *closing = malloc(sizeof(*closing));

	(void)arg;
	(void)loop;
	assert(closing && (!lun->number || lun->volume == 100 + lun->number));
	*closing = (struct closing){ .left = 1, .closed = closed, .closed_arg = closed_arg };
	snprintf(closing->line, sizeof(closing->line), "close-lun %llu %u", (unsigned long long)key, lun->number);
	disk_close(lun->disk, on_closed, closing);
}

struct growing {
	struct testd *testd;
	uint64_t key, size_bytes;
	unsigned lun;
	struct loop *loop;
	void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason);
	void *grown_arg;
};

static void on_grow_closed(void *arg, int err)
{
	struct growing *growing = arg;
	struct machine *machine = machine_of(growing->key);
	struct disk *disk = NULL;
	struct volume *volume;

	assert(!err);
	say("away %llu", (unsigned long long)growing->key);
	pthread_mutex_lock(&growing->testd->mutex);
	volume = growing->lun ? volume_of(machine, growing->lun) : NULL;
	if (growing->size_bytes && volume) {
		volume->size_bytes = growing->size_bytes;
		disk = volume_disk(growing->testd, machine, volume, growing->loop);
	} else if (growing->size_bytes) {
		machine->size_bytes = growing->size_bytes;
		disk = own_disk(growing->testd, machine, growing->loop);
	}
	pthread_mutex_unlock(&growing->testd->mutex);
	growing->grown(growing->grown_arg, disk, disk ? 0 : -EIO,
		       disk ? "" : "the disk of this target does not come back");
	free(growing);
}

static void grow_disk(void *arg, uint64_t key, const struct iscsi_lun *lun, uint64_t size_bytes, struct loop *loop,
		      void (*grown)(void *grown_arg, struct disk *disk, int err, const char *reason), void *grown_arg)
{
	struct growing *growing = malloc(sizeof(*growing));

	assert(growing);
	*growing = (struct growing){ arg, key, size_bytes, lun->number, loop, grown, grown_arg };
	disk_close(lun->disk, on_grow_closed, growing);
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

/* Whatever was there keeps its memory where it is the same volume again. */
static void set_volume(struct testd *testd, struct machine *machine, unsigned lun, const char *kind,
		       uint64_t size_bytes, const char *serial)
{
	struct volume *volume;

	pthread_mutex_lock(&testd->mutex);
	volume = volume_of(machine, lun);
	if (!volume)
		volume = volume_of(machine, 0);
	assert(volume);
	if (size_bytes && (!volume->memory || strcmp(volume->serial, serial))) {
		volume->memory = zeroed(2 * size_bytes); /* room to grow */
		for (uint64_t at = 0; at < size_bytes; at += 2048) /* so that blocks can be told apart */
			memcpy((char *)volume->memory + at, &at, sizeof(at));
	}
	volume->lun = size_bytes ? lun : 0;
	volume->size_bytes = size_bytes;
	snprintf(volume->kind, sizeof(volume->kind), "%s", kind);
	snprintf(volume->serial, sizeof(volume->serial), "%s", serial);
	pthread_mutex_unlock(&testd->mutex);
	say("volume");
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
	const struct iscsi_provider provider = {
		.arg = testd,
		.find = find,
		.list = list,
		.begin = begin,
		.open = open_disks,
		.close = close_disks,
		.open_lun = open_lun,
		.close_lun = close_lun,
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
		.lun_in_use_ms = testd->in_use_ms,
	};
	char line[256], text[PARSE_ENDPOINT_TEXT];
	struct reason reason;
	struct endpoint bound;

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
		else if (!strcmp(argv[i], "--in-use") && parse_u64(argv[i + 1], 1, 60000, &number))
			testd.in_use_ms = (unsigned)number;
	}
	if (!parse_endpoint(listen, &endpoint)) {
		fprintf(stderr, "usage: testd [--listen ADDR:PORT] [--threads N] [--size BYTES] [--in-use MS]\n");
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
