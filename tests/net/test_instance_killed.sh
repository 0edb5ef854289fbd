#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The instance is killed while members read and wait: each of them is told, at once, and ends; the
# network goes on; an instance of the same name starts, and takes members again.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
. "$XFQ_SOURCE_DIR/tests/net/members.sh"
rate=$(by_preset 100000 20000)
end='the instance ended without a word: it was killed or has crashed'
members=(block poll spin waits waits_poll)

config() {
	cat >"$netns_dir/killed.yaml" <<'END'
name: killed
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  rules:
    - { action: steer, proto: udp }
    - { action: steer, proto: tcp }
groups:
  busy: { steer: flow, members: 0, max_members: 4 }
  idle: { match: "tcp port 1", members: 0, max_members: 4 }
END
}

xdp_gone() {
	! netns_ip near -d link show dev b0 | grep -q xdp
}

# joined BUSY IDLE: so many members are there
joined() {
	status && jq -e "[.groups.busy, .groups.idle | .members | map(select(.kind != \"joining\")) | length] == [$1, $2]" "$netns_dir/status.json" >/dev/null
}

all_read() {
	status && jq -e '[.groups.busy.members[].consumed] | all(. > 100)' "$netns_dir/status.json" >/dev/null
}

ping_through() {
	netns_exec far ping -q -c 5 -i 0.05 -W 1 192.0.2.1 | grep -q ' 5 received' || test_fail "no answer $1"
}

# ended TAG...: all of them
ended() {
	local tag
	for tag in "$@"; do
		process_ended "${member_pids[$tag]}" || return 1
	done
}

# told TAG: it has ended because the instance has, and says so
told() {
	process_wait "${member_pids[$1]}" 1 && [ "$process_status" -eq 0 ] &&
		jq -e --arg why "$end" '.end == $why and .repeats == 0 and .damaged == 0' "$netns_dir/$1.out" >/dev/null &&
		return 0
	cat "$netns_dir/$1.err" "$netns_dir/$1.out"
	test_fail "$1 ended with status $process_status, and does not say that \"$end\""
}

# milliseconds SINCE: since $EPOCHREALTIME was SINCE
milliseconds() {
	local now=$EPOCHREALTIME
	echo $(((${now/[.,]/} - ${1/[.,]/}) / 1000))
}

members_begin killed "$(($(nproc) > 1 ? 2 : 1))"
command -v ping >/dev/null || test_skip "needs ping"
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
config
instance_start
ping_through 'while the instance runs'
member_start block busy --gaps
member_start poll busy --gaps --mode poll
member_start spin busy --gaps --mode spin
member_start stopped busy --gaps
member_start waits idle
member_start waits_poll idle --mode poll
wait_until 20 joined 4 2 || { test_show killed; test_fail "not all have joined"; }
load_start "$rate" 500
wait_until 20 all_read || { jq . "$netns_dir/status.json"; test_fail "members do not read"; }
kill -s STOP "${member_pids[stopped]}"

# in the middle of the load
kill -s KILL "$xfq"
since=$EPOCHREALTIME
until ended "${members[@]}" || [ "$(milliseconds "$since")" -ge 1000 ]; do
	sleep 0.02
done
took=$(milliseconds "$since")
ended "${members[@]}" || test_fail "members go on a second after their instance was killed"
process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
for tag in "${members[@]}"; do
	told "$tag"
done
wait_until 5 xdp_gone || test_fail "an XDP program remains"
ping_through 'after the instance was killed'

# the load goes on, and so does one of the first instance's members, which sleeps
mv "$netns_dir/killed.err" "$netns_dir/first.err"
instance_start
ping_through 'through the next instance'
member_start again busy --gaps --count 5000
process_wait "${member_pids[again]}" 20 && [ "$process_status" -eq 0 ] && jq -e '.packets == 5000 and .end == "count"
	and .repeats == 0 and .damaged == 0' "$netns_dir/again.out" >/dev/null ||
	{ cat "$netns_dir"/again.*; test_show killed; test_fail "no member of the next instance gets packets"; }
kill -s CONT "${member_pids[stopped]}"
told stopped
load_stop
wait_until 10 gone || { status; jq . "$netns_dir/status.json"; test_fail "frames or members remain"; }
holds 'all is accounted for' 'all(.groups[]; .offered == given and .offered + .no_member == .packets)'
instance_stop
echo "members were told after $took ms; the next instance has members"
