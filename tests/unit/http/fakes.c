// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * boot/ as http/ sees it (store/ is in fakes_store.c). boot_request answers at once for MACs that end in 01, from another thread for
 * those that end in 02, and for others when the test says so; those that end in 04 find it busy.
 */
#include "fixture.h"

#include "base/util.h"
#include "boot/retention.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake_boot fake_boot;

struct fake_wait {
	struct fake_wait *next;
	void (*answered)(void *arg, const struct boot_answer *answer);
	void *arg;
};

static pthread_mutex_t waits_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct fake_wait *waits;

static void give_answer(void (*answered)(void *arg, const struct boot_answer *answer), void *arg, int status,
			enum boot_outcome outcome)
{
	struct boot_answer answer = { .status = status, .outcome = outcome };

	buf_init(&answer.script, 4096);
	buf_add_string(&answer.script, "#!ipxe\necho fake\n");
	answered(arg, &answer);
	buf_fini(&answer.script);
}

static void *answer_later(void *arg)
{
	struct fake_wait *wait = arg;

	give_answer(wait->answered, wait->arg, 200, BOOT_WAIT);
	free(wait);
	return NULL;
}

void boot_request(struct boot *boot, const struct boot_ask *ask,
		  void (*answered)(void *arg, const struct boot_answer *answer), void *arg)
{
	size_t len = strlen(ask->mac);
	struct fake_wait *wait;
	pthread_t thread;
	char mac[PARSE_MAC_TEXT];

	(void)boot;
	pthread_mutex_lock(&waits_mutex);
	fake_boot.last_ask = *ask;
	pthread_mutex_unlock(&waits_mutex);
	if (!parse_mac(ask->mac, mac)) {
		give_answer(answered, arg, 400, BOOT_INVALID);
		return;
	}
	if (!strcmp(ask->mac + len - 2, "04")) {
		give_answer(answered, arg, 503, BOOT_BUSY);
		return;
	}
	if (!strcmp(ask->mac + len - 2, "01")) {
		give_answer(answered, arg, 200, BOOT_SANBOOT);
		return;
	}
	wait = calloc(1, sizeof(*wait));
	wait->answered = answered;
	wait->arg = arg;
	if (!strcmp(ask->mac + len - 2, "02") && !pthread_create(&thread, NULL, answer_later, wait)) {
		pthread_detach(thread);
		return;
	}
	pthread_mutex_lock(&waits_mutex);
	wait->next = waits;
	waits = wait;
	pthread_mutex_unlock(&waits_mutex);
}

void fake_boot_answer_all(void)
{
	struct fake_wait *list;

	pthread_mutex_lock(&waits_mutex);
	list = waits;
	waits = NULL;
	pthread_mutex_unlock(&waits_mutex);
	while (list) {
		struct fake_wait *next = list->next;

		give_answer(list->answered, list->arg, 200, BOOT_SANBOOT);
		free(list);
		list = next;
	}
}

unsigned fake_boot_waiting(void)
{
	unsigned count = 0;

	pthread_mutex_lock(&waits_mutex);
	for (struct fake_wait *wait = waits; wait; wait = wait->next)
		count++;
	pthread_mutex_unlock(&waits_mutex);
	return count;
}

int boot_first_script(struct boot *boot, const char *base_url, struct buf *script)
{
	(void)boot;
	buf_printf(script, "#!ipxe\nchain %s/boot\n", base_url);
	return 0;
}

int fake_finish(struct reason *reason)
{
	int err = fake_boot.fail;

	if (err)
		reason_set(reason, "the fake refuses");
	return err;
}

