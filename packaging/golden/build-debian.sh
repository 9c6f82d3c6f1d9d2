#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes a golden disk image from Debian's packages: a raw file that any machine, BIOS or UEFI, boots
# over iSCSI by what its iBFT says. No loop device, no boot loader of the host: debootstrap makes the
# tree, the tree's own grub-mkimage the loaders, mke2fs -d and mtools the disk.
#
#   build-debian.sh --out FILE.raw [--suite bookworm] [--size MIB] [--profile minimal|demo|test]
#                   [--initramfs initramfs-tools|dracut] [--work DIR] [--root-password P] [--mirror URL] [--keep-rootfs]
#                   [--multipath] [--cloud-init]
#
# minimal (default)  linux-image-amd64, ssh, a login on screen and serial line
# demo, test         linux-image-cloud-amd64 with what is slow under emulation switched off, and a
#                    service that prints the line DISKLESS-BOOT-OK on the console
# --initramfs        what makes it: initramfs-tools (default), or dracut, if you want to live with that
# --root-password    without it (nor ROOT_PASSWORD in the environment) `minimal` gets a random one, printed
#                    once at the end as a line `note ...`; demo and test get a locked root
# --multipath        its root lies on a multipath map, which has a path to each portal that the machine's script names
#                    (machine set NAME multipath=yes), and one path where that is one; with initramfs-tools only
# --cloud-init       with cloud-init, which reads a machine's who-am-i volume (machine set M templates=cloud-init), and ssh, by which the users
#                    come that it makes
# --work             downloads and logs; a second build with the same directory is quick
# --keep-rootfs      keeps the installed tree there as well; the next build with the same packages starts from it,
#                    and one with --initramfs dracut from that without
#
# Standard output: `progress PERCENT text` lines. Standard error: one line, what is wrong and what to do.
# FILE.raw appears only when it is complete. The script needs no other file and may be read from
# standard input (bash -s -- ...), which is why everything runs from main, at the very end.
#
# What makes it fit to be cloned: empty machine-id, no SSH host keys, no initiator name, no host name, no
# swap, file systems by UUID, an initramfs for any machine. Debian's initramfs-tools logs in by
# itself because of ISCSI_AUTO=true in /etc/iscsi/iscsi.initramfs, dracut because of /etc/dracut.conf.d/sanbootd.conf.
# Host name, name servers and initiator name come from the iBFT and DHCP at every boot; the NIC that carries the root is
# never configured again.
set -euo pipefail
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset TMPDIR

die() { echo "build-debian: $*" >&2; exit 1; }
progress() { echo "progress $1 ${*:2}"; }

parse_arguments() {
    OUT='' SUITE=bookworm SIZE='' PROFILE=minimal INITRAMFS=initramfs-tools WORK=/var/cache/sanbootd/golden MIRROR='' KEEP=0 MULTIPATH=0 CLOUD_INIT=0
    PASSWORD=${ROOT_PASSWORD:-}
    while [ $# -gt 0 ]; do
        case $1 in
            --keep-rootfs) KEEP=1; shift; continue ;;
            --multipath) MULTIPATH=1; shift; continue ;;
            --cloud-init) CLOUD_INIT=1; shift; continue ;;
            --out|--suite|--size|--profile|--initramfs|--work|--root-password|--mirror)
                [ $# -ge 2 ] || die "$1 needs a value" ;;
            *) die "unknown argument '$1'; known: --out --suite --size --profile --initramfs --work --root-password --mirror --keep-rootfs --multipath --cloud-init" ;;
        esac
        case $1 in
            --out) OUT=$2 ;; --suite) SUITE=$2 ;; --size) SIZE=$2 ;; --profile) PROFILE=$2 ;; --work) WORK=$2 ;;
            --root-password) PASSWORD=$2 ;; --mirror) MIRROR=$2 ;; --initramfs) INITRAMFS=$2 ;;
        esac
        shift 2
    done
    if [ "$MULTIPATH" = 1 ] && [ "$INITRAMFS" = dracut ]; then die "--multipath goes with initramfs-tools only: leave --initramfs out"; fi
    [ -n "$OUT" ] || die "say where the image goes: --out FILE.raw"
    [[ $SUITE =~ ^[a-z][a-z0-9-]*$ ]] || die "'$SUITE' is no Debian suite; use for example --suite bookworm"
    case $PROFILE in
        minimal) : "${SIZE:=8192}" ;;
        demo|test) : "${SIZE:=2048}" ;;
        *) die "unknown profile '$PROFILE'; use minimal, demo or test" ;;
    esac
    case $INITRAMFS in
        initramfs-tools|dracut) ;;
        *) die "'$INITRAMFS' makes no initramfs here; use --initramfs initramfs-tools or dracut" ;;
    esac
    if ! [[ $SIZE =~ ^[1-9][0-9]{2,6}$ ]] || [ "$SIZE" -lt 1024 ]; then
        die "--size '$SIZE': a number of MiB, at least 1024"
    fi
    case $PASSWORD in *$'\n'*|*:*) die "the root password may contain neither a colon nor a line break" ;; esac
}

