// SPDX-License-Identifier: GPL-2.0-or-later
/* What people do with volumes: each thing done, each refusal with its sentence, and nothing half done. */
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"
#define UUID2 "5a4b0075-0000-4000-8000-000000000002"

static struct reason reason;

/* pc-001 and pc-002, both off. */
static int setup(void **state)
{
	struct world *w = world_new(true);

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_expect(w, MAC2, UUID2, "vm2", "sanboot", NULL);
	reason.text[0] = '\0';
	*state = w;
	return 0;
}

static void expect(int err, int want, const char *sentence)
{
	if (err != want || (sentence ? !strstr(reason.text, sentence) : reason.text[0] != '\0'))
		fail_msg("%d instead of %d with \"%s\": %s", err, want, sentence ? sentence : "", reason.text);
}

static int create(struct world *w, const struct boot_volume_new *what)
{
	int64_t id = 0;
	int err = boot_volume_create(w->boot, what, "ctl", &id, &reason);

	assert_int_equal(err == 0, id > 0);
	return err;
}

static struct boot_volume_new data(const char *machine, const char *name, uint64_t size_bytes)
{
	return (struct boot_volume_new){
		.machine = machine, .name = name, .kind = VOLUME_DATA, .lun = -1, .size_bytes = size_bytes
	};
}

static struct boot_volume_new golden(const char *machine, const char *name, enum volume_kind kind, const char *from)
{
	return (struct boot_volume_new){ .machine = machine, .name = name, .kind = kind, .lun = -1, .from = from };
}

static void make_data(struct world *w, const char *machine, const char *name)
{
	struct boot_volume_new what = data(machine, name, 16 << 20);

	if (create(w, &what))
		fail_msg("%s", reason.text);
}

static int attach(struct world *w, const char *volume, const char *machine, int lun)
{
	return boot_volume_attach(w->boot, volume, machine, lun, "ctl", &reason);
}

static int detach(struct world *w, const char *volume, const char *machine, bool force)
{
	return boot_volume_detach(w->boot, volume, machine, force, "ctl", &reason);
}

static int take_away(struct world *w, const char *volume)
{
	return boot_volume_remove(w->boot, volume, "ctl", &reason);
}

static int resize(struct world *w, const char *volume, const char *size)
{
	return boot_volume_set(w->boot, volume, "size", size, "ctl", &reason);
}

static void set(struct world *w, const char *volume, const char *key, const char *value, int want, const char *sentence)
{
	expect(boot_volume_set(w->boot, volume, key, value, "ctl", &reason), want, sentence);
}

/* The machine begins its boot and logs in. */
static struct machine start(struct world *w, const char *mac, uint64_t number)
{
	struct machine machine = world_machine(w, mac);
	uint16_t status;
	struct reason why;

	assert_int_equal(world_begin(w, machine.id, number), 0);
	if (!world_open(w, machine.id, number, &status, &why))
		fail_msg("%s", why.text);
	w->session = (struct boot_session){ .address = "10.0.0.9:1", .since_ms = 1700000000000, .boot = number };
	return machine;
}

static uint64_t disk_bytes(struct world *w, const char *which)
{
	struct volume volume = world_volume(w, which);
	struct volume_info info;

	assert_int_equal(store_volume_info(w->store, &volume, NULL, &info), 0);
	return info.virtual_bytes;
}

/* ---- create ---- */

