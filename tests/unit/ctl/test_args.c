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
	assert_true(parse("image build debian --name d --suite trixie --size 2048", &ctl));
	assert_string_equal(ctl.options[OPTION_SUITE], "trixie");
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
		cmocka_unit_test(test_commands), cmocka_unit_test(test_refusals),    cmocka_unit_test(test_help),
		cmocka_unit_test(test_examples), cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
