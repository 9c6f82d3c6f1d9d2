// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images that are damaged, cut off or incomplete, of each format, made by the usual tools: each is refused in words that
 * say what is wrong and what to do, and in which nobody reads how qemu-img was called.
 */
#include "store/fixture.h"

#include "base/util.h"
#include "store/convert_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A VHDX as a host leaves it that lost power: its log has one entry ([MS-VHDX] §2.3), and its header names that. */
static const char log_py[] =
	"import struct, sys\n"
	"def crc32c(data):\n"
	"    c = 0xffffffff\n"
	"    for byte in data:\n"
	"        c ^= byte\n"
	"        for _ in range(8):\n"
	"            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)\n"
	"    return c ^ 0xffffffff\n"
	"def put(at, block):\n"
	"    block[4:8] = bytes(4)\n"
	"    block[4:8] = struct.pack('<I', crc32c(block))\n"
	"    f.seek(at)\n"
	"    f.write(block)\n"
	"def header(at):\n"
	"    f.seek(at)\n"
	"    return f.read(4096)\n"
	"f, guid = open(sys.argv[1], 'r+b'), b'\\x11' * 16\n"
	"at = max((65536, 131072), key=lambda at: struct.unpack_from('<Q', header(at), 8)[0])\n"
	"current = bytearray(header(at))\n"
	"current[48:64] = guid\n"
	"put(at, current)\n"
	"size = f.seek(0, 2)\n"
	"entry = bytearray(struct.pack('<4sIIIQII16sQQ', b'loge', 0, 4096, 0, 1, 0, 0, guid, size, size).ljust(4096, b'\\0'))\n"
	"put(struct.unpack_from('<Q', current, 72)[0], entry)\n";

struct bad {
	const char *file, *made, *says, *also;
};

static const struct bad bad[] = {
	/* raw: only what is no disk at all is noticed */
	{ "empty.raw", "truncate -s 0 empty.raw", "is empty", "" },
	{ "zip.raw", "printf 'PK\\3\\4rest' >zip.raw", "ZIP archive", "unzip" },

	{ "cut.qcow2", "head -c 700000 a.qcow2 >cut.qcow2", "is cut off", "Copy it again" },
	{ "start.qcow2", "head -c 100 a.qcow2 >start.qcow2", "is cut off", "" },
	{ "map.qcow2",
	  "cp a.qcow2 map.qcow2 && head -c 65536 /dev/zero | tr '\\0' 'k' | dd of=map.qcow2 bs=65536 seek=3 "
	  "conv=notrunc status=none",
	  "is cut off or damaged", "Copy it again" },
	{ "count.qcow2",
	  "cp a.qcow2 count.qcow2 && dd if=/dev/zero of=count.qcow2 bs=65536 seek=1 count=1 conv=notrunc "
	  "status=none",
	  "damaged or cut off", "qemu-img check -r all" },

	{ "cut.vhd", "head -c 3000000 a.vhd >cut.vhd", "is cut off", "Copy it again" },
	{ "two.vhd",
	  "cp a.vhd two.vhd && qemu-img create -q -f vpc -o force_size=on b.vhd 16M && tail -c 512 b.vhd | dd of=two.vhd "
	  "bs=512 seek=$(($(stat -c %s two.vhd) / 512 - 1)) conv=notrunc status=none",
	  "two VHD footers that disagree", "Hyper-V" },
	{ "end.vhd",
	  "cp a.vhd end.vhd && printf Z | dd of=end.vhd bs=1 seek=$(($(stat -c %s end.vhd) - 400)) conv=notrunc status=none",
	  "checksum of the VHD footer at its end", "Hyper-V" },
	{ "sum.vhd", "cp a.vhd sum.vhd && printf Z | dd of=sum.vhd bs=1 seek=100 conv=notrunc status=none", "checksum",
	  "" },

	{ "cut.vhdx", "head -c 9000000 a.vhdx >cut.vhdx", "is cut off", "Copy it again" },
	{ "start.vhdx", "head -c 70000 a.vhdx >start.vhdx", "cut off", "" },
	{ "regions.vhdx",
	  "cp a.vhdx regions.vhdx && dd if=/dev/zero of=regions.vhdx bs=4096 seek=16 count=32 conv=notrunc "
	  "status=none",
	  "damaged or cut off", "Hyper-V" },
	{ "log.vhdx", "cp a.vhdx log.vhdx && python3 log.py log.vhdx", "was not closed in order",
	  "open it once in Hyper-V" },

	{ "cut.vmdk", "head -c 300000 a.vmdk >cut.vmdk", "is cut off", "Copy it again" },
	{ "split.vmdk", "qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse a.raw split.vmdk",
	  "only the description", "qemu-img convert -O qcow2" },
	{ "split-s001.vmdk", "test -s split-s001.vmdk", "one part of a split VMDK",
	  "the small file that names the others" },
	{ "flat.vmdk", "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat a.raw flat.vmdk", "other files",
	  "qemu-img convert -O qcow2" },

	{ "cut.vdi", "head -c 2000000 a.vdi >cut.vdi", "cut off", "Copy it again" },
	{ "start.vdi", "head -c 300 a.vdi >start.vdi", "cut off", "VDI header" },
	{ "old.vdi", "cp a.vdi old.vdi; printf '\\0' | dd of=old.vdi bs=1 seek=68 conv=notrunc status=none",
	  "another version", "VBoxManage" },
	{ "diff.vdi", "cp a.vdi diff.vdi; printf '\\4' | dd of=diff.vdi bs=1 seek=76 conv=notrunc status=none",
	  "snapshot", "VBoxManage" },
};