check_host() {
    local missing='' pair
    [ "$(id -u)" = 0 ] || die "must run as root (it makes device nodes and foreign owners): use sudo"
    for pair in debootstrap:debootstrap sfdisk:fdisk mkfs.vfat:dosfstools mmd:mtools mcopy:mtools mke2fs:e2fsprogs \
                unshare:util-linux flock:util-linux apt-get:apt; do
        command -v "${pair%%:*}" >/dev/null || case " $missing " in *" ${pair#*:} "*) ;; *) missing="$missing ${pair#*:}" ;; esac
    done
    [ -z "$missing" ] || die "missing tools; run: apt-get install$missing"
    local why; why=$(alone true 2>&1) || die "needs mounts and processes of its own, which this container forbids: ${why//$'\n'/ }"
    [ -d "$(dirname "$OUT")" ] || die "no directory $(dirname "$OUT"): make it, or give another --out"
    mkdir -p "$WORK/debs" "$WORK/archives/partial" || die "cannot make $WORK: give another --work"
    OUT=$(realpath -m "$OUT"); WORK=$(realpath "$WORK")
    exec 9>"$WORK/lock"
    flock -n 9 || die "another build uses $WORK: wait for it, or give another --work"
    local free; free=$(df --output=avail -m "$WORK" | tail -1)
    [ "$free" -ge 3000 ] || die "only $free MiB free in $WORK and 3000 are needed: make room or give another --work"
    if findmnt -nT "$WORK" -o OPTIONS | grep -qwE 'nodev|noexec'; then
        die "$WORK is mounted nodev or noexec: give another --work"
    fi
}

