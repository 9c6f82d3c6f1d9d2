#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes what the end-to-end tests boot, from Debian's packages, without a debootstrap:
#   tiny.raw   BIOS (syslinux) and UEFI (GRUB), Debian's cloud kernel, busybox and open-iscsi in an initramfs, an
#              ext4 partition that it mounts over iSCSI (tiny-init is its process 1)
#   tiny.iso   the same kernel and initramfs as a CD, as Debian's netinst is made: isolinux for BIOS, an El Torito image for UEFI
#   int13.raw  a boot sector alone: reads and writes its disk through INT 13h (int13.S)
# They are kept in build/e2e-cache (or $1) and made again when a source of theirs changes.
set -euo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${1:-${E2E_CACHE:-$HERE/../../build/e2e-cache}}
die() { echo "make-guests: $*" >&2; exit 1; }

missing=''
for pair in mmd:mtools mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk mke2fs:e2fsprogs syslinux:syslinux \
            grub-mkimage:grub-common busybox:busybox-static cpio:cpio zstd:zstd xorriso:xorriso as:binutils modprobe:kmod apt-get:apt; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -d /usr/lib/grub/x86_64-efi ] || missing="$missing grub-efi-amd64-bin"
[ -e /usr/lib/syslinux/mbr/mbr.bin ] || missing="$missing syslinux-common"
[ -e /usr/lib/ISOLINUX/isolinux.bin ] || missing="$missing isolinux"
[ -z "$missing" ] || die "missing tools; run: apt-get install$missing"

mkdir -p "$OUT/debs"; OUT=$(cd "$OUT" && pwd)
exec 9>"$OUT/lock"; flock 9
stamp=$(cat "$HERE/make-guests.sh" "$HERE/tiny-init" "$HERE/int13.S" | sha256sum)
if [ -e "$OUT/tiny.raw" ] && [ -e "$OUT/tiny.iso" ] && [ -e "$OUT/int13.raw" ] && [ "$(cat "$OUT/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
W=$(mktemp -d "$OUT/making.XXXXXX"); trap 'rm -rf "$W"' EXIT

# ---- the packages: the kernel, and the initiator with the two libraries that no Debian system has already
kernel=$(apt-cache show --no-all-versions linux-image-cloud-amd64 2>/dev/null | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -1)
[ -n "$kernel" ] || die "apt knows no linux-image-cloud-amd64; run: apt-get update"
for p in "$kernel" open-iscsi libopeniscsiusr libisns0; do
    compgen -G "$OUT/debs/${p}_*.deb" >/dev/null ||
        (cd "$OUT/debs" && apt-get -qq download "$p" 2>"$W/apt.log") || die "apt-get download $p: $(tail -1 "$W/apt.log")"
    dpkg-deb -x "$(printf '%s\n' "$OUT/debs/${p}"_*.deb | sort -V | tail -1)" "$W/root"
done
V=${kernel#linux-image-}; K=$W/root/boot/vmlinuz-$V
[ -e "$K" ] || die "$kernel holds no vmlinuz-$V"
depmod -b "$W/root" "$V"

# ---- tiny's initramfs
I=$W/tiny; mkdir -p "$I"/{bin,sbin,proc,sys,dev,run,mnt,etc/iscsi,lib/modules,tmp,var/lock,run/lock/iscsi}
ln -s lib "$I/lib64"
cp "$(command -v busybox)" "$I/bin/busybox"
for a in sh mount umount cat echo ip insmod sleep sync sha256sum cut sed awk grep head ls mkdir mv hostname uname dmesg dd tr stty udhcpc printf chmod blockdev; do
    ln -s busybox "$I/bin/$a"
done
cp "$W/root/sbin/iscsistart" "$W/root/sbin/iscsid" "$I/sbin/"
cp "$W/root/etc/iscsi/iscsid.conf" "$I/etc/iscsi/"
echo 'root:x:0:0::/:/bin/sh' >"$I/etc/passwd"          # iscsid wants to know who talks to it
libs=$(LD_LIBRARY_PATH=$W/root/usr/lib/x86_64-linux-gnu ldd "$I/sbin/iscsistart" "$I/sbin/iscsid")
case $libs in *"not found"*) die "a library is missing: $(grep -m1 'not found' <<<"$libs")" ;; esac
grep -o '/[^ :]*\.so[^ ]*' <<<"$libs" | sort -u | while read -r l; do cp -L "$l" "$I/lib/"; done
: >"$I/etc/modules"
for m in virtio_pci virtio_net e1000 crc32c_intel crc32c_generic sd_mod sr_mod isofs iscsi_tcp iscsi_ibft ext4 af_packet; do
    need=$(modprobe -d "$W/root" -S "$V" --show-depends "$m" 2>/dev/null) || case $m in
        virtio_net|sd_mod|sr_mod|isofs|iscsi_tcp|iscsi_ibft|ext4) die "$kernel has no module $m" ;;
    esac
    awk '$1=="insmod"{print $2}' <<<"$need" | while read -r k; do
        b=$(basename "$k"); [ -e "$I/lib/modules/$b" ] && continue
        cp "$k" "$I/lib/modules/$b"; echo "$b" >>"$I/etc/modules"
    done
