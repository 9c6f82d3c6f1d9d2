#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU: a qcow2 child that is longer than its backing file: whose are the blocks behind the backing file's end?
#
# One would guess: qemu-img map calls them the backing file's (depth 1; it is the first that has nothing more to say there), and qemu-nbd's
# qemu:allocation-depth, which exists for this very question, says the same.
# What happens: qemu-img map says depth 0, the child, and "present": false, though the child has no entry for them; qemu-nbd counts them to the first
# backing file that is too short (allocation depth 2; 1 is the child). Who takes "depth": 0 for "the child has it" without looking at "present" is wrong.
# qemu-img and qemu-nbd 7.2.22, libnbd 1.14.2 (Debian 12); man qemu-img, "map"; docs/interop/nbd.txt. As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages qemu-utils=1:7.2+dfsg-7+deb12u18+b3 libnbd-bin=1.14.2-1 libnbd0=1.14.2-1
needs python3
truncate -s 1M golden && qemu-img create -q -f qcow2 -b golden -F raw middle.qcow2 &&
	qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 child.qcow2 3M && qemu-io -c 'write -q -P 1 2M 64k' child.qcow2 || cannot "no disks"
map() { qemu-img map --output=json child.qcow2 | python3 -c 'import json, sys; print(*("%d+%d:%d,%s" % (r["start"] >> 16, r["length"] >> 16, r["depth"], r["present"]) for r in json.load(sys.stdin)))'; }
nbd() { nbdinfo --map=qemu:allocation-depth -- [ qemu-nbd -t -A -f qcow2 child.qcow2 ] | awk '{ printf "%s%d+%d:%d", (NR > 1 ? " " : ""), $1 / 65536, $2 / 65536, $3 }'; }

saw "version" "qemu-img version 7.2.22" "$(qemu-img --version | grep -o '^qemu-img version [0-9.]*')"
echo "  in units of 64 KiB, START+LENGTH:DEPTH; golden file 0+16, child 0+48, written 32+1"
saw "qemu-img map, with present" "0+16:2,True 16+16:0,False 32+1:0,True 33+15:0,False" "$(map)"
saw "qemu-nbd, allocation depth" "0+16:3 16+16:2 32+1:1 33+15:2" "$(nbd)"
finish
