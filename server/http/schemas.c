// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the API takes and answers: data only. The fields of machines and volumes are the inventory's (inventory/field.h);
 * json.c and api_*.c make the answers, and the tests hold every GET to what stands here.
 */
#include "http/routes.h"

#define MEMBERS(...)                              \
	.members = (const struct schema_member[]) \
	{                                         \
		__VA_ARGS__,                      \
		{                                 \
			0                         \
		}                                 \
	}
/* A member: its name and kinds, and .of = and .help = where there is something to say. */
#define M(name_, kinds_, ...)                               \
	{                                                   \
		.name = name_, .kinds = kinds_, __VA_ARGS__ \
	}

/* ---- general ---- */

const struct schema schema_nothing = { 0 };
const struct schema schema_any = { 0 };
const struct schema schema_empty = { .name = "Empty" };
const struct schema schema_error = {
	.name = "Error",
	MEMBERS(M("error", TEXT, .help = "what is wrong"), M("hint", TEXT, .help = "what to do about it"),
		M("index", NUMBER | OPTIONAL, .help = "of a list that was sent: the entry in question, from 0"),
		M("reason", TEXT | OPTIONAL, .help = "what is wrong with that one")),
};
const struct schema schema_done = {
	.name = "Done",
	MEMBERS(M("denied", TEXT | OPTIONAL), M("released", TEXT | OPTIONAL), M("reset", TEXT | OPTIONAL),
		M("swapped", TEXT | OPTIONAL), M("added", TEXT | OPTIONAL), M("shared", TEXT | OPTIONAL),
		M("unshared", TEXT | OPTIONAL)),
};
const struct schema schema_woken = {
	.name = "Woken", MEMBERS(M("woken", TEXT), M("hint", TEXT, .help = "where the magic packet went"))
};
const struct schema schema_removed = {
	.name = "Removed",
	MEMBERS(M("removed", TEXT | BOOL, .help = "its name"), M("versions", NUMBER | OPTIONAL, .help = "of an image"),
		M("hint", TEXT | OPTIONAL, .help = "how a machine comes back, or what becomes of those of a group")),
};

/* ---- logins and tokens ---- */

const struct schema schema_login = { .name = "Password",
				     MEMBERS(M("password", TEXT)),
				     .example = "{\"password\": \"correct horse\"}" };
const struct schema schema_setup = {
	.name = "Setup",
	MEMBERS(M("token", TEXT, .help = "of the one-time address"), M("password", TEXT)),
	.example = "{\"token\": \"...\", \"password\": \"correct horse\"}",
};
const struct schema schema_user = { .name = "User", MEMBERS(M("user", TEXT)) };
const struct schema schema_password_set = { .name = "PasswordSet",
					    MEMBERS(M("set", BOOL | OPTIONAL),
						    M("user", TEXT | OPTIONAL, .help = "who goes on by cookie")) };
const struct schema schema_token_new = {
	.name = "TokenNew",
	MEMBERS(M("name", TEXT), M("days", NUMBER | OPTIONAL, .help = "1 to 3650, 365 where it is missing"),
		M("scope", TEXT | OPTIONAL,
		  .help = "viewer: look; operator (where it is missing): all but passwords and tokens; administrator")),
	.example = "{\"name\": \"monitoring\", \"scope\": \"viewer\", \"days\": 365}",
};
const struct schema schema_token = { .name = "Token",
				     MEMBERS(M("id", NUMBER), M("name", TEXT), M("token", TEXT), M("scope", TEXT),
					     M("expires_ms", NUMBER)) };
static const struct schema token_listed = {
	.name = "TokenListed",
	MEMBERS(M("id", NUMBER), M("name", TEXT), M("scope", TEXT), M("created_ms", NUMBER),
		M("created_by", TEXT | NOTHING, .help = "null: by an older version"), M("expires_ms", NUMBER | NOTHING),
		M("used_ms", NUMBER | NOTHING, .help = "to the minute; null: not yet")),
};
const struct schema schema_tokens = { .name = "Tokens", MEMBERS(M("tokens", LIST, .of = &token_listed)) };
const struct schema schema_token_end = { .name = "TokenEnd",
					 MEMBERS(M("token", TEXT)),
					 .example = "{\"token\": \"...\"}" };

/* ---- events ---- */

const struct schema schema_events_query = {
	.name = "EventsQuery",
	MEMBERS(M("after", NUMBER | OPTIONAL, .help = "only those behind this id; else the last"),
		M("max", NUMBER | OPTIONAL, .help = "1 to 1000, 100 where it is missing"),
		M("machine", TEXT | OPTIONAL, .help = "only of this machine")),
};
static const struct schema event = {
	.name = "Event",
	MEMBERS(M("id", NUMBER), M("at_ms", NUMBER), M("level", TEXT), M("kind", TEXT), M("actor", TEXT),
		M("machine_id", NUMBER | NOTHING), M("object", TEXT | NOTHING), M("text", TEXT)),
};
const struct schema schema_events = { .name = "Events", MEMBERS(M("events", LIST, .of = &event)) };

