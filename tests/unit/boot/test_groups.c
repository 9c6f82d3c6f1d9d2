// SPDX-License-Identifier: GPL-2.0-or-later
/* What groups give their machines: at enrolment, at each boot, in what is attached; and what becomes of them without. */
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

static struct reason reason;

static void group(struct world *w, const char *name, const char *key, const char *value)
{
	reason.text[0] = '\0';
	if (boot_group_set(w->boot, name, key, value, "ctl", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

static void refused(struct world *w, const char *key, const char *value, const char *why)
{
	reason.text[0] = '\0';
	assert_true(boot_group_set(w->boot, "lab", key, value, "ctl", &reason) < 0);
	if (!strstr(reason.text, why))
		fail_msg("\"%s\" does not say \"%s\"", reason.text, why);
}

static void set(struct world *w, const char *machine, const char *key, const char *value)
{
	reason.text[0] = '\0';
	if (boot_set(w->boot, machine, key, value, "ctl", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

static void said(const char *what)
{
	if (!strstr(reason.text, what))
		fail_msg("\"%s\" does not say \"%s\"", reason.text, what);
}

struct tail {
	char kind[32], text[REASON_TEXT + NAME_MAX_TEXT + 2];
};

static int take_event(void *arg, const struct event *event)
{
	struct tail *tail = arg;

	if (!strcmp(event->kind, tail->kind))
		snprintf(tail->text, sizeof(tail->text), "%s: %s", event->object, event->text);
	return 0;
}

static int read_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, -1, 0, 50, take_event, arg);
}

static void last_event(struct world *w, const char *kind, const char *text)
{
	struct tail tail = { .text = "" };

	snprintf(tail.kind, sizeof(tail.kind), "%s", kind);
	assert_int_equal(inventory_read_call(w->inventory, read_events, &tail), 0);
	if (!strstr(tail.text, text))
		fail_msg("the last %s is \"%s\", not \"%s\"", kind, tail.text, text);
}

static int look_up_version(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;

	return version_by_id(tx, version->id, version);
}

/* The image that its disk was made from. */
static void made_from(struct world *w, const char *machine, const char *image, unsigned number)
{
	struct image_version version = { .id = world_machine(w, machine).system.version_id };

	assert_int_equal(inventory_read_call(w->inventory, look_up_version, &version), 0);
	assert_string_equal(version.image, image);
	assert_int_equal(version.number, number);
}

static void add_group(struct world *w, const char *name)
{
	assert_int_equal(boot_group_add(w->boot, name, "ctl", &reason), 0);
}

static void make_shared(struct world *w, const char *name, enum volume_kind kind)
{
	struct boot_volume_new what = { .name = name, .kind = kind, .lun = -1, .from = "debian" };
	int64_t id;

	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
}

/* The disk of the next boot of a machine is open; its number of LUNs. */
static unsigned boots(struct world *w, const char *mac, const char *name)
{
	struct machine machine;
	struct machine_boot current, pending;
	struct reason why;
	uint16_t status;

	world_close(w);
	world_expect(w, mac, "", "", "sanboot", NULL);
	machine = world_machine(w, name);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	if (!world_open(w, machine.id, pending.number, &status, &why))
		fail_msg("%s", why.text);
	return w->lun_count;
}

/* ---- coming into one ---- */

static void test_auto_enrolment(void **state)
{
	struct world *w = *state;
	struct machine machine;

	add_group(w, "lab");
	world_add_image(w, "win", 'w');
	make_shared(w, "tools", VOLUME_SHARED);
	group(w, "lab", "image", "win");
	said("where a disk begins anew");
	group(w, "lab", "mode", "ephemeral");
	group(w, "lab", "name-pattern", "lab-{n:02}");
	group(w, "lab", "volumes", "tools");
	world_policy(w, "group", "lab");
	world_expect(w, MAC1, "", "", "sanboot", "machine lab-01");
	made_from(w, "lab-01", "win", 1);
	machine = world_machine(w, "lab-01");
	assert_string_equal(machine.group.name, "lab");
	assert_int_equal(machine.mode, MODE_GROUP);
	assert_true(machine.image_inherited);
	last_event(w, "enrolled", "with win@1, in group lab");
	assert_int_equal(boots(w, MAC1, "lab-01"), 2);
	/* Nobody in particular gets what policy says. */
	world_policy(w, "group", "none");
	world_expect(w, MAC2, "", "", "sanboot", "machine pc-001");
	made_from(w, "pc-001", "debian", 1);
	assert_int_equal(world_machine(w, "pc-001").group_id, 0);
	assert_int_equal(world_machine(w, "pc-001").mode, MODE_PERSISTENT);
}

static int retire(struct inventory_tx *tx, void *arg)
{
	struct image_version version;
	struct reason why;
	int err = version_find(tx, "win", 1, &version);

	(void)arg;
	return err ? err : version_set_state(tx, version.id, VERSION_RETIRED, "ctl", &why);
}

/* The group's image has nothing published any more: the machine waits, as without any image. */
static void test_no_image(void **state)
{
	struct world *w = *state;

	add_group(w, "lab");
	world_add_image(w, "win", 'w');
	group(w, "lab", "image", "win");
	world_policy(w, "group", "lab");
	assert_int_equal(world_write(w, retire, NULL), 0);
	world_expect(w, MAC1, "", "", "wait", NULL);
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason), -ENOENT);
	said("which is the image of group lab");
	assert_int_equal(boot_approve(w->boot, MAC1, &(struct boot_approval){ .image = "debian" }, "ctl", NULL,
				      &reason),
			 0);
	made_from(w, "pc-001", "debian", 1);
}

static void test_approved_and_added(void **state)
{
	struct world *w = *state;
	struct boot_machine_new list[] = {
		{ .macs = { MAC2 }, .mac_count = 1, .group = "lab", .image = "debian" },
		{ .macs = { MAC3 }, .mac_count = 1, .group = "none" },
	};
	struct machine added[2];
	unsigned failed;

	add_group(w, "lab");
	add_group(w, "office");
	world_add_image(w, "win", 'w');
	group(w, "lab", "image", "win");
	group(w, "lab", "name-pattern", "lab-{n:02}");
	world_policy(w, "group", "office");
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC1, "", "", "wait", NULL);
	assert_int_equal(boot_approve(w->boot, MAC1, &(struct boot_approval){ .group = "nowhere" }, "ctl", NULL,
				      &reason),
			 -EINVAL);
	said("sanbootctl group add nowhere");
	assert_int_equal(boot_approve(w->boot, MAC1, &(struct boot_approval){ .group = "lab" }, "ctl", NULL, &reason),
			 0);
	made_from(w, "lab-01", "win", 1);
	/* An image that was named is its own, whatever the group has. */
	assert_int_equal(boot_add_machines(w->boot, list, 2, false, "ctl", added, &failed, &reason), 0);
	assert_string_equal(added[0].name, "lab-02");
	made_from(w, "lab-02", "debian", 1);
	assert_false(world_machine(w, "lab-02").image_inherited);
	assert_string_equal(added[1].name, "pc-001");
	assert_int_equal(world_machine(w, "pc-001").group_id, 0);
}

/* ---- being in one ---- */

/* A person's data is told of before it goes; whoever has a mode of his own keeps it. */
static void test_ephemeral(void **state)
{
	struct world *w = *state;

	add_group(w, "lab");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	set(w, "pc-001", "group", "lab");
	set(w, "pc-002", "group", "lab");
	set(w, "pc-001", "mode", "group");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_write_block(w, 8192, 'x', true), 0);
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'x');
	/* While it runs: from its next boot on. */
	group(w, "lab", "mode", "ephemeral");
	said("1 of its 2 machines, from the next boot on");
	said("1 of them begin with a new disk then");
	last_event(w, "group-set", "lab: mode=ephemeral, for 1 of its 2 machines, from the next boot on");
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'x');
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_not_equal(world_read_disk(w, w->disk, 8192), 'x');
	assert_int_equal(world_write_block(w, 8192, 'y', true), 0);
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "now", "ctl", &reason), -EINVAL);
	/* And back again, with what it has then. */
	group(w, "lab", "mode", "policy");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'y');
	world_close(w);
	group(w, "lab", "mode", "ephemeral");
	set(w, "pc-001", "mode", "persistent");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'y');
	world_close(w);
	/* In another group, or in none, it is as that says. */
	set(w, "pc-001", "mode", "group");
	set(w, "pc-001", "group", "none");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'y');
	world_close(w);
	set(w, "pc-002", "group", "none");
	set(w, "pc-002", "group", "lab");
	said("mode=group");
}

