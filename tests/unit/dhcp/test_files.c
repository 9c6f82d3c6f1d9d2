// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcp: which boot files are chosen, the TFTP folder, the lease file, the owner of a port, router solicitations,
 * dnsmasq's own words.
 */
#include "cmocka_all.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/command.h"
#include "dhcp/files.h"
#include "dhcp/leases.h"
#include "dhcp/owner.h"
#include "dhcp/router.h"
#include "dhcp/tftp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	char dir[64];
};

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->dir, sizeof(place->dir), "/tmp/sanbootd-test-files-XXXXXX");
	*state = place;
	log_set_level(LOG_LEVEL_ERROR);
	return mkdtemp(place->dir) ? 0 : -1;
}

static int remove_place(void **state)
{
	struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", place->dir);
	assert_int_equal(system(command), 0);
	free(place);
	return 0;
}

static void put(const struct place *place, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_folder(const struct place *place, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void test_choice(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;
	char wanted[512];
	struct reason reason;

	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), -ENOENT);
	snprintf(wanted, sizeof(wanted),
		 "no boot file is in %s; apt install ipxe, or name another folder with --ipxe-dir", place->dir);
	assert_string_equal(reason.text, wanted);

	put(place, "ipxe.efi", "");
	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), 0);
	assert_string_equal(files.name[0], "");
	assert_string_equal(files.name[2], "ipxe.efi");
	put(place, "snponly.efi", "");
	make_folder(place, "arm64");
	put(place, "arm64/ipxe.efi", "");
	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), 0);
	assert_string_equal(files.name[2], "snponly.efi");
	assert_string_equal(files.name[3], "arm64/ipxe.efi");
	assert_int_equal(ipxe_files_find("/nonexistent", &files, &reason), -ENOENT);
}

static void test_shims(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;
	struct reason reason;

	put(place, "undionly.kpxe", "");
	put(place, "other-shimx64.efi", ""); /* what it would start is not there */
	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), 0);
	assert_string_equal(files.name[2], "");
	put(place, "ipxe-shimx64.efi", "");
	put(place, "ipxe.efi", "");
	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), 0);
	assert_string_equal(files.name[2], "ipxe-shimx64.efi");
	put(place, "snponly-shimx64.efi", "");
	put(place, "snponly.efi", "");
	put(place, "x y-shimx64.efi", ""); /* no name for a configuration */
	put(place, "x y.efi", "");
	assert_int_equal(ipxe_files_find(place->dir, &files, &reason), 0);
	assert_string_equal(files.name[2], "snponly-shimx64.efi");
}

static int make_script(void *arg, const char *base_url, struct buf *script)
{
	(void)arg;
	buf_printf(script, "#!ipxe\n# %s\n", base_url);
	return 0;
}

static void read_file(const struct place *place, const char *name, char *text, size_t size)
{
	char path[512];
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	file = fopen(path, "r");
	assert_non_null(file);
	got = fread(text, 1, size - 1, file);
	text[got] = '\0';
	fclose(file);
}

static void make_root(const struct place *place, const char *ipxe)
{
	struct dhcp_config config = {
		.ipxe_dir = ipxe, .runtime_dir = place->dir, .http_port = 8080, .first_script = make_script
	};
	struct dhcp_network network = { .name = "br0" };
	struct ipxe_files files;
	struct reason reason;

	inet_pton(AF_INET, "10.77.0.1", &network.address);
	assert_int_equal(ipxe_files_find(ipxe, &files, &reason), 0);
	assert_int_equal(tftp_make_root(&config, &network, &files, &reason), 0);
}

