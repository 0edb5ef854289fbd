# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by tests of members, after scripts/netns.sh: numbered load, members that check the numbers
# (tests/members/consume.c), others that come and go (churn.c), and the sums that must hold.
#
#	members_begin NAME QUEUES     what the test needs; namespaces far and near, a veth pair a0-b0
#	instance_start                the instance NAME with $netns_dir/NAME.yaml
#	member_start TAG GROUP ...    a consume; its output in TAG.out and TAG.err
#	load_start RATE FLOWS         numbered packets into every queue, RATE a second in all
#	watch PID...                  look at the sums, often, until these processes have ended
#	load_stop                     sets $injected
#	settle                        everything that was injected has been read by those who are there
#	members_end TAG...; instance_stop
#
# Members that are called stay* are those that must not lose a packet. Where the machine is too busy
# for that, a test cannot prove what it is to prove: `attempts` tries again with less load.
# $received is of $injected without $rx_lost, what the workers had no time for.

consume=${XFQ_MEMBERS_DIR:-}/consume
churn=${XFQ_MEMBERS_DIR:-}/churn
inject=$XFQ_BENCH_DIR/bench_inject
members_lost=3 # what an attempt returns where a packet was lost that must not be
declare -A member_pids=()
injector_pids=()
injected=0 received=0 rx_lost=0
hurried=  # not empty: the machine is busy
may_lose= # "rx": packets may be lost before the rings; "all": anywhere; they are counted anyway

# by_preset RELEASE SANITIZERS: programs under sanitizers are some 10 times as slow
by_preset() {
	case ${XFQ_PRESET:-release} in
	release) echo "$1" ;;
	*) echo "$2" ;;
	esac
}

members_begin() {
	name=$1 queues=$2
	[ -x "$inject" ] || test_skip "bench_inject was not built"
	[ -x "$consume" ] && [ -x "$churn" ] || test_fail "XFQ_MEMBERS_DIR has no consume and churn"
	test_needs jq awk chrt
	netns_begin "$name"
	netns_add far
	netns_add near
	netns_silence far
	netns_silence near
	netns_link far:a0 near:b0 "$queues"
}

instance_start() {
	xfq_start near "$netns_dir/$name.yaml" "$name" --json
	xfq=$process_pid
	xfq_ready "$xfq" "$name" || { test_show "$name"; test_fail "xfq did not come up"; }
	hurry "$xfq" 11
}

# hurry PID PRIORITY: where a try has failed because the machine is busy, those who must lose nothing
# run before everyone else
hurry() {
	[ -z "$hurried" ] || chrt --all-tasks --fifo --pid "$2" "$1" || true
}

instance_stop() {
	process_stop "$xfq" || { test_show "$name"; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq 0 ] || { test_show "$name"; test_fail "xfq ended with status $process_status"; }
}

member_start() {
	nsenter --net="/run/netns/$netns_prefix-near" "$consume" "${@:2}" \
		>"$netns_dir/$1.out" 2>"$netns_dir/$1.err" &
	process_list+=("$!")
	member_pids[$1]=$!
	hurry "$!" 10
}

# churn_start TAG ARGUMENT...: its pid is in process_pid
churn_start() {
	nsenter --net="/run/netns/$netns_prefix-near" "$churn" "${@:2}" \
		>"$netns_dir/$1.out" 2>"$netns_dir/$1.err" &
	process_pid=$!
	process_list+=("$process_pid")
}

# churn_end TAG PID: it has ended; sets $started, of how many processes
churn_end() {
	process_wait "$2" 40 || test_fail "$1 does not end"
	if [ "$process_status" -ne 0 ]; then
		head -n 20 "$netns_dir/$1.err"
		test_fail "$1: members ended otherwise than they were told to"
	fi
	started=$(jq -s 'map(select(.program == "churn").started) | add' "$netns_dir/$1.out")
}

# members_end TAG...: tell them to leave; each must have ended with 0
members_end() {
	local tag
	for tag in "$@"; do
		kill -s TERM "${member_pids[$tag]}" 2>/dev/null || true
	done
	for tag in "$@"; do
		process_wait "${member_pids[$tag]}" 20 || test_fail "$tag does not end"
		[ "$process_status" -eq 0 ] && continue
		cat "$netns_dir/$tag.err" "$netns_dir/$tag.out"
		test_fail "$tag ended with status $process_status"
	done
}

load_start() {
	local queue
	injector_pids=()
	for ((queue = 0; queue < queues; queue++)); do
		netns_start far "$netns_dir/load$queue" "$inject" a0 "$queue" 280 --send --cpu "$queue" \
			--sequence --rate $(($1 / queues)) --flows "$2"
		injector_pids+=("$process_pid")
	done
	wait_until 10 load_flows || { cat "$netns_dir"/load*; test_fail "the load does not come"; }
}

load_flows() {
	status && jq -e '[.workers[].received] | all(. > 0)' "$netns_dir/status.json" >/dev/null
}

