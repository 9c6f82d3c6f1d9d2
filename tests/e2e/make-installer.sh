#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian 12's own installer, and as much of a mirror as t_installer.py lets it use: installer/{linux,initrd.gz,mirror/} in build/e2e-cache
# (or $1). Exit code 3: it cannot be had from here, and the last line says why.
#
# Kernel, initrd and the udebs of kernel modules (one has iscsi_ibft and iscsi_tcp) are Debian's. Not every mirror that has packages has all
# of the installer's udebs. These two are made here where the mirror lacks them or something that they depend on:
#   open-iscsi-udeb        iscsistart and iscsid, from the package open-iscsi
#   disk-detect            where the installer looks for disks (item 3500 of its menu): does nothing
# and this one always, in the place of partman:
#   installer-partitioner  item 4200 of the menu: says which disks list-devices finds, and partitions the first with sfdisk and mke2fs
# installer/stand-ins names those that were made.
set -euo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${1:-${E2E_CACHE:-$HERE/../../build/e2e-cache}}
ARCH=amd64
die() { echo "make-installer: $*" >&2; exit 1; }
unreachable() { echo "$*"; exit 3; }

mkdir -p "$OUT"; OUT=$(cd "$OUT" && pwd)
exec 9>"$OUT/installer.lock"; flock 9
stamp=$(sha256sum <"$HERE/make-installer.sh")
if [ "$(cat "$OUT/installer/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
W=$(mktemp -d "$OUT/making.XXXXXX"); trap 'rm -rf "$W"' EXIT

# ---- apt as this machine has it, and once more with the installer's section and lists of its own
deb() { (cd "$W" && apt-get -qq -o APT::Sandbox::User=root download "$1" 2>apt.log) || unreachable "$1: $(tail -1 "$W/apt.log")"; }
udeb() { (cd "$P" && APT_CONFIG=$W/apt/conf apt-get -qq download "$1" 2>"$W/apt.log") || unreachable "$1: $(tail -1 "$W/apt.log")"; }

# shellcheck disable=SC2016
from=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 2>/dev/null | awk '$1=="bookworm" && $2=="main" {print $3; exit}')
[ -n "$from" ] || unreachable "apt knows no mirror of bookworm"
mkdir -p "$W/apt/lists/partial" "$W/apt/cache/archives/partial"
echo "deb [arch=$ARCH signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from bookworm main/debian-installer" >"$W/apt/sources.list"
printf '%s;\n' "Dir::State::lists \"$W/apt/lists\"" "Dir::Cache \"$W/apt/cache\"" "Dir::Etc::sourcelist \"$W/apt/sources.list\"" \
    'Dir::Etc::sourceparts "/dev/null"' 'Dir::State::status "/dev/null"' 'APT::Sandbox::User "root"' >"$W/apt/conf"
APT_CONFIG=$W/apt/conf apt-get -qq -o APT::Update::Error-Mode=any update 2>"$W/apt.log" || unreachable "$from: $(tail -1 "$W/apt.log")"

# ---- kernel and initrd
deb debian-installer-12-netboot-$ARCH
images=./usr/lib/debian-installer/images/12/$ARCH/text/debian-installer/$ARCH
dpkg-deb --fsys-tarfile "$W"/debian-installer-12-netboot-*.deb | tar -x -C "$W" --strip-components=10 "$images/linux" "$images/initrd.gz" ||
    die "the package of the installer has no kernel"
mkdir "$W/initrd"
zcat "$W/initrd.gz" | (cd "$W/initrd" && cpio -idm --quiet '*.so*' var/lib/dpkg/status)
release=$(sed -n 's/^Package: kernel-image-\(.*\)-di$/\1/p' "$W/initrd/var/lib/dpkg/status")
[ -n "$release" ] || die "the installer's initrd does not say which kernel it has"

# ---- Debian's udebs: modules of that kernel
M=$W/mirror; P=$M/pool; mkdir -p "$P"
for p in scsi-core scsi cdrom-core ata crc ext4; do udeb "$p-modules-$release-di"; done

# ---- what stands for others, unless the mirror has it
# real NAME: fetches a udeb, and what it depends on and the initrd has not got; false where one of them is not to be had
real() (
    mkdir -p "$W/real" && cd "$W/real" || exit
    todo=$1
    while [ -n "$todo" ]; do
        next=
        for p in $todo; do
            if grep -qx "Package: $p" "$W/initrd/var/lib/dpkg/status" || compgen -G "$P/${p}_*" >/dev/null || compgen -G "${p}_*" >/dev/null; then continue; fi
            APT_CONFIG=$W/apt/conf apt-get -qq download "$p" 2>"$W/apt.log" || { rm -rf "$W/real"; exit 1; }
            next+=" $(dpkg-deb -f "$p"_*.udeb Depends | tr ',' '\n' | sed 's/[|(].*//; s/ //g' | tr '\n' ' ')"
        done
        todo=${next// /}; todo=${todo:+$next}
    done
    mv -- *.udeb "$P/"
)

# stand_in NAME PRIORITY DEPENDS, and more lines of the control file on standard input; its files are in $W/NAME
stand_in() {
    mkdir -p "$W/$1/DEBIAN"
    printf '%s\n' "Package: $1" "Version: 1" "Architecture: $ARCH" "Maintainer: nobody <nobody@localhost>" "Section: debian-installer" \
        "Priority: $2" "Depends: $3" "$(cat)" >"$W/$1/DEBIAN/control"
    dpkg-deb -Zxz --root-owner-group -b "$W/$1" "$P/$1_1_$ARCH.udeb" >/dev/null
    echo "$1" >>"$W/stand-ins"
}

# with_libraries NAME PROGRAM...: into sbin/, with those libraries that the initrd has not got
with_libraries() {
    local to=$W/$1 libs; shift
    mkdir -p "$to/sbin" "$to/usr/lib/x86_64-linux-gnu"
    cp "$@" "$to/sbin/"
    libs=$(LD_LIBRARY_PATH=$W/root/usr/lib/x86_64-linux-gnu ldd "$@")
    case $libs in *"not found"*) die "a library is missing: $(grep -m1 'not found' <<<"$libs")" ;; esac
    grep -o '/[^ :]*\.so[^ ]*' <<<"$libs" | sort -u | while read -r l; do
        [ -n "$(find "$W/initrd" -name "$(basename "$l")" -print -quit)" ] || cp -L "$l" "$to/usr/lib/x86_64-linux-gnu/"
    done
}

