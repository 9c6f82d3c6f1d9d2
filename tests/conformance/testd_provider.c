// SPDX-License-Identifier: GPL-2.0-or-later
/* What testd's server is told: a provider whose targets are this table. See testd.h. */
#include "testd.h"

#include "base/log.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STATE_MAX = 1 << 20 };

static struct machine machines[] = {
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

void say(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("%s\n", line);
	fflush(stdout);
}

struct machine *machine_of(uint64_t key)
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
	struct iscsi_access access = { .login_status = 0x0203, .reason = { "no such target" } };

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

const struct iscsi_provider testd_provider = {
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

/* ---- what testd changes ---- */

/* Whatever was there keeps its memory where it is the same volume again. */
void set_volume(struct testd *testd, struct machine *machine, unsigned lun, const char *kind, uint64_t size_bytes,
		const char *serial)
{
	struct volume *volume;

	pthread_mutex_lock(&testd->mutex);
	volume = volume_of(machine, lun);
	if (!volume)
		volume = volume_of(machine, 0);
	assert(volume);
	if (size_bytes && (!volume->memory || strcmp(volume->serial, serial))) {
		volume->memory = zeroed(2 * size_bytes);	   /* room to grow */
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

void open_gates(uint64_t key)
{
	for (size_t i = 0; i < array_len(machines); i++)
		if (!key || key == i + 1)
			memory_gate_set(&machines[i].gate, false);
}

void init_gates(void)
{
	for (size_t i = 0; i < array_len(machines); i++) {
		pthread_mutex_init(&machines[i].gate.mutex, NULL);
		machines[i].gate.on_held = on_held;
		machines[i].gate.arg = &machines[i];
	}
}

void free_machines(void)
{
	for (size_t i = 0; i < array_len(machines); i++)
		free(machines[i].state);
}
