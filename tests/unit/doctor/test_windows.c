// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is said of a Windows. There is none here: folders that are called as its are, in an NTFS that wimlib fills, with
 * hives that hivexsh builds up from an empty one. No real Windows was seen.
 */
#include "doctor/lab.h"

#include "doctor/hive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An empty hive: a base block, and a bin with the root key and its security. */
static const char make_hive[] =
	"import struct, subprocess, sys\n"
	"def cell(body):\n"
	"    size = (len(body) + 4 + 7) // 8 * 8\n"
	"    return struct.pack('<i', -size) + body.ljust(size - 4, b'\\0')\n"
	"def key(at):\n"
	"    return cell(struct.pack('<2sHQ10I5IHH', b'nk', 0x2c, 0, 0, 0xffffffff, 0, 0, 0xffffffff, 0xffffffff, 0, 0xffffffff, at,\n"
	"                            0xffffffff, 0, 0, 0, 0, 0, 4, 0) + b'ROOT')\n"
	"at = 32 + len(key(0))\n"
	"security = struct.pack('<BBHIIII', 1, 0, 0x8000, 0, 0, 0, 0)\n"
	"cells = key(at) + cell(struct.pack('<2sHIIII', b'sk', 0, at, at, 1, len(security)) + security)\n"
	"rest = 4096 - 32 - len(cells)\n"
	"bin = struct.pack('<4sIIIIIII', b'hbin', 0, 4096, 0, 0, 0, 0, 0) + cells + struct.pack('<i', rest).ljust(rest, b'\\0')\n"
	"head = struct.pack('<4sIIQIIIIIII', b'regf', 1, 1, 0, 1, 3, 0, 1, 32, 4096, 1).ljust(508, b'\\0')\n"
	"check = 0\n"
	"for i in range(0, 508, 4):\n"
	"    check ^= struct.unpack_from('<I', head, i)[0]\n"
	"empty = (head + struct.pack('<I', check)).ljust(4096, b'\\0') + bin\n"
	"card = 'ControlSet001/Control/Class/{4d36e972-e325-11ce-bfc1-08002be10318}/000'\n"
	"values = ['SYSTEM:Select:Current:dword:1', 'SYSTEM:ControlSet001/Services/iScsiPrt:Start:dword:0',\n"
	"          'SYSTEM:ControlSet001/Services/MSiSCSI:Start:dword:2', 'SYSTEM:ControlSet001/Services/e1i65x64:Start:dword:0',\n"
	"          'SYSTEM:ControlSet001/Control/Session Manager/Power:HiberbootEnabled:dword:0',\n"
	"          'SYSTEM:CARD1:BusType:string:5', 'SYSTEM:CARD1/Ndi:Service:string:e1i65x64',\n"
	"          'SOFTWARE:Microsoft/Windows NT/CurrentVersion:ProductName:string:Windows 11 Pro',\n"
	"          'SOFTWARE:Microsoft/Windows/CurrentVersion/Setup/State:ImageState:string:IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE']\n"
	"keys = {'SYSTEM': {}, 'SOFTWARE': {}}\n"
	"for line in values + sys.argv[1:]:\n"
	"    hive, path, name, value = line.replace('CARD', card).split(':', 3)\n"
	"    parts = path.split('/')\n"
	"    for n in range(1, len(parts) + 1):\n"
	"        keys[hive].setdefault('/'.join(parts[:n]), {})\n"
	"    keys[hive][path][name] = value\n"
	"for hive, paths in keys.items():\n"
	"    open(hive, 'wb').write(empty)\n"
	"    lines = ''\n"
	"    for path, values in paths.items():\n"
	"        parent, _, name = path.rpartition('/')\n"
	"        lines += 'cd \\\\%s\\nadd %s\\ncd %s\\n' % (parent.replace('/', '\\\\'), name, name)\n"
	"        if values:\n"
	"            lines += 'setval %d\\n' % len(values) + ''.join('%s\\n%s\\n' % v for v in values.items())\n"
	"    subprocess.run(['hivexsh', '-w', hive], input=lines + 'commit\\n', text=True, check=True)\n";

