#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pzstd: an initrd that it compressed.
#
# One would guess: pzstd writes what zstd writes, several frames one after the other; what reads zstd's files reads its files.
# What happens: each frame of pzstd's has a skippable frame before it (magic 184D2A5x, with the compressed size), so the file does not begin with
# 28 b5 2f fd. zstd and lsinitramfs read it; Linux goes by the first bytes and panics ("invalid magic at start of compressed archive"), and GNU tar
# without the file name's ending sees no archive.
# zstd 1.5.4, Linux 6.1 (user-mode-linux of Debian 12), tar 1.34; RFC 8878 section 3.1.2 (skippable frames), lib/decompress.c of Linux. As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
needs gcc cpio tar
packages zstd=1.5.4+dfsg2-5+deb12u1 user-mode-linux=6.1um4+b13 initramfs-tools-core=0.142+deb12u3

cat >init.c <<'C'
#include <sys/reboot.h>
#include <unistd.h>
int main(void)
{
	return write(1, "init runs\n", 10) == 10 && reboot(RB_POWER_OFF);
}
C
mkdir -p tree/dev && gcc -static -Os -o tree/init init.c && (cd tree && printf '%s\n' . dev init | cpio -o -H newc --quiet) >initrd.cpio || cannot "no initrd"
zstd -q initrd.cpio -o initrd.zst && pzstd -q initrd.cpio -o initrd.pzst || cannot "not compressed"

boot() { # what a kernel says of the initrd
	timeout 60 linux.uml "initrd=$1" mem=128M panic=-1 con=null con0=fd:0,fd:1 </dev/null 2>&1 | grep -aoE 'init runs|invalid magic.*|VFS: Unable to mount root' | tr -d '\r' | paste -sd' '
}

saw "zstd" "v1.5.4" "$(zstd --version | grep -o 'v[0-9.]*[0-9]')"
saw "first bytes, zstd" "28b52ffd" "$(od -An -tx1 -N4 initrd.zst | tr -d ' ')"
saw "first bytes, pzstd" "502a4d18" "$(od -An -tx1 -N4 initrd.pzst | tr -d ' ')"
saw "zstd -t of pzstd's" 0 "$(zstd -qt initrd.pzst 2>/dev/null; echo $?)"
saw "lsinitramfs of pzstd's" ". dev init" "$(lsinitramfs initrd.pzst | paste -sd' ')"
tar -cf some.tar tree && pzstd -q some.tar -o some && zstd -q some.tar -o other || cannot "no archives"
saw "GNU tar lists zstd's, without an ending" 0 "$(tar -tf other >/dev/null 2>&1; echo $?)"
saw "GNU tar lists pzstd's" 2 "$(tar -tf some >/dev/null 2>&1; echo $?)"
saw "Linux with zstd's" "init runs" "$(boot initrd.zst)"
saw "Linux with pzstd's" "invalid magic at start of compressed archive VFS: Unable to mount root" "$(boot initrd.pzst)"
finish
