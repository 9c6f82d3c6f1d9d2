#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut's network-legacy: how long the address of a network root stays.
#
# One would guess: as long as the machine runs, as with initramfs-tools, whose ipconfig sets it without a lifetime.
# What happens: dhclient-script gives it the lease's lifetime, kill-dhclient stops the one who would renew it before the root is entered, and when the
# lease is over the kernel removes the address: a machine whose root is over iSCSI or NFS stops hours after a boot without a fault. It goes on where
# the system's own manager takes the card over, or with `ip address change ADDRESS dev NIC valid_lft forever preferred_lft forever`.
# dracut 059 (Debian 12): modules.d/35network-legacy; its scripts as they are, but for paths below / which are below a temporary folder here. As root.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages dracut-core=059-4 dracut-network=059-4 iputils-arping=3:20221126-1+deb12u1
two_hosts
modules=$W/root/usr/lib/dracut/modules.d
mkdir -p tmp hooks/initqueue/finished
cp "$modules/99base/dracut-lib.sh" "$modules/99base/dracut-dev-lib.sh" "$modules/40network/net-lib.sh" "$modules"/35network-legacy/{dhclient-script,kill-dhclient}.sh .
mkdir bin
ln -s "$W/root/usr/lib/dracut/dracut-util" bin/dracut-getarg; ln -s "$W/root/usr/lib/dracut/dracut-util" bin/dracut-getargs
PATH=$W/bin:$PATH
sed -i "s#/tmp/#$W/tmp/#g; s#^PATH=.*#PATH=$PATH#; s#\([ >\"]\)/lib/\(dracut-lib\|dracut-dev-lib\|net-lib\)#\1$W/\2#g; s#^hookdir=.*#hookdir=$W/hooks#" ./*.sh
lifetime() { # of the client's address: seconds, forever or gone
	local seen
	seen=$(on_client ip -4 -o address show dev v1 | sed -n "s# *[0-9]*: v1 *inet $1 .* valid_lft \([0-9a-z]*\).*#\1#p")
	echo "${seen:-gone}"
}
bound() { # as dhclient tells that it has an address, for a lease of that many seconds
	on_client env reason=BOUND interface=v1 new_ip_address=10.9.0.77 new_subnet_mask=255.255.255.0 new_broadcast_address=10.9.0.255 \
		new_dhcp_lease_time="$1" hookdir="$W/hooks" sh ./dhclient-script.sh >>script.log 2>&1
}

saw "set by hand" "forever" "$(lifetime 10.9.0.2/24)"
bound 43200
seconds=$(lifetime 10.9.0.77/24)
saw "of a lease of 12 hours" "about 43200 s" "$([ "${seconds%sec}" -gt 43000 ] 2>/dev/null && [ "${seconds%sec}" -le 43200 ] && echo "about 43200 s" || echo "$seconds")"
on_client ip address delete 10.9.0.77/24 dev v1
run_behind sleep 60
echo "${started[-1]}" >tmp/dhclient.v1.pid
bound 3
sh ./kill-dhclient.sh
saw "the client, when the root is entered" "ended" "$(kill -0 "${started[-1]}" 2>/dev/null && echo runs || echo ended)"
sleep 6
saw "its address when a lease of 3 s is over" "gone" "$(lifetime 10.9.0.77/24)"
bound 3
on_client ip address change 10.9.0.77/24 dev v1 valid_lft forever preferred_lft forever
sleep 6
saw "the same, changed to forever" "forever" "$(lifetime 10.9.0.77/24)"
finish
