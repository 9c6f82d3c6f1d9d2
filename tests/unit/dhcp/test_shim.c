// SPDX-License-Identifier: GPL-2.0-or-later
/* dhcp: shims for Secure Boot, in folders laid out as people have them; what EFI programs say of themselves. */
#include "cmocka_all.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/efi_program.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/tftp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BIOS, EFI32, EFI64, ARM64, PE_AT = 0x80, CERTIFICATES_AT = 512, PROGRAM_BYTES = 1024 };

static const char ca_2011[] = "Microsoft Corporation UEFI CA 2011", ca_2023[] = "Microsoft UEFI CA 2023";

struct place {
	char dir[64], ipxe[80];
};

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->dir, sizeof(place->dir), "/tmp/sanbootd-test-shim-XXXXXX");
	*state = place;
	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(place->dir))
		return -1;
	snprintf(place->ipxe, sizeof(place->ipxe), "%s/ipxe", place->dir);
	return mkdir(place->ipxe, 0755);
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

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

/* The least that is an EFI program. signers: NULL, it is not signed. */
static void make_program(uint8_t program[PROGRAM_BYTES], unsigned machine, const char *const *signers)
{
	unsigned directories = machine == EFI_MACHINE_I386 ? 96 : 112;
	uint8_t *pe = program + PE_AT, *optional = pe + 24;
	size_t at = CERTIFICATES_AT;

	memset(program, 0, PROGRAM_BYTES);
	memcpy(program, "MZ", 2);
	put16(program + 0x3c, PE_AT);
	memcpy(pe, "PE\0\0", 4);
	put16(pe + 4, machine);
	put16(optional, machine == EFI_MACHINE_I386 ? 0x10b : 0x20b);
	put16(optional + directories - 4, 16);
	if (!signers)
		return;
	put16(optional + directories + 4 * 8, CERTIFICATES_AT);
	put16(optional + directories + 4 * 8 + 4, PROGRAM_BYTES - CERTIFICATES_AT);
	for (; *signers; signers++) {
		memcpy(program + at, *signers, strlen(*signers));
		at += strlen(*signers) + 3;
	}
}

static void put_program(const struct place *place, const char *name, unsigned machine, const char *const *signers)
{
	uint8_t program[PROGRAM_BYTES];
	char path[300];
	FILE *file;

	make_program(program, machine, signers);
	snprintf(path, sizeof(path), "%s/%s", place->ipxe, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(program, sizeof(program), 1, file), 1);
	fclose(file);
}

static void put_link(const struct place *place, const char *name, const char *to)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", place->ipxe, name);
	assert_int_equal(symlink(to, path), 0);
}

static void put_folder(const struct place *place, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", place->ipxe, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void drop(const struct place *place, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", place->ipxe, name);
	assert_int_equal(unlink(path), 0);
}

static const char *const by_ipxe[] = { "iPXE", NULL }, *const by_2011[] = { ca_2011, NULL },
			 *const by_2023[] = { ca_2023, NULL }, *const by_both[] = { ca_2011, ca_2023, NULL };

/* As src/util/gensrvimg of iPXE 2.0.0 makes ipxeboot.tar.gz. */
static void lay_out_release(const struct place *place)
{
	static const struct {
		const char *folder, *shim;
		unsigned machine;
	} folders[] = {
		{ "i386", NULL, EFI_MACHINE_I386 },
		{ "x86_64", NULL, EFI_MACHINE_X64 },
		{ "x86_64-sb", "shimx64.efi", EFI_MACHINE_X64 },
		{ "arm64", NULL, EFI_MACHINE_ARM64 },
		{ "arm64-sb", "shimaa64.efi", EFI_MACHINE_ARM64 },
		{ "riscv64", NULL, 0x5064 },
	};
	static const char *const drivers[] = { "ipxe", "snponly" };
	char name[64], link[80];

	for (size_t i = 0; i < array_len(folders); i++) {
		put_folder(place, folders[i].folder);
		for (size_t k = 0; k < array_len(drivers); k++) {
			snprintf(name, sizeof(name), "%s/%s.efi", folders[i].folder, drivers[k]);
			put_program(place, name, folders[i].machine, folders[i].shim ? by_ipxe : NULL);
			snprintf(link, sizeof(link), "%s/%s-shim.efi", folders[i].folder, drivers[k]);
			if (folders[i].shim)
				put_link(place, link, folders[i].shim);
			snprintf(link, sizeof(link), "%s.efi", drivers[k]);
			if (!strcmp(folders[i].folder, "x86_64"))
				put_link(place, link, name);
		}
		if (!folders[i].shim)
			continue;
		snprintf(name, sizeof(name), "%s/%s", folders[i].folder, folders[i].shim);
		put_program(place, name, folders[i].machine, by_2011);
	}
	put_link(place, "sb", "x86_64-sb");
	put_program(place, "x86_64/undionly.kpxe", 0, NULL);
	put_link(place, "undionly.kpxe", "x86_64/undionly.kpxe");
}

