#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A QEMU guest with the real Bluetooth stack of Debian 12: its kernel, bluetoothd and btvirt's virtual
# controllers. The guest's root is this machine's root, read-only through 9p, with a tmpfs above it:
# no image is built, and what is installed here is installed there.
#
#   rig.sh setup             install what is missing (as root), unpack a kernel into the cache
#   rig.sh emulator          build btvirt with btvirt.patch from Debian's source, print its path
#   rig.sh run COMMAND ...   boot, run the command in the guest as root, here, and power off
#
# Exit status: of the command; 77 = this machine cannot (reason on stderr), 124 = it did not finish.
# Environment:
#   VITALGATE_CACHE  folder (~/.cache/vitalgate)     RIG_OUT      folder, read-write at /out
#   RIG_TIMEOUT      seconds (300)                   RIG_MEM      MiB (512)
#   RIG_CPUS         (1)                             RIG_ACCEL    tcg, or kvm where it works
#   RIG_TCG RIG_CPU RIG_QEMU   more for QEMU; on a loaded machine RIG_TCG=tcg,thread=single
#                    RIG_QEMU="-icount shift=2" lets the guest's clock follow its instructions
#   RIG_KERNEL       kernel package for setup
set -eu
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
home=${VITALGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vitalgate}/bluez
packages="qemu-system-x86 busybox-static kmod cpio xz-utils dbus bluez bluez-test-tools \
	python3-dbus python3-gi mosquitto mosquitto-clients"
# From sha3_generic to drbg: bluetooth needs a random generator when it tests its ECDH, or Secure
# Connections fail. algif_*: btvirt and bluetoothd have the kernel do their AES.
modules="9pnet_virtio 9p virtio_pci virtio_console virtio-rng overlay sha3_generic jitterentropy_rng \
	sha512_generic hmac ctr drbg ccm cmac ecb algif_hash algif_skcipher hci_vhci rfcomm bnep uhid"

cannot() { echo "rig.sh: $*" >&2; exit 77; }
kver() { find "$home/kernel/lib/modules" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null; }
quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

install_packages() {
	missing=
	for p in $packages; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || cannot "not installed:$missing (run 'tests/bluez/rig.sh setup' once as root)"
	export DEBIAN_FRONTEND=noninteractive
	apt="apt-get -qq -o DPkg::Lock::Timeout=600"
	# shellcheck disable=SC2086
	$apt install -y --no-install-recommends $missing >/dev/null 2>&1 ||
		{ $apt update && $apt install -y --no-install-recommends $missing; } >/dev/null ||
		cannot "apt-get cannot install:$missing"
}

# 6.1.190 is known to be good. 6.1.192 dies when an LE link ends between two virtual controllers (list
# corruption in hci_chan_del) and takes bluetoothd with it. Else the newest there is.
choose_kernel() {
	apt-cache search --names-only '^linux-image-6\.1\.0-[0-9]+-amd64$' | awk '{ print $1 }' |
		sort -rV | while read -r p; do
		apt-cache show "$p" | awk -v p="$p" '$1 == "Version:" { print p, $2; exit }'
	done | awk '$2 ~ /^6\.1\.190-/ { good = $1 } $2 !~ /^6\.1\.192-/ && !other { other = $1 }
		END { print good ? good : other }'
}

# Uncompressed, it boots by PVH: under TCG the decompressor alone would cost seconds. Where the payload
# lies: Linux/x86 boot protocol, header at 0x1f1; its last four bytes are its length.
unpack_vmlinux() {
	number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
	at=$((($(number "$1" 497 1) + 1) * 512 + $(number "$1" 584 4)))
	payload() { tail -c "+$((at + 1))" "$1" | head -c "$(($(number "$1" 588 4) - 4))"; }
	case $(od -An -t x1 -j "$at" -N 4 "$1") in
	" fd 37 7a 58") payload "$1" | xz -dc --single-stream ;;
	" 28 b5 2f fd") payload "$1" | zstd -dcq ;;
	*) cannot "$1 is packed in an unknown way" ;;
	esac >"$home/vmlinux"
}