static void expect_text(const struct place *place, const char *name, const char *wanted)
{
	char text[1024];

	read_file(place, name, text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void expect_autoexec(const struct place *place, const char *name)
{
	char text[2048];

	read_file(place, name, text, sizeof(text));
	assert_memory_equal(text, "#!ipxe\n", 7);
	/* The card in use first, then each. */
	assert_non_null(strstr(text, "\nisset ${netX/mac} && dhcp netX && chain --timeout 20000 --replace --autofree "
				     "tftp://10.77.0.1/boot.ipxe ||\nisset ${net0/mac} && dhcp net0 && chain "));
	assert_non_null(strstr(text, "tftp://10.77.0.1/boot.ipxe || ifclose net3 ||\n"));
}

static void test_tftp_root(void **state)
{
	const struct place *place = *state;
	static const char *const names[] = { "undionly.kpxe", "snponly.efi", ".hidden", "a b+~(1)", "gr\xc3\xbcn" };
	char ipxe[128], name[128], path[300];

	make_folder(place, "ipxe");
	make_folder(place, "ipxe/more");
	snprintf(ipxe, sizeof(ipxe), "%s/ipxe", place->dir);
	for (size_t i = 0; i < array_len(names); i++) {
		snprintf(name, sizeof(name), "ipxe/%s", names[i]);
		put(place, name, names[i]);
	}
	put(place, "ipxe/more/deep.efi", "deep");
	put(place, "ipxe/boot.ipxe", "not this one");
	put(place, "ipxe/line\nbreak", "dnsmasq's log would have two lines");
	for (int round = 0; round < 2; round++) { /* what an earlier start made is replaced */
		make_root(place, ipxe);
		for (size_t i = 0; i < array_len(names); i++) {
			snprintf(name, sizeof(name), "tftp/br0/%s", names[i]);
			expect_text(place, name, names[i]);
		}
		expect_text(place, "tftp/br0/more/deep.efi", "deep");
		expect_text(place, "tftp/br0/boot.ipxe", "#!ipxe\n# http://10.77.0.1:8080\n");
		snprintf(path, sizeof(path), "%s/tftp/br0/line\nbreak", place->dir);
		assert_int_not_equal(access(path, F_OK), 0);
		expect_autoexec(place, "tftp/br0/autoexec.ipxe"); /* signed or not, who loads it asks for it */
	}
	expect_text(place, "ipxe/boot.ipxe", "not this one");
	put(place, "ipxe/autoexec.ipxe", "the site's"); /* wins, and is not written to */
	make_root(place, ipxe);
	expect_text(place, "tftp/br0/autoexec.ipxe", "the site's");
	expect_text(place, "ipxe/autoexec.ipxe", "the site's");
}

/* An iPXE asks for its script beside itself first. */
static void test_tftp_root_with_loaders_in_folders(void **state)
{
	const struct place *place = *state;
	char ipxe[128], path[300];

	make_folder(place, "ipxe");
	make_folder(place, "ipxe/arm64");
	make_folder(place, "ipxe/x86_64-efi");
	snprintf(ipxe, sizeof(ipxe), "%s/ipxe", place->dir);
	put(place, "ipxe/arm64/snponly.efi", "arm");
	put(place, "ipxe/x86_64-efi/ipxe.efi", "x64");
	put(place, "ipxe/x86_64-efi/autoexec.ipxe", "the folder's");
	for (int round = 0; round < 2; round++) {
		make_root(place, ipxe);
		expect_text(place, "tftp/br0/arm64/snponly.efi", "arm");
		expect_text(place, "tftp/br0/x86_64-efi/ipxe.efi", "x64");
		expect_autoexec(place, "tftp/br0/autoexec.ipxe");
		expect_autoexec(place, "tftp/br0/arm64/autoexec.ipxe");
		expect_text(place, "tftp/br0/x86_64-efi/autoexec.ipxe", "the folder's");
	}
	/* Nothing was written where the site's files are, and nothing of them was removed. */
	snprintf(path, sizeof(path), "%s/arm64/autoexec.ipxe", ipxe);
	assert_int_not_equal(access(path, F_OK), 0);
	expect_text(place, "ipxe/arm64/snponly.efi", "arm");
	put(place, "ipxe/autoexec.ipxe", "the site's");
	make_root(place, ipxe);
	expect_text(place, "tftp/br0/arm64/autoexec.ipxe", "the site's");
	expect_text(place, "tftp/br0/x86_64-efi/autoexec.ipxe", "the folder's");
}

static void test_leases(void **state)
{
	const struct place *place = *state;
	static const struct dhcp_lease wanted[] = {
		{ "52:54:00:e2:00:01", "10.77.0.100", "pc-001", 1700000000000 },
		{ "52:54:00:e2:00:02", "10.77.0.101", "", 0 },
		{ "", "10.77.0.103", "abc", 1700000001000 },
	};
	struct dhcp_lease *leases;
	unsigned count = 9;

	leases_read(place->dir, &leases, &count);
	assert_int_equal(count, 0);
	assert_null(leases);
	make_folder(place, "dnsmasq");
	put(place, "dnsmasq/leases",
	    "1700000000 52:54:00:e2:00:01 10.77.0.100 pc-001 *\n"
	    "0 52:54:00:e2:00:02 10.77.0.101 * 01:52\n"
	    "duid 00:01\n"
	    "1700000000 1 fd00::1 x y\n"
	    "-5 52:54:00:e2:00:02 10.77.0.102 * *\n"
	    " 99999999999999999999 52:54:00:e2:00:02 10.77.0.104 * *\n"
	    "99999999999999999999 52:54:00:e2:00:02 10.77.0.105 * *\n"
	    "1700000001 \"\\ 10.77.0.103 a\"b\\c *\n"
	    "half a li");
	leases_read(place->dir, &leases, &count);
	assert_int_equal(count, array_len(wanted));
	for (unsigned i = 0; i < count; i++) {
		assert_string_equal(leases[i].mac, wanted[i].mac);
		assert_string_equal(leases[i].address, wanted[i].address);
		assert_string_equal(leases[i].name, wanted[i].name);
		assert_int_equal(leases[i].expires_ms, wanted[i].expires_ms);
	}
	free(leases);
}

static void test_owner(void **state)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char text[300], wanted[64];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	getsockname(fd, (struct sockaddr *)&any, &len);
	assert_true(owner_of_udp_port(ntohs(any.sin_port), text, sizeof(text)));
	snprintf(wanted, sizeof(wanted), "test_files (process %d)", getpid());
	assert_string_equal(text, wanted);
	close(fd);
	assert_false(owner_of_udp_port(ntohs(any.sin_port), text, sizeof(text)));
}

/* Whoever has the argument as a whole is ended, and nobody else. */
static void test_strays(void **state)
{
	const char *const arguments[] = { "--conf-file=/run/sanbootd-test/a", "--conf-file=/run/sanbootd-test/ab" };
	pid_t pids[2];
	int status, ready[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			dup2(ready[1], STDOUT_FILENO);
			execl("/bin/sh", "sh", "-c", "echo; sleep 30; exit 7", "sh", arguments[i], NULL);
			_exit(127);
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
	}
	owner_end_strays(arguments[0]);
	assert_int_equal(waitpid(pids[0], &status, 0), pids[0]);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(waitpid(pids[1], &status, WNOHANG), 0);
	kill(pids[1], SIGKILL);
	assert_int_equal(waitpid(pids[1], &status, 0), pids[1]);
	close(ready[0]);
	close(ready[1]);
}

static void test_solicitations(void **state)
{
	unsigned char packet[24] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1 };

	(void)state;
	assert_true(no_router_valid(packet, 8, 255));
	assert_true(no_router_valid(packet, 16, 255));
	assert_false(no_router_valid(packet, 16, 64)); /* from behind a router */
	assert_false(no_router_valid(packet, 7, 255));
	assert_false(no_router_valid(packet, 9, 255)); /* half an option */
	assert_false(no_router_valid(packet, 15, 255));
	assert_false(no_router_valid(packet, 24, 255)); /* an option of no length */
	packet[1] = 1;
	assert_false(no_router_valid(packet, 16, 255));
	packet[0] = 134;
	packet[1] = 0;
	assert_false(no_router_valid(packet, 16, 255));
}

static void test_words(void **state)
{
	const struct place *place = *state;
	char path[300];
	struct reason reason;

	put(place, "good", "port=0\n");
	put(place, "bad", "port=0\nno-such-option\n");
	snprintf(path, sizeof(path), "%s/good", place->dir);
	assert_int_equal(dnsmasq_command_test(path, &reason), 0);
	snprintf(path, sizeof(path), "%s/bad", place->dir);
	assert_int_equal(dnsmasq_command_test(path, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "dnsmasq refuses its configuration: dnsmasq: bad option at line 2 of "));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_choice), TEST(test_shims), TEST(test_tftp_root), TEST(test_tftp_root_with_loaders_in_folders),
		TEST(test_leases), TEST(test_owner), TEST(test_strays),	   TEST(test_solicitations),
		TEST(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
