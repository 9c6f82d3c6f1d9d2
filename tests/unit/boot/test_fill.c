// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Templates of who-am-i volumes: what stands for a placeholder in YAML, JSON and text; what is refused, and where. The
 * oracle for YAML is python3-yaml, which reads YAML 1.1 as cloud-init does.
 */
#include "boot/whoami/fill.h"

#include "base/util.h"
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct fill_values values = { .value = {
						   [FILL_NAME] = "0012",
						   [FILL_WINDOWS_NAME] = "PC-0012",
						   [FILL_MAC] = "52:54:00:12:34:56",
						   [FILL_UUID] = "5a4b0075-0000-4000-8000-000000000001",
						   [FILL_SERIAL] = "A: -b @c",
						   [FILL_IP] = "10.0.0.7",
						   [FILL_INSTANCE] = "abc-1",
					   } };

static const char *filled(enum fill_kind kind, const char *text)
{
	static char out[4096];
	struct reason why = { "" };
	unsigned line = 0;
	struct buf buf;

	buf_init(&buf, sizeof(out));
	if (fill_text(kind, text, strlen(text), &values, &buf, &line, &why))
		fail_msg("line %u: %s in: %s", line, why.text, text);
	assert_false(buf.failed);
	snprintf(out, sizeof(out), "%s", buf_text(&buf));
	buf_fini(&buf);
	return out;
}

