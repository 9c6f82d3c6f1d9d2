// SPDX-License-Identifier: GPL-2.0-or-later
/* Flags and the configuration file: what wins, and the exact words of a refusal. */
#include "cmocka_all.h"

#include "base/util.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum config_result load(struct config *config, struct reason *reason, const char *file_text,
			       const char *const *flags)
{
	char path[] = "/tmp/sanbootd-test-config-XXXXXX";
	char *argv[16] = { (char *)"sanbootd", (char *)"--config", path };
	int argc = 3, fd = mkstemp(path);
	enum config_result result;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file_text, strlen(file_text)), strlen(file_text));
	close(fd);
	while (*flags)
		argv[argc++] = (char *)*flags++;
	reason->text[0] = '\0';
	result = config_load(argc, argv, config, reason);
	/* The name of the file differs each time. */
	for (char *at; (at = strstr(reason->text, path));) {
		memmove(at + 4, at + strlen(path), strlen(at + strlen(path)) + 1);
		memcpy(at, "FILE", 4);
	}
	unlink(path);
	return result;
}

#define FLAGS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static void test_defaults(void **state)
{
	struct config config;
	char text[PARSE_ENDPOINT_TEXT];
	struct reason reason;

	(void)state;
	assert_int_equal(load(&config, &reason, "", FLAGS(NULL)), CONFIG_RUN);
	assert_string_equal(config.state_dir, "/var/lib/sanbootd");
	assert_string_equal(config.runtime_dir, "/run/sanbootd");
	assert_string_equal(config.ipxe_dir, "/usr/lib/ipxe");
	assert_string_equal(endpoint_format(&config.http.list[0], text), "0.0.0.0:8080");
	assert_string_equal(endpoint_format(&config.iscsi.list[0], text), "0.0.0.0:3260");
	assert_int_equal(config.http.count, 1);
	assert_int_equal(config.web.count, 0);
	assert_int_equal(config.dhcp.mode, DHCP_OFF);
	assert_true(config.threads >= 1);
	assert_int_equal(strncmp(config.iqn_prefix, "iqn.2026-11.", 12), 0);
	assert_non_null(strstr(config.iqn_prefix, ":sanbootd"));
}

static void test_boot_file_sets(void **state)
{
	static const char *const bad[] = { "x",
					   "x:relative",
					   ":/a",
					   "default:/a",
					   "group:/a",
					   "a b:/a",
					   "a,b:/a",
					   "ms2023:",
					   "x:/a\nboot-file-set = x:/b",
					   "a-name-of-thirty-two-characters-:/a" };
	struct config config;
	struct reason reason;
	char text[128];

	(void)state;
	assert_int_equal(load(&config, &reason, "boot-file-set = ms2023:/srv/a:b\nboot-file-set = old_1:/srv/old\n",
			      FLAGS(NULL)),
			 CONFIG_RUN);
	assert_int_equal(config.boot_file_set_count, 2);
	assert_string_equal(config.boot_file_sets[0], "ms2023:/srv/a:b");
	for (size_t i = 0; i < array_len(bad); i++) {
		snprintf(text, sizeof(text), "boot-file-set = %s\n", bad[i]);
		assert_int_equal(load(&config, &reason, text, FLAGS(NULL)), CONFIG_BAD);
		assert_non_null(strstr(reason.text, "expected NAME:DIR"));
	}
}

