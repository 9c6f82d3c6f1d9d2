#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd-repart: SizeMinBytes= of a partition that is there already.
#
# One would guess: a definition with Label= is for the partition of that label; and where SizeMinBytes= cannot be had, systemd-repart fails and says so.
# What happens: the first partition of the type is taken, whatever its label is. Where it cannot grow, because something follows it on the disk, it stays
# below SizeMinBytes=: "No changes.", exit 0. (A *new* partition that does not fit is an error.) A root partition with a swap partition behind it stays as small as
# it was on a bigger disk, and nothing fails.
# systemd 252 (Debian 12); man repart.d, "Label=", "SizeMinBytes=". As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages systemd=252.39-1~deb12u2 fdisk=2.38.1-5+deb12u3
repart=$(command -v systemd-repart)
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 # root, x86-64

disk() { # disk NAME NAME: 64 MiB, two root partitions of 8 MiB, the rest free
	rm -f disk && truncate -s 64M disk && printf 'label: gpt\nsize=8M,type=%s,name=%s\nsize=8M,type=%s,name=%s\n' $type "$1" $type "$2" | sfdisk -q disk || cannot "no disk"
}
grow() {
	"$repart" --definitions="$PWD/repart.d" --dry-run=no --seed=random --pretty=no disk >log 2>&1
	echo "exit $?, $(tail -n 1 log), $(sfdisk -d disk | sed -n 's/.*size= *\([0-9]*\),.*name="\(.*\)"/\2 \1/p' | paste -sd' ')"
}

mkdir repart.d && printf '[Partition]\nType=root-x86-64\nLabel=wanted\nSizeMinBytes=20M\n' >repart.d/10-root.conf
saw "version" "systemd 252" "$("$repart" --version | grep -o '^systemd [0-9]*')"
disk wanted other
saw "wanted, 20 MiB at least, is first and blocked" "exit 0, No changes., wanted 16384 other 16384" "$(grow)"
disk other wanted
saw "wanted is second and could grow" "exit 0, No changes., other 16384 wanted 16384" "$(grow)"
cp repart.d/10-root.conf repart.d/20-root.conf
saw "two definitions" "exit 0, All done., other 16384 wanted 112600" "$(grow)"
rm disk && truncate -s 16M disk && printf 'label: gpt\nsize=8M,type=L,name=data\n' | sfdisk -q disk && rm repart.d/20-root.conf
saw "a new one that does not fit" "exit 1, Automatically determined minimal disk image size as 29.0M, current image size is 16.0M., data 16384" "$(grow)"
finish