# Where this machine's own apt gets the suite; empty: debootstrap's default.
find_mirror() {
    local list
    list=$(apt-get indextargets --format '$(CODENAME) $(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null || true)
    uri_of() { awk -v s="$1" '($1==s || $2==s) && $3=="main" {print $NF; exit}' <<<"$list"; }
    [ -n "$MIRROR" ] || MIRROR=$(uri_of "$SUITE")
    [ -n "$MIRROR" ] || MIRROR=$(awk '$1 !~ /-/ && $3=="main" && $NF ~ /\/debian\/?$/ {print $NF; exit}' <<<"$list")
    UPDATES=$(uri_of "$SUITE-updates"); SECURITY=$(uri_of "$SUITE-security")
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    if [ -n "${http_proxy:-}" ]; then export http_proxy; fi
    if [ -n "${https_proxy:-}" ]; then export https_proxy; fi
}

package_lists() {
    BASE=systemd-sysv,udev,kmod,iproute2,busybox,initramfs-tools,zstd,open-iscsi,procps,e2fsprogs,ca-certificates
    PACKAGES="grub-common grub-pc-bin grub-efi-amd64-bin"
    if [ "$PROFILE" = minimal ]; then
        PACKAGES="$PACKAGES linux-image-amd64 dbus libpam-systemd libnss-myhostname systemd-timesyncd \
openssh-server iputils-ping less nano"
    else
        PACKAGES="$PACKAGES linux-image-cloud-amd64"
    fi
    if [ "$CLOUD_INIT" = 1 ]; then PACKAGES="$PACKAGES cloud-init openssh-server"; fi
    PLAIN="$SUITE $BASE $PACKAGES"
    if [ "$MULTIPATH" = 1 ]; then PACKAGES="$PACKAGES multipath-tools multipath-tools-boot"; fi
    # dracut takes initramfs-tools' place. What its modules call is not all among its dependences: gawk, because what reads
    # the iBFT uses and(), which mawk has not.
    if [ "$INITRAMFS" = dracut ]; then PACKAGES="$PACKAGES dracut dracut-network gawk"; fi
}

# Runs a command with processes and mounts of its own, which end with it, whatever happens. In a chroot / is no mount point and
# cannot be made private: the tree is bound to a place that can, and entered there.
alone() {
    local options="--mount --pid --fork --kill-child --mount-proc"
    # shellcheck disable=SC2086
    if [ -n "$(awk '$5 == "/"' /proc/self/mountinfo)" ]; then
        unshare $options --propagation private -- "$@"
    else
        unshare $options --propagation unchanged -- sh -ec 'mount --rbind --make-rprivate / /proc
            exec chroot /proc sh -ec "cd \"\$0\"; exec \"\$@\"" "$PWD" "$@"' sh "$@"
    fi
}

# Runs a command in the tree.
in_tree() {
    alone sh -ec '
        t=$1 archives=$2; shift 2
        mount -t proc proc "$t/proc"; mount --rbind /sys "$t/sys"; mount --rbind /dev "$t/dev"
        mount --bind "$archives" "$t/var/cache/apt/archives"
        exec chroot "$t" "$@"' sh "$T" "$WORK/archives" "$@"
}

# The packages without a kernel, and where later ones come from.
bootstrap_tree() {
    local log=$1
    mkdir -p "$T"
    progress 2 "getting Debian $SUITE"
    # shellcheck disable=SC2086
    { alone debootstrap --variant=minbase --cache-dir="$WORK/debs" --include="$BASE" "$SUITE" "$T" ${MIRROR:+"$MIRROR"} \
        2>&1 || echo "E: debootstrap failed"; } | tee "$log" | awk '
        /^I: (Retrieving|Validating|Extracting|Unpacking|Configuring) / {
            n++; p = 2 + int(n / 16); if (p > 44) p = 44
            if (p > last) { print "progress", p, tolower($2), $3; fflush(); last = p } }'
    if grep -q '^E: ' "$log"; then
        die "debootstrap: $(grep -m1 '^E: ' "$log" | cut -c4-) (is the mirror reachable? --mirror URL gives another; whole log: $log)"
    fi
    {
        if [ -n "$MIRROR" ]; then echo "deb $MIRROR $SUITE main"; else cat "$T/etc/apt/sources.list"; fi
        if [ -n "$UPDATES" ]; then echo "deb $UPDATES $SUITE-updates main"; fi
        if [ -n "$SECURITY" ]; then echo "deb $SECURITY $SUITE-security main"; fi
    } >"$T/etc/apt/sources.list.new" && mv "$T/etc/apt/sources.list.new" "$T/etc/apt/sources.list"
}

install_tree() {
    local log=$WORK/build.log stamp plain
    plain=$WORK/rootfs.$SUITE.$([ "$PROFILE" = minimal ] && echo minimal || echo cloud)
    T=$plain; if [ "$INITRAMFS" = dracut ]; then T=$plain-dracut; elif [ "$MULTIPATH" = 1 ]; then T=$plain-multipath; fi
    stamp="$SUITE $BASE $PACKAGES"
    if [ -e "$T.installed" ] && [ "$(cat "$T.installed")" = "$stamp" ]; then
        progress 75 "the packages are there from an earlier build"
        return
    fi
    rm -rf "$T" "$T.installed"
    if [ "$T" != "$plain" ] && [ "$(cat "$plain.installed" 2>/dev/null)" = "$PLAIN" ]; then
        progress 2 "copying what an earlier build installed"
        cp -a --reflink=auto "$plain" "$T"
        : >"$log"
    else
        bootstrap_tree "$log"
    fi
    # for the build only: this machine's view of the archive's dates, no fsync per package, keep what was downloaded
    {   apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date) ' || true
        echo 'APT::Install-Recommends "false";'; } >"$T/etc/apt/apt.conf.d/00build"
    echo force-unsafe-io >"$T/etc/dpkg/dpkg.cfg.d/build"
    printf '#!/bin/sh\nexit 101\n' >"$T/usr/sbin/policy-rc.d"; chmod 755 "$T/usr/sbin/policy-rc.d"
    rm -f "$T/etc/resolv.conf"; cp -L /etc/resolv.conf "$T/etc/resolv.conf" 2>/dev/null || true
    if [ "$INITRAMFS" = dracut ]; then
        export INITRD=No                # dracut's own hooks make none: configure_tree does
        rm -rf "$T/etc/initramfs-tools" "$T"/boot/initrd.img-*
    fi
    configure_initramfs                 # before a kernel comes and makes one
    progress 45 "getting the kernel"
    # shellcheck disable=SC2086
    { in_tree apt-get -q update && in_tree apt-get -q -y -o APT::Keep-Downloaded-Packages=true full-upgrade &&
      in_tree apt-get -q -y -o APT::Keep-Downloaded-Packages=true install $PACKAGES; } </dev/null >>"$log" 2>&1 ||
        die "apt could not install the kernel: $(grep -m1 '^E: ' "$log" | cut -c4-) (whole log: $log)"
    rm -rf "$T/etc/apt/apt.conf.d/00build" "$T/etc/dpkg/dpkg.cfg.d/build" "$T"/var/lib/apt/lists/*
    echo "$stamp" >"$T.installed"
}

# An initramfs for any machine, that finds its disk by the iBFT and tells the system who it is.
configure_initramfs() {
    if [ "$INITRAMFS" = dracut ]; then configure_dracut; else configure_initramfs_tools; fi
}

configure_initramfs_tools() {
    local i=$T/etc/initramfs-tools
    mkdir -p "$i/conf.d" "$i/scripts/init-premount" "$i/scripts/init-bottom" "$T/etc/iscsi"
    printf 'COMPRESS=zstd\nBUSYBOX=y\nMODULES=%s\nFSTYPE=ext4\nRESUME=none\n' \
        "$([ "$PROFILE" = minimal ] && echo most || echo list)" >"$i/conf.d/sanbootd"
    {   printf '%s\n' iscsi_ibft iscsi_tcp libiscsi scsi_transport_iscsi crc32c crc32c_generic sd_mod ext4
        if [ "$PROFILE" != minimal ]; then printf '%s\n' virtio_pci virtio_net e1000 e1000e crc32c_intel; fi
    } >"$i/modules"
    echo 'ISCSI_AUTO=true' >"$T/etc/iscsi/iscsi.initramfs"
    cat >"$i/scripts/init-premount/sanbootd" <<'X'
#!/bin/sh
# Only the NIC that the firmware booted from asks DHCP: a machine may have others, without a cable.
[ "$1" = prereqs ] && { echo udev; exit 0; }
modprobe -q iscsi_ibft
udevadm settle --timeout=10
for e in /sys/firmware/ibft/ethernet*; do
    [ -r "$e/mac" ] || continue
    read -r mac <"$e/mac"
    for n in /sys/class/net/*; do
        read -r have <"$n/address" && [ "$have" = "$mac" ] || continue
        mkdir -p /conf/conf.d
        echo "DEVICE=${n##*/}" >/conf/conf.d/zz-sanbootd
        exit 0
    done
done
exit 0
X
    write_identity "$i/scripts/init-bottom/sanbootd"
    chmod 755 "$i/scripts/init-premount/sanbootd"
}

