// SPDX-License-Identifier: GPL-2.0-or-later
/* Boot files over real sockets: under which names, in which parts, and what is said of them. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"
#include "http/watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of boot-files/, last modified long ago. */
static void put(const struct fixture *f, const char *name, const char *text)
{
	const struct timespec then[2] = { { .tv_sec = 784111777 }, { .tv_sec = 784111777 } };
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->boot_files, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static void expect_header(const struct answer *answer, const char *name, const char *want)
{
	char *value = answer_header(answer, name);

	if (want ? !value || strcmp(value, want) : value != NULL)
		fail_msg("%s: %s instead of %s", name, value ? value : "nothing", want ? want : "nothing");
	free(value);
}

/* headers "" or lines; body NULL: is not looked at. The answer is the caller's. */
static struct answer get(struct fixture *f, const char *path, const char *headers, unsigned status, const char *body)
{
	struct answer answer = ask(f, VIA_TCP, "GET", path, headers, NULL);

	if (answer.status != status || (body && strcmp(answer.body, body) != 0))
		fail_msg("%s %s: %u %s instead of %u %s", path, headers, answer.status, answer.body, status,
			 body ? body : "");
	return answer;
}

static void expect(struct fixture *f, const char *path, const char *headers, unsigned status, const char *body)
{
	struct answer answer = get(f, path, headers, status, body);

	answer_free(&answer);
}

/* ---- names ---- */

static void test_any_name(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *path;
	} files[] = {
		{ ".treeinfo", ".treeinfo" },
		{ ".disk/info", ".disk/info" },
		{ "old~", "old~" },
		{ "a b", "a%20b" },
		{ "gr\xc3\xbc\xc3\x9f", "gr%C3%BC%c3%9f" },
		{ "raw\xc3\xbc", "raw\xc3\xbc" },
		{ "latin\xfc", "latin%FC" },
		{ "100%", "100%25" },
		{ "50%x", "50%x" },
		{ "live (amd64)", "live%20(amd64)" },
		{ "a+b", "a+b" },
		{ "q?", "q%3f" },
		{ "back\\slash", "back%5cslash" },
		{ "line\nbreak", "line%0abreak" },
		{ "..x", "..x" },
		{ "x..", "x.." },
		{ "...", "..." },
		{ "-v", "-v" },
	};
	char path[128], directory[256];

	snprintf(directory, sizeof(directory), "%s/.disk", f->boot_files);
	assert_int_equal(mkdir(directory, 0755), 0);
	for (size_t i = 0; i < array_len(files); i++) {
		put(f, files[i].name, files[i].name);
		snprintf(path, sizeof(path), "/boot-files/%s", files[i].path);
		expect(f, path, "", 200, files[i].name);
	}
	expect(f, "/boot-files/deep/boot.wim", "", 200, "WIM");
	expect(f, "/boot-files/deep%2Fboot.wim", "", 200, "WIM");
	expect(f, "/boot-files/./kernel", "", 200, "KERNEL");
	expect(f, "/boot-files/kernel?version=2", "", 200, "KERNEL");
}

static void test_slashes(void **state)
{
	struct fixture *f = *state;

	expect(f, "/ipxe/undionly.kpxe", "", 200, "BOOTFILE");
	expect(f, "//ipxe/undionly.kpxe", "", 200, "BOOTFILE");
	expect(f, "/ipxe//undionly.kpxe", "", 200, "BOOTFILE");
	expect(f, "///ipxe/%2f//undionly.kpxe", "", 200, "BOOTFILE");
	expect(f, "/boot-files//deep///boot.wim", "", 200, "WIM");
}

/* Those of a set, beside those of --ipxe-dir; there is no way out of either. */
static void test_sets(void **state)
{
	struct fixture *f = *state;

	expect(f, "/ipxe/sets/old/deep/boot.wim", "", 200, "WIM");
	expect(f, "/ipxe/sets/old/kernel", "", 200, "KERNEL");
	expect(f, "/ipxe/sets/old/deep/autoexec.ipxe", "", 200, NULL);
	expect(f, "/ipxe/sets/old/undionly.kpxe", "", 404, NULL);
	expect(f, "/ipxe/sets/older/kernel", "", 404, NULL);
	expect(f, "/ipxe/sets/old/../kernel", "", 404, NULL);
	expect(f, "/ipxe/sets/old/%2e%2e/ipxe/undionly.kpxe", "", 404, NULL);
	expect(f, "/ipxe/sets/old", "", 404, NULL);
}