const struct schema schema_activity_query = {
	.name = "ActivityQuery",
	MEMBERS(M("span", TEXT | OPTIONAL, .help = "hour (where it is missing) or month")),
};
static const struct schema sample = {
	.name = "Sample",
	MEMBERS(M("at_ms", NUMBER, .help = "the end of the step"), M("running", NUMBER, .help = "machines, at most"),
		M("booting", NUMBER, .help = "likewise"), M("boots", NUMBER, .help = "that began"),
		M("read_bytes", NUMBER), M("written_bytes", NUMBER),
		M("free_bytes", NUMBER | NOTHING, .help = "only in the month")),
};
const struct schema schema_activity = { .name = "Activity",
					MEMBERS(M("step_ms", NUMBER), M("samples", LIST, .of = &sample)) };

/* ---- the server ---- */

static const struct schema boot_file = {
	.name = "BootFile",
	MEMBERS(M("machines", TEXT), M("set", TEXT | NOTHING, .help = "of a boot-file-set; null: the default one"),
		M("file", TEXT), M("starts", TEXT | NOTHING, .help = "where the file is a shim"),
		M("secure_boot", TEXT | NOTHING,
		  .help = "whether it may be on, and what the firmware must trust; null: these machines have none")),
};
static const struct schema missing_file = { .name = "MissingBootFile",
					    MEMBERS(M("machines", TEXT), M("file", TEXT), M("source", TEXT)) };
static const struct schema dhcp_lease = {
	.name = "DhcpLease",
	MEMBERS(M("mac", TEXT), M("address", TEXT), M("name", TEXT), M("expires_ms", NUMBER, .help = "0: never"),
		M("machine", TEXT | NOTHING, .help = "null: not enrolled")),
};
static const struct schema dhcp = {
	.name = "Dhcp",
	MEMBERS(M("mode", TEXT), M("state", TEXT | OPTIONAL, .help = "of dnsmasq"), M("pid", NUMBER | OPTIONAL),
		M("restarts", NUMBER | OPTIONAL), M("message", TEXT | OPTIONAL, .help = "dnsmasq's last words"),
		M("interfaces", LIST | OPTIONAL), M("tftp", BOOL | OPTIONAL),
		M("boot_files", LIST | OPTIONAL, .of = &boot_file),
		M("missing_boot_files", LIST | OPTIONAL, .of = &missing_file),
		M("leases", LIST | OPTIONAL, .of = &dhcp_lease)),
};
static const struct schema machine_counts = { .name = "MachineCounts",
					      MEMBERS(M("total", NUMBER), M("running", NUMBER), M("off", NUMBER),
						      M("failed", NUMBER)) };
static const struct schema image_counts = {
	.name = "ImageCounts", MEMBERS(M("names", NUMBER), M("versions", NUMBER), M("default", TEXT | NOTHING))
};
static const struct schema space = {
	.name = "Space",
	MEMBERS(M("total_bytes", NUMBER), M("free_bytes", NUMBER), M("reserve_bytes", NUMBER),
		M("images_bytes", NUMBER), M("children_bytes", NUMBER)),
};
static const struct schema volume_use = { .name = "VolumeUse", MEMBERS(M("count", NUMBER), M("bytes", NUMBER)) };
static const struct schema sharing = {
	.name = "Sharing",
	MEMBERS(M("full_copies_bytes", NUMBER), M("stored_bytes", NUMBER), M("saved_bytes", NUMBER),
		M("saved_percent", NUMBER)),
};
static const struct schema boot_entry = {
	.name = "Entry", MEMBERS(M("name", TEXT), M("title", TEXT), M("menu", BOOL, .help = "is it in the menu?"))
};
static const struct schema problem = { .name = "Problem",
				       MEMBERS(M("file", TEXT), M("line", NUMBER | NOTHING), M("reason", TEXT)) };
const struct schema schema_status = {
	.name = "Status",
	MEMBERS(M("version", TEXT), M("started_ms", NUMBER), M("now_ms", NUMBER), M("uptime_s", NUMBER),
		M("http", TEXT), M("portals", LIST), M("dhcp", OBJECT, .of = &dhcp),
		M("machines", OBJECT, .of = &machine_counts), M("waiting", NUMBER),
		M("images", OBJECT, .of = &image_counts), M("space", OBJECT, .of = &space),
		M("volumes", MAP, .of = &volume_use, .help = "by kind"), M("snapshots", OBJECT, .of = &volume_use),
		M("sharing", OBJECT, .of = &sharing), M("enrol", TEXT), M("entries", LIST, .of = &boot_entry),
		M("templates", LIST),
		M("problems", LIST, .of = &problem, .help = "files of the site's that are not used, and why"),
		M("warnings", LIST, .help = "what is wrong with where the state directory is")),
};
static const struct schema retention_item = {
	.name = "RetentionItem",
	MEMBERS(M("kind", TEXT, .help = "trash, ephemeral-disk, restore-point, snapshot, version or machine"),
		M("id", NUMBER), M("name", TEXT, .help = "of the machine, the volume or the version"),
		M("label", TEXT | NOTHING, .help = "of a snapshot"), M("since_ms", NUMBER | NOTHING),
		M("bytes", NUMBER, .help = "that come back at once when it goes"),
		M("stood_on", BOOL, .help = "a snapshot: its file goes once nothing stands on it"),
		M("due_ms", NUMBER | NOTHING, .help = "when it goes; null: it stays"),
		M("early", BOOL, .help = "before its time, because room is short"),
		M("rule", TEXT, .help = "for example trash=7d"), M("why", TEXT, .help = "it goes, or stays"),
		M("outcome", TEXT, .help = "of a run: waits, gone or refused")),
};
#define RETENTION_MEMBERS                                                                                              \
	M("now_ms", NUMBER),                                                                                           \
		M("not_before_ms", NUMBER | NOTHING,                                                                   \
		  .help = "a rule was changed: nothing goes by itself before then"),                                   \
		M("total_bytes", NUMBER, .help = "of the file system"), M("free_bytes", NUMBER),                       \
		M("low_bytes", NUMBER, .help = "with less room than that some go early; 0: no such rule"),             \
		M("due", NUMBER, .help = "so many go at the next run, the first of the list"), M("due_bytes", NUMBER), \
		M("items", LIST, .of = &retention_item)
