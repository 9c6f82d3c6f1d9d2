// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor/lab.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* UUIDs are fixed, as the tree's fstab names them. */
static const char script[] =
	"set -e; export PATH=$PATH:/usr/sbin:/sbin MTOOLS_SKIP_CHECK=1\n"
	"uuid=11111111-2222-4333-8444-555555555555 FAT_BITS=16 FAT_MIB=16 LOADERS=${LOADERS-BOOTX64.EFI}\n"
	"package() { printf 'Package: %s\\nStatus: install ok installed\\nVersion: %s\\n\\n' \"$1\" \"$2\" >>root/var/lib/dpkg/status; }\n"
	"tree() {\n"
	"  rm -rf root; mkdir -p root/etc/iscsi root/etc/ssh root/etc/ssl root/etc/cloud/cloud.cfg.d root/boot/grub root/var/lib/dpkg\n"
	"  mkdir -p root/etc/systemd/system/iscsid.service.d root/etc/systemd/system/multi-user.target.wants root/usr/lib root/usr/sbin\n"
	"  printf 'PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\\n' >root/usr/lib/os-release; ln -s ../usr/lib/os-release root/etc/os-release\n"
	"  printf '# a comment\\nUUID=%s / %s defaults 0 1\\n' $uuid ${KIND:-ext4} >root/etc/fstab\n"
	"  : >root/etc/machine-id; echo GenerateName=yes >root/etc/iscsi/initiatorname.iscsi; echo ISCSI_AUTO=true >root/etc/iscsi/iscsi.initramfs\n"
	"  echo x >root/etc/ssl/openssl.cnf; printf '[Service]\\nEnvironment=OPENSSL_CONF=/dev/null\\n' >root/etc/systemd/system/iscsid.service.d/a.conf\n"
	"  printf 'menuentry x {\\n linux /vmlinuz root=UUID=%s ro\\n}\\n' $uuid >root/boot/grub/grub.cfg; echo k >root/boot/vmlinuz-6.1\n"
	"  package open-iscsi 2.1.8-1; package initramfs-tools-core 0.142\n"
	"  initrd sbin/iscsistart lib/modules/6.1/kernel/drivers/scsi/iscsi_tcp.ko lib/modules/6.1/kernel/drivers/firmware/iscsi_ibft.ko "
	"$(nic e1000e) $(nic igb) $(nic r8169)\n"
	"}\n"
	"nic() { echo lib/modules/6.1/kernel/drivers/net/ethernet/x/$1.ko; }\n"
	"archive() { rm -rf i; mkdir i; for f; do mkdir -p \"i/$(dirname \"$f\")\"; echo x >\"i/$f\"; done; (cd i && find . | LC_ALL=C sort | cpio -o -H newc --quiet); }\n"
	"initrd() { { archive kernel/x86/microcode/GenuineIntel.bin; archive \"$@\" | ${PACK:-zstd -q}; } >root/boot/initrd.img-6.1; }\n"
	"filesystem() {\n"
	"  rm -f part; truncate -s ${PART_MIB:-64}M part\n"
	"  case $1 in\n"
	"  ext4) mkfs.ext4 -q -U $uuid -d root $EXTRA part ;;\n"
	"  xfs) truncate -s 320M part; mkfs.xfs -q -m uuid=$uuid $EXTRA part ;;\n"
	"  btrfs) truncate -s 128M part; mkfs.btrfs -q -U $uuid --rootdir root $EXTRA part ;;\n"
	"  esac\n"
	"}\n"
	"esp() {\n"
	"  rm -f esp.img; truncate -s ${FAT_MIB}M esp.img; mkfs.fat -F $FAT_BITS esp.img >/dev/null; [ $FAT_BITS != 32 ] || return 0; mmd -i esp.img ::/EFI ::/EFI/BOOT\n"
	"  for l in $LOADERS; do echo x | mcopy -i esp.img - ::/EFI/BOOT/$l; done\n"
	"}\n"
	"disk() {\n"
	"  esp; rm -f disk.img; truncate -s $((2 + $(stat -c %s part) / 1048576 + FAT_MIB))M disk.img\n"
	"  printf 'label: %s\\nstart=2048, size=%s, type=%s\\nstart=%s, size=%s\\n' ${LABEL:-gpt} $((FAT_MIB * 2048)) "
	"$([ \"${LABEL:-gpt}\" = gpt ] && echo C12A7328-F81F-11D2-BA4B-00A0C93EC93B || echo ef) $((2048 + FAT_MIB * 2048)) "
	"$(($(stat -c %s part) / 512 - ${LESS:-0})) | sfdisk -q disk.img\n"
	"  dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc,sparse status=none\n"
	"  dd if=part of=disk.img bs=1M seek=$((1 + FAT_MIB)) conv=notrunc,sparse status=none\n"
	"  [ -n \"$NO_CODE\" ] || printf '\\353\\143\\220' | dd of=disk.img conv=notrunc status=none\n"
	"}\n";

