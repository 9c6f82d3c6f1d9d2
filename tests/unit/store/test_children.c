// SPDX-License-Identifier: GPL-2.0-or-later
/* Children, golden files that change behind our back, and what a start puts in order. */
#include "store/fixture.h"

#include "base/util.h"
#include "disk/qcow2.h"
#include "store/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct policy no_reserve = { .reserve_percent = 0 };

static struct image_version golden(struct fixture *f)
{
	make_disk(input(f, "golden.raw"), 64 << 20, 9);
	return import_version(f, input(f, "golden.raw"), "golden");
}

/* ---- volumes of the backend files ---- */

static struct volume system_volume(const struct image_version *version)
{
	return (struct volume){ .kind = VOLUME_SYSTEM, .version_id = version->id };
}

static void test_child(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct policy all = { .reserve_percent = 90, .reserve_bytes = 1ull << 60 };
	struct volume child = system_volume(&version), other = child,
		      none = { .backend = "files", .object = "m-none.qcow2" };
	struct reason reason = { "" };
	struct volume_info info;

	assert_int_equal(store_create_volume(f->store, &child, &version, &all, 7, &reason), -ENOSPC);
	assert_non_null(strstr(reason.text, "reserve"));
	assert_string_equal(child.object, "");
	assert_int_equal(store_create_volume(f->store, &child, &version, &no_reserve, 7, &reason), 0);
	assert_int_equal(store_create_volume(f->store, &other, &version, &no_reserve, 7, &reason), 0);
	assert_string_equal(child.backend, "files");
	assert_true(child.fresh);
	assert_string_not_equal(child.object, other.object);
	assert_int_equal(strncmp(child.object, "m7-", 3), 0);
	assert_true(store_file_name_valid(child.object));
	assert_int_equal(store_files.create(f->store, &child, &version, &reason), -EEXIST);
	store_delete_object(f->store, &other);
	assert_int_equal(store_sync_volume(f->store, &child), 0);
	assert_int_equal(store_volume_info(f->store, &child, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, version.size_bytes);
	assert_true(info.allocated_bytes < 1 << 20);
	assert_true(info.clean);
	assert_string_equal(info.format, "qcow2");
	assert_string_equal(info.path, in_state(f, "children", child.object));
	/* It grows; what is added reads as zeroes. Never the other way. */
	assert_int_equal(store_grow_volume(f->store, &child, 0, &reason), 0);
	assert_int_equal(store_grow_volume(f->store, &child, 4096, &reason), 0);
	assert_int_equal(store_grow_volume(f->store, &child, 100 << 20, &reason), 0);
	assert_int_equal(store_grow_volume(f->store, &child, 80 << 20, &reason), 0);
	assert_int_equal(store_volume_info(f->store, &child, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, 100 << 20);
	assert_int_equal(store_grow_volume(f->store, &none, 1 << 20, &reason), -ENOENT);
	run_command("qemu-img check -q -f qcow2 %s", info.path);
	run_command("qemu-img compare -q -f qcow2 -F raw %s %s", info.path, input(f, "golden.raw"));
	make_file(in_state(f, "children", "x.journal"), "", 0, 0);
	run_command("mv %s/children/x.journal %s.journal", f->state, info.path);
	store_delete_object(f->store, &child);
	assert_int_equal(count_entries(in_state(f, "children", "")), 0);
	assert_int_equal(store_volume_info(f->store, &child, NULL, &info), -ENOENT);
	assert_int_equal(store_sync_volume(f->store, &child), -ENOENT);
	/* No way out of the folder. */
	strcpy(child.object, "../x");
	assert_int_equal(store_files.create(f->store, &child, &version, &reason), -EINVAL);
	strcpy(child.object, "../images/golden@1.raw");
	store_delete_object(f->store, &child);
	assert_int_equal(access(in_state(f, "images", "golden@1.raw"), F_OK), 0);
	make_file(in_state(f, "children", "garbage"), "garbage", 7, 7);
	strcpy(child.object, "garbage");
	assert_int_equal(store_volume_info(f->store, &child, NULL, &info), -EUCLEAN);
}

/* A disk without a golden version: empty, of its own size. */
static void test_data(void **state)
{
	struct fixture *f = *state;
	struct volume data = { .kind = VOLUME_DATA, .size_bytes = 20 << 20 }, bad = { .kind = VOLUME_DATA },
		      shared = { .kind = VOLUME_SHARED, .version_id = 1 };
	struct reason reason = { "" };
	struct volume_info info;

	assert_int_equal(store_create_volume(f->store, &data, NULL, &no_reserve, 3, &reason), 0);
	assert_int_equal(strncmp(data.object, "d3-", 3), 0);
	assert_int_equal(store_volume_info(f->store, &data, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, 20 << 20);
	run_command("qemu-img check -q -f qcow2 %s", info.path);
	run_command("qemu-io -r -f qcow2 -c 'read -P 0 0 20M' %s | grep -q '^read'", info.path);
	assert_int_equal(store_create_volume(f->store, &bad, NULL, &no_reserve, 3, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "size: expected"));
	bad.size_bytes = 4097;
	assert_int_equal(store_create_volume(f->store, &bad, NULL, &no_reserve, 3, &reason), -EINVAL);
	bad.size_bytes = (17ull << 40);
	assert_int_equal(store_create_volume(f->store, &bad, NULL, &no_reserve, 3, &reason), -EINVAL);
	strcpy(bad.backend, "tape");
	bad.size_bytes = 1 << 20;
	assert_int_equal(store_create_volume(f->store, &bad, NULL, &no_reserve, 3, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "tape"));
	assert_int_equal(store_create_volume(f->store, &shared, NULL, &no_reserve, 3, &reason), -EINVAL);
	assert_int_equal(count_entries(in_state(f, "children", "")), 1);
}

static void test_space(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct policy percent = { .reserve_percent = 10 }, size = { .reserve_bytes = 12345 };
	struct store_space space;

	enrol(f, &version, 1);
	assert_int_equal(store_get_space(f->store, &percent, &space), 0);
	assert_true(space.total_bytes > space.free_bytes);
	assert_in_range(space.reserve_bytes, space.total_bytes / 10 - 100, space.total_bytes / 10);
	assert_true(space.images_bytes >= store_version_allocated(f->store, &version) && space.images_bytes > 0);
	assert_true(space.volumes_bytes > 0);
	assert_int_equal(store_get_space(f->store, &size, &space), 0);
	assert_int_equal(space.reserve_bytes, 12345);
}

/* ---- golden files ---- */

static void rewrite(const char *path, const char *text, off_t offset)
{
	int fd;

	assert_int_equal(chmod(path, 0644), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
	close(fd);
}

static void test_verify(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f), before = version;
	const char *path = in_state(f, "images", version.file);
	struct reason reason;

	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	/* Another time, the same bytes: hashed, and remembered. */
	run_command("touch %s", path);
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	version = get_version(f, "golden", 1);
	assert_int_not_equal(version.mtime_ns, before.mtime_ns);
	assert_int_equal(store_verify_version(f->store, &before, &reason), 0);
	/* Another inode, the same bytes: a backup that was put back. */
	run_command("cp %s %s.new && mv -f %s.new %s", path, path, path, path);
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	version = get_version(f, "golden", 1);
	assert_int_not_equal(version.inode, before.inode);
	/* One byte. */
	rewrite(path, "x", 30 << 20);
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ESTALE);
	assert_non_null(strstr(reason.text, "golden@1 was changed"));
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ESTALE);
	/* Put right again. */
	run_command("cp %s %s", input(f, "golden.raw"), path);
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	run_command("truncate -s +512 %s", path);
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ESTALE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ENOENT);
	assert_int_equal(store_version_allocated(f->store, &version), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ESTALE);
}

