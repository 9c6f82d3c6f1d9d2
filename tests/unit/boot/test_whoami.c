// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who-am-i volumes: who has one, under which LUN; what a boot finds on it; that it is the same for as long as the boot runs,
 * and another one at the next; and that what is wrong with its templates keeps nobody from booting.
 */
#include "world.h"

#include "base/util.h"
#include "boot/whoami/fill.h"
#include "boot/whoami/iso.h"
#include "cmocka_all.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;

/* pc-001 and pc-002 are enrolled, and have scripts for their first boots. */
static int setup(void **state)
{
	struct world *w = world_new(true);

	world_expect(w, MAC1, "5a4b0075-0000-4000-8000-000000000001", "A$(b)", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	*state = w;
	return 0;
}

static void set(struct world *w, const char *machine, const char *key, const char *value)
{
	if (boot_set(w->boot, machine, key, value, "ctl", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

static void site_file(struct world *w, const char *name, const char *file, const char *text)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/site", w->dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/site/templates", w->dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/site/templates/%s", w->dir, name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "templates/%s/%s", name, file);
	world_site_file(w, path, text);
}

/* The next boot of a machine begins, and opens what it has; how many LUNs. */
static unsigned boot_it(struct world *w, int64_t id, uint64_t number)
{
	uint16_t status;

	if (number > 1)
		world_expect(w, id == 1 ? MAC1 : MAC2, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, id, number), 0);
	return world_open(w, id, number, &status, &reason) ? w->lun_count : 0;
}

/* What lies in a file of the ISO file that a machine's volume is; "": there is none. */
static const char *on_volume(struct world *w, const char *volume, const char *file)
{
	static char text[8192];
	char command[512];
	FILE *out;

	snprintf(command, sizeof(command),
		 "d=%s/out; rm -rf $d; xorriso -osirrox on -indev '%s/generated/%s' -extract / $d >/dev/null 2>&1; chmod -R u+w "
		 "$d; cat $d/%s 2>/dev/null; rm -rf $d",
		 w->dir, w->dir, world_volume(w, volume).object, file);
	out = popen(command, "r");
	assert_non_null(out);
	text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
	pclose(out);
	return text;
}

/* Of its volume descriptor, without the spaces at the end. */
static const char *label_of(struct world *w, const char *volume)
{
	static char label[33];
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/generated/%s", w->dir, world_volume(w, volume).object);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fseek(file, 32768 + 40, SEEK_SET), 0);
	assert_int_equal(fread(label, 1, 32, file), 32);
	fclose(file);
	for (int i = 31; i >= 0 && label[i] == ' '; i--)
		label[i] = '\0';
	return label;
}

static bool have_xorriso(void)
{
	if (!system("command -v xorriso >/dev/null"))
		return true;
	test_skip("there is no xorriso: apt install xorriso");
	return false;
}

/* ---- who has one ---- */

static void test_rows(void **state)
{
	struct world *w = *state;
	struct volume volume;
	int64_t id;

	assert_int_equal(world_volume_count(w), 0);
	set(w, "pc-001", "templates", "cloud-init");
	volume = world_volume(w, "pc-001:254");
	assert_int_equal(volume.kind, VOLUME_WHO_AM_I);
	assert_string_equal(volume.name, "");
	assert_int_equal(world_volume_count(w), 1);
	assert_string_equal(reason.text, "that counts from the next boot of pc-001 on");
	set(w, "pc-001", "templates", "windows"); /* the same volume, with something else on it */
	assert_int_equal(world_volume(w, "pc-001:254").id, volume.id);
	/* A group's; a machine's own comes first. */
	assert_int_equal(boot_group_add(w->boot, "lab", "ctl", &reason), 0);
	assert_int_equal(boot_group_set(w->boot, "lab", "templates", "cloud-init", "ctl", &reason), 0);
	set(w, "pc-002", "group", "lab");
	id = world_volume(w, "pc-002:254").id;
	assert_true(id && id != volume.id);
	set(w, "pc-002", "templates", "none");
	assert_int_equal(world_volume_count(w), 1);
	set(w, "pc-002", "templates", "group");
	assert_int_equal(world_volume_count(w), 2);
	assert_int_equal(boot_group_set(w->boot, "lab", "templates", "none", "ctl", &reason), 0);
	assert_int_equal(world_volume_count(w), 1);
	assert_int_equal(boot_group_set(w->boot, "lab", "templates", "windows", "ctl", &reason), 0);
	assert_int_equal(boot_group_remove(w->boot, "lab", "ctl", &reason), 0);
	assert_int_equal(world_volume_count(w), 1);
	assert_int_equal(boot_remove(w->boot, "pc-001", false, "ctl", &reason), 0);
	assert_int_equal(world_volume_count(w), 0);
}

static void test_lun(void **state)
{
	struct boot_volume_new what = { .machine = "pc-001", .kind = VOLUME_DATA, .lun = 254, .size_bytes = 1 << 20 };
	struct world *w = *state;
	int64_t id;

	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
	what.lun = 252;
	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
	set(w, "pc-001", "templates", "cloud-init");
	assert_int_equal(world_volume(w, "pc-001:253").kind, VOLUME_WHO_AM_I);
}

/* What people do with volumes is refused, and says what to do instead. */
static void test_refused(void **state)
{
	static const char volume[] = "pc-001:254";
	struct world *w = *state;
	struct boot *boot = w->boot;
	int64_t id;

	set(w, "pc-001", "templates", "cloud-init");
#define REFUSED(call)                                                   \
	do {                                                            \
		assert_int_equal(call, -EINVAL);                        \
		assert_non_null(strstr(reason.text, "templates=none")); \
	} while (0)
	REFUSED(boot_volume_attach(boot, volume, "pc-002", -1, "ctl", &reason));
	REFUSED(boot_volume_detach(boot, volume, NULL, true, "ctl", &reason));
	REFUSED(boot_volume_remove(boot, volume, "ctl", &reason));
	REFUSED(boot_volume_set(boot, volume, "size", "1G", "ctl", &reason));
	REFUSED(boot_volume_set(boot, volume, "name", "x", "ctl", &reason));
	REFUSED(boot_volume_set(boot, volume, "state", "ready", "ctl", &reason));
	REFUSED(boot_snapshot_take(boot, volume, "x", "ctl", &reason));
	REFUSED(boot_snapshot_restore(boot, volume, "x", "ctl", &reason));
	REFUSED(boot_volume_copy(boot, volume, "x", "ctl", &id, &reason));
#undef REFUSED
}

/* ---- what is on it ---- */

static void test_cloud_init(void **state)
{
	struct world *w = *state;
	char first[256], path[256];
	const struct boot_lun *lun;
	struct stat st;

	if (!have_xorriso())
		return;
	set(w, "pc-001", "templates", "cloud-init");
	set(w, "pc-001", "name", "0012");
	assert_int_equal(boot_it(w, 1, 1), 2);
	lun = world_lun(w, 254);
	assert_non_null(lun);
	assert_false(lun->cdrom);
	assert_true(lun->disk->read_only);
	assert_true(lun->serial[0]);
	assert_string_equal(label_of(w, "0012:254"), "cidata");
	snprintf(path, sizeof(path), "%s/generated/%s", w->dir, world_volume(w, "0012:254").object);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 256 << 10 && st.st_size % 2048 == 0);
	snprintf(first, sizeof(first), "%s", on_volume(w, "0012:254", "meta-data"));
	assert_non_null(strstr(first, "local-hostname: \"0012\"\n"));
	assert_non_null(strstr(first, "-1\"\n")); /* its first disk */
	assert_non_null(strstr(on_volume(w, "0012:254", "user-data"), "#cloud-config\n"));
	assert_non_null(strstr(on_volume(w, "0012:254", "network-config"), "\nconfig: disabled\n"));
	world_close(w);
	/* The same instance in its next boot; another one with a new disk, and in another machine. */
	assert_int_equal(boot_it(w, 1, 2), 2);
	assert_string_equal(on_volume(w, "0012:254", "meta-data"), first);
	world_close(w);
	assert_int_equal(boot_reset(w->boot, "0012", "ctl", &reason), 0);
	assert_int_equal(boot_it(w, 1, 3), 2);
	assert_string_not_equal(on_volume(w, "0012:254", "meta-data"), first);
	assert_non_null(strstr(on_volume(w, "0012:254", "meta-data"), "-2\"\n"));
	world_close(w);
	set(w, "pc-002", "templates", "cloud-init");
	assert_int_equal(boot_it(w, 2, 1), 2);
	assert_string_not_equal(on_volume(w, "pc-002:254", "meta-data"), first);
	world_close(w);
}

static void test_windows(void **state)
{
	struct world *w = *state;

	if (!have_xorriso())
		return;
	set(w, "pc-001", "templates", "windows");
	set(w, "pc-001", "name", "12345");
	assert_int_equal(boot_it(w, 1, 1), 2);
	assert_true(world_lun(w, 254)->cdrom);
	assert_string_equal(label_of(w, "12345:254"), "SANBOOTD");
	assert_non_null(strstr(on_volume(w, "12345:254", "Unattend.xml"), "<ComputerName>PC-12345</ComputerName>"));
	assert_string_equal(on_volume(w, "12345:254", "meta-data"), "");
	world_close(w);
}

static void test_windows_name(void **state)
{
	static const struct {
		const char *name, *is;
	} cases[] = {
		{ "pc-001", "pc-001" },
		{ "123456789012345", "12345678-" },
		{ "0", "PC-0" },
		{ "abcdefghijklmno", "abcdefghijklmno" },
		{ "abcdefghijklmnop", "abcdefgh-" },
	};
	char one[16], two[16];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		fill_windows_name(cases[i].name, one);
		assert_int_equal(strncmp(one, cases[i].is, strlen(cases[i].is)), 0);
		assert_true(strspn(one, "0123456789") < strlen(one));
	}
	fill_windows_name("abcdefghijklmnop-1", one);
	fill_windows_name("abcdefghijklmnop-2", two);
	assert_int_equal(strlen(one), 15);
	assert_string_not_equal(one, two);
}

