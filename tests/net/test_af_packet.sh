#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Packet sockets in the place of XDP: known numbers of packets, each counted once, where it belongs;
# the host has them all.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

pings=200
datagrams=300 # to each port

# send_datagrams PORT: every one from another port, so that they spread over the sockets
send_datagrams() {
	# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
	netns_exec far bash -c 'for ((i = 0; i < $2; i++)); do
		echo "$i" >/dev/udp/192.0.2.1/$1
	done' bash "$1" "$datagrams"
}

send_pings() {
	netns_exec far ping -q -i 0.002 -c "$pings" -W 1 "$1" >"$netns_dir/ping.log"
}

# holds TEXT JQ: an expression over the JSON that must be true
holds() {
	jq -e "def sum(f): [f] | add // 0; $2" "$netns_dir/$tag.out" >/dev/null && return 0
	test_show "$tag"
	test_fail "$1: $2"
}

# equals TEXT JQ NUMBER
equals() {
	local seen
	seen=$(jq "def sum(f): [f] | add // 0; $2" "$netns_dir/$tag.out")
	[ "$seen" = "$3" ] && return 0
	test_show "$tag"
	test_fail "$1: $2 is $seen, wanted $3"
}

# config TAG MODE [GROUP...]
config() {
	cat <<END
name: $1
interfaces:
  - { name: b0, mode: $2 }
filter:
  default: steer
  sets:
    friends: { type: net, entries: [192.0.2.10] }
  rules:
    - { action: drop, proto: udp, dport: 1001 }
    - { action: pass, match: "udp dst port 1002" }
    - { action: drop, match: "udp dst port 1003", in: { set: friends, field: src } }
    - { action: steer, match: "vlan 7 and icmp" }
groups:
  ping: { match: "icmp[0] == 8", steer: round-robin, members: 3 }
  udp: { match: "udp", steer: flow, members: 2, run: worker }
  tagged: { match: "vlan 7 and udp", members: 1, sink: pcap, dir: "$netns_dir/$1" }
  all: { steer: flow, members: 2, run: worker }
END
}

begin() {
	tag=$1
	xfq_start near "$netns_dir/$1.yaml" "$1" --json
	xfq=$process_pid
	xfq_ready "$xfq" "$1" || { test_show "$1"; test_fail "xfq did not come up"; }
}

end() {
	process_stop "$xfq" || { test_show "$tag"; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq 0 ] || { test_show "$tag"; test_fail "xfq ended with status $process_status"; }
}

all_sums() {
	holds 'rules and default see every packet' \
		'sum(.filter.rules[].packets) + .filter.default.packets == sum(.verdicts[])'
	holds 'steered' '.verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
	holds 'nothing lost on the way in' 'sum(.workers[] | .rx_dropped, .rx_ring_full) == 0'
	holds 'all' '.groups.all.packets == sum(.workers[].received)'
	holds 'each packet is delivered or lost' '[.groups | to_entries[] |
		.value.packets == sum(.value.members[] | .packets, .lost)] | all'
	holds 'what was delivered was consumed' '[.groups[].members[] | .packets == .consumed] | all'
	holds 'no frame is missing' '.frames | .held == 0 and .total == .free + .kernel'
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_silence far
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
netns_ip far neigh replace 192.0.2.1 lladdr "$(netns_ip near -j link show dev b0 | jq -r '.[0].address')" dev a0
netns_ip near neigh replace 192.0.2.10 lladdr "$(netns_ip far -j link show dev a0 | jq -r '.[0].address')" dev b0
# the sender's tags stay beside its packets, as most drivers have them
netns_exec far ethtool -K a0 txvlan on
netns_exec near ethtool -K b0 rxvlan on

config sums af_packet >"$netns_dir/sums.yaml"
begin sums
[ "$(netns_ip near -d -j link show dev b0 | jq '.[0].promiscuity')" -gt 0 ] || test_fail 'not promiscuous'
[ -z "$(netns_ip near -d -j link show dev b0 | jq -r '.[0].xdp.prog.id // empty')" ] ||
	test_fail 'an XDP program is attached'
grep -q 'the host keeps all of them' "$netns_dir/sums.err" || {
	test_show sums
	test_fail 'nothing is said of what packet sockets cannot do'
}
before=$(netns_counter far a0 tx.packets)
for port in 1001 1002 1003 1004; do
	send_datagrams "$port"
