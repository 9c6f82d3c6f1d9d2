// SPDX-License-Identifier: GPL-2.0-or-later
/* Everything that sanbootctl can be asked, in one table; and its help, which is made from it. */
#include "ctl/ctl.h"

#include <string.h>

enum { MANY = CTL_ARGS_MAX };

const struct command commands[] = {
	{ "status", "", 0, 0, "what runs, what waits, how much room there is", "sanbootctl status", run_status },

	{ "image build debian", "", 0, 0, "make a golden image from Debian's packages (as root, on the server)",
	  "sanbootctl image build debian --name debian --default\n"
	  "sanbootctl image build debian --name debian-dracut --initramfs dracut\n"
	  "sanbootctl image build debian --name debian-ci --cloud-init\n"
	  "sanbootctl image build debian --name lab --suite bookworm --size 16384 --root-password secret",
	  run_image_build_debian },
	{ "image import", "FILE|-", 1, 1,
	  "take a raw, qcow2, VHD, VHDX, VMDK or VDI file, also packed (gz, xz, zst), or a disk, as golden image",
	  "sanbootctl image import debian.qcow2 --name debian --default\n"
	  "sanbootctl image import - --name debian\n"
	  "sanbootctl --url http://10.0.0.1:8080 image import lab.vhdx.zst --name lab",
	  run_image_import },
	{ "image create", "", 0, 0, "an empty golden image, to install into",
	  "sanbootctl image create --name windows --size 64G", run_image_create },
	{ "image export", "NAME[@V] FILE", 2, 2, "write an image to a file of the server's",
	  "sanbootctl image export debian@2 /srv/exports/debian.vhdx\n"
	  "sanbootctl image export debian /srv/exports/debian.img --format raw --force",
	  run_image_export },
	{ "image jobs", "", 0, 0, "imports and exports: what goes on, what waits, how the last ones ended",
	  "sanbootctl image jobs", run_image_jobs },
	{ "image imports", "", 0, 0, "what is being imported, what waits, how the last ones ended",
	  "sanbootctl image imports", run_image_imports },
	{ "image cancel", "NUMBER", 1, 1, "end an import or export (image jobs has its number): nothing of it stays",
	  "sanbootctl image cancel 3", run_image_cancel },
	{ "image list", "", 0, 0, "golden images, what they cost, who uses them", "sanbootctl image list",
	  run_image_list },
	{ "image show", "NAME[@V]", 1, 1, "all about an image or one of its versions", "sanbootctl image show debian@1",
	  run_image_show },
	{ "image versions", "NAME", 1, 1, "the versions of an image", "sanbootctl image versions debian",
	  run_image_versions },
	{ "image check", "NAME[@V]|FILE", 1, 1,
	  "what would stop it from booting as a clone (a raw file is named with a '/'); exit status 1: something does",
	  "sanbootctl image check debian@2\nsanbootctl image check ./disk.raw", run_image_check },
	{ "image seal", "NAME[@V]", 1, 1,
	  "make the next version without what must differ between machines: ids, keys, names (image check says which)",
	  "sanbootctl image seal debian@1", run_image_seal },
	{ "image publish", "NAME@V", 1, 1,
	  "make a version the one that new machines get, also an older one again; now or at a time; or in rings, with a brake",
	  "sanbootctl image publish debian@2\nsanbootctl image publish debian@2 --at 22:30\n"
	  "sanbootctl image publish debian@2 --ring canary --then 25%,50%@22:00,100% --dry-run",
	  run_image_publish },
	{ "image rings", "NAME", 1, 1,
	  "how far a publication in rings is: steps, machines, the boots that are compared",
	  "sanbootctl image rings debian", run_image_rings },
	{ "image rollout stop", "NAME", 1, 1, "nobody else gets its version; who has it keeps it",
	  "sanbootctl image rollout stop debian", run_rollout_stop },
	{ "image rollout resume", "NAME", 1, 1,
	  "go on with one that was stopped; its boots until now do not count any more",
	  "sanbootctl image rollout resume debian", run_rollout_resume },
	{ "image rollout undo", "NAME", 1, 1,
	  "machines that have its version go back at their next boot, with what they had",
	  "sanbootctl image rollout undo debian", run_rollout_undo },
	{ "image set", "NAME@V KEY=VALUE...", 2, MANY,
	  "change note, state=draft|test|retired (draft: nobody gets it; test: who names it does; retired: nobody new does)",
	  "sanbootctl image set debian@1 state=retired", run_image_set },
	{ "image note", "NAME@V TEXT", 2, 2, "note something about a version; \"\" takes it away",
	  "sanbootctl image note debian@2 new-printer-driver", run_image_note },
	{ "image default", "NAME", 1, 1, "make an image the one that new machines get",
	  "sanbootctl image default debian", run_image_default },
	{ "image remove", "NAME[@V]", 1, 1, "delete an image or a version that no machine uses",
	  "sanbootctl image remove debian@1 --yes", run_image_remove },

	{ "machine list", "", 0, 0, "machines, and those that wait for approval", "sanbootctl machine list",
	  run_machine_list },
	{ "machine show", "M", 1, 1, "all about a machine (its name or one of its MACs)",
	  "sanbootctl machine show pc-001", run_machine_show },
	{ "machine add", "NAME MAC...", 2, MANY, "enrol a machine before it is switched on",
	  "sanbootctl machine add pc-101 52:54:00:12:34:56 --group lab", run_machine_add },
	{ "machine import-csv", "FILE|-", 1, 1,
	  "enrol machines from a list: all of them, or none; its first line names the columns, of name, mac, group, image, "
	  "address, note",
	  "sanbootctl machine import-csv room-101.csv --dry-run\nsanbootctl machine import-csv room-101.csv",
	  run_machine_import_csv },
	{ "machine export-csv", "", 0, 0, "the machines as such a list, on standard output, for a file: > machines.csv",
	  "sanbootctl machine export-csv", run_machine_export_csv },
	{ "machine wake", "[M...]", 0, MANY, "switch machines on, where their firmware allows Wake on LAN",
	  "sanbootctl machine wake pc-101 pc-102\nsanbootctl machine wake --group lab", run_machine_wake },
	{ "machine approve", "MAC...|NUMBER...|--all", 0, MANY,
	  "let waiting machines in; the number is on their screen",
	  "sanbootctl machine approve 3 --name office-1\nsanbootctl machine approve --all", run_machine_approve },
	{ "machine deny", "MAC", 1, 1, "refuse a waiting machine: it boots locally",
	  "sanbootctl machine deny 52:54:00:12:34:56", run_machine_deny },
	{ "machine forget", "MAC|NUMBER", 1, 1, "one that waits or was denied: when it asks again it is a stranger",
	  "sanbootctl machine forget 52:54:00:12:34:56", run_machine_forget },
	{ "machine release", "M", 1, 1, "end the sessions of a machine that is gone",
	  "sanbootctl machine release pc-001", run_machine_release },
	{ "machine set", "M KEY=VALUE...", 2, MANY,
	  "change name, image, mode=persistent|ephemeral|maintenance, auth, access, group, note, size, quota, physical-block, "
	  "boot=disk|cd|local|menu|ENTRY|URL, boot-once=none|..., boot-file-set=default|NAME, templates=none|NAME, ring=none|NAME, "
	  "no-gateway=yes|no, multipath=yes|no, restore-points=N, state=ready; for image, mode, quota, boot, boot-file-set, "
	  "templates, ring and restore-points the word group: as its group says, else policy",
	  "sanbootctl machine set pc-001 name=office-1 note=\"third row\"\n"
	  "sanbootctl machine set pc-001 boot-once=windows-setup\n"
	  "sanbootctl machine set pc-001 templates=cloud-init\n"
	  "sanbootctl machine set pc-001 quota=group mode=group",
	  run_machine_set },
	{ "machine mac add", "M MAC", 2, 2, "another network card of a machine",
	  "sanbootctl machine mac add pc-001 52:54:00:12:34:57", run_machine_mac_add },
	{ "machine mac remove", "M MAC", 2, 2, "a network card that is gone",
	  "sanbootctl machine mac remove pc-001 52:54:00:12:34:57", run_machine_mac_remove },
	{ "machine mac share", "M MAC", 2, 2,
	  "it is of a dock or an adapter that others use, too: from now on it names a machine only with its UUID",
	  "sanbootctl machine mac share pc-001 52:54:00:12:34:57", run_machine_mac_share },
	{ "machine mac unshare", "M MAC", 2, 2, "it is this machine's alone again",
	  "sanbootctl machine mac unshare pc-001 52:54:00:12:34:57", run_machine_mac_unshare },
	{ "machine reset", "M", 1, 1, "an empty disk again, of the newest published version",
	  "sanbootctl machine reset pc-001 --yes", run_machine_reset },
	{ "machine snapshot", "M LABEL", 2, 2, "keep what is on its disk now, under a name; at once, while it is off",
	  "sanbootctl machine snapshot pc-001 before-update", run_snapshot_take },
	{ "machine snapshots", "M", 1, 1, "its snapshots, and what they take", "sanbootctl machine snapshots pc-001",
	  run_snapshot_list },
	{ "machine restore", "M [LABEL]", 1, 2,
	  "go back to a snapshot, or to a time (--to); what is there now is kept as another one",
	  "sanbootctl machine restore pc-001 before-update --yes\n"
	  "sanbootctl machine restore pc-001 --to yesterday --yes",
	  run_snapshot_restore },
	{ "machine snapshot-remove", "M LABEL", 2, 2, "delete a snapshot",
	  "sanbootctl machine snapshot-remove pc-001 before-update --yes", run_snapshot_remove },
	{ "machine export", "M FILE", 2, 2, "write the disk of a machine that is off to a file of the server's",
	  "sanbootctl machine export pc-001 /srv/exports/pc-001.vhdx", run_machine_export },
	{ "machine promote", "M", 1, 1,
	  "make the next version of an image of what is on its disk; at once, while it is off",
	  "sanbootctl machine promote pc-001 --as lab\nsanbootctl machine promote pc-001 --snapshot before-update --as lab",
	  run_machine_promote },
	{ "machine clone", "M NEW [MAC...]", 2, MANY,
	  "another machine with the same on its disk; at once, while M is off, or of a snapshot",
	  "sanbootctl machine clone pc-001 pc-009 52:54:00:12:34:56\n"
	  "sanbootctl machine clone pc-001 pc-009 --snapshot before-update",
	  run_machine_clone },
	{ "machine rescue", "M", 1, 1,
	  "the commands by which other tools look into its disk, while it is off, or into a snapshot (qemu-nbd, on the server)",
	  "sanbootctl machine rescue pc-001\nsanbootctl machine rescue pc-001 --snapshot before-update",
	  run_machine_rescue },
	{ "machine maintenance", "M begin|end", 2, 2,
	  "let it work on the next version of its image, while its own disk is put aside; the end makes a draft of what it wrote",
	  "sanbootctl machine maintenance pc-001 begin\n"
	  "sanbootctl machine maintenance pc-001 end\n"
	  "sanbootctl machine maintenance pc-001 end --discard --yes",
	  run_machine_maintenance },
	{ "machine swap", "M NEW-MAC", 2, 2, "give the disk to the hardware that replaces it",
	  "sanbootctl machine swap pc-001 52:54:00:65:43:21", run_machine_swap },
	{ "machine remove", "M", 1, 1,
	  "forget a machine; its disk goes to the trash, for as long as policy says (trash=7d)",
	  "sanbootctl machine remove pc-001 --yes", run_machine_remove },
	{ "machine trash list", "", 0, 0, "machines that were removed, and when they go for good",
	  "sanbootctl machine trash list", run_trash_list },
	{ "machine trash restore", "NAME|#ID", 1, 1, "bring one back, with its disk",
	  "sanbootctl machine trash restore pc-001\nsanbootctl machine trash restore #17 --name pc-009",
	  run_trash_restore },
	{ "machine trash empty", "[NAME|#ID...]", 0, MANY, "delete them for good, with their disks; without a name all",
	  "sanbootctl machine trash empty --yes", run_trash_empty },

	{ "volume create", "", 0, 0, "a second disk for a machine, or a read-only disk or CD for many",
	  "sanbootctl volume create --machine pc-001 --size 20G\n"
	  "sanbootctl volume create --shared tools --from /srv/tools.qcow2\n"
	  "sanbootctl volume create --machine pc-001 --kind cd --from /srv/setup.iso",
	  run_volume_create },
	{ "volume list", "", 0, 0, "second disks, shared disks and CDs, and who has them", "sanbootctl volume list",
	  run_volume_list },
	{ "volume show", "V", 1, 1, "all about a volume: its name, #number, or MACHINE:LUN",
	  "sanbootctl volume show pc-001:1", run_volume_show },
	{ "volume attach", "V M", 2, 2, "give a volume to a machine, also while it runs",
	  "sanbootctl volume attach tools pc-001\nsanbootctl volume attach tools pc-002 --lun 7", run_volume_attach },
	{ "volume detach", "V [M]", 1, 2, "take a volume from a machine (unmount it there first); what is on it stays",
	  "sanbootctl volume detach tools pc-001", run_volume_detach },
	{ "volume resize", "V SIZE", 2, 2, "a larger volume, also while it is in use",
	  "sanbootctl volume resize pc-001-data 40G", run_volume_resize },
	{ "volume set", "V KEY=VALUE...", 2, MANY, "change name, note, size, quota, physical-block, state=ready",
	  "sanbootctl volume set pc-001-data name=scratch quota=30G", run_volume_set },
	{ "volume snapshot", "V LABEL", 2, 2, "keep what is on it now, under a name; at once, while it is off",
	  "sanbootctl volume snapshot pc-001-data before-update", run_snapshot_take },
	{ "volume snapshots", "V", 1, 1, "its snapshots, and what they take", "sanbootctl volume snapshots pc-001-data",
	  run_snapshot_list },
	{ "volume restore", "V [LABEL]", 1, 2,
	  "go back to a snapshot, or to a time (--to); what is there now is kept as another one",
	  "sanbootctl volume restore pc-001-data before-update --yes", run_snapshot_restore },
	{ "volume snapshot-remove", "V LABEL", 2, 2, "delete a snapshot",
	  "sanbootctl volume snapshot-remove pc-001-data before-update --yes", run_snapshot_remove },
	{ "volume copy", "V NAME", 2, 2, "another volume with the same on it, while it is closed",
	  "sanbootctl volume copy pc-001-data scratch", run_volume_copy },
	{ "volume remove", "V", 1, 1, "delete a volume that no machine has, with what is on it",
	  "sanbootctl volume remove pc-001-data --yes", run_volume_remove },

	{ "group list", "", 0, 0, "groups of machines", "sanbootctl group list", run_group_list },
	{ "group show", "NAME", 1, 1, "what a group gives its machines", "sanbootctl group show lab", run_group_show },
	{ "group add", "NAME [KEY=VALUE...]", 1, MANY, "a new group; its keys are those of group set",
	  "sanbootctl group add lab image=debian mode=ephemeral", run_group_add },
	{ "group set", "NAME KEY=VALUE...", 2, MANY,
	  "what its machines get unless they say otherwise: image=NAME|policy, mode=persistent|ephemeral|policy, "
	  "name-pattern=PATTERN|policy, quota=SIZE|none|policy, restore-points=N|policy, boot=disk|cd|local|menu|ENTRY|URL, "
	  "boot-file-set=default|NAME, templates=none|NAME, ring=none|NAME, volumes=none|V,... (shared ones, for all of them); and "
	  "name, note, "
	  "priority (higher goes first, where machines take turns)",
	  "sanbootctl group set lab priority=10\n"
	  "sanbootctl group set lab image=debian mode=ephemeral name-pattern=lab-{n:02}\n"
	  "sanbootctl group set lab quota=20G restore-points=3 volumes=tools,office",
	  run_group_set },
	{ "group remove", "NAME", 1, 1, "its machines are in no group then, and as policy says",
	  "sanbootctl group remove lab", run_group_remove },

	{ "policy show", "", 0, 0, "what happens to machines nobody has seen", "sanbootctl policy show",
	  run_policy_show },
	{ "policy set", "KEY=VALUE...", 1, MANY, "change it", "sanbootctl policy set enrol=approve max-machines=500",
	  run_policy_set },

	{ "retention show", "", 0, 0,
	  "what goes by itself by the rules of the policy, when and how much, and why the rest stays",
	  "sanbootctl retention show\nsanbootctl retention show --all", run_retention_show },
	{ "retention run", "", 0, 0, "let what is due go now", "sanbootctl retention run --yes", run_retention_run },

	{ "events", "", 0, 0, "what happened, newest last", "sanbootctl events --follow", run_events },

	{ "dhcp-snippet", "isc|kea|dnsmasq|windows|openwrt|routeros", 1, 1,
	  "what to put into the DHCP server that is there", "sanbootctl dhcp-snippet isc --server 10.0.0.1",
	  run_dhcp_snippet },

	{ "token create", "NAME", 1, 1, "a token for the API, shown once",
	  "sanbootctl token create monitoring --scope viewer --days 365", run_token_create },
	{ "token list", "", 0, 0, "what each may do, until when, and when it was used last", "sanbootctl token list",
	  run_token_list },
	{ "token remove", "#ID|TOKEN", 1, 1, "end a token", "sanbootctl token remove '#3'", run_token_remove },
	{ "password", "", 0, 0, "set the administrator's password of the pages", "sanbootctl password", run_password },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL },
};