# As README.md says it for other images, and a module of ours that does what scripts do for initramfs-tools.
configure_dracut() {
    local m=$T/usr/lib/dracut/modules.d/99sanbootd
    mkdir -p "$T/etc/dracut.conf.d" "$m"
    {   printf '%s\n' 'hostonly="no"' 'compress="zstd -3 -q -T0"' 'add_dracutmodules+=" iscsi network-legacy sanbootd "' \
            'install_items+=" /lib/open-iscsi/startup-checks.sh "' 'kernel_cmdline="rd.iscsi.firmware=1 rd.iscsi.ibft=1 ip=ibft"'
        if [ "$PROFILE" != minimal ]; then
            printf '%s\n' 'filesystems="ext4"' 'drivers="virtio_pci virtio_net e1000 e1000e sd_mod crc32c_intel crc32c_generic"'
        fi
    } >"$T/etc/dracut.conf.d/sanbootd.conf"
    cat >"$m/module-setup.sh" <<'X'
#!/bin/bash
check() { return 255; }
depends() { echo network-legacy; }
install() {
    inst_script "$moddir/identity" /sbin/sanbootd-identity
    inst_hook pre-pivot 90 "$moddir/pre-pivot.sh"
}
X
    printf '#!/bin/sh\n/sbin/sanbootd-identity\n' >"$m/pre-pivot.sh"
    write_identity "$m/identity"
    chmod 755 "$m/module-setup.sh" "$m/pre-pivot.sh"
}

# What an initramfs does last. The first loop is for initramfs-tools, the second for dracut.
write_identity() {
    cat >"$1" <<'X'
#!/bin/sh
# Tells the system, through the kernel and /run, what the network says about this machine.
[ "$1" = prereqs ] && exit 0
# Network managers, should someone install one, leave the NIC that carries the root alone.
leave_alone() {
    [ -r "/sys/class/net/$1/address" ] && read -r mac <"/sys/class/net/$1/address" || return
    mkdir -p /run/systemd/network /run/NetworkManager/conf.d
    printf '[Match]\nMACAddress=%s\n[Link]\nUnmanaged=yes\n' "$mac" >/run/systemd/network/00-sanbootd.network
    printf '[keyfile]\nunmanaged-devices=mac:%s\n' "$mac" >/run/NetworkManager/conf.d/00-sanbootd.conf
}
d=/run/sanbootd; mkdir -p $d
name=
for f in /sys/firmware/ibft/ethernet*/hostname; do
    [ -r "$f" ] && [ -z "$name" ] && read -r name <"$f"
done
: >$d/resolv.conf
for f in /run/net-*.conf; do
    [ -r "$f" ] || continue
    HOSTNAME= DNSDOMAIN= DOMAINSEARCH= IPV4DNS0= IPV4DNS1= DEVICE=
    . "$f"
    [ -n "$name" ] || name=$HOSTNAME
    s=${DOMAINSEARCH:-$DNSDOMAIN}; [ -n "$s" ] && echo "search $s" >>$d/resolv.conf
    for a in $IPV4DNS0 $IPV4DNS1; do [ "$a" = 0.0.0.0 ] || echo "nameserver $a" >>$d/resolv.conf; done
    leave_alone "$DEVICE"
done
for f in /tmp/net.*.did-setup; do
    n=${f#/tmp/net.}; n=${n%.did-setup}
    [ -e "/sys/class/net/$n" ] || continue
    new_host_name=
    [ -r "/tmp/dhclient.$n.dhcpopts" ] && . "/tmp/dhclient.$n.dhcpopts"
    [ -n "$name" ] || name=$new_host_name
    [ -r "/tmp/net.$n.resolv.conf" ] && cat "/tmp/net.$n.resolv.conf" >>$d/resolv.conf
    # dhclient ends with the initramfs. The kernel would take the address away when its lease is over, and the root with it.
    ip -4 -o addr show dev "$n" scope global | while read -r _ _ _ a _; do
        ip addr change "$a" dev "$n" valid_lft forever preferred_lft forever
    done
    leave_alone "$n"
done
case $name in ''|*[!A-Za-z0-9.-]*) ;; *) echo "$name" >/proc/sys/kernel/hostname; echo "$name" >$d/hostname ;; esac
exit 0
X
    chmod 755 "$1"
}

# What every boot of a clone does before iscsid takes the session over.
configure_clone() {
    mkdir -p "$T/usr/lib/sanbootd" "$T/etc/systemd/system/iscsid.service.d"
    cat >"$T/usr/lib/sanbootd/clone" <<'X'
#!/bin/sh
# The initiator name of this boot for iscsid, and patience: a root disk waits for its server instead of failing.
f=/etc/iscsi/initiatorname.iscsi
read -r name </sys/firmware/ibft/initiator/initiator-name
if [ -n "$name" ] && ! grep -qsx "InitiatorName=$name" $f; then
    (umask 077; printf '# Written at every boot from the iBFT.\nInitiatorName=%s\n' "$name" >$f.new) && mv $f.new $f
fi
for s in /sys/class/iscsi_session/session*/recovery_tmo; do [ -w "$s" ] && echo 86400 >"$s"; done
exit 0
X
    chmod 755 "$T/usr/lib/sanbootd/clone"
    cat >"$T/etc/systemd/system/sanbootd-clone.service" <<'X'
[Unit]
Description=Identity of this diskless machine
DefaultDependencies=no
After=systemd-remount-fs.service
Before=iscsid.service open-iscsi.service
ConditionPathExists=/sys/firmware/ibft/initiator/initiator-name
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/sanbootd/clone
[Install]
WantedBy=sysinit.target
X
    # A name is generated where there is no iBFT, and that needs a writable root. iscsid closes the root's session before it logs
    # in anew: if OpenSSL then read its configuration from the root, for CHAP, the machine would hang for ever.
    # Restart: dracut's systemd does not always stop its iscsid before it switches to the root, where the service then counts as
    # started, and is killed. Without iscsid nobody logs in again when the connection is lost.
    printf '[Unit]\nAfter=systemd-remount-fs.service sanbootd-clone.service\n[Service]\nEnvironment=OPENSSL_CONF=/dev/null\nRestart=always\n' \
        >"$T/etc/systemd/system/iscsid.service.d/sanbootd.conf"
    sed -i '/^ISCSI_ROOT_KEEP_ALL_SESSIONS_AT_SHUTDOWN=/d' "$T/etc/default/open-iscsi"
    echo 'ISCSI_ROOT_KEEP_ALL_SESSIONS_AT_SHUTDOWN=1' >>"$T/etc/default/open-iscsi"
    in_tree systemctl enable -q iscsid.service sanbootd-clone.service
}