static void test_nothing_climbs(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "../secret.txt",
					   "..%2fsecret.txt",
					   "%2e%2e/secret.txt",
					   "deep/../../secret.txt",
					   "deep/%2e%2e/kernel",
					   "deep/..//../secret.txt",
					   "deep/..",
					   "..",
					   "deep/",
					   "deep",
					   "",
					   "nothing",
					   "undionly.kpxe/x",
					   "kernel/x",
					   "kernel/",
					   "deep%5c..%5ckernel",
					   "/etc/passwd" };
	char path[128];

	for (size_t i = 0; i < array_len(bad); i++) {
		snprintf(path, sizeof(path), "/boot-files/%s", bad[i]);
		expect(f, path, "", 404, NULL);
		snprintf(path, sizeof(path), "/ipxe/%s", bad[i]);
		expect(f, path, "", 404, NULL);
	}
	expect(f, "/boot-files/kernel%00", "", 400, NULL);
	expect(f, "/boot-files/kernel%00.txt", "", 400, NULL);
	expect(f, "/boot-files", "", 404, NULL);
	for (int i = 0; i < 2; i++) {
		struct answer answer =
			ask(f, i ? VIA_CONTROL : VIA_TCP, i ? "GET" : "PUT", "/boot-files/kernel", "", NULL);

		assert_int_equal(answer.status, i ? 404 : 405);
		answer_free(&answer);
	}
}

static void test_why_a_file_is_not_served(void **state)
{
	struct fixture *f = *state;
	struct answer answer = get(f, "/boot-files/gr%c3%bcn%22", "", 404, NULL);
	json_t *json = answer_json(&answer);
	char path[256];

	assert_string_equal(text_of(json, "error"), "there is no boot file gr\xc3\xbcn\"");
	assert_string_equal(text_of(json, "hint"), "it is looked for in --boot-files");
	json_decref(json);
	answer_free(&answer);
	answer = get(f, "/boot-files/deep", "", 404, NULL);
	assert_non_null(strstr(answer.body, "a folder"));
	answer_free(&answer);
	/* A link that leads nowhere, one that leads out, one to itself, a FIFO. */
	snprintf(path, sizeof(path), "%s/nowhere", f->boot_files);
	assert_int_equal(symlink("nothing", path), 0);
	expect(f, "/boot-files/nowhere", "", 404, NULL);
	snprintf(path, sizeof(path), "%s/out", f->boot_files);
	assert_int_equal(symlink("../secret.txt", path), 0);
	expect(f, "/boot-files/out", "", 200, "SECRET"); /* the administrator's own doing */
	snprintf(path, sizeof(path), "%s/self", f->boot_files);
	assert_int_equal(symlink("self", path), 0);
	expect(f, "/boot-files/self", "", 404, NULL);
	snprintf(path, sizeof(path), "%s/fifo", f->boot_files);
	assert_int_equal(mkfifo(path, 0644), 0);
	expect(f, "/boot-files/fifo", "", 404, NULL);
}

/* ---- parts ---- */

static void test_whole(void **state)
{
	struct fixture *f = *state;
	struct answer answer;

	put(f, "ten", "0123456789");
	answer = get(f, "/boot-files/ten", "", 200, "0123456789");
	expect_header(&answer, "Accept-Ranges", "bytes");
	expect_header(&answer, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
	expect_header(&answer, "Content-Length", "10");
	expect_header(&answer, "Content-Range", NULL);
	expect_header(&answer, "Cache-Control", "no-cache");
	answer_free(&answer);
	answer = ask(f, VIA_TCP, "HEAD", "/boot-files/ten", "Range: bytes=0-1\r\n", NULL);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body_len, 0);
	expect_header(&answer, "Accept-Ranges", "bytes");
	expect_header(&answer, "Content-Length", "10");
	expect_header(&answer, "Content-Range", NULL);
	answer_free(&answer);
	answer = get(f, "/boot.ipxe", "Range: bytes=0-1\r\n", 200, NULL);
	expect_header(&answer, "Accept-Ranges", NULL);
	answer_free(&answer);
}

static void test_parts(void **state)
{
	struct fixture *f = *state;
	struct answer answer;

	put(f, "ten", "0123456789");
	answer = get(f, "/boot-files/ten", "Range: bytes=2-4\r\n", 206, "234");
	expect_header(&answer, "Content-Range", "bytes 2-4/10");
	expect_header(&answer, "Content-Length", "3");
	expect_header(&answer, "Accept-Ranges", "bytes");
	expect_header(&answer, "Content-Type", "application/octet-stream");
	answer_free(&answer);
	answer = get(f, "/boot-files/ten", "Range: bytes=8-\r\n", 206, "89");
	expect_header(&answer, "Content-Range", "bytes 8-9/10");
	answer_free(&answer);
	answer = get(f, "/boot-files/ten", "Range: bytes=-3\r\n", 206, "789");
	expect_header(&answer, "Content-Range", "bytes 7-9/10");
	answer_free(&answer);
	answer = get(f, "/boot-files/ten", "Range: bytes=10-\r\n", 416, NULL);
	expect_header(&answer, "Content-Range", "bytes */10");
	expect_header(&answer, "Content-Type", "application/json");
	answer_free(&answer);
	expect(f, "/boot-files/ten", "Range: bytes=0-1,4-5\r\n", 200, "0123456789");
	expect(f, "/boot-files/ten", "Range: lines=0-1\r\n", 200, "0123456789");
	answer = get(f, "/ipxe/undionly.kpxe", "Range: bytes=4-511\r\n", 206, "FILE");
	expect_header(&answer, "Content-Range", "bytes 4-7/8");
	answer_free(&answer);
}

