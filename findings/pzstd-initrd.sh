#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pzstd: an initrd that it compressed.
#
# One would guess: pzstd writes what zstd writes, several frames one after the other; what reads zstd's files reads its files.
# What happens: each frame of pzstd's has a skippable frame before it (magic 184D2A5x, with the compressed size), so the file does not begin with
# 28 b5 2f fd. zstd and lsinitramfs read it; what goes by the first bytes does not know it: GNU tar without the file name's ending sees no archive,
# and Linux no initramfs (its table of magic numbers in lib/decompress.c; not tried here).
# zstd 1.5.4, initramfs-tools-core 0.142, tar 1.34 (Debian 12); RFC 8878 section 3.1.2 (skippable frames). As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
needs cpio tar
packages zstd=1.5.4+dfsg2-5+deb12u1 initramfs-tools-core=0.142+deb12u3

mkdir -p tree/dev && echo init >tree/init && (cd tree && printf '%s\n' . dev init | cpio -o -H newc --quiet) >initrd.cpio || cannot "no initrd"
zstd -q initrd.cpio -o initrd.zst && pzstd -q initrd.cpio -o initrd.pzst || cannot "not compressed"

saw "zstd" "v1.5.4" "$(zstd --version | grep -o 'v[0-9.]*[0-9]')"
saw "first bytes, zstd" "28b52ffd" "$(od -An -tx1 -N4 initrd.zst | tr -d ' ')"
saw "first bytes, pzstd" "502a4d18" "$(od -An -tx1 -N4 initrd.pzst | tr -d ' ')"
saw "zstd -t of pzstd's" 0 "$(zstd -qt initrd.pzst 2>/dev/null; echo $?)"
saw "lsinitramfs of pzstd's" ". dev init" "$(lsinitramfs initrd.pzst | paste -sd' ')"
tar -cf some.tar tree && pzstd -q some.tar -o some && zstd -q some.tar -o other || cannot "no archives"
saw "GNU tar lists zstd's, without an ending" 0 "$(tar -tf other >/dev/null 2>&1; echo $?)"
saw "GNU tar lists pzstd's" 2 "$(tar -tf some >/dev/null 2>&1; echo $?)"
finish