const struct schema schema_retention = { .name = "Retention", MEMBERS(RETENTION_MEMBERS) };
const struct schema schema_retention_run = {
	.name = "RetentionRun",
	MEMBERS(RETENTION_MEMBERS, M("gone", NUMBER), M("gone_bytes", NUMBER), M("refused", NUMBER),
		M("unfinished", BOOL, .help = "there is more to do: ask again")),
};
const struct schema schema_policy = { .name = "Policy", .open = true, .example = "{\"enrol\": \"approve\"}" };

/* ---- machines that wait ---- */

static const struct schema waiting = {
	.name = "Waiting",
	MEMBERS(M("number", NUMBER, .help = "on its screen"), M("mac", TEXT), M("uuid", TEXT | NOTHING),
		M("serial", TEXT | NOTHING), M("product", TEXT | NOTHING), M("other_macs", LIST),
		M("vendor", TEXT | NOTHING, .help = "who made the card, where Debian's ieee-data is installed"),
		M("address", TEXT | NOTHING), M("reason", TEXT),
		M("machine_id", NUMBER | NOTHING, .help = "that it may replace, or is in conflict with"),
		M("machine", TEXT | OPTIONAL, .help = "its name"), M("first_ms", NUMBER), M("seen_ms", NUMBER)),
};
const struct schema schema_waiting_list = { .name = "WaitingList", MEMBERS(M("waiting", LIST, .of = &waiting)) };
const struct schema schema_mac = { .name = "Mac",
				   MEMBERS(M("mac", TEXT)),
				   .example = "{\"mac\": \"52:54:00:12:34:56\"}" };
const struct schema schema_mac_set = { .name = "MacSet",
				       MEMBERS(M("shared", BOOL, .help = "several machines may have it")),
				       .example = "{\"shared\": true}" };
const struct schema schema_approve = {
	.name = "Approve",
	MEMBERS(M("macs", LIST | OPTIONAL), M("numbers", LIST | OPTIONAL), M("mac", TEXT | OPTIONAL),
		M("all", BOOL | OPTIONAL, .help = "all that wait for approval"),
		M("shared", BOOL | OPTIONAL,
		  .help = "of a conflict: another machine at the same dock or adapter, whose MAC is shared from now on"),
		M("name", TEXT | OPTIONAL, .help = "of the one that is approved"),
		M("image", TEXT | OPTIONAL, .help = "else its group's, or the default one"),
		M("group", TEXT | OPTIONAL, .help = "else as policy says; none: in none")),
	.example = "{\"macs\": [\"52:54:00:12:34:56\"]}",
};
static const struct schema refused = { .name = "NotApproved", MEMBERS(M("which", TEXT), M("error", TEXT)) };
#define MACHINE_OF_SYSTEM \
	M("state", TEXT), M("state_reason", TEXT | NOTHING), M("physical_block", NUMBER), M("quota", TEXT)
static const struct schema new_machine = { .name = "NewMachine",
					   MEMBERS(MACHINE_OF_SYSTEM, M("which", TEXT, .help = "as it was named")),
					   .fields = machine_fields };
const struct schema schema_approved = {
	.name = "Approved", MEMBERS(M("approved", LIST, .of = &new_machine), M("failed", LIST, .of = &refused))
};

/* ---- machines ---- */

static const struct schema stage = { .name = "Stage",
				     MEMBERS(M("stage", TEXT), M("at_ms", NUMBER), M("detail", TEXT)) };
static const struct schema stuck = {
	.name = "Stuck",
	MEMBERS(M("stage", TEXT), M("next", TEXT, .help = "the stage that did not come"), M("since_ms", NUMBER),
		M("why", TEXT), M("hint", TEXT)),
};
static const struct schema boot = {
	.name = "Boot",
	MEMBERS(M("number", NUMBER), M("state", TEXT), M("mac", TEXT | NOTHING), M("address", TEXT | NOTHING),
		M("issued_ms", NUMBER | NOTHING), M("started_ms", NUMBER | NOTHING), M("ended_ms", NUMBER | NOTHING),
		M("interrupted", BOOL),
		M("image", TEXT | NOTHING | OPTIONAL, .help = "of one machine: the version it ran on"),
		M("secret", TEXT | NOTHING | OPTIONAL), M("reverse_secret", TEXT | NOTHING | OPTIONAL),
		M("timeline", LIST, .of = &stage), M("stuck", OBJECT | NOTHING, .of = &stuck)),
};
static const struct schema lun = {
	.name = "Lun",
	MEMBERS(M("lun", NUMBER), M("kind", TEXT), M("bytes", NUMBER | NOTHING), M("block_bytes", NUMBER),
		M("physical_block_bytes", NUMBER), M("volume", TEXT | NOTHING), M("volume_kind", TEXT),
		M("volume_id", NUMBER), M("read_only", BOOL), M("state", TEXT),
		M("by_group", BOOL, .help = "all machines of its group have it"),
		M("allocated_bytes", NUMBER | OPTIONAL)),
};
static const struct schema session = {
	.name = "Session",
	MEMBERS(M("initiator", TEXT), M("address", TEXT),
		M("portal", TEXT, .help = "of the server, where it logged in"), M("ipxe", BOOL), M("since_ms", NUMBER),
		M("boot", NUMBER), M("bytes_read", NUMBER), M("bytes_written", NUMBER), M("commands", NUMBER)),
};
static const struct schema disk = {
	.name = "Disk",
	MEMBERS(M("path", TEXT), M("format", TEXT), M("virtual_bytes", NUMBER), M("allocated_bytes", NUMBER),
		M("clean", BOOL, .help = "closed: other tools may read it"),
		M("depth", NUMBER, .help = "files that lie one over the other, with its own; 8 at most; 0: not known"),
		M("error", TEXT | OPTIONAL)),
};
static const struct schema lease = { .name = "Lease",
				     MEMBERS(M("address", TEXT), M("expires_ms", NUMBER, .help = "0: never")) };
