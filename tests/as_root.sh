# SPDX-License-Identifier: GPL-2.0-or-later
# For tests/run: who runs what, and one run at a time in a clone.
#
#   begin_run ARGUMENT...   goes on as root, by sudo where a user started us, who is asked for his password once; waits for the end of a
#                           run that was killed just now, and ends what it left running
#   as_user COMMAND...      as the user who started us, if the clone is his; otherwise as we are
#   give_back               gives what root made in build/ to that user

# sudo hands nothing on by itself.
passed_on="MODE CC JOBS CFLAGS LDFLAGS HISTORIES SEED SECONDS_EACH E2E_BUILD E2E_CACHE E2E_SLOW E2E_KEEP QEMU OVMF
	http_proxy https_proxy no_proxy"
owner= group=

become_root() {
	local name settings=("RUN_PARENT=$PPID")
	[ "$(id -u)" != 0 ] || return 0
	command -v sudo >/dev/null || {
		echo "the tests need root (namespaces, network bridges, virtual machines): run them as root, or install sudo" >&2
		exit 1
	}
	for name in $passed_on; do
		[ -z "${!name+x}" ] || settings+=("$name=${!name}")
	done
	exec sudo env "${settings[@]}" tests/run "$@"
}

as_user() {
	if [ -z "$owner" ]; then
		"$@"
	else
		setpriv --reuid "$owner" --regid "$group" --init-groups env HOME="$(getent passwd "$owner" | cut -d: -f6)" "$@"
	fi
}

# Not trees that debootstrap made, whose owners matter, nor the demo's state, which may be in use.
give_back() {
	[ -n "$owner" ] || return 0
	find build -xdev \( -name 'rootfs.*' -o -path build/demo \) -prune -o -user root -exec chown -h "$owner:$group" {} +
}

# When make is killed this ends, too, and the next run ends what it had started.
begin_run() {
	local parent=${RUN_PARENT:-$PPID}
	become_root "$@"
	if [ "${SUDO_UID:-0}" != 0 ] && [ "$(stat -c %u .)" = "$SUDO_UID" ]; then
		owner=$SUDO_UID group=$SUDO_GID
	fi
	exec 8>build/test-lock
	flock --wait 10 8 || {
		echo "another tests/run goes on in this clone: wait for it, or end it" >&2
		exit 1
	}
	if command -v python3 >/dev/null; then
		tests/leftovers.py "tests $PWD" 8>&- || exit 1
	fi
	rm -rf build/check-bench-* build/*/sanbootd-conformance-*
	give_back
	setpriv --pdeathsig KILL bash -c 'setpriv --pdeathsig KILL tail --pid="$0" -f /dev/null; kill -KILL $PPID' "$parent" 8>&- &
	export SANBOOTD_RUN="tests $PWD"
}