static void test_create(void **state)
{
	struct world *w = *state;
	struct boot_volume_new what = data("pc-001", NULL, 1 << 20);
	struct volume volume;

	expect(create(w, &what), 0, "pc-001 has volume pc-001-data as LUN 1 from its next boot on");
	expect(create(w, &what), 0, "pc-001 has volume pc-001-data-2 as LUN 2");
	what.lun = 200;
	what.name = "Scratch_1.x";
	expect(create(w, &what), 0, "pc-001 has volume Scratch_1.x as LUN 200");
	what = data(NULL, NULL, (uint64_t)16 << 40);
	expect(create(w, &what), 0, NULL);
	volume = world_volume(w, "DATA");
	assert_int_equal(volume.kind, VOLUME_DATA);
	assert_true(volume.fresh);
	assert_int_equal(volume.version_id, 0);
	assert_int_equal(volume.size_bytes, (uint64_t)16 << 40);
	assert_int_equal(disk_bytes(w, "data"), (uint64_t)16 << 40);
	assert_string_equal(world_volume(w, "pc-001:200").name, "Scratch_1.x");
	assert_int_equal(world_children(w), 2 + 4);
	/* A golden version as it is costs nothing; the newest, published or not. */
	world_add_image(w, "iso", 'i');
	what = golden("pc-002", NULL, VOLUME_CD, "iso");
	expect(create(w, &what), 0, "pc-002 has volume pc-002-cd as LUN 1");
	what = golden(NULL, "tools", VOLUME_SHARED, "debian@1");
	expect(create(w, &what), 0, NULL);
	volume = world_volume(w, "tools");
	assert_string_equal(volume.object, "");
	assert_int_equal(volume.version_id, world_machine(w, "pc-001").system.version_id);
	assert_int_equal(world_children(w), 2 + 4);
	assert_int_equal(world_volume_count(w), 6);
	assert_int_equal(world_events(w, "volume-created"), 6);
	assert_int_equal(world_events(w, "volume-attached"), 4);
}

/* Nothing of what is refused is left: neither a row nor an object. */
static void test_create_refused(void **state)
{
	static const struct {
		struct boot_volume_new what;
		int err;
		const char *sentence;
	} bad[] = {
		{ { "pc-001", NULL, VOLUME_DATA, -1, 0, NULL }, -EINVAL, "size: expected a multiple of 4 KiB" },
		{ { "pc-001", NULL, VOLUME_DATA, -1, 4097, NULL }, -EINVAL, "size: expected a multiple of 4 KiB" },
		{ { "pc-001", NULL, VOLUME_DATA, -1, 17ull << 40, NULL }, -EINVAL, "from 4K to 16T" },
		{ { "pc-001", NULL, VOLUME_DATA, 0, 4096, NULL }, -EINVAL, "LUN 0 is the system volume of pc-001" },
		{ { "pc-001", NULL, VOLUME_DATA, 256, 4096, NULL }, -EINVAL, "LUN 256: expected 1 to 255" },
		{ { "pc-001", NULL, VOLUME_DATA, 7, 4096, NULL }, -EEXIST, "LUN 7 of pc-001 is taken" },
		{ { NULL, NULL, VOLUME_DATA, 7, 4096, NULL }, -EINVAL, "say which machine" },
		{ { "pc-009", NULL, VOLUME_DATA, -1, 4096, NULL }, -ENOENT, "there is no machine pc-009" },
		{ { "pc-001", "a:b", VOLUME_DATA, -1, 4096, NULL }, -EINVAL, "name: expected letters" },
		{ { "pc-001", "", VOLUME_DATA, -1, 4096, NULL }, -EINVAL, "name: expected letters" },
		{ { "pc-001", "TAKEN", VOLUME_DATA, -1, 4096, NULL }, -EEXIST, "there is a volume taken already" },
		{ { "pc-001", NULL, VOLUME_DATA, -1, 4096, "debian" }, -EINVAL, "a data volume begins empty" },
		{ { "pc-001", NULL, VOLUME_SYSTEM, -1, 4096, NULL }, -EINVAL, "kind: expected data, shared or cd" },
		{ { "pc-001", NULL, VOLUME_WHO_AM_I, -1, 4096, NULL }, -EINVAL, "kind: expected data, shared or cd" },
		{ { "pc-001", NULL, VOLUME_SHARED, -1, 0, NULL }, -EINVAL, "a shared volume is made from an image" },
		{ { "pc-001", NULL, VOLUME_CD, -1, 4096, "debian" }, -EINVAL, "leave the size out" },
		{ { "pc-001", NULL, VOLUME_CD, -1, 0, "other" }, -ENOENT, "there is no image other" },
		{ { "pc-001", NULL, VOLUME_CD, -1, 0, "debian@2" }, -ENOENT, "there is no image debian@2" },
		{ { "pc-001", NULL, VOLUME_CD, -1, 0, "debian@" }, -ENOENT, "there is no image debian@" },
		{ { "pc-001", NULL, VOLUME_CD, -1, 0, "../debian" }, -ENOENT, "there is no image ../debian" },
	};
	struct world *w = *state;
	char name[NAME_MAX_TEXT + 1];
	struct boot_volume_new what = data("pc-001", "taken", 4096);

	what.lun = 7;
	assert_int_equal(create(w, &what), 0);
	for (size_t i = 0; i < array_len(bad); i++) {
		expect(create(w, &bad[i].what), bad[i].err, bad[i].sentence);
		assert_int_equal(world_children(w), 3);
		assert_int_equal(world_volume_count(w), 1);
	}
	memset(name, 'n', NAME_MAX_TEXT);
	name[NAME_MAX_TEXT] = '\0';
	what = data("pc-001", name, 4096);
	expect(create(w, &what), -EINVAL, "at most 63");
	name[NAME_MAX_TEXT - 1] = '\0';
	expect(create(w, &what), 0, "as LUN 1");
	world_policy(w, "reserve", "8000T");
	what = data("pc-001", NULL, 4096);
	expect(create(w, &what), -ENOSPC, "lower the policy's reserve");
	assert_int_equal(world_children(w), 4);
	assert_int_equal(world_volume_count(w), 2);
}

