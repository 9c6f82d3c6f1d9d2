// SPDX-License-Identifier: GPL-2.0-or-later
/* Scripts: nothing that comes from outside can mean something to iPXE, and every template says what it must. */
#include "boot/script/templates.h"

#include "base/assets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct templates *templates; /* the built-in ones */

static int script_render(const char *template, const struct script_values *values, struct buf *script)
{
	return templates_render(templates, template, values, script);
}

static struct script_values all(void)
{
	return (struct script_values){ .value = {
					       [VAR_BASE] = "http://10.0.0.1:8080",
					       [VAR_SERVER] = "10.0.0.1",
					       [VAR_PORT] = "3260",
					       [VAR_IQN] = "iqn.2026-11.org.example:sanbootd:abc",
					       [VAR_INITIATOR] = "iqn.2026-11.org.example:sanbootd:abc:i",
					       [VAR_NAME] = "pc-001",
					       [VAR_IMAGE] = "debian@1",
					       [VAR_USER] = "abc",
					       [VAR_SECRET] = "s3cr3ts3cr3ts3cr",
					       [VAR_REVERSE_USER] = "sanbootd",
					       [VAR_REVERSE_SECRET] = "r3cr3ts3cr3ts3cr",
					       [VAR_MAC] = "52:54:00:00:00:01",
					       [VAR_NUMBER] = "3",
					       [VAR_ATTEMPT] = "1",
					       [VAR_SECONDS] = "5",
					       [VAR_PLACE] = "2",
					       [VAR_QUEUE] = "7",
					       [VAR_WHERE] = "10.0.0.9",
					       [VAR_SINCE] = "noon",
					       [VAR_REASON] = "because",
					       [VAR_URIS] =
						       "iscsi:10.0.0.1::3260:0:iqn.2026-11.org.example:sanbootd:abc",
					       [VAR_TOKEN] = "t0k3n",
					       [VAR_ENTRY] = "installer",
					       [VAR_TITLE] = "An installer",
					       [VAR_KERNEL] = "http://10.0.0.1:8080/boot-files/linux",
					       [VAR_SHIM] = "http://10.0.0.1:8080/boot-files/shimx64.efi",
					       [VAR_CMDLINE] = "console=ttyS0 -- x",
					       [VAR_URL] = "http://10.0.0.2/x.ipxe?a=b&c=d",
					       [VAR_INITRD] =
						       "http://10.0.0.1:8080/boot-files/a\nhttp://10.0.0.1:8080/boot-files/b\n",
					       [VAR_FILE] = "http://10.0.0.1:8080/boot-files/w/BCD\n",
					       [VAR_FILE_NAME] = "BCD\n",
					       [VAR_ITEM] = "disk\nlocal\n",
					       [VAR_ITEM_TITLE] = "Its disk\nLocal; disk\n",
					       [VAR_DEFAULT] = "disk",
					       [VAR_TIMEOUT] = "10000",
				       } };
}

static char *render(const char *template, const struct script_values *values)
{
	struct buf script;

	buf_init(&script, SCRIPT_MAX);
	assert_int_equal(script_render(template, values, &script), 0);
	assert_memory_equal(buf_text(&script), "#!ipxe\n", 7);
	return buf_take(&script);
}

static void test_templates(void **state)
{
	struct script_values values = all();

	(void)state;
	for (const struct asset *asset = assets_ipxe; asset->name; asset++) {
		char *script;

		if (!strstr(asset->name, ".ipxe"))
			continue;
		script = render(asset->name, &values);
		assert_null(strstr(script, "{{"));
		assert_non_null(strstr(script, "SANBOOTD"));
		/* Words of a list stand on lines of their own. */
		assert_null(strstr(script, "\n\n"));
		/* Never a dead screen: it asks again, or boots from its own disk. */
		assert_true(strstr(script, "goto ask") || strstr(script, "exit"));
		free(script);
	}
}

static bool has_line(const char *script, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = script; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, line, len) && (at[len] == '\n' || at[len] == '\0'))
			return true;
	return false;
}