unpack_kernel() {
	p=${RIG_KERNEL:-$(choose_kernel)}
	if [ -z "$p" ]; then
		apt-get -qq update || true
		p=$(choose_kernel)
	fi
	[ -n "$p" ] || cannot "apt knows no usable linux-image-6.1.0-*-amd64"
	new=$home/new
	rm -rf "$new"
	mkdir -p "$new/kernel"
	(cd "$new" && apt-get -qq download "$p" 2>/dev/null) || cannot "cannot download $p"
	k='./lib/modules/*/kernel'
	dpkg-deb --fsys-tarfile "$new/$p"_*.deb | tar -C "$new/kernel" -xf - --wildcards \
		'./boot/vmlinuz*' './lib/modules/*/modules.*' "$k/crypto" "$k/lib" "$k/net" "$k/fs" \
		"$k/drivers/bluetooth" "$k/drivers/virtio" "$k/drivers/char" "$k/drivers/hid"
	find "$new/kernel" -name '*.ko.xz' -exec unxz {} +
	depmod -b "$new/kernel" "$(ls "$new/kernel/lib/modules")"
	unpack_vmlinux "$(echo "$new"/kernel/boot/vmlinuz-*)"
	rm -rf "$home/kernel"
	mv "$new/kernel" "$home/kernel"
	rm -rf "$new" "$home/initramfs.cpio"
}

build_initramfs() {
	r=$home/initramfs
	rm -rf "$r"
	mkdir -p "$r/bin" "$r/mod" "$r/proc" "$r/sys" "$r/dev" "$r/low" "$r/up" "$r/new"
	cp /bin/busybox "$r/bin/busybox"
	: >"$r/mod/order"
	for m in $modules; do
		modprobe -d "$home/kernel" -S "$(kver)" --show-depends "$m" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++' | while read -r ko; do
		cp "$ko" "$r/mod/"
		basename "$ko" >>"$r/mod/order"
	done
	cat >"$r/init" <<-'EOF'
		#!/bin/busybox sh
		b=/bin/busybox
		$b mount -t proc proc /proc
		$b mount -t sysfs sysfs /sys
		$b mount -t devtmpfs dev /dev
		while read -r m; do $b insmod "/mod/$m" || $b echo "insmod $m failed"; done </mod/order
		opt=trans=virtio,version=9p2000.L,msize=512000
		$b mount -t 9p -o ro,cache=loose,$opt root /low || $b poweroff -f
		$b mount -t tmpfs tmpfs /up
		$b mkdir /up/u /up/w
		$b mount -t overlay -o lowerdir=/low,upperdir=/up/u,workdir=/up/w overlay /new || $b poweroff -f
		$b mount -t tmpfs tmpfs /new/run
		$b mkdir -p /new/out /new/run/dbus /new/run/lock /new/lib/modules
		$b ln -s "KERNEL/lib/modules/$($b uname -r)" /new/lib/modules/
		$b mount -t 9p -o rw,cache=none,$opt out /new/out
		$b mount --move /proc /new/proc
		$b mount --move /sys /new/sys
		$b mount --move /dev /new/dev
		exec $b switch_root /new /bin/sh /out/.init
	EOF
	sed -i "s,KERNEL,$home/kernel," "$r/init"	# for what the running kernel asks for by itself
	chmod 755 "$r/init"
	(cd "$r" && find . | cpio -o -H newc --quiet >"$home/initramfs.new")
	mv "$home/initramfs.new" "$home/initramfs.cpio"
	rm -rf "$r"
}

# The initramfs is made anew when this file is newer: its contents are described here.
ready() {
	# shellcheck disable=SC3013
	[ -s "$home/vmlinux" ] && [ "$home/initramfs.cpio" -nt "$self" ]
}

