#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# libiscsi: iscsi://USER%PASSWORD@HOST/TARGET/LUN, as its tools and QEMU take it.
#
# One would guess: it is a URL; a percent sign with two hexadecimal digits is decoded everywhere in it, or nowhere.
# What happens: in the target's name it is decoded (%3a is a colon), in user and password it is not: %41 is these three characters, so a password with "@"
# cannot be written there at all and comes by LIBISCSI_CHAP_PASSWORD, with or without the user in the URL; a password in the URL goes first. A LUN is decimal
# (0x1 is refused). And iscsi-ls -s shows 1 GiB as 1023M: it multiplies the last block's address, not the number of blocks, and rounds down.
# libiscsi 1.19.0, tgt 1.0.85 (Debian 12); iscsi_parse_url(). As root (network namespaces).
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages libiscsi-bin=1.19.0-3 libiscsi7=1.19.0-3 tgt=1:1.0.85-1+deb12u1
two_hosts
export TGT_IPC_SOCKET=$W/tgtd
truncate -s 1G disk
run_behind nsenter -n -t "$server_pid" tgtd -f -C 7 --iscsi portal=10.9.0.1:3260
admin() { tgtadm -C 7 --lld iscsi "$@"; }
for _ in $(seq 50); do admin --op new --mode target --tid 1 -T iqn.2026-01.test:one 2>/dev/null && break || sleep 0.1; done
admin --op new --mode logicalunit --tid 1 --lun 1 -b "$W/disk" && admin --op bind --mode target --tid 1 -I ALL || cannot "no target"
inq() { on_client env "${@:2}" iscsi-inq "iscsi://$1" 2>&1 | sed -n '1s/.*\(CONNECTED\|Authentication failure\|Invalid URL\|Can not resolv\).*/\1/p'; }
host=10.9.0.1/iqn.2026-01.test:one

saw "size of 1 GiB" "(Size:1023M)" "$(on_client iscsi-ls -s iscsi://10.9.0.1 | grep -o '(Size.*)')"
saw "target with %3a" "CONNECTED" "$(inq 10.9.0.1/iqn.2026-01.test%3aone/1)"
saw "LUN 0x1" "Invalid URL" "$(inq "$host/0x1")"
admin --op new --mode account --user joe --password 'secret%41secret' && admin --op new --mode account --user moe --password 'secret@secret1' &&
	admin --op bind --mode account --tid 1 --user joe && admin --op bind --mode account --tid 1 --user moe || cannot "no accounts"
saw "password secret%41secret as it is" "CONNECTED" "$(inq "joe%secret%41secret@$host/1")"
saw "with its % encoded" "Authentication failure" "$(inq "joe%secret%2541secret@$host/1")"
saw "password secret@secret1 as it is" "Can not resolv" "$(inq "moe%secret@secret1@$host/1")"
saw "with its @ encoded" "Authentication failure" "$(inq "moe%secret%40secret1@$host/1")"
saw "from the environment, user in the URL" "CONNECTED" "$(inq "moe@$host/1" LIBISCSI_CHAP_PASSWORD=secret@secret1)"
saw "right in the URL, wrong in the environment" "CONNECTED" "$(inq "joe%secret%41secret@$host/1" LIBISCSI_CHAP_PASSWORD=wrong)"
finish