static void test_sanboot(void **state)
{
	struct script_values values = all();
	char *script = render("sanboot.ipxe", &values);

	(void)state;
	assert_true(has_line(script, "set hostname pc-001 ||"));
	assert_true(has_line(script, "set initiator-iqn iqn.2026-11.org.example:sanbootd:abc:i ||"));
	assert_true(has_line(script, "set username abc ||"));
	assert_true(has_line(script, "set password s3cr3ts3cr3ts3cr ||"));
	assert_true(has_line(script, "set reverse-username sanbootd ||"));
	assert_true(has_line(
		script,
		"sanboot --drive 0x80 iscsi:10.0.0.1::3260:0:iqn.2026-11.org.example:sanbootd:abc || goto failed"));
	assert_non_null(strstr(script, "SANBOOTD machine pc-001 boots debian@1"));
	free(script);
	values.value[VAR_REVERSE_SECRET] = values.value[VAR_SECRET] = NULL;
	script = render("sanboot.ipxe", &values);
	assert_null(strstr(script, "s3cr3t"));
	assert_true(has_line(script, "clear username ||"));
	assert_true(has_line(script, "clear reverse-password ||"));
	free(script);
}

static void test_local(void **state)
{
	struct script_values values = all();
	char *script;

	(void)state;
	values.value[VAR_EFI] = "1";
	script = render("local.ipxe", &values);
	assert_true(has_line(script, "exit"));
	assert_null(strstr(script, "sanboot -"));
	free(script);
	values.value[VAR_EFI] = NULL;
	values.value[VAR_BIOS] = "1";
	script = render("denied.ipxe", &values);
	assert_true(has_line(script, "sanboot --no-describe --drive 0x80 || exit"));
	free(script);
	values.value[VAR_BIOS] = NULL;
	script = render("local.ipxe", &values);
	assert_non_null(strstr(script, "iseq ${platform} efi && exit"));
	free(script);
}

/* Words: refused; nothing of the script comes out. */
static void test_words(void **state)
{
	static const char *const bad[] = { "",	   "a b",   "a\nb", "a\rb",	"a||b", "||",	"&&",
					   ";",	   "#x",    "-x",   "--help",	"${x}", "$",	"a\\",
					   "a\tb", "\"a\"", "'a'",  "a|b",	"a&b",	"\x80", "\xc3\xa9",
					   "a%41", "a=b",   "a?b",  "{{name}}", "\x01" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct script_values values = all();
		struct buf script;

		values.value[VAR_NAME] = bad[i];
		buf_init(&script, SCRIPT_MAX);
		assert_int_equal(script_render("sanboot.ipxe", &values, &script), -EINVAL);
		buf_fini(&script);
	}
}

static void test_long_word(void **state)
{
	struct script_values values = all();
	struct buf script;
	char word[300];

	(void)state;
	memset(word, 'a', sizeof(word));
	word[255] = '\0';
	values.value[VAR_NAME] = word;
	buf_init(&script, SCRIPT_MAX);
	assert_int_equal(script_render("sanboot.ipxe", &values, &script), 0);
	buf_reset(&script);
	word[255] = 'a';
	word[256] = '\0';
	assert_int_equal(script_render("sanboot.ipxe", &values, &script), -EINVAL);
	buf_fini(&script);
}

/* What iPXE would read: the tokens of the line that starts with prefix must be harmless. */
static void check_text_line(const char *script, const char *prefix)
{
	const char *line = strstr(script, prefix);
	char copy[2048];

	assert_non_null(line);
	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
	assert_null(strchr(copy, '$'));
	assert_int_not_equal(copy[strlen(copy) - 1], '\\');
	for (char *save = NULL, *token = strtok_r(copy, " \t\r\v\f", &save); token;
	     token = strtok_r(NULL, " \t\r\v\f", &save)) {
		assert_string_not_equal(token, "||");
		assert_string_not_equal(token, "&&");
		assert_string_not_equal(token, ";");
		assert_int_not_equal(token[0], '#');
	}
}