int boot_approve(struct boot *boot, const char *which, const struct boot_approval *how, const char *actor,
		 struct machine *machine, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "approve%s %s name=%s image=%s group=%s by %s",
		 how->shared ? "-shared" : "", which, how->name ? how->name : "-", how->image ? how->image : "-",
		 how->group ? how->group : "-", actor);
	memset(machine, 0, sizeof(*machine));
	snprintf(machine->name, sizeof(machine->name), "%s", how->name ? how->name : "pc-001");
	if (fake_boot.fail_at && strcmp(which, fake_boot.fail_at))
		return 0;
	return fake_finish(reason);
}

int boot_share_mac(struct boot *boot, const char *machine, const char *mac, bool shared, const char *actor,
		   struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "mac %s %s %s by %s", machine,
		 shared ? "share" : "unshare", mac, actor);
	return fake_finish(reason);
}

/* Refuses the one whose name is fail_at. */
int boot_add_machines(struct boot *boot, const struct boot_machine_new *list, unsigned count, bool dry_run,
		      const char *actor, struct machine *machines, unsigned *failed, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "add %u%s by %s", count, dry_run ? " dry" : "",
		 actor);
	for (*failed = 0; *failed < count; ++*failed) {
		const struct boot_machine_new *new = &list[*failed];

		memset(&machines[*failed], 0, sizeof(machines[*failed]));
		snprintf(machines[*failed].name, sizeof(machines[*failed].name), "%s",
			 new->name ? new->name : "pc-001");
		if (fake_boot.fail_at && new->name && !strcmp(new->name, fake_boot.fail_at))
			return fake_finish(reason);
	}
	return fake_boot.fail_at ? 0 : fake_finish(reason);
}

#define SIMPLE(verb, what)                                                                         \
	(void)boot;                                                                                \
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), verb " %s by %s", what, actor); \
	return fake_finish(reason)

int boot_deny(struct boot *boot, const char *mac, const char *actor, struct reason *reason)
{
	SIMPLE("deny", mac);
}

int boot_forget(struct boot *boot, const char *mac, const char *actor, struct reason *reason)
{
	SIMPLE("forget", mac);
}

int boot_release(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	SIMPLE("release", machine);
}

int boot_wake(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	SIMPLE("wake", machine);
}

int boot_reset(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	SIMPLE("reset", machine);
}

int boot_remove(struct boot *boot, const char *machine, bool for_good, const char *actor, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "remove %s%s by %s", machine,
		 for_good ? " for good" : "", actor);
	return fake_finish(reason);
}

int boot_trash_restore(struct boot *boot, const char *which, const char *name, const char *actor,
		       struct machine *machine, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "restore %s as %s by %s", which, name, actor);
	memset(machine, 0, sizeof(*machine));
	snprintf(machine->name, sizeof(machine->name), "%s", name[0] ? name : which);
	return fake_finish(reason);
}

int boot_promote(struct boot *boot, const char *machine, const char *image, const char *snapshot, const char *actor,
		 struct image_version *version, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "promote %s of %s as %s by %s",
		 snapshot ? snapshot : "-", machine, image, actor);
	*version = (struct image_version){ .number = 2 };
	snprintf(version->image, sizeof(version->image), "%s", image);
	return fake_finish(reason);
}

/* One that goes, one that stays. */
static int fake_retention(struct retention *plan, struct reason *reason)
{
	static const struct retention_item items[] = {
		{ .kind = RETENTION_TRASH,
		  .id = 7,
		  .owner = "pc-007",
		  .since_ms = 1000,
		  .bytes = 4096,
		  .due_ms = 2000,
		  .rule = "trash=7d",
		  .why = "its time in the trash is over" },
		{ .kind = RETENTION_VERSION,
		  .id = 3,
		  .owner = "debian",
		  .number = 2,
		  .since_ms = 1000,
		  .rule = "keep-versions=3",
		  .why = "new machines get it" },
	};
	int err = 0;

	*plan = (struct retention){ .now_ms = 1500, .grace_ms = 2000, .due = 1, .due_bytes = 4096 };
	for (unsigned i = 0; i < 2 && !err; i++)
		err = array_append(&plan->list, &plan->count, &items[i], sizeof(items[i]));
	assert(!err);
	return fake_finish(reason);
}

