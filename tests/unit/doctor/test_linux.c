// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said of a Linux: nothing of one that is well prepared; and for each thing that is missing or too much, that. */
#include "doctor/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_well_prepared(void **state)
{
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_expect_after(lab, "tree", "");
	assert_string_equal(lab->report.system, "Debian GNU/Linux 12 (bookworm)");
	assert_string_equal(lab->report.iscsi, "open-iscsi 2.1.8-1");
	assert_int_equal(lab->report.part_count, 2);
	assert_string_equal(lab->report.parts[1].holds, "ext4");
	assert_string_equal(lab->report.parts[1].state, "clean");
	assert_true(lab->report.parts[1].looked_into);
	assert_false(doctor_stops_boot(&lab->report));
	/* The same with an MBR. */
	lab_expect_after(lab, "LABEL=dos", "");
}

/* Lines after "tree", and what is said then. */
struct change {
	const char *lines, *codes;
};

static void expect_each(struct lab *lab, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char lines[4096];

		snprintf(lines, sizeof(lines), "tree; %s", changes[i].lines);
		lab_expect_after(lab, lines, changes[i].codes);
	}
}

static void test_identity(void **state)
{
	static const struct change changes[] = {
		{ "echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; echo k >root/etc/ssh/ssh_host_rsa_key; "
		  "echo InitiatorName=iqn.1993-08.org.debian:01:abc >root/etc/iscsi/initiatorname.iscsi; "
		  "mkdir -p root/etc/udev/rules.d root/etc/systemd/network root/etc/network root/etc/netplan root/var/lib/systemd; "
		  "echo 'SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:12:34:56\", NAME=\"eth0\"' "
		  ">root/etc/udev/rules.d/70-persistent-net.rules; "
		  "printf '[Match]\\nMACAddress=52:54:00:12:34:56\\n' >root/etc/systemd/network/10-a.link; "
		  "cp root/etc/systemd/network/10-a.link root/etc/systemd/network/10-cloud-init-eth0.network; "
		  "echo x >root/usr/sbin/ifup; printf 'auto eth0\\niface eth0 inet dhcp\\n' >root/etc/network/interfaces; "
		  "printf 'network:\\n  ethernets:\\n    a: {dhcp4: true}\\n' >root/etc/netplan/a.yaml; "
		  "package cloud-init 22.4.2; rm root/etc/systemd/system/iscsid.service.d/a.conf; echo gold >root/etc/hostname; "
		  "echo x >root/var/lib/systemd/random-seed; package multipath-tools 0.9.4",
		  "machine-id ssh-host-keys initiator-name cards-by-mac network-by-mac cloud-init-network ifupdown netplan cloud-init-searches "
		  "openssl-hang host-name random-seed multipath-not-at-boot" },
		/* The same, as they should be. */
		{ "echo uninitialized >root/etc/machine-id; mkdir -p root/var/lib/dbus root/etc/systemd/system/ssh.service.d "
		  "root/etc/network root/etc/netplan; ln -s /etc/machine-id root/var/lib/dbus/machine-id; package openssh-server 1; "
		  "echo ExecStartPre=/usr/bin/ssh-keygen -A >root/etc/systemd/system/ssh.service.d/a.conf; echo x >root/usr/sbin/ifup; "
		  "printf 'auto lo\\niface lo inet loopback\\n' >root/etc/network/interfaces; printf 'network:\\n  ethernets:\\n    a:\\n     "
		  " critical: true\\n' >root/etc/netplan/a.yaml; package cloud-init 22.4.2; echo 'datasource_list: [NoCloud, None]' "
		  ">root/etc/cloud/cloud.cfg.d/a.cfg; package multipath-tools 0.9.4; package multipath-tools-boot 0.9.4; "
		  "printf 'defaults {\\n  find_multipaths greedy\\n  user_friendly_names \"yes\"\\n}\\n' >root/etc/multipath.conf",
		  "" },
		{ "package multipath-tools 0.9.4; package multipath-tools-boot 0.9.4", "multipath-not-set" },
		{ "package multipath-tools 0.9.4; package multipath-tools-boot 0.9.4; "
		  "printf 'defaults {\\n  find_multipaths greedy\\n  user_friendly_names no\\n}\\n' >root/etc/multipath.conf",
		  "multipath-not-set" },
		{ "mkdir -p root/var/lib/dbus; echo 0123456789abcdef0123456789abcdef >root/var/lib/dbus/machine-id; package "
		  "openssh-server 1",
		  "dbus-machine-id ssh-without-keys" },
		/* systemd-networkd, and NetworkManager. */
		{ "mkdir -p root/etc/systemd/network; printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' "
		  ">root/etc/systemd/network/a.network; w=root/etc/systemd/system/multi-user.target.wants; echo >$w/systemd-networkd.service; "
		  "echo >$w/NetworkManager.service; package network-manager 1",
		  "networkd network-manager" },
		{ "mkdir -p root/etc/systemd/network root/etc/NetworkManager/conf.d; printf "
		  "'[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\nKeepConfiguration=yes\\n' >root/etc/systemd/network/a.network; "
		  "w=root/etc/systemd/system/multi-user.target.wants; echo >$w/systemd-networkd.service; echo >$w/NetworkManager.service; "
		  "package network-manager 1; printf '[keyfile]\\nunmanaged-devices=*\\n' >root/etc/NetworkManager/conf.d/a.conf",
		  "" },
	};
	struct lab *lab = *state;

	if (lab_has(""))
		expect_each(lab, changes, sizeof(changes) / sizeof(changes[0]));
}