/* ---- attach, detach ---- */

static void test_attach(void **state)
{
	struct world *w = *state;
	struct boot_volume_new what = golden(NULL, "tools", VOLUME_SHARED, "debian");

	make_data(w, NULL, "data");
	assert_int_equal(create(w, &what), 0);
	expect(attach(w, "nothing", "pc-001", -1), -ENOENT, "there is no volume nothing");
	expect(attach(w, "data", "pc-009", -1), -ENOENT, "there is no machine pc-009");
	expect(attach(w, "pc-002:0", "pc-001", -1), -EINVAL, "is the system volume of a machine");
	expect(attach(w, "data", "pc-001", 0), -EINVAL, "LUN 0 is the system volume");
	expect(attach(w, "data", "pc-001", 300), -EINVAL, "LUN 300: expected 1 to 255");
	expect(attach(w, "Data", "PC-001", 5), 0, "pc-001 has volume data as LUN 5 from its next boot on");
	expect(attach(w, "data", "pc-001", 6), -EEXIST, "pc-001 has volume data already, as LUN 5");
	expect(attach(w, "data", "pc-002", -1), -EBUSY,
	       "volume data belongs to pc-001 (LUN 5): first sanbootctl volume detach");
	expect(attach(w, "tools", "pc-001", 5), -EEXIST, "LUN 5 of pc-001 is taken");
	expect(attach(w, "tools", MAC1, -1), 0, "as LUN 1");
	expect(attach(w, "tools", "pc-002", 255), 0, "as LUN 255");
	/* Whose it is to be is said where there are several. */
	expect(detach(w, "tools", NULL, false), -EINVAL, "2 machines have volume tools: say which");
	expect(detach(w, "data", "pc-002", false), -ENOENT, "pc-002 does not have volume data");
	expect(detach(w, "data", "pc-009", false), -ENOENT, "there is no machine pc-009");
	expect(detach(w, "nothing", NULL, false), -ENOENT, "there is no volume nothing");
	expect(detach(w, "pc-001:0", NULL, false), -EINVAL, "is the system volume of a machine");
	expect(detach(w, "tools", "pc-001", false), 0, NULL);
	expect(detach(w, "tools", NULL, false), 0, NULL);
	expect(detach(w, "tools", NULL, false), -ENOENT, "no machine has volume tools");
	expect(detach(w, "pc-001:5", NULL, false), 0, NULL);
	expect(attach(w, "data", "pc-002", -1), 0, "pc-002 has volume data as LUN 1");
	assert_int_equal(world_events(w, "volume-detached"), 3);
}

