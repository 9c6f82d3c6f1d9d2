// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: machines, and those that wait for a person. What the inventory knows is read in one job; sessions (asked of the I/O loops) and
 * files are looked up after it, outside of any transaction.
 */
#include "http/api_machines.h"

#include "base/util.h"
#include "boot/boot.h"
#include "disk/disk.h"
#include "http/api_maintenance.h"
#include "http/api_snapshots.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "inventory/effective.h"
#include "inventory/rollout.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MACHINES_MAX = 10000, BOOTS_SHOWN = 10, EVENTS_SHOWN = 30, DISK_BLOCK = 512, CD_BLOCK = 2048 };

struct machine_ref {
	int64_t id;
	struct volume system;
	json_t *json; /* borrowed from the array */
};

/* A volume of a machine whose files are looked at, too. */
struct lun_ref {
	struct volume volume;
	json_t *json; /* borrowed */
};

/* Which of all machines; NULL, 0: no matter. */
struct machines_filter {
	const char *state, *group, *after;
	char image[NAME_MAX_TEXT];
	unsigned version; /* of image; 0: any */
	unsigned limit;	  /* at once */
	int64_t group_id; /* group's; 0: in none */
	unsigned count;	  /* so many were taken */
	bool more;	  /* and there are others */
};

struct machines_job {
	struct inventory_job job;
	const char *which;		/* NULL: all */
	struct machines_filter *filter; /* NULL: no matter */
	bool detail, secrets;
	struct inventory_tx *tx;
	struct policy policy;
	json_t *machines;
	struct machine_ref *refs;
	unsigned count;
	struct lun_ref *luns; /* where detail is asked for */
	unsigned lun_count;
	json_t *machine_luns;	    /* of the machine at hand; borrowed */
	bool by_group[LUN_MAX + 1]; /* likewise: which of them it has by its group */
	int64_t sized_id;	    /* the version that was looked up last: a whole room may share it */
	uint64_t sized_bytes;
};

static int add_mac(void *arg, const char *mac)
{
	return json_array_append_new(arg, json_string(mac)) ? -ENOMEM : 0;
}

struct boots_arg {
	struct inventory_tx *tx;
	json_t *boots;
	bool secrets, detail;
	json_t *shown;	 /* the newest boot that has a timeline; borrowed */
	int64_t last_ms; /* when the last boot that began did so */
};

static int name_ran_version(struct inventory_tx *tx, const struct machine_boot *boot, json_t *json)
{
	char name[NAME_MAX_TEXT + 16] = "";
	struct image_version version;
	int err = boot->ran_version_id ? version_by_id(tx, boot->ran_version_id, &version) : -ENOENT;

	if (!err)
		snprintf(name, sizeof(name), "%s@%u", version.image, version.number);
	json_object_set_new(json, "image", json_text_or_null(name));
	return err == -ENOENT ? 0 : err;
}

static int add_boot(void *arg, const struct machine_boot *boot)
{
	struct boots_arg *boots = arg;
	json_t *json = api_machine_boot_json(boot, boots->secrets);
	int err;

	if (boot->started_ms > boots->last_ms)
		boots->last_ms = boot->started_ms;
	if (json_array_append_new(boots->boots, json))
		return -ENOMEM;
	err = api_timeline(boots->tx, boot, json);
	if (!err && boots->detail)
		err = name_ran_version(boots->tx, boot, json);
	if (!boots->shown && json_array_size(json_object_get(json, "timeline")))
		boots->shown = json;
	return err;
}

static int add_event(void *arg, const struct event *event)
{
	return json_array_append_new(arg, api_event_json(event)) ? -ENOMEM : 0;
}

static void set_version(json_t *json, const struct image_version *version)
{
	char name[NAME_MAX_TEXT + 16];

	snprintf(name, sizeof(name), "%s@%u", version->image, version->number);
	json_object_set_new(json, "image", json_string(name));
	json_object_set_new(json, "image_name", json_string(version->image));
	json_object_set_new(json, "image_version", json_integer(version->number));
	json_object_set_new(json, "image_published", version->newest ? json_integer(version->newest) : json_null());
	json_object_set_new(json, "outdated", json_boolean(version_is_outdated(version)));
}