/* A site's own: with what it lacks from the built-in one, all that it has, and values that mean nothing to anybody. */
static void test_own(void **state)
{
	struct world *w = *state;
	const char *text;

	if (!have_xorriso())
		return;
	site_file(
		w, "lab", "user-data",
		"#cloud-config\nfqdn: {name}.lab\nruncmd:\n- echo {serial} {mac} {ip} {uuid} {image} {version} {server}\n");
	site_file(w, "lab", "A.Long-name_with.lower.case.And.more.than.31.characters.conf", "name={name}\n");
	site_file(w, "lab", "empty", "");
	set(w, "pc-001", "templates", "lab");
	assert_int_equal(boot_it(w, 1, 1), 2);
	assert_string_equal(label_of(w, "pc-001:254"), "cidata");
	text = on_volume(w, "pc-001:254", "user-data");
	assert_non_null(strstr(text, "fqdn: \"pc-001.lab\"\n"));
	assert_non_null(strstr(text, "\n- \"echo A__b_ " MAC1
				     " 127.0.0.1 5a4b0075-0000-4000-8000-000000000001 debian 1 127.0.0.1\"\n"));
	assert_non_null(strstr(on_volume(w, "pc-001:254", "meta-data"), "local-hostname: \"pc-001\""));
	assert_string_equal(on_volume(w, "pc-001:254", "A.Long-name_with.lower.case.And.more.than.31.characters.conf"),
			    "name=pc-001\n");
	world_close(w);
	/* A folder named as a built-in one replaces what it has. */
	site_file(w, "cloud-init", "meta-data", "instance-id: x\nlocal-hostname: y\n");
	set(w, "pc-001", "templates", "cloud-init");
	assert_int_equal(boot_it(w, 1, 2), 2);
	assert_string_equal(on_volume(w, "pc-001:254", "meta-data"), "instance-id: x\nlocal-hostname: y\n");
	assert_non_null(strstr(on_volume(w, "pc-001:254", "user-data"), "preserve_hostname"));
	world_close(w);
}

