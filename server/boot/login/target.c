// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Targets: who may log in, and the beginning of a boot; for iSCSI, through main. Called on any loop; each call is one
 * job of the inventory whose answer is posted to the asker's loop. What opens and closes is in open.c.
 *
 * Credentials come from two boots: the current one, unless it was interrupted (invariant 4), and the pending one, whose
 * first login begins it. Under auth=none there are boots too, without secrets: who logs in to a target that nobody
 * asked a script for gets one issued.
 */
#include "boot/internal.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/ask/ask.h"
#include "boot/ask/enrol.h"
#include "boot/ask/want.h"
#include "boot/progress/progress.h"
#include "give.h"
#include "inventory/effective.h"
#include "inventory/snapshot.h"
#include "left_disk.h"
#include "resume.h"
#include "restore_point.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- find ---- */

struct target_find {
	struct boot *boot;
	void (*found)(void *arg, const struct boot_access *access);
	void *arg;
	char iqn[IQN_MAX_TEXT];
	bool issue; /* auth=none, and no boot at all: make one (a write job) */
	struct boot_access access;
	struct inventory_job job;
};

static void find_refuse(struct boot_access *access, uint16_t status, const char *reason)
{
	access->machine_id = 0;
	access->login_status = status;
	reason_set(&access->reason, "%s", reason);
}

static void find_credential(struct boot_credential *c, const struct machine_boot *record, const struct machine *machine,
			    enum auth_kind auth)
{
	c->boot = record->number;
	c->pending = record->state == MACHINE_BOOT_PENDING;
	/* A running machine was told what to prove, or that there is nothing to prove, when it booted. */
	if (!c->pending && record->auth != AUTH_POLICY)
		auth = record->auth;
	c->auth = auth;
	if (auth == AUTH_NONE)
		return;
	snprintf(c->user, sizeof(c->user), "%s", enrol_user(machine->iqn));
	memcpy(c->secret, record->secret, sizeof(c->secret));
	if (auth != AUTH_MUTUAL)
		return;
	snprintf(c->reverse_user, sizeof(c->reverse_user), "sanbootd");
	memcpy(c->reverse_secret, record->reverse_secret, sizeof(c->reverse_secret));
}

/* The boots of a machine; an interrupted one is none. *any: there is a record of some kind. */
static int find_boots(struct inventory_tx *tx, struct target_find *find, const struct machine *machine,
		      enum auth_kind auth, bool *any)
{
	struct machine_boot record;
	int err = machine_boot_current(tx, machine->id, &record);

	*any = err == 0;
	if (!err && !record.interrupted)
		find_credential(&find->access.current, &record, machine, auth);
	if (err && err != -ENOENT)
		return err;
	err = machine_boot_pending(tx, machine->id, &record);
	if (err == -ENOENT && !*any && auth == AUTH_NONE && find->issue)
		err = enrol_issue_boot(tx, machine->id, "", "", &record);
	if (!err) {
		*any = true;
		find_credential(&find->access.pending, &record, machine, auth);
	}
	explicit_bzero(&record, sizeof(record));
	return err == -ENOENT ? 0 : err;
}

static int find_machine(struct inventory_tx *tx, struct target_find *find, const struct machine *machine)
{
	struct boot_access *access = &find->access;
	struct rollout_next next;
	struct policy policy;
	bool any = false;
	int err = policy_get(tx, &policy);

	if (err)
		return err;
	access->machine_id = machine->id;
	access->auth = enrol_auth(machine, &policy);
	access->many = machine->access_many;
	memcpy(access->iqn, machine->iqn, sizeof(access->iqn));
	if (access->auth != AUTH_NONE && !access->many)
		enrol_initiator(machine->iqn, access->initiator);
	err = rollout_next(tx, machine, &next);
	if (err)
		return err;
	presence_set_begins_closed(&find->boot->presence, machine->id,
				   boot_begins_closed(machine, &policy) || next.rollout_id);
	err = find_boots(tx, find, machine, access->auth, &any);
	if (err)
		return err;
	if (machine->system.state == VOLUME_FAILED)
		find_refuse(access, LOGIN_UNAVAILABLE,
			    "its disk failed: a person has to reset the machine or lift that (state=ready)");
	else if (!access->current.boot && !access->pending.boot && any)
		find_refuse(access, LOGIN_FORBIDDEN,
			    "its boot was interrupted by a loss of power of the server: it has to boot again");
	else if (!any && (access->auth != AUTH_NONE || find->issue))
		find_refuse(access, LOGIN_FORBIDDEN,
			    "no boot of this machine is under way: it has to ask for its script first");
	return 0;
}