static void find(const char *directory, struct ipxe_files *files)
{
	struct reason reason;

	if (ipxe_files_find(directory, files, &reason))
		fail_msg("%s", reason.text);
}

static void expect_described(const struct ipxe_files *files, unsigned kind, const char *wanted)
{
	char text[SHIM_SENTENCE_TEXT];

	assert_string_equal(shim_describe(&files->shim[kind], text), wanted);
}

static void test_release(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;

	lay_out_release(place);
	find(place->ipxe, &files);
	assert_string_equal(files.name[BIOS], "undionly.kpxe");
	assert_string_equal(files.name[EFI32], "i386/snponly.efi");
	assert_string_equal(files.shim[EFI32].name, "");
	assert_string_equal(files.name[EFI64], "x86_64-sb/snponly-shim.efi");
	assert_string_equal(files.shim[EFI64].loader, "x86_64-sb/snponly.efi");
	assert_string_equal(files.name[ARM64], "arm64-sb/snponly-shim.efi");
	assert_string_equal(files.shim[ARM64].loader, "arm64-sb/snponly.efi");
	expect_described(&files, EFI64, "may be on where the firmware trusts Microsoft Corporation UEFI CA 2011");
	/* What a site does where its firmware trusts the CA of 2023 alone, or with a shim that both have signed. */
	put_program(place, "x86_64-sb/shimx64.efi", EFI_MACHINE_X64, by_2023);
	put_program(place, "arm64-sb/shimaa64.efi", EFI_MACHINE_ARM64, by_both);
	find(place->ipxe, &files);
	expect_described(&files, EFI64, "may be on where the firmware trusts Microsoft UEFI CA 2023");
	expect_described(
		&files, ARM64,
		"may be on where the firmware trusts Microsoft Corporation UEFI CA 2011 or Microsoft UEFI CA 2023");
}

/* One folder of it as --ipxe-dir: there the names do not say for which machines they are. */
static void test_folder_of_release(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;
	char path[128];

	lay_out_release(place);
	snprintf(path, sizeof(path), "%s/sb", place->ipxe);
	find(path, &files);
	assert_string_equal(files.name[EFI64], "snponly-shim.efi");
	assert_string_equal(files.shim[EFI64].loader, "snponly.efi");
	assert_string_equal(files.name[ARM64], "");
	snprintf(path, sizeof(path), "%s/arm64-sb", place->ipxe);
	find(path, &files);
	assert_string_equal(files.name[ARM64], "snponly-shim.efi");
	assert_string_equal(files.name[EFI64], ""); /* snponly.efi is there, and would not start */
}

/* Copied by what knows no links: the shim then starts what it was built to start. */
static void test_links_lost(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;

	lay_out_release(place);
	drop(place, "x86_64-sb/snponly-shim.efi");
	drop(place, "x86_64-sb/ipxe-shim.efi");
	find(place->ipxe, &files);
	assert_string_equal(files.name[EFI64], "x86_64-sb/shimx64.efi");
	assert_string_equal(files.shim[EFI64].loader, "x86_64-sb/ipxe.efi");
	drop(place, "x86_64-sb/ipxe.efi");
	find(place->ipxe, &files);
	assert_string_equal(files.name[EFI64], "snponly.efi");
	expect_described(&files, EFI64, "must be off: there is no shim");
}

/* The root's snponly.efi is the unsigned one: a shim beside it helps nobody while there is another. */
static void test_unsigned_loader(void **state)
{
	const struct place *place = *state;
	struct ipxe_files files;

	lay_out_release(place);
	put_program(place, "snponly-shimx64.efi", EFI_MACHINE_X64, by_2011);
	put_program(place, "ipxe-shimx64.efi", EFI_MACHINE_ARM64, by_2011); /* misnamed */
	find(place->ipxe, &files);
	assert_string_equal(files.name[EFI64], "x86_64-sb/snponly-shim.efi");
	drop(place, "x86_64-sb/shimx64.efi");
	find(place->ipxe, &files);
	assert_string_equal(files.name[EFI64], "snponly-shimx64.efi");
	expect_described(
		&files, EFI64,
		"on only where snponly.efi is enrolled by hand (MOK): it is not signed, and the shim refuses it");
	/* Of another kind than the shim. */
	drop(place, "snponly.efi");
	put_program(place, "snponly.efi", EFI_MACHINE_ARM64, by_ipxe);
	find(place->ipxe, &files);
	assert_string_equal(files.name[EFI64], "x86_64/snponly.efi");
}