/* windows SETTING...: disk.img with a Windows, but for these: HIVE:KEY:NAME:TYPE:VALUE */
static const char functions[] =
	"windows() {\n"
	"  rm -rf win; mkdir -p win/Windows/System32/config; python3 make_hive.py \"$@\"; eval \"$MORE\"\n"
	"  cp SYSTEM SOFTWARE win/Windows/System32/config; rm -f part w.wim; truncate -s 40M part; mkntfs -q -F -Q part >/dev/null\n"
	"  wimlib-imagex capture win w.wim --compress=none; wimlib-imagex apply w.wim 1 part\n"
	"  [ ! -e hiberfil.sys ] || { ntfscp -q part hiberfil.sys hiberfil.sys; rm hiberfil.sys; }; disk\n"
	"}\n";

static void prepare(const struct lab *lab)
{
	lab_run(lab, "cat >make_hive.py <<'E'\n%sE\ncat >windows.sh <<'E'\n%sE\n", make_hive, functions);
}

static void expect_after(struct lab *lab, const char *lines, const char *codes)
{
	lab_run(lab, ". ./windows.sh; %s", lines);
	lab_check(lab, "disk.img");
	print_message("# %s\n", lines);
	lab_expect(lab, codes);
}

static void test_windows(void **state)
{
	static const struct {
		const char *lines, *codes;
	} cases[] = {
		{ "windows SYSTEM:ControlSet001/Services/iScsiPrt:Start:dword:3",
		  "windows-gateway windows-iscsi-late" },
		{ "windows SYSTEM:ControlSet001/Services/MSiSCSI:Start:dword:4",
		  "windows-gateway windows-iscsi-disabled" },
		{ "windows SYSTEM:ControlSet001/Services/e1i65x64:Start:dword:3", "windows-gateway windows-card-late" },
		{ "windows SYSTEM:CARD2:BusType:string:5", "windows-gateway windows-ghost-cards" },
		{ "windows 'SYSTEM:ControlSet001/Control/Session Manager/Power:HiberbootEnabled:dword:1'",
		  "windows-gateway windows-fast-startup" },
		{ "windows SOFTWARE:Microsoft/Windows/CurrentVersion/Setup/State:ImageState:string:IMAGE_STATE_COMPLETE",
		  "windows-gateway windows-not-generalised" },
		{ "MORE='printf hibr >hiberfil.sys'; windows", "windows-gateway windows-hibernated" },
		{ "MORE='printf wake >hiberfil.sys'; windows", "windows-gateway" },
		{ "MORE='printf x | dd of=SYSTEM bs=1 seek=4 conv=notrunc'; windows",
		  "windows-gateway windows-hive-unclean" },
		{ "MORE='echo nothing >SOFTWARE'; windows", "windows-gateway windows-hive-unread" },
	};
	struct lab *lab = *state;

	if (!lab_has("mkntfs wimlib-imagex hivexsh python3"))
		return;
	prepare(lab);
	expect_after(lab, "windows", "windows-gateway");
	assert_string_equal(lab->report.system, "Windows 11 Pro");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_after(lab, cases[i].lines, cases[i].codes);
}

static void test_hive_head(void **state)
{
	uint8_t head[12] = "regf\7\0\0\0\7\0\0";

	(void)state;
	assert_int_equal(hive_look(head, sizeof(head)), HIVE_CLEAN);
	assert_int_equal(hive_look(head, sizeof(head) - 1), HIVE_UNREAD);
	head[8] = 6;
	assert_int_equal(hive_look(head, sizeof(head)), HIVE_UNCLEAN);
	head[0] = 'R';
	assert_int_equal(hive_look(head, sizeof(head)), HIVE_UNREAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_windows, lab_setup, lab_teardown),
		cmocka_unit_test(test_hive_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