static int find_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_find *find = container_of(job, struct target_find, job);
	struct machine machine;
	int err;

	memset(&find->access, 0, sizeof(find->access));
	err = machine_by_iqn(tx, find->iqn, &machine);
	if (err == -ENOENT) {
		find_refuse(&find->access, LOGIN_NOT_FOUND, "no machine has this target name");
		return 0;
	}
	return err ? err : find_machine(tx, find, &machine);
}

static void find_done(struct inventory_job *job, int err)
{
	struct target_find *find = container_of(job, struct target_find, job);
	struct boot *boot = find->boot;
	struct boot_access *access = &find->access;

	if (!err && access->machine_id && !access->current.boot && !access->pending.boot && !find->issue) {
		find->issue = true;
		inventory_write(boot->inventory, &find->job);
		return;
	}
	if (err) {
		memset(access, 0, sizeof(*access));
		find_refuse(access, LOGIN_UNAVAILABLE, "the inventory cannot be read");
		log_error("login to %s: %s", find->iqn, strerror(-err));
	}
	find->found(find->arg, access);
	explicit_bzero(find, sizeof(*find));
	free(find);
	in_flight_leave(&boot->in_flight);
}

void boot_target_find(struct boot *boot, const char *iqn, const char *initiator, struct loop *reply_loop,
		      void (*found)(void *arg, const struct boot_access *access), void *arg)
{
	struct target_find *find = alloc_or_abort(sizeof(*find));

	(void)initiator; /* who may log in is in the answer; whoever asks may know that the target exists */
	find->boot = boot;
	find->found = found;
	find->arg = arg;
	/* A name that is too long stays empty, and finds nothing: no IQN is empty. */
	if (strlen(iqn) < sizeof(find->iqn))
		snprintf(find->iqn, sizeof(find->iqn), "%s", iqn);
	find->job = (struct inventory_job){ .run = find_run, .done = find_done, .loop = reply_loop };
	in_flight_enter(&boot->in_flight);
	inventory_read(boot->inventory, &find->job);
}

/* ---- list ---- */

struct target_list {
	struct boot *boot;
	void (*each)(void *arg, const char *iqn, int err);
	void *arg;
	char initiator[IQN_MAX_TEXT];
	struct policy policy;
	char (*iqns)[IQN_MAX_TEXT];
	size_t count, capacity;
	struct inventory_job job;
};

static bool list_may_see(const struct target_list *list, const struct machine *machine)
{
	char initiator[IQN_MAX_TEXT];

	if (machine->access_many || enrol_auth(machine, &list->policy) == AUTH_NONE)
		return true;
	enrol_initiator(machine->iqn, initiator);
	return !strcmp(initiator, list->initiator);
}

static int list_each(void *arg, const struct machine *machine)
{
	struct target_list *list = arg;

	if (!list_may_see(list, machine))
		return 0;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		void *iqns = realloc(list->iqns, capacity * sizeof(*list->iqns));

		if (!iqns)
			return -ENOMEM;
		list->iqns = iqns;
		list->capacity = capacity;
	}
	memcpy(list->iqns[list->count++], machine->iqn, IQN_MAX_TEXT);
	return 0;
}

static int list_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_list *list = container_of(job, struct target_list, job);
	int err = policy_get(tx, &list->policy);

	return err ? err : machine_each(tx, list_each, list);
}

static void list_done(struct inventory_job *job, int err)
{
	struct target_list *list = container_of(job, struct target_list, job);
	struct boot *boot = list->boot;

	if (err)
		log_error("SendTargets: %s", strerror(-err));
	for (size_t i = 0; i < list->count && !err; i++)
		list->each(list->arg, list->iqns[i], 0);
	list->each(list->arg, NULL, err);
	free(list->iqns);
	free(list);
	in_flight_leave(&boot->in_flight);
}

void boot_target_list(struct boot *boot, const char *initiator, struct loop *reply_loop,
		      void (*each)(void *arg, const char *iqn, int err), void *arg)
{
	struct target_list *list = alloc_or_abort(sizeof(*list));

	list->boot = boot;
	list->each = each;
	list->arg = arg;
	if (strlen(initiator) < sizeof(list->initiator))
		snprintf(list->initiator, sizeof(list->initiator), "%s", initiator);
	list->job = (struct inventory_job){ .run = list_run, .done = list_done, .loop = reply_loop };
	in_flight_enter(&boot->in_flight);
	inventory_read(boot->inventory, &list->job);
}

