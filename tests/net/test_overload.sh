#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# More packets than can be taken: every one that is lost is counted where it was lost, the sums are
# exact, and a member that lags behind costs its neighbours nothing.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq

# holds TEXT JQ: an expression over the summary that must be true
holds() {
	jq -e "def sum(f): [f] | add // 0; $2" "$netns_dir/over.out" >/dev/null && return 0
	cat "$netns_dir/over.out"
	test_fail "$1: $2"
}

# census: the frames of the running instance add up at this moment
census() {
	timeout 5 "$XFQ_BIN" status over --json |
		jq -e '.frames | .total == .free + .kernel + .worker + .held + .tx' >/dev/null
}

netns_begin test
netns_add near
netns_silence near
netns_link near:a0 near:b0 1
# the rings of "slow" are small, and its files are written while packets pour in
cat >"$netns_dir/over.yaml" <<END
name: over
interfaces:
  - { name: b0, queues: all, mode: auto }
groups:
  slow: { match: "tcp", members: 2, sink: pcap, dir: "$netns_dir/slow", ring: 64 }
  twice: { match: "udp", steer: broadcast, members: 2, ring: 256 }
  inline: { match: "ip6", members: 3, run: worker }
END

xfq_start near "$netns_dir/over.yaml" over --json
xfq=$process_pid
xfq_ready "$xfq" over || { test_show over; test_fail "xfq did not come up"; }
netns_start near "$netns_dir/inject.log" "$inject" b0 0 1 --flows 512
injector=$process_pid
for _ in 1 2 3; do
	sleep 0.3
	census || test_fail "the census did not add up under load"
done
process_wait "$injector" 30 || test_fail "the injector did not end"
[ "$process_status" -eq 0 ] || { cat "$netns_dir/inject.log"; test_fail "the injector failed"; }
injected=$(jq .packets "$netns_dir/inject.log")
process_stop "$xfq" || { test_show over; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show over; test_fail "xfq ended with status $process_status"; }

holds 'every injected packet has a verdict' "[.verdicts[]] | add >= $injected"
holds 'steered' '.verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
holds 'each copy is delivered or lost' '[.groups | to_entries[] | .value.packets *
	(if .key == "twice" then 2 else 1 end) == sum(.value.members[] | .packets, .lost)] | all'
holds 'each loss has a kind' '[.groups[].members[] | .lost == .lost_ring + .lost_quota + .lost_detached] | all'
holds 'what was delivered was consumed' '[.groups[].members[] | .packets == .consumed] | all'
holds 'slow members lost' 'sum(.groups.slow.members[].lost) > 0'
holds 'those in the worker lost nothing' 'sum(.groups.inline.members[].lost) == 0'
holds 'no frame is missing' '.frames | .held == 0 and .total == .free + .kernel'
for member in 0 1; do
	wanted=$(jq ".groups.slow.members[$member].packets" "$netns_dir/over.out")
	written=$(tcpdump -r "$netns_dir/slow/slow.$member.pcapng" 2>/dev/null | wc -l)
	[ "$written" -eq "$wanted" ] ||
		test_fail "slow.$member.pcapng has $written packets, delivered were $wanted"
done
echo "$injected packets injected, every loss is accounted for"
