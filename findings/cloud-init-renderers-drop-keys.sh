#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cloud-init: a version 2 network-config on systems without netplan.
#
# One would guess: `critical: true` (leave the link alone, it carries the root disk) becomes networkd's KeepConfiguration=, and `dhcp4-overrides: {use-dns: false}`
# becomes what ifupdown, sysconfig or NetworkManager have for it (PEERDNS=no, ignore-auto-dns); what a renderer cannot express is at least warned about.
# What happens: only netplan gets `critical`, `dhcp-identifier` and `use-dns`, as the text is passed through. networkd gets use-dns and no `critical`; eni, sysconfig
# and NetworkManager get none of the three, without a word and with exit 0.
# cloud-init 22.4.2 (Debian 12), cloud-init devel net-convert; its manual, "Networking config Version 2", says which keys exist. As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages cloud-init=22.4.2-1+deb12u4
cat >network-config <<'Y'
version: 2
ethernets:
  boot:
    match: {macaddress: "52:54:00:12:34:56"}
    critical: true
    dhcp4: true
    dhcp-identifier: mac
    dhcp4-overrides: {use-dns: false}
Y
convert() { # convert RENDERER DISTRIBUTION: which of the three are to be found in what is written
	rm -rf out
	PYTHONPATH=$W/root/usr/lib/python3/dist-packages /usr/bin/python3 -c 'import sys; from cloudinit.cmd.main import main; sys.exit(main(sys.argv))' \
		devel net-convert -p network-config -k yaml -d out -D "$2" -O "$1" >log 2>&1
	printf 'exit %s, %s warnings' $? "$(grep -ciE 'warn|ignor|unsupported|unknown' log)"
	grep -rqiE 'critical|KeepConfiguration' out && printf ', critical'
	grep -rqiE 'dhcp-identifier|ClientIdentifier|dhcp-client-id' out && printf ', dhcp-identifier'
	grep -rqiE 'use-?dns|PEERDNS|ignore-auto-dns' out && printf ', use-dns'
	[ -n "$(find out -type f -exec grep -liE 'dhcp|method=auto' {} +)" ] || printf ', no DHCP'
}

saw "netplan" "exit 0, 0 warnings, critical, dhcp-identifier, use-dns" "$(convert netplan debian)"
saw "networkd" "exit 0, 0 warnings, use-dns" "$(convert networkd debian)"
saw "eni" "exit 0, 0 warnings" "$(convert eni debian)"
saw "sysconfig" "exit 0, 0 warnings" "$(convert sysconfig rhel)"
saw "network-manager" "exit 0, 0 warnings" "$(convert network-manager debian)"
finish
