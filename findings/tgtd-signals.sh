#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tgtd: how it is ended.
#
# One would guess: SIGTERM and SIGINT end it, like any daemon.
# What happens: both are caught and ignored, with and without targets; a script's `kill` leaves it running, with its port and its control socket, and the
# next run's tgtadm talks to the old one ("this target already exists"). It ends by `tgtadm --op delete --mode system`, which is refused ("invalid
# request") while there is a target; or by SIGKILL.
# tgt 1.0.85 (Debian 12); man tgtadm, "--mode system". As root (network namespaces).
# shellcheck disable=SC1091,SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"
packages tgt=1:1.0.85-1+deb12u1
two_hosts
export TGT_IPC_SOCKET=$W/tgtd
truncate -s 8M disk
admin() { tgtadm -C 7 --lld iscsi "$@" 2>&1; }
start() {
	run_behind nsenter -n -t "$server_pid" tgtd -f -C 7 --iscsi portal=10.9.0.1:3260
	tgtd=${started[-1]}
	for _ in $(seq 50); do admin --op show --mode target >log && return || sleep 0.1; done
	cannot "tgtd does not start: $(tail -n 1 behind.log)"
}
after() { # what became of it
	for _ in $(seq 15); do kill -0 "$tgtd" 2>/dev/null || { echo ended; return; }; sleep 0.1; done
	echo runs
}

saw "version" "1.0.85" "$(tgtd --version)"
start
for signal in TERM INT; do kill -$signal "$tgtd"; saw "after SIG$signal, no targets" "runs" "$(after)"; done
admin --op new --mode target --tid 1 -T iqn.2026-01.test:one && admin --op new --mode logicalunit --tid 1 --lun 1 -b "$W/disk" || cannot "no target"
kill -TERM "$tgtd"
saw "after SIGTERM, a target" "runs" "$(after)"
saw "a second of that number" "tgtadm: this target already exists" "$(admin --op new --mode target --tid 1 -T iqn.2026-01.test:two)"
saw "delete system, a target" "tgtadm: invalid request runs" "$(admin --op delete --mode system) $(after)"
admin --op delete --mode target --tid 1 --force && admin --op delete --mode system
saw "delete system, no target" "ended" "$(after)"
finish
