# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts of this folder share: packages at a stated version in a temporary folder, what is recorded beside what is seen, an end that clears up.
# Sourced first; then: packages, saw, finish.
# shellcheck shell=bash
set -u
export LC_ALL=C.UTF-8
W=$(mktemp -d) || exit 2
started=() differs=0

cannot() { # cannot REASON: this machine cannot try it
	echo "cannot be tried: $*"
	exit 2
}

clear_up() {
	exec 2>/dev/null
	local pid
	for pid in ${started[@]+"${started[@]}"}; do kill "$pid" 2>/dev/null; done
	for pid in ${started[@]+"${started[@]}"}; do
		for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null && sleep 0.1 || break; done
		kill -9 "$pid" 2>/dev/null
	done
	wait
	cd / && rm -rf "$W"
}
trap clear_up EXIT
trap 'exit 2' INT TERM
chmod 755 "$W" && cd "$W" || exit 2

needs() { # needs COMMAND...: of the base system
	local command
	for command; do command -v "$command" >/dev/null || cannot "there is no $command"; done
}

packages() { # packages NAME=VERSION...: these, and what they depend on that is not installed, unpacked into $W/root; first in PATH
	local deb lib more
	[ "$(dpkg --print-architecture)" = amd64 ] || cannot "the packages are recorded for amd64"
	mkdir -p "$W/debs" "$W/root"
	more=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
	for deb; do more=$(grep -vxF "${deb%%=*}" <<<"$more"); done
	# shellcheck disable=SC2086
	(cd "$W/debs" && apt-get -qq -o APT::Sandbox::User=root download "$@" $more) >"$W/apt.log" 2>&1 ||
		cannot "not to be had (try apt-get update): $* $(tail -n 1 "$W/apt.log")"
	for deb in "$W"/debs/*.deb; do dpkg-deb -x "$deb" "$W/root" || cannot "$deb does not unpack"; done
	rm -rf "$W/debs"
	echo "packages: $*"
	lib=$W/root/usr/lib/x86_64-linux-gnu
	export PATH="$W/root/usr/sbin:$W/root/usr/bin:$W/root/sbin:$W/root/bin:$PATH"
	export LD_LIBRARY_PATH="$lib:$W/root/lib/x86_64-linux-gnu:$lib/systemd:$W/root/lib/systemd"
}

run_behind() { # run_behind COMMAND...: a program (no function) that goes on until the script ends; its output is in $W/behind.log
	"$@" >>"$W/behind.log" 2>&1 </dev/null &
	started+=($!)
}

saw() { # saw WHAT RECORDED SEEN
	if [ "$2" = "$3" ]; then
		printf '  %s: %s\n' "$1" "$3"
	else
		printf '  %s: %s\n    CHANGED, recorded was: %s\n' "$1" "$3" "$2"
		differs=1
	fi
}

finish() {
	[ "$differs" = 0 ] && echo "as recorded" || echo "CHANGED"
	exit "$differs"
}

new_namespace() { # its process's id is in the variable NAME
	local pid own
	own=$(readlink /proc/self/ns/net)
	run_behind unshare -n sleep 300
	pid=${started[-1]}
	for _ in $(seq 100); do
		[ "$(readlink "/proc/$pid/ns/net")" = "$own" ] || break
		sleep 0.05
	done
	printf -v "$1" %s "$pid"
}
two_hosts() { # two network namespaces: 10.9.0.1 on v0, where on_server runs, and 10.9.0.2 on v1, where on_client does; they go when the script ends
	[ "$(id -u)" = 0 ] || cannot "it makes network namespaces, which takes root"
	needs ip unshare nsenter python3
	new_namespace server_pid
	new_namespace client_pid
	# shellcheck disable=SC2154
	on_server ip link add v0 type veth peer name v1 netns "$client_pid" || cannot "no veth here"
	on_server sh -c 'ip link set lo up && ip link set v0 up && ip addr add 10.9.0.1/24 dev v0'
	on_client sh -c 'ip link set lo up && ip link set v1 up && ip addr add 10.9.0.2/24 dev v1'
}
# shellcheck disable=SC2154
on_server() { nsenter -n -t "$server_pid" "$@"; }
# shellcheck disable=SC2154
on_client() { nsenter -n -t "$client_pid" "$@"; }

dhcp_ask() { # dhcp_ask MAC CODE=HEX...: DISCOVER as a relay at 10.9.0.2 passes it on; prints the answer's boot fields and options 15 17 66 67
	on_client python3 - "$@" <<'P'
import socket, struct, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
opts = b"\x35\x01\x01"
for word in sys.argv[2:]:
    code, value = word.split("=")
    opts += bytes([int(code), len(value) // 2]) + bytes.fromhex(value)
own = socket.inet_aton("10.9.0.2")
asked = struct.pack("!BBBBIHH12s4s16s192s", 1, 1, 6, 1, 7, 0, 0, b"", own, mac, b"") + b"\x63\x82\x53\x63" + opts + b"\xff"
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("10.9.0.2", 67))
sock.settimeout(1)
for _ in range(10):
    sock.sendto(asked.ljust(300, b"\0"), ("10.9.0.1", 67))
    try:
        got = sock.recv(4096)
        break
    except OSError:
        pass
else:
    sys.exit("no answer")
found, at = {}, 240
while got[at] != 255:
    if got[at]:
        found[got[at]] = got[at + 2:at + 2 + got[at + 1]]
        at += 1 + got[at + 1]
    at += 1
text = lambda raw: raw.decode("ascii").replace("\0", "<NUL>")
print("file=" + text(got[108:236].rstrip(b"\0")), *("%d=%s" % (code, text(found[code])) for code in (15, 17, 66, 67) if code in found))
P
}

run_ipxe() { # run_ipxe SCRIPT QEMU-OPTION...: Debian's iPXE of 2019 in QEMU until the script has echoed [end]; what was on its screen is in the file screen
	packages ipxe=1.0.0+git-20190125.36a4c85-5.1 qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3 qemu-system-common=1:7.2+dfsg-7+deb12u18+b3 \
		qemu-system-data=1:7.2+dfsg-7+deb12u18 seabios=1.16.2-1
	run_behind nice qemu-system-x86_64 -L "$W/root/usr/share/seabios" -L "$W/root/usr/share/qemu" -m 128 -nographic -no-reboot \
		-kernel "$W/root/usr/lib/ipxe/ipxe.lkrn" -initrd "$@"
	for _ in $(seq 200); do
		grep -q '^\[end\]' behind.log && break
		sleep 0.3
	done
	tr -d '\r' <behind.log | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' >screen
	grep -q '^\[end\]' screen || echo "iPXE did not come to the end of the script"
}