static int make_script(void *arg, const char *base_url, struct buf *script)
{
	(void)arg;
	buf_printf(script, "#!ipxe\n# %s\n", base_url);
	return 0;
}

static void expect_same_file(const struct place *place, const char *name)
{
	char served[300], wanted[300];
	struct stat a, b;

	snprintf(served, sizeof(served), "%s/tftp/br0/%s", place->dir, name);
	snprintf(wanted, sizeof(wanted), "%s/%s", place->ipxe, name);
	if (stat(served, &a) || stat(wanted, &b))
		fail_msg("%s: %s", name, strerror(errno));
	assert_int_equal(a.st_ino, b.st_ino);
}

/* The shim, what it loads, and the script that this asks for, beside each other. */
static void test_tftp(void **state)
{
	const struct place *place = *state;
	static const char *const folders[] = { "x86_64-sb", "arm64-sb", "i386" };
	struct dhcp_config config = {
		.ipxe_dir = place->ipxe, .runtime_dir = place->dir, .http_port = 8080, .first_script = make_script
	};
	struct dhcp_network network = { .name = "br0" };
	struct ipxe_files files;
	struct reason reason;
	char path[300];

	inet_pton(AF_INET, "10.77.0.1", &network.address);
	lay_out_release(place);
	find(place->ipxe, &files);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(tftp_make_root(&config, &network, &files, &reason), 0);
		for (unsigned k = 0; k < BOOT_KINDS; k++) {
			expect_same_file(place, files.name[k]);
			if (files.shim[k].name[0])
				expect_same_file(place, files.shim[k].loader);
		}
		expect_same_file(place, "sb/snponly-shim.efi");
		for (size_t i = 0; i < array_len(folders); i++) {
			snprintf(path, sizeof(path), "%s/tftp/br0/%s/autoexec.ipxe", place->dir, folders[i]);
			assert_int_equal(access(path, R_OK), 0);
		}
	}
}

static void test_programs(void **state)
{
	uint8_t bytes[PROGRAM_BYTES];
	struct efi_program program;

	(void)state;
	make_program(bytes, EFI_MACHINE_I386, by_both);
	assert_true(efi_program_parse(bytes, sizeof(bytes), &program));
	assert_int_equal(program.machine, EFI_MACHINE_I386);
	assert_true(program.is_signed && program.ca_2011 && program.ca_2023);
	make_program(bytes, EFI_MACHINE_ARM64, by_2023);
	assert_true(efi_program_parse(bytes, sizeof(bytes), &program));
	assert_int_equal(program.machine, EFI_MACHINE_ARM64);
	assert_true(program.is_signed && !program.ca_2011 && program.ca_2023);
	/* A table that ends behind the file's end is none; the rest holds. */
	assert_true(efi_program_parse(bytes, sizeof(bytes) - 1, &program));
	assert_false(program.is_signed);
	/* Of the text elsewhere in the file nothing follows. */
	make_program(bytes, EFI_MACHINE_X64, NULL);
	memcpy(bytes + CERTIFICATES_AT, ca_2011, sizeof(ca_2011));
	assert_true(efi_program_parse(bytes, sizeof(bytes), &program));
	assert_false(program.is_signed || program.ca_2011);
	/* Cut anywhere. */
	for (size_t len = 0; len < PE_AT + 26; len++)
		assert_false(efi_program_parse(bytes, len, &program));
	bytes[PE_AT + 1] = 'e';
	assert_false(efi_program_parse(bytes, sizeof(bytes), &program));
	memset(bytes + 0x3c, 0xff, 4);
	assert_false(efi_program_parse(bytes, sizeof(bytes), &program));
	assert_false(shim_read_program("/nonexistent", &program));
	assert_false(shim_read_program("/", &program));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_release), TEST(test_folder_of_release), TEST(test_links_lost), TEST(test_unsigned_loader),
		TEST(test_tftp),    TEST(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
