#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# deps.sh [all|demo]: installs what it takes to build, run and test sanbootd on Debian 12, or only what the demo needs. Does nothing
# where all is there.
set -eu
build="build-essential pkg-config libuv1-dev libmicrohttpd-dev libsqlite3-dev libjansson-dev libgnutls28-dev libisal-dev
	libcrypt-dev libcurl4-gnutls-dev libsystemd-dev libnl-3-dev libnl-route-3-dev libisofs-dev"
run="dnsmasq-base ipxe qemu-utils util-linux iproute2 grub-common e2fsprogs xz-utils zstd libhivex-bin ieee-data"
golden="debootstrap fdisk dosfstools mtools ca-certificates"
machines="qemu-system-x86 ipxe-qemu ovmf busybox-static binutils syslinux syslinux-common grub-efi-amd64-bin cpio kmod
	python3 curl xorriso isolinux"
tests="libcmocka-dev libiscsi-bin libiscsi-dev qemu-block-extra qemu-system-arm qemu-efi-aarch64 isc-dhcp-server kea-dhcp4-server tgt
	jq sqlite3 tcpdump python3-yaml chromium chromium-driver clang libclang-rt-14-dev procps sg3-utils clang-format clang-tidy cppcheck
	shellcheck nodejs bindfs xfsprogs btrfs-progs ntfs-3g wimtools libvhdi-utils libvmdk-utils 7zip nginx-light openssl"
case ${1:-all} in
all) packages="$build $run $golden $machines $tests" ;;
demo) packages="$build $run $golden $machines" ;;
*)
	echo "usage: deps.sh [all|demo]" >&2
	exit 2
	;;
esac
missing= lists=
for package in $packages; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
	*" installed") ;;
	*) missing="$missing $package" ;;
	esac
done
# The guests of the tests are made of downloaded packages: apt must know some.
if ! apt-cache show --no-all-versions linux-image-cloud-amd64 >/dev/null 2>&1; then
	lists=missing
fi
policy=/usr/sbin/policy-rc.d
ours="# until sanbootd's packages are installed"
[ -n "$missing$lists" ] || grep -qs "^$ours" "$policy" || exit 0
[ -z "$missing" ] || echo "installing:$missing"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "run this as root, or install sudo; missing packages:$missing" >&2
		exit 1
	}
	sudo=sudo
fi
# Another apt may be at work, perhaps one of ours whose make was killed: wait for it.
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"
}
# Also that of a run that was killed.
remove_policy() {
	if grep -qs "^$ours" "$policy"; then $sudo rm -f "$policy"; fi
}
trap remove_policy EXIT
trap 'exit 1' INT TERM HUP
# A dpkg that was interrupted left packages half installed.
if [ -n "$(dpkg --audit 2>/dev/null)" ] || [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ]; then
	$sudo env DEBIAN_FRONTEND=noninteractive dpkg --configure -a || true
fi
apt update
[ -n "$missing" ] || exit 0
# No service may start because of a test.
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\n%s\nexit 101\n' "$ours" | $sudo tee "$policy" >/dev/null
	$sudo chmod 755 "$policy"
fi
status=0
# shellcheck disable=SC2086
apt install -y --fix-broken --no-install-recommends $missing || status=$?
# Nor at the next start of this host: the tests run these servers in networks of their own.
for service in isc-dhcp-server kea-dhcp4-server tgt; do
	case $missing in
	*" $service"*) $sudo systemctl disable --quiet "$service" 2>/dev/null || true ;;
	esac
done
exit $status
