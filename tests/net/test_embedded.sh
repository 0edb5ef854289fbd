#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An instance inside an application on a live interface: callbacks, threads and another process take
# packets from it, xfq asks it, and when it stops the interface is the kernel's again.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
embedded=${XFQ_MEMBERS_DIR:-}/embedded
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$inject" ] || test_skip "bench_inject was not built"
[ -x "$embedded" ] || test_fail "XFQ_MEMBERS_DIR has no embedded"
test_needs jq awk ping nproc
[ "$(nproc)" -ge 2 ] || test_skip "needs a CPU for each of two queues"

rate=20000 # packets a second into each queue
sums='def sum(f): [f] | add // 0;
	def given: sum(.members[] | .packets, .lost) + .left.packets + .left.lost;'

# holds FILE TEXT JQ [OPTION...]: an expression over $netns_dir/FILE that must be true
holds() {
	jq -e "${@:4}" "$sums $3" "$netns_dir/$1" >/dev/null && return 0
	jq . "$netns_dir/$1" | head -n 300
	test_fail "$2: $3"
}

status() {
	timeout 10 "$XFQ_BIN" status b0 --json >"$netns_dir/status.out"
}

joined() {
	status && jq -e '[.groups.open.members[].kind] == ["joined"]' "$netns_dir/status.out" >/dev/null
}

# load_end PID FILE: adds to $injected the packets that were injected
load_end() {
	process_wait "$1" 30 || test_fail "the injector does not end"
	[ "$process_status" -eq 0 ] || { cat "$netns_dir/$2"; test_fail "the injector failed"; }
	injected=$((injected + $(jq .packets "$netns_dir/$2")))
}

seen() {
	status && jq -e --argjson injected "$injected" '[.verdicts[]] | add == $injected' \
		"$netns_dir/status.out" >/dev/null
}

# attached: whether an XDP program is on the interface
attached() {
	netns_ip near -j link show dev b0 | jq -e '.[0].xdp' >/dev/null
}

# refused INTERFACE: there can be no instance, and it says of what
refused() {
	local status=0
	timeout 10 nsenter --net="/run/netns/$netns_prefix-near" "$embedded" "$1" >"$netns_dir/refused.out" 2>&1 || status=$?
	[ "$status" -eq 1 ] && grep -q "^embedded: .*$1" "$netns_dir/refused.out" && return 0
	sed 's/^/  | /' "$netns_dir/refused.out"
	test_fail "an instance of $1: status $status, wanted 1"
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_silence far
netns_link far:a0 near:b0 2
refused nosuch0

nsenter --net="/run/netns/$netns_prefix-near" "$embedded" b0 \
	>"$netns_dir/embedded.out" 2>"$netns_dir/embedded.err" &
pid=$!
process_list+=("$pid")
wait_until 20 grep -qs '^up$' "$netns_dir/embedded.err" || { test_show embedded; test_fail "it did not come up"; }
attached || test_fail "nothing is attached"
refused b0 # a second one

# --- another process joins, and xfq sees all of them
timeout 120 "$XFQ_BIN" join open --json --instance b0 >"$netns_dir/join.out" 2>"$netns_dir/join.err" &
join=$!
process_list+=("$join")
wait_until 10 joined || { test_show join; test_fail "nobody joined"; }
# shellcheck disable=SC2016 # jq's variables
holds status.out 'members' '.name == "b0" and (.interfaces[0].mode == "native") and (.groups |
	[.calls, .threads, .mixed, .open | [.members[].kind]]) ==
	[["worker", "worker"], ["joined", "joined"], ["worker", "joined"], ["joined"]]'
holds status.out 'whose threads they are' '(.groups | .threads, .mixed | .members[] | select(.kind == "joined") |
	.process) == "embedded"'
"$XFQ_BIN" status b0 >"$netns_dir/table.out" || test_fail "no table"
grep -q mixed "$netns_dir/table.out" || test_fail "the table does not show a group"