# multipath-tools 0.9.4 by itself makes no map of two new paths (find_multipaths strict), and once the root is mounted from a path it
# is too late for one. So: a map of each of our disks from its first path on, made in the initramfs, and the root mounted from it.
configure_multipath() {
    local i=$T/etc/initramfs-tools
    cat >"$T/etc/multipath.conf" <<'X'
defaults {
    find_multipaths greedy
    # A map called by its WWID, the disk's SCSI name string, has commas in its name. libdevmapper writes them as \x2c, and multipathd takes
    # what udev then says for another map: at the first event it forgets the paths of ours, and no path comes back.
    user_friendly_names yes
    polling_interval 5
    max_polling_interval 5
    # Between the initramfs's multipathd and the system's, and when that is restarted, nobody would hold back what no path can take.
    queue_without_daemon yes
}
blacklist {
    device {
        vendor ".*"
    }
}
blacklist_exceptions {
    device {
        vendor "SANBOOT"
    }
    property ".*"
}
overrides {
    path_grouping_policy multibus
    path_checker tur
    # Without any path the disk waits for its server.
    no_path_retry queue
    # When a path is given up is iscsid's to say (its 5 s, see iscsid.conf). multipath's own 5 s would hold already while iscsid takes
    # over the sessions of the initramfs, all at once: the map would lose each path, and multipathd, whose start needs pages from that
    # map, could not give them back.
    fast_io_fail_tmo off
}
X
    printf '%s\n' dm_multipath dm_service_time >>"$i/modules"
    mkdir -p "$i/scripts/local-top" "$i/hooks"
    # The package's hook leaves out the rules by which links such as by-uuid lead to the map, and not to one of its paths.
    cat >"$i/hooks/sanbootd-multipath" <<'X'
#!/bin/sh
[ "$1" = prereqs ] && { echo multipath; exit 0; }
. /usr/share/initramfs-tools/hook-functions
for r in 55-dm.rules 56-dm-mpath.rules 56-dm-parts.rules 60-persistent-storage-dm.rules 68-del-part-nodes.rules; do
    [ -e "/lib/udev/rules.d/$r" ] && cp -p "/lib/udev/rules.d/$r" "$DESTDIR/lib/udev/rules.d/"
done
exit 0
X
    cat >"$i/scripts/local-top/sanbootd-multipath" <<'X'
#!/bin/sh
# The root is mounted from its map: the paths have the same UUID.
[ "$1" = prereqs ] && { echo "iscsi multipath"; exit 0; }
case $ROOT in UUID=*) ;; *) exit 0 ;; esac
udevadm settle                  # multipath's own script waits 10 s only
# multipath takes queue_if_no_path from its maps while there is no multipathd, which comes later and needs the root.
dmsetup ls --target multipath | sed -n 's/.*(\([0-9]*\)[:, ]*\([0-9]*\)).*/\1 \2/p' |
    while read -r major minor; do dmsetup message -j "$major" -m "$minor" 0 queue_if_no_path; done
for d in /dev/mapper/*; do
    [ -b "$d" ] && [ "$(blkid -o value -s UUID "$d")" = "${ROOT#UUID=}" ] || continue
    echo "ROOT=$d" >>/conf/param.conf
    exit 0
done
echo "sanbootd: no multipath map has the root; it is mounted from one path"
exit 0
X
    chmod 755 "$i/hooks/sanbootd-multipath" "$i/scripts/local-top/sanbootd-multipath"
    # Patience is the map's. A path that is gone has to be given up.
    sed -i '/recovery_tmo/d' "$T/usr/lib/sanbootd/clone"
    sed -i '/^node.session.timeo.replacement_timeout/s/=.*/= 5/' "$T/etc/iscsi/iscsid.conf"
    # iscsid logs in anew: for that time the map has no path, and somebody has to be there who takes the paths back into it.
    printf '[Unit]\nAfter=multipathd.service\n' >"$T/etc/systemd/system/iscsid.service.d/multipath.conf"
    in_tree systemctl enable -q multipathd.service
}

# It looks at the who-am-i volume alone, does without one, and leaves the network as the initramfs made it.
configure_cloud_init() {
    mkdir -p "$T/etc/cloud/cloud.cfg.d"
    printf 'datasource_list: [NoCloud, None]\nnetwork: {config: disabled}\n' >"$T/etc/cloud/cloud.cfg.d/90_sanbootd.cfg"
}

