#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Kea: a client class and a subnet that both name a boot file.
#
# One would guess: a class is the more special of the two, as in ISC dhcpd, and wins; or the subnet wins; in any case in the same way for the boot-file-name
# parameter (the header's file field) and for the option boot-file-name (67).
# What happens: for the parameter the class beats the subnet; for options the subnet beats the class (pools, subnets, shared networks, then classes, then global).
# A host's parameter does not displace a class's option: such a client gets two different names in one answer, and most go by the option.
# Kea 2.2.0 (Debian 12); its administrator's manual, sections on client classification and on the precedence of options. As root (network namespaces).
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages kea-dhcp4-server=2.2.0-6 kea-common=2.2.0-6
two_hosts

serve() { # serve OPTIONS-OF-THE-SUBNET
	cat >conf <<C
{ "Dhcp4": {
  "interfaces-config": { "interfaces": ["v0"], "dhcp-socket-type": "udp" },
  "lease-database": { "type": "memfile", "persist": false },
  "client-classes": [ { "name": "uefi", "test": "option[93].hex == 0x0007", "boot-file-name": "class",
    "option-data": [ { "name": "boot-file-name", "data": "class" }, { "name": "root-path", "data": "class" } ] } ],
  "subnet4": [ { "id": 1, "subnet": "10.9.0.0/24", "pools": [ { "pool": "10.9.0.50-10.9.0.90" } ], "boot-file-name": "subnet", "option-data": [ $1 ],
    "reservations": [ { "hw-address": "52:54:00:00:00:02", "boot-file-name": "host" } ] } ],
  "loggers": [ { "name": "kea-dhcp4", "severity": "INFO", "output_options": [ { "output": "stdout" } ] } ] } }
C
	[ -z "${server-}" ] || { kill "$server"; wait "$server" 2>/dev/null; }
	run_behind nsenter -n -t "$server_pid" env KEA_LOCKFILE_DIR=none KEA_PIDFILE_DIR="$W" kea-dhcp4 -c conf
	server=${started[-1]}
}

saw "version" "2.2.0" "$(kea-dhcp4 -v)"
serve '{ "name": "boot-file-name", "data": "subnet" }, { "name": "root-path", "data": "subnet" }'
saw "both name both" "file=class 17=subnet 67=subnet" "$(dhcp_ask 52:54:00:00:00:01 55=011143 93=0007)"
saw "no class" "file=subnet 17=subnet 67=subnet" "$(dhcp_ask 52:54:00:00:00:01 55=011143 93=0000)"
serve ''
saw "the subnet names the parameter only" "file=class 17=class 67=class" "$(dhcp_ask 52:54:00:00:00:01 55=011143 93=0007)"
saw "and a host too" "file=host 17=class 67=class" "$(dhcp_ask 52:54:00:00:00:02 55=011143 93=0007)"
finish
