#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Known numbers of packets over both queues of a veth: each is counted once, where it belongs.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

pings=200 # over each of IPv4 and IPv6
datagrams=300 # to each port, over each of IPv4 and IPv6

# send_datagrams PORT: every one from another port, so that they spread over the queues
send_datagrams() {
	# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
	netns_exec far bash -c 'for ((i = 0; i < $2; i++)); do
		echo "$i" >/dev/udp/192.0.2.1/$1
		echo "$i" >/dev/udp/2001:db8::1/$1
	done' bash "$1" "$datagrams"
}

# send_pings ADDRESS: nobody answers, all of them are steered
send_pings() {
	netns_exec far ping -q -i 0.002 -c "$pings" -W 1 "$1" >"$netns_dir/ping.log" || true
	grep -q "^$pings packets transmitted" "$netns_dir/ping.log" || {
		cat "$netns_dir/ping.log"
		test_fail "ping did not send its $pings packets"
	}
}

# holds TEXT JQ: an expression over the JSON that must be true
holds() {
	jq -e "def sum(f): [f] | add // 0; $2" "$netns_dir/sums.out" >/dev/null && return 0
	cat "$netns_dir/sums.out"
	test_fail "$1: $2"
}

# equals TEXT JQ NUMBER
equals() {
	local seen
	seen=$(jq "def sum(f): [f] | add // 0; $2" "$netns_dir/sums.out")
	[ "$seen" = "$3" ] && return 0
	cat "$netns_dir/sums.out"
	test_fail "$1: $2 is $seen, wanted $3"
}

all_arrived() {
	timeout 5 "$XFQ_BIN" status sums --json | jq -e --argjson sent "$(netns_counter far a0 tx.packets)" \
		'[.verdicts[]] | add == $sent' >/dev/null
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_link far:a0 near:b0 2
# the sender's end is down until XFQ is up, so that XFQ sees its very first packet
netns_ip far link set a0 down
mac=$(netns_ip near -j link show dev b0 | jq -r '.[0].address')
cat >"$netns_dir/sums.yaml" <<'END'
name: sums
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: steer
  rules:
    - { action: drop, proto: udp, dport: 1001 }
    - { action: pass, proto: udp, dport: 1002 }
groups:
  ping: { match: "(icmp[0] == 8) or (icmp6 and ip6[40] == 128)", steer: round-robin, members: 3 }
  flows: { match: "udp dst port 1003", steer: flow, members: 4, sink: count, run: thread }
  twice: { match: "udp dst port 1003", steer: broadcast, members: 2, sink: count, run: thread }
  worker: { match: "udp", steer: ip-pair, members: 2, sink: count, run: worker }
  all: { steer: flow, members: 2, sink: count, run: worker }
END

xfq_start near "$netns_dir/sums.yaml" sums --json
xfq=$process_pid
xfq_ready "$xfq" sums || { test_show sums; test_fail "xfq did not come up"; }
netns_ip far link set a0 up
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip far addr add 2001:db8::10/64 dev a0 nodad
netns_ip far neigh replace 192.0.2.1 lladdr "$mac" dev a0
netns_ip far neigh replace 2001:db8::1 lladdr "$mac" dev a0
for port in 1001 1002 1003; do
	send_datagrams "$port"
done
send_pings 192.0.2.1
send_pings 2001:db8::1
wait_until 5 all_arrived || echo "not all that was sent has arrived yet"
# the line goes dead before the count is taken
netns_ip far link set a0 down
sleep 0.5
sent=$(netns_counter far a0 tx.packets)
process_stop "$xfq" || { test_show sums; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show sums; test_fail "xfq ended with status $process_status"; }

equals 'every packet has one verdict' '[.verdicts[]] | add' "$sent"
equals 'rule 0' '.filter.rules[0].packets' $((2 * datagrams))
equals 'rule 1' '.filter.rules[1].packets' $((2 * datagrams))
equals 'rules and default see every packet' 'sum(.filter.rules[].packets) + .filter.default.packets' "$sent"
holds 'dropped' '.verdicts.drop == .filter.rules[0].packets'
holds 'passed' '.verdicts.pass == .filter.rules[1].packets'
holds 'steered' '.verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
holds 'nothing lost on the way in' 'sum(.workers[] | .rx_dropped, .rx_ring_full) == 0'
equals 'ping' .groups.ping.packets $((2 * pings))
equals 'flows' .groups.flows.packets $((2 * datagrams))
equals 'twice' .groups.twice.packets $((2 * datagrams))
equals 'worker' .groups.worker.packets $((2 * datagrams))
holds 'all' '.groups.all.packets == sum(.workers[].received)'
holds 'each copy is delivered or lost' '[.groups | to_entries[] | .value.packets *
	(if .key == "twice" then 2 else 1 end) == sum(.value.members[] | .packets, .lost)] | all'
holds 'each loss has a kind' '[.groups[].members[] | .lost == .lost_ring + .lost_quota + .lost_detached] | all'
holds 'what was delivered was consumed' '[.groups[].members[] | .packets == .consumed] | all'
holds 'nothing lost' 'sum(.groups[].members[].lost) == 0'
holds 'shares of a round' '[.groups.ping.members[].packets] | min > 0'
holds 'every worker received some' '(.workers | length) >= 1 and ([.workers[].received] | min > 0)'
for queue in 0 1; do
	seen=$(netns_exec near ethtool -S b0 | sed -nE "s/^ *rx_queue_${queue}_xdp_packets: *//p")
	[ "${seen:-0}" -gt 0 ] || test_fail "no packet came in on queue $queue"
done
echo "$sent packets, every sum holds"