static void test_yaml(void **state)
{
	static const struct {
		const char *template, *file;
	} cases[] = {
		{ "a: {name}\n", "a: \"0012\"\n" },
		{ "{name}: {mac} # {name}\n", "\"0012\": \"52:54:00:12:34:56\" # 0012\n" },
		{ "a: \"x{name}\"\nb: '{mac}'\n", "a: \"x0012\"\nb: '52:54:00:12:34:56'\n" },
		{ "- echo {name} >>/etc/motd\n", "- \"echo 0012 >>/etc/motd\"\n" },
		{ "- echo \"{name}\" \\\n", "- \"echo \\\"0012\\\" \\\\\"\n" },
		{ "fqdn: {name}.lab.example", "fqdn: \"0012.lab.example\"" },
		{ "a: 1{name}\n", "a: \"10012\"\n" },
		{ "{a: {name}, b: [{mac}, x, {ip}]}\n",
		  "{a: \"0012\", b: [\"52:54:00:12:34:56\", x, \"10.0.0.7\"]}\n" },
		{ "{\"a\":{name},\"b\":\"{name}\"}", "{\"a\":\"0012\",\"b\":\"0012\"}" },
		{ "{\n  \"a\": [\n    {name}\n  ]\n}\n", "{\n  \"a\": [\n    \"0012\"\n  ]\n}\n" },
		/* A block is text, up to what is indented no more than its key. */
		{ "c: |\n  {name}\n\n   - {mac}\nd: {name}\n",
		  "c: |\n  0012\n\n   - 52:54:00:12:34:56\nd: \"0012\"\n" },
		{ "- content: >-\n    {name}\n  path: {name}\n", "- content: >-\n    0012\n  path: \"0012\"\n" },
		{ "- \"content\": |2+ # x\n    {name}\n  path: {name}\n",
		  "- \"content\": |2+ # x\n    0012\n  path: \"0012\"\n" },
		{ "- |\n  {name}\n- {name}\n", "- |\n  0012\n- \"0012\"\n" },
		{ "a: b |\nc: {name}\n", "a: b |\nc: \"0012\"\n" },
		/* What goes on in the next line cannot be quoted, neither there nor here. */
		{ "- echo {name}\n  and {mac}\n- {name}\n", "- echo 0012\n  and 52:54:00:12:34:56\n- \"0012\"\n" },
		{ "- name: {name}\n  mac: {mac}\n", "- name: \"0012\"\n  mac: \"52:54:00:12:34:56\"\n" },
		{ "a: \"one\n {name}\n two\"\nb: {name}\n", "a: \"one\n 0012\n two\"\nb: \"0012\"\n" },
		{ "a: 'it''s\n {name}'\nb: {name}\n", "a: 'it''s\n 0012'\nb: \"0012\"\n" },
		{ "a: !!str {name}\nb: &x {name}\nc: *x\n", "a: !!str \"0012\"\nb: &x \"0012\"\nc: *x\n" },
		{ "--- # x\n? {name}\n: {mac}\n", "--- # x\n? \"0012\"\n: \"52:54:00:12:34:56\"\n" },
		{ "a: it's {name}\n", "a: \"it's 0012\"\n" },
		{ "- - {name}\n  - x\n", "- - \"0012\"\n  - x\n" },
		{ "a: {name}\r\nb: 1\r\n", "a: \"0012\"\r\nb: 1\r\n" },
		/* Somebody else's. */
		{ "- ${name} {{ name }} {{name}} {} {a: b}\n", "- ${name} {{ name }} {{name}} {} {a: b}\n" },
		{ "- {brace}name}\n", "- \"{name}\"\n" },
		{ "", "" },
		{ "{product}", "\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++)
		assert_string_equal(filled(FILL_YAML, cases[i].template), cases[i].file);
}

static void test_text(void **state)
{
	(void)state;
	assert_string_equal(filled(FILL_TEXT, "#!/bin/sh\necho {name} ${name} {brace}\n"),
			    "#!/bin/sh\necho 0012 ${name} {\n");
	assert_string_equal(filled(FILL_TEXT, "<ComputerName>{windows-name}</ComputerName>"),
			    "<ComputerName>PC-0012</ComputerName>");
}

static void test_unknown(void **state)
{
	static const struct {
		enum fill_kind kind;
		const char *text;
		unsigned line;
		const char *shown;
	} cases[] = {
		{ FILL_YAML, "a: 1\nb: {nmae}\n", 2, "{nmae}" },
		{ FILL_YAML, "a: |\n  {x}\n", 2, "{x}" },
		{ FILL_YAML, "# {x}\n", 1, "{x}" },
		{ FILL_YAML, "a: \"\n\n{x}\"\n", 3, "{x}" },
		{ FILL_YAML, "{name}: {name2}\n", 1, "{name2}" },
		{ FILL_TEXT, "\n\nawk '{print}'\n", 3, "{print}" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct reason why = { "" };
		unsigned line = 0;
		struct buf buf;

		buf_init(&buf, 4096);
		assert_int_equal(fill_text(cases[i].kind, cases[i].text, strlen(cases[i].text), NULL, &buf, &line,
					   &why),
				 -EINVAL);
		assert_int_equal(line, cases[i].line);
		if (!strstr(why.text, cases[i].shown) || !strstr(why.text, "{brace}"))
			fail_msg("%s", why.text);
		buf_fini(&buf);
	}
}

static void test_kinds(void **state)
{
	static const char config[] = "#cloud-config\n", script[] = "#!/bin/sh\n";

	(void)state;
	assert_int_equal(fill_kind_of("user-data", config, strlen(config)), FILL_YAML);
	assert_int_equal(fill_kind_of("user-data", script, strlen(script)), FILL_TEXT);
	assert_int_equal(fill_kind_of("vendor-data", "", 0), FILL_TEXT);
	assert_int_equal(fill_kind_of("meta-data", "", 0), FILL_YAML);
	assert_int_equal(fill_kind_of("network-config", script, strlen(script)), FILL_YAML);
	assert_int_equal(fill_kind_of("x.json", "{}", 2), FILL_YAML);
	assert_int_equal(fill_kind_of("Unattend.xml", "<a/>", 4), FILL_TEXT);
	assert_int_equal(fill_kind_of("x.yaml", "a\0b", 3), FILL_NOT);
}

static void test_clean(void **state)
{
	char out[64];

	(void)state;
	assert_string_equal(fill_clean("VMware-56 4d_.:@/+,=", out, sizeof(out)), "VMware-56 4d_.:@/+,=");
	assert_string_equal(fill_clean("$(reboot);`x`\n\"'<&>#{}\\\xc3\xa4", out, sizeof(out)),
			    "__reboot___x_____________");
	assert_string_equal(fill_clean("abcdef", out, 4), "abc");
}

/*
 * The same document with harmless words for values, and with values that YAML would take for numbers: what is read must be
 * the same but for those words, and of the same types.
 */
static const char oracle[] =
	"import sys, yaml\n"
	"plain, real = (yaml.load(open(f), Loader=yaml.SafeLoader) for f in sys.argv[1:3])\n"
	"words = {'Wname': '0012', 'Wmac': '52:54:00:12:34:56', 'Wip': '1e3', 'Winstance': '0x1f'}\n"
	"def put(x):\n"
	"    if isinstance(x, dict): return {put(k): put(v) for k, v in x.items()}\n"
	"    if isinstance(x, list): return [put(v) for v in x]\n"
	"    if isinstance(x, str):\n"
	"        for word, value in words.items(): x = x.replace(word, value)\n"
	"    return x\n"
	"if put(plain) != real: sys.exit('%r\\n%r' % (put(plain), real))\n";

static void write_filled(const char *path, const char *text, const struct fill_values *with)
{
	FILE *file = fopen(path, "w");
	struct reason why;
	unsigned line;
	struct buf buf;

	assert_non_null(file);
	buf_init(&buf, 65536);
	assert_int_equal(fill_text(FILL_YAML, text, strlen(text), with, &buf, &line, &why), 0);
	fwrite(buf_text(&buf), 1, buf.len, file);
	fclose(file);
	buf_fini(&buf);
}

static void test_oracle(void **state)
{
	static const struct fill_values words = { .value = { [FILL_NAME] = "Wname",
							     [FILL_MAC] = "Wmac",
							     [FILL_IP] = "Wip",
							     [FILL_INSTANCE] = "Winstance" } },
					real = { .value = { [FILL_NAME] = "0012",
							    [FILL_MAC] = "52:54:00:12:34:56",
							    [FILL_IP] = "1e3",
							    [FILL_INSTANCE] = "0x1f" } };
	static const char *const documents[] = {
		"instance-id: {instance}\nlocal-hostname: {name}\n",
		"#cloud-config\nusers:\n  - default\n  - name: {name}\n    ssh_authorized_keys: [\"ssh-rsa {mac}\", {ip}]\n"
		"runcmd:\n  - echo {name} \"{mac}\" > /etc/x\n  - [sh, -c, {name}]\nwrite_files:\n- content: |\n    {name}\n"
		"    a: {mac}\n  path: /etc/{name}.conf\n- path: '{ip}'\n  content: >\n    {ip}\n\n    x\n",
		"version: 2\nethernets:\n  nic:\n    match: {macaddress: {mac}}\n    addresses: [{ip}]\n    set-name: {name}\n",
		"{\"a\": {name}, \"b\": [{mac}, \"{ip}\", {\"c\":{instance}}]}",
		"a: one two\n  {name} three\nb:\n  - {mac}\n  - - {ip}\n    - x\n{name}: {ip}\n",
		"a: \"{name}\n  {mac}\"\n? {ip}\n: {instance}\n",
		"- {name} # {mac}\n-\n  {ip}\n- |-\n {name}\n  {mac}\n- {instance}\n",
		"a:\n  {name}\nb:\n- {name}\n-   k: {mac}\n    l: {ip}\n",
		"-\n  {mac}\n-\n  {instance}\n  {mac}\n- a:\n    {instance}\n  b: &x\n    {mac}\n- {instance}\n",
	};
	char dir[] = "/tmp/unit-fill.XXXXXX", command[512], path[3][64];
	FILE *script;

	(void)state;
	if (system("python3 -c 'import yaml' 2>/dev/null")) {
		test_skip("there is no python3-yaml: apt install python3-yaml");
		return;
	}
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 3; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%d", dir, i);
	script = fopen(path[2], "w");
	assert_non_null(script);
	fputs(oracle, script);
	fclose(script);
	snprintf(command, sizeof(command), "python3 %s %s %s", path[2], path[0], path[1]);
	for (size_t i = 0; i < array_len(documents); i++) {
		write_filled(path[0], documents[i], &words);
		write_filled(path[1], documents[i], &real);
		if (system(command))
			fail_msg("read differently: %s", documents[i]);
	}
	for (int i = 0; i < 3; i++)
		unlink(path[i]);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml),  cmocka_unit_test(test_text),  cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_kinds), cmocka_unit_test(test_clean), cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