open_iscsi() {
    for p in open-iscsi libopeniscsiusr libisns0; do
        deb "$p"
        dpkg-deb -x "$(echo "$W/$p"_*.deb)" "$W/root"
    done
    with_libraries open-iscsi-udeb "$W/root/sbin/iscsistart" "$W/root/sbin/iscsid"
    mkdir -p "$W/open-iscsi-udeb/etc/iscsi"
    cp "$W/root/etc/iscsi/iscsid.conf" "$W/open-iscsi-udeb/etc/iscsi/"
    echo "Description: stands for Debian's" | stand_in open-iscsi-udeb optional "scsi-modules-$release-di"
}
real open-iscsi-udeb || open_iscsi
real disk-detect || printf '%s\n' "Provides: harddrive-detection" "Installer-Menu-Item: 3500" "Description: stands for Debian's" | stand_in disk-detect optional hw-detect

with_libraries installer-partitioner "$(command -v sfdisk)" "$(command -v mke2fs)"
mkdir -p "$W/installer-partitioner/DEBIAN" "$W/installer-partitioner/etc"
cp /etc/mke2fs.conf "$W/installer-partitioner/etc/"
cat >"$W/installer-partitioner/DEBIAN/postinst" <<'X'
#!/bin/sh
# A partition table, and a file system with files in it; then it waits to be switched off.
exec >/dev/console 2>&1
echo "E2E-DISKS lowmem=$(cat /var/lib/lowmem 2>/dev/null) $(list-devices disk | tr '\n' ' ')"
disk=$(list-devices disk | head -n 1)
if printf 'label: gpt\nsize=1MiB,type=21686148-6449-6E6F-744E-656564454649\ntype=L,name=root\n' | sfdisk -q "$disk" && update-dev --settle &&
    modprobe ext4 && mke2fs -q -t ext4 -L installed "${disk}2" && mkdir -p /target && mount -t ext4 "${disk}2" /target &&
    dd if=/dev/urandom of=/target/data bs=1M count=8 2>/dev/null && sha256sum /target/data && umount /target && sync; then
    echo "E2E-INSTALLED $disk"
else
    echo "E2E-FAILED $disk"
fi
while sleep 1; do dd if=/dev/zero of="$disk" bs=4k seek=256 count=1 conv=fsync,notrunc 2>/dev/null && echo "E2E-TICK $((n += 1)) OK" || echo "E2E-TICK $n ERROR"; done
X
chmod 755 "$W/installer-partitioner/DEBIAN/postinst"
printf '%s\n' "Provides: partitioned-harddrives" "Installer-Menu-Item: 4200" "Description: stands for Debian's partman" |
    stand_in installer-partitioner required "harddrive-detection, ext4-modules-$release-di"

# ---- the mirror's lists
D=$M/dists/bookworm; L=main/debian-installer/binary-$ARCH; mkdir -p "$D/$L"
for f in "$P"/*.udeb; do
    dpkg-deb -f "$f"
    printf 'Filename: pool/%s\nSize: %s\nMD5sum: %s\nSHA256: %s\n\n' "$(basename "$f")" "$(stat -c %s "$f")" \
        "$(md5sum <"$f" | cut -d' ' -f1)" "$(sha256sum <"$f" | cut -d' ' -f1)"
done >"$D/$L/Packages"
printf '%s\n' "Origin: Debian" "Label: Debian" "Suite: oldstable" "Codename: bookworm" "Architectures: $ARCH" "Components: main" "SHA256:" \
    " $(sha256sum <"$D/$L/Packages" | cut -d' ' -f1) $(stat -c %s "$D/$L/Packages") $L/Packages" >"$D/Release"

mkdir -p "$D/main/binary-$ARCH"
printf '%s\n' "Archive: oldstable" "Origin: Debian" "Label: Debian" "Component: main" "Architecture: $ARCH" >"$D/main/binary-$ARCH/Release"

rm -rf "$OUT/installer"; mkdir "$OUT/installer"
mv "$W/linux" "$W/initrd.gz" "$W/stand-ins" "$M" "$OUT/installer/"
echo "$stamp" >"$OUT/installer/stamp"
