#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# e2fsprogs: an ext4 inside a larger file, named as "disk?offset=N", whose journal is not empty.
#
# One would guess: the offset, which e2fsck and debugfs take for a file system that is clean, holds while the journal is replayed, too.
# What happens: both look for the superblock at byte 0 when they open the file again after the replay. e2fsck -p says "recovering journal", then "Filesystem
# still has errors", and exits 12, each time anew; debugfs' jr says "Bad magic number in super-block" and exits 0. The journal stays as it was. A copy of the
# partition alone is repaired in one go. Who mends images without mounting them has to cut the partition out first, or to refuse.
# e2fsck and debugfs 1.47.0 (Debian 12); e2fsck(8) does not name the offset, tune2fs(8) and mke2fs(8) do. As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages e2fsprogs=1.47.0-2+b2 libext2fs2=1.47.0-2+b2 libss2=1.47.0-2+b2 libcom-err2=1.47.0-2+b2
needs dd truncate

offset=1048576
truncate -s 16M part && mke2fs -q -t ext4 part || cannot "no file system"
# A transaction in the journal: the first block of the inode table, as it is.
block=$(debugfs -R 'imap <11>' part 2>/dev/null | sed -n 's/.*block \([0-9]*\),.*/\1/p')
size=$(dumpe2fs -h part 2>/dev/null | sed -n 's/^Block size: *//p')
dd if=part of=block bs="$size" skip="$block" count=1 status=none
printf 'jo\njw -b %s block\njc\n' "$block" | debugfs -w -f - part >/dev/null 2>&1
truncate -s 17M disk && dd if=part of=disk bs=1M seek=1 conv=notrunc status=none
cp disk other
needs_recovery() { dumpe2fs -h "$1" 2>/dev/null | grep -c needs_recovery; }

saw "version" "e2fsck 1.47.0 (5-Feb-2023)" "$(e2fsck -V 2>&1 | head -n 1)"
saw "the journal is not empty" 1 "$(needs_recovery "disk?offset=$offset")"
e2fsck -p "disk?offset=$offset" >said 2>&1
saw "e2fsck -p disk?offset=, exit status" 12 $?
saw "it says" "Bad magic number in super-block while trying to re-open disk" "$(sed -n 's/^e2fsck: //p' said)"
e2fsck -p "disk?offset=$offset" >said 2>&1
saw "a second time" 12 $?
saw "the journal is not empty" 1 "$(needs_recovery "disk?offset=$offset")"
debugfs -w -R jr "other?offset=$offset" >said 2>&1
saw "debugfs jr, exit status" 0 $?
saw "it says" "Bad magic number in super-block while recovering journal" "$(sed -n 's/^journal_run: //p' said)"
e2fsck -p part >said 2>&1
saw "e2fsck -p of the partition alone" 0 $?
saw "its journal is empty" 0 "$(needs_recovery part)"
finish