int boot_plan_retention(struct boot *boot, struct retention *plan, struct reason *reason)
{
	(void)boot;
	return fake_retention(plan, reason);
}

int boot_run_retention(struct boot *boot, const char *actor, unsigned limit_ms, struct retention *plan,
		       struct reason *reason)
{
	int err = fake_retention(plan, reason);

	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "retention for %u s by %s", limit_ms / 1000, actor);
	plan->list[0].outcome = RETENTION_GONE;
	plan->gone = 1;
	plan->gone_bytes = 4096;
	return err;
}

void retention_fini(struct retention *plan)
{
	free(plan->list);
}

const char *retention_kind_name(enum retention_kind kind)
{
	return kind == RETENTION_TRASH ? "trash" : "version";
}

int boot_maintenance_begin(struct boot *boot, const char *machine, const char *image, const char *actor,
			   struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "maintenance of %s with %s by %s", machine,
		 image ? image : "-", actor);
	return fake_finish(reason);
}

int boot_maintenance_end(struct boot *boot, const char *machine, bool discard, const char *mode, const char *actor,
			 struct image_version *version, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "end of maintenance of %s%s as %s by %s", machine,
		 discard ? ", given up," : "", mode ? mode : "-", actor);
	*version = (struct image_version){ .number = discard ? 0 : 3 };
	snprintf(version->image, sizeof(version->image), "lab");
	return fake_finish(reason);
}

int boot_clone(struct boot *boot, const char *machine, const struct boot_machine_new *new, const char *snapshot,
	       const char *actor, struct machine *made, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "clone %s of %s as %s with %u MACs, %s, by %s",
		 snapshot ? snapshot : "-", machine, new->name, new->mac_count, new->mac_count ? new->macs[0] : "-",
		 actor);
	*made = (struct machine){ .id = 9 };
	snprintf(made->name, sizeof(made->name), "%s", new->name);
	snprintf(made->iqn, sizeof(made->iqn), "iqn.2026-11.test:nine");
	return fake_finish(reason);
}

int boot_trash_delete(struct boot *boot, const char *which, const char *actor, struct reason *reason)
{
	SIMPLE("delete", which);
}

int boot_swap(struct boot *boot, const char *machine, const char *new_mac, const char *actor, struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "swap %s %s by %s", machine, new_mac, actor);
	return fake_finish(reason);
}

/* What a new name does: from then on the old one is nobody's. */
struct renaming {
	const char *old, *new;
};

static int rename_machine(struct inventory_tx *tx, void *arg)
{
	const struct renaming *names = arg;
	struct machine machine;
	int err = machine_by_name(tx, names->old, &machine);

	if (err)
		return err;
	snprintf(machine.name, sizeof(machine.name), "%s", names->new);
	return machine_update(tx, &machine);
}

static int rename_group(struct inventory_tx *tx, void *arg)
{
	const struct renaming *names = arg;
	struct machine_group group;
	int err = group_by_name(tx, names->old, &group);

	if (err)
		return err;
	snprintf(group.name, sizeof(group.name), "%s", names->new);
	return group_update(tx, &group);
}

int boot_set(struct boot *boot, const char *machine, const char *key, const char *value, const char *actor,
	     struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "set %s %s=%s by %s", machine, key, value, actor);
	if (!strcmp(key, "name"))
		return inventory_write_call(fake_boot.inventory, rename_machine, &(struct renaming){ machine, value });
	return fake_finish(reason);
}

int boot_mac(struct boot *boot, const char *machine, bool add, const char *mac, const char *actor,
	     struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "mac %s %s %s by %s", machine,
		 add ? "add" : "remove", mac, actor);
	return fake_finish(reason);
}

int boot_group_add(struct boot *boot, const char *name, const char *actor, struct reason *reason)
{
	SIMPLE("group-add", name);
}

