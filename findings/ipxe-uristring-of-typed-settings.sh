#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# iPXE: ${uuid:uristring}, ${net0/mac:uristring} and ${net0/ip:uristring} in a URL.
#
# One would guess: the text that ${uuid}, ${net0/mac} and ${net0/ip} show, percent-encoded; so it is always safe to add ":uristring" to what goes into a query.
# What happens: the raw bytes of the setting are encoded, not its text (and the UUID's first three fields are in SMBIOS's order, low byte first); each byte
# from 80 on becomes nine characters, %FFFFFFxx, which no server decodes. ":uristring" is for settings that are text (serial, product); typed ones go without.
# iPXE 1.0.0+git-20190125.36a4c85 (Debian 12), BIOS build, in QEMU; ipxe.org/cfg (setting types), settings.c. As root or user.
# shellcheck disable=SC1091,SC2016
. "$(dirname "$(readlink -f "$0")")/lib.sh"
cat >script <<'S'
#!ipxe
set net0/ip 10.0.200.9
echo [uuid] ${uuid}
echo [uuid:uristring] ${uuid:uristring}
echo [mac] ${net0/mac}
echo [mac:uristring] ${net0/mac:uristring}
echo [mac:hexhyp] ${net0/mac:hexhyp}
echo [ip:uristring] ${net0/ip:uristring}
echo [serial:uristring] ${serial:uristring}
echo [end]
S
run_ipxe script -uuid 12345678-1234-1234-1234-123456789abc -smbios type=1,serial=A/1 -netdev user,id=n,restrict=on \
	-device e1000,netdev=n,mac=52:54:00:fe:cd:ba,romfile=
shown() { sed -n "s/^\[$1\] //p" screen; }

saw "version" "1.0.0+git-20190125.36a4c85-5.1" "$(grep -o -m 1 '1.0.0+git-20190125.36a4c85-5.1' screen)"
saw 'uuid' "12345678-1234-1234-1234-123456789abc" "$(shown uuid)"
saw 'uuid:uristring' "xV4%124%124%12%124%124Vx%FFFFFF9A%FFFFFFBC" "$(shown uuid:uristring)"
saw 'net0/mac' "52:54:00:fe:cd:ba" "$(shown mac)"
saw 'net0/mac:uristring' "RT%00%FFFFFFFE%FFFFFFCD%FFFFFFBA" "$(shown mac:uristring)"
saw 'net0/mac:hexhyp' "52-54-00-fe-cd-ba" "$(shown mac:hexhyp)"
saw 'net0/ip:uristring (10.0.200.9)' "%0A%00%FFFFFFC8%09" "$(shown ip:uristring)"
saw 'serial:uristring (A/1)' "A%2F1" "$(shown serial:uristring)"
finish