/* ---- when it is made ---- */

static void test_stays(void **state)
{
	struct world *w = *state;
	char old[256];
	uint16_t status;

	if (!have_xorriso())
		return;
	site_file(w, "lab", "x.txt", "one {name}\n");
	set(w, "pc-001", "templates", "lab");
	assert_int_equal(boot_it(w, 1, 1), 2);
	assert_true(boot_target_begin_needs_closed(w->boot, 1));
	site_file(w, "lab", "x.txt", "two {name}\n");
	set(w, "pc-001", "name", "other");
	/* Closed and opened again in the same boot, also by the next server. */
	world_close(w);
	assert_non_null(world_open(w, 1, 1, &status, &reason));
	assert_string_equal(on_volume(w, "other:254", "x.txt"), "one pc-001\n");
	world_restart(w);
	assert_non_null(world_open(w, 1, 1, &status, &reason));
	assert_string_equal(on_volume(w, "other:254", "x.txt"), "one pc-001\n");
	world_close(w);
	/* What a loss of power left of it is made again. */
	snprintf(old, sizeof(old), "%s/generated/%s", w->dir, world_volume(w, "other:254").object);
	assert_int_equal(truncate(old, 8192), 0);
	assert_non_null(world_open(w, 1, 1, &status, &reason));
	assert_string_equal(on_volume(w, "other:254", "x.txt"), "two other\n");
	world_close(w);
	site_file(w, "lab", "x.txt", "three\n");
	assert_int_equal(boot_it(w, 1, 2), 2);
	assert_string_equal(on_volume(w, "other:254", "x.txt"), "three\n");
	world_close(w);
}

