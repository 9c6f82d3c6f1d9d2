/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanbootctl: what it was asked, and the table of what it can be asked. Private to the folder. One thread.
 *
 * A command gets its arguments checked for number and options, talks to sanbootd through client.h, and returns its exit
 * code.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

enum { CTL_ARGS_MAX = 4096 };

enum option {
	/* of every command */
	OPTION_RUNTIME_DIR,
	OPTION_URL,
	OPTION_TOKEN,
	OPTION_JSON,
	OPTION_YES,
	OPTION_HELP,
	OPTION_VERSION,
	/* of those that options.c names */
	OPTION_NAME,
	OPTION_IMAGE,
	OPTION_SUITE,
	OPTION_PROFILE,
	OPTION_INITRAMFS,
	OPTION_SIZE,
	OPTION_ROOT_PASSWORD,
	OPTION_MIRROR,
	OPTION_MULTIPATH,
	OPTION_WORK,
	OPTION_CLOUD_INIT,
	OPTION_DAYS,
	OPTION_SCOPE,
	OPTION_MACHINE,
	OPTION_MAX,
	OPTION_DEFAULT,
	OPTION_ALL,
	OPTION_DOCK,
	OPTION_WAITING,
	OPTION_SECRETS,
	OPTION_FOLLOW,
	OPTION_SERVER,
	OPTION_LUN,
	OPTION_KIND,
	OPTION_SHARED,
	OPTION_FROM,
	OPTION_FORCE,
	OPTION_AT,
	OPTION_FORMAT,
	OPTION_GROUP,
	OPTION_ADDRESS,
	OPTION_NOTE,
	OPTION_DRY_RUN,
	OPTION_FOR_GOOD,
	OPTION_TO,
	OPTION_AS,
	OPTION_SNAPSHOT,
	OPTION_RING,
	OPTION_THEN,
	OPTION_PERSISTENT,
	OPTION_DISCARD,
	OPTION_WRITE,
	OPTIONS,
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

struct option_row {
	enum option option;
	const char *name, *argument; /* "size", "MIB"; NULL for a flag */
	enum option_kind kind;
	unsigned min, max;    /* of a number */
	const char *commands; /* "volume create|volume attach": those that take it; NULL: every one */
	const char *help;
};

struct ctl {
	const char *runtime_dir, *url, *token;
	bool json, yes, help, version;
	const struct command *command; /* NULL where only --help or --version was asked */
	const char *group;	       /* --help for a group: "machine" */
	const char *options[OPTIONS];  /* flags: "" when given; NULL: not given */
	unsigned numbers[OPTIONS];     /* of those that are numbers; 0: not given */
	const char *args[CTL_ARGS_MAX];
	unsigned arg_count;
};

struct command {
	const char *words; /* "machine mac add" */
	const char *args;  /* "M MAC" */
	unsigned min, max; /* of args */
	const char *does;
	const char *example; /* lines */
	int (*run)(const struct ctl *ctl);
};

extern const struct command commands[]; /* ends with words NULL */

/* The first row with this name; NULL: there is no such option. */
const struct option_row *option_find(const char *name, size_t len);
const char *option_name(enum option option);
/* The options that a command takes (NULL: those of every command), one after the other; last NULL: the first. */
const struct option_row *option_of(const struct command *command, const struct option_row *last);
/* Whether the command takes this option, with the value that was given; says so where it does not. */
bool option_check(struct ctl *ctl, enum option option);
/* The help lines of option_of's. */
void option_help(FILE *out, const struct command *command);

/* Says what is wrong on standard error and returns false. */
bool ctl_parse(int argc, char *const argv[], struct ctl *ctl);
/* Parses, runs, returns the exit code. */
int ctl_main(int argc, char *const argv[]);
/* Help: of everything, of a group of commands, of one. */
void ctl_help(FILE *out, const struct ctl *ctl);

/* ---- say.c ---- */

/* "sanbootctl: ..." and, where hint is not "", a second line. Returns EXIT_REFUSED. */
int ctl_fail(const char *hint, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Asks before something is destroyed. True with --yes, or after a yes on a terminal; else it says that nothing was done. */
bool ctl_confirm(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The commands: machine.c, machine_list.c, trash.c, maintenance.c, clone.c, volume.c, snapshot.c, group.c, image.c, version.c, rollout.c, import.c, job.c, build.c, server.c, retention.c, events.c, dhcp_snippet.c. */
int run_status(const struct ctl *ctl);
int run_image_build_debian(const struct ctl *ctl);
int run_image_import(const struct ctl *ctl);
int run_image_create(const struct ctl *ctl);
int run_image_export(const struct ctl *ctl);
int run_image_jobs(const struct ctl *ctl);
int run_image_imports(const struct ctl *ctl);
int run_image_cancel(const struct ctl *ctl);
int run_image_check(const struct ctl *ctl);
int run_image_seal(const struct ctl *ctl);
int run_image_list(const struct ctl *ctl);
int run_image_show(const struct ctl *ctl);
int run_image_versions(const struct ctl *ctl);
int run_image_publish(const struct ctl *ctl);
int run_image_rings(const struct ctl *ctl);
int run_rollout_stop(const struct ctl *ctl);
int run_rollout_resume(const struct ctl *ctl);
int run_rollout_undo(const struct ctl *ctl);
int run_image_set(const struct ctl *ctl);
int run_image_note(const struct ctl *ctl);
int run_image_default(const struct ctl *ctl);
int run_image_remove(const struct ctl *ctl);
int run_machine_list(const struct ctl *ctl);
int run_machine_show(const struct ctl *ctl);
int run_machine_approve(const struct ctl *ctl);
int run_machine_deny(const struct ctl *ctl);
int run_machine_forget(const struct ctl *ctl);
int run_machine_release(const struct ctl *ctl);
int run_machine_set(const struct ctl *ctl);
int run_machine_mac_add(const struct ctl *ctl);
int run_machine_mac_remove(const struct ctl *ctl);
int run_machine_mac_share(const struct ctl *ctl);
int run_machine_mac_unshare(const struct ctl *ctl);
int run_machine_reset(const struct ctl *ctl);
int run_machine_export(const struct ctl *ctl);
int run_machine_swap(const struct ctl *ctl);
int run_machine_remove(const struct ctl *ctl);
int run_trash_list(const struct ctl *ctl);
int run_trash_restore(const struct ctl *ctl);
int run_trash_empty(const struct ctl *ctl);
int run_machine_add(const struct ctl *ctl);
int run_machine_import_csv(const struct ctl *ctl);
int run_machine_export_csv(const struct ctl *ctl);
int run_machine_wake(const struct ctl *ctl);
int run_volume_create(const struct ctl *ctl);
int run_volume_list(const struct ctl *ctl);
int run_volume_show(const struct ctl *ctl);
int run_volume_attach(const struct ctl *ctl);
int run_volume_detach(const struct ctl *ctl);
int run_volume_resize(const struct ctl *ctl);
int run_volume_set(const struct ctl *ctl);
int run_volume_remove(const struct ctl *ctl);
int run_volume_copy(const struct ctl *ctl);
int run_snapshot_take(const struct ctl *ctl);
int run_machine_clone(const struct ctl *ctl);
int run_machine_rescue(const struct ctl *ctl);
int run_machine_maintenance(const struct ctl *ctl);
int run_machine_promote(const struct ctl *ctl);
int run_snapshot_list(const struct ctl *ctl);
int run_snapshot_restore(const struct ctl *ctl);
int run_snapshot_remove(const struct ctl *ctl);
int run_group_list(const struct ctl *ctl);
int run_group_show(const struct ctl *ctl);
int run_group_add(const struct ctl *ctl);
int run_group_set(const struct ctl *ctl);
int run_group_remove(const struct ctl *ctl);
int run_policy_show(const struct ctl *ctl);
int run_policy_set(const struct ctl *ctl);
int run_retention_show(const struct ctl *ctl);
int run_retention_run(const struct ctl *ctl);
int run_events(const struct ctl *ctl);
int run_token_create(const struct ctl *ctl);
int run_token_list(const struct ctl *ctl);
int run_token_remove(const struct ctl *ctl);
int run_password(const struct ctl *ctl);
int run_dhcp_snippet(const struct ctl *ctl);

#endif
