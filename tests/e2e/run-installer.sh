#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-installer.sh INSTALLER URL OUT: what Debian's installer does with the answers at URL until it has its disk-driver udebs, without a machine.
#
# The programs are those of its initrd (INSTALLER is what make-installer.sh makes), in a root directory, process and mount namespace of their
# own and with no right to load modules: the answers are fetched, their preseed/run with them, a mirror is chosen, and its udebs are fetched and
# set up. Of netcfg and the rest of the menu nothing is run. OUT gets root/, and syslog: what it said.
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