static const struct schema snapshot = {
	.name = "Snapshot",
	MEMBERS(M("label", TEXT), M("created_ms", NUMBER),
		M("automatic", BOOL, .help = "what was there before a restore or a rollout"),
		M("boot", NUMBER, .help = "a restore point: the boot before which it was taken; 0: it is none"),
		M("left_by", NUMBER, .help = "the ephemeral boot whose disk it was; 0: of none"),
		M("removed", BOOL, .help = "it goes once nothing stands on it"),
		M("current", BOOL, .help = "the disk goes on from it"), M("size_bytes", NUMBER, .help = "of the disk"),
		M("allocated_bytes", NUMBER), M("path", TEXT | NOTHING), M("error", TEXT | OPTIONAL)),
};
const struct schema schema_snapshots = { .name = "Snapshots", MEMBERS(M("snapshots", LIST, .of = &snapshot)) };
const struct schema schema_snapshot_new = { .name = "SnapshotNew",
					    MEMBERS(M("label", TEXT)),
					    .example = "{\"label\": \"before-update\"}" };
const struct schema schema_promote = {
	.name = "Promote",
	MEMBERS(M("image", TEXT, .help = "whose next version it becomes, or a new one"),
		M("snapshot", TEXT | OPTIONAL,
		  .help = "what was on its disk then; else what is on it now, while it is off")),
	.example = "{\"image\": \"lab\"}",
};
const struct schema schema_promoted = { .name = "Promoted",
					MEMBERS(M("version", TEXT), M("published", BOOL),
						M("hint", TEXT, .help = "what to do next")) };
