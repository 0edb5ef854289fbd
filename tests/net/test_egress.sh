#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Rules for what the host sends: packets are dropped, limited, counted, and judged as they will be on
# the wire; with TCX, and with a filter in clsact, which outlives a killed XFQ and then lets all pass.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping tcpdump tc
send=$XFQ_NET_DIR/frame_send

# udp PORT COUNT: the host sends datagrams
udp() {
	netns_exec near bash -c "for ((i = 0; i < $2; i++)); do echo x >/dev/udp/192.0.2.10/$1; done"
}

# arrived EXPRESSION: packets that came to the other side
arrived() {
	tcpdump -n --count -r "$netns_dir/a0.pcap" "$@" 2>/dev/null | cut -d " " -f 1
}

watch_begin() {
	rm -f "$netns_dir/a0.pcap.log"
	netns_start far "$netns_dir/a0.pcap.log" tcpdump -i a0 -Q in -n -p -s 256 --immediate-mode -Z root \
		-w "$netns_dir/a0.pcap"
	watch=$process_pid
	wait_until 10 grep -qs 'listening on' "$netns_dir/a0.pcap.log" || test_fail "tcpdump did not start"
}

watch_end() {
	capture_stop "$watch" "$netns_dir/a0.pcap" || test_fail "tcpdump lost packets"
}

status() {
	timeout 5 "$XFQ_BIN" status egress --json >"$netns_dir/status.json"
}

holds() {
	jq -e "$2" "$netns_dir/status.json" >/dev/null && return 0
	jq .egress "$netns_dir/status.json"
	test_fail "$1: $2"
}

ping_through() {
	netns_exec near ping -q -c 5 -i 0.05 -W 1 192.0.2.10 | grep -q ' 5 received' || test_fail "no answer $1"
}

ours() {
	netns_exec near tc filter show dev b0 egress | grep -c xfq_tc || true
}

no_qdisc() {
	! netns_exec near tc qdisc show dev b0 | grep -q clsact
}

start() {
	xfq_start near "$netns_dir/egress.yaml" egress
	xfq=$process_pid
	xfq_ready "$xfq" egress || { test_show egress; test_fail "xfq did not come up"; }
}

stop() {
	process_stop "$xfq" || { test_show egress; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq 0 ] || { test_show egress; test_fail "xfq ended with status $process_status"; }
}

# Tagged frames come through a bridge, which takes the tag out of the frame and beside it.
tagged() {
	# tag 5 or 6, IPv4, UDP to port 7000
	netns_exec near "$send" "$1" "ffffffffffff 020000000009 $2 0800 4500001c000000004011b6c6 \
		c0000205c00002ff 04d21b5800080000" "$3"
}

judge_all() {
	watch_begin
	start
	filters=$(ours)
	udp 53 20
	udp 54 20
	udp 9999 30
	tagged x0 81000005 7
	tagged x0 81000006 8
	tagged x0 88a8000681000005 9
	watch_end
	status
	stop
	[ "$(arrived udp dst port 53)" -eq 0 ] || test_fail "$1: datagrams to port 53 came through"
	[ "$(arrived udp dst port 54)" -eq 20 ] || test_fail "$1: $(arrived udp dst port 54) of 20 came through"
	limited=$(arrived udp dst port 9999)
	[ "$limited" -ge 5 ] && [ "$limited" -le 15 ] || test_fail "$1: $limited came through, the burst is 5"
	[ "$(arrived 'vlan 5')" -eq 0 ] || test_fail "$1: frames of VLAN 5 came through"
	[ "$(arrived 'ether[12:2] = 0x8100 and ether[14:2] = 6')" -eq 8 ] ||
		test_fail "$1: frames of VLAN 6 did not come through"
	[ "$(arrived 'ether[12:2] = 0x88a8')" -eq 0 ] || test_fail "$1: doubly tagged frames came through"
	holds 'dropped by field' '.egress.rules[0].packets == 20'
	holds 'dropped by the limit' ".egress.rules[1].packets == 30 - $limited"
	holds 'limited' ".egress.verdicts.limited == 30 - $limited"
	holds 'dropped by tag' '.egress.rules[2].packets == 7'
	holds 'dropped by two tags' '.egress.rules[3].packets == 9'
	holds 'dropped in all' '.egress.verdicts.drop == 20 + 7 + 9'
	holds 'one verdict each' '(.egress.rules | map(.packets) | add) + .egress.default.packets ==
		(.egress.verdicts | add)'
	holds 'bytes with tags' '.egress.rules[2].bytes == 7 * 60'
	holds 'what comes in is judged apart' '.verdicts.drop == 0'
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_silence far
netns_link far:a0 near:b0 1
netns_link near:x0 near:x1 1
netns_exec near ethtool -K b0 txvlan on >/dev/null 2>&1 || true
netns_ip near link add br0 type bridge mcast_snooping 0 stp_state 0
netns_ip near link set b0 master br0
netns_ip near link set x1 master br0
netns_ip near link set br0 up
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev br0
cat >"$netns_dir/egress.yaml" <<'END'
name: egress
interfaces:
  - { name: b0, mode: auto, promiscuous: false }
filter: { default: pass }
egress:
  default: pass
  rules:
    - { action: drop, proto: udp, dport: 53 }
    - { action: limit, proto: udp, dport: 9999, per: dst, rate: 1, burst: 5 }
    - { action: drop, match: "vlan 5" }
    - { action: drop, match: "vlan 6 and vlan 5" }
groups:
  all: { steer: flow, members: 1 }
END
ping_through 'before'
udp 99 1

judge_all tcx
without_tcx=$filters
[ "$without_tcx" -eq 0 ] || echo "this kernel has no TCX"
no_qdisc || test_fail "a qdisc stays behind"

export XFQ_TC=clsact
judge_all clsact
[ "$filters" -eq 1 ] || test_fail "no filter of ours in clsact"
no_qdisc || test_fail "the qdisc that xfq made stays behind"

# others have the qdisc too: it stays
netns_exec near tc qdisc add dev b0 clsact
netns_exec near tc filter add dev b0 ingress matchall action mirred egress mirror dev x0 2>/dev/null || true
start
[ "$(ours)" -eq 1 ] || test_fail "no filter of ours in clsact"
stop
[ "$(ours)" -eq 0 ] || test_fail "our filter stays behind"
no_qdisc && test_fail "another one's qdisc is gone"
netns_exec near tc qdisc del dev b0 clsact

# killed: the filter stays, and lets everything pass; the next start takes it away
for kind in tcx clsact; do
	export XFQ_TC=$kind
	start
	kill -s KILL "$xfq"
	process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
	ping_through "after xfq was killed ($kind)"
	watch_begin
	udp 53 5
	watch_end
	[ "$(arrived udp dst port 53)" -eq 5 ] || test_fail "the dead still drop ($kind)"
done
unset XFQ_TC
start
[ "$(ours)" -eq "$without_tcx" ] || test_fail "what the killed one left is still there"
stop
no_qdisc || test_fail "the killed one's qdisc stays behind"
[ "$(ours)" -eq 0 ] || test_fail "a filter stays behind"
echo "egress: dropped, limited and counted, tags and all; nothing stays behind"
