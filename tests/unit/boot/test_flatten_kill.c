// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server is killed while a version becomes one file: after the next start it is one file or as many as before, and its machine
 * reads the same. What lies between the single steps of the change is in test_promote.
 */
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "boot/operator/flatten.h"
#include "boot/operator/promote.h"
#include "disk/disk.h"
#include "store/store.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

enum { ROUNDS = 16, TOOK_MAX_US = 1000000 };

static struct reason reason;
static struct boot_lun luns[8];

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("%s", command);
}

static unsigned start(struct world *w, const char *mac)
{
	struct machine_boot current, pending = { .number = 0 };
	struct machine machine;
	unsigned count;

	world_expect(w, mac, "", "", "sanboot", NULL);
	machine = world_machine(w, mac);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	count = world_open_luns(w, machine.id, pending.number, luns, &reason);
	if (!count)
		fail_msg("%s", reason.text);
	return count;
}

static void boot_and_write(struct world *w, const char *mac, unsigned char byte)
{
	unsigned count = start(w, mac);

	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * byte, byte, true), 0);
	world_close_luns(w, luns, count);
}

static void next_version(struct world *w, const char *of, const char *image, const char *mac)
{
	struct boot_machine_new new = { .macs = { mac }, .mac_count = 1, .image = image };
	struct image_version version;
	struct machine machine;
	unsigned failed;

	if (boot_promote(w->boot, of, image, NULL, "ctl", &version, &reason) ||
	    boot_add_machines(w->boot, &new, 1, false, "ctl", &machine, &failed, &reason))
		fail_msg("%s", reason.text);
}

static int read_version(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;

	return version_find(tx, "second", 0, version);
}

/* Whether it is one file by now. */
static bool check(struct world *w)
{
	struct image_version version;
	unsigned count;

	assert_int_equal(world_write(w, read_version, &version), 0);
	assert_true(version.depth == 1 || version.depth == 3);
	count = start(w, MAC3);
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * 'A'), 'A');
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * 'B'), 'B');
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * 'C'), 'C');
	world_close_luns(w, luns, count);
	shell("test -z \"$(ls %s/tmp)\" && qemu-img check -q -f qcow2 %s/images/second@1.qcow2", w->dir, w->dir);
	return version.depth == 1;
}

/* That it begins, and that it is through. */
static void flatten_and_say_so(struct world *w, int said)
{
	world_start(w);
	if (write(said, "", 1) != 1)
		_exit(1);
	boot_flatten_versions(w->boot);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* As it was before all of it; that the inodes are others has a start look at what is in the files. */
static void put_back(struct world *w)
{
	shell("rm -rf %s/* && cp -a %s.base/. %s/", w->dir, w->dir, w->dir);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t time_of_it(struct world *w)
{
	uint64_t began_us, took_us;

	world_start(w);
	began_us = now_us();
	boot_flatten_versions(w->boot);
	took_us = now_us() - began_us;
	assert_true(check(w));
	world_stop(w);
	put_back(w);
	return took_us;
}

/* through: only then. */
static bool kill_once(struct world *w, uint64_t after_us, bool through)
{
	int said[2];
	bool flat;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(said[0]);
		flatten_and_say_so(w, said[1]);
	}
	close(said[1]);
	for (int i = 0; i <= through; i++)
		assert_int_equal(read(said[0], &byte, 1), 1);
	usleep((useconds_t)after_us);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(said[0]);
	world_start(w);
	flat = check(w);
	world_stop(w);
	put_back(w);
	return flat;
}

static void test_kill(void **state)
{
	struct world *w = *state;
	unsigned flat = 0;
	uint64_t took_us;

	boot_and_write(w, MAC1, 'A');
	next_version(w, MAC1, "first", MAC2);
	boot_and_write(w, MAC2, 'B');
	next_version(w, MAC2, "second", MAC3);
	boot_and_write(w, MAC3, 'C');
	world_policy(w, "reserve", "0%");
	boot_identify_versions(w->boot);
	world_stop(w);
	shell("cp -a %s %s.base", w->dir, w->dir);
	/* The first time other files are there than were published, which are looked at. */
	took_us = time_of_it(w);
	took_us = min_u64(max_u64(took_us, time_of_it(w)), TOOK_MAX_US);
	for (unsigned round = 0; round < ROUNDS; round++)
		flat += kill_once(w, took_us * 5 / 4 * round / ROUNDS, false);
	print_message("%u of %u were one file after a kill within %llu us\n", flat, ROUNDS,
		      (unsigned long long)(took_us * 5 / 4));
	assert_true(kill_once(w, 0, true));
	shell("rm -rf %s.base", w->dir);
	world_start(w);
	assert_true(flat < ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