const struct schema schema_machine_clone = {
	.name = "MachineClone",
	MEMBERS(M("name", TEXT, .help = "of the new one"),
		M("macs", LIST | OPTIONAL, .help = "of its network cards; else it gets them later"),
		M("snapshot", TEXT | OPTIONAL,
		  .help = "what was on the disk then; else what is on it now, while it is off")),
	.example = "{\"name\": \"pc-009\", \"macs\": [\"52:54:00:12:34:56\"]}",
};
const struct schema schema_machine_cloned = {
	.name = "MachineCloned",
	MEMBERS(M("name", TEXT), M("iqn", TEXT), M("hint", TEXT, .help = "what to do next")),
};
const struct schema schema_maintenance_begin = {
	.name = "MaintenanceBegin",
	MEMBERS(M("image", TEXT | OPTIONAL,
		  .help = "NAME or NAME@V that it works on; else the newest published version of its own")),
	.example = "{\"image\": \"lab\"}",
};
const struct schema schema_maintenance_end = {
	.name = "MaintenanceEnd",
	MEMBERS(M("discard", BOOL | OPTIONAL, .help = "what it has written is given up"),
		M("mode", TEXT | OPTIONAL, .help = "that it has from now on; else the one that it had")),
	.example = "{\"discard\": false}",
};
const struct schema schema_maintenance_done = {
	.name = "MaintenanceDone",
	MEMBERS(M("machine", TEXT), M("version", TEXT | NOTHING, .help = "what came of it"),
		M("hint", TEXT, .help = "what to do next")),
};
static const struct schema maintenance = {
	.name = "Maintenance",
	MEMBERS(M("since_ms", NUMBER), M("by", TEXT), M("own_mode", TEXT, .help = "that it has again afterwards")),
};
const struct schema schema_snapshot_done = {
	.name = "SnapshotDone",
	MEMBERS(M("snapshot", TEXT | OPTIONAL), M("restored", TEXT | OPTIONAL), M("removed", TEXT | OPTIONAL),
		M("hint", TEXT, .help = "what to know or do next")),
};
static const struct schema effective = {
	.name = "Effective",
	MEMBERS(M("value", TEXT),
		M("from", TEXT, .help = "machine, group, policy, or default: nobody has said anything"),
		M("group", TEXT | OPTIONAL, .help = "which group")),
};
const struct schema schema_machine = {
	.name = "Machine",
	MEMBERS(MACHINE_OF_SYSTEM, M("macs", LIST),
		M("shared_macs", LIST, .help = "those of them that other machines may have, too (a dock's)"),
		M("other_macs", LIST, .help = "of other network cards, as the machine said"),
		M("last_boot_ms", NUMBER | NOTHING), M("stuck", OBJECT | NOTHING, .of = &stuck),
		M("group", TEXT | NOTHING),
		M("maintenance", OBJECT | NOTHING, .of = &maintenance, .help = "its own disk is put aside meanwhile"),
		M("boot_own", TEXT | NOTHING, .help = "what it boots by itself; `boot` may be its group's"),
		M("mode_own", TEXT | NOTHING, .help = "null: `mode` is its group's, or policy's"),
		M("effective", MAP, .of = &effective, .help = "what holds, by key, and who says so"),
		M("boot_file_set_own", TEXT | NOTHING, .help = "likewise of `boot_file_set`"),
		M("templates_own", TEXT | NOTHING, .help = "`templates` may be its group's"),
		M("luns", LIST, .of = &lun), M("image", TEXT | OPTIONAL), M("image_name", TEXT | OPTIONAL),
		M("image_version", NUMBER | OPTIONAL),
		M("image_published", NUMBER | NOTHING | OPTIONAL, .help = "the version that a reset would give it"),
		M("outdated", BOOL | OPTIONAL,
		  .help = "its version is older than what is published, or a rollout gives"),
		M("next_image", TEXT | NOTHING, .help = "what a rollout gives it at its next boot"),
		M("ring_own", TEXT | NOTHING, .help = "`ring` may be its group's"), M("sessions", LIST, .of = &session),
		M("disk", OBJECT, .of = &disk), M("portals", LIST), M("lease", OBJECT | NOTHING, .of = &lease),
		M("timeline", LIST | OPTIONAL, .of = &stage, .help = "of one machine, as what follows"),
		M("snapshots", LIST | OPTIONAL, .of = &snapshot),
		M("hint", TEXT | OPTIONAL, .help = "what to do next, after a change"),
		M("boots", LIST | OPTIONAL, .of = &boot), M("events", LIST | OPTIONAL, .of = &event),
		M("user", TEXT | OPTIONAL, .help = "its name for CHAP, with the secrets")),
	.fields = machine_fields,
};
const struct schema schema_machines = {
	.name = "Machines",
	MEMBERS(M("machines", LIST, .of = &schema_machine, .help = "in the order of their names"),
		M("next", TEXT | NOTHING | OPTIONAL,
		  .help = "with limit: what after takes for the next page; null: this is the last"))
};
const struct schema schema_machines_query = {
	.name = "MachinesQuery",
	MEMBERS(M("state", TEXT | OPTIONAL, .help = "running, off or failed"),
		M("group", TEXT | OPTIONAL, .help = "its name, or none"),
		M("image", TEXT | OPTIONAL, .help = "IMAGE or IMAGE@VERSION"),
		M("limit", NUMBER | OPTIONAL, .help = "1 to 10000 at once"),
		M("after", TEXT | OPTIONAL, .help = "only those whose name comes behind this one")),
};
const struct schema schema_machine_remove = {
	.name = "MachineRemove",
	MEMBERS(M("for_good", BOOL | OPTIONAL, .help = "not into the trash")),
};
static const struct schema trash_entry = {
	.name = "TrashEntry",
	MEMBERS(M("id", NUMBER), M("name", TEXT), M("macs", LIST), M("image", TEXT | NOTHING), M("removed_ms", NUMBER),
		M("removed_by", TEXT),
		M("expires_ms", NUMBER | NOTHING, .help = "when it goes by itself; null: with the next sweep"),
		M("allocated_bytes", NUMBER), M("path", TEXT | NOTHING), M("error", TEXT | OPTIONAL)),
};
const struct schema schema_trash = { .name = "Trash", MEMBERS(M("trash", LIST, .of = &trash_entry)) };
const struct schema schema_trash_restore = {
	.name = "TrashRestore",
	MEMBERS(M("name", TEXT | OPTIONAL, .help = "another one than it had")),
	.example = "{\"name\": \"pc-009\"}",
};
const struct schema schema_trash_restored = { .name = "TrashRestored",
					      MEMBERS(M("restored", TEXT, .help = "its name"), M("hint", TEXT)) };
static const struct schema machine_new = {
	.name = "MachineNew",
	MEMBERS(M("name", TEXT | OPTIONAL, .help = "else by the policy's pattern"), M("macs", LIST),
		M("group", TEXT | OPTIONAL, .help = "else as policy says; none: in none"),
		M("image", TEXT | OPTIONAL, .help = "else its group's, or the default one"),
		M("address", TEXT | OPTIONAL, .help = "IPv4, which it keeps"), M("note", TEXT | OPTIONAL)),
};
const struct schema schema_machines_new = {
	.name = "MachinesNew",
	MEMBERS(M("machines", LIST, .of = &machine_new),
		M("dry_run", BOOL | OPTIONAL, .help = "only say whether it could be done")),
	.example = "{\"machines\": [{\"name\": \"pc-1\", \"macs\": [\"52:54:00:12:34:56\"]}]}",
};
static const struct schema machine_added = { .name = "MachineAdded",
					     MEMBERS(M("name", TEXT), M("iqn", TEXT), M("address", TEXT | NOTHING)) };
const struct schema schema_machines_added = { .name = "MachinesAdded",
					      MEMBERS(M("dry_run", BOOL), M("added", LIST, .of = &machine_added)) };
const struct schema schema_machine_query = { .name = "MachineQuery",
					     MEMBERS(M("secrets", NUMBER | OPTIONAL,
						       .help = "1: with the CHAP secrets of its boots")) };