/* As EDK2 resumes (If-Match, Range), and others do (If-Range). */
static void test_resuming(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	char headers[256], *tag;

	put(f, "ten", "0123456789");
	answer = get(f, "/boot-files/ten", "", 200, NULL);
	tag = answer_header(&answer, "ETag");
	answer_free(&answer);
	assert_non_null(tag);
	snprintf(headers, sizeof(headers), "Range: bytes=5-\r\nIf-Match: %s\r\n", tag);
	expect(f, "/boot-files/ten", headers, 206, "56789");
	snprintf(headers, sizeof(headers), "Range: bytes=5-\r\nIf-Range: %s\r\n", tag);
	expect(f, "/boot-files/ten", headers, 206, "56789");
	snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", tag);
	answer = get(f, "/boot-files/ten", headers, 304, "");
	expect_header(&answer, "ETag", tag);
	expect_header(&answer, "Content-Length", "10");
	expect_header(&answer, "Content-Type", NULL);
	answer_free(&answer);
	expect(f, "/boot-files/ten", "Range: bytes=5-\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206, "56789");
	expect(f, "/boot-files/ten", "Range: bytes=5-\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206,
	       "56789");
	/* The same length, the same time: still another file. */
	put(f, "ten", "abcdefghij");
	snprintf(headers, sizeof(headers), "Range: bytes=5-\r\nIf-Range: %s\r\n", tag);
	expect(f, "/boot-files/ten", headers, 200, "abcdefghij");
	snprintf(headers, sizeof(headers), "Range: bytes=5-\r\nIf-Match: %s\r\n", tag);
	answer = get(f, "/boot-files/ten", headers, 412, NULL);
	assert_non_null(strstr(answer.body, "has changed"));
	answer_free(&answer);
	free(tag);
}

/* Seconds cannot tell what somebody writes at this moment. */
static void test_a_file_that_is_being_written_has_no_date(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/new", f->boot_files);
	for (int i = 0; i < 100; i++) {
		int64_t second = time_unix_ms() / 1000;

		file = fopen(path, "w");
		assert_non_null(file);
		fputs("new", file);
		fclose(file);
		answer = get(f, "/boot-files/new", "", 200, "new");
		if (time_unix_ms() / 1000 == second)
			break;
		answer_free(&answer);
	}
	expect_header(&answer, "Last-Modified", NULL);
	answer_free(&answer);
}

/* Bytes beyond 4 GiB: a sparse file. */
static void test_large_files(void **state)
{
	struct fixture *f = *state;
	const uint64_t size = 5ull << 30;
	struct answer answer;
	char path[256];
	int fd;

	put(f, "boot.iso", "");
	snprintf(path, sizeof(path), "%s/boot.iso", f->boot_files);
	fd = open(path, O_WRONLY);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, "AFTER", 5, (off_t)(1ull << 32)), 5);
	assert_int_equal(pwrite(fd, "END", 3, (off_t)(size - 3)), 3);
	close(fd);
	answer = ask(f, VIA_TCP, "HEAD", "/boot-files/boot.iso", "", NULL);
	assert_int_equal(answer.status, 200);
	expect_header(&answer, "Content-Length", "5368709120");
	answer_free(&answer);
	answer = get(f, "/boot-files/boot.iso", "Range: bytes=4294967296-4294967300\r\n", 206, "AFTER");
	expect_header(&answer, "Content-Range", "bytes 4294967296-4294967300/5368709120");
	answer_free(&answer);
	expect(f, "/boot-files/boot.iso", "Range: bytes=-3\r\n", 206, "END");
	expect(f, "/boot-files/boot.iso", "Range: bytes=5368709117-\r\n", 206, "END");
	expect(f, "/boot-files/boot.iso", "Range: bytes=5368709120-\r\n", 416, NULL);
	/* Ten minutes for an answer of any size would end it in the middle. */
	assert_true(watch_answer_ms(0) == 600000);
	assert_true(watch_answer_ms(size) / 1000 > size / 131072);
}

/* A loader that reads in parts is seen once, when it begins. */
static void test_what_boots_know_of_parts(void **state)
{
	struct fixture *f = *state;

	expect(f, "/ipxe/undionly.kpxe", "Range: bytes=0-3\r\n", 206, "BOOT");
	assert_string_equal(fake_boot.last_fetch, "undionly.kpxe by 127.0.0.1");
	fake_boot.last_fetch[0] = '\0';
	expect(f, "/ipxe/undionly.kpxe", "Range: bytes=4-\r\n", 206, "FILE");
	expect(f, "/ipxe/undionly.kpxe", "Range: bytes=40-\r\n", 416, NULL);
	assert_string_equal(fake_boot.last_fetch, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_name, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_slashes, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_sets, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_nothing_climbs, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_why_a_file_is_not_served, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_whole, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_parts, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_resuming, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_file_that_is_being_written_has_no_date, fixture_start,
						fixture_stop),
		cmocka_unit_test_setup_teardown(test_large_files, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_what_boots_know_of_parts, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