static void test_disks_by_name(void **state)
{
	static const struct change changes[] = {
		{ "echo 'UUID=aaaaaaaa-2222-4333-8444-555555555555 /data ext4 defaults 0 2' >>root/etc/fstab; echo '/swapfile none swap sw "
		  "0 0' >>root/etc/fstab; mkdir -p root/etc/initramfs-tools/conf.d; echo RESUME=UUID=1 "
		  ">root/etc/initramfs-tools/conf.d/resume",
		  "fstab-missing swap resume" },
		{ "echo 'UUID=aaaaaaaa-2222-4333-8444-555555555555 /data ext4 nofail 0 2' >>root/etc/fstab; mkdir -p "
		  "root/etc/initramfs-tools/conf.d; echo RESUME=none >root/etc/initramfs-tools/conf.d/resume",
		  "" },
		{ "echo '/dev/vda1 / ext4 defaults 0 1' >root/etc/fstab; sed -i s,root=[^\\ ]*,root=/dev/vda2, root/boot/grub/grub.cfg",
		  "fstab-other-disk cmdline-other-disk" },
		{ "echo '/dev/sda1 / ext4 defaults 0 1' >root/etc/fstab; sed -i s,root=[^\\ ]*,root=/dev/sda2, root/boot/grub/grub.cfg",
		  "fstab-by-letter cmdline-by-letter" },
	};
	struct lab *lab = *state;

	if (lab_has(""))
		expect_each(lab, changes, sizeof(changes) / sizeof(changes[0]));
}

#define LOGIN "sbin/iscsistart lib/modules/6.1/kernel/drivers/scsi/iscsi_tcp.ko.xz "

static void test_initramfs(void **state)
{
	static const struct {
		const char *lines, *codes, *says;
	} cases[] = {
		{ "initrd bin/sh $(nic e1000e) $(nic igb) $(nic r8169)", "initramfs-without-iscsi",
		  "update-initramfs -u" },
		/* MODULES=most brings the drivers without open-iscsi. */
		{ "initrd bin/sh lib/modules/6.1/kernel/drivers/scsi/iscsi_tcp.ko $(nic e1000e) $(nic igb) $(nic r8169)",
		  "initramfs-without-iscsi", "update-initramfs -u" },
		{ "initrd usr/lib/dracut/modules.txt $(nic e1000e) $(nic igb) $(nic r8169)", "initramfs-without-iscsi",
		  "dracut --force" },
		{ "initrd " LOGIN, "initramfs-without-network", "MODULES=most" },
		{ "initrd " LOGIN " $(nic e1000e)", "initramfs-few-cards", "e1000e" },
		{ "initrd usr/lib/dracut/hostonly-files usr/lib/dracut/x " LOGIN " $(nic e1000e); sed -i "
		  "'s/ro$/ro rd.iscsi.firmware=1/' root/boot/grub/grub.cfg",
		  "initramfs-few-cards", "hostonly" },
		{ "initrd usr/lib/dracut/x " LOGIN " $(nic e1000e) $(nic igb) $(nic r8169)", "dracut-not-told", "" },
		{ "initrd usr/lib/dracut/x etc/cmdline.d/01-default.conf " LOGIN
		  " $(nic e1000e) $(nic igb) $(nic r8169)",
		  "", NULL },
		{ "rm root/etc/iscsi/iscsi.initramfs", "iscsi-not-automatic", "" },
		{ "rm root/etc/iscsi/iscsi.initramfs; sed -i 's/ro$/ro iscsi_auto/' root/boot/grub/grub.cfg", "",
		  NULL },
		{ "rm root/boot/initrd.img-6.1", "initramfs-missing", "" },
		{ "head -c 2000 /dev/urandom >>root/boot/initrd.img-6.1; truncate -s -2100 root/boot/initrd.img-6.1",
		  "initramfs-not-read", "" },
		{ "PACK=gzip; initrd " LOGIN, "initramfs-without-network", "" },
		{ "PACK=cat; initrd " LOGIN, "initramfs-without-network", "" },
	};
	struct lab *lab = *state;

	if (!lab_has("gzip"))
		return;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct doctor_finding *finding;
		char lines[1024];

		snprintf(lines, sizeof(lines), "tree; %s", cases[i].lines);
		lab_expect_after(lab, lines, cases[i].codes);
		finding = cases[i].says ? lab_find(lab, cases[i].codes) : NULL;
		if (cases[i].says && !strstr(finding->what, cases[i].says) && !strstr(finding->todo, cases[i].says))
			fail_msg("%s: %s %s", cases[i].says, finding->what, finding->todo);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_well_prepared, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_identity, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_disks_by_name, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_initramfs, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