static void test_file_and_flags(void **state)
{
	struct config config;
	char text[PARSE_ENDPOINT_TEXT];
	struct reason reason;
	const char *file =
		"# a comment\n\n  state-dir = /srv/s  \nhttp = 10.0.0.1:80\nhttp=10.0.0.2:80\niscsi = 10.0.0.1:3260\nlog-level = debug\n"
		"dhcp = full\ninterface = eth0\ndhcp-range = 10.0.0.100,10.0.0.200,1h # of eth0\n"
		"dhcp-range = 10.0.1.100,10.0.1.200\ndhcp-force = yes\n"
		"dhcp-dns = 10.0.0.2, 10.0.0.3\t# two\ndhcp-dns=br1:none\ndhcp-router = 10.0.0.254\ndhcp-domain = a.example,b.example\n";

	(void)state;
	assert_int_equal(load(&config, &reason, file,
			      FLAGS("--http", "[::]:8080", "--threads=3", "--interface=br0", "--interface", "br1",
				    "--dhcp-router", "none")),
			 CONFIG_RUN);
	assert_string_equal(config.state_dir, "/srv/s");
	assert_int_equal(config.http.count, 1); /* the flag replaces both of the file's */
	assert_string_equal(endpoint_format(&config.http.list[0], text), "[::]:8080");
	assert_string_equal(endpoint_format(&config.iscsi.list[0], text), "10.0.0.1:3260");
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config.threads, 3);
	assert_int_equal(config.dhcp.interface_count, 2);
	assert_string_equal(config.dhcp.interfaces[1], "br1");
	assert_true(config.dhcp.force);
	assert_int_equal(config.dhcp.range_count, 2);
	assert_string_equal(config.dhcp.ranges[0], "10.0.0.100,10.0.0.200,1h");
	assert_int_equal(config.dhcp.option_count, 4);
	assert_string_equal(config.dhcp.options[0].text, "10.0.0.2, 10.0.0.3");
	assert_string_equal(config.dhcp.options[1].text, "br1:none");
	assert_int_equal(config.dhcp.options[2].kind, DHCP_OPTION_DOMAIN);
	assert_int_equal(config.dhcp.options[3].kind, DHCP_OPTION_ROUTER); /* the flag replaces the file's */
	assert_string_equal(config.dhcp.options[3].text, "none");
}

static void test_refusals(void **state)
{
	static const struct {
		const char *file;
		const char *flags[4];
		const char *reason;
	} cases[] = {
		{ "stat-dir = /x\n",
		  { NULL },
		  "FILE:1: unknown key \"stat-dir\"; the keys are the flags of sanbootd --help without the dashes" },
		{ "\nstate-dir /x\n", { NULL }, "FILE:2: expected KEY = VALUE" },
		{ "http = localhost:80\n",
		  { NULL },
		  "FILE:1: http = localhost:80: expected ADDR:PORT with a numeric address, such as 0.0.0.0:8080 or [::]:8080 (at most 16 of them)" },
		{ "config = /x\n",
		  { NULL },
		  "FILE:1: unknown key \"config\"; the keys are the flags of sanbootd --help without the dashes" },
		{ "", { "--dhcp", "maybe" }, "--dhcp maybe: expected off, proxy or full" },
		{ "",
		  { "--cache-size", "1000T" },
		  "--cache-size 1000T: expected a size such as 2G, less than the machine's memory, or 0 for none" },
		{ "", { "--threads", "0" }, "--threads 0: expected a number from 1 to 256" },
		{ "", { "--threads" }, "--threads needs a value: N" },
		{ "", { "--bogus" }, "unknown flag --bogus; see sanbootd --help" },
		{ "", { "bogus" }, "unexpected argument \"bogus\"; see sanbootd --help" },
		{ "", { "--state-dir", "relative" }, "--state-dir relative: expected an absolute path" },
		{ "",
		  { "--dhcp", "proxy" },
		  "--dhcp proxy needs --interface NAME: the network in which the machines are" },
		{ "dhcp=full\ninterface=eth0\n",
		  { NULL },
		  "--dhcp full needs --dhcp-range FIRST,LAST: the addresses to give out" },
		{ "dhcp-range = 10.0.0.9\n",
		  { NULL },
		  "FILE:1: dhcp-range = 10.0.0.9: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h (at most 32 of them)" },
		{ "dhcp-dns = dns.example\n",
		  { NULL },
		  "FILE:1: dhcp-dns = dns.example: expected IPv4 addresses, such as 10.0.0.2,10.0.0.3 or eth1:10.0.0.2, or none" },
		{ "",
		  { "--dhcp-domain", "-x" },
		  "--dhcp-domain -x: expected domain names, such as lab.example.org or eth1:lab.example.org, or none" },
		{ "", { "--dhcp-force" }, "--dhcp-force makes sense only with --dhcp full" },
		{ "",
		  { "--iqn-prefix", "IQN.x" },
		  "--iqn-prefix IQN.x: expected an iSCSI name without its last part, such as iqn.2026-11.org.example:sanbootd (lower case, at most 180 characters)" },
	};
	struct config config;
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(load(&config, &reason, cases[i].file, cases[i].flags), CONFIG_BAD);
		assert_string_equal(reason.text, cases[i].reason);
	}
}