/* A machine that runs gets it at once, and loses it at once unless it uses it. */
static void test_running(void **state)
{
	struct world *w = *state;
	const struct boot_lun *lun;
	struct machine machine = start(w, MAC1, 1);
	struct volume volume;

	make_data(w, NULL, "data");
	expect(attach(w, "data", "pc-001", 3), 0,
	       "pc-001 runs: it sees LUN 3 at once where iscsid runs, else after a rescan; on Linux: ");
	lun = world_lun(w, 3);
	assert_non_null(lun);
	volume = world_volume(w, "data");
	assert_false(volume.fresh);
	assert_int_equal(lun->volume_id, volume.id);
	assert_int_equal(world_write_disk(w, lun->disk, 4096, 'x', true), 0);
	assert_false(boot_volume_is_closed(w->boot, volume.id));
	/* Changed under its eyes only as far as that goes. */
	expect(take_away(w, "data"), -EBUSY, "volume data is attached to pc-001: first sanbootctl volume detach data");
	set(w, "data", "physical-block", "512", -EBUSY, "volume data is in use by pc-001: switch it off");
	set(w, "data", "state", "ready", -EBUSY, "in use");
	set(w, "data", "note", "logs", 0, NULL);
	expect(resize(w, "data", "32M"), 0, "pc-001 runs: it sees the new size after a rescan; on Linux: ");
	lun = world_lun(w, 3);
	assert_int_equal(lun->disk->size_bytes, 32 << 20);
	assert_int_equal(world_write_disk(w, lun->disk, 31 << 20, 'y', true), 0);
	assert_int_equal(world_lun(w, 0)->disk->size_bytes, 4 << 20);
	w->busy_lun = 3;
	expect(detach(w, "data", NULL, false), -EBUSY, "in use: its last command was 3 s ago");
	assert_non_null(world_lun(w, 3));
	expect(attach(w, "data", "pc-002", -1), -EBUSY, "belongs to pc-001");
	expect(detach(w, "data", NULL, true), 0, NULL);
	assert_null(world_lun(w, 3));
	assert_true(boot_volume_is_closed(w->boot, volume.id));
	expect(detach(w, "data", NULL, true), -ENOENT, "no machine has volume data");
	/* What was written is there, for whoever has it next. */
	w->busy_lun = 0;
	expect(attach(w, "data", "pc-001", -1), 0, "sees LUN 1");
	assert_int_equal(world_read_disk(w, world_lun(w, 1)->disk, 4096), 'x');
	assert_int_equal(world_read_disk(w, world_lun(w, 1)->disk, 31 << 20), 'y');
	assert_int_equal(world_read_disk(w, world_lun(w, 1)->disk, 0), 0);
	expect(detach(w, "data", NULL, false), 0, NULL);
	assert_int_equal(world_volume(w, "data").size_bytes, 32 << 20);
	assert_int_equal(w->disk_machine, machine.id);
}

/* It is attached all the same where the machine cannot be given it now; why is said. */
static void test_running_failed(void **state)
{
	struct world *w = *state;
	struct volume volume;
	char path[256];

	start(w, MAC1, 1);
	make_data(w, NULL, "data");
	volume = world_volume(w, "data");
	snprintf(path, sizeof(path), "%s/children/%s", w->dir, volume.object);
	assert_int_equal(unlink(path), 0);
	expect(attach(w, "data", "pc-001", -1), 0,
	       "volume data is LUN 1 of pc-001, which runs, and could not be given it now: ");
	assert_null(world_lun(w, 1));
	assert_true(boot_volume_is_closed(w->boot, volume.id));
	expect(detach(w, "data", NULL, false), 0, NULL);
	expect(take_away(w, "data"), 0, NULL);
}

static void test_resume(void **state)
{
	struct world *w = *state;
	struct machine machine = world_machine(w, "pc-001");

	make_data(w, "pc-001", "data");
	presence_set_resume(&w->boot->presence, machine.id, time_monotonic_ms() + 600000);
	expect(detach(w, "data", NULL, false), -EBUSY, "pc-001 ran when the server was stopped, and may come back");
	assert_string_equal(world_volume(w, "pc-001:1").name, "data");
	expect(detach(w, "data", NULL, true), 0, NULL);
}

/* ---- what a data volume survives ---- */

static void check_data(struct world *w, unsigned lun, const struct volume *was)
{
	struct volume is = world_volume(w, was->name);

	assert_int_equal(is.id, was->id);
	assert_string_equal(is.object, was->object);
	assert_non_null(world_lun(w, lun));
	assert_int_equal(world_read_disk(w, world_lun(w, lun)->disk, 8192), 'k');
	world_close(w);
}

