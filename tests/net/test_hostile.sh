#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Members that misbehave, each in its own way, beside one that does not: that one loses nothing, the
# instance goes on, all frames are accounted for, and the faulty ones are detached and named.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
hostile=${XFQ_HOSTILE_DIR:-}/hostile
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$hostile" ] || test_fail "XFQ_HOSTILE_DIR has no hostile"
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq setpriv chrt

rate=4000        # packets a second
neighbour_lost=3 # the status of an attempt in which the one that behaves has lost a packet
hurried=

# hurry PID: where the machine is so busy that a test cannot prove anything, those who must lose
# nothing run before everyone else
hurry() {
	[ -z "$hurried" ] || chrt --all-tasks --fifo --pid 1 "$1"
}

# --- what must hold -------------------------------------------------------------------------------

# sample: the counters in now.json; every frame is somewhere, always
sample() {
	timeout 10 "$XFQ_BIN" status hostile --json >"$netns_dir/now.json" || test_fail "$mode: no status"
	jq -e '.frames | .total == .free + .kernel + .worker + .held + .tx' "$netns_dir/now.json" >/dev/null ||
		test_fail "$mode: frames are missing: $(now '.frames | tostring')"
}

# now JQ: of the last sample
now() {
	jq -r "$1" "$netns_dir/now.json"
}

neighbour='.groups.all.members[] | select(.process == "xfq")'
received='[.workers[].received] | add'
dropped='[.workers[] | .rx_dropped, .rx_ring_full] | add'

# healthy: packets come in and reach the one that behaves; nothing is lost on the way
healthy() {
	local before packets
	sample
	before=$(now "$received") packets=$(now "$neighbour | .packets")
	sleep 0.2
	sample
	[ "$(now "$received")" -gt "$before" ] || test_fail "$mode: reception has stopped"
	[ "$(now "$neighbour | .packets")" -gt "$packets" ] || test_fail "$mode: the neighbour gets nothing more"
	[ "$(now "$neighbour | .lost")" -eq 0 ] && [ "$(now "$dropped")" -eq 0 ] && return 0
	echo "$mode: lost: the neighbour $(now "$neighbour | .lost"), reception $(now "$dropped")"
	exit "$neighbour_lost"
}

# left_as KIND: the last that has left the group is the one under test, and left like that
left_as() {
	sample
	[ "$(now '.groups.all.left.last[0] | "\(.process) \(.pid) \(.kind)"')" = "hostile $pid $1" ]
}

stray() { # TEXT: why the one under test is not what it should be
	cat "$log"
	test_fail "$mode: $1: $(now '.groups.all.left.last[0] | tostring')"
}

# --- members --------------------------------------------------------------------------------------

# misbehave MODE: a member of the group; its pid is in $pid, its output in $log
misbehave() {
	mode=$1 log=$netns_dir/$1.log
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$hostile" "$1" "$XFQ_RUN_DIR/hostile.sock" all "$xfq" >"$log" 2>&1 &
	pid=$!
	process_list+=("$pid")
}

killed() { # PID...
	kill -s KILL "$@"
	wait "$@" 2>/dev/null || true
}

joined() {
	wait_until 10 grep -q '^ready' "$log" || stray "did not join"
}

# detached MODE SENTENCE: is found out, counted, named, and told why
detached() {
	local faulty
	sample
	faulty=$(now '[.workers[].faulty_members] | add')
	misbehave "$1"
	wait_until 10 left_as faulty || stray "was not detached"
	wait_until 5 grep -q "^ended: -103: .*$2" "$log" || stray "was not told why"
	grep -q "all: member .* (hostile, pid $pid, user 65534) is faulty and was detached: .*$2" \
		"$netns_dir/hostile.err" || { test_show hostile; test_fail "$mode: nobody was told"; }
	[ "$(now '[.workers[].faulty_members] | add')" -gt "$faulty" ] || stray "was not counted"
	healthy
}

# borne MODE: goes on and harms nobody; what is left of it goes when it is killed
borne() {
	misbehave "$1"
	joined
	sleep 1
	healthy
	[ "$(now "[.groups.all.members[] | select(.pid == $pid)] | length")" -eq 1 ] || stray "is no member any more"
	killed "$pid"
	wait_until 5 left_as died || stray "was killed, and is a member still"
	healthy
}

# ends MODE KIND: its membership ends by what it does
ends() {
	misbehave "$1"
	wait_until 10 left_as "$2" || stray "has not $2"
	healthy
}

# Four at once that release nothing: their rings fill up to their quotas, and that is all.
stalled() {
	local pids=()
	for _ in 1 2 3 4; do
		misbehave stall
		pids+=("$pid")
		joined
	done
	wait_until 15 all_full || test_fail "the rings of members that stall do not fill up"
	healthy
	killed "${pids[@]}"
	wait_until 5 nobody_stalls || test_fail "members that were killed are there still"
	healthy
}