static bool in_group(const struct command *command, const char *group)
{
	size_t len = strlen(group);

	return !strncmp(command->words, group, len) && (!command->words[len] || command->words[len] == ' ');
}

static void help_command(FILE *out, const struct command *command)
{
	const char *line = command->example;

	fprintf(out, "sanbootctl %s%s%s%s\n\n  %s\n", command->words, command->args[0] ? " " : "", command->args,
		option_of(command, NULL) ? " [OPTION...]" : "", command->does);
	if (option_of(command, NULL)) {
		fprintf(out, "\nOptions:\n");
		option_help(out, command);
	}
	fprintf(out, "\nExample:\n");
	while (*line) {
		int len = (int)strcspn(line, "\n");

		fprintf(out, "  %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
}

void ctl_help(FILE *out, const struct ctl *ctl)
{
	if (ctl->command) {
		help_command(out, ctl->command);
		return;
	}
	fprintf(out, "sanbootctl %s [OPTION...]\n\n", ctl->group ? ctl->group : "COMMAND");
	for (const struct command *command = commands; command->words; command++) {
		char left[80];

		if (ctl->group && !in_group(command, ctl->group))
			continue;
		snprintf(left, sizeof(left), "%s %s", command->words, command->args);
		if (strlen(left) > 34)
			fprintf(out, "  %s\n  %34s  %s\n", left, "", command->does);
		else
			fprintf(out, "  %-34s  %s\n", left, command->does);
	}
	fprintf(out, "\nOptions:\n");
	option_help(out, NULL);
	fprintf(out, "\nMore about one of them: sanbootctl COMMAND --help\n");
}