/* What a rollout gives it at its next boot. */
static int add_rollout(struct inventory_tx *tx, const struct machine *machine, json_t *json)
{
	struct rollout_next next;
	int err = rollout_next(tx, machine, &next);

	if (err)
		return err;
	json_object_set_new(json, "next_image", json_text_or_null(next.name));
	if (next.rollout_id || next.has)
		json_object_set_new(json, "outdated", json_boolean(next.rollout_id));
	return 0;
}

/* Its image by itself is the version that its disk was made from. */
static json_t *effective_json(const struct machine *machine, const struct policy *policy, enum effective_key key,
			      const json_t *json)
{
	struct effective effective = effective_of(machine, policy, key);
	json_t *one;

	one = json_pack("{s:o, s:s}", "value",
			effective.value[0] ? http_text_json(effective.value) :
					     json_string(api_text(json, "image_name")),
			"from", effective_from_name(effective.from));
	if (effective.from == FROM_GROUP)
		json_object_set_new(one, "group", json_string(machine->group.name));
	return one;
}

/* What holds for it, and who says so. Where it may be somebody else, the member of the key's name is what holds, too. */
static void add_effective(const struct machine *machine, const struct policy *policy, json_t *json)
{
	json_t *all = json_object();

	json_object_set_new(json, "group", json_text_or_null(machine->group.name));
	json_object_set_new(json, "boot_own", json_text_or_null(machine->boot));
	json_object_set_new(json, "boot_file_set_own", json_text_or_null(machine->boot_file_set));
	json_object_set_new(json, "templates_own", json_text_or_null(machine->templates));
	json_object_set_new(json, "mode_own",
			    machine->mode == MODE_GROUP ? json_null() : json_string(machine_mode_name(machine->mode)));
	for (enum effective_key key = 0; key < EFFECTIVE_KEYS; key++)
		if (key != EFFECTIVE_NAME_PATTERN)
			json_object_set_new(all, effective_key_name(key), effective_json(machine, policy, key, json));
	json_object_set_new(json, "boot", json_string(effective_of(machine, policy, EFFECTIVE_BOOT).value));
	json_object_set_new(json, "boot_file_set",
			    json_string(effective_of(machine, policy, EFFECTIVE_BOOT_FILE_SET).value));
	json_object_set_new(json, "templates", json_string(effective_of(machine, policy, EFFECTIVE_TEMPLATES).value));
	json_object_set_new(json, "ring", json_string(effective_of(machine, policy, EFFECTIVE_RING).value));
	json_object_set_new(json, "ring_own", json_text_or_null(machine->ring));
	json_object_set_new(json, "mode", json_string(machine_mode_name(effective_mode(machine, policy))));
	json_object_set_new(json, "effective", all);
}

static int keep_lun(struct machines_job *machines, const struct volume *volume, json_t *json)
{
	const struct lun_ref ref = { .volume = *volume, .json = json };

	return array_append(&machines->luns, &machines->lun_count, &ref, sizeof(ref));
}

static uint64_t shared_bytes(struct machines_job *machines, int64_t version_id)
{
	struct image_version version;

	if (machines->sized_id != version_id) {
		machines->sized_bytes = version_by_id(machines->tx, version_id, &version) ? 0 : version.size_bytes;
		machines->sized_id = version_id;
	}
	return machines->sized_bytes;
}

static int take_by_group(void *arg, const struct group_lun *lun)
{
	bool *by_group = arg;

	by_group[lun->lun] = true;
	return 0;
}