static void test_survives(void **state)
{
	struct world *w = *state;
	struct volume data_is;

	world_add_image(w, "other", 'o');
	make_data(w, "pc-001", "data");
	start(w, MAC1, 1);
	assert_int_equal(world_write_disk(w, world_lun(w, 1)->disk, 8192, 'k', false), 0);
	world_close(w);
	data_is = world_volume(w, "data");
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_int_equal(boot_set(w->boot, "pc-001", "image", "other", "ctl", &reason), 0);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "boots other@1");
	start(w, MAC1, 2);
	check_data(w, 1, &data_is);
	/* The replacement of its hardware gets it with the rest. */
	assert_int_equal(boot_swap(w->boot, "pc-001", "52:54:00:aa:00:77", "ctl", &reason), 0);
	world_expect(w, "52:54:00:aa:00:77", "", "", "sanboot", NULL);
	start(w, "52:54:00:aa:00:77", 3);
	check_data(w, 1, &data_is);
	/* A system disk for one boot only is made anew with each; not this one. */
	assert_int_equal(boot_set(w->boot, "pc-001", "mode", "ephemeral", "ctl", &reason), 0);
	for (uint64_t number = 4; number <= 5; number++) {
		world_expect(w, "52:54:00:aa:00:77", "", "", "sanboot", NULL);
		start(w, "52:54:00:aa:00:77", number);
		assert_int_equal(world_read_disk(w, world_lun(w, 0)->disk, 8192), 'o');
		assert_int_equal(world_write_disk(w, world_lun(w, 0)->disk, 8192, 'n', false), 0);
		check_data(w, 1, &data_is);
	}
	world_restart(w);
	/* The machine goes, and leaves it behind. */
	assert_int_equal(boot_remove(w->boot, "pc-001", true, "ctl", &reason), 0);
	assert_int_equal(world_children(w), 2);
	expect(detach(w, "data", NULL, false), -ENOENT, "no machine has volume data");
	expect(attach(w, "data", "pc-002", 9), 0, "as LUN 9");
	start(w, MAC2, 1);
	check_data(w, 9, &data_is);
	expect(detach(w, "data", NULL, false), 0, NULL);
	expect(take_away(w, "data"), 0, NULL);
	assert_int_equal(world_children(w), 1);
}

/* ---- resize, set, remove ---- */

static void test_resize(void **state)
{
	struct world *w = *state;
	struct boot_volume_new what = golden(NULL, "tools", VOLUME_SHARED, "debian");

	make_data(w, NULL, "data");
	assert_int_equal(create(w, &what), 0);
	expect(resize(w, "data", ""), -EINVAL, "size: expected a multiple of 4 KiB");
	expect(resize(w, "data", "0"), -EINVAL, "size: expected");
	expect(resize(w, "data", "5000"), -EINVAL, "size: expected");
	expect(resize(w, "data", "8M"), -EINVAL, "volume data has 16777216 bytes already, and a disk only grows");
	expect(resize(w, "tools", "8M"), -EINVAL, "volume tools is a golden version as it is");
	expect(resize(w, "nothing", "8M"), -ENOENT, "there is no volume nothing");
	expect(resize(w, "data", "20M"), 0, NULL);
	assert_int_equal(disk_bytes(w, "data"), 20 << 20);
	assert_int_equal(world_volume(w, "data").size_bytes, 20 << 20);
	expect(resize(w, "pc-001:0", "6M"), 0, NULL);
	assert_int_equal(world_machine(w, "pc-001").system.size_bytes, 6 << 20);
	assert_int_equal(disk_bytes(w, "pc-001:0"), 6 << 20);
	expect(resize(w, "pc-001:0", "1M"), -EINVAL, "the disk of pc-001 has 6291456 bytes already");
	assert_int_equal(disks_claim(&w->boot->disks, world_volume(w, "data").id), 0);
	expect(resize(w, "data", "24M"), -EBUSY, "somebody else is changing volume data just now");
	disks_unclaim(&w->boot->disks, world_volume(w, "data").id);
	assert_int_equal(disk_bytes(w, "data"), 20 << 20);
	set(w, "data", "size", "24M", 0, NULL);
	assert_int_equal(disk_bytes(w, "data"), 24 << 20);
}

static int fail_volume(struct inventory_tx *tx, void *arg)
{
	struct volume volume;
	int err = volume_find(tx, arg, &volume);

	volume.state = VOLUME_FAILED;
	strcpy(volume.state_reason, "Input/output error");
	return err ? err : volume_update(tx, &volume);
}

