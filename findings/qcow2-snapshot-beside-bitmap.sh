#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qemu-img: internal snapshots and persistent bitmaps in one qcow2 file.
#
# One would guess: what may be taken may be gone back to: `snapshot -a` works wherever `snapshot -c` worked, and a disabled bitmap is in nobody's way;
# and `amend -o compat=0.10` refuses an image with bitmaps, as version 2 has none.
# What happens: with a bitmap, enabled or disabled, -c and -d work and -a fails ("Device has active dirty bitmaps"), also when the bitmap is younger
# than the snapshot; with the bitmap removed -a works. The downgrade exits 0 and leaves the bitmap's clusters as leaks (check: exit 3).
# qemu-img 7.2.22 (Debian 12); man qemu-img, "snapshot", "bitmap", "amend". As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages qemu-utils=1:7.2+dfsg-7+deb12u18+b3
img() { # img ARGUMENT...: its exit code and the last that it said
	local code
	qemu-img "$@" >log 2>&1
	code=$?
	echo "$code $(tail -n 1 log)"
}

saw "version" "qemu-img version 7.2.22" "$(qemu-img --version | grep -o '^qemu-img version [0-9.]*')"
qemu-img create -q -f qcow2 disk 4M && qemu-img bitmap --add disk b || cannot "no disk"
saw "snapshot -c beside a bitmap" "0 " "$(img snapshot -c s disk)"
saw "snapshot -a" "1 qemu-img: Could not apply snapshot 's': Device has active dirty bitmaps" "$(img snapshot -a s disk)"
qemu-img bitmap --disable disk b
saw "-a, bitmap disabled" "1 qemu-img: Could not apply snapshot 's': Device has active dirty bitmaps" "$(img snapshot -a s disk)"
qemu-img bitmap --remove disk b
saw "-a, bitmap removed" "0 " "$(img snapshot -a s disk)"
qemu-img bitmap --add disk younger
saw "-a, a bitmap younger than the snapshot" "1 qemu-img: Could not apply snapshot 's': Device has active dirty bitmaps" "$(img snapshot -a s disk)"
saw "snapshot -d" "0 " "$(img snapshot -d s disk)"
saw "amend to version 2" "0" "$(img amend -o compat=0.10 disk | grep -o '^[0-9]*')"
qemu-img check disk >log 2>&1
saw "check: exit code" 3 $?
saw "check says" "2 leaked clusters were found on the image." "$(grep 'leaked clusters' log)"
finish
