// SPDX-License-Identifier: GPL-2.0-or-later
/* What a start makes of work that the server's end interrupted: what is left of it, what it says, what the list of jobs shows. */
#include "store/fixture.h"

#include "base/util.h"
#include "inventory/unfinished.h"
#include "store/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int put(struct inventory_tx *tx, void *arg)
{
	return unfinished_put(tx, arg);
}

static int count_one(void *arg, const struct unfinished *what)
{
	(void)what;
	(*(unsigned *)arg)++;
	return 0;
}

static int count_all(struct inventory_tx *tx, void *arg)
{
	return unfinished_each(tx, count_one, arg);
}

struct last {
	const char *kind;
	char text[1024];
	unsigned count;
};

static int take_event(void *arg, const struct event *event)
{
	struct last *last = arg;

	if (strcmp(event->kind, last->kind))
		return 0;
	last->count++;
	snprintf(last->text, sizeof(last->text), "%s %s: %s", event->actor, event->object, event->text);
	return 0;
}

static int read_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, take_event, arg);
}

/* Written down as by a server that ended then, which starts again. One event of that kind, with this text; nothing is unfinished. */
static void settle(struct fixture *f, struct unfinished *what, const char *kind, const char *text)
{
	struct last last = { .kind = kind };
	unsigned left = 0;

	assert_int_equal(in_write(f, put, what), 0);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(inventory_read_call(f->inventory, read_events, &last), 0);
	assert_int_equal(last.count, 1);
	if (!strstr(last.text, text))
		fail_msg("%s, without %s", last.text, text);
	assert_int_equal(inventory_read_call(f->inventory, count_all, &left), 0);
	assert_int_equal(left, 0);
}

static void test_an_import_is_undone(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = {
		.kind = UNFINISHED_IMPORT, .id = 40, .actor = "anna", .name = "lab", .file = "/srv/lab.vhdx"
	};
	struct job_status status;

	make_file(in_state(f, "tmp", "import-40-abc.raw"), "x", 1, 4096);
	settle(f, &what, "image-import-failed", "anna lab: /srv/lab.vhdx: the server ended");
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	assert_int_equal(store_job_status(f->store, 40, &status), 0);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "import it again"));
	assert_string_equal(status.name, "lab");
	make_disk(input(f, "a.raw"), 1 << 20, 1);
	status = import_file(f, input(f, "a.raw"), "lab");
	assert_int_equal(status.id, 41);
	assert_int_equal(status.version_id > 0, true);
}

/* As it is while an export over an old file is between its names. */
static struct unfinished an_export(struct fixture *f, const char *new_file)
{
	struct unfinished what = { .kind = UNFINISHED_EXPORT, .id = 1, .actor = "anna", .name = "lab@1" };
	struct stat st;

	snprintf(what.file, sizeof(what.file), "%s", input(f, "lab.vmdk"));
	make_file(input(f, "lab.vmdk"), "old", 3, 3);
	make_file(input(f, new_file), "new", 3, 3);
	assert_int_equal(stat(input(f, new_file), &st), 0);
	snprintf(what.detail, sizeof(what.detail), "abcdefgh %llu", (unsigned long long)st.st_ino);
	return what;
}

static void test_an_export_is_undone(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = an_export(f, ".sanbootd-abcdefgh");
	struct job_status status;

	run_command("mkdir %s && touch %s/file %s", input(f, ".sanbootd-export-abcdefgh"),
		    input(f, ".sanbootd-export-abcdefgh"), input(f, ".sanbootd-other"));
	settle(f, &what, "export-failed", "the server ended");
	run_command("grep -q old %s", input(f, "lab.vmdk"));
	run_command("test ! -e %s -a ! -e %s -a -e %s", input(f, ".sanbootd-abcdefgh"),
		    input(f, ".sanbootd-export-abcdefgh"), input(f, ".sanbootd-other"));
	assert_int_equal(store_job_status(f->store, 1, &status), 0);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_int_equal(status.kind, JOB_EXPORT);
}

static void test_an_export_was_done(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = an_export(f, ".sanbootd-abcdefgh");
	struct job_status status;

	assert_int_equal(rename(input(f, ".sanbootd-abcdefgh"), input(f, "lab.vmdk")), 0);
	settle(f, &what, "exported", "anna lab@1: lab@1 was written to");
	run_command("grep -q new %s", input(f, "lab.vmdk"));
	assert_int_equal(store_job_status(f->store, 1, &status), 0);
	assert_int_equal(status.stage, JOB_DONE);
}

static void test_a_larger_disk_is_in_its_row(void **state)
{
	struct fixture *f = *state;
	struct image_version version;
	struct machine machine;
	struct unfinished what = { .kind = UNFINISHED_RESIZE, .actor = "anna", .name = "pc-001", .detail = "2097152" };
	struct reason reason;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	version = import_version(f, input(f, "a.raw"), "lab");
	machine = enrol(f, &version, 1);
	what.id = machine.system.id;
	settle(f, &what, "volume-resize-failed", "anna pc-001: the server ended before it was larger");
	machine = get_machine(f, machine.id);
	assert_int_equal(machine.system.size_bytes, 0);
	assert_int_equal(store_grow_volume(f->store, &machine.system, 2097152, &reason), 0);
	settle(f, &what, "volume-resized", "anna pc-001: 2097152 bytes");
	assert_int_equal(get_machine(f, machine.id).system.size_bytes, 2097152);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_import_is_undone, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_an_export_is_undone, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_an_export_was_done, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_larger_disk_is_in_its_row, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
