#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The first process in the machine, behind init.sh: runs the tests, one after the other, and writes
# of each NAME.log and NAME.status where the host sees them; then switches the machine off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
. "$1/settings"
results=$work/results
mkdir -p /dev/shm /dev/pts
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mount -t devpts devpts /dev/pts
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /run/netns
ip link set lo up
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
modprobe tun # somebody has to, before /dev/net/tun is there
# expressions are interpreted here: an emulated processor takes too long to load LLVM for each
# instance. The host's file stays, this is the layer above it
rm -f "${XFQ_BIN%/apps/xfq}/steering/native/xfq-native.so"
echo "Linux $(uname -r), $(nproc) CPUs, up after $(cut -d ' ' -f 1 /proc/uptime) s"

# test_run NAME SECONDS COMMAND...
test_run() {
	local status=0 began=$SECONDS word=ok
	timeout -k 2 "$2" "${@:3}" >"$results/$1.log" 2>&1 </dev/null || status=$?
	case $status in
	0) ;;
	77) word=skipped ;;
	124 | 137) word="not ended after $2 s" ;;
	*) word="failed ($status)" ;;
	esac
	[ "$status" -ne 124 ] || echo "failed: not ended after $2 s" >>"$results/$1.log"
	echo "$status" >"$results/$1.status"
	echo "$1: $word, $((SECONDS - began)) s"
	case $status in
	0) ;;
	77) tail -n 1 "$results/$1.log" ;;
	*) tail -n 25 "$results/$1.log" | sed 's/^/  | /' ;;
	esac
}

# what the kernel itself found wrong
kernel_complaints() {
	! dmesg | grep -E 'BUG:|WARNING:|Oops|general protection|refcount_t:|possible deadlock'
}

export -f kernel_complaints
if [ -n "${XFQ_VM_COMMAND-}" ]; then
	bash -c "$XFQ_VM_COMMAND"
else
	while read -r name limit command; do
		[[ $name =~ $pattern ]] || continue
		# shellcheck disable=SC2086 # words of a command
		test_run "$name" "$limit" $command
	done <"$XFQ_VM_LIST"
fi
: >"$results/ended"
sync
busybox poweroff -f