const struct schema schema_machine_set = {
	.name = "MachineSet",
	MEMBERS(M("image", TEXT | OPTIONAL), M("group", TEXT | OPTIONAL), M("size", TEXT | NUMBER | OPTIONAL),
		M("quota", TEXT | NUMBER | OPTIONAL), M("physical_block", TEXT | NUMBER | OPTIONAL),
		M("state", TEXT | OPTIONAL, .help = "ready")),
	.fields = machine_fields,
	.set = true,
	.open = true,
	.example = "{\"note\": \"third row\"}",
};

/* ---- groups ---- */

const struct schema schema_group = {
	.name = "Group",
	MEMBERS(M("volumes", LIST, .help = "names of shared volumes that all of its machines have"),
		M("machines", NUMBER, .help = "how many"),
		M("hint", TEXT | OPTIONAL, .help = "what a change means for its machines")),
	.fields = group_fields,
};
const struct schema schema_groups = { .name = "Groups", MEMBERS(M("groups", LIST, .of = &schema_group)) };
#define GROUP_VOLUMES M("volumes", TEXT | OPTIONAL, .help = "of shared volumes: tools,office; none")
const struct schema schema_group_new = {
	.name = "GroupNew",
	MEMBERS(GROUP_VOLUMES),
	.fields = group_fields,
	.set = true,
	.open = true,
	.example = "{\"name\": \"lab\", \"image\": \"debian\"}",
};
const struct schema schema_group_set = {
	.name = "GroupSet",
	MEMBERS(GROUP_VOLUMES),
	.fields = group_fields,
	.set = true,
	.open = true,
	.example = "{\"mode\": \"ephemeral\"}",
};

/* ---- images ---- */

static const struct schema version = {
	.name = "ImageVersion",
	MEMBERS(M("name", TEXT), M("version", NUMBER), M("state", TEXT, .help = "draft, test, published or retired"),
		M("note", TEXT | NOTHING), M("publish_at_ms", NUMBER | NOTHING, .help = "when that is planned"),
		M("publish_by", TEXT | NOTHING, .help = "who planned it"), M("file", TEXT), M("format", TEXT),
		M("size_bytes", NUMBER), M("allocated_bytes", NUMBER), M("sha256", TEXT | NOTHING),
		M("data_sha256", TEXT | NOTHING, .help = "of what is not zeroes, where it is mostly that"),
		M("parent", TEXT | NOTHING, .help = "the version that it stands on; it was promoted"),
		M("depth", NUMBER, .help = "files that lie one over the other, with its own"), M("machines", NUMBER),
		M("volumes", NUMBER), M("snapshots", NUMBER), M("created_ms", NUMBER), M("source", TEXT | NOTHING),
		M("warnings", LIST), M("boots_learnt", NUMBER),
		M("boot_bytes", NUMBER, .help = "read ahead for a boot")),
};
const struct schema schema_image = {
	.name = "Image",
	MEMBERS(M("name", TEXT), M("default", BOOL), M("published", NUMBER | NOTHING, .help = "the newest of them"),
		M("machines", NUMBER),
		M("outdated", NUMBER, .help = "how many of these have an older version than is published"),
		M("allocated_bytes", NUMBER), M("versions", LIST, .of = &version)),
};
const struct schema schema_version_set = {
	.name = "ImageVersionSet",
	MEMBERS(M("state", TEXT | OPTIONAL,
		  .help = "draft: nobody gets it; test: who names it does; retired: nobody new does"),
		M("note", TEXT | OPTIONAL)),
	.example = "{\"state\": \"retired\", \"note\": \"its kernel hangs on the old laptops\"}",
};
static const struct schema rollout_step_new = {
	.name = "RolloutStepNew",
	MEMBERS(M("ring", TEXT | OPTIONAL, .help = "machines of this ring"),
		M("percent", NUMBER | OPTIONAL, .help = "or 1 to 100 of all machines of the image"),
		M("at_ms", NUMBER | OPTIONAL, .help = "not before; missing: once the step before has proven itself")),
};
const struct schema schema_publish = {
	.name = "Publish",
	MEMBERS(M("at_ms", NUMBER | OPTIONAL, .help = "later, at this time; 0: no more as was planned; missing: now"),
		M("steps", LIST | OPTIONAL, .of = &rollout_step_new, .help = "a rollout: who gets it first"),
		M("persistent", BOOL | OPTIONAL,
		  .help = "of a rollout: also machines that keep their disk, which becomes a snapshot"),
		M("dry_run", BOOL | OPTIONAL, .help = "only say who would get what when")),
	.example = "{\"at_ms\": 1798761600000}",
};
const struct schema schema_images = { .name = "Images", MEMBERS(M("images", LIST, .of = &schema_image)) };
/* How far an import or export is with what it does just now. */
#define JOB_BYTES                                                                                            \
	M("bytes_done", NUMBER), M("bytes_total", NUMBER, .help = "0: not known"), M("bytes_per_s", NUMBER), \
		M("seconds_left", NUMBER | NOTHING)