int boot_group_set(struct boot *boot, const char *name, const char *key, const char *value, const char *actor,
		   struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "group-set %s %s=%s by %s", name, key, value, actor);
	if (!strcmp(key, "name"))
		return inventory_write_call(fake_boot.inventory, rename_group, &(struct renaming){ name, value });
	return fake_finish(reason);
}

int boot_group_remove(struct boot *boot, const char *name, const char *actor, struct reason *reason)
{
	SIMPLE("group-remove", name);
}

void boot_each_entry(struct boot *boot, void (*each)(void *arg, const char *name, const char *title, bool menu),
		     void *arg)
{
	(void)boot;
	each(arg, "rescue", "A rescue system", true);
}

bool boot_templates_are_cdrom(struct boot *boot, const char *templates)
{
	(void)boot;
	return !strcmp(templates, "windows");
}

void boot_each_template(struct boot *boot, void (*each)(void *arg, const char *file), void *arg)
{
	(void)boot;
	each(arg, "/etc/sanbootd/ipxe-scripts/menu.ipxe");
}

void boot_each_problem(struct boot *boot, void (*each)(void *arg, const struct boot_problem *problem), void *arg)
{
	struct boot_problem problem = { .file = "/etc/sanbootd/entries/x.conf",
					.line = 3,
					.why = { "there is no key" } };

	(void)boot;
	each(arg, &problem);
}

void boot_taken(struct boot *boot, const char *mac, const char *token, const char *client,
		void (*answered)(void *arg, int err), void *arg)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "taken %s %s from %s", mac, token, client);
	answered(arg, !strcmp(token, "good") ? 0 : !strcmp(token, "busy") ? -EAGAIN : -ENOENT);
}

int boot_volume_create(struct boot *boot, const struct boot_volume_new *create, const char *actor, int64_t *volume_id,
		       struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "create %s %s on %s lun=%d size=%llu from %s by %s",
		 volume_kind_name(create->kind), create->name ? create->name : "-",
		 create->machine ? create->machine : "-", create->lun, (unsigned long long)create->size_bytes,
		 create->from ? create->from : "-", actor);
	*volume_id = fake_boot.volume_id;
	reason_set(reason, "rescan");
	return fake_finish(reason);
}

int boot_volume_attach(struct boot *boot, const char *volume, const char *machine, int lun, const char *actor,
		       struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "attach %s to %s lun=%d by %s", volume, machine, lun,
		 actor);
	reason_set(reason, "rescan");
	return fake_finish(reason);
}

int boot_volume_detach(struct boot *boot, const char *volume, const char *machine, bool force, const char *actor,
		       struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "detach %s from %s%s by %s", volume,
		 machine ? machine : "-", force ? " by force" : "", actor);
	return fake_finish(reason);
}

int boot_volume_remove(struct boot *boot, const char *volume, const char *actor, struct reason *reason)
{
	SIMPLE("remove-volume", volume);
}

int boot_snapshot_take(struct boot *boot, const char *volume, const char *label, const char *actor,
		       struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "snapshot %s %s by %s", volume, label, actor);
	return fake_finish(reason);
}

int boot_snapshot_restore(struct boot *boot, const char *volume, const char *label, const char *actor,
			  struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "restore %s %s by %s", volume, label, actor);
	return fake_finish(reason);
}

int boot_snapshot_remove(struct boot *boot, const char *volume, const char *label, const char *actor,
			 struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "remove-snapshot %s %s by %s", volume, label, actor);
	return fake_finish(reason);
}

int boot_volume_copy(struct boot *boot, const char *volume, const char *name, const char *actor, int64_t *volume_id,
		     struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "copy %s %s by %s", volume, name, actor);
	*volume_id = fake_boot.volume_id;
	return fake_finish(reason);
}