static void test_set(void **state)
{
	struct world *w = *state;
	struct volume volume;
	char note[NOTE_TEXT + 1], failed[] = "logs";

	make_data(w, "pc-001", "data");
	make_data(w, "pc-001", "other");
	memset(note, 'n', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	set(w, "data", "colour", "red", -EINVAL,
	    "a volume has no key colour: name, size, quota, physical-block, state, note");
	set(w, "data", "image", "debian", -EINVAL, "a volume has no key image");
	set(w, "data", "kind", "cd", -EINVAL, "a volume has no key kind");
	set(w, "data", "name", "a:b", -EINVAL, "name: expected letters");
	set(w, "data", "name", "", -EINVAL, "name: expected letters");
	set(w, "data", "name", "OTHER", -EEXIST, "there is a volume other already");
	set(w, "data", "quota", "1000", -EINVAL, "quota: expected a size such as 20G");
	set(w, "data", "physical-block", "1024", -EINVAL, "physical-block: expected 4096 or 512");
	set(w, "data", "state", "failed", -EINVAL, "state: only ready can be set");
	set(w, "data", "note", note, -EINVAL, "note: at most 511 bytes");
	set(w, "nothing", "note", "x", -ENOENT, "there is no volume nothing");
	set(w, "pc-001:0", "note", "x", -EINVAL, "is the system volume of a machine");
	set(w, "data", "quota", "20G", 0, NULL);
	set(w, "data", "physical-block", "512", 0, NULL);
	set(w, "data", "note", "logs", 0, NULL);
	set(w, "data", "name", "Data", 0, NULL);
	set(w, "data", "name", "logs", 0, NULL);
	volume = world_volume(w, "logs");
	assert_string_equal(volume.quota, "20G");
	assert_true(volume.physical_512);
	assert_string_equal(volume.note, "logs");
	set(w, "logs", "quota", "policy", 0, NULL);
	assert_string_equal(world_volume(w, "logs").quota, "");
	/* What has failed stays so until somebody says otherwise. */
	assert_int_equal(world_write(w, fail_volume, failed), 0);
	expect(resize(w, "logs", "32M"), -EIO, "volume logs failed: first");
	set(w, "logs", "state", "ready", 0, NULL);
	volume = world_volume(w, "logs");
	assert_int_equal(volume.state, VOLUME_READY);
	assert_string_equal(volume.state_reason, "");
	assert_int_equal(disks_claim(&w->boot->disks, volume.id), 0);
	set(w, "logs", "physical-block", "4096", -EBUSY, "somebody else is changing volume logs");
	disks_unclaim(&w->boot->disks, volume.id);
	assert_true(world_volume(w, "logs").physical_512);
}

static void test_remove(void **state)
{
	struct world *w = *state;
	struct boot_volume_new what = golden("pc-001", "tools", VOLUME_SHARED, "debian");
	struct volume volume;

	assert_int_equal(create(w, &what), 0);
	assert_int_equal(attach(w, "tools", "pc-002", -1), 0);
	make_data(w, NULL, "data");
	expect(take_away(w, "nothing"), -ENOENT, "there is no volume nothing");
	expect(take_away(w, "pc-001:0"), -EINVAL, "is the system volume of a machine");
	expect(take_away(w, "tools"), -EBUSY, "volume tools is attached to pc-002 and others");
	volume = world_volume(w, "data");
	assert_int_equal(disks_claim(&w->boot->disks, volume.id), 0);
	expect(take_away(w, "data"), -EBUSY, "somebody else is changing volume data");
	disks_unclaim(&w->boot->disks, volume.id);
	/* Its machine is gone, its disk not closed yet. */
	assert_int_equal(disks_open_begin(&w->boot->disks, volume.id), 0);
	expect(take_away(w, "data"), -EBUSY, "volume data is being closed just now");
	set(w, "data", "physical-block", "512", -EBUSY, "volume data is being closed just now");
	disks_open_end(&w->boot->disks, volume.id, false);
	assert_int_equal(world_children(w), 3);
	expect(take_away(w, "data"), 0, NULL);
	expect(take_away(w, "data"), -ENOENT, "there is no volume data");
	expect(detach(w, "tools", "pc-001", false), 0, NULL);
	expect(detach(w, "tools", "pc-002", false), 0, NULL);
	expect(take_away(w, "#3"), 0, NULL);
	assert_int_equal(world_children(w), 2);
	assert_int_equal(world_volume_count(w), 0);
	assert_int_equal(world_events(w, "volume-removed"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_create_refused, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_running, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_running_failed, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_resume, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_survives, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_resize, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