const struct schema schema_import_new = {
	.name = "ImportNew",
	MEMBERS(M("path", TEXT | OPTIONAL, .help = "of a file on the server"), M("name", TEXT),
		M("upload", TEXT | OPTIONAL,
		  .help = "instead of path: how the file is called whose bytes are sent next"),
		M("size_bytes", NUMBER | OPTIONAL, .help = "of what is sent, where that is known"),
		M("default", BOOL | OPTIONAL, .help = "new machines get it"),
		M("volume", BOOL | OPTIONAL, .help = "it is for volumes: machines never get it by themselves")),
	.example = "{\"path\": \"/srv/debian.qcow2\", \"name\": \"debian\", \"default\": true}",
};
const struct schema schema_import_begun = { .name = "ImportBegun", MEMBERS(M("import", NUMBER), M("name", TEXT)) };
const struct schema schema_import = {
	.name = "Import",
	MEMBERS(M("import", NUMBER), M("stage", TEXT, .help = "in the end done or failed"), M("name", TEXT),
		M("source", TEXT, .help = "the file"), M("canceled", BOOL, .help = "failed, as somebody wanted"),
		M("percent", NUMBER), JOB_BYTES, M("text", TEXT), M("version", TEXT | NOTHING), M("published", BOOL),
		M("warnings", LIST), M("changes", LIST, .help = "what sealing changed")),
};
const struct schema schema_job = {
	.name = "Job",
	MEMBERS(M("job", NUMBER), M("kind", TEXT, .help = "import or export"),
		M("stage", TEXT, .help = "in the end done or failed"),
		M("name", TEXT, .help = "the image, version or machine"),
		M("file", TEXT, .help = "what is read or written"),
		M("canceled", BOOL, .help = "failed, as somebody wanted"), M("percent", NUMBER), JOB_BYTES,
		M("text", TEXT), M("version", TEXT | NOTHING, .help = "that an import made"), M("published", BOOL),
		M("warnings", LIST), M("changes", LIST, .help = "what sealing changed")),
};
const struct schema schema_jobs = { .name = "Jobs", MEMBERS(M("jobs", LIST, .of = &schema_job)) };
const struct schema schema_job_begun = { .name = "JobBegun", MEMBERS(M("job", NUMBER)) };
const struct schema schema_export_new = {
	.name = "ExportNew",
	MEMBERS(M("image", TEXT | OPTIONAL, .help = "NAME (what is published of it) or NAME@V"),
		M("machine", TEXT | OPTIONAL, .help = "or a machine that is off: its disk"),
		M("path", TEXT, .help = "of the file, on the server"),
		M("format", TEXT, .help = "raw, qcow2, vhdx, vhd, vmdk or vdi"),
		M("force", BOOL | OPTIONAL, .help = "replace what is there")),
	.example = "{\"image\": \"debian@2\", \"path\": \"/srv/exports/debian.vhdx\", \"format\": \"vhdx\"}",
};
const struct schema schema_image_new = {
	.name = "ImageNew",
	MEMBERS(M("name", TEXT), M("size", SCALAR, .help = "such as 64G")),
	.example = "{\"name\": \"windows\", \"size\": \"64G\"}",
};
const struct schema schema_image_made = {
	.name = "ImageMade",
	MEMBERS(M("name", TEXT, .help = "of its version"), M("state", TEXT), M("size_bytes", NUMBER), M("hint", TEXT)),
};
const struct schema schema_import_received = {
	.name = "ImportReceived", MEMBERS(M("import", NUMBER), M("bytes_done", NUMBER, .help = "that have come so far"))
};
const struct schema schema_imports = { .name = "Imports", MEMBERS(M("imports", LIST, .of = &schema_import)) };
static const struct schema rollout_step = {
	.name = "RolloutStep",
	MEMBERS(M("who", TEXT), M("ring", TEXT | NOTHING), M("percent", NUMBER | NOTHING),
		M("at_ms", NUMBER | NOTHING, .help = "not before"), M("begun_ms", NUMBER | NOTHING),
		M("proven_ms", NUMBER | NOTHING, .help = "of the last one that has begun"),
		M("machines", NUMBER, .help = "that no step before it reaches"),
		M("have", NUMBER, .help = "it, of these")),
};
static const struct schema rollout_machine = {
	.name = "RolloutMachine",
	MEMBERS(M("name", TEXT), M("ring", TEXT | NOTHING), M("image", TEXT, .help = "that it has now"),
		M("step", NUMBER | NOTHING, .help = "the first that reaches it, from 1"),
		M("standing", TEXT,
		  .help = "has, gets and goes-back (at its next boot), later, keeps-disk, newer, chosen, outside"),
		M("running", BOOL, .help = "nothing happens to it before its next boot")),
};
static const struct schema rollout_side = {
	.name = "RolloutBoots",
	MEMBERS(M("steady", NUMBER), M("failed", NUMBER),
		M("median_ms", NUMBER | NOTHING, .help = "to a steady system")),
};
static const struct schema rollout_boots = {
	.name = "RolloutCompared", MEMBERS(M("new", OBJECT, .of = &rollout_side), M("old", OBJECT, .of = &rollout_side))
};
static const struct schema rollout_rule = {
	.name = "RolloutRule",
	MEMBERS(M("min_boots", NUMBER), M("drop", NUMBER, .help = "percent"),
		M("wait_s", NUMBER, .help = "that a step has to prove itself"),
		M("brake", TEXT, .help = "stop, or back: machines that have it go back, too")),
};
const struct schema schema_rollout = {
	.name = "Rollout",
	MEMBERS(M("dry_run", BOOL, .help = "nothing was changed"), M("rollout", TEXT, .help = "the version"),
		M("image", TEXT), M("from", TEXT | NOTHING, .help = "the version that was published when it began"),
		M("state", TEXT, .help = "running, stopped, done, undone, replaced"),
		M("why", TEXT | NOTHING, .help = "it was stopped"), M("persistent", BOOL),
		M("back", BOOL, .help = "machines that have it go back"), M("began_ms", NUMBER), M("began_by", TEXT),
		M("ended_ms", NUMBER | NOTHING), M("steps", LIST, .of = &rollout_step),
		M("machines", LIST, .of = &rollout_machine), M("boots", OBJECT, .of = &rollout_boots),
		M("rule", OBJECT, .of = &rollout_rule), M("hint", TEXT)),
};
const struct schema schema_published = {
	.name = "Published",
	MEMBERS(M("published", TEXT | OPTIONAL, .help = "it is"), M("planned", TEXT | OPTIONAL, .help = "it will be"),
		M("not_planned", TEXT | OPTIONAL), M("at_ms", NUMBER | NOTHING | OPTIONAL),
		M("new_machines_get", TEXT | NOTHING | OPTIONAL), M("machines_on_other_versions", NUMBER | OPTIONAL),
		M("ends_rollout", BOOL | OPTIONAL, .help = "these machines get it at their next boot"),
		M("dry_run", BOOL | OPTIONAL, .help = "nothing was changed"),
		M("machines", LIST | OPTIONAL, .of = &rollout_machine, .help = "of a dry run"),
		M("rollout", TEXT | OPTIONAL, .help = "with steps: the version; and what else a Rollout has"),
		M("hint", TEXT)),
};
const struct schema schema_image_default = { .name = "ImageDefault", MEMBERS(M("default", TEXT)) };

