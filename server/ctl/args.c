// SPDX-License-Identifier: GPL-2.0-or-later
/* What sanbootctl was asked: options may stand anywhere, words name the command, the rest are its arguments. */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

static bool usage(const char *what, const char *which)
{
	fprintf(stderr, "sanbootctl: %s%s\n  see: sanbootctl --help\n", what, which);
	return false;
}

static bool name_is(const char *option, size_t len, const char *name)
{
	return strlen(name) == len && !strncmp(option, name, len);
}

/* One option at argv[*at]; moves *at over its value. */
static bool parse_option(int argc, char *const argv[], int *at, struct ctl *ctl)
{
	const char *option = argv[*at] + 2, *value = "";
	size_t len = strcspn(option, "=");
	const struct option_row *row = option_find(option, len);

	if (!row)
		return usage("there is no option ", argv[*at]);
	if (option[len] == '=') {
		if (!row->argument)
			return usage("this option takes no value: ", argv[*at]);
		value = option + len + 1;
	} else if (row->argument) {
		if (*at + 1 >= argc)
			return usage("this option needs a value: ", argv[*at]);
		value = argv[++*at];
	}
	ctl->options[row->option] = value;
	return true;
}

/* How many of the given words name this command; 0: they name another one. */
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

static bool check_command(struct ctl *ctl)
{
	const struct command *command = ctl->command;

	for (unsigned i = 0; i < OPTIONS; i++)
		if (ctl->options[i] && !option_check(ctl, (enum option)i))
			return false;
	if (ctl->arg_count < command->min || ctl->arg_count > command->max) {
		fprintf(stderr, "sanbootctl: usage: sanbootctl %s %s\n  see: sanbootctl %s --help\n", command->words,
			command->args, command->words);
		return false;
	}
	return true;
}

/* What every command looks at. */
static void set_globals(struct ctl *ctl)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY"), *token = getenv("SANBOOTD_TOKEN");

	ctl->json = ctl->options[OPTION_JSON];
	ctl->yes = ctl->options[OPTION_YES];
	ctl->help = ctl->options[OPTION_HELP];
	ctl->version = ctl->options[OPTION_VERSION];
	ctl->url = ctl->options[OPTION_URL];
	ctl->runtime_dir = ctl->options[OPTION_RUNTIME_DIR];
	if (!ctl->runtime_dir)
		ctl->runtime_dir = runtime && runtime[0] ? runtime : "/run/sanbootd";
	ctl->token = ctl->options[OPTION_TOKEN];
	if (!ctl->token)
		ctl->token = token && token[0] ? token : NULL;
}

bool ctl_parse(int argc, char *const argv[], struct ctl *ctl)
{
	bool options = true;

	memset(ctl, 0, sizeof(*ctl));
	for (int i = 1; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
		} else if (options && (!strcmp(argv[i], "-h") || (i == 1 && !strcmp(argv[i], "help")))) {
			ctl->options[OPTION_HELP] = "";
		} else if (options && !strncmp(argv[i], "--", 2)) {
			if (!parse_option(argc, argv, &i, ctl))
				return false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			return usage("there is no option ", argv[i]);
		} else if (ctl->arg_count == CTL_ARGS_MAX) {
			return usage("too many arguments", "");
		} else {
			ctl->args[ctl->arg_count++] = argv[i];
		}
	}
	set_globals(ctl);
	if (!find_command(ctl))
		return false;
	if (ctl->help || ctl->version)
		return true;
	return check_command(ctl);
}