static void test_image(void **state)
{
	struct world *w = *state;
	struct image_version version;

	add_group(w, "lab");
	world_add_image(w, "win", 'w');
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	set(w, "pc-001", "group", "lab");
	set(w, "pc-002", "group", "lab");
	group(w, "lab", "image", "win");
	/* A disk that was never used holds nothing: it begins with the group's image. */
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	made_from(w, "pc-001", "win", 1);
	assert_int_equal(world_read_disk(w, w->disk, 0), 'w');
	world_close(w);
	/* One that was used keeps what it has until it is reset. */
	group(w, "lab", "image", "debian");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	made_from(w, "pc-001", "win", 1);
	world_close(w);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	made_from(w, "pc-001", "debian", 1);
	/* An image that somebody gives a machine is its own. */
	set(w, "pc-001", "image", "debian@1");
	group(w, "lab", "image", "win");
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	made_from(w, "pc-001", "debian", 1);
	set(w, "pc-001", "image", "group");
	said("where its disk begins anew");
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	made_from(w, "pc-001", "win", 1);
	/* The image cannot go while the group has it. */
	version.id = world_machine(w, "pc-001").system.version_id;
	set(w, "pc-001", "image", "debian");
	assert_int_equal(boots(w, MAC2, "pc-002"), 1);
	world_close(w);
	made_from(w, "pc-002", "win", 1);
	assert_int_equal(boot_remove(w->boot, "pc-002", true, "ctl", &reason), 0);
	assert_int_equal(store_remove_version(w->store, version.id, "ctl", &reason), -EBUSY);
	said("image=policy");
	group(w, "lab", "image", "policy");
	assert_int_equal(store_remove_version(w->store, version.id, "ctl", &reason), 0);
}