/* Whoever has the old one open reads that to the end. */
static void test_replaced_under(void **state)
{
	struct world *w = *state;
	const struct boot_lun *lun;
	struct boot_lun luns[8];

	site_file(w, "lab", "x.txt", "one\n");
	set(w, "pc-001", "templates", "lab");
	assert_int_equal(boot_it(w, 1, 1), 2);
	lun = world_lun(w, 254);
	assert_int_equal(world_read_disk(w, lun->disk, 0), 0);
	set(w, "pc-001", "templates", "none"); /* its row goes, and the file with the next start */
	assert_int_equal(world_read_disk(w, lun->disk, 0), 0);
	assert_true(boot_target_begin_needs_closed(w->boot, 1));
	world_close(w);
	assert_int_equal(world_open_luns(w, 1, 1, luns, &reason), 1);
	world_close_luns(w, luns, 1);
	/* Now nothing of it is open, nor wanted. */
	world_find(w, world_machine(w, "pc-001").iqn, "iqn.x");
	assert_true(boot_target_begin_needs_closed(w->boot, 1) == false);
}

static unsigned generated_files(struct world *w)
{
	char command[128], text[32] = "";
	FILE *out;

	snprintf(command, sizeof(command), "ls %s/generated | wc -l", w->dir);
	out = popen(command, "r");
	assert_non_null(fgets(text, sizeof(text), out));
	pclose(out);
	return (unsigned)atoi(text);
}

