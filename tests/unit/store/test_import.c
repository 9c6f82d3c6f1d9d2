// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Imports: what comes out is what went in, whatever the format; what cannot be imported is refused with a sentence;
 * a crash leaves nothing.
 */
#include "store/fixture.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_version(struct fixture *f, const struct image_version *version, const char *original)
{
	const char *path = in_state(f, "images", version->file);
	char sum[128];
	struct stat st;
	FILE *pipe;

	assert_true(same_content(path, original));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(st.st_size, version->size_bytes);
	assert_int_equal(st.st_ino, version->inode);
	assert_int_equal(stat_mtime_ns(&st), version->mtime_ns);
	assert_int_equal(st.st_nlink, 1);
	assert_true((uint64_t)st.st_blocks * 512 < version->size_bytes / 2); /* holes stay holes */
	snprintf(sum, sizeof(sum), "sha256sum %.100s", path);
	pipe = popen(sum, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(sum, sizeof(sum), pipe));
	pclose(pipe);
	assert_memory_equal(sum, version->sha256, 64);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

static void test_formats(void **state)
{
	static const struct {
		const char *file, *options;
	} formats[] = {
		{ "a.qcow2", "-O qcow2" },
		{ "old.qcow2", "-O qcow2 -o compat=0.10" },
		{ "small.qcow2", "-O qcow2 -c" },
		{ "fixed.vhd", "-O vpc -o subformat=fixed,force_size=on" },
		{ "dynamic.vhd", "-O vpc -o subformat=dynamic,force_size=on" },
		{ "dynamic.vhdx", "-O vhdx" },
		{ "fixed.vhdx", "-O vhdx -o subformat=fixed" },
		{ "sparse.vmdk", "-O vmdk" },
		{ "stream.vmdk", "-O vmdk -o subformat=streamOptimized" },
		{ "dynamic.vdi", "-O vdi" },
		{ "fixed.vdi", "-O vdi -o static=on" },
	};
	struct fixture *f = *state;
	const char *raw = input(f, "a.raw");
	struct image_version version;

	make_disk(raw, 24 << 20, 1);
	version = import_version(f, raw, "raw");
	check_version(f, &version, raw);
	assert_int_equal(version.number, 1);
	assert_int_equal(version.state, VERSION_PUBLISHED);
	assert_true(version.is_default);
	for (size_t i = 0; i < array_len(formats); i++) {
		raw = input(f, "a.raw");
		run_command("qemu-img convert -f raw %s %s %s", formats[i].options, raw, input(f, formats[i].file));
		version = import_version(f, input(f, formats[i].file), formats[i].file);
		check_version(f, &version, raw);
		assert_false(version.is_default);
	}
}

/* A VHD as Hyper-V writes it: its size is no whole number of cylinders, and all of it counts. */
static void test_vhd_true_size(void **state)
{
	struct fixture *f = *state;
	const char *raw = input(f, "odd.raw");
	const uint64_t size = (20 << 20) + 512 * 3;
	struct image_version version;

	make_disk(raw, size, 3);
	run_command("printf last | dd of=%s bs=1 seek=%llu conv=notrunc status=none", raw,
		    (unsigned long long)size - 4);
	run_command("qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on %s %s", raw, input(f, "odd.vhd"));
	/*
	 * A creator whose geometry (602 * 4 * 17 sectors, a little less than all) QEMU would believe; then the
	 * checksum.
	 */
	run_command("python3 - %s <<'E'\n"
		    "import sys\n"
		    "f = open(sys.argv[1], 'r+b'); f.seek(-512, 2); b = bytearray(f.read())\n"
		    "b[28:32] = b'vpc '; b[56:60] = bytes([2, 90, 4, 17]); b[64:68] = b'\\0' * 4; b[64:68] = (~sum(b) "
		    "& 0xffffffff).to_bytes(4, 'big')\n"
		    "f.seek(-512, 2); f.write(b)\nE",
		    input(f, "odd.vhd"));
	version = import_version(f, input(f, "odd.vhd"), "odd");
	assert_int_equal(version.size_bytes, size);
	check_version(f, &version, raw);
}

static void test_padding(void **state)
{
	struct fixture *f = *state;
	struct image_version version;

	make_disk(input(f, "odd.raw"), (4 << 20) + 100, 2);
	version = import_version(f, input(f, "odd.raw"), "odd");
	assert_int_equal(version.size_bytes, (4 << 20) + 512);
	assert_non_null(strstr(version.warnings, "multiple of 512"));
	run_command("truncate -s %d %s", (4 << 20) + 512, input(f, "odd.raw"));
	check_version(f, &version, input(f, "odd.raw"));
	make_disk(input(f, "tiny.raw"), 1, 2);
	version = import_version(f, input(f, "tiny.raw"), "tiny");
	assert_int_equal(version.size_bytes, 512);
}

static void expect_refused(struct fixture *f, const char *name, const char *part)
{
	struct job_status status = import_file(f, input(f, name), "refused");

	if (status.stage != JOB_FAILED || !strstr(status.text, part))
		fail_msg("%s: expected \"%s\", got \"%s\"", name, part, status.text);
	/* Nothing is left, and the event says why. */
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	const char *dir = f->dir;

	make_disk(input(f, "a.raw"), 8 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2 && qemu-img create -q -f qcow2 -b a.qcow2 "
		    "-F qcow2 backed.qcow2",
		    dir);
	expect_refused(f, "backed.qcow2", "backing file");
	run_command("cd %s && qemu-img create -q -f qcow2 -o data_file=d.raw,data_file_raw=on outside.qcow2 8M", dir);
	expect_refused(f, "outside.qcow2", "another file");
	/* crypt_method 2 (LUKS); making a real one measures the CPU, and fails on a busy machine. */
	run_command("cd %s && cp a.qcow2 secret.qcow2 && printf '\\0\\0\\0\\2' | dd of=secret.qcow2 bs=1 seek=32 "
		    "conv=notrunc status=none",
		    dir);
	expect_refused(f, "secret.qcow2", "encrypted");
	run_command("cd %s && qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat a.raw flat.vmdk", dir);
	expect_refused(f, "flat.vmdk", "other files");
	run_command("cd %s && qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse a.raw split.vmdk", dir);
	expect_refused(f, "split.vmdk", "other files");
	run_command("cd %s && qemu-img convert -f raw -O vmdk a.raw base.vmdk && qemu-img create -q -f vmdk -b "
		    "base.vmdk -F vmdk child.vmdk",
		    dir);
	expect_refused(f, "child.vmdk", "parent");
	run_command("cd %s && gzip -k a.raw && gzip -c a.raw.gz >b.gz", dir);
	expect_refused(f, "b.gz", "packed twice");
	run_command("cd %s && truncate -s 0 empty.raw", dir);
	expect_refused(f, "empty.raw", "empty");
	run_command("cd %s && cp a.raw wrong.qcow2", dir);
	expect_refused(f, "wrong.qcow2", "does not begin like one");
	run_command("cd %s && head -c 300000 a.qcow2 >cut.qcow2", dir);
	expect_refused(f, "cut.qcow2", "cut off");
	run_command("cd %s && qemu-img convert -f raw -O vpc a.raw a.vhd && head -c 3000000 a.vhd >cut.vhd", dir);
	expect_refused(f, "cut.vhd", "cut off");
	run_command("cd %s && qemu-img convert -f raw -O vhdx a.raw a.vhdx && head -c 9000000 a.vhdx >cut.vhdx", dir);
	expect_refused(f, "cut.vhdx", "cut.vhdx");
	run_command("cd %s && head -c 300000 base.vmdk >cut.vmdk", dir);
	expect_refused(f, "cut.vmdk", "cut.vmdk");
}

static void test_bad_calls(void **state)
{
	struct fixture *f = *state;
	struct job_status status;
	struct reason reason;
	uint64_t id;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	assert_int_equal(store_import(f->store, input(f, "none.raw"), "x", IMPORT_FOR_MACHINES, "test", &id, &reason),
			 -ENOENT);
	assert_int_equal(store_import(f->store, "a.raw", "x", IMPORT_FOR_MACHINES, "test", &id, &reason), -EINVAL);
	assert_int_equal(store_import(f->store, input(f, "a.raw"), "../x", IMPORT_FOR_MACHINES, "test", &id, &reason),
			 -EINVAL);
	assert_int_equal(store_import(f->store, input(f, "a.raw"), "", IMPORT_FOR_MACHINES, "test", &id, &reason),
			 -EINVAL);
	assert_int_equal(store_job_status(f->store, 0, &status), -ENOENT);
	assert_int_equal(store_job_status(f->store, 7, &status), -ENOENT);
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	struct image_version version;
	struct reason reason;

	make_disk(input(f, "a.raw"), 2 << 20, 1);
	make_disk(input(f, "b.raw"), 2 << 20, 2);
	version = import_version(f, input(f, "a.raw"), "golden");
	assert_string_equal(version.file, "golden@1.raw");
	version = import_version(f, input(f, "b.raw"), "golden");
	assert_string_equal(version.file, "golden@2.raw");
	assert_int_equal(version.state, VERSION_TEST);
	check_version(f, &version, input(f, "b.raw"));
	assert_true(store_version_allocated(f->store, &version) > 0);
	assert_int_equal(store_remove_version(f->store, version.id, "test", &reason), 0);
	assert_int_equal(store_remove_version(f->store, version.id, "test", &reason), -ENOENT);
	assert_int_equal(access(in_state(f, "images", "golden@2.raw"), F_OK), -1);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	/* A number is not used again, nor the name of a file that lies there. */
	run_command("cp %s %s", input(f, "a.raw"), in_state(f, "images", "golden@3.raw"));
	version = import_version(f, input(f, "b.raw"), "golden");
	assert_string_equal(version.file, "golden@4.raw");
	assert_true(same_content(in_state(f, "images", "golden@3.raw"), input(f, "a.raw")));
}

/* qemu-img runs as nobody: what only root may read comes in all the same. */
static void test_private_input(void **state)
{
	struct fixture *f = *state;
	struct image_version version;

	make_disk(input(f, "a.raw"), 4 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw private.qcow2 && chmod 600 private.qcow2", f->dir);
	version = import_version(f, input(f, "private.qcow2"), "private");
	check_version(f, &version, input(f, "a.raw"));
}

static void test_input_in_use(void **state)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1 };
	struct fixture *f = *state;
	int fd;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	fd = open(input(f, "a.raw"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	expect_refused(f, "a.raw", "virtual machine");
	close(fd);
	assert_int_equal(import_file(f, input(f, "a.raw"), "a").stage, JOB_DONE);
}

static int reserve_all(struct inventory_tx *tx, void *arg)
{
	struct reason reason;

	return policy_set(tx, "reserve", arg, &reason);
}

static void test_no_space(void **state)
{
	struct fixture *f = *state;
	char all[] = "100000000G";

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	assert_int_equal(in_write(f, reserve_all, all), 0);
	expect_refused(f, "a.raw", "reserve");
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t ids[40];
	struct reason reason;
	unsigned accepted = 0;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	for (unsigned i = 0; i < array_len(ids); i++) {
		int err = store_import(f->store, input(f, "a.raw"), "many", IMPORT_FOR_MACHINES, "test", &ids[accepted],
				       &reason);

		if (!err)
			accepted++;
		else
			assert_int_equal(err, -EBUSY);
	}
	assert_true(accepted >= JOBS_KEPT);
	for (unsigned i = accepted - 1; i < accepted; i--) {
		struct job_status status = { 0 };

		/* The oldest are forgotten, when they are done. */
		while (status.stage != JOB_DONE && !store_job_status(f->store, ids[i], &status)) {
			assert_int_not_equal(status.stage, JOB_FAILED);
			usleep(1000);
		}
	}
	assert_int_equal(count_entries(in_state(f, "images", "")), accepted);
}

/* The store can be closed while something is imported, and qemu-img with it. */
static void test_close_early(void **state)
{
	struct fixture *f = *state;
	struct job_status status = { 0 };
	struct reason reason;
	uint64_t id;

	run_command("cd %s && truncate -s 64G big.raw && printf x | dd of=big.raw bs=1 seek=1000000 conv=notrunc "
		    "status=none && "
		    "qemu-img convert -f raw -O qcow2 big.raw big.qcow2",
		    f->dir);
	assert_int_equal(store_import(f->store, input(f, "big.qcow2"), "big", IMPORT_FOR_MACHINES, "test", &id,
				      &reason),
			 0);
	while (status.stage < JOB_CONVERTING)
		import_wait(f, id, &status);
	fixture_close(f);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	fixture_open(f);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

/* A script in the place of qemu-img. */
static void fake_qemu_img(struct fixture *f, const char *script)
{
	make_file(input(f, "qemu-img"), script, strlen(script), strlen(script));
	assert_int_equal(chmod(input(f, "qemu-img"), 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->store->qemu_img, sizeof(f->store->qemu_img), "%s", input(f, "qemu-img"));
}

/* What qemu-img could do if an image talked it into something. */
static void test_sandbox(void **state)
{
	struct fixture *f = *state;
	struct job_status status;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
	fake_qemu_img(
		f,
		"#!/bin/sh\n"
		"case $1 in check|measure) exit 0;; info) echo '{\"virtual-size\": 1048576}'; exit 0;; esac\n"
		"echo \"uid=$(id -u) groups=$(id -G) fds=$(echo /proc/self/fd/*|wc -w) links=$(grep -c : /proc/net/dev)"
		" lock=$(cat /dev/fd/3 | head -c 3) new=$(grep NoNewPrivs /proc/self/status | tr -d '\\t')"
		" caps=$(grep CapEff /proc/self/status | tr -d '\\t') env=$(env | grep -vc -e ^PWD -e ^LC_ALL -e ^PATH "
		"-e ^_= -e ^OLDPWD -e ^SHLVL)\" >&2\n"
		"exit 1\n");
	status = import_file(f, input(f, "a.qcow2"), "a");
	assert_int_equal(status.stage, JOB_FAILED);
	print_message("%s\n", status.text);
	assert_non_null(strstr(status.text, "NoNewPrivs:1"));
	assert_non_null(strstr(status.text, "lock=QFI"));
	assert_non_null(strstr(status.text, "env=0"));
	if (geteuid() == 0) {
		assert_non_null(strstr(status.text, "uid=65534 groups=65534 "));
		assert_non_null(strstr(status.text, "links=1 ")); /* only lo, and that is down */
		assert_non_null(strstr(status.text, "CapEff:0000000000000000"));
	}
}

static void test_progress(void **state)
{
	struct fixture *f = *state;
	struct job_status status = { 0 };
	char script[1024];
	struct reason reason;
	uint64_t id;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
	/* The last one is cut in two, as a pipe may cut it. */
	snprintf(script, sizeof(script),
		 "#!/bin/sh\ncase $1 in check|measure) exit 0;; info) echo '{\"virtual-size\": 1048576}'; exit 0;; "
		 "esac\nprintf '    (0.00/100%%%%)\\r    (12.34/100%%%%)\\r    (99.'\n"
		 "while [ ! -e %s ]; do sleep 0.05; done\necho 'qemu-img: the end' >&2; exit 1\n",
		 input(f, "go"));
	fake_qemu_img(f, script);
	assert_int_equal(store_import(f->store, input(f, "a.qcow2"), "a", IMPORT_FOR_MACHINES, "test", &id, &reason),
			 0);
	while (status.stage != JOB_FAILED && status.percent != 12)
		import_wait(f, id, &status);
	assert_int_equal(status.stage, JOB_CONVERTING);
	assert_string_equal(status.text, "converting from qcow2");
	make_file(input(f, "go"), "", 0, 0);
	while (status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	assert_non_null(strstr(status.text, "a.qcow2 is damaged or cut off"));
	assert_non_null(strstr(status.text, "qemu-img says: the end"));
}

/* ---- kill -9 ---- */

static void import_until_killed(struct fixture *f, const char *path, int told)
{
	struct job_status status = { 0 };
	struct reason reason;
	uint64_t id;

	fixture_open(f);
	for (;;) {
		status = (struct job_status){ 0 };
		if (store_import(f->store, path, "golden", IMPORT_FOR_MACHINES, "test", &id, &reason))
			_exit(1);
		while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
			import_wait(f, id, &status);
		if (write(told, "", 1) != 1)
			_exit(1);
	}
}

static int check_each(void *arg, const struct image_version *version)
{
	struct fixture *f = arg;
	struct stat st;

	assert_int_equal(stat(in_state(f, "images", version->file), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0444);
	return 0;
}

struct check {
	struct fixture *f;
	unsigned rows;
};

static int count_rows(void *arg, const struct image_version *version)
{
	struct check *check = arg;

	check->rows++;
	return check_each(check->f, version);
}

static int check_rows(struct inventory_tx *tx, void *arg)
{
	struct check *check = arg;

	return version_each(tx, count_rows, check);
}

static void test_kill(void **state)
{
	struct fixture *f = fixture_new();
	unsigned most = 0;

	*state = f;
	make_disk(input(f, "a.raw"), 4 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
	srand(1);
	for (int round = 0; round < 24; round++) {
		const char *path = input(f, round & 1 ? "a.qcow2" : "a.raw");
		struct check check = { .f = f };
		pid_t pid;
		int told[2];
		char done;

		assert_int_equal(pipe(told), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			import_until_killed(f, path, told[1]);
		close(told[1]);
		/* In the first, or after it anywhere in the second. */
		if (round % 4 < 2)
			assert_int_equal(read(told[0], &done, 1), 1);
		usleep((useconds_t)(rand() % 100000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(told[0]);
		fixture_open(f);
		assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
		assert_int_equal(in_write(f, check_rows, &check), 0);
		assert_int_equal(count_entries(in_state(f, "images", "")), check.rows);
		assert_true(check.rows >= most); /* what was done stays */
		most = check.rows;
		fixture_close(f);
	}
	assert_true(most >= 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_formats, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_vhd_true_size, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_padding, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bad_calls, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_versions, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_private_input, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_input_in_use, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_space, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sandbox, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_progress, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_close_early, fixture_setup, fixture_teardown),
		cmocka_unit_test_teardown(test_kill, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
