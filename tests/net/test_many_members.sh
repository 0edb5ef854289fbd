#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Eight groups with eight members each, all processes, at once: what each has read and lost is the
# same in its own words and in the instance's, and each group's packets are the sum of its members'.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
. "$XFQ_SOURCE_DIR/tests/net/members.sh"
groups=(flow pair turn each six web spill turns)

config() {
	cat >"$netns_dir/many.yaml" <<'END'
name: many
interfaces:
  - { name: b0, queues: all, mode: auto }
groups:
  flow: { steer: flow, members: 0, max_members: 8, ring: 512 }
  pair: { steer: ip-pair, match: "tcp", members: 0, max_members: 8, ring: 512 }
  turn: { steer: round-robin, match: "udp", members: 0, max_members: 8, ring: 512 }
  each: { steer: broadcast, match: "udp port 53", members: 0, max_members: 8, ring: 512 }
  six: { steer: flow, match: "ip6", members: 0, max_members: 8, ring: 512 }
  web: { steer: flow, match: "tcp port 443 or tcp port 80", members: 0, max_members: 8, ring: 64 }
  spill: { steer: flow, overflow: spill, members: 0, max_members: 8, ring: 64 }
  turns: { steer: round-robin, overflow: spill, members: 0, max_members: 8, ring: 64 }
END
}

# joined COUNT: in each group
joined() {
	status && jq -e "[.groups[].members | map(select(.kind != \"joining\")) | length] | all(. == $1)" "$netns_dir/status.json" >/dev/null
}

# left COUNT: of each group
left() {
	status && jq -e "[.groups[].left.members] | all(. == $1)" "$netns_dir/status.json" >/dev/null
}

members_begin many "$(($(nproc) > 1 ? 2 : 1))"
config
may_lose=all
instance_start
modes=(block poll)
tags=()
for group in "${groups[@]}"; do
	for i in 0 1 2 3 4 5 6 7; do
		member_start "$group$i" "$group" --name "$group$i" --gaps --weight $((1 + i % 3)) --mode "${modes[i % 2]}"
		tags+=("$group$i")
	done
done
wait_until 40 joined 8 || { test_show many; cat "$netns_dir"/*[0-9].err; test_fail "not all have joined"; }
member_start late flow
process_wait "${member_pids[late]}" 10 && [ "$process_status" -eq 1 ] && grep -q 'is full' "$netns_dir/late.err" ||
	test_fail "a ninth member of a group was not told that it is full"

load_start "$(by_preset 60000 10000)" 2000
sleep 10 &
process_list+=("$!")
watch "$!"
load_stop
settle
holds 'each packet of a group was offered' 'all(.groups[]; .no_member == 0) and
	all(.groups | del(.each)[]; .offered == .packets) and (.groups.each | .offered == 8 * .packets)'
holds 'three groups wanted all' "all(.groups.flow, .groups.spill, .groups.turns; .packets == $received)"
holds 'each offered packet was read or is lost' 'all(.groups[]; .offered == sum(.members[] | .consumed, .lost))'
holds 'nobody is left out' 'all(.groups[].members[]; .packets > 0)'
holds 'nobody lied' 'all(.workers[]; .faulty_members == 0)'
members_end "${tags[@]}"
for tag in "${tags[@]}"; do
	printed "$tag" '.id == $member.id and .packets == $member.consumed and .released == .packets and .queued == 0
		and .lost_ring == $member.lost_ring and .lost_quota == $member.lost_quota and .others == 0
		and .repeats == 0 and .damaged == 0 and .end == "signal"'
done
before=$(jq -c '[.groups[].members | map(.consumed) | add]' "$netns_dir/status.json")
wait_until 10 left 8 && wait_until 10 gone || { jq . "$netns_dir/status.json"; test_fail "frames or members remain"; }
[ "$(jq -c '[.groups[].left.consumed]' "$netns_dir/status.json")" = "$before" ] ||
	test_fail "those who left took counters with them"
holds 'all is accounted for after them' 'all(.groups[]; .offered == given)'
instance_stop
[ "$(said joined)" -eq 64 ] && [ "$(said left:)" -eq 64 ] || test_fail "64 joined and left, and the instance says otherwise"
echo "64 members in 8 groups; $injected packets, $(sums 'sum(.groups[].left.lost)') lost, and all accounted for$(missing)"
