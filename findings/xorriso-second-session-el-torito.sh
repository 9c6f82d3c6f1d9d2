#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# xorriso: one file added to a hybrid boot CD.
#
# One would guess: `xorriso -dev cd.iso -map more /more -commit` keeps the CD bootable; if something of a hybrid image gets lost, then the MBR and GPT,
# which lie outside of the ISO 9660 file system.
# What happens: the other way round. The partition tables stay, the El Torito boot record is left out, and the exit code is 0 (a NOTE among others
# says so). The image still boots from a USB stick and no longer as a CD. `-boot_image any keep` before -commit keeps it.
# xorriso 1.5.4 (Debian 12); man xorriso, "-boot_image", "discard". As root or user.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages xorriso=1.5.4-4 libisoburn1=1.5.4-4 isolinux=3:6.04~git20190206.bf6db5b4+dfsg1-3 mtools=4.0.33-1+really4.0.32-1
lib=$W/root/usr/lib/ISOLINUX
mkdir -p tree/boot && cp "$lib/isolinux.bin" tree/boot/ && truncate -s 2M tree/boot/efi.img && mformat -i tree/boot/efi.img :: && printf more >"more" || cannot "no tree"

boots() { # how IMAGE is bootable
	xorriso -indev "$1" -report_el_torito plain 2>/dev/null | awk '/^El Torito boot img/ { printf "%s ", $7 } END { if (!NR) printf "no El Torito " }'
	xorriso -indev "$1" -report_system_area plain 2>/dev/null | sed -n 's/^System area summary: //p'
}

xorriso -as mkisofs -quiet -o first.iso -b boot/isolinux.bin -c boot/cat -no-emul-boot -boot-load-size 4 -boot-info-table \
	-eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-mbr "$lib/isohdpfx.bin" -isohybrid-gpt-basdat tree >log 2>&1 || cannot "$(tail -n 1 log)"
saw "version" "xorriso version   :  1.5.4" "$(xorriso -version 2>/dev/null | grep "^xorriso version")"
saw "as made" "BIOS UEFI MBR isohybrid cyl-align-on GPT" "$(boots first.iso)"
cp first.iso second.iso && cp first.iso kept.iso
xorriso -dev second.iso -map more /more -commit >log 2>&1
saw "a file added: exit code" 0 $?
saw "what it says" "xorriso : NOTE : Discarded boot image from old session" "$(grep Discarded log)"
saw "now" "no El Torito MBR cyl-align-on GPT" "$(boots second.iso)"
xorriso -dev kept.iso -boot_image any keep -map more /more -commit >log 2>&1
saw "with -boot_image any keep" "BIOS UEFI MBR isohybrid cyl-align-on GPT" "$(boots kept.iso)"
finish