struct verifier {
	struct fixture *f;
	struct image_version version;
	int err;
};

static void *verify_thread(void *arg)
{
	struct verifier *v = arg;
	struct reason reason;

	v->err = store_verify_version(v->f->store, &v->version, &reason);
	return NULL;
}

/* Many machines log in at once after the file's time has changed: all get the same answer. */
static void test_verify_together(void **state)
{
	struct fixture *f = *state;
	struct verifier v[16];
	pthread_t threads[16];
	struct image_version version = golden(f);

	run_command("touch %s", in_state(f, "images", version.file));
	for (size_t i = 0; i < array_len(v); i++) {
		v[i] = (struct verifier){ .f = f, .version = version, .err = 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, verify_thread, &v[i]), 0);
	}
	for (size_t i = 0; i < array_len(v); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(v[i].err, 0);
	}
}

/* ---- after a start ---- */

static void write_to_child(struct fixture *f, const char *child)
{
	run_command("qemu-io -f qcow2 -c 'write -P 7 1M 64k' %s/children/%s >/dev/null", f->state, child);
}

static void reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

static int find_stranger(void *arg, const struct event *event)
{
	if (strstr(event->kind, "-unknown"))
		snprintf((char *)arg + strlen(arg), 512 - strlen(arg), "%s: %s\n", event->kind, event->text);
	return 0;
}