const struct schema schema_file_query = { .name = "FileQuery",
					  MEMBERS(M("path", TEXT, .help = "of a file on the server")) };
static const struct schema finding = {
	.name = "Finding",
	MEMBERS(M("code", TEXT), M("severity", TEXT, .help = "stops-boot, risk, clones-clash or hint"),
		M("what", TEXT, .help = "is wrong"), M("todo", TEXT, .help = "about it"),
		M("sealable", BOOL, .help = "sealing the image mends it")),
};
static const struct schema part = {
	.name = "Part",
	MEMBERS(M("name", TEXT), M("holds", TEXT), M("state", TEXT | NOTHING), M("looked_into", BOOL),
		M("bytes", NUMBER | NOTHING)),
};
const struct schema schema_check = {
	.name = "ImageCheck",
	MEMBERS(M("image", TEXT), M("boots", BOOL, .help = "nothing was found that stops every clone"),
		M("system", TEXT | NOTHING, .help = "that is on it"), M("initiator", TEXT | NOTHING),
		M("took_ms", NUMBER), M("findings", LIST, .of = &finding, .help = "the worst first"),
		M("parts", LIST, .of = &part, .help = "what was looked into")),
};

/* ---- volumes ---- */

static const struct schema holder = { .name = "VolumeMachine",
				      MEMBERS(M("machine", TEXT), M("machine_id", NUMBER), M("lun", NUMBER)) };
const struct schema schema_volume = {
	.name = "Volume",
	MEMBERS(M("label", TEXT, .help = "its name, or MACHINE:0"), M("machines", LIST, .of = &holder),
		M("image", TEXT | NOTHING), M("read_only", BOOL), M("virtual_bytes", NUMBER),
		M("allocated_bytes", NUMBER), M("format", TEXT | NOTHING), M("path", TEXT | NOTHING),
		M("clean", BOOL, .help = "closed: other tools may read it"), M("error", TEXT | OPTIONAL),
		M("snapshots", LIST | OPTIONAL, .of = &snapshot, .help = "of one volume"),
		M("hint", TEXT | OPTIONAL, .help = "what to do next, after a change")),
	.fields = volume_fields,
};
const struct schema schema_volumes = { .name = "Volumes", MEMBERS(M("volumes", LIST, .of = &schema_volume)) };
const struct schema schema_volume_new = {
	.name = "VolumeNew",
	MEMBERS(M("machine", TEXT | OPTIONAL, .help = "that gets it"), M("name", TEXT | OPTIONAL),
		M("kind", TEXT | OPTIONAL, .help = "data (where it is missing), shared or cd"),
		M("image", TEXT | OPTIONAL, .help = "what is on it: IMAGE or IMAGE@VERSION"),
		M("size", TEXT | NUMBER | OPTIONAL, .help = "such as 20G, or bytes"),
		M("lun", NUMBER | OPTIONAL, .help = "1 to 255; else the lowest that is free")),
	.example = "{\"machine\": \"pc-001\", \"size\": \"20G\"}",
};
const struct schema schema_volume_set = {
	.name = "VolumeSet", .fields = volume_fields, .set = true, .open = true, .example = "{\"size\": \"40G\"}"
};
const struct schema schema_volume_copy = { .name = "VolumeCopy",
					   MEMBERS(M("name", TEXT)),
					   .example = "{\"name\": \"scratch\"}" };
const struct schema schema_attach = {
	.name = "Attach",
	MEMBERS(M("machine", TEXT), M("lun", NUMBER | OPTIONAL, .help = "1 to 255; else the lowest that is free")),
	.example = "{\"machine\": \"pc-001\"}",
};
const struct schema schema_detach = {
	.name = "Detach",
	MEMBERS(M("machine", TEXT | OPTIONAL, .help = "that loses it, where several have it"),
		M("force", BOOL | OPTIONAL, .help = "also while it is in use")),
	.example = "{\"machine\": \"pc-001\"}",
};
