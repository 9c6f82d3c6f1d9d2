// SPDX-License-Identifier: GPL-2.0-or-later
/* Templates of a site's own: a good one is used, a broken one is refused with its line and the built-in one goes on. */
#include "world.h"

#include "base/util.h"
#include "boot/script/script.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct problems {
	unsigned count;
	struct boot_problem last;
};

static void add_problem(void *arg, const struct boot_problem *problem)
{
	struct problems *problems = arg;

	problems->count++;
	problems->last = *problem;
}

static struct problems reload(struct world *w)
{
	struct problems problems = { 0 };

	boot_reload(w->boot);
	boot_each_problem(w->boot, add_problem, &problems);
	return problems;
}

static void first_script(struct world *w, const char *in_script, bool there)
{
	struct buf script;

	buf_init(&script, 1 << 16);
	assert_int_equal(boot_first_script(w->boot, "http://10.0.0.1:8080", &script), 0);
	if (!strstr(buf_text(&script), in_script) == there)
		fail_msg("\"%s\"%s in: %s", in_script, there ? " is not" : "", buf_text(&script));
	buf_fini(&script);
}

static void test_good(void **state)
{
	struct world *w = *state;

	assert_int_equal(reload(w).count, 0); /* no folder */
	world_site_file(w, "ipxe-scripts/boot.ipxe", "#!ipxe\necho ours\nchain {{base}}/boot?mac=${netX/mac:hexhyp}\n");
	assert_int_equal(reload(w).count, 0);
	first_script(w, "echo ours\nchain http://10.0.0.1:8080/boot?mac=${netX/mac:hexhyp}\n", true);
	first_script(w, "SANBOOTD", false);
	world_site_file(w, "ipxe-scripts/boot.ipxe", NULL);
	assert_int_equal(reload(w).count, 0);
	first_script(w, "SANBOOTD", true);
}

static void test_part(void **state)
{
	struct world *w = *state;

	world_site_file(w, "ipxe-scripts/header.part", "echo our room is warm\n");
	world_site_file(w, "ipxe-scripts/error.ipxe", "#!ipxe\n{{>header.part}}\necho {{reason}}\n{{>ask.part}}\n");
	world_site_file(w, "ipxe-scripts/target.part", "set hostname {{name}}.example ||\n");
	assert_int_equal(reload(w).count, 0);
	world_expect(w, "52:54:00:aa:00:01", "", "", "sanboot", "set hostname pc-001.example ||\n");
	struct boot_ask ask = world_ask_of("nonsense", "", "");
	struct reply reply = world_ask(w, &ask);

	assert_non_null(strstr(reply.script, "echo our room is warm\necho mac=nonsense is not"));
	free(reply.script);
}