static int list_strangers(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, find_stranger, arg);
}

static void test_orphans(void **state)
{
	char told[512] = "";
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	struct volume volume = system_volume(&version);
	struct reason reason;

	/* An enrolment that did not commit: its child was never written to. */
	strcpy(volume.object, "unused.qcow2");
	assert_int_equal(store_files.create(f->store, &volume, &version, &reason), 0);
	make_file(in_state(f, "children", "cut.qcow2"), "", 0, 0);
	/* Somebody's data, under an older inventory. */
	strcpy(volume.object, "data.qcow2");
	assert_int_equal(store_files.create(f->store, &volume, &version, &reason), 0);
	write_to_child(f, "data.qcow2");
	make_file(in_state(f, "children", "data.qcow2.journal"), "journal", 7, 7);
	make_file(in_state(f, "children", "gone.qcow2.journal"), "journal", 7, 7);
	make_file(in_state(f, "tmp", "import-1-x.raw"), "half", 4, 4);
	make_file(in_state(f, "images", "unknown.raw"), "x", 1, 512);
	reopen(f);
	assert_int_equal(access(in_state(f, "children", machine.system.object), F_OK), 0);
	assert_int_equal(access(in_state(f, "children", "unused.qcow2"), F_OK), -1);
	assert_int_equal(access(in_state(f, "children", "cut.qcow2"), F_OK), -1);
	assert_int_equal(access(in_state(f, "children", "data.qcow2"), F_OK), 0);
	assert_int_equal(access(in_state(f, "children", "data.qcow2.journal"), F_OK), 0);
	assert_int_equal(access(in_state(f, "children", "gone.qcow2.journal"), F_OK), -1);
	assert_int_equal(access(in_state(f, "images", "unknown.raw"), F_OK), 0);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	/* A person is told of what stays, not only the log. */
	assert_int_equal(in_write(f, list_strangers, told), 0);
	assert_non_null(strstr(told, "disk-unknown: 1 files of disks"));
	assert_non_null(strstr(told, ": data.qcow2\n"));
	assert_non_null(strstr(told, "image-unknown: 1 files in images/"));
	assert_non_null(strstr(told, ": unknown.raw\n"));
}

static int delete_machine(struct inventory_tx *tx, void *arg)
{
	return machine_delete(tx, *(int64_t *)arg);
}