/* A machine that is new at each boot follows at its next one. */
static void test_image_of_ephemeral(void **state)
{
	struct world *w = *state;

	add_group(w, "lab");
	world_add_image(w, "win", 'w');
	world_policy(w, "group", "lab");
	group(w, "lab", "mode", "ephemeral");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	made_from(w, "pc-001", "debian", 1);
	group(w, "lab", "image", "win");
	made_from(w, "pc-001", "debian", 1);
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	made_from(w, "pc-001", "win", 1);
	assert_int_equal(world_read_disk(w, w->disk, 0), 'w');
}

static void test_volumes(void **state)
{
	struct world *w = *state;

	add_group(w, "lab");
	make_shared(w, "tools", VOLUME_SHARED);
	make_shared(w, "cd", VOLUME_CD);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	set(w, "pc-001", "group", "lab");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	/* It runs: at once. */
	group(w, "lab", "volumes", "tools,cd");
	said("2 volumes came and 0 went at once");
	assert_non_null(world_lun(w, 1));
	assert_true(world_lun(w, 2)->cdrom || world_lun(w, 2)->kind == VOLUME_CD || world_lun(w, 1)->kind == VOLUME_CD);
	/* What the group gives stays while it is in it. */
	assert_int_equal(boot_volume_detach(w->boot, "tools", "pc-001", true, "ctl", &reason), -EBUSY);
	said("sanbootctl group set lab volumes=");
	assert_non_null(world_lun(w, 1));
	assert_int_equal(boot_volume_remove(w->boot, "tools", "ctl", &reason), -EBUSY);
	said("group lab");
	/* In use: it stays until the next boot, which has to open everything anew. */
	w->busy_lun = 1;
	set(w, "pc-001", "group", "none");
	said("1 went at once, and 0 come and 1, which are in use, go with their next boot");
	assert_non_null(world_lun(w, 1));
	assert_null(world_lun(w, 2));
	assert_true(boot_target_begin_needs_closed(w->boot, world_machine(w, "pc-001").id));
	w->busy_lun = 0;
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_false(boot_target_begin_needs_closed(w->boot, world_machine(w, "pc-001").id));
	/* Without the group they are free again. */
	set(w, "pc-001", "group", "lab");
	said("2 volumes came");
	assert_int_equal(boot_group_remove(w->boot, "lab", "ctl", &reason), 0);
	said("1 machines were in it");
	said("they lose its volumes cd, tools");
	assert_null(world_lun(w, 1));
	assert_int_equal(boot_volume_remove(w->boot, "tools", "ctl", &reason), 0);
}

