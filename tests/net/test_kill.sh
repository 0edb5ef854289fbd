#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Members are killed with SIGKILL, a thousand of them, in the middle of joining, reading and sleeping,
# while packets pour in. Whoever stays misses no packet; every packet is accounted for; every frame
# comes back.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
. "$XFQ_SOURCE_DIR/tests/net/members.sh"
kills=$(by_preset 1000 100)
flows=1000
stayers=(every0 every1 some0 some1 some2)

config() {
	cat >"$netns_dir/kill.yaml" <<'END'
name: kill
interfaces:
  - { name: b0, queues: all, mode: auto }
groups:
  every: { steer: broadcast, members: 0, max_members: 7, ring: 4096 }
  some: { steer: flow, members: 0, max_members: 14, ring: 4096 }
END
}

# attempt RATE
attempt() {
	local i victims early
	instance_start
	for i in 0 1; do
		member_start "every$i" every --name "stay$i" --flows "$netns_dir/every$i.flows" ${may_lose:+--gaps}
	done
	for i in 0 1 2; do
		member_start "some$i" some --name "stay$i" --gaps --weight $((i + 1))
	done
	wait_until 20 joined 2 3 || { test_show kill; test_fail "those who are to stay have not joined"; }
	load_start "$1" "$flows"
	early=$(by_preset 4000 20000)
	churn_start victims0 --places 2 --ends $((kills / 4)) --pause "$(by_preset 120000 400000)" --early "$early" \
		"$consume" every --ring 256 --mode poll
	victims=("$process_pid")
	churn_start victims1 --places 8 --ends $((kills * 3 / 4)) --pause "$(by_preset 40000 130000)" --early "$early" \
		"$consume" some --ring 1024
	victims+=("$process_pid")
	watch "${victims[@]}" || abandon || return $?
	churn_end victims0 "${victims[0]}"
	processes=$started
	churn_end victims1 "${victims[1]}"
	processes=$((processes + started))
	load_stop
	settle || abandon || return $?
	check
}

# joined EVERY SOME: so many members are there
joined() {
	status && jq -e "[.groups.every, .groups.some | .members | map(select(.kind != \"joining\")) | length] == [$1, $2]" "$netns_dir/status.json" >/dev/null
}

# check: victims are gone, those who stay are there and have read all
check() {
	local i left
	wait_until 10 joined 2 3 || test_fail "members that were killed are still members"
	holds 'all that was injected was steered' ".verdicts.steer == $injected"
	holds 'each group got it' "all(.groups[]; .packets == $received)"
	holds 'each packet was offered' '.groups.some | .offered + .no_member == .packets'
	holds 'each offered packet has its end' 'all(.groups[]; .offered == given)'
	holds 'the dead have read it or not' 'all(.groups[].left; .packets == .consumed + .discarded)'
	holds 'who stays lost nothing' 'all(.groups[].members[]; .lost == 0 and .consumed == .packets)'
	holds 'who stays in every got all' "all(.groups.every.members[]; .packets == $received)"
	holds 'who stays in some, and the dead, got all' "(.groups.some |
		sum(.members[].consumed) + .left.consumed + .left.discarded + .left.lost + .no_member) == $received"
	holds 'nobody lied' 'all(.workers[]; .faulty_members == 0)'
	members_end "${stayers[@]}"
	for i in 0 1; do
		printed "every$i" ".packets == \$received and .flows == $((flows * queues)) and .missing <= \$rx_lost
			and .others == 0"
		# numbers start with 0: the last one of a flow says how many there were
		awk -v received="$received" -v lost="$rx_lost" '{ seen += $5; missing += $4 + 1 - $5 }
			END { exit seen != received || missing > lost }' "$netns_dir/every$i.flows" ||
			test_fail "every$i: not every packet of every flow was seen"
	done
	for i in "${stayers[@]}"; do
		printed "$i" '.packets == $member.consumed and .packets == .released and .repeats == 0 and .damaged == 0
			and .queued == 0 and .lost_ring == 0 and .lost_quota == 0 and .end == "signal"'
	done
	wait_until 10 gone || { status; jq . "$netns_dir/status.json"; test_fail "frames or members remain"; }
	left=$(jq '[.groups[].left.members] | add' "$netns_dir/status.json")
	instance_stop
	cp "$netns_dir/kill.out" "$netns_dir/status.json"
	holds 'in the end, each packet has its end' 'all(.groups[]; .offered == given and .offered >= .packets - .no_member)'
	holds 'in the end, no frame is missing' '.frames | .held == 0 and .total == .free + .kernel'
	[ "$(said joined)" -eq "$left" ] && [ "$(said died:)" -eq $((left - 5)) ] && [ "$(said left:)" -eq 5 ] ||
		test_fail "of $(said joined) who joined, $(said left:) left and $(said died:) died; gone are $left"
	echo "$processes processes killed, $((processes - left + 5)) before they had joined; $injected packets," \
		"each accounted for; $looks looks at the census$(missing)"
}

members_begin kill "$(($(nproc) > 1 ? 2 : 1))"
config
attempts "$(by_preset 200000 40000)" attempt