/* Sizes as the inventory has them; that of a system volume is read from its file. */
static int add_lun(void *arg, unsigned lun, const struct volume *volume)
{
	struct machines_job *machines = arg;
	const bool cd = volume->kind == VOLUME_CD;
	const bool read_only = volume_kind_is_read_only(volume->kind);
	uint64_t bytes =
		volume_kind_is_shared(volume->kind) ? shared_bytes(machines, volume->version_id) : volume->size_bytes;
	json_t *json;

	json = json_pack("{s:i, s:s, s:I, s:i, s:i, s:o, s:s, s:I, s:b, s:s}", "lun", (int)lun, "kind",
			 cd ? "cd-rom" : "disk", "bytes", (json_int_t)bytes, "block_bytes", cd ? CD_BLOCK : DISK_BLOCK,
			 "physical_block_bytes",
			 cd		      ? CD_BLOCK :
			 volume->physical_512 ? 512 :
						4096,
			 "volume", json_text_or_null(volume->name), "volume_kind", volume_kind_name(volume->kind),
			 "volume_id", (json_int_t)volume->id, "read_only", read_only, "state",
			 volume->state == VOLUME_FAILED ? "failed" : "ready");
	json_object_set_new(json, "by_group", json_boolean(machines->by_group[lun]));
	if (json_array_append_new(machines->machine_luns, json))
		return -ENOMEM;
	return machines->detail && lun && volume->object[0] ? keep_lun(machines, volume, json) : 0;
}

/* The parts of a machine that lie in other tables. */
static int add_relations(struct machines_job *machines, const struct machine *machine, json_t *json)
{
	struct boots_arg boots = {
		.tx = machines->tx, .boots = json_array(), .secrets = machines->secrets, .detail = machines->detail
	};
	json_t *macs = json_array(), *shared = json_array(), *events;
	struct image_version version;
	int err;

	json_object_set_new(json, "macs", macs);
	json_object_set_new(json, "shared_macs", shared);
	json_object_set_new(json, "other_macs", api_cards_json(machine->cards));
	err = machine_each_mac(machines->tx, machine->id, MAC_ANY, add_mac, macs);
	if (!err)
		err = machine_each_mac(machines->tx, machine->id, MAC_SHARED, add_mac, shared);
	if (!err)
		err = machine_boot_each(machines->tx, machine->id, machines->detail ? BOOTS_SHOWN : 2, add_boot,
					&boots);
	json_object_set_new(json, "last_boot_ms", json_time_or_null(boots.last_ms));
	json_object_set_new(json, "stuck",
			    json_incref(boots.shown ? json_object_get(boots.shown, "stuck") : json_null()));
	if (machines->detail) {
		json_t *timeline = boots.shown ? json_object_get(boots.shown, "timeline") : NULL;

		json_object_set_new(json, "timeline", timeline ? json_incref(timeline) : json_array());
		json_object_set(json, "boots", boots.boots);
	}
	json_decref(boots.boots);
	if (!err)
		err = api_set_maintenance(machines->tx, machine, json);
	machines->machine_luns = json_array();
	json_object_set_new(json, "luns", machines->machine_luns);
	memset(machines->by_group, 0, sizeof(machines->by_group));
	if (!err && machine->group_id)
		err = group_lun_each(machines->tx, machine->id, 0, take_by_group, machines->by_group);
	if (!err)
		err = attachment_each(machines->tx, machine->id, add_lun, machines);
	if (err)
		return err;
	if (!version_by_id(machines->tx, machine->system.version_id, &version))
		set_version(json, &version);
	add_effective(machine, &machines->policy, json);
	err = add_rollout(machines->tx, machine, json);
	if (err || !machines->detail)
		return err;
	events = json_array();
	json_object_set_new(json, "events", events);
	if (machines->secrets) {
		const char *colon = strrchr(machine->iqn, ':');

		json_object_set_new(json, "user",
				    json_string(colon ? colon + 1 :
							machine->iqn)); /* CHAP's name: the target's short id */
	}
	return event_each(machines->tx, -1, machine->id, EVENTS_SHOWN, add_event, events);
}