static void test_files_go(void **state)
{
	struct world *w = *state;

	set(w, "pc-001", "templates", "cloud-init");
	assert_int_equal(boot_it(w, 1, 1), 2);
	world_close(w);
	assert_int_equal(generated_files(w), 1);
	world_restart(w);
	assert_int_equal(generated_files(w), 1);
	set(w, "pc-001", "templates", "none");
	world_restart(w);
	assert_int_equal(generated_files(w), 0);
	assert_int_equal(world_events(w, "disk-missing") + world_events(w, "disk-unknown"), 0);
}

/* ---- what is wrong ---- */

static void refused(struct world *w, const char *templates, const char *in_reason)
{
	assert_int_equal(boot_set(w->boot, "pc-001", "templates", templates, "ctl", &reason), -EINVAL);
	if (!strstr(reason.text, in_reason))
		fail_msg("%s: %s", templates, reason.text);
}

static void count_problem(void *arg, const struct boot_problem *problem)
{
	(void)problem;
	++*(unsigned *)arg;
}

static void test_broken(void **state)
{
	struct world *w = *state;
	unsigned problems = 0;

	refused(w, "nothing", "there are no templates nothing: cloud-init and windows are built in");
	refused(w, "../x", "there are no templates");
	refused(w, "", "there are no templates");
	site_file(w, "lab", "user-data", "#cloud-config\nhostname: {nmae}\n");
	refused(w, "lab", "/site/templates/lab/user-data:2: there is no placeholder {nmae}");
	assert_int_equal(boot_group_add(w->boot, "g", "ctl", &reason), 0);
	assert_int_equal(boot_group_set(w->boot, "g", "templates", "lab", "ctl", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "user-data:2"));
	world_site_file(w, "templates/README", "not templates\n");
	boot_each_problem(w->boot, count_problem, &problems);
	assert_int_equal(problems, 1);
	site_file(w, "lab", "user-data", "#cloud-config\n");
	site_file(w, "lab", "User-Data", "#cloud-config\n");
	refused(w, "lab", "two files have this name");
	site_file(w, "lab", "User-Data", NULL);
	set(w, "pc-001", "templates", "lab");
	/* Broken later: the machine boots without it, and people are told. */
	site_file(w, "lab", "user-data", "#cloud-config\n\nhostname: {nmae}\n");
	assert_int_equal(boot_it(w, 1, 1), 1);
	assert_int_equal(world_events(w, "volume-left-out"), 1);
	world_close(w);
	site_file(w, "lab", "user-data", "#cloud-config\n\nhostname: {name}\n");
	assert_int_equal(boot_it(w, 1, 2), 2);
	world_close(w);
	site_file(w, "lab", "user-data", NULL);
	assert_int_equal(boot_it(w, 1, 3), 1);
	world_close(w);
}

/* ---- libisofs ---- */

static void test_iso(void **state)
{
	static char large[300000];
	const struct iso_file files[] = { { "a", "x", 1 }, { "B.b", large, sizeof(large) }, { "empty", "", 0 } };
	char *one, *two;
	size_t one_len, two_len;

	(void)state;
	memset(large, 'l', sizeof(large));
	assert_int_equal(whoami_iso_make("config-2", files, 3, &one, &one_len), 0);
	assert_int_equal(one_len % ISO_BLOCK, 0);
	assert_true(one_len > sizeof(large) && one_len < sizeof(large) + (128 << 10));
	assert_memory_equal(one + 32768 + 1, "CD001", 5);
	assert_memory_equal(one + 32768 + 40, "config-2 ", 9);
	assert_int_equal(whoami_iso_make("config-2", files, 1, &two, &two_len), 0);
	assert_true(two_len < one_len);
	free(one);
	free(two);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_rows),	     WORLD_TEST(test_lun),     WORLD_TEST(test_refused),
		WORLD_TEST(test_cloud_init), WORLD_TEST(test_windows), cmocka_unit_test(test_windows_name),
		WORLD_TEST(test_own),	     WORLD_TEST(test_stays),   WORLD_TEST(test_replaced_under),
		WORLD_TEST(test_files_go),   WORLD_TEST(test_broken),  cmocka_unit_test(test_iso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
