#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dnsmasq: where dhcp-boot= arrives.
#
# One would guess: the boot file's name is in the BOOTP header's file field, and in option 67, too, where the client asks for it: so whoever looks at one of them finds it.
# What happens: it is in exactly one of them. A client whose parameter request list (option 55) has 67 gets option 67 and an empty file field; others get the field
# alone. The option's length counts a NUL byte at the end (RFC 2132 section 2 says that there should be none), and so it is with 66 and the server's name.
# dnsmasq 2.90 (Debian 12); man dnsmasq, "dhcp-boot", "dhcp-no-override". As root (network namespaces).
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages dnsmasq-base=2.90-4~deb12u2
two_hosts
printf '%s\n' port=0 dhcp-range=10.9.0.50,10.9.0.90,1h dhcp-boot=boot.efi,srv,10.9.0.1 no-ping leasefile-ro >conf
run_behind nsenter -n -t "$server_pid" dnsmasq -k -C conf --pid-file= --user=root

saw "version" "Dnsmasq version 2.90" "$(dnsmasq --version | grep -o '^Dnsmasq version [0-9.]*')"
saw "no list of wanted options" "file=boot.efi" "$(dhcp_ask 52:54:00:00:00:01)"
saw "list without 66 and 67" "file=boot.efi" "$(dhcp_ask 52:54:00:00:00:01 55=0103)"
saw "list with 67" "file= 67=boot.efi<NUL>" "$(dhcp_ask 52:54:00:00:00:01 55=010343)"
saw "list with 66 and 67" "file= 66=srv<NUL> 67=boot.efi<NUL>" "$(dhcp_ask 52:54:00:00:00:01 55=01034243)"
finish
