#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two configs take turns, again and again, under load. What the one steers, no group of the other
# wants: a packet judged by the rules of one and the groups of the other is one that nobody claims.
# No packet is lost, members that have joined stay joined, and what is broken changes nothing.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
. "$XFQ_SOURCE_DIR/tests/net/members.sh"
reloads=$(by_preset 200 40)

# config NAME PROTO GROUP: steers PROTO alone; "stay" is in all of them, GROUP in this one.
# The rule that both have counts all ICMPv6, wherever it stands
config() {
	cat >"$netns_dir/$1.yaml" <<END
name: reload
interfaces:
  - { name: b0, queues: all, mode: auto }
workers: { frames: 32768 }
filter:
  default: drop
  rules:
$([ "$1" = odd ] || echo "    - { action: drop, proto: 58 }")
    - { action: steer, proto: $2 }
$([ "$1" = even ] || echo "    - { action: drop, proto: 58 }")
groups:
$([ "$1" = odd ] || echo "  $3: { match: $2, members: 2, max_members: 2 }")
  stay: { match: $2, members: 0, max_members: 1, ring: 4096 }
$([ "$1" = even ] || echo "  $3: { match: $2, members: 1, run: worker, max_members: 1 }")
END
}

reload() {
	timeout 20 "$XFQ_BIN" reload --instance reload "$@"
}

# refused FILE TEXT: such a config is told of, and changes nothing
refused() {
	local before after
	status
	before=$(jq -c '[.filter | del(.. | .packets?, .bytes?)] + [.groups | keys]' "$netns_dir/status.json")
	if reload "$1" 2>"$netns_dir/refused"; then
		test_fail "$1 was not refused"
	fi
	grep -qF -- "$2" "$netns_dir/refused" || { cat "$netns_dir/refused"; test_fail "$1 was refused otherwise than with: $2"; }
	status
	after=$(jq -c '[.filter | del(.. | .packets?, .bytes?)] + [.groups | keys]' "$netns_dir/status.json")
	[ "$before" = "$after" ] || test_fail "$1 was refused, and has changed something: $before, $after"
}

refusals() {
	refused "$netns_dir/nothing.yaml" "nothing.yaml: No such file"
	printf 'groups:\n  a: { steer: nowhere }\n  b: { match: "tcp and" }\n' >"$netns_dir/broken.yaml"
	refused "$netns_dir/broken.yaml" "broken.yaml:2:"
	grep -q 'broken.yaml:3:' "$netns_dir/refused" || test_fail "of two errors, one was told"
	sed 's/mode: auto/mode: generic/' "$netns_dir/even.yaml" >"$netns_dir/mode.yaml"
	refused "$netns_dir/mode.yaml" "interfaces.mode: cannot change while the instance runs"
	sed 's/members: 2, max_members: 2/members: 64, max_members: 64/;s/stay:/w: { members: 64, max_members: 64 }\n  x: { members: 64, max_members: 64 }\n  y: { members: 64, max_members: 64 }\n  stay:/' \
		"$netns_dir/even.yaml" >"$netns_dir/many.yaml"
	refused "$netns_dir/many.yaml" "there are places for"
	sed 's/  rules:/  sets: { gone: { type: net, file: gone.txt } }\n  rules:/' "$netns_dir/even.yaml" >"$netns_dir/set.yaml"
	refused "$netns_dir/set.yaml" "gone.txt"
	kernel_refuses
}

# kernel_refuses: there are descriptors to read the file, and none for maps and programs
kernel_refuses() {
	local limit fds
	fds=("/proc/$xfq/fd/"*)
	limit=$(prlimit --pid "$xfq" --nofile --noheadings --output SOFT)
	prlimit --pid "$xfq" --nofile="$((${#fds[@]} + 6)):" || test_fail "no limit can be set"
	refused "$netns_dir/odd.yaml" "Too many open files"
	prlimit --pid "$xfq" --nofile="$limit:"
}

everyone_is_there() {
	status && jq -e '.groups.stay.members | map(select(.kind != "joining")) | length == 1' "$netns_dir/status.json" >/dev/null
}

# bare: of all threads the first alone may have capabilities, three of them, and uses none
bare() {
	local task caps
	# the sanitizer has a thread of its own, begun before anything could be given up
	[ "${XFQ_PRESET:-release}" != tsan ] || return 0
	for task in "/proc/$xfq/task"/*; do
		caps=$(sed -nE 's/^Cap(Inh|Prm|Eff|Bnd|Amb):\s*//p' "$task/status" | tr '\n' ' ')
		case ${task##*/} in
		"$xfq") [ "$caps" = "0000000000000000 000000c000001000 0000000000000000 0000000000000000 0000000000000000 " ] ;;
		*) [ "$caps" = "0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 " ] ;;
		esac || test_fail "thread ${task##*/} ($(cat "$task/comm")) of $xfq has capabilities: $caps"
	done
}