done
# answered: the host has its packets, and what it sends is not seen here
send_pings 192.0.2.1
grep -q " $pings received" "$netns_dir/ping.log" || test_fail 'the host did not get its packets'
sent=$(($(netns_counter far a0 tx.packets) - before))
sleep 0.3
timeout 5 "$XFQ_BIN" status sums --json >"$netns_dir/live.json"
end

equals 'every packet has one verdict' '[.verdicts[]] | add' "$sent"
equals 'a rule of fields' '.filter.rules[0].packets' "$datagrams"
equals 'a rule of an expression' '.filter.rules[1].packets' "$datagrams"
equals 'a rule of a set' '.filter.rules[2].packets' "$datagrams"
equals 'dropped' .verdicts.drop $((2 * datagrams))
equals 'passed' .verdicts.pass "$datagrams"
equals 'ping' .groups.ping.packets "$pings"
equals 'udp' .groups.udp.packets "$datagrams"
all_sums
holds 'both sockets received some' '(.workers | length) == 2 and ([.workers[].received] | min > 0)'
holds 'the mode is told' '.interfaces[0].mode == "af_packet"'
[ "$(jq '[.verdicts[]] | add' "$netns_dir/live.json")" = "$sent" ] || test_fail 'live, not all are counted'

# what is tagged on the wire has its tag in front of rules and groups
config tags af_packet >"$netns_dir/tags.yaml"
begin tags
far_mac=$(netns_ip far -j link show dev a0 | jq -r '.[0].address')
near_mac=$(netns_ip near -j link show dev b0 | jq -r '.[0].address')
# UDP 198.51.100.1:1024 > 198.51.100.2:5000, and an echo request, in VLAN 7
ip_frame="${near_mac//:/}${far_mac//:/} 81000007 0800 4500001c0000000040"
addresses="c6336401c6336402"
netns_exec far "$XFQ_NET_DIR/frame_send" a0 "$ip_frame 110000 $addresses 0400138800080000" 20
netns_exec far "$XFQ_NET_DIR/frame_send" a0 "$ip_frame 010000 $addresses 0800f7ff00000000" 5
sleep 0.3
end
all_sums
equals 'a rule that looks at tags' '.filter.rules[3].packets' 5
equals 'tagged' .groups.tagged.packets 20
seen=$(tcpdump -e -n -r "$netns_dir/tags/tagged.0.pcapng" 'vlan 7' 2>/dev/null | grep -c "$far_mac > $near_mac")
[ "$seen" -eq 20 ] || test_fail "$seen packets have their tag in the capture, wanted 20"

# mode: auto falls back where there is no AF_XDP, and says so
config auto auto >"$netns_dir/auto.yaml"
export XFQ_WITHOUT=af-xdp,xskmap
begin auto
grep -q 'b0: XDP cannot be had here' "$netns_dir/auto.err" || {
	test_show auto
	test_fail 'falling back was not said'
}
send_datagrams 1004
end
unset XFQ_WITHOUT
equals 'fallen back: udp' .groups.udp.packets "$datagrams"
all_sums

# other rules, live
config live af_packet >"$netns_dir/live.yaml"
begin live
send_datagrams 1004
sleep 0.3
sed -i 's/dport: 1001/dport: 1004/' "$netns_dir/live.yaml"
timeout 10 "$XFQ_BIN" reload --instance live --force >"$netns_dir/reload.log" 2>&1 || {
	cat "$netns_dir/reload.log"
	test_fail 'the reload failed'
}
send_datagrams 1004
send_datagrams 1001
sleep 0.3
end
equals 'after the reload: dropped' .verdicts.drop "$datagrams"
equals 'after the reload: received' .groups.udp.packets $((2 * datagrams))

# a limit lets its burst through, and a reload that changes another rule does not fill it again
config limit af_packet | sed '/  rules:/a\    - { action: limit, proto: udp, dport: 1005, per: all, rate: 1, burst: 50 }' >"$netns_dir/limit.yaml"
begin limit
send_datagrams 1005
sleep 0.3
sed -i 's/dport: 1001/dport: 1004/' "$netns_dir/limit.yaml"
timeout 10 "$XFQ_BIN" reload --instance limit --force >"$netns_dir/reload.log" 2>&1 || {
	cat "$netns_dir/reload.log"
	test_fail 'the reload of a limit failed'
}
send_datagrams 1005
sleep 0.3
end
holds 'within the limit' ".groups.udp.packets >= 50 and .groups.udp.packets < 100"
holds 'beyond it' ".verdicts.limited + .groups.udp.packets == $((2 * datagrams))"
all_sums