static void test_removed(void **state)
{
	struct world *w = *state;

	add_group(w, "lab");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	set(w, "pc-001", "group", "lab");
	set(w, "pc-001", "mode", "group");
	group(w, "lab", "mode", "ephemeral");
	group(w, "lab", "quota", "1G");
	assert_int_equal(boot_group_remove(w->boot, "lab", "ctl", &reason), 0);
	said("mode, quota are as policy says from the next boot on");
	last_event(w, "group-removed",
		   "lab: removed; 1 machines were in it; where they have none of their own, mode, quota");
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_write_block(w, 8192, 'x', true), 0);
	assert_int_equal(boots(w, MAC1, "pc-001"), 1);
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'x');
}

/* The words that mean that a machine has none of its own; those of before stay good. */
static void test_words(void **state)
{
	struct world *w = *state;
	struct machine machine;

	add_group(w, "lab");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	set(w, "pc-001", "quota", "2G");
	set(w, "pc-001", "restore-points", "2");
	set(w, "pc-001", "boot", "local");
	machine = world_machine(w, "pc-001");
	assert_string_equal(machine.system.quota, "2G");
	set(w, "pc-001", "quota", "group");
	set(w, "pc-001", "restore-points", "group");
	set(w, "pc-001", "boot", "group");
	set(w, "pc-001", "mode", "policy");
	machine = world_machine(w, "pc-001");
	assert_string_equal(machine.system.quota, "");
	assert_string_equal(machine.restore_points, "");
	assert_string_equal(machine.boot, "");
	assert_int_equal(machine.mode, MODE_GROUP);
	set(w, "pc-001", "quota", "2G");
	set(w, "pc-001", "quota", "policy");
	assert_string_equal(world_machine(w, "pc-001").system.quota, "");
	last_event(w, "machine-set", "quota=policy");
	assert_int_equal(boot_set(w->boot, "pc-001", "quota", "lots", "ctl", &reason), -EINVAL);
	said("or group");
	assert_int_equal(boot_set(w->boot, "pc-001", "mode", "", "ctl", &reason), -EINVAL);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	struct boot_volume_new what = { .name = "data", .kind = VOLUME_DATA, .lun = -1, .size_bytes = 1 << 20 };
	int64_t id;

	add_group(w, "lab");
	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
	refused(w, "image", "nothing", "there is no nothing");
	refused(w, "image", "debian@1", "the name of an image");
	refused(w, "mode", "sometimes", "persistent or ephemeral");
	refused(w, "mode", "group", "persistent or ephemeral");
	refused(w, "mode", "maintenance", "persistent or ephemeral");
	refused(w, "name-pattern", "lab", "one {n}");
	refused(w, "name-pattern", "lab_{n}", "one {n}");
	refused(w, "quota", "20", "20G");
	refused(w, "restore-points", "6", "0 to 5");
	refused(w, "volumes", "none-such", "sanbootctl volume list");
	refused(w, "volumes", "data", "one machine at a time");
	refused(w, "priority", "1001", "higher goes first");
	refused(w, "colour", "red", "there is no key colour: name, priority");
	assert_int_equal(world_events(w, "group-set"), 0);
	assert_int_equal(boot_group_set(w->boot, "nowhere", "mode", "ephemeral", "ctl", &reason), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_auto_enrolment), TEST(test_no_image), TEST(test_approved_and_added),
		TEST(test_ephemeral),	   TEST(test_image),	TEST(test_image_of_ephemeral),
		TEST(test_volumes),	   TEST(test_removed),	TEST(test_words),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
