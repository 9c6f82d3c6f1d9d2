// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealing: what it changes, read back by debugfs and e2fsck; and what it refuses. */
#include "doctor/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int seal(const struct lab *lab, char *changes, unsigned changes_size, struct reason *reason)
{
	struct stat st;
	char path[128];
	int fd, err;

	snprintf(path, sizeof(path), "%s/disk.img", lab->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	reason->text[0] = '\0';
	err = doctor_seal(fd, (uint64_t)st.st_size, changes, changes_size, reason);
	close(fd);
	return err;
}

/* What Debian's cloud-like set-up leaves, and more. */
static const char used[] =
	"tree; package openssh-server 1; package cloud-init 22.4.2; echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; "
	"mkdir -p root/var/lib/dbus root/var/lib/systemd root/etc/udev/rules.d; cp root/etc/machine-id root/var/lib/dbus; "
	"for k in rsa ecdsa ed25519; do echo k >root/etc/ssh/ssh_host_${k}_key; echo p >root/etc/ssh/ssh_host_${k}_key.pub; done; "
	"echo config >root/etc/ssh/sshd_config; echo InitiatorName=iqn.1993-08.org.debian:01:abc >root/etc/iscsi/initiatorname.iscsi; "
	"echo '/swapfile none swap sw 0 0' >>root/etc/fstab; rm -r root/etc/systemd/system/iscsid.service.d; "
	"echo x >root/var/lib/systemd/random-seed; echo 'SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:12:34:56\"' "
	">root/etc/udev/rules.d/70-persistent-net.rules; mkdir -p root/etc/systemd/network; "
	"printf '[Match]\nName=eth0\nMACAddress=52:54:00:12:34:56\n[Network]\nDHCP=no\n' >root/etc/systemd/network/10-cloud-init-eth0.network; ";

#define INSIDE \
	"dd if=disk.img of=inside bs=1M skip=17 status=none conv=sparse; is() { [ \"$(debugfs -R \"cat $1\" inside 2>/dev/null)\" = \"$2\" ]; }; "

static void test_all(void **state)
{
	struct lab *lab = *state;
	char changes[4096];
	struct reason reason;

	if (!lab_has("debugfs e2fsck"))
		return;
	lab_expect_after(lab, used,
			 "machine-id ssh-host-keys initiator-name swap cards-by-mac cloud-init-network "
			 "openssl-hang cloud-init-searches random-seed");
	if (seal(lab, changes, sizeof(changes), &reason))
		fail_msg("%s", reason.text);
	print_message("%s\n", changes);
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
	lab_run(lab, INSIDE
		"e2fsck -fn inside; is /etc/machine-id ''; debugfs -R 'stat /etc/machine-id' inside | grep -q 'Mode:  0444'; "
		"is /etc/iscsi/initiatorname.iscsi GenerateName=yes; debugfs -R 'stat /etc/iscsi/initiatorname.iscsi' inside | grep -q "
		"'Mode:  0600'; debugfs -R 'cat /etc/fstab' inside | grep -q '^# sealed: /swapfile none swap'; debugfs -R 'cat "
		"/etc/fstab' inside | grep -q \"^UUID=$uuid / \"; is /etc/cloud/cloud.cfg.d/99-sanbootd.cfg 'datasource_list: [NoCloud, "
		"None]'; debugfs -R 'cat /etc/systemd/system/ssh.service.d/sanbootd-host-keys.conf' inside | grep -q 'ssh-keygen -A'; "
		"debugfs -R 'ls -p /etc/ssh' inside | grep -q sshd_config; ! debugfs -R 'ls -p /etc/ssh' inside | grep ssh_host");
	/* A second time there is nothing. */
	assert_int_equal(seal(lab, changes, sizeof(changes), &reason), -EALREADY);
	assert_non_null(strstr(reason.text, "nothing"));
}

/* A journal that is not empty: its replay, at the first boot, would bring the old machine-id back. */
static void test_unclean(void **state)
{
	struct lab *lab = *state;
	char changes[4096];
	struct reason reason;

	if (!lab_has("debugfs e2fsck"))
		return;
	lab_run(lab,
		"tree; echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; filesystem ext4; "
		"i=$(debugfs -R 'stat /etc/machine-id' part 2>/dev/null | sed -n 's/^Inode: *\\([0-9]*\\).*/\\1/p'); "
		"b=$(debugfs -R \"imap <$i>\" part 2>/dev/null | sed -n 's/.*block \\([0-9]*\\),.*/\\1/p'); dd if=part of=block bs=1024 "
		"skip=$b count=1 status=none; printf 'jo\\njw -b %%s block\\njc\\n' $b >j; debugfs -w -f j part; disk; cp disk.img before");
	lab_check(lab, "disk.img");
	lab_expect(lab, "machine-id not-unmounted");
	assert_int_equal(seal(lab, changes, sizeof(changes), &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "not unmounted"));
	lab_run(lab, "cmp disk.img before");
}

static void test_refused(void **state)
{
	struct lab *lab = *state;
	char changes[4096];
	struct reason reason;

	if (!lab_has("mkfs.btrfs debugfs"))
		return;
	lab_run(lab,
		"KIND=btrfs; tree; echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; filesystem btrfs; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "machine-id");
	assert_int_equal(seal(lab, changes, sizeof(changes), &reason), -ENOTSUP);
	assert_non_null(strstr(reason.text, "btrfs"));
	lab_run(lab, "truncate -s 4M none; cp none disk.img");
	assert_int_equal(seal(lab, changes, sizeof(changes), &reason), -ENOTSUP);
	assert_non_null(strstr(reason.text, "no Linux"));
	/* Errors that e2fsck does not mend by itself. */
	lab_run(lab,
		"tree; echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; filesystem ext4; i=$(debugfs -R 'stat /etc' part "
		"2>/dev/null | sed -n 's/^Inode: *\\([0-9]*\\).*/\\1/p'); debugfs -w -R \"sif <$i> links_count 40\" part; debugfs -w -R 'clri "
		"/boot' part; debugfs -w -R 'ssv state 2' part; disk");
	assert_int_equal(seal(lab, changes, sizeof(changes), &reason), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_unclean, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_refused, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
