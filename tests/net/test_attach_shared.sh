#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Beside other XDP programs: exclusive says who is there and what to do; shared runs beside them in
# libxdp's dispatcher, in the order of priorities, and what a killed xfq leaves there passes all
# packets and is removed by the next one. Where the kernel has no dispatcher, shared is alone.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping xdp-loader xdp-filter
mounted=
if ! mountpoint -q /sys/fs/bpf; then
	mount -t bpf bpf /sys/fs/bpf || test_skip 'cannot mount the BPF file system'
	mounted=yes
fi

datagrams=50

unmount() {
	netns_end
	[ -z "$mounted" ] || umount /sys/fs/bpf
}

# send_datagrams PORT
send_datagrams() {
	# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
	netns_exec far bash -c 'for ((i = 0; i < $2; i++)); do echo "$i" >/dev/udp/192.0.2.1/$1; done' \
		bash "$1" "$datagrams"
}

ping_through() {
	netns_exec far ping -q -c 5 -i 0.05 -W 1 192.0.2.1 | grep -q ' 5 received' ||
		test_fail "no answer $1"
}

# programs: names of those in b0's dispatcher, or of the only one
programs() {
	netns_exec near xdp-loader status b0 | sed -n '/^b0 /,$p' | grep -oE 'xfq_first_pass|xdpfilt_[a-z_]+|xdp_dispatcher' || true
}

has() {
	programs | grep -q "$1"
}

has_not() {
	! has "$1"
}

# unasked: datagrams that came to the host, where nobody listens
unasked() {
	netns_exec near cat /proc/net/snmp | awk '$1 == "Udp:" && $4 ~ /[0-9]/ { print $3 }'
}

# config NAME ATTACH [PRIORITY]
config() {
	local priority=
	[ "$2" = exclusive ] || priority=", priority: ${3:-50}"
	cat <<END
name: $1
interfaces:
  - { name: b0, mode: ${mode:-native}, attach: $2$priority }
filter:
  default: pass
  rules:
    - { action: steer, proto: udp, dport: 9 }
    - { action: pass, proto: udp, dport: 1002 }
groups:
  all: { members: 1 }
END
}

# begin NAME ATTACH [PRIORITY]
begin() {
	tag=$1
	config "$@" >"$netns_dir/$1.yaml"
	xfq_start near "$netns_dir/$1.yaml" "$1" --json
	xfq=$process_pid
	xfq_ready "$xfq" "$1" || { test_show "$1"; test_fail "$1 did not come up"; }
}

end() {
	process_stop "$xfq" || { test_show "$tag"; test_fail 'xfq did not end when asked'; }
	[ "$process_status" -eq 0 ] || { test_show "$tag"; test_fail "xfq ended with status $process_status"; }
}

# refused WORDS ATTACH: a start is refused with these words
refused() {
	config refused "$2" >"$netns_dir/refused.yaml"
	netns_exec near timeout 20 "$XFQ_BIN" run "$netns_dir/refused.yaml" --for 0.2 >"$netns_dir/refused.out" 2>&1 &&
		test_fail "$2 was not refused: $1"
	grep -qF -- "$1" "$netns_dir/refused.out" && return 0
	cat "$netns_dir/refused.out"
	test_fail "not said: $1"
}

# equals JQ NUMBER
equals() {
	local seen
	seen=$(jq "$1" "$netns_dir/$tag.out")
	[ "$seen" = "$2" ] || { test_show "$tag"; test_fail "$1 is $seen, wanted $2"; }
}

filter_load() {
	netns_exec near xdp-filter load b0 --mode "$1" -f udp >"$netns_dir/filter.log" 2>&1 || {
		cat "$netns_dir/filter.log"
		test_skip 'xdp-filter does not load here'
	}
}

netns_begin test
trap unmount EXIT
netns_add far
netns_add near
netns_link far:a0 near:b0 1
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
unset LIBXDP_BPFFS
ping_through 'at first'

LIBXDP_BPFFS=$netns_dir refused "mount -t bpf bpf $netns_dir" shared

# exclusive: ends with its process, however that ends
begin only exclusive
config refused shared >"$netns_dir/refused.yaml"
refused 'another xfq instance already has this interface' shared
refused 'another xfq instance already has this interface' exclusive
end

# shared, with the interface to itself
begin first shared
send_datagrams 9
ping_through 'beside a shared xfq'
sleep 0.3
end
equals .verdicts.steer "$datagrams"
wait_until 5 has_not xfq_first_pass || test_fail 'the program is still there after the end'

begin dispatcher shared
if grep -q 'has no dispatcher' "$netns_dir/dispatcher.err"; then
	refused 'another xfq instance already has this interface' shared
	kill -s KILL "$xfq"
	process_wait "$xfq" 5 || test_fail 'xfq survived SIGKILL'
	wait_until 5 has_not xfq_first_pass || test_fail 'the program is still there after SIGKILL'
	# libxdp attaches a single program by itself: it is named, in both modes
	filter_load native
	refused 'another XDP program has this interface ("xdpfilt_' exclusive
	refused 'another XDP program has this interface ("xdpfilt_' shared
	netns_exec near xdp-filter unload b0
	filter_load skb
	refused 'generic mode)' exclusive
	netns_exec near xdp-filter unload b0
	ping_through 'in the end'
	echo 'no dispatcher in this kernel: shared is alone, ends with its process, and others are named'
	exit 0
fi

# another one comes in front of it, and it goes on
filter_load native
netns_exec near xdp-filter port 1003 -p udp -m dst
has xfq_first_pass || test_fail 'xdp-filter threw xfq out'
send_datagrams 9
send_datagrams 1002
send_datagrams 1003
sleep 0.3
end
equals .verdicts.steer "$datagrams"
equals '.filter.rules[1].packets' "$datagrams"
wait_until 5 has_not xfq_first_pass || test_fail 'the program is still there after the end'
has xdpfilt || test_fail 'xfq threw xdp-filter out'

refused 'set attach: shared' exclusive
mode=generic refused "runs here in native mode" shared

# in front of the other one, which sees what is passed, and what is steered is not its business
begin front shared 5
netns_exec near xdp-filter port 1002 -p udp -m dst
netns_exec near xdp-filter port 1002 -p udp -m dst
before=$(unasked)
send_datagrams 1002
send_datagrams 9
ping_through 'beside both'
sleep 0.3
[ "$(unasked)" -eq "$before" ] || test_fail 'what was passed did not go on to xdp-filter'
refused 'another xfq instance already has this interface' shared

# killed: its place in the dispatcher passes everything, until somebody removes it
kill -s KILL "$xfq"
process_wait "$xfq" 5 || test_fail 'xfq survived SIGKILL'
ping_through 'after xfq was killed'
has xfq_first_pass || echo 'nothing was left behind'
begin again shared 5
[ "$(programs | grep -c xfq_first_pass)" -eq 1 ] || { programs; test_fail 'what was left behind is still there'; }
send_datagrams 9
sleep 0.3
kill -s KILL "$xfq"
process_wait "$xfq" 5 || test_fail 'xfq survived SIGKILL'
netns_exec near xdp-filter unload b0
ping_through 'with nothing but what was left behind'
begin last exclusive
send_datagrams 9
sleep 0.3
end
equals .verdicts.steer "$datagrams"
[ -z "$(programs)" ] || { programs; test_fail 'something is left on the interface'; }
echo 'shared with xdp-filter, before and behind it; what was left behind was removed'
