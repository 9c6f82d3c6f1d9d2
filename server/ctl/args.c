// SPDX-License-Identifier: GPL-2.0-or-later
/* What sanbootctl was asked: options may stand anywhere, words name the command, the rest are its arguments. */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	bool value;
} option_names[OPTIONS] = {
	[OPTION_NAME] = { "name", true },	 [OPTION_IMAGE] = { "image", true },
	[OPTION_SUITE] = { "suite", true },	 [OPTION_PROFILE] = { "profile", true },
	[OPTION_SIZE] = { "size", true },	 [OPTION_ROOT_PASSWORD] = { "root-password", true },
	[OPTION_MIRROR] = { "mirror", true },	 [OPTION_WORK] = { "work", true },
	[OPTION_DAYS] = { "days", true },	 [OPTION_MACHINE] = { "machine", true },
	[OPTION_MAX] = { "max", true },		 [OPTION_DEFAULT] = { "default", false },
	[OPTION_ALL] = { "all", false },	 [OPTION_WAITING] = { "waiting", false },
	[OPTION_SECRETS] = { "secrets", false }, [OPTION_FOLLOW] = { "follow", false },
	[OPTION_SERVER] = { "server", true },	 [OPTION_LUN] = { "lun", true },
	[OPTION_KIND] = { "kind", true },	 [OPTION_SHARED] = { "shared", true },
	[OPTION_FROM] = { "from", true },	 [OPTION_FORCE] = { "force", false },
};

/* Options of every command. */
enum global {
	GLOBAL_RUNTIME_DIR,
	GLOBAL_URL,
	GLOBAL_TOKEN,
	GLOBAL_JSON,
	GLOBAL_YES,
	GLOBAL_HELP,
	GLOBAL_VERSION,
	GLOBALS
};

static const struct {
	const char *name;
	bool value;
} global_names[GLOBALS] = {
	[GLOBAL_RUNTIME_DIR] = { "runtime-dir", true },
	[GLOBAL_URL] = { "url", true },
	[GLOBAL_TOKEN] = { "token", true },
	[GLOBAL_JSON] = { "json", false },
	[GLOBAL_YES] = { "yes", false },
	[GLOBAL_HELP] = { "help", false },
	[GLOBAL_VERSION] = { "version", false },
};

static bool usage(const char *what, const char *which)
{
	fprintf(stderr, "sanbootctl: %s%s\n  see: sanbootctl --help\n", what, which);
	return false;
}

static bool name_is(const char *option, size_t len, const char *name)
{
	return strlen(name) == len && !strncmp(option, name, len);
}

static void set_global(struct ctl *ctl, enum global global, const char *value)
{
	switch (global) {
	case GLOBAL_RUNTIME_DIR:
		ctl->runtime_dir = value;
		break;
	case GLOBAL_URL:
		ctl->url = value;
		break;
	case GLOBAL_TOKEN:
		ctl->token = value;
		break;
	case GLOBAL_JSON:
		ctl->json = true;
		break;
	case GLOBAL_YES:
		ctl->yes = true;
		break;
	case GLOBAL_HELP:
		ctl->help = true;
		break;
	default:
		ctl->version = true;
		break;
	}
}

/* One option at argv[*at]; moves *at over its value. given: which of the commands' options were there. */
static bool parse_option(int argc, char *const argv[], int *at, struct ctl *ctl, unsigned *given)
{
	const char *option = argv[*at] + 2, *value = "";
	size_t len = strcspn(option, "=");
	bool takes_value = false;
	int global = -1, own = -1;

	for (int i = 0; i < GLOBALS; i++)
		if (name_is(option, len, global_names[i].name)) {
			global = i;
			takes_value = global_names[i].value;
		}
	for (int i = 0; i < OPTIONS; i++)
		if (name_is(option, len, option_names[i].name)) {
			own = i;
			takes_value = option_names[i].value;
		}
	if (global < 0 && own < 0)
		return usage("there is no option ", argv[*at]);
	if (option[len] == '=') {
		if (!takes_value)
			return usage("this option takes no value: ", argv[*at]);
		value = option + len + 1;
	} else if (takes_value) {
		if (*at + 1 >= argc)
			return usage("this option needs a value: ", argv[*at]);
		value = argv[++*at];
	}
	if (global >= 0) {
		set_global(ctl, (enum global)global, value);
	} else {
		ctl->options[own] = value;
		*given |= TAKES(own);
	}
	return true;
}