static void test_texts(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 20000; seed++) {
		static const char mean[] = "|&;#${}\\\n\r\t `\"'-:{}${net0/mac}\x01\x7f\xff\xc3";
		struct script_values values = all();
		char text[64], *script;
		unsigned x = seed * 2654435761u + 12345;
		size_t len = 1 + x % (sizeof(text) - 1);

		for (size_t i = 0; i < len; i++) {
			x = x * 1664525u + 1013904223u;
			text[i] = (x >> 24) & 1 ? mean[(x >> 8) % (sizeof(mean) - 1)] : (char)(1 + (x >> 8) % 255);
		}
		text[len] = '\0';
		values.value[VAR_REASON] = text;
		script = render("error.ipxe", &values);
		check_text_line(script, "echo SANBOOTD cannot answer: ");
		free(script);
	}
}

static void test_lists(void **state)
{
	struct script_values values = all();
	char *script = render("menu.ipxe", &values);

	(void)state;
	assert_true(has_line(script, "item disk Its disk"));
	assert_true(has_line(script, "item local Local_ disk"));
	assert_true(has_line(script, "item --gap -- because"));
	assert_true(
		has_line(script, "choose --default disk --timeout 10000 sanbootd-choose || set sanbootd-choose disk"));
	free(script);
	values.value[VAR_ITEM] = values.value[VAR_ITEM_TITLE] = values.value[VAR_TIMEOUT] = values.value[VAR_REASON] =
		NULL;
	script = render("menu.ipxe", &values);
	assert_null(strstr(script, "\nitem"));
	assert_true(has_line(script, "choose --default disk sanbootd-choose || set sanbootd-choose disk"));
	free(script);
	/* A bad item takes the whole script with it. */
	values = all();
	values.value[VAR_ITEM] = "disk\na b\n";
	struct buf out;

	buf_init(&out, SCRIPT_MAX);
	assert_int_equal(script_render("menu.ipxe", &values, &out), -EINVAL);
	buf_fini(&out);
}

static void test_entries(void **state)
{
	struct script_values values = all();
	char *script = render("entry-linux.ipxe", &values);

	(void)state;
	assert_true(has_line(script, "kernel http://10.0.0.1:8080/boot-files/linux console=ttyS0 -- x || goto failed"));
	assert_true(has_line(script, "set sanbootd-file http://10.0.0.1:8080/boot-files/shimx64.efi && "
				     "shim http://10.0.0.1:8080/boot-files/shimx64.efi || goto failed"));
	assert_non_null(strstr(script, "initrd http://10.0.0.1:8080/boot-files/a || goto failed\n"
				       "set sanbootd-file http://10.0.0.1:8080/boot-files/b && initrd "
				       "http://10.0.0.1:8080/boot-files/b || goto failed\n"));
	/* For iPXE to put into command lines. */
	assert_true(has_line(script, "set sanbootd-url http://10.0.0.1:8080 ||"));
	assert_true(strstr(script, "set sanbootd-url") < strstr(script, "\nkernel "));
	/* Used up after the last file was loaded, and before anything is started. */
	assert_true(strstr(script, "boot-files/b") < strstr(script, "/boot/taken?"));
	assert_true(strstr(script, "/boot/taken?") < strstr(script, "\nboot ||"));
	assert_non_null(strstr(script, "sanhook --drive 0x80 iscsi:10.0.0.1::3260:0:"));
	free(script);
	values.value[VAR_TOKEN] = values.value[VAR_URIS] = values.value[VAR_IQN] = NULL;
	script = render("entry-linux.ipxe", &values);
	assert_null(strstr(script, "/boot/taken"));
	assert_null(strstr(script, "sanhook"));
	assert_null(strstr(script, "password"));
	free(script);
	values.value[VAR_SHIM] = NULL;
	script = render("entry-linux.ipxe", &values);
	assert_null(strstr(script, "shim"));
	free(script);
	values = all();
	script = render("entry-windows.ipxe", &values);
	assert_non_null(strstr(script, "initrd http://10.0.0.1:8080/boot-files/w/BCD BCD || goto failed\n"));
	free(script);
	script = render("entry-chain.ipxe", &values);
	assert_true(has_line(script, "imgfetch --name sanbootd-next http://10.0.0.2/x.ipxe?a=b&c=d || goto failed"));
	free(script);
}