done
cp "$HERE/tiny-init" "$I/init"; chmod 755 "$I/init"
(cd "$I" && find . | cpio -o -H newc --quiet) | zstd -q -15 >"$W/tiny.initrd"

# ---- tiny.raw: MBR, p1 FAT 40 MiB, p2 ext4 48 MiB
cmdline="console=ttyS0,115200 net.ifnames=0 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on panic=-1 audit=0 \
apparmor=0 selinux=0 cryptomgr.notests rcupdate.rcu_expedited=1 loglevel=4"
printf 'DEFAULT linux\nPROMPT 0\nTIMEOUT 1\nLABEL linux\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND %s\n' "$cmdline" >"$W/syslinux.cfg"
printf 'search --no-floppy --label TINY --set=root\nlinux /vmlinuz %s\ninitrd /initrd\nboot\n' "$cmdline" >"$W/grub.cfg"
grub-mkimage -O x86_64-efi -o "$W/BOOTX64.EFI" -c "$W/grub.cfg" -p /EFI/BOOT part_msdos fat normal linux search search_label boot
D=$W/tiny.raw; truncate -s 90M "$D"
printf 'label: dos\n2048,81920,ef,*\n83968,98304,83\n' | sfdisk -q "$D"
truncate -s 40M "$W/p1"; mkfs.vfat -F 16 -n TINY -h 2048 "$W/p1" >/dev/null
mmd -i "$W/p1" ::/EFI ::/EFI/BOOT
mcopy -i "$W/p1" "$W/syslinux.cfg" ::/syslinux.cfg; mcopy -i "$W/p1" "$K" ::/vmlinuz; mcopy -i "$W/p1" "$W/tiny.initrd" ::/initrd
mcopy -i "$W/p1" "$W/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
syslinux --install "$W/p1"
dd if="$W/p1" of="$D" bs=1M seek=1 conv=notrunc,sparse status=none
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$D" bs=440 count=1 conv=notrunc status=none
mkdir "$W/data"; dd if=/dev/urandom of="$W/data/data.bin" bs=1M count=4 status=none
truncate -s 48M "$W/p2"; mke2fs -q -t ext4 -L tiny -m 0 -d "$W/data" "$W/p2"
dd if="$W/p2" of="$D" bs=1M seek=41 conv=notrunc,sparse status=none

# ---- tiny.iso. Its GRUB finds the CD by its label, and falls back on where it was loaded from.
C=$W/cd; mkdir -p "$C"/{isolinux,boot/grub}
cp "$K" "$C/vmlinuz"; cp "$W/tiny.initrd" "$C/initrd"; cp "$W/data/data.bin" "$C/data.bin"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$C/isolinux/"
printf 'DEFAULT linux\nPROMPT 0\nTIMEOUT 1\nLABEL linux\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND %s e2e.from=cd\n' "$cmdline" \
    >"$C/isolinux/isolinux.cfg"
printf 'search --no-floppy --label TINYCD --set=root\nlinux /vmlinuz %s e2e.from=cd\ninitrd /initrd\nboot\n' "$cmdline" >"$W/grub-cd.cfg"
grub-mkimage -O x86_64-efi -o "$W/BOOTX64-CD.EFI" -c "$W/grub-cd.cfg" -p /boot/grub iso9660 normal linux search search_label boot
truncate -s 4M "$C/boot/grub/efi.img"; mkfs.vfat -F 12 "$C/boot/grub/efi.img" >/dev/null
mmd -i "$C/boot/grub/efi.img" ::/EFI ::/EFI/BOOT
mcopy -i "$C/boot/grub/efi.img" "$W/BOOTX64-CD.EFI" ::/EFI/BOOT/BOOTX64.EFI
xorriso -as mkisofs -quiet -r -J -V TINYCD -o "$W/tiny.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table -eltorito-alt-boot -e boot/grub/efi.img -no-emul-boot -isohybrid-gpt-basdat -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin "$C" 2>"$W/xorriso.log" || die "xorriso: $(tail -3 "$W/xorriso.log")"

# ---- int13.raw
as --32 -o "$W/int13.o" "$HERE/int13.S"
ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$W/int13.bin" "$W/int13.o"
[ "$(stat -c %s "$W/int13.bin")" = 512 ] || die "the boot sector is not 512 bytes long"
truncate -s 8M "$W/int13.raw"
dd if="$W/int13.bin" of="$W/int13.raw" conv=notrunc status=none

rm -f "$OUT/stamp"
mv "$W/tiny.raw" "$W/tiny.iso" "$W/int13.raw" "$OUT/"
echo "$stamp" >"$OUT/stamp"