static bool image_fits(struct machines_job *machines, const struct machine *machine)
{
	const struct machines_filter *filter = machines->filter;
	struct image_version version;

	if (!filter->image[0])
		return true;
	return !version_by_id(machines->tx, machine->system.version_id, &version) &&
	       !strcmp(version.image, filter->image) && (!filter->version || filter->version == version.number);
}

/* A state is not known yet: where one is asked for, the page is cut later. */
static bool filter_takes(struct machines_job *machines, const struct machine *machine)
{
	struct machines_filter *filter = machines->filter;

	if (!filter)
		return true;
	if ((filter->after && strcasecmp(machine->name, filter->after) <= 0) ||
	    (filter->group && machine->group_id != filter->group_id) || !image_fits(machines, machine))
		return false;
	if (filter->limit && !filter->state && filter->count == filter->limit) {
		filter->more = true;
		return false;
	}
	filter->count++;
	return true;
}

static int filter_find_group(struct inventory_tx *tx, struct machines_filter *filter)
{
	struct machine_group group = { .id = 0 };
	int err =
		filter && filter->group && strcmp(filter->group, "none") ? group_by_name(tx, filter->group, &group) : 0;

	if (!err && filter)
		filter->group_id = group.id;
	return err;
}

static int add_machine(void *arg, const struct machine *machine);

static int add_if_wanted(void *arg, const struct machine *machine)
{
	struct machines_job *machines = arg;

	if (filter_takes(machines, machine))
		return add_machine(arg, machine);
	return machines->filter->more; /* no need to look at the rest */
}

static int add_machine(void *arg, const struct machine *machine)
{
	struct machines_job *machines = arg;
	json_t *json = api_machine_json(machine);
	const struct machine_ref ref = { .id = machine->id, .system = machine->system, .json = json };
	int err = json_array_append_new(machines->machines, json) ? -ENOMEM : 0;

	if (!err)
		err = array_append(&machines->refs, &machines->count, &ref, sizeof(ref));
	return err ? err : add_relations(machines, machine, json);
}

static int run_machines(struct inventory_tx *tx, struct inventory_job *job)
{
	struct machines_job *machines = container_of(job, struct machines_job, job);
	struct machine machine;
	int err;

	machines->tx = tx;
	err = policy_get(tx, &machines->policy);
	if (err)
		return err;
	if (machines->which) {
		err = machine_find(tx, machines->which, &machine);
		return err ? err : add_machine(machines, &machine);
	}
	err = filter_find_group(tx, machines->filter);
	if (!err)
		err = machine_each(tx, add_if_wanted, machines);
	return err < 0 ? err : 0;
}

/* ---- after the transaction ---- */

/* Those of sessions that are this machine's. */
static void add_sessions(const struct machine_ref *ref, const struct boot_sessions *sessions)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < sessions->count; i++)
		if (sessions->list[i].machine_id == ref->id)
			json_array_append_new(list, api_session_json(&sessions->list[i]));
	json_object_set_new(ref->json, "sessions", list);
	if (json_array_size(list) && strcmp(api_text(ref->json, "state"), "failed"))
		json_object_set_new(ref->json, "state", json_string("running"));
}

static void set_bytes(json_t *lun, const struct volume_info *info, bool detail)
{
	json_object_set_new(lun, "bytes", json_integer((json_int_t)info->virtual_bytes));
	if (detail)
		json_object_set_new(lun, "allocated_bytes", json_integer((json_int_t)info->allocated_bytes));
}

static void add_disk(struct http *http, const struct machine_ref *ref, bool detail)
{
	struct volume_info info;
	json_t *disk, *lun;
	int err = store_volume_info(http->config.store, &ref->system, NULL, &info);

	disk = json_pack("{s:s, s:s, s:I, s:I, s:b, s:i}", "path", info.path, "format", info.format, "virtual_bytes",
			 (json_int_t)info.virtual_bytes, "allocated_bytes", (json_int_t)info.allocated_bytes, "clean",
			 !err && info.clean && boot_volume_is_closed(http->config.boot, ref->system.id), "depth",
			 (int)info.depth);
	json_set_file_error(disk, err);
	json_object_set_new(ref->json, "disk", disk);
	/* The system volume is its LUN 0, and the first. */
	lun = json_array_get(json_object_get(ref->json, "luns"), 0);
	if (err)
		json_object_set_new(lun, "bytes", json_null()); /* not known */
	else
		set_bytes(lun, &info, detail);
}