static void test_kinds(void **state)
{
	static const char *const bad_lines[] = {
		"a || b", "a && b", "; b", "#x", "a #x", "x\\", "a\nb", "a\tb", "a ;"
	};
	static const char *const good_lines[] = {
		"", "a;b", "a||b", "ds=nocloud;s=http://x/ ip=dhcp ---", "x=${net0/mac}", "a#b"
	};
	static const char *const bad_urls[] = { "",	      "&&",	     "-x",	   "%41", "http://a b",
						"http://a|b", "http://${x}", "http://a#b", "/x" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++)
		assert_false(script_line_valid(bad_lines[i]));
	for (size_t i = 0; i < sizeof(good_lines) / sizeof(good_lines[0]); i++)
		assert_true(script_line_valid(good_lines[i]));
	for (size_t i = 0; i < sizeof(bad_urls) / sizeof(bad_urls[0]); i++)
		assert_false(script_url_valid(bad_urls[i]));
	assert_true(script_url_valid("http://a/b?c=d&e=%20"));
}

static void test_several_uris(void **state)
{
	struct script_values values = all();
	struct buf out;
	char *script;

	(void)state;
	values.value[VAR_URIS] = "iscsi:10.0.0.1::3260:0:iqn.x:y iscsi:10.0.1.1::3260:0:iqn.x:y";
	script = render("sanboot.ipxe", &values);
	assert_true(has_line(script,
			     "sanboot --drive 0x80 iscsi:10.0.0.1::3260:0:iqn.x:y iscsi:10.0.1.1::3260:0:iqn.x:y "
			     "|| goto failed"));
	free(script);
	buf_init(&out, SCRIPT_MAX);
	values.value[VAR_URIS] = "iscsi:a || b";
	assert_int_equal(script_render("sanboot.ipxe", &values, &out), -EINVAL);
	values.value[VAR_URIS] = "iscsi:a ";
	assert_int_equal(script_render("sanboot.ipxe", &values, &out), -EINVAL);
	buf_fini(&out);
}

static void test_unset(void **state)
{
	struct script_values values = all();
	struct buf script;

	(void)state;
	values.value[VAR_URIS] = NULL;
	buf_init(&script, SCRIPT_MAX);
	assert_int_equal(script_render("sanboot.ipxe", &values, &script), -EINVAL);
	assert_int_equal(script_render("no-such.ipxe", &values, &script), -EINVAL);
	buf_fini(&script);
	buf_init(&script, 64);
	values = all();
	assert_int_equal(script_render("sanboot.ipxe", &values, &script), -ENOMEM);
	buf_fini(&script);
}

static void test_first(void **state)
{
	struct script_values values = { .value = { [VAR_BASE] = "http://10.0.0.1:8080" } };
	char *script = render("boot.ipxe", &values);

	(void)state;
	assert_non_null(
		strstr(script,
		       "chain --replace --autofree http://10.0.0.1:8080/boot?mac=${netX/mac:hexhyp}&uuid=${uuid}&"));
	assert_non_null(strstr(script, "undionly.kpxe"));
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates), cmocka_unit_test(test_sanboot),   cmocka_unit_test(test_local),
		cmocka_unit_test(test_words),	  cmocka_unit_test(test_long_word), cmocka_unit_test(test_texts),
		cmocka_unit_test(test_unset),	  cmocka_unit_test(test_first),	    cmocka_unit_test(test_lists),
		cmocka_unit_test(test_entries),	  cmocka_unit_test(test_kinds),	    cmocka_unit_test(test_several_uris),
	};

	int failed;

	if (templates_new(&templates))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	templates_free(templates);
	return failed;
}