setup() {
	[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || cannot "needs Debian on amd64"
	install_packages
	if ready; then return 0; fi
	mkdir -p "$home" 2>/dev/null && [ -w "$home" ] || cannot "cannot write $home"
	exec 9>"$home/lock"
	flock -w 600 9 || cannot "another setup holds $home/lock"
	if [ -z "$(kver)" ] || [ ! -s "$home/vmlinux" ]; then unpack_kernel; fi
	build_initramfs
}

# No configure: these files need no more than a version. Nothing of the source is kept.
emulator() {
	patch=${self%/*}/btvirt.patch
	# shellcheck disable=SC3013
	if [ ! -x "$home/btvirt" ] || [ "$patch" -nt "$home/btvirt" ]; then
		work=$(mktemp -d)
		trap 'rm -rf "$work"' EXIT
		build_emulator "$work" "$patch" >"$work/log" 2>&1 ||
			cannot "btvirt cannot be built: $(tail -n 1 "$work/log")"
		mkdir -p "$home"
		mv "$work/btvirt" "$home/btvirt"
	fi
	echo "$home/btvirt"
}

build_emulator() (
	set -e
	chmod 755 "$1"
	cd "$1"
	mkdir -p state/lists/partial cache/archives/partial source
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	echo "deb-src [signed-by=$key] http://deb.debian.org/debian bookworm main" >sources.list
	apt="apt-get -q -o Dir::Etc::SourceList=$1/sources.list -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State=$1/state -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=$1/cache \
		-o APT::Sandbox::User="
	$apt update
	(cd source && $apt source bluez)
	cd source/bluez-*/
	patch -p1 <"$2"
	for f in main serial server vhci btdev bthost smp phy amp le; do set -- "$@" "emulator/$f.c"; done
	for f in mainloop mainloop-notify util queue crypto ecc timeout-mainloop io-mainloop; do
		set -- "$@" "src/shared/$f.c"
	done
	out=$1/btvirt
	shift 2
	${CC:-cc} -O2 -w -DVERSION='"mended"' -I. -Iemulator -o "$out" "$@" -lbluetooth
)

run() {
	ready || cannot "run 'rig.sh setup' first"
	tmp=
	out=${RIG_OUT:-}
	[ -n "$out" ] || { tmp=$(mktemp -d); out=$tmp; }
	rm -f "$out/.rc" "$out/.boot"
	{
		cat <<-'EOF'
			mkdir -p /dev/pts /dev/shm
			mount -t devpts devpts /dev/pts
			mount -t tmpfs tmpfs /dev/shm
			busybox ip link set lo up
			hostname rig
			umask 022
			export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
			for p in /sys/class/virtio-ports/*; do
				[ "$(cat $p/name)" = rig ] && port=/dev/${p##*/}
			done
			: >/out/.boot
		EOF
		printf 'cd %s 2>/dev/null\n' "$(quote "$PWD")"
		printf '('
		for a in "$@"; do printf ' %s' "$(quote "$a")"; done
		printf ' ) </dev/null >$port 2>&1; echo $? >/out/.rc\n'
		echo 'sync; busybox poweroff -f'
	} >"$out/.init"
	case ${RIG_ACCEL:-tcg} in
	kvm) accel="-accel kvm -cpu host" ;;
	*) accel="-accel ${RIG_TCG:-tcg,thread=multi,tb-size=256} -cpu ${RIG_CPU:-max}" ;;
	esac
	# A chardev on stdio would block the guest's writes once stdin ends; a file on a pipe does not.
	# shellcheck disable=SC2086
	timeout --foreground "${RIG_TIMEOUT:-300}" qemu-system-x86_64 $accel ${RIG_QEMU:-} -M q35 \
		-m "${RIG_MEM:-512}" -smp "${RIG_CPUS:-1}" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$home/vmlinux" -initrd "$home/initramfs.cpio" \
		-append "console=ttyS0 panic=-1 mitigations=off quiet" \
		-serial "file:$out/kernel.log" -device virtio-rng-pci -device virtio-serial-pci \
		-chardev file,id=cmd,path=/dev/stdout,append=on -device virtserialport,chardev=cmd,name=rig \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=out,path=$out,security_model=none" \
		-device virtio-9p-pci,fsdev=out,mount_tag=out </dev/null 2>"$out/qemu.log" | cat
	rc=124
	[ ! -s "$out/.rc" ] || rc=$(cat "$out/.rc")
	if [ ! -e "$out/.boot" ]; then
		reason="the guest did not start: $(tail -n 1 "$out/qemu.log")"
		[ -z "$tmp" ] || rm -rf "$tmp"
		cannot "$reason"
	fi
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit "$rc"
}

case ${1:-} in
setup) setup ;;
emulator) emulator ;;
run) shift; run "$@" ;;
*) sed -n '3,20s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
