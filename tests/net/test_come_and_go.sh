#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Members of two groups come and go in every way there is, in no order, under load: they leave, are
# killed, or become another program. Each leaves the sums as they must be, and one that says what it
# has read says what the instance says.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
. "$XFQ_SOURCE_DIR/tests/net/members.sh"
ends=$(by_preset 400 60) # in each group

# in "flows" somebody stands in while nobody is there; in "turns" nobody does
config() {
	cat >"$netns_dir/come.yaml" <<'END'
name: come
interfaces:
  - { name: b0, queues: all, mode: auto }
groups:
  every: { steer: broadcast, members: 0, max_members: 1, ring: 4096 }
  flows: { match: "tcp or icmp6", steer: flow, members: 1, max_members: 12, ring: 1024 }
  turns: { match: "udp", steer: round-robin, overflow: spill, members: 0, max_members: 12, ring: 512 }
END
}

everyone_is_there() {
	status && jq -e '.groups.every.members | map(select(.kind != "joining")) | length == 1' "$netns_dir/status.json" >/dev/null
}

# attempt RATE
attempt() {
	local flows turns pause early
	instance_start
	member_start every every --name stay ${may_lose:+--gaps}
	wait_until 20 everyone_is_there || { test_show come; test_fail "the one who is to stay has not joined"; }
	load_start "$1" 500
	pause=$(by_preset 45000 300000)
	early=$(by_preset 4000 20000)
	churn_start flows --places 6 --ends "$ends" --pause "$pause" --early "$early" --ways kill,leave,exec \
		"$consume" flows --gaps --weight 3
	flows=$process_pid
	churn_start turns --places 4 --ends "$ends" --pause "$pause" --early "$early" --ways kill,leave,exec \
		"$consume" turns --gaps --ring 64 --mode poll
	turns=$process_pid
	watch "$flows" "$turns" || abandon || return $?
	churn_end flows "$flows"
	churn_end turns "$turns"
	load_stop
	settle || abandon || return $?
	wait_until 10 joined_are 1 || test_fail "members that have ended are still members"
	check
}

# joined_are COUNT: over all groups
joined_are() {
	status && jq -e "[.groups[].members[] | select(.kind == \"joined\")] | length == $1" "$netns_dir/status.json" >/dev/null
}

check() {
	local group
	holds 'all that was injected was steered' ".verdicts.steer == $injected"
	holds 'each packet was offered' 'all(.groups[]; .offered + .no_member == .packets)'
	holds 'each offered packet has its end' 'all(.groups[]; .offered == given)'
	holds 'those who are gone have read it or not' 'all(.groups[].left; .packets == .consumed + .discarded)'
	holds 'there was a stand-in' '.groups.flows.members[0] | .stand_in and .packets > 0'
	holds 'there was none' '.groups.turns.no_member > 0'
	holds 'nobody lied' 'all(.workers[]; .faulty_members == 0)'
	for group in flows turns; do
		ways "$group"
		words "$group"
	done
	members_end every
	printed every '.packets == $received and .packets == $member.consumed and .flows == '$((500 * queues))'
		and .missing <= $rx_lost and .repeats == 0 and .damaged == 0 and .others == 0
		and .lost_ring + .lost_quota == 0'
	wait_until 10 gone || { status; jq . "$netns_dir/status.json"; test_fail "frames or members remain"; }
	instance_stop
	cp "$netns_dir/come.out" "$netns_dir/status.json"
	holds 'in the end, each packet has its end' 'all(.groups[]; .offered == given and .offered + .no_member == .packets)'
	holds 'in the end, no frame is missing' '.frames | .held == 0 and .total == .free + .kernel'
	echo "$(jq -s -r 'map(select(.program == "churn")) |
		"\(map(.kill) | add) members killed, \(map(.leave) | add) left, \(map(.exec) | add) became others"' \
		"$netns_dir/flows.out" "$netns_dir/turns.out"); $injected packets, each accounted for;" \
		"$looks looks at the census$(missing)"
}

# ways GROUP: the instance has told those who left from those who were ended
ways() {
	local leave kill exec left died
	read -r leave kill exec < <(jq -r 'select(.program == "churn") | "\(.leave) \(.kill) \(.exec)"' "$netns_dir/$1.out")
	left=$(said left: "$1") died=$(said died: "$1")
	[ "$left" -eq "$leave" ] || test_fail "$1: $leave members left, and the instance says $left"
	# some were killed before they had joined
	[ "$died" -ge "$exec" ] && [ "$died" -le $((exec + kill)) ] ||
		test_fail "$1: $kill were killed and $exec became others, and the instance says that $died died"
	[ "$(jq ".groups.$1.left.members" "$netns_dir/status.json")" -eq $((left + died)) ] ||
		test_fail "$1: $left left and $died died, and the counters say otherwise"
}

# words GROUP: what each that left says it read, is what the instance says
words() {
	jq -r 'select(.program == "consume") | "\(.id) \(.packets)"' "$netns_dir/$1.out" | sort >"$netns_dir/members.read"
	sed -nE "s/^xfq run: $1: member ([0-9]+) .* left: read ([0-9]+),.*/\1 \2/p" "$netns_dir/come.err" |
		sort >"$netns_dir/instance.read"
	[ -s "$netns_dir/members.read" ] || test_fail "$1: nobody left"
	cmp -s "$netns_dir/members.read" "$netns_dir/instance.read" && return 0
	diff "$netns_dir/members.read" "$netns_dir/instance.read" | head -n 20
	test_fail "$1: members (<) and the instance (>) disagree about what they read"
}

members_begin come "$(($(nproc) > 1 ? 2 : 1))"
config
attempts "$(by_preset 150000 30000)" attempt