/* What a reload cannot put in force is named, and nothing else is. */
static void test_what_needs_a_restart(void **state)
{
	static const struct {
		const char *file, *names;
	} cases[] = {
		{ "threads = 2\nhttp = 10.0.0.1:80\n", "" },
		/* The same, said in another way. */
		{ "threads = 7\nthreads = 2\nstate-dir = /a/longer/one\nstate-dir = /var/lib/sanbootd\nhttp = 10.0.0.1:80\n",
		  "" },
		{ "threads = 2\nhttp = 10.0.0.1:80\nlog-level = debug\ndhcp = full\ninterface = br0\n"
		  "dhcp-range = 10.0.0.9,10.0.0.10\ndhcp-dns = none\n",
		  "" },
		{ "threads = 3\nhttp = 10.0.0.1:80\nhttp = 10.0.0.2:80\nentries = /e\n", "http, entries, threads" },
		{ "threads = 2\n", "http" },
	};
	struct config running, fresh;
	struct reason reason;
	struct buf names;

	(void)state;
	assert_int_equal(load(&running, &reason, cases[0].file, FLAGS(NULL)), CONFIG_RUN);
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(load(&fresh, &reason, cases[i].file, FLAGS(NULL)), CONFIG_RUN);
		buf_init(&names, 1024);
		assert_int_equal(config_needs_restart(&running, &fresh, &names), cases[i].names[0] != '\0');
		assert_string_equal(buf_text(&names), cases[i].names);
		buf_fini(&names);
	}
}

static void test_environment(void **state)
{
	struct config config;
	struct reason reason;

	(void)state;
	setenv("STATE_DIRECTORY", "/srv/state", 1);
	setenv("RUNTIME_DIRECTORY", "", 1);
	assert_int_equal(load(&config, &reason, "", FLAGS(NULL)), CONFIG_RUN);
	assert_string_equal(config.state_dir, "/srv/state");
	assert_string_equal(config.boot_files, "/srv/state/boot-files");
	assert_string_equal(config.runtime_dir, "/run/sanbootd");
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
}

static void test_missing_file(void **state)
{
	char *argv[] = { (char *)"sanbootd", (char *)"--config=/nonexistent/sanbootd.conf" };
	struct config config;
	struct reason reason;

	(void)state;
	assert_int_equal(config_load(2, argv, &config, &reason), CONFIG_BAD);
	assert_string_equal(reason.text,
			    "cannot read the configuration file /nonexistent/sanbootd.conf: No such file or directory");
}

static void test_help_names_every_flag(void **state)
{
	static const char *const flags[] = { "--config",   "--state-dir",  "--runtime-dir", "--http",
					     "--web",	   "--iscsi",	   "--advertise",   "--iqn-prefix",
					     "--dhcp",	   "--interface",  "--dhcp-range",  "--dhcp-router",
					     "--dhcp-dns", "--dhcp-ntp",   "--dhcp-domain", "--dhcp-force",
					     "--ipxe-dir", "--cache-size", "--threads",	    "--log-level",
					     "--version",  "--help" };
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	config_help(&text);
	for (size_t i = 0; i < array_len(flags); i++)
		assert_non_null(strstr(buf_text(&text), flags[i]));
	/* Defaults, what may be repeated and what a reload takes are the table's. */
	assert_non_null(strstr(buf_text(&text), "boot scripts and boot files; repeatable (default 0.0.0.0:8080)\n"));
	assert_non_null(strstr(buf_text(&text), "(default $STATE_DIRECTORY or /var/lib/sanbootd)\n"));
	assert_non_null(strstr(buf_text(&text), "I/O loops (default one per core)\n"));
	assert_non_null(strstr(buf_text(&text), "\n  dhcp, interface, dhcp-range, dhcp-router, dhcp-dns, dhcp-ntp, "
						"dhcp-domain, dhcp-force, log-level\n"));
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_boot_file_sets),
		cmocka_unit_test(test_file_and_flags),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_needs_a_restart),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_help_names_every_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