/* Given up by a committed change, but the crash came before the file went. */
static void test_discarded(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine one = enrol(f, &version, 1), two = enrol(f, &version, 2);
	char old[NAME_MAX_TEXT];
	struct reason reason;

	write_to_child(f, one.system.object);
	write_to_child(f, two.system.object);
	assert_int_equal(in_write(f, delete_machine, &one.id), 0);
	memcpy(old, two.system.object, sizeof(old));
	assert_int_equal(store_create_volume(f->store, &two.system, &version, &no_reserve, 2, &reason), 0);
	put_machine(f, &two);
	reopen(f);
	assert_int_equal(access(in_state(f, "children", one.system.object), F_OK), -1);
	assert_int_equal(access(in_state(f, "children", old), F_OK), -1);
	assert_int_equal(access(in_state(f, "children", two.system.object), F_OK), 0);
	assert_int_equal(count_entries(in_state(f, "children", "")), 1);
}

static int forget_host_boot(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return setting_set(tx, "host-boot-id", "another");
}

static void test_fresh_children(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine missing = enrol(f, &version, 1), damaged = enrol(f, &version, 2), used = enrol(f, &version, 3),
		       lost = enrol(f, &version, 4);
	struct volume_info info;
	struct stat before, after;

	used.system.fresh = false;
	put_machine(f, &used);
	lost.system.fresh = false;
	put_machine(f, &lost);
	write_to_child(f, used.system.object);
	assert_int_equal(unlink(in_state(f, "children", missing.system.object)), 0);
	assert_int_equal(truncate(in_state(f, "children", damaged.system.object), 0), 0);
	assert_int_equal(unlink(in_state(f, "children", lost.system.object)), 0);
	reopen(f);
	assert_int_equal(store_volume_info(f->store, &missing.system, NULL, &info), 0);
	assert_int_equal(store_volume_info(f->store, &damaged.system, NULL, &info), 0);
	run_command("qemu-io -r -f qcow2 -c 'read -P 7 1M 64k' %s/children/%s | grep -q '^read'", f->state,
		    used.system.object);
	/* What was used and is gone is not silently replaced. */
	lost = get_machine(f, lost.id);
	assert_int_equal(lost.system.state, VOLUME_FAILED);
	assert_non_null(strstr(lost.system.state_reason, "missing"));
	assert_int_equal(access(in_state(f, "children", lost.system.object), F_OK), -1);
	assert_int_equal(get_machine(f, used.id).system.state, VOLUME_READY);
	/* After a loss of power what was never synced is made again, what was used is not touched. */
	assert_int_equal(stat(in_state(f, "children", missing.system.object), &before), 0);
	reopen(f);
	assert_int_equal(stat(in_state(f, "children", missing.system.object), &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(in_write(f, forget_host_boot, NULL), 0);
	reopen(f);
	assert_int_equal(stat(in_state(f, "children", missing.system.object), &after), 0);
	assert_true(before.st_mtim.tv_nsec != after.st_mtim.tv_nsec || before.st_ino != after.st_ino);
	run_command("qemu-io -r -f qcow2 -c 'read -P 7 1M 64k' %s/children/%s | grep -q '^read'", f->state,
		    used.system.object);
}

static int begin_boot(struct inventory_tx *tx, void *arg)
{
	struct machine_boot boot = { .machine_id = *(int64_t *)arg, .secret = "s" };
	int err = machine_boot_issue(tx, &boot);

	return err ? err : machine_boot_begin(tx, boot.machine_id, boot.number);
}

static int current_boot(struct inventory_tx *tx, void *arg)
{
	struct machine_boot boot;

	return machine_boot_current(tx, *(int64_t *)arg, &boot);
}

/* A disk for one boot only that is gone: a new one, and whatever still runs from the old one is over. */
static void test_ephemeral_lost(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	struct volume_info info;

	machine.mode = MODE_EPHEMERAL;
	machine.system.fresh = false;
	put_machine(f, &machine);
	assert_int_equal(in_write(f, begin_boot, &machine.id), 0);
	reopen(f);
	assert_int_equal(in_write(f, current_boot, &machine.id), 0);
	assert_int_equal(unlink(in_state(f, "children", machine.system.object)), 0);
	reopen(f);
	assert_int_equal(store_volume_info(f->store, &machine.system, NULL, &info), 0);
	assert_int_equal(in_write(f, current_boot, &machine.id), -ENOENT);
	machine = get_machine(f, machine.id);
	assert_int_equal(machine.system.state, VOLUME_READY);
	assert_true(machine.system.fresh);
}

/* The row is the truth: a file whose removal did not commit goes back, one whose import did not commit goes. */
static void test_half_done_images(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);

	run_command("mv %s %s", in_state(f, "images", version.file), in_state(f, "tmp", version.file));
	make_file(in_state(f, "tmp", "import-9-y.raw"), "whole", 5, 512);
	run_command("ln %s %s", in_state(f, "tmp", "import-9-y.raw"), in_state(f, "images", "golden@2.raw"));
	/* Published, and only its second name in tmp was left. */
	reopen(f);
	assert_true(same_content(in_state(f, "images", version.file), input(f, "golden.raw")));
	assert_int_equal(count_entries(in_state(f, "images", "")), 1);
	run_command("ln %s %s", in_state(f, "images", version.file), in_state(f, "tmp", "import-9-y.raw"));
	reopen(f);
	assert_int_equal(count_entries(in_state(f, "images", "")), 1);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

static void test_remove_in_use(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	struct reason reason;

	assert_int_equal(store_remove_version(f->store, version.id, "test", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "1 machines"));
	assert_int_equal(access(in_state(f, "images", version.file), F_OK), 0);
	assert_int_equal(in_write(f, delete_machine, &machine.id), 0);
	assert_int_equal(store_remove_version(f->store, version.id, "test", &reason), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	reopen(f);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

/* Enrolments that are killed at any moment: every machine has its child, and no child is left over. */
static void enrol_until_killed(struct fixture *f, unsigned from, int told)
{
	struct image_version version;
	unsigned count = 0;

	fixture_open(f);
	version = get_version(f, "golden", 1);
	for (unsigned n = from;; n++) {
		struct machine machine = enrol(f, &version, n);

		if (write(told, "", 1) != 1)
			_exit(1);
		if (++count % 3 == 0) {
			in_write(f, delete_machine, &machine.id);
			store_delete_object(f->store, &machine.system);
		}
		if (write(told, "", 1) != 1)
			_exit(1);
	}
}

static int check_child(void *arg, const struct machine *machine)
{
	struct fixture *f = arg;
	struct volume_info info;

	assert_int_equal(store_volume_info(f->store, &machine->system, NULL, &info), 0);
	return 0;
}

static int check_children(struct inventory_tx *tx, void *arg)
{
	return machine_each(tx, check_child, arg);
}

static int count_machines(struct inventory_tx *tx, void *arg)
{
	return machine_count(tx, arg);
}

static void test_kill(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	golden(f);
	fixture_close(f);
	srand(2);
	for (int round = 0; round < 12; round++) {
		pid_t pid;
		int told[2];
		char done;

		assert_int_equal(pipe(told), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			enrol_until_killed(f, (unsigned)round * 1000, told[1]);
		close(told[1]);
		/* After a few of them, anywhere in the next. */
		for (int left = 1 + rand() % 8; left > 0; left--)
			assert_int_equal(read(told[0], &done, 1), 1);
		usleep((useconds_t)(rand() % 10000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(told[0]);
		fixture_open(f);
		assert_int_equal(in_write(f, check_children, f), 0);
		assert_int_equal(in_write(f, count_machines, &count), 0);
		assert_int_equal(count_entries(in_state(f, "children", "")), count);
		fixture_close(f);
	}
	print_message("%u machines survived 12 kills\n", count);
	assert_true(count > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_child, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_data, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_space, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_verify, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_verify_together, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_orphans, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_discarded, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_fresh_children, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_ephemeral_lost, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_half_done_images, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_remove_in_use, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_kill, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