# all fragments of a datagram come by one socket, and go to the member of its flow; before the
# reload, which has them follow, all fragments between two hosts are at one member
flows=20
# send_parts FIRST: of each flow from this number on a datagram in three fragments, and a whole one
# in between; UDP 198.51.100.1:1024+N > 198.51.100.2:5000, each packet with N as identification
send_parts() {
	# shellcheck disable=SC2016 # these are the inner shell's
	netns_exec far bash -ec 'for ((n = $3; n < $3 + $4; n++)); do
		part() { printf "%s 4500 0024 %04x %s 4011 0000 c6336401 c6336402 %s" "$1" "$n" "$2" "$3"; }
		udp=$(printf "%04x 1388" $((1024 + n)))
		for frame in "$(part "$2" 2000 "$udp 00300000 0000000000000000")" \
			"$(part "$2" 0000 "$udp 00100000 0000000000000000")" \
			"$(part "$2" 2002 0102030405060708090a0b0c0d0e0f10)" \
			"$(part "$2" 0004 0102030405060708090a0b0c0d0e0f10)"; do
			"$1" a0 "$frame"
		done
	done' bash "$XFQ_NET_DIR/frame_send" "${near_mac//:/}${far_mac//:/} 0800" "$1" "$flows"
}

# parts_at MEMBER EXPRESSION: how many packets of each flow, named by its number, a member has
parts_at() {
	tcpdump -v -n -r "$netns_dir/parts/parts.$1.pcapng" "$2" 2>/dev/null |
		sed -n 's/.* id \([0-9]*\),.*/\1/p' | sort -n | uniq -c | awk '{ print $2, $1 }'
}

parts_config() {
	cat <<END
name: parts
interfaces:
  - { name: b0, mode: af_packet }
filter: { default: steer, fragments: $1 }
groups:
  parts: { match: "udp dst port 5000 or (ip[6:2] & 0x1fff != 0)", members: 2, sink: pcap, dir: "$netns_dir/parts" }
  all: { steer: flow, members: 2, run: worker }
END
}

parts_config ignore >"$netns_dir/parts.yaml"
begin parts
send_parts 1
sleep 0.3
parts_config follow >"$netns_dir/parts.yaml"
timeout 10 "$XFQ_BIN" reload --instance parts --force >"$netns_dir/reload.log" 2>&1 || {
	cat "$netns_dir/reload.log"
	test_fail 'the reload with other fragments failed'
}
send_parts 101
sleep 0.3
end
all_sums
equals 'parts' .groups.parts.packets $((8 * flows))
holds 'all fragments came by one socket' "[.workers[].received] | min <= 2 * $flows"
fragments='ip[6:2] & 0x3fff != 0'
for member in 0 1; do
	parts_at "$member" "$fragments and ip[4:2] <= 100" >"$netns_dir/ignored.$member"
	parts_at "$member" 'ip[4:2] > 100' >"$netns_dir/followed.$member"
done
if [ -s "$netns_dir/ignored.0" ] && [ -s "$netns_dir/ignored.1" ]; then
	head "$netns_dir"/ignored.?
	test_fail 'fragments: ignore: fragments of two hosts are at two members'
fi
for member in 0 1; do
	[ -s "$netns_dir/followed.$member" ] || test_fail "member $member has no flow of $flows"
	awk '$2 != 4 { exit 1 }' "$netns_dir/followed.$member" || {
		cat "$netns_dir/followed.$member"
		test_fail "fragments: follow: member $member has a part of a flow"
	}
done
[ "$(cat "$netns_dir"/followed.? | wc -l)" -eq "$flows" ] || test_fail "not all of $flows flows are there"

# switched off and on again: it goes on
config down af_packet >"$netns_dir/down.yaml"
begin down
netns_ip near link set b0 down
sleep 0.2
netns_ip near link set b0 up
netns_ip near neigh replace 192.0.2.10 lladdr "$far_mac" dev b0
sleep 0.2
send_datagrams 1004
end
equals 'after it was down' .groups.udp.packets "$datagrams"
all_sums
echo "$sent packets through packet sockets, every sum holds"