configure_minimal() {
    mkdir -p "$T/etc/systemd/system/ssh.service.d"
    printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
        >"$T/etc/systemd/system/ssh.service.d/hostkeys.conf"
    if [ -z "$PASSWORD" ]; then
        PASSWORD=$(head -c 256 /dev/urandom | base32 -w0 | tr -dc 'A-Z2-7' | tr 'A-Z' 'a-z' | cut -c1-16)
        NOTE="root's password on every machine of this image is $PASSWORD : change it there, or build with --root-password"
    fi
}

# demo and test run under emulation: everything that is slow and not looked at is switched off.
configure_fast() {
    local u
    for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
             fstrim.timer systemd-timesyncd.service systemd-resolved.service systemd-udev-settle.service \
             systemd-pstore.service systemd-random-seed.service systemd-update-utmp.service \
             systemd-update-utmp-runlevel.service systemd-journal-flush.service systemd-hwdb-update.service \
             systemd-logind.service systemd-user-sessions.service getty@tty1.service serial-getty@ttyS0.service \
             systemd-machine-id-commit.service systemd-firstboot.service kmod-static-nodes.service \
             systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
             sys-kernel-tracing.mount modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
             modprobe@configfs.service modprobe@dm_mod.service modprobe@loop.service systemd-modules-load.service \
             systemd-udev-trigger.service systemd-sysctl.service systemd-sysusers.service grub-common.service \
             systemd-ask-password-wall.path systemd-ask-password-console.path systemd-tmpfiles-clean.timer \
             ldconfig.service open-iscsi.service procps.service proc-sys-fs-binfmt_misc.automount \
             systemd-initctl.socket getty.target logrotate.timer; do
        ln -sf /dev/null "$T/etc/systemd/system/$u"
    done
    if [ "$CLOUD_INIT" = 1 ]; then in_tree systemctl disable -q ssh.service; fi        # action "lived-in" has it
    mkdir -p "$T/etc/systemd/journald.conf.d" "$T/usr/local/sbin" "$T/var/lib/e2e"
    printf '[Journal]\nStorage=volatile\n' >"$T/etc/systemd/journald.conf.d/fast.conf"
    cat >"$T/usr/local/sbin/e2e-marker" <<'X'
#!/bin/sh
# Prints the proof that this machine runs from its network disk, then obeys the SMBIOS chassis asset tag:
# e2e:ACTION[,ACTION...] with write=MB (once), reboot=N (reboots until the Nth boot), poweroff, reboot, halt, crash, tick,
# lived-in (leaves behind what a machine gets in time that nobody prepared), who (prints what must differ between machines, once it is there),
# paths (of multipath: once all, then each change), load (writes and reads back without end), obey (one line: poweroff or reboot).
d=/var/lib/e2e; c=$d/boot-count
n=$(cat $c 2>/dev/null || echo 0); n=$((n + 1))
echo $n >$c.new && sync $c.new && mv $c.new $c && sync -f $c
dev=$(awk '$2=="/"{print $1}' /proc/mounts | tail -1)
address=$(ip -4 -o addr show scope global | head -1)
nic=$(echo "$address" | awk '{print $2}'); ip=$(echo "$address" | awk '{print $4}')
lease=$(echo "$address" | sed -n 's/.* valid_lft \([^ ]*\).*/\1/p')
s=/sys/class/iscsi_session
target=$(cat $s/*/targetname 2>/dev/null | head -1)
initiator=$(cat $s/*/initiatorname 2>/dev/null | head -1)
user=$(cat $s/*/username 2>/dev/null | head -1); [ "$user" = "(null)" ] && user=
fw=bios; [ -d /sys/firmware/efi ] && fw=uefi
act=; a=$(cat /sys/class/dmi/id/chassis_asset_tag 2>/dev/null); case $a in e2e:*) act=${a#e2e:} ;; esac
for w in $(echo "$act" | tr , ' '); do case $w in
    write=*) [ -e $d/blob ] || dd if=/dev/urandom of=$d/blob bs=1M count=${w#write=} conv=fsync 2>/dev/null ;;
esac; done
sum=none; [ -e $d/blob ] && sum=$(sha256sum $d/blob | cut -c1-16)
echo "DISKLESS-BOOT-OK hostname=$(hostname) root=$dev nic=$nic ip=$ip lease=$lease count=$n fw=$fw target=$target initiator=$initiator chap=${user:-none} uptime=$(cut -d' ' -f1 /proc/uptime) kernel=$(uname -r) blob=$sum action=${act:-none}" >/dev/console
# A machine that is switched off while cloud-init makes it would keep halves of it.
if [ -e /run/cloud-init/enabled ]; then until [ -e /run/cloud-init/result.json ]; do sleep 1; done; fi
for w in $(echo "$act" | tr , ' '); do case $w in
    reboot=*) [ $n -lt ${w#reboot=} ] && { echo "E2E-REBOOT" >/dev/console; systemctl --no-block reboot; exit 0; } ;;
    lived-in) systemd-machine-id-setup --commit; ssh-keygen -q -A; systemctl enable -q ssh
              echo "E2E-LIVED-IN machine-id=$(cat /etc/machine-id)" >/dev/console ;;
    who)      until systemctl is-active -q ssh; do sleep 1; done
              echo "E2E-WHO hostname=$(hostname) machine-id=$(cat /etc/machine-id) key=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub) \
initiator=$(sed -n s/^InitiatorName=//p /etc/iscsi/initiatorname.iscsi) nic=$(cat /sys/class/net/$nic/operstate) \
ip=$(ip -4 -o addr show dev $nic scope global | sed -n 's/.* inet \([^ ]*\) .* valid_lft \([^ ]*\).*/\1,\2/p') lost=$(dmesg | grep -c 'ping timeout')" >/dev/console ;;
    poweroff) systemctl --no-block poweroff ;;
    reboot)   systemctl --no-block reboot ;;
    halt)     sync; echo o >/proc/sysrq-trigger; sleep 60 ;;
    crash)    echo b >/proc/sysrq-trigger ;;
    paths)    { echo "E2E-ROOT $(cat /sys/dev/block/$(mountpoint -d /)/dm/name)"; multipath -ll; echo E2E-MULTIPATH-END; } >/dev/console
              last=; while :; do p=$(multipathd show paths raw format "%t" | sort | tr '\n' ' ')
              [ "$p" = "$last" ] || { echo "E2E-PATHS $p" >/dev/console; last=$p; }; sleep 2; done & ;;
    load)     i=0; while :; do i=$((i + 1)); dd if=/dev/urandom of=/run/load bs=1M count=1 2>/dev/null
              dd if=/run/load of=$d/load bs=64k conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches
              if cmp -s /run/load $d/load; then r=OK; else r=ERROR; fi; echo "E2E-LOAD $i $r end=$(cut -d' ' -f1 /proc/uptime)" >/dev/console; sleep 0.3; done & ;;
    obey)     read -r w </dev/console; case $w in poweroff|reboot) systemctl --no-block "$w" ;; esac ;;
    tick)     i=0; while :; do i=$((i + 1)); t0=$(cut -d' ' -f1 /proc/uptime)
              if echo $i >>$d/ticks && sync $d/ticks; then r=OK; else r=ERROR; fi
              echo "E2E-TICK $i $r start=$t0 end=$(cut -d' ' -f1 /proc/uptime)" >/dev/console
              sleep 1; done ;;
