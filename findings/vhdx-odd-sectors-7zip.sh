#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 7-Zip and libvhdi: a VHDX whose size is an odd number of 512-byte sectors.
#
# One would guess: both read every dynamic or fixed VHDX that qemu-img makes; the format wants the virtual size to be a multiple of the logical sector
# size (512), and nothing more.
# What happens: 7-Zip says "Cannot open the file as [VHDX] archive" whenever the number of sectors is odd, and opens the same disk with one sector
# more or less, and the odd one as VHD, VDI or VMDK. libvhdi opens all of them.
# 7-Zip 26.02, libvhdi 20210425, qemu-img 7.2.22 (Debian 12); MS-VHDX section 2.6.2.2 (Virtual Disk Size). As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages 7zip=22.01+really26.02+dfsg-0+deb12u1 libvhdi-utils=20210425-1+b2 libvhdi1=20210425-1+b2 qemu-utils=1:7.2+dfsg-7+deb12u18+b3

opened() { # opened FORMAT SECTORS: exit codes of 7-Zip's test and of vhdiinfo for such a disk, with data in it
	local how=()
	[ "$1" = vpc ] && how=(-o force_size=on)
	rm -f raw "disk.$1" && truncate -s "$(($2 * 512))" raw && printf data | dd of=raw bs=512 seek=77 conv=notrunc status=none &&
		qemu-img convert -f raw -O "$1" ${how[@]+"${how[@]}"} raw "disk.$1" || cannot "no disk"
	7zz t "disk.$1" >7zip.log 2>&1
	printf '7-Zip %s' $?
	case $1 in vhdx | vpc) vhdiinfo "disk.$1" >libvhdi.log 2>&1 && printf ', libvhdi 0' || printf ', libvhdi fails' ;; esac
}

saw "version" "7-Zip (z) 26.02" "$(7zz | grep -o '^7-Zip (z) [0-9.]*')"
for sectors in 75776 75778 75784 100000; do saw "VHDX of $sectors sectors" "7-Zip 0, libvhdi 0" "$(opened vhdx $sectors)"; done
for sectors in 75777 75779 75783 100001; do saw "VHDX of $sectors sectors" "7-Zip 2, libvhdi 0" "$(opened vhdx $sectors)"; done
saw "what 7-Zip says" "Open ERROR: Cannot open the file as [VHDX] archive" "$(grep -m 1 '^Open ERROR' 7zip.log)"
saw "VHD of 75777 sectors" "7-Zip 0, libvhdi 0" "$(opened vpc 75777)"
saw "VDI of 75777 sectors" "7-Zip 0" "$(opened vdi 75777)"
saw "VMDK of 75777 sectors" "7-Zip 0" "$(opened vmdk 75777)"
finish