all_full() {
	sample
	[ "$(now '[.groups.all.members[] | select(.process == "hostile" and .lost_quota > 0)] | length')" -eq 4 ]
}

nobody_stalls() {
	sample
	[ "$(now '[.groups.all.members[] | select(.process == "hostile")] | length')" -eq 0 ]
}

# One that never says that it is ready has a place, but is no member; one that has not sealed what
# it writes does not become one.
unready() {
	misbehave half
	joined
	healthy
	[ "$(now ".groups.all.members[] | select(.pid == $pid) | .kind, .packets" | tr '\n' ' ')" = 'joining 0 ' ] ||
		stray "is a member"
	killed "$pid"
	misbehave unsealed
	wait_until 5 grep -q 'no packets will come: -103 the member has not sealed' "$log" ||
		stray "need not seal its pages"
	healthy
}

# --- the test -------------------------------------------------------------------------------------

instance_begin() {
	netns_begin test
	netns_add near
	netns_silence near
	netns_link near:a0 near:b0 2
	# too few frames for all rings together, so that quotas have to do their part
	cat >"$netns_dir/hostile.yaml" <<'END'
name: hostile
interfaces:
  - { name: b0 }
workers: { frames: 24576 }
groups:
  all: { steer: broadcast, members: 0, max_members: 10, access: shared, ring: 4096 }
END
	xfq_start near "$netns_dir/hostile.yaml" hostile --json
	xfq=$process_pid mode=start
	xfq_ready "$xfq" hostile || { test_show hostile; test_fail "xfq did not come up"; }
	hurry "$xfq"
}

# load SECONDS RATE
load() {
	netns_start near "$netns_dir/load.log" "$inject" b0 0 "$1" --flows 64 --rate "$2"
}

# Nothing of what a member may only read can be changed, by nobody and not by root either.
memory() {
	local user
	load 1 1000
	process_wait "$process_pid" 10 || test_fail "the injector did not end"
	sleep 0.3
	"$hostile" self >"$netns_dir/self.log" || test_fail "attempts that never succeed prove nothing"
	for user in 65534 0; do
		setpriv --reuid "$user" --regid "$user" --clear-groups timeout 60 \
			"$hostile" map "$XFQ_RUN_DIR/hostile.sock" all "$xfq" >"$netns_dir/map.log" 2>&1 || {
			grep -v '^refused\|^harmless\|^absent' "$netns_dir/map.log" || true
			test_fail "user $user has changed what it may only read"
		}
		[ "$(grep -c '^refused' "$netns_dir/map.log")" -gt 100 ] || test_fail "user $user has tried too little"
		echo "user $user:" "$(sed -E 's/ .*//' "$netns_dir/map.log" | sort | uniq -c | sort -rn | tr -s ' \n' ' ')"
	done
	process_alive "$xfq" || { test_show hostile; test_fail "the instance is gone"; }
}

neighbour_begin() {
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$XFQ_BIN" join all --instance hostile --json >"$netns_dir/neighbour.out" 2>"$netns_dir/neighbour.err" &
	joiner=$!
	process_list+=("$joiner")
	hurry "$joiner"
	wait_until 5 neighbour_there || { cat "$netns_dir/neighbour.err"; test_fail "the neighbour did not join"; }
}

neighbour_there() {
	sample
	[ -n "$(now "$neighbour | .pid")" ]
}

attempt() {
	instance_begin
	memory
	neighbour_begin
	load 120 "$rate"
	detached ahead 'released what it was never given'
	detached back 'took back what it had released'
	detached wild 'cons is'
	detached scribble 'cons is'
	stalled
	for how in sleepy deaf watched punch; do
		borne "$how"
	done
	! grep -q 'hole was punched' "$netns_dir/punch.log" || test_fail "a member can take pages away from the worker"
	ends chatty left
	for how in fork exec passed; do
		ends "$how" died
	done
	unready
	process_stop "$joiner" || test_fail "the neighbour did not end when asked"
	jq -e '.packets > 0 and .lost == 0' "$netns_dir/neighbour.out" >/dev/null ||
		{ cat "$netns_dir"/neighbour.*; test_fail "the neighbour says that it lost packets"; }
	process_stop "$xfq" || { test_show hostile; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq 0 ] || { test_show hostile; test_fail "xfq ended with status $process_status"; }
	jq -e '.frames | .held == 0 and .total == .free + .kernel' "$netns_dir/hostile.out" >/dev/null ||
		test_fail "frames are missing in the end: $(jq -c .frames "$netns_dir/hostile.out")"
	echo "$(jq .packets "$netns_dir/neighbour.out") packets for the one that behaves, and none lost"
}

set +e # here: within what stands before || nothing would end an attempt
(set -e; attempt)
status=$?
if [ "$status" -eq "$neighbour_lost" ]; then
	echo "again, with those who must lose nothing before everyone else"
	hurried=yes
	(set -e; attempt)
	status=$?
fi
exit "$status"