int boot_volume_set(struct boot *boot, const char *volume, const char *key, const char *value, const char *actor,
		    struct reason *reason)
{
	(void)boot;
	snprintf(fake_boot.last_call, sizeof(fake_boot.last_call), "set-volume %s %s=%s by %s", volume, key, value,
		 actor);
	if (!strcmp(key, "size"))
		reason_set(reason, "grow the file system");
	return fake_finish(reason);
}

bool boot_volume_is_closed(struct boot *boot, int64_t volume_id)
{
	(void)boot;
	return volume_id % 2 == 0 || !fake_boot.running;
}

int boot_list_sessions(struct boot *boot, int64_t machine_id, struct boot_sessions *sessions)
{
	(void)boot;
	if (fake_boot.sessions_err)
		return fake_boot.sessions_err;
	/* Machines with an odd id run; 0 asks for all. */
	sessions->list = calloc(10 * fake_boot.running + 1, sizeof(*sessions->list));
	sessions->count = machine_id == 0 ? 10 * fake_boot.running : machine_id % 2 ? fake_boot.running : 0;
	for (unsigned i = 0; i < sessions->count; i++) {
		sessions->list[i].machine_id = machine_id ? machine_id : 1 + 2 * (i % 10);
		snprintf(sessions->list[i].initiator, sizeof(sessions->list[i].initiator), "iqn.2026-11.test:i");
		snprintf(sessions->list[i].address, sizeof(sessions->list[i].address), "10.0.0.%u:3000", i + 1);
		sessions->list[i].boot = 1;
	}
	return 0;
}

/* ---- stages ---- */

void boot_seen_fetch(struct boot *boot, const char *address, const char *file)
{
	(void)boot;
	snprintf(fake_boot.last_fetch, sizeof(fake_boot.last_fetch), "%s by %s", file, address);
}

const char *boot_stage_hint(enum stage stage, const char *why)
{
	(void)why;
	return stage == STAGE_SCRIPT ? "do this" : "";
}

unsigned boot_arriving(struct boot *boot, const char *mac, struct stage_record records[STAGE_WAITED + 1])
{
	(void)boot;
	(void)mac;
	records[0] = fake_boot.arriving;
	return fake_boot.arriving.at_ms ? 1 : 0;
}

unsigned boot_last_hour(struct boot *boot, struct activity out[BOOT_HOUR])
{
	(void)boot;
	out[0] = (struct activity){ .at_ms = 1000, .running = 2, .boots = 1, .read_bytes = 4096 };
	return 1;
}

void boot_turns(struct boot *boot, unsigned *booting, unsigned *waiting)
{
	(void)boot;
	*booting = 3;
	*waiting = 4;
}

/* ---- what boots need ---- */

uint64_t boot_read_ahead_bytes(struct boot *boot)
{
	(void)boot;
	return 68000000;
}

/* ---- rehearsals: one that names the key fake_boot.refused is refused ---- */

static int rehearse(const struct boot_setting *settings, unsigned count, struct reason *reason)
{
	for (unsigned i = 0; i < count; i++)
		if (fake_boot.refused && !strcmp(settings[i].key, fake_boot.refused))
			return reason_refuse(reason, -EINVAL, "there is no key %s", settings[i].key);
	return 0;
}

int boot_rehearse_set(struct boot *boot, const char *machine, const struct boot_setting *settings, unsigned count,
		      struct reason *reason)
{
	(void)boot;
	(void)machine;
	return rehearse(settings, count, reason);
}

int boot_rehearse_group_set(struct boot *boot, const char *name, bool add, const struct boot_setting *settings,
			    unsigned count, struct reason *reason)
{
	(void)boot;
	(void)name;
	(void)add;
	return rehearse(settings, count, reason);
}

int boot_rehearse_volume_set(struct boot *boot, const char *volume, const struct boot_setting *settings, unsigned count,
			     struct reason *reason)
{
	(void)boot;
	(void)volume;
	return rehearse(settings, count, reason);
}
