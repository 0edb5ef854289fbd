#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Boots Debian's own kernel in an emulated machine that sees the host's files, and runs tests in it;
# see README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=${XFQ_SOURCE_DIR:-$(dirname "$(dirname "$here")")}
cache=${XFQ_VM_CACHE:-$source/build/vm}
work=${XFQ_VM_WORK:-$cache/work}
seconds=${XFQ_VM_SECONDS:-560}

usage() {
	cat <<'END'
usage: run.sh boot [PATTERN]    boot, run the tests of $XFQ_VM_LIST whose names match, write results
       run.sh result NAME       show what test NAME printed, end with its status
       run.sh command COMMAND   boot and run a shell command in the machine, as root
environment: XFQ_VM_LIST, a file of lines "NAME SECONDS COMMAND..."; XFQ_VM_WORK (results);
  XFQ_VM_CACHE (the kernel, default build/vm); XFQ_VM_SECONDS (of all, default 560)
END
}

# skip REASON: nobody's fault; the tests say so, too
skip() {
	mkdir -p "$work/results"
	echo "skipped: $*" | tee "$work/results/skipped"
	exit 77
}

# kernel_fetch: unpack Debian's kernel and a static busybox into the cache; nothing is installed
kernel_fetch() {
	local package fresh=$cache/fresh.$$
	[ -e "$cache/kernel/version" ] && return 0
	command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "needs Debian's packages"
	package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: //p' | head -n 1)
	[ -n "$package" ] || skip "no package linux-image-amd64: apt-get update"
	rm -rf "$cache/kernel"
	mkdir -p "$fresh/root"
	if ! (cd "$fresh" && timeout 200 apt-get -q -o APT::Sandbox::User="$(id -un)" download "$package" \
		busybox-static >log 2>&1); then
		cat "$fresh/log"
		rm -rf "$fresh"
		skip "cannot download $package and busybox-static"
	fi
	for package in "$fresh"/*.deb; do
		dpkg -x "$package" "$fresh/root"
	done
	rm -f "$fresh"/*.deb "$fresh/log"
	package=$(cd "$fresh/root/lib/modules" && echo *)
	"$fresh/root/bin/busybox" depmod -b "$fresh/root" "$package"
	echo "$package" >"$fresh/root/version"
	mv "$fresh/root" "$cache/kernel"
	rmdir "$fresh"
}

# modules NAME...: files of these modules, each behind those that it needs
modules() {
	local name all=$cache/kernel/lib/modules/$version/modules.dep
	for name in "$@"; do
		grep "/$name\.ko[.a-z]*:" "$all" | tr -d : | tr ' ' '\n' | tac
	done | awk 'NF && !seen[$0]++'
}

# initramfs_make: what the kernel starts with, which mounts the host's files and goes on there
initramfs_make() {
	local root=$work/initramfs file
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,modules.d}
	cp "$cache/kernel/bin/busybox" "$root/bin/"
	ln -s busybox "$root/bin/sh"
	install -m 755 "$here/init.sh" "$root/init"
	modules virtio_pci 9pnet_virtio 9p overlay >"$work/modules"
	while read -r file; do
		cp "$cache/kernel/lib/modules/$version/$file" "$root/modules.d/"
		basename "$file"
	done <"$work/modules" >"$root/modules"
	{
		declare -p source cache work
		declare -p "${!XFQ_@}"
		echo "pattern='$pattern'"
	} >"$work/settings"
	printf 'vm_kernel=%q\nvm_work=%q\nvm_source=%q\n' "$cache/kernel" "$work" "$source" >"$root/settings"
	(cd "$root" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"
}

# machine_run: boot, and stream what the machine says until it switches itself off
machine_run() {
	local status=0
	timeout -k 5 "$seconds" qemu-system-x86_64 -accel tcg,thread=single -cpu Nehalem -smp 2 -m 2048 \
		-nodefaults -no-user-config -display none -serial stdio -no-reboot \
		-kernel "$cache/kernel/boot/vmlinuz-$version" -initrd "$work/initrd" \
		-append "console=ttyS0 panic=-1 edd=off quiet nowatchdog tsc=unstable" \
		-virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$work/results,mount_tag=results,security_model=none" \
		</dev/null || status=$?
	[ "$status" -ne 124 ] || echo "the machine did not end within $seconds seconds"
	return "$status"
}

boot() {
	rm -rf "$work/results"
	mkdir -p "$work/results"
	[ "$(uname -m)" = x86_64 ] || skip "the machine is an x86-64"
	command -v qemu-system-x86_64 >/dev/null || skip "needs qemu-system-x86_64 (package qemu-system-x86)"
	command -v gzip >/dev/null || skip "needs gzip"
	kernel_fetch
	version=$(cat "$cache/kernel/version")
	initramfs_make
	machine_run
	[ -e "$work/results/ended" ] || { echo "failed: the machine ended early"; exit 1; }
}

result() {
	local results=$work/results
	if [ -e "$results/skipped" ]; then
		cat "$results/skipped"
		exit 77
	fi
	[ -e "$results/$1.log" ] || { echo "failed: the machine did not come to it"; exit 1; }
	cat "$results/$1.log"
	[ -e "$results/$1.status" ] || { echo "failed: the machine ended under it"; exit 1; }
	exit "$(cat "$results/$1.status")"
}

pattern=${2-}
case ${1-} in
boot) boot ;;
command) XFQ_VM_COMMAND=$2 pattern='' boot ;;
result) [ $# -eq 2 ] || { usage >&2; exit 2; }; result "$2" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
