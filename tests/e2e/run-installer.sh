#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-installer.sh INSTALLER URL OUT: what Debian's installer does with the answers at URL until it has its disk-driver udebs, without a machine.
#
# The programs are those of its initrd (INSTALLER is what make-installer.sh makes), in a root directory, process and mount namespace of their
# own and with no right to load modules: the answers are fetched, their preseed/run with them, a mirror is chosen, and its udebs are fetched and
# set up. Of netcfg and the rest of the menu nothing is run. OUT gets
#   syslog       what it said
#   initrd.gz    the programs and the modules that a virtual machine needs, as they are after that; its init does what is next in the installer:
#                the last line that iscsi-disk added to the item that fetches udebs, and installer-partitioner
set -euo pipefail
[ -n "${RUN_INSTALLER:-}" ] || RUN_INSTALLER=1 exec unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
umask 022
IN=$1 URL=$2 OUT=$3 ROOT=$3/root
[ -f "$IN/initrd.gz" ] && [ -d "$OUT" ]
mkdir "$ROOT"
zcat "$IN/initrd.gz" | (cd "$ROOT" && cpio -idm --quiet)
mount -t proc proc "$ROOT/proc"
mount -t tmpfs dev "$ROOT/dev"
mknod -m 666 "$ROOT/dev/null" c 1 3
mknod -m 666 "$ROOT/dev/urandom" c 1 9
: >"$ROOT/dev/console"

cat >"$ROOT/e2e-preseed" <<'X'
. /usr/share/debconf/confmodule
. /lib/preseed/preseed.sh
preseed_location "$E2E_URL"
X
cat >"$ROOT/e2e" <<'X'
mkdir -p /var/log /run
syslogd -m 0 -O /var/log/syslog -S
for t in /var/lib/dpkg/info/*.templates; do debconf-loadtemplate debian-installer "$t"; done
debconf -o d-i /bin/sh /e2e-preseed && udpkg --configure --force-configure choose-mirror && udpkg --configure --force-configure download-installer
X
code=0
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive DEBCONF_USE_CDEBCONF=1 E2E_URL="$URL" \
    setpriv --bounding-set -sys_module,-sys_admin,-sys_boot,-sys_rawio,-sys_time,-net_admin chroot "$ROOT" /bin/sh /e2e || code=$?
sleep 0.3               # syslogd has the last lines
cp "$ROOT/var/log/syslog" "$OUT/syslog"
[ "$code" = 0 ]

cat >"$ROOT/init" <<'X'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
/lib/debian-installer/start-udev
exec >/dev/console 2>&1
syslogd -m 0 -O /var/log/syslog -S
modprobe virtio_net; udevadm settle
card=$(ls /sys/class/net | grep -v lo)
printf '#!/bin/sh\n[ "$1" != bound ] || ip addr add $ip/24 dev $interface\n' >/run/bound; chmod 755 /run/bound
ip link set lo up; ip link set "$card" up
udhcpc -n -q -i "$card" -s /run/bound
/bin/iscsi-disk
grep iscsi-disk: /var/log/syslog
/var/lib/dpkg/info/installer-partitioner.postinst
X
rm "$ROOT/e2e" "$ROOT/e2e-preseed" "$ROOT/run/iscsi-disk" "$ROOT/var/log/syslog"
cd "$ROOT"
depmod -b . "$(ls lib/modules)"
{ find . -mindepth 1 \( -path './proc/*' -o -path './dev/*' -o -path './sys/*' -o -path ./lib/firmware -o -path ./var/cache -o -path '*/kernel/*' \) -prune \
      -o -print | grep -vE 'brltty|espeak|/locale/|fonts|\.templates$'
  find ./lib/modules -path '*/kernel/*' -type d                    # the kernel makes none by itself
  find ./lib/modules -path '*/kernel/*' -type f | grep -E '/(virtio|block|lib|ext4|jbd2)/[^/]*$|failover|virtio|mbcache|crc|ibft|iscsi|/scsi/(scsi|sd)_'; } |
    cpio -oH newc --quiet | gzip -3 >"$OUT/initrd.gz"