static void add_snapshots(struct http *http, const struct machine_ref *ref)
{
	char volume[32];
	json_t *list;

	snprintf(volume, sizeof(volume), "#%lld", (long long)ref->system.id);
	if (!api_snapshots(http, volume, &list))
		json_object_set_new(ref->json, "snapshots", list);
}

static void add_lun_sizes(struct http *http, const struct machines_job *machines)
{
	for (unsigned i = 0; i < machines->lun_count; i++) {
		struct volume_info info;

		if (!store_volume_info(http->config.store, &machines->luns[i].volume, NULL, &info))
			set_bytes(machines->luns[i].json, &info, true);
	}
}

/* Whether it is a CD-ROM is up to what lies in its templates' folder. templates: what was looked at last. */
static void set_who_am_i(struct http *http, json_t *machine, char templates[NAME_MAX_TEXT], bool *cdrom)
{
	const char *its = api_text(machine, "templates");
	json_t *lun;
	size_t i;

	json_array_foreach(json_object_get(machine, "luns"), i, lun) {
		if (strcmp(api_text(lun, "volume_kind"), volume_kind_name(VOLUME_WHO_AM_I)))
			continue;
		if (strcmp(its, templates)) {
			*cdrom = boot_templates_are_cdrom(http->config.boot, its);
			snprintf(templates, NAME_MAX_TEXT, "%s", its);
		}
		if (*cdrom) {
			json_object_set_new(lun, "kind", json_string("cd-rom"));
			json_object_set_new(lun, "block_bytes", json_integer(CD_BLOCK));
			json_object_set_new(lun, "physical_block_bytes", json_integer(CD_BLOCK));
		}
	}
}

static int read_machines(struct http *http, const char *which, struct machines_filter *filter, bool detail,
			 bool secrets, json_t **machines)
{
	struct machines_job job = { .job.run = run_machines,
				    .which = which,
				    .filter = filter,
				    .detail = detail,
				    .secrets = secrets,
				    .machines = json_array() };
	int err = inventory_read_wait(http->config.inventory, &job.job);
	char templates[NAME_MAX_TEXT] = "";
	struct boot_sessions sessions;
	struct http_facts facts;
	bool cdrom = false;
	json_t *portals;

	/* One question for all of them: each costs a round trip through every I/O loop. */
	if (!err)
		err = boot_list_sessions(http->config.boot, job.count == 1 ? job.refs[0].id : 0, &sessions);
	if (err) {
		json_decref(job.machines);
		free(job.refs);
		free(job.luns);
		return err;
	}
	api_get_facts(http, &facts);
	portals = api_portals(&facts);
	for (unsigned i = 0; i < job.count; i++) {
		add_sessions(&job.refs[i], &sessions);
		add_disk(http, &job.refs[i], detail);
		if (detail) {
			add_snapshots(http, &job.refs[i]);
			api_arriving(http->config.boot, job.refs[i].json);
		}
		json_object_set(job.refs[i].json, "portals", portals);
		set_who_am_i(http, job.refs[i].json, templates, &cdrom);
	}
	add_lun_sizes(http, &job);
	api_join_leases(&facts.dhcp, job.machines, NULL);
	json_decref(portals);
	api_facts_free(&facts);
	free(sessions.list);
	free(job.refs);
	free(job.luns);
	*machines = job.machines;
	return 0;
}

int api_machines(struct http *http, const char *which, bool detail, bool secrets, json_t **machines)
{
	return read_machines(http, which, NULL, detail, secrets, machines);
}