static bool is_quoting(const char *text)
{
	return strstr(text, "json:") || strstr(text, "/dev/fd") || strstr(text, "{\"") || strstr(text, "\\x");
}

static void test_each_is_explained(void **state)
{
	struct fixture *f = *state;

	make_disk(input(f, "a.raw"), 24 << 20, 1);
	make_file(input(f, "log.py"), log_py, strlen(log_py), strlen(log_py));
	run_command(
		"cd %s && for f in qcow2 vpc vhdx vmdk vdi; do qemu-img convert -f raw -O $f a.raw a.$f || exit 1; done; "
		"qemu-img convert -f raw -O vpc -o force_size=on a.raw a.vhd",
		f->dir);
	for (size_t i = 0; i < array_len(bad); i++) {
		struct job_status status;

		run_command("cd %s && %s", f->dir, bad[i].made);
		status = import_file(f, input(f, bad[i].file), "bad");
		if (status.stage != JOB_FAILED || !strcasestr(status.text, bad[i].says) ||
		    !strcasestr(status.text, bad[i].also) || is_quoting(status.text))
			fail_msg("%s: expected \"%s\" and \"%s\", got \"%s\"", bad[i].file, bad[i].says, bad[i].also,
				 status.text);
		assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
		assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	}
}

/* What no table has. */
static void test_other_words(void **state)
{
	struct reason reason;

	(void)state;
	assert_int_equal(
		convert_explain(FORMAT_VHDX,
				"qemu-img: Could not open 'json:{\"driver\":\"vhdx\",\"file\":{\"driver\":\"file\","
				"\"filename\":\"/dev/fd/3\"}}': Could not open '/dev/fd/3': Invalid argument\nmore\n",
				-EUCLEAN, &reason),
		-EUCLEAN);
	assert_non_null(strstr(reason.text, "qemu-img says: Could not open 'it': Invalid argument"));
	assert_null(strstr(reason.text, "more"));
	/* Cut in the middle, and nothing at all. */
	assert_int_equal(convert_explain(FORMAT_QCOW2, "qemu-img: json:{\"a\":{", -EIO, &reason), -EIO);
	assert_false(is_quoting(reason.text));
	assert_int_equal(convert_explain(FORMAT_QCOW2, "", -EIO, &reason), -EIO);
	assert_non_null(strstr(reason.text, "says: nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_is_explained, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_other_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
