// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Enrolment: see enrol.h. All of it happens inside one write job of the inventory, the making of its disk included, so
 * that two requests of the same new machine make one (jobs run one after the other) and a crash leaves at most an object
 * without a row, which the store removes at the next start.
 */
#include "enrol.h"

#include "base/secret.h"
#include "base/util.h"
#include "inventory/effective.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void enrol_initiator(const char *iqn, char initiator[IQN_MAX_TEXT])
{
	snprintf(initiator, IQN_MAX_TEXT, "%.*s:i", IQN_MAX_TEXT - 3, iqn);
}

const char *enrol_user(const char *iqn)
{
	const char *colon = strrchr(iqn, ':');

	return colon ? colon + 1 : iqn;
}

enum auth_kind enrol_auth(const struct machine *machine, const struct policy *policy)
{
	enum auth_kind auth = machine->auth == AUTH_POLICY ? policy->auth : machine->auth;

	return auth == AUTH_NONE || auth == AUTH_MUTUAL ? auth : AUTH_CHAP;
}

/* Both secrets are made whatever auth says now: it may say something else before the boot is over. */
int enrol_issue_boot(struct inventory_tx *tx, int64_t machine_id, const char *mac, const char *address,
		     struct machine_boot *pending)
{
	struct machine_boot made = { .machine_id = machine_id,
				     .state = MACHINE_BOOT_PENDING,
				     .issued_ms = time_unix_ms() };
	int err;

	_Static_assert(sizeof(made.secret) > BOOT_SECRET_CHARS, "a secret fits into its column");
	secret_text(made.secret, BOOT_SECRET_CHARS);
	secret_text(made.reverse_secret, BOOT_SECRET_CHARS);
	snprintf(made.mac, sizeof(made.mac), "%s", mac);
	snprintf(made.address, sizeof(made.address), "%s", address);
	err = machine_boot_issue(tx, &made);
	if (!err)
		*pending = made;
	return err;
}

int enrol_forget_waiting(struct inventory_tx *tx, const char *mac)
{
	int err = waiting_remove(tx, mac);

	return err == -ENOENT ? 0 : err;
}

struct address_search {
	const char *address;
	bool taken;
};

static int enrol_compare_address(void *arg, const struct machine *machine)
{
	struct address_search *search = arg;

	search->taken = !strcmp(machine->address, search->address);
	return search->taken;
}

int enrol_free_address(struct inventory_tx *tx, const char *address, char out[PARSE_ENDPOINT_TEXT])
{
	struct address_search search = { .address = address };
	int err = 0;

	out[0] = '\0';
	/* Only IPv4: that is what DHCP keeps for it. */
	if (!address[0] || strchr(address, ':'))
		return 0;
	err = machine_each(tx, enrol_compare_address, &search);
	if (err < 0)
		return err;
	if (!search.taken)
		snprintf(out, PARSE_ENDPOINT_TEXT, "%s", address);
	return 0;
}

int enrol_group(struct inventory_tx *tx, const struct policy *policy, struct machine_group *group)
{
	int err = strcmp(policy->group, "none") ? group_by_name(tx, policy->group, group) : -ENOENT;

	if (err == -ENOENT)
		*group = (struct machine_group){ .id = 0 };
	return err == -ENOENT ? 0 : err;
}

static int enrol_fill(struct boot *boot, struct inventory_tx *tx, const struct enrolment *e, struct machine *machine)
{
	char id[BOOT_SHORT_ID + 1];
	int64_t now = time_unix_ms();

	*machine = (struct machine){
		.mode = MODE_GROUP,
		.auth = AUTH_POLICY,
		.group_id = e->group->id,
		.image_inherited = !e->image_named,
		.group = *e->group,
		.created_ms = now,
		.seen_ms = e->unasked ? 0 : now,
		.system = e->made,
	};
	secret_text(id, BOOT_SHORT_ID);
	snprintf(machine->iqn, sizeof(machine->iqn), "%.*s:%s", IQN_MAX_TEXT - 1 - BOOT_SHORT_ID - 3, boot->iqn_prefix,
		 id);
	snprintf(machine->uuid, sizeof(machine->uuid), "%s", e->asker->uuid);
	snprintf(machine->serial, sizeof(machine->serial), "%s", e->asker->serial);
	snprintf(machine->product, sizeof(machine->product), "%s", e->asker->product);
	snprintf(machine->board_serial, sizeof(machine->board_serial), "%s", e->asker->board_serial);
	snprintf(machine->cards, sizeof(machine->cards), "%s", e->asker->cards);
	machine->secure_boot = e->asker->secure_boot;
	machine->setup_mode = e->asker->setup_mode;
	int err = enrol_free_address(tx, e->address, machine->address);

	if (err)
		return err;
	/* Where its group says nothing it keeps what policy says now. */
	if (!e->group->mode[0])
		machine->mode = effective_mode(machine, e->policy);
	if (!e->name)
		return machine_next_name(tx, effective_of(machine, e->policy, EFFECTIVE_NAME_PATTERN).value,
					 machine->name);
	snprintf(machine->name, sizeof(machine->name), "%s", e->name);
	return 0;
}

static int enrol_rows(struct boot *boot, struct inventory_tx *tx, const struct enrolment *e, struct machine *machine)
{
	struct machine_boot pending;
	int err = enrol_fill(boot, tx, e, machine);

	if (!err)
		err = machine_insert(tx, machine, e->asker->mac);
	if (!err && !e->unasked)
		err = enrol_issue_boot(tx, machine->id, e->asker->mac, e->asker->client, &pending);
	if (!err)
		err = enrol_forget_waiting(tx, e->asker->mac);
	if (!err)
		err = event_add(tx, "info", "enrolled", e->actor, machine->id, machine->name,
				"new machine %s%s%s, with %s@%u%s%s",
				e->asker->mac[0] ? e->asker->mac : "without a network card yet",
				e->asker->client[0] ? " at " : "", e->asker->client, e->version->image,
				e->version->number, e->group->id ? ", in group " : "", e->group->name);
	return err;
}

int enrol_machine(struct boot *boot, struct inventory_tx *tx, struct enrolment *e, struct machine *machine,
		  struct reason *reason)
{
	int err = 0;

	reason->text[0] = '\0';
	e->made = (struct volume){ .kind = VOLUME_SYSTEM, .version_id = e->version->id };
	if (e->disk)
		e->made = *e->disk;
	else
		err = store_create_volume(boot->store, &e->made, e->version, e->policy, 0, reason);
	if (err)
		return err;
	err = enrol_rows(boot, tx, e, machine);
	if (e->disk)
		e->made.object[0] = '\0';
	if (err) {
		if (!e->disk)
			store_delete_object(boot->store, &e->made);
		e->made.object[0] = '\0';
		/* Here the database has no room, and -ENOSPC means that the disks have none. */
		if (err == -ENOSPC)
			err = -EIO;
	}
	return err;
}