# --- load into both queues
injected=0
netns_start far "$netns_dir/load0.out" "$inject" a0 0 2 --send --cpu 0 --rate "$rate" --flows 512
load0=$process_pid
netns_start far "$netns_dir/load1.out" "$inject" a0 1 2 --send --cpu 1 --rate "$rate" --flows 512
load1=$process_pid
while process_alive "$load0"; do
	status || test_fail "it does not answer under load"
	holds status.out 'the census, at any time' '.frames | .total == .free + .kernel + .worker + .held + .tx'
	holds status.out 'no more than there was, at any time' '[.groups[] | .offered >= given] | all'
	sleep 0.2
done
load_end "$load0" load0.out
load_end "$load1" load1.out
# those that found the wire full have not come
injected=$((injected - $(netns_exec far ethtool -S a0 | awk '/xdp_xmit_errors/ { sum += $2 } END { print sum + 0 }')))
[ "$injected" -gt 1000 ] || test_fail "only $injected packets were injected"
wait_until 10 seen || { cat "$netns_dir/status.out"; test_fail "not all of $injected packets were seen"; }

# --- it stops, and is still there
kill -s TERM "$pid"
wait_until 10 grep -qs ended "$netns_dir/embedded.out" || { test_show embedded; test_fail "it did not stop"; }
process_alive "$pid" || test_fail "it ended, and was only to stop"
attached && test_fail "the program is still attached"
[ ! -e "$XFQ_RUN_DIR/b0.sock" ] || test_fail "the control socket is still there"
process_wait "$join" 10 || test_fail "the process that had joined does not end"
[ "$process_status" -eq 0 ] || { test_show join; test_fail "the process that had joined: status $process_status"; }

# shellcheck disable=SC2016 # jq's variables, here and below
holds embedded.out 'every packet' '[.status.verdicts[]] | add == $injected' --argjson injected "$injected"
holds embedded.out 'steered' '.status | .verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
holds embedded.out 'both workers had some' '.status.workers | length == 2 and all(.received > 0)'
# shellcheck disable=SC2016
holds embedded.out 'each group wants all' '.status | sum(.workers[].received) as $all |
	[.groups[] | .packets == $all] | all'
holds embedded.out 'what is offered' '.status.groups | [.[] | .offered == given] | all'
holds embedded.out 'broadcast to two' '.status.groups.mixed | .offered == 2 * .packets'
holds embedded.out 'what became of it' '[.status.groups[].members[] |
	.packets == .consumed + .discarded + .queued and .lost == .lost_ring + .lost_quota + .lost_detached] | all'
holds embedded.out 'callbacks lose nothing' '.status.groups | .calls.members + .mixed.members[:1] |
	all(.lost == 0 and .queued == 0)'
holds embedded.out 'what the callbacks counted' '.calls == sum(.status.groups.calls.members[].packets) and
	.mixed_calls == .status.groups.mixed.members[0].packets'
holds embedded.out 'what the threads counted' '.threads == sum(.status.groups.threads.members[].packets) and
	.mixed_threads == .status.groups.mixed.members[1].packets'
holds embedded.out 'all of them had some, and read to the end' '.ended and ([.calls, .threads, .mixed_calls,
	.mixed_threads] | all(. > 0))'
holds embedded.out 'frames' '.status.frames | .total == .free + .kernel + .worker + .held + .tx and .tx == 0'
jq --slurpfile join "$netns_dir/join.out" '.join = $join[0]' "$netns_dir/embedded.out" >"$netns_dir/both.out"
holds both.out 'what the process counted' '.join.packets == sum(.status.groups.open.members[].packets) and
	.join.packets > 0 and .join.end == "instance"'

# --- the interface is the kernel's again
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
netns_exec far ping -q -c 2 -i 0.2 -W 2 192.0.2.1 >/dev/null || test_fail "the stack does not answer after the stop"
kill -s TERM "$pid"
process_wait "$pid" 10 || test_fail "it does not end"
[ "$process_status" -eq 0 ] || { test_show embedded; test_fail "it ended with status $process_status"; }
echo "$injected packets to callbacks, threads and a process; every sum holds"