# turn I: the next config; by the command, or by SIGHUP
turn() {
	local next=even
	[ $(($1 % 2)) -eq 0 ] || next=odd
	if [ $(($1 % 10)) -eq 9 ]; then
		# the config that it has, with other contents
		cp "$netns_dir/odd.yaml" "$netns_dir/now.yaml"
		reload "$netns_dir/now.yaml" || test_fail "now.yaml was refused"
		cp "$netns_dir/even.yaml" "$netns_dir/now.yaml"
		kill -s HUP "$xfq"
		wait_until 10 groups_are '["even","stay"]' || { test_show reload; test_fail "SIGHUP was not heard"; }
		next=odd
	fi
	reload "$netns_dir/$next.yaml" || test_fail "$next.yaml was refused"
}

groups_are() {
	status && jq -e ".groups | keys == $1" "$netns_dir/status.json" >/dev/null
}

settled() {
	status && sums "sum(.verdicts[]) == $injected and sum(.workers[].received) + rx_lost == .verdicts.steer
		and all(.groups[].members[]; .queued == 0)" -e >/dev/null
}

# attempt RATE
attempt() {
	local i
	removed=()
	instance_start
	member_start stay stay --name stay --gaps
	wait_until 20 everyone_is_there || { test_show reload; test_fail "the one who is to stay has not joined"; }
	bare
	load_start "$1" 500
	refusals
	looks=0
	for ((i = 0; i < reloads; i++)); do
		if [ $((i % 20)) -eq 10 ]; then
			look || abandon || return $?
			member_start "even$i" even --name even --gaps
			wait_until 10 grep -q "even: member [0-9]* (even, pid ${member_pids[even$i]}.*joined" "$netns_dir/reload.err" ||
				test_fail "nobody joins"
			removed+=("even$i")
		fi
		turn "$((i + 1))"
	done
	turn 0
	load_stop
	if ! wait_until 20 settled; then
		netns_exec far ethtool -S a0 | grep -q 'xdp_xmit_errors: [1-9]' && { abandon || return $?; }
		jq . "$netns_dir/status.json"
		test_fail "not all of $injected packets are accounted for"
	fi
	look || abandon || return $?
	received=$(sums 'sum(.workers[].received)') rx_lost=$(sums rx_lost)
	check
}

check() {
	local tag
	bare
	holds 'no packet was judged by two configs' 'sum(.workers[].unclaimed) == 0'
	holds 'the rule that both have is where it was' '.filter.rules[0] | .packets > 0 and (.what | test("icmp"))'
	holds 'and it counted all the time' ".filter.rules[0].packets + .filter.default.packets + .verdicts.steer == $injected"
	holds 'what stays has seen all that was received' ".groups.stay.packets == $received"
	holds 'and has given it to the one who stays' ".groups.stay.offered + .groups.stay.no_member == $received"
	holds 'nobody lied' 'all(.workers[]; .faulty_members == 0)'
	holds 'no metadata was missing' 'sum(.workers[].reparsed) == 0 and .noticed.no_socket == 0'
	for tag in "${removed[@]}"; do
		process_wait "${member_pids[$tag]}" 10 || test_fail "$tag, whose group was removed, has not ended"
		jq -e '.code == -32 and .end == "group even was removed by a reload" and .queued == 0
			and .repeats == 0 and .damaged == 0 and .packets > 0' "$netns_dir/$tag.out" >/dev/null ||
			{ cat "$netns_dir/$tag.out" "$netns_dir/$tag.err"; test_fail "$tag ended otherwise"; }
	done
	members_end stay
	printed stay '.packets == $received and .packets == $member.consumed and .repeats == 0 and .damaged == 0
		and .others == 0 and .lost_ring + .lost_quota == 0'
	instance_stop
	cp "$netns_dir/reload.out" "$netns_dir/status.json"
	holds 'in the end, no frame is missing' '.frames | .held == 0 and .total == .free + .kernel'
	echo "$reloads reloads, ${#removed[@]} members of groups that were removed; $injected packets, each accounted for;" \
		"$looks looks at the census$(missing)"
}

test_needs prlimit
members_begin reload "$(($(nproc) > 1 ? 2 : 1))"
config even udp even
config odd tcp odd
cp "$netns_dir/even.yaml" "$netns_dir/reload.yaml"
removed=()
attempts "$(by_preset 40000 10000)" attempt
