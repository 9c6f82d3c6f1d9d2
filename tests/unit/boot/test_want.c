// SPDX-License-Identifier: GPL-2.0-or-later
/* What machines boot besides their disk: local, menus, entries, once and then as always; groups. */
#include "world.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"

static struct reason reason;

static int setup(void **state)
{
	struct world *w = world_new(true);

	world_site_file(
		w, "entries/rescue.conf",
		"# a rescue system\n\ntitle = Rescue; system\nkind=linux\nkernel = rescue/linux\nshim = rescue/shimx64.efi\ninitrd = rescue/a.gz\n"
		"initrd = http://10.0.0.2/b.gz\ncmdline = console=ttyS0 url=${sanbootd-url}/a --- quiet\n");
	world_site_file(w, "entries/windows.conf",
			"title = Windows set-up\nkind = windows\ndirectory = win\nfile = win/winpeshl.ini\nmenu = no\n");
	boot_reload(w->boot);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void set(struct world *w, const char *key, const char *value)
{
	if (boot_set(w->boot, "pc-001", key, value, "ctl", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

static void expect(struct world *w, const char *outcome, const char *in_script)
{
	world_expect(w, MAC1, UUID1, "vm1", outcome, in_script);
}

static void expect_choice(struct world *w, const char *choose, const char *outcome, const char *in_script)
{
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	snprintf(ask.choose, sizeof(ask.choose), "%s", choose);
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, outcome);
	if (!strstr(reply.script, in_script))
		fail_msg("\"%s\" is not in: %s", in_script, reply.script);
	free(reply.script);
}

struct taking {
	sem_t done;
	int err;
};

static void taken(void *arg, int err)
{
	struct taking *taking = arg;

	taking->err = err;
	sem_post(&taking->done);
}

static int take(struct world *w, const char *mac, const char *token)
{
	struct taking taking;

	sem_init(&taking.done, 0, 0);
	boot_taken(w->boot, mac, token, "127.0.0.1", taken, &taking);
	sem_wait(&taking.done);
	sem_destroy(&taking.done);
	return taking.err;
}

static void test_once_local(void **state)
{
	struct world *w = *state;
	char old[SECRET_TEXT];

	set(w, "boot-once", "local");
	/* However often somebody asks. */
	for (int i = 0; i < 5; i++)
		expect(w, "local", "/boot/taken?mac=${netX/mac:hexhyp}&token=");
	memcpy(old, world_machine(w, MAC1).boot_once_token, sizeof(old));
	assert_int_equal(strlen(old), BOOT_SECRET_CHARS);
	assert_int_equal(take(w, MAC1, ""), -ENOENT);
	assert_int_equal(take(w, MAC1, "wrong"), -ENOENT);
	assert_int_equal(take(w, "52:54:00:aa:00:09", old), -ENOENT);
	assert_int_equal(take(w, "nonsense", old), -ENOENT);
	expect(w, "local", "token=");
	assert_int_equal(take(w, MAC1, old), 0);
	assert_int_equal(take(w, MAC1, old), 0); /* the answer was lost, it asks again */
	assert_int_equal(world_events(w, "boot-once"), 1);
	expect(w, "sanboot", NULL);
	/* Asked for again: what was said of the last time does not use it up. */
	set(w, "boot-once", "local");
	assert_int_equal(take(w, MAC1, old), -ENOENT);
	expect(w, "local", "token=");
	set(w, "boot-once", "none");
	assert_int_equal(take(w, MAC1, old), -ENOENT);
	expect(w, "sanboot", NULL);
	/* What is always so says nothing of once. */
	set(w, "boot", "local");
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply = world_ask(w, &ask);

	assert_null(strstr(reply.script, "/boot/taken"));
	free(reply.script);
}

static void test_once_disk(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;
	struct machine machine;

	set(w, "boot", "local");
	expect(w, "local", NULL);
	set(w, "boot-once", "disk");
	expect(w, "sanboot", NULL);
	expect(w, "sanboot", NULL);
	machine = world_machine(w, MAC1);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	assert_string_equal(world_machine(w, MAC1).boot_once, "");
	expect(w, "local", NULL);
}

static void test_entry(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	set(w, "boot-once", "rescue");
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "entry");
	assert_non_null(strstr(reply.script, "echo SANBOOTD machine pc-001 starts Rescue_ system\n"));
	assert_non_null(strstr(
		reply.script,
		"kernel http://127.0.0.1:8080/boot-files/rescue/linux console=ttyS0 url=${sanbootd-url}/a --- quiet || goto failed\n"));
	assert_non_null(strstr(reply.script, "initrd http://127.0.0.1:8080/boot-files/rescue/a.gz || goto failed\n"));
	assert_non_null(strstr(reply.script, "initrd http://10.0.0.2/b.gz || goto failed\n"));
	assert_null(strstr(reply.script, "sanhook"));
	assert_null(strstr(reply.script, "\nset password"));
	free(reply.script);
	/* The kernel's EFI stub wants their names. */
	snprintf(ask.platform, sizeof(ask.platform), "efi");
	reply = world_ask(w, &ask);
	assert_non_null(strstr(reply.script, "rescue/linux initrd=a.gz initrd=b.gz console=ttyS0"));
	assert_null(strstr(reply.script, "shim"));
	free(reply.script);
	/* With Secure Boot the firmware has to be told by the distribution's shim that its kernel is good. */
	snprintf(ask.secure_boot, sizeof(ask.secure_boot), "1");
	reply = world_ask(w, &ask);
	assert_non_null(
		strstr(reply.script, "shim http://127.0.0.1:8080/boot-files/rescue/shimx64.efi || goto failed\n"));
	free(reply.script);
	set(w, "boot-once", "windows");
	expect(w, "entry", "kernel http://127.0.0.1:8080/boot-files/win/wimboot  || goto failed\n");
	expect(w, "entry", "initrd http://127.0.0.1:8080/boot-files/win/BCD BCD || goto failed\n");
	expect(w, "entry", "initrd http://127.0.0.1:8080/boot-files/win/boot.wim boot.wim || goto failed\n");
	expect(w, "entry", "initrd http://127.0.0.1:8080/boot-files/win/winpeshl.ini winpeshl.ini || goto failed\n");
	expect(w, "entry", "sanhook --drive 0x80 iscsi:127.0.0.1::3260:0:iqn.");
	expect(w, "entry", "\nset password ");
	/* Its disk is needed: not while it runs. */
	struct machine_boot current, pending;
	struct machine machine = world_machine(w, MAC1);

	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	assert_string_equal(world_machine(w, MAC1).boot_once, "windows");
	w->alive = true;
	expect(w, "wait", "run already");
	w->alive = false;
	expect(w, "entry", "sanhook");
	set(w, "boot-once", "http://10.0.0.2/x.ipxe?a=b");
	expect(w, "entry", "imgfetch --name sanbootd-next http://10.0.0.2/x.ipxe?a=b || goto failed\n");
	/* One that has gone is said to be missing; nothing else is booted instead. */
	set(w, "boot-once", "rescue");
	world_site_file(w, "entries/rescue.conf", NULL);
	boot_reload(w->boot);
	expect(w, "entry", "SANBOOTD machine pc-001 is to boot rescue, and the server has no such entry\n");
	assert_int_equal(boot_set(w->boot, "pc-001", "boot", "rescue", "ctl", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "windows"));
}

static void test_menu(void **state)
{
	struct world *w = *state;

	world_add_image(w, "other", 2);
	set(w, "boot", "menu");
	expect(w, "menu", "item disk Its disk: debian@1\n");
	expect(w, "menu", "item disk Its disk: debian@1\nitem image:other Another disk: other@1\nitem entry:");
	expect(w, "menu", "item entry:rescue Rescue_ system\nitem local ");
	expect(w, "menu", "choose --default disk --timeout 10000 sanbootd-choose ||");
	world_policy(w, "menu-default", "rescue");
	world_policy(w, "menu-timeout", "0");
	expect(w, "menu", "choose --default entry:rescue sanbootd-choose ||");
	world_policy(w, "menu-default", "gone");
	expect(w, "menu", "choose --default disk ");
	world_policy(w, "menu-default", "local");
	expect(w, "menu", "choose --default local ");
	expect_choice(w, "disk", "sanboot", "boots debian@1\n");
	expect_choice(w, "local", "local", "boots from its own disk");
	expect_choice(w, "entry:rescue", "entry", "starts Rescue_ system");
	/* What the menu does not offer is not had through it. */
	expect_choice(w, "entry:windows", "menu", "item disk");
	expect_choice(w, "entry:http://10.0.0.9/", "menu", "item disk");
	expect_choice(w, "image:nothing", "menu", "item disk");
	expect_choice(w, "windows", "menu", "item disk");
	set(w, "boot", "disk");
	expect_choice(w, "entry:rescue", "sanboot", "boots debian@1\n");
	/* Once: what is chosen uses it up, and until then it is asked each time. */
	set(w, "boot-once", "menu");
	expect(w, "menu", "item disk");
	expect_choice(w, "disk", "sanboot", "/boot/taken?");
	expect_choice(w, "local", "local", "/boot/taken?");
	assert_int_equal(take(w, MAC1, world_machine(w, MAC1).boot_once_token), 0);
	expect(w, "sanboot", NULL);
}

/*
 * Another image may be chosen as long as the disk is unused; the choice belongs to the boot, and asking destroys
 * nothing.
 */
static void test_choose_image(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;
	struct machine before = world_machine(w, MAC1), machine;
	struct reason why;
	uint16_t status;

	world_add_image(w, "other", 2);
	set(w, "boot", "menu");
	expect_choice(w, "image:other", "sanboot", "boots other@1\n");
	machine = world_machine(w, MAC1);
	assert_int_equal(machine.system.version_id, before.system.version_id);
	assert_string_equal(machine.system.object, before.system.object);
	world_boots(w, machine.id, &current, &pending);
	assert_int_not_equal(pending.version_id, 0);
	/* The last one who chose, chose. */
	expect_choice(w, "disk", "sanboot", "boots debian@1\n");
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(pending.version_id, 0);
	expect_choice(w, "image:other", "sanboot", "boots other@1\n");
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	machine = world_machine(w, MAC1);
	assert_int_not_equal(machine.system.version_id, before.system.version_id);
	assert_string_not_equal(machine.system.object, before.system.object);
	assert_non_null(world_open(w, machine.id, pending.number, &status, &why));
	world_close(w);
	before = world_machine(w, MAC1);
	assert_false(before.system.fresh);
	/* Now it holds data of its own: not offered, not taken, and a choice of before does not destroy it. */
	expect(w, "menu", "item --gap -- Its disk holds data");
	expect_choice(w, "image:debian", "menu", "item disk Its disk: other@1\nitem entry:");
	expect_choice(w, "disk", "sanboot", "boots other@1\n");
	/* A disk that is new at each boot may be of another image at each. */
	set(w, "mode", "ephemeral");
	expect(w, "menu", "item disk Its disk: other@1, new at each boot\nitem image:debian ");
	expect_choice(w, "image:debian", "sanboot", "boots debian@1\n");
	world_boots(w, machine.id, &current, &pending);
	assert_int_not_equal(pending.version_id, 0);
	set(w, "mode", "persistent");
	assert_int_not_equal(world_begin(w, machine.id, pending.number), 0);
	assert_string_equal(world_machine(w, MAC1).system.object, before.system.object);
	set(w, "mode", "ephemeral");
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	assert_string_not_equal(world_machine(w, MAC1).system.object, before.system.object);
	assert_int_not_equal(world_machine(w, MAC1).system.version_id, before.system.version_id);
}

static void group_set(struct world *w, const char *name, const char *key, const char *value, int want)
{
	int err = boot_group_set(w->boot, name, key, value, "ctl", &reason);

	if (err != want)
		fail_msg("%s %s=%s: %d instead of %d: %s", name, key, value, err, want, reason.text);
}

static void test_groups(void **state)
{
	struct world *w = *state;

	assert_int_equal(boot_group_add(w->boot, "lab", "ctl", &reason), 0);
	assert_int_equal(boot_group_add(w->boot, "Lab", "ctl", &reason), -EEXIST);
	assert_non_null(strstr(reason.text, "already"));
	assert_int_equal(boot_group_add(w->boot, "none", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_group_add(w->boot, "a b", "ctl", &reason), -EINVAL);
	group_set(w, "lab", "boot", "menu", 0);
	group_set(w, "lab", "boot", "nothing", -EINVAL);
	group_set(w, "lab", "priority", "-5", 0);
	group_set(w, "lab", "priority", "1001", -EINVAL);
	group_set(w, "lab", "priority", "-", -EINVAL);
	group_set(w, "lab", "colour", "red", -EINVAL);
	group_set(w, "nobody", "note", "x", -ENOENT);
	assert_int_equal(boot_set(w->boot, "pc-001", "group", "nobody", "ctl", &reason), -EINVAL);
	expect(w, "sanboot", NULL);
	set(w, "group", "LAB");
	expect(w, "menu", "item disk");
	/* Its own goes first, and boot-once before that. */
	set(w, "boot", "disk");
	expect(w, "sanboot", NULL);
	set(w, "boot-once", "local");
	expect(w, "local", NULL);
	set(w, "boot-once", "none");
	set(w, "boot", "group");
	expect(w, "menu", NULL);
	group_set(w, "lab", "name", "room-3", 0);
	expect(w, "menu", NULL);
	assert_int_equal(boot_group_remove(w->boot, "lab", "ctl", &reason), -ENOENT);
	assert_int_equal(boot_group_remove(w->boot, "room-3", "ctl", &reason), 0);
	expect(w, "sanboot", NULL);
	assert_int_equal(world_machine(w, MAC1).group_id, 0);
}

/* The screen of a machine whose login was refused says why, until one is not. */
static void test_refused(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct boot_session session = { .boot = 1 };
	struct machine machine = world_machine(w, MAC1);
	struct reply reply;

	boot_target_refused(w->boot, machine.id, machine.iqn, "iqn.x:i", "10.0.0.9:1", "its golden image; was changed");
	expect(w, "sanboot", "boots debian@1\n");
	snprintf(ask.error, sizeof(ask.error), "1d1d8d3f");
	reply = world_ask(w, &ask);
	assert_non_null(strstr(reply.script, "echo The server refused it before: its golden image_ was changed\n"));
	free(reply.script);
	boot_target_session(w->boot, machine.id, &session, NULL);
	reply = world_ask(w, &ask);
	assert_null(strstr(reply.script, "refused it before"));
	free(reply.script);
}

static void expect_uris(struct world *w, const char *uris)
{
	char text[700] = "sanboot --drive 0x80", iqn[IQN_MAX_TEXT + 1];
	struct machine machine = world_machine(w, MAC1);
	size_t len = strlen(text);

	snprintf(iqn, sizeof(iqn), ":%s", machine.iqn);
	for (const char *at = uris; *at; at += strcspn(at, " "), at += strspn(at, " "))
		len += (size_t)snprintf(text + len, sizeof(text) - len, " iscsi:%.*s:0%s", (int)strcspn(at, " "), at,
					iqn);
	snprintf(text + len, sizeof(text) - len, " || goto failed\n");
	expect(w, "sanboot", text);
}

static void test_multipath(void **state)
{
	struct world *w = *state;
	struct endpoint portals[3];
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	assert_true(parse_endpoint("127.0.9.1:3261", &portals[0]));
	assert_true(parse_endpoint("[fd00::1]:3260", &portals[1]));
	assert_true(parse_endpoint("127.0.0.1:3260", &portals[2]));
	boot_set_portals(w->boot, portals, 3);
	expect_uris(w, "127.0.0.1::3260");
	set(w, "multipath", "yes");
	expect_uris(w, "127.0.0.1::3260 127.0.9.1::3261");
	set(w, "no-gateway", "yes");
	expect(w, "sanboot", "\nset netX/gateway 0.0.0.0 ||\n");
	set(w, "no-gateway", "no");
	set(w, "multipath", "no");
	reply = world_ask(w, &ask);
	assert_null(strstr(reply.script, "netX/gateway"));
	assert_null(strstr(reply.script, "127.0.9.1"));
	free(reply.script);
}

/* An address that the host does not have any more; and one where nothing listens. */
static void test_portals_that_do_not_answer(void **state)
{
	struct world *w = *state;
	struct endpoint portals[2];

	assert_true(parse_endpoint("127.0.0.1:3260", &portals[0]));
	assert_true(parse_endpoint("192.0.2.77:3260", &portals[1]));
	boot_set_portals(w->boot, portals, 2);
	expect_uris(w, "127.0.0.1::3260");
	assert_int_equal(world_events(w, "portal-left-out"), 0);
	set(w, "multipath", "yes");
	expect_uris(w, "127.0.0.1::3260");
	assert_int_equal(world_events(w, "portal-left-out"), 1);
	assert_true(parse_endpoint("127.0.9.1:3262", &portals[0]));
	boot_set_portals(w->boot, portals, 2);
	expect_uris(w, "127.0.9.1::3262");
	set(w, "multipath", "no");
	expect_uris(w, "127.0.9.1::3262");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_menu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_choose_image, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multipath, setup, teardown),
		cmocka_unit_test_setup_teardown(test_portals_that_do_not_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