/* Each with the line that is to be named. */
static void test_broken(void **state)
{
	static const struct {
		const char *file, *text;
		unsigned line;
		const char *why;
	} broken[] = {
		{ "boot.ipxe", "", 1, "first line" },
		{ "boot.ipxe", "#!gpxe\n", 1, "first line" },
		{ "boot.ipxe", "#!ipxe\n\necho {{nmae}}\n", 3, "no such variable: nmae" },
		{ "boot.ipxe", "#!ipxe\necho {{base\n", 2, "}} is missing" },
		{ "boot.ipxe", "#!ipxe\necho {{base}}", 2, "last line" },
		{ "boot.ipxe", "#!ipxe\n{{?nothing}}echo\n", 2, "no such variable" },
		{ "boot.ipxe", "#!ipxe\n{{?base\n", 2, "no such variable" },
		{ "boot.ipxe", "#!ipxe\necho {{efi}}\n", 2, "no such variable" },
		{ "boot.ipxe", "#!ipxe\necho {{name}}\n", 2, "not always set" },
		{ "wait-full.ipxe", "#!ipxe\necho {{mac}}\n{{!secret}}echo {{secret}}\n", 3, "not always set" },
		{ "boot.ipxe", "#!ipxe\n{{>nothing.part}}\n", 2, "no such file" },
		{ "boot.ipxe", "#!ipxe\n{{>boot.ipxe}}\n", 2, "cannot stand in another file" },
		{ "boot.ipxe", "#!ipxe\n {{>local.part}}\n", 2, "no such variable" },
		{ "boot.ipxe", "#!ipxe\n{{>local.part}} x\n", 2, "a line of its own" },
		{ "boot.ipxe", "#!ipxe\r\necho\r\n", 1, "first line" },
		{ "boot.ipxe", "#!ipxe\necho x\r\n", 2, "LF alone" },
		{ "boot.ipxe", "#!ipxe\necho \x01\n", 2, "control character" },
		{ "boot.ipxx", "#!ipxe\n", 0, NULL },
		{ "other.ipxe", "#!ipxe\n", 0, "no template of this name" },
		{ "menu.ipxe", "#!ipxe\nitem {{item}} {{initrd}}\n", 2, "with another one" },
		{ "ask.part", "{{>local.part}}\n", 1, "cannot stand in another file" },
		{ "ask.part", "echo {{secret}}\n", 1, "not always set" },
		{ "ask.part", "{{>ask.part}}\n", 1, "cannot stand in another file" },
	};
	struct world *w = *state;
	char name[64], where[160];

	for (size_t i = 0; i < array_len(broken); i++) {
		struct problems problems;
		unsigned events = world_events(w, "file-refused");

		snprintf(name, sizeof(name), "ipxe-scripts/%s", broken[i].file);
		world_site_file(w, name, broken[i].text);
		problems = reload(w);
		if (!broken[i].why) {
			assert_int_equal(problems.count, 0);
		} else {
			snprintf(where, sizeof(where), "%s/site/%s", w->dir, name);
			assert_int_equal(problems.count, 1);
			assert_string_equal(problems.last.file, where);
			if (problems.last.line != broken[i].line || !strstr(problems.last.why.text, broken[i].why))
				fail_msg("%zu: line %u: %s", i, problems.last.line, problems.last.why.text);
			assert_int_equal(world_events(w, "file-refused"), events + 1);
		}
		first_script(w, "SANBOOTD asks http://10.0.0.1:8080", true);
		world_site_file(w, name, NULL);
	}
	assert_int_equal(reload(w).count, 0);
}

static void test_long(void **state)
{
	struct world *w = *state;
	char *text = malloc(TEMPLATE_MAX + 2);
	struct problems problems;

	memset(text, 'x', TEMPLATE_MAX + 1);
	memcpy(text, "#!ipxe\n", 7);
	text[TEMPLATE_MAX] = '\n';
	text[TEMPLATE_MAX + 1] = '\0';
	world_site_file(w, "ipxe-scripts/boot.ipxe", text);
	problems = reload(w);
	assert_int_equal(problems.count, 1);
	assert_non_null(strstr(problems.last.why.text, "16 KiB"));
	first_script(w, "SANBOOTD", true);
	free(text);
}

/* A site's template that fails with the values of a moment does not keep the machine from booting. */
static void test_fails_later(void **state)
{
	char line[3000] = "", text[3100], name[64];
	struct reason reason;
	struct world *w = *state;

	world_site_file(w, "ipxe-scripts/sanboot.ipxe", "#!ipxe\n{{?number}}echo\necho {{server}}\n{{>ask.part}}\n");
	assert_int_equal(reload(w).count, 0);
	world_expect(w, "52:54:00:aa:00:01", "", "", "sanboot", "echo 127.0.0.1\n");
	world_site_file(w, "entries/tool.conf", "kind = chain\nurl = http://10.0.0.2/x.ipxe\n");
	assert_int_equal(reload(w).count, 0);
	/* With so many items it is longer than a script may be. */
	memset(line, 'x', sizeof(line) - 1);
	snprintf(text, sizeof(text), "#!ipxe\nitem {{item}} {{item_title}} %s\n", line);
	world_site_file(w, "ipxe-scripts/menu.ipxe", text);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "entries/tool-%u.conf", i);
		world_site_file(w, name, "kind = chain\nurl = http://10.0.0.2/x.ipxe\n");
	}
	assert_int_equal(reload(w).count, 0);
	assert_int_equal(boot_set(w->boot, "pc-001", "boot", "menu", "ctl", &reason), 0);
	world_expect(w, "52:54:00:aa:00:01", "", "", "menu", "item entry:tool-29 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_part, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_broken, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_long, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_fails_later, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