esac; done
exit 0
X
    chmod 755 "$T/usr/local/sbin/e2e-marker"
    cat >"$T/etc/systemd/system/e2e-marker.service" <<'X'
[Unit]
Description=Proof of a diskless boot
After=sysinit.target local-fs.target iscsid.service
[Service]
Type=simple
ExecStart=/usr/local/sbin/e2e-marker
[Install]
WantedBy=multi-user.target
X
    in_tree systemctl enable -q e2e-marker.service
    rm -rf "$T"/usr/share/doc/* "$T"/usr/share/man/* "$T"/usr/share/locale/*
}

configure_tree() {
    progress 76 "configuring the system"
    ROOT_UUID=$(cat /proc/sys/kernel/random/uuid)
    ESP_ID=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ' | tr a-f A-F)
    configure_initramfs
    configure_clone
    if [ "$CLOUD_INIT" = 1 ]; then configure_cloud_init; fi
    if [ "$PROFILE" = minimal ]; then configure_minimal; else configure_fast; fi
    if [ "$MULTIPATH" = 1 ]; then configure_multipath; fi
    if [ -n "$PASSWORD" ]; then echo "root:$PASSWORD" | in_tree chpasswd; else in_tree passwd -q -l root; fi
    printf '# The NIC that carries the root is never configured again, so nothing else stands here.\nUUID=%s / ext4 defaults,noatime,errors=remount-ro 0 %s\nUUID=%s /boot/efi vfat umask=0077,noauto,nofail 0 0\n' \
        "$ROOT_UUID" "$([ "$PROFILE" = minimal ] && echo 1 || echo 0)" "${ESP_ID:0:4}-${ESP_ID:4}" >"$T/etc/fstab"
    mkdir -p "$T/boot/efi" "$T/boot/grub"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$T/etc/hosts"
    in_tree systemctl set-default -q multi-user.target
    progress 80 "making the initramfs"
    make_initramfs >>"$WORK/build.log" 2>&1 </dev/null || die "$INITRAMFS failed, see $WORK/build.log"
}

make_initramfs() {
    local initrd
    if [ "$INITRAMFS" != dracut ]; then
        in_tree update-initramfs -u
        return
    fi
    # /initrd.img is the kernel package's link to boot/initrd.img-VERSION
    initrd=$(readlink "$T/initrd.img") && in_tree dracut --force "/$initrd" "${initrd#boot/initrd.img-}"
}

# Removes what must not be the same on two machines.
seal_tree() {
    : >"$T/etc/machine-id"
    rm -f "$T"/etc/ssh/ssh_host_* "$T/etc/hostname" "$T/usr/sbin/policy-rc.d" "$T/var/lib/systemd/random-seed" \
          "$T/var/lib/dbus/machine-id" "$T"/var/lib/dhcp/* "$T/etc/resolv.conf"
    echo GenerateName=yes >"$T/etc/iscsi/initiatorname.iscsi"; chmod 600 "$T/etc/iscsi/initiatorname.iscsi"
    ln -s ../run/sanbootd/resolv.conf "$T/etc/resolv.conf"
    find "$T/var/log" -type f -delete
    rm -rf "$T"/tmp/* "$T"/var/tmp/* "$T"/var/cache/apt/*.bin
    [ -L "$T/vmlinuz" ] && [ -L "$T/initrd.img" ] || die "the kernel package left no /vmlinuz and /initrd.img, see $WORK/build.log"
}

make_loaders() {
    local cmdline="root=UUID=$ROOT_UUID ro" timeout=2
    if [ "$PROFILE" = minimal ]; then
        cmdline="$cmdline console=ttyS0,115200 console=tty0"
    else
        timeout=0
        # panic=-1: a failed boot ends at once instead of at a test's time limit
        cmdline="$cmdline console=tty0 console=ttyS0,115200 net.ifnames=0 mitigations=off no_timer_check tsc=reliable \
random.trust_cpu=on panic=-1 audit=0 apparmor=0 selinux=0 cryptomgr.notests rcupdate.rcu_expedited=1 fsck.mode=skip \
systemd.show_status=0 loglevel=5"
    fi
    # /vmlinuz and /initrd.img are the links that Debian's kernel packages keep: an upgrade boots without an update-grub
    cat >"$T/boot/grub/grub.cfg" <<X
set timeout=$timeout
menuentry "Debian" {
    linux /vmlinuz $cmdline
    initrd /initrd.img
}
menuentry "Debian, rescue" {
    linux /vmlinuz $cmdline systemd.unit=rescue.target
    initrd /initrd.img
}
X
    printf 'search --no-floppy --fs-uuid --set=root %s\nset prefix=($root)/boot/grub\nconfigfile /boot/grub/grub.cfg\n' \
        "$ROOT_UUID" >"$T/boot/grub/early.cfg"
    local modules="part_msdos part_gpt fat ext2 normal configfile linux search search_fs_uuid test echo sleep reboot boot"
    # shellcheck disable=SC2086
    { in_tree grub-mkimage -O x86_64-efi -o /boot/grub/BOOTX64.EFI -c /boot/grub/early.cfg -p /boot/grub $modules &&
      in_tree grub-mkimage -O i386-pc -o /boot/grub/core.img -c /boot/grub/early.cfg -p /boot/grub biosdisk $modules
    } >>"$WORK/build.log" 2>&1 </dev/null || die "grub-mkimage failed, see $WORK/build.log"
}

# Sector 0: GRUB's boot code and the partition table; sector 1 on: core.img; p1: FAT with the UEFI loader; p2: ext4.
make_disk() {
    local part=$OUT.partial esp=$WORK/esp.img root=$WORK/root.img esp_mib=32 total=$((SIZE * 2048)) p2
    p2=$((2048 + esp_mib * 2048))
    progress 88 "writing the disk"
    rm -f "$esp" "$root" "$part"
    truncate -s "${SIZE}M" "$part" || die "cannot write $part: give another --out"
    PARTIAL=$part
    printf 'label: dos\n2048,%s,ef\n%s,%s,83,*\n' $((esp_mib * 2048)) "$p2" $((total - p2)) | sfdisk -q "$part"
    dd if="$T/usr/lib/grub/i386-pc/boot.img" of="$part" bs=440 count=1 conv=notrunc status=none
    [ "$(stat -c %s "$T/boot/grub/core.img")" -le $((2047 * 512)) ] || die "GRUB's core does not fit before the first partition"
    dd if="$T/boot/grub/core.img" of="$part" bs=512 seek=1 conv=notrunc status=none
    truncate -s "${esp_mib}M" "$esp"
    mkfs.vfat -F 16 -n EFI -i "$ESP_ID" -h 2048 "$esp" >/dev/null
    mmd -i "$esp" ::/EFI ::/EFI/BOOT
    mcopy -i "$esp" "$T/boot/grub/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
    dd if="$esp" of="$part" bs=1M seek=1 conv=notrunc,sparse status=none
    rm -f "$esp" "$T/boot/grub/BOOTX64.EFI" "$T/boot/grub/core.img" "$T/boot/grub/early.cfg"
    truncate -s $(((total - p2) * 512)) "$root"
    mke2fs -q -t ext4 -L root -U "$ROOT_UUID" -m 1 -O ^metadata_csum_seed -E lazy_itable_init=0,lazy_journal_init=0 \
        -d "$T" "$root" >>"$WORK/build.log" 2>&1 || die "mke2fs failed, is --size $SIZE too small? see $WORK/build.log"
    progress 94 "writing the disk"
    dd if="$root" of="$part" bs=1M seek=$((1 + esp_mib)) conv=notrunc,sparse status=none ||
        die "no room for $part: make room or give another --out"
    rm -f "$root"
    sync "$part"
    mv -f "$part" "$OUT"
}

clean_up() {
    if [ -n "${PARTIAL:-}" ]; then rm -f "$PARTIAL"; fi
    rm -f "$WORK/esp.img" "$WORK/root.img"
    if [ "$KEEP" = 0 ] && [ -n "${T:-}" ]; then rm -rf --one-file-system "$T" "$T.installed"; fi
}

main() {
    parse_arguments "$@"
    check_host
    trap clean_up EXIT
    trap 'exit 1' INT TERM HUP
    set -E
    trap 'die "line $LINENO failed, see above or in $WORK/build.log"' ERR
    find_mirror
    package_lists
    install_tree
    configure_tree
    make_loaders
    seal_tree
    make_disk
    if [ -n "${NOTE:-}" ]; then echo "note $NOTE"; fi
    progress 100 "$OUT: $SIZE MiB, $(du -m "$OUT" | cut -f1) used"
}
main "$@" </dev/null