/* What the query asks for. False, and it is answered, where it is none of what can be asked. */
static bool take_filter(struct request *request, struct machines_filter *filter)
{
	static const char *const known[] = { "state", "group", "image", "limit", "after" };
	const char *image = request_arg(request, "image");
	int64_t limit;

	for (unsigned i = 0; i < request->arg_count; i++) {
		bool found = false;

		for (size_t k = 0; k < array_len(known); k++)
			found = found || !strcmp(request->args[i].key, known[k]);
		if (!found) {
			reply_error(request, 400, "", "machines are asked for by state, group, image, limit and after");
			return false;
		}
	}
	*filter = (struct machines_filter){ .state = request_arg(request, "state"),
					    .group = request_arg(request, "group"),
					    .after = request_arg(request, "after") };
	if (image && !version_name_parse(image, filter->image, &filter->version)) {
		reply_error(request, 400, "", "image: expected NAME or NAME@VERSION");
		return false;
	}
	if (filter->state && strcmp(filter->state, "running") != 0 && strcmp(filter->state, "off") != 0 &&
	    strcmp(filter->state, "failed") != 0) {
		reply_error(request, 400, "", "state: expected running, off or failed");
		return false;
	}
	if (!request_arg_number(request, "limit", 0, 1, MACHINES_MAX, &limit))
		return false;
	filter->limit = (unsigned)limit;
	return true;
}

/* Those in that state, no more of them than a page has. */
static json_t *cut_by_state(struct machines_filter *filter, json_t *machines)
{
	json_t *kept = json_array(), *machine;
	size_t i;

	json_array_foreach(machines, i, machine) {
		if (strcmp(api_text(machine, "state"), filter->state))
			continue;
		if (filter->limit && json_array_size(kept) == filter->limit) {
			filter->more = true;
			break;
		}
		json_array_append(kept, machine);
	}
	json_decref(machines);
	return kept;
}

void handle_machines(struct request *request)
{
	struct machines_filter filter;
	json_t *machines, *json;
	int err;

	if (!take_filter(request, &filter))
		return;
	err = read_machines(request->http, NULL, &filter, false, false, &machines);
	if (err == -ENOENT) {
		reply_error(request, 404, "see the groups with: sanbootctl group list", "there is no group %s",
			    filter.group ? filter.group : "");
		return;
	}
	if (err) {
		reply_errno(request, err, "the machines could not be read", "see sanbootd's log");
		return;
	}
	if (filter.state)
		machines = cut_by_state(&filter, machines);
	json = json_pack("{s:o}", "machines", machines);
	if (filter.limit) {
		const json_t *last = json_array_get(machines, json_array_size(machines) - 1);

		json_object_set_new(json, "next", json_text_or_null(filter.more ? api_text(last, "name") : ""));
	}
	reply_json(request, 200, json);
}

void api_reply_machine(struct request *request, const char *hint)
{
	json_t *machines;
	int err =
		api_machines(request->http, request->params[0], true, request_arg_true(request, "secrets"), &machines);

	if (err == -ENOENT || err == -EINVAL) {
		reply_error(request, 404,
			    "name it by its name or one of its MACs; see them with: sanbootctl machine list",
			    "there is no machine %s", request->params[0]);
	} else if (err == -ENOTUNIQ) {
		reply_error(request, 409, "name the machine; see them with: sanbootctl machine list",
			    "several machines share the MAC address %s", request->params[0]);
	} else if (err) {
		reply_errno(request, err, "the machine could not be read", "see sanbootd's log");
	} else {
		if (hint[0])
			json_object_set_new(json_array_get(machines, 0), "hint", http_text_json(hint));
		reply_json(request, 200, json_incref(json_array_get(machines, 0)));
		json_decref(machines);
	}
}

void handle_machine(struct request *request)
{
	if (request_arg_true(request, "secrets") && request->scope < TOKEN_OPERATOR) {
		reply_error(request, 403, "", "secrets are not for a token of scope viewer");
		return;
	}
	api_reply_machine(request, "");
}
