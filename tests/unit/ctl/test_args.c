// SPDX-License-Identifier: GPL-2.0-or-later
/* What sanbootctl takes for a command, and what it refuses. */
#include "cmocka_all.h"

#include "base/util.h"
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 16 };

/* Parses "sanbootctl" and the words of a line. The texts live as long as the caller's buffer. */
static bool parse(const char *line, struct ctl *ctl)
{
	static char text[1024];
	char *argv[WORDS_MAX] = { (char *)(uintptr_t) "sanbootctl" };
	int argc = 1;

	strcpy(text, line);
	for (char *word = strtok(text, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return ctl_parse(argc, argv, ctl);
}

static struct ctl ctl;

static void test_commands(void **state)
{
	(void)state;
	assert_true(parse("machine mac add pc-001 52:54:00:12:34:56", &ctl));
	assert_string_equal(ctl.command->words, "machine mac add");
	assert_int_equal(ctl.arg_count, 2);
	assert_string_equal(ctl.args[0], "pc-001");
	assert_true(parse("image import --name debian disk.qcow2 --default", &ctl));
	assert_string_equal(ctl.command->words, "image import");
	assert_string_equal(ctl.args[0], "disk.qcow2");
	assert_string_equal(ctl.options[OPTION_NAME], "debian");
	assert_non_null(ctl.options[OPTION_DEFAULT]);
	assert_true(parse("--json machine list --runtime-dir /x", &ctl));
	assert_true(ctl.json);
	assert_string_equal(ctl.runtime_dir, "/x");
	assert_true(parse("machine list --json", &ctl));
	assert_true(ctl.json);
	assert_true(parse("--url=http://a:1 --token=t status", &ctl));
	assert_string_equal(ctl.url, "http://a:1");
	assert_string_equal(ctl.token, "t");
	assert_true(parse("machine set pc-001 note=-- mode=ephemeral", &ctl));
	assert_int_equal(ctl.arg_count, 3);
	assert_true(parse("machine show -- --odd", &ctl));
	assert_string_equal(ctl.args[0], "--odd");
	assert_true(parse("machine approve --all", &ctl));
	assert_int_equal(ctl.arg_count, 0);
	assert_true(parse("image build debian --name d --suite trixie --size 2048 --cloud-init", &ctl));
	assert_non_null(ctl.options[OPTION_CLOUD_INIT]);
	assert_string_equal(ctl.options[OPTION_SUITE], "trixie");
	assert_int_equal(ctl.numbers[OPTION_SIZE], 2048);
	/* The same name, another meaning. */
	assert_true(parse("volume create --machine m --size 20G --lun 255", &ctl));
	assert_string_equal(ctl.options[OPTION_SIZE], "20G");
	assert_int_equal(ctl.numbers[OPTION_SIZE], 0);
	assert_int_equal(ctl.numbers[OPTION_LUN], 255);
	assert_true(parse("token create t", &ctl));
	assert_int_equal(ctl.numbers[OPTION_DAYS], 0);
}

static void test_refusals(void **state)
{
	static const char *const bad[] = {
		"",
		"bogus",
		"machine",
		"machine bogus",
		"machine show",
		"machine show a b",
		"machine swap a",
		"status extra",
		"status --all",
		"machine list --bogus",
		"machine list --name",
		"image import",
		"--json=1 status",
		"-x status",
		"machine set pc",
		"policy set",
		"image build",
		"image build fedora",
		"machine mac",
		"image build debian --name d --size 1023",
		"image build debian --name d --size 20G",
		"token create t --days 0",
		"token create t --days 3651",
		"events --max 1001",
		"events --max many",
		"volume attach v m --size 20G",
	};

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		if (parse(bad[i], &ctl))
			fail_msg("taken: %s", bad[i]);
}

static void test_help(void **state)
{
	static const char *const good[] = { "--help",
					    "help",
					    "-h",
					    "--version",
					    "machine --help",
					    "help machine",
					    "machine show --help",
					    "image build debian --help" };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		if (!parse(good[i], &ctl))
			fail_msg("refused: %s", good[i]);
		assert_true(ctl.help || ctl.version);
	}
	assert_false(parse("bogus --help", &ctl));
}

/* Every option is taken by some command, and all rows of a name are flags or none is. */
static void test_options(void **state)
{
	bool taken[OPTIONS] = { false };
	const struct option_row *row = NULL;

	(void)state;
	while ((row = option_of(NULL, row)))
		taken[row->option] = true;
	for (const struct command *command = commands; command->words; command++) {
		while ((row = option_of(command, row))) {
			const struct option_row *first = option_find(row->name, strlen(row->name));

			taken[row->option] = true;
			assert_int_equal(first->option, row->option);
			assert_string_equal(option_name(row->option), row->name);
			assert_int_equal(!first->argument, !row->argument);
			assert_int_equal(row->kind == OPTION_FLAG, !row->argument);
			for (const char *word = row->commands; word;
			     word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL) {
				const struct command *c = commands;

				while (c->words && strncmp(c->words, word, strcspn(word, "|")))
					c++;
				if (!c->words)
					fail_msg("--%s: there is no command %s", row->name, word);
			}
		}
	}
	for (unsigned i = 0; i < OPTIONS; i++)
		if (!taken[i])
			fail_msg("no command takes option %u", i);
}

static void help_text(const char *line, char *text, size_t size)
{
	FILE *out = tmpfile();

	assert_true(parse(line, &ctl));
	ctl_help(out, &ctl);
	rewind(out);
	text[fread(text, 1, size - 1, out)] = '\0';
	fclose(out);
}

/* A command's help has its own options, in its own words; that of everything has those of every command. */
static void test_help_of_options(void **state)
{
	char text[16384];

	(void)state;
	help_text("volume create --help", text, sizeof(text));
	assert_non_null(strstr(text, "--size SIZE        of an empty disk"));
	assert_non_null(strstr(text, "--lun N            1 to 255; default"));
	assert_null(strstr(text, "MIB"));
	assert_null(strstr(text, "--json"));
	help_text("image build debian --help", text, sizeof(text));
	assert_non_null(strstr(text, "--size MIB         1024 to 67108864; size of the disk"));
	help_text("image list --help", text, sizeof(text));
	assert_null(strstr(text, "Options:"));
	help_text("--help", text, sizeof(text));
	assert_non_null(strstr(text, "--runtime-dir DIR  where"));
	assert_null(strstr(text, "--lun"));
}

/* Every command has an example, and its example is a command that is taken. */
static void test_examples(void **state)
{
	(void)state;
	for (const struct command *command = commands; command->words; command++) {
		char line[512];
		char *copy = strdup(command->example), *rest = copy;

		for (char *example = strsep(&rest, "\n"); example; example = strsep(&rest, "\n")) {
			assert_memory_equal(example, "sanbootctl ", 11);
			snprintf(line, sizeof(line), "%s", example + 11);
			if (!parse(line, &ctl) || ctl.command != command)
				fail_msg("the example of '%s' is not taken: %s", command->words, example);
		}
		free(copy);
	}
}

static void test_environment(void **state)
{
	(void)state;
	setenv("SANBOOTD_TOKEN", "fromenv", 1);
	setenv("RUNTIME_DIRECTORY", "/run/other", 1);
	assert_true(parse("status", &ctl));
	assert_string_equal(ctl.token, "fromenv");
	assert_string_equal(ctl.runtime_dir, "/run/other");
	assert_true(parse("status --token arg", &ctl));
	assert_string_equal(ctl.token, "arg");
	unsetenv("SANBOOTD_TOKEN");
	unsetenv("RUNTIME_DIRECTORY");
	assert_true(parse("status", &ctl));
	assert_string_equal(ctl.runtime_dir, "/run/sanbootd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_help_of_options),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