static void write_file(const struct lab *lab, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	strcpy(lab->dir, "/var/tmp/sanbootd-doctor-XXXXXX");
	assert_non_null(mkdtemp(lab->dir));
	write_file(lab, "lab.sh", script);
	*state = lab;
	return 0;
}

int lab_teardown(void **state)
{
	struct lab *lab = *state;

	lab_run(lab, "rm -rf %s", lab->dir);
	free(lab);
	return 0;
}

void lab_run(const struct lab *lab, const char *format, ...)
{
	char lines[16384], command[256];
	va_list args;

	va_start(args, format);
	vsnprintf(lines, sizeof(lines), format, args);
	va_end(args);
	write_file(lab, "lines.sh", lines);
	/* Not inside an && or ||: sh -e does not hold there. */
	snprintf(command, sizeof(command),
		 "cd %s && sh -ec '. ./lab.sh; . ./lines.sh' >../lab.$$.log 2>&1 && rm ../lab.$$.log || { cat ../lab.$$.log; "
		 "rm ../lab.$$.log; exit 1; }",
		 lab->dir);
	if (system(command))
		fail_msg("failed: %s", lines);
}

bool lab_has(const char *tools)
{
	char list[256], command[320], *rest, *tool;

	snprintf(list, sizeof(list), "%s grub-fstest mkfs.ext4 mkfs.fat mcopy sfdisk cpio zstd", tools);
	for (tool = strtok_r(list, " ", &rest); tool; tool = strtok_r(NULL, " ", &rest)) {
		snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null 2>&1", tool);
		if (system(command)) {
			test_skip("%s is not installed (make deps)", tool);
			return false;
		}
	}
	return true;
}

void lab_check(struct lab *lab, const char *file)
{
	char path[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	doctor_check(fd, (uint64_t)st.st_size, &lab->report);
	close(fd);
}

const struct doctor_finding *lab_find(const struct lab *lab, const char *code)
{
	for (unsigned i = 0; i < lab->report.count; i++) {
		if (!strcmp(lab->report.findings[i].code, code))
			return &lab->report.findings[i];
	}
	return NULL;
}

void lab_expect(const struct lab *lab, const char *codes)
{
	char list[1024], *rest, *code;
	unsigned count = 0;

	snprintf(list, sizeof(list), "%s", codes);
	for (code = strtok_r(list, " ", &rest); code; code = strtok_r(NULL, " ", &rest)) {
		if (!lab_find(lab, code))
			fail_msg("nobody said %s", code);
		count++;
	}
	for (unsigned i = 0; i < lab->report.count && count != lab->report.count; i++)
		print_message("said: %s: %s\n", lab->report.findings[i].code, lab->report.findings[i].what);
	assert_int_equal(count, lab->report.count);
}

void lab_expect_after(struct lab *lab, const char *lines, const char *codes)
{
	lab_run(lab, "%s\nfilesystem ext4; disk", lines);
	lab_check(lab, "disk.img");
	print_message("# %s\n", lines);
	lab_expect(lab, codes);
}