/* How many of the words are the command's; 0: they are not it. */
static unsigned words_match(const char *words, const char *const *given, unsigned count)
{
	unsigned n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		if (n == count || !name_is(words, len, given[n]))
			return 0;
		n++;
		words += len + (words[len] == ' ');
	}
	return n;
}

static bool is_group(const char *word)
{
	size_t len = strlen(word);

	for (const struct command *command = commands; command->words; command++)
		if (!strncmp(command->words, word, len) && command->words[len] == ' ')
			return true;
	return false;
}

static bool find_command(struct ctl *ctl)
{
	for (const struct command *command = commands; command->words; command++) {
		unsigned words = words_match(command->words, ctl->args, ctl->arg_count);

		if (!words)
			continue;
		ctl->command = command;
		ctl->arg_count -= words;
		memmove(ctl->args, ctl->args + words, ctl->arg_count * sizeof(ctl->args[0]));
		return true;
	}
	if (ctl->arg_count && is_group(ctl->args[0])) {
		ctl->group = ctl->args[0];
		if (ctl->help)
			return true;
		fprintf(stderr, "sanbootctl: %s what?\n  see: sanbootctl %s --help\n", ctl->group, ctl->group);
		return false;
	}
	if (ctl->help || ctl->version)
		return ctl->arg_count ? usage("there is no command ", ctl->args[0]) : true;
	if (ctl->arg_count)
		return usage("there is no command ", ctl->args[0]);
	ctl_help(stderr, ctl);
	return false;
}

static bool check_command(const struct ctl *ctl, unsigned given)
{
	const struct command *command = ctl->command;

	for (unsigned i = 0; i < OPTIONS; i++) {
		if (!(given & ~command->takes & TAKES(i)))
			continue;
		fprintf(stderr, "sanbootctl: %s does not take --%s\n  see: sanbootctl %s --help\n", command->words,
			option_names[i].name, command->words);
		return false;
	}
	if (ctl->arg_count < command->min || ctl->arg_count > command->max) {
		fprintf(stderr, "sanbootctl: usage: sanbootctl %s %s\n  see: sanbootctl %s --help\n", command->words,
			command->args, command->words);
		return false;
	}
	return true;
}

static void set_defaults(struct ctl *ctl)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY"), *token = getenv("SANBOOTD_TOKEN");

	*ctl = (struct ctl){ .runtime_dir = runtime && runtime[0] ? runtime : "/run/sanbootd",
			     .token = token && token[0] ? token : NULL };
}

bool ctl_parse(int argc, char *const argv[], struct ctl *ctl)
{
	unsigned given = 0;
	bool options = true;

	set_defaults(ctl);
	for (int i = 1; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
		} else if (options && (!strcmp(argv[i], "-h") || (i == 1 && !strcmp(argv[i], "help")))) {
			ctl->help = true;
		} else if (options && !strncmp(argv[i], "--", 2)) {
			if (!parse_option(argc, argv, &i, ctl, &given))
				return false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			return usage("there is no option ", argv[i]);
		} else if (ctl->arg_count == CTL_ARGS_MAX) {
			return usage("too many arguments", "");
		} else {
			ctl->args[ctl->arg_count++] = argv[i];
		}
	}
	if (!find_command(ctl))
		return false;
	if (ctl->help || ctl->version)
		return true;
	return check_command(ctl, given);
}