/* ---- begin ---- */

struct target_begin {
	struct boot *boot;
	void (*begun)(void *arg, int err, const char *reason);
	void *arg;
	int64_t machine_id;
	uint64_t number;
	int64_t version_id;	      /* another one than the machine's was chosen in its menu; 0: none */
	struct volume given_up, made; /* ephemeral, chosen, or of a rollout; object "": none */
	struct snapshot left;	      /* ephemeral: what given_up became; id 0: nothing, it goes */
	struct policy policy;
	struct reason reason;
	struct inventory_job job;
};

/* The machine's disk starts anew, from the same version or the one that was chosen in its menu. */
static int begin_renew_system(struct target_begin *begin, struct inventory_tx *tx, struct machine *machine)
{
	struct image_version version;
	int err;

	err = version_by_id(tx, begin->version_id ? begin->version_id : machine->system.version_id, &version);
	if (err)
		return err;
	/* iSCSI closes it first: boot_target_begin_needs_closed told it so. */
	if (!disks_is_closed(&begin->boot->disks, machine->system.id))
		return reason_refuse(&begin->reason, -EBUSY, "the disk of %s is still open", machine->name);
	if (effective_mode(machine, &begin->policy) == MODE_EPHEMERAL)
		err = left_disk_keep(begin->boot, tx, machine, begin->number, &begin->left);
	return err ? err :
		     boot_renew_system(begin->boot, machine, &version, &begin->policy, &begin->made, &begin->given_up,
				       &begin->reason);
}

/* The rule of now is the boot's until it ends. */
static int begin_keep_rule(const struct target_begin *begin, struct inventory_tx *tx, const struct machine *machine)
{
	return machine_boot_set_auth(tx, machine->id, begin->number, enrol_auth(machine, &begin->policy));
}

/*
 * Has another image been chosen for this boot? Its menu offered it only where that destroys nothing; that must still be
 * so.
 */
static int begin_choice(struct target_begin *begin, struct inventory_tx *tx, const struct machine *machine)
{
	struct machine_boot pending;
	int err = machine_boot_pending(tx, machine->id, &pending);

	if (err)
		return err == -ENOENT ? 0 : err; /* machine_boot_begin says what is wrong */
	if (pending.number == begin->number && pending.version_id != machine->system.version_id)
		begin->version_id = pending.version_id;
	explicit_bzero(&pending, sizeof(pending));
	if (!begin->version_id || want_image_is_free(machine, &begin->policy))
		return 0;
	return reason_refuse(&begin->reason, -EEXIST,
			     "the disk of %s holds data of its own, which the chosen image would destroy",
			     machine->name);
}

/* What its disk is in this boot: what was chosen, what a rollout has for it, a new one, or as it was. */
static int begin_system(struct target_begin *begin, struct inventory_tx *tx, struct machine *machine)
{
	bool given = false;
	int err = 0;

	if (!begin->version_id)
		err = boot_give_version(begin->boot, tx, machine, begin->number, &begin->made, &begin->given_up,
					&given);
	if (err || given)
		return err;
	if (effective_mode(machine, &begin->policy) == MODE_EPHEMERAL || begin->version_id)
		return begin_renew_system(begin, tx, machine);
	return boot_take_restore_point(begin->boot, tx, machine, begin->number, &begin->made);
}

static int begin_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_begin *begin = container_of(job, struct target_begin, job);
	struct machine machine;
	int err = machine_by_id(tx, begin->machine_id, &machine);

	if (!err)
		err = policy_get(tx, &begin->policy);
	if (err)
		return err;
	if (disks_is_claimed(&begin->boot->disks, machine.system.id))
		return reason_refuse(&begin->reason, -EBUSY, "somebody is changing the disk of %s just now",
				     machine.name);
	err = begin_choice(begin, tx, &machine);
	if (err)
		return err;
	err = machine_boot_begin(tx, machine.id, begin->number);
	if (!err)
		err = begin_keep_rule(begin, tx, &machine);
	if (err == -ESTALE)
		reason_set(&begin->reason, "boot %llu of %s is not pending any more", (unsigned long long)begin->number,
			   machine.name);
	if (!err)
		err = begin_system(begin, tx, &machine);
	machine.seen_ms = time_unix_ms();
	if (!err)
		err = machine_update(tx, &machine);
	/* Others are used up by what their script says (boot_taken). */
	if (!err && !strcmp(machine.boot_once, "disk"))
		err = want_use_once(tx, &machine);
	if (!err)
		err = machine_boot_set_version(tx, machine.id, begin->number, machine.system.version_id);
	if (!err)
		err = event_add(tx, "info", "boot-started", "machine", machine.id, machine.name,
				"boot %llu has begun%s", (unsigned long long)begin->number,
				begin->left.id		  ? ", with a new disk; the one before is kept for a while" :
				begin->given_up.object[0] ? ", with a new disk" :
				begin->made.object[0]	  ? "; its disk before that is kept" :
							    "");
	return err;
}