load_stop() {
	local queue count
	injected=0
	for ((queue = 0; queue < queues; queue++)); do
		process_stop "${injector_pids[queue]}" && [ "$process_status" -eq 0 ] ||
			{ cat "$netns_dir/load$queue"; test_fail "an injector failed"; }
		count=$(jq .packets "$netns_dir/load$queue")
		injected=$((injected + count))
	done
}

# status: all counters of the instance, in status.json
status() {
	timeout 10 "$XFQ_BIN" status "$name" --json >"$netns_dir/status.json"
}

# What the sums are made of.
sums='def sum(f): [f] | add // 0;
	def stays: select((.process // "") | startswith("stay"));
	def rx_lost: sum(.workers[] | .rx_dropped, .rx_ring_full);
	def lost: (if $may_lose == "" then rx_lost else 0 end) +
		(if $may_lose == "all" then 0 else sum(.groups[].members[] | stays | .lost) end);
	def census: .frames | .total == .free + .kernel + .worker + .held + .tx;
	def given: sum(.members[] | .packets, .lost) + .left.packets + .left.lost;'

# sums JQ [OPTION...]: of status.json
sums() {
	jq "${@:2}" --arg may_lose "$may_lose" "$sums $1" "$netns_dir/status.json"
}

# holds TEXT JQ [OPTION...]: an expression over status.json that must be true
holds() {
	sums "$2" -e "${@:3}" >/dev/null && return 0
	jq . "$netns_dir/status.json" | head -n 400
	test_fail "$1: $2"
}

# look: at one moment, under load. Returns $members_lost where that has been
look() {
	local seen
	status || { test_show "$name"; test_fail "the instance does not answer"; }
	seen=$(sums 'if census | not then "the census does not add up"
		elif [.groups[].members[] | .queued >= 0] | all | not then "a member has read more than it was given"
		elif [.groups[] | .offered >= given] | all | not then "members were given more than there was"
		elif lost > 0 then "lost"
		else "sound" end' -r)
	looks=$((looks + 1))
	case $seen in
	sound) return 0 ;;
	lost) return "$members_lost" ;;
	esac
	cat "$netns_dir/status.json"
	test_fail "$seen"
}

# watch PID...: until all have ended
watch() {
	local pid
	looks=0
	for pid in "$@"; do
		while process_alive "$pid"; do
			look || return $?
			sleep 0.2
		done
	done
	look
}

# settled: all that was injected has been seen, and the members have read it
settled() {
	status && sums "sum(.workers[].received) + rx_lost == $injected and all(.groups[].members[]; .queued == 0)" \
		-e >/dev/null
}

settle() {
	if wait_until 20 settled; then
		received=$(sums 'sum(.workers[].received)') rx_lost=$(sums rx_lost)
		look
		return $?
	fi
	netns_exec far ethtool -S a0 | grep -q 'xdp_xmit_errors: [1-9]' && return "$members_lost" # on the wire
	jq . "$netns_dir/status.json"
	test_fail "not all of $injected packets were read"
}

# printed TAG JQ: of what a member printed at its end, an expression that must be true; $member is
# its row of the instance's counters in status.json as that was before
printed() {
	local row
	row=$(jq -c --argjson pid "${member_pids[$1]}" '.groups[].members[] | select(.pid == $pid)' \
		"$netns_dir/status.json")
	[ -n "$row" ] || test_fail "$1 is none of the instance's members"
	jq -e --argjson received "$received" --argjson rx_lost "$rx_lost" --argjson member "$row" "$2" \
		"$netns_dir/$1.out" >/dev/null && return 0
	echo "$row"
	cat "$netns_dir/$1.out" "$netns_dir/$1.err"
	test_fail "$1: $2"
}

# gone: nobody who had joined is there, and every frame is free or the kernel's
gone() {
	status && jq -e '(.frames | .held == 0 and .free + .kernel == .total) and
		all(.groups[].members[]; .kind != "joined")' "$netns_dir/status.json" >/dev/null
}

# said WORD [GROUP]: how many members have, as the instance said
said() {
	grep -cE "^xfq run: ${2:-[a-z0-9]+}: member [0-9]+ .* $1" "$netns_dir/$name.err" || true
}

# abandon: an attempt that lost; end all that it started, and return $members_lost
abandon() {
	processes_end "${process_list[@]}"
	process_list=() member_pids=()
	return "$members_lost"
}

# attempts RATE COMMAND...: COMMAND with that rate behind it, and, where packets were lost that must
# not be, twice more with half of it each time, in a hurry. The last time what the workers had no
# time for may be missing, and only that: who stays must have read all that they received.
attempts() {
	local rate=$1 try status
	for try in 1 2 3; do
		status=0
		"${@:2}" "$rate" || status=$?
		[ "$status" -eq "$members_lost" ] || return "$status"
		echo "try $try: packets were lost at $rate a second: the machine is too busy"
		sums '{rx_lost: rx_lost, lost: [.groups[].members[] | stays | .lost]}' -c
		rate=$((rate / 2)) hurried=1
		[ "$try" -lt 2 ] || may_lose=rx
	done
	test_fail "packets were lost at every rate"
}

# missing: at the end of the line that a test prints
missing() {
	[ "$rx_lost" -eq 0 ] || echo "; $rx_lost of them never came to the workers"
}