static void begin_done(struct inventory_job *job, int err)
{
	struct target_begin *begin = container_of(job, struct target_begin, job);
	struct boot *boot = begin->boot;

	if (!err) {
		presence_note_begun(&boot->presence, begin->machine_id, begin->number);
		progress_begun(boot);
	}
	if (!err && begin->left.id)
		left_disk_settle(boot, &begin->given_up, &begin->left);
	else
		boot_discard_object(boot, err ? &begin->made : &begin->given_up);
	if (err == -ENOSPC && presence_event_due(&boot->presence, begin->machine_id, PRESENCE_SPACE, 1, 60000))
		boot_note(boot, "error", "no-space", "server", begin->machine_id, "no new disk: %s",
			  begin->reason.text);
	reason_default(&begin->reason, err, "the boot could not be recorded: %s", strerror(-err));
	begin->begun(begin->arg, err, begin->reason.text);
	free(begin);
	in_flight_leave(&boot->in_flight);
}

void boot_target_begin(struct boot *boot, int64_t machine_id, uint64_t number, struct loop *reply_loop,
		       void (*begun)(void *arg, int err, const char *reason), void *arg)
{
	struct target_begin *begin = alloc_or_abort(sizeof(*begin));

	begin->boot = boot;
	begin->begun = begun;
	begin->arg = arg;
	begin->machine_id = machine_id;
	begin->number = number;
	begin->job = (struct inventory_job){ .run = begin_run, .done = begin_done, .loop = reply_loop };
	in_flight_enter(&boot->in_flight);
	inventory_write(boot->inventory, &begin->job);
}

/* ---- what is only noted ---- */

bool boot_volume_is_closed(struct boot *boot, int64_t volume_id)
{
	return disks_is_closed(&boot->disks, volume_id);
}

bool boot_target_begin_needs_closed(struct boot *boot, int64_t machine_id)
{
	return presence_begins_closed(&boot->presence, machine_id);
}

void boot_target_session(struct boot *boot, int64_t machine_id, const struct boot_session *session,
			 const char *ended_why)
{
	progress_session(boot, machine_id, session, ended_why);
	resume_session(boot, machine_id, session->boot, !ended_why);
	/* A boot has about four logins; more than this in a minute is a flood. */
	if (!presence_event_due(&boot->presence, machine_id, PRESENCE_SESSION, 40, 60000))
		return;
	if (ended_why)
		boot_note(boot, "info", "session-ended", "machine", machine_id,
			  "session of boot %llu ended: %s at %s: %s; read %llu, wrote %llu bytes",
			  (unsigned long long)session->boot, session->ipxe ? "iPXE" : "the system", session->address,
			  ended_why, (unsigned long long)session->bytes_read,
			  (unsigned long long)session->bytes_written);
	else
		boot_note(boot, "info", "session-began", "machine", machine_id, "session of boot %llu began: %s at %s",
			  (unsigned long long)session->boot, session->ipxe ? "iPXE" : "the system", session->address);
}

void boot_target_refused(struct boot *boot, int64_t machine_id, const char *iqn, const char *initiator,
			 const char *address, const char *why)
{
	char shown_iqn[IQN_MAX_TEXT], shown_initiator[IQN_MAX_TEXT];

	if (machine_id) {
		presence_set_refused(&boot->presence, machine_id, why);
		progress_problem(boot, machine_id, true, "its login was refused: %.200s", why);
	}
	if (!presence_event_due(&boot->presence, machine_id, PRESENCE_REFUSED, 6, 60000))
		return;
	parse_clean_text(iqn, shown_iqn, sizeof(shown_iqn));
	parse_clean_text(initiator, shown_initiator, sizeof(shown_initiator));
	/* A refusal by boot_target_find comes without the machine's id. */
	boot_note_target(boot, "warning", "login-refused", "machine", shown_iqn,
			 "login refused: %s: %.200s, initiator %.100s, target %.100s", address, why,
			 shown_initiator[0] ? shown_initiator : "without a name",
			 shown_iqn[0] ? shown_iqn : "without a name");
}
