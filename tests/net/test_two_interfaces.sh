#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two interfaces of one instance, with different numbers of queues: worker i serves queue i of both.
# One of them goes away, and the other goes on. Also the modes that the driver has, and has not.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs jq

# send DEVICE-ADDRESS COUNT: datagrams from many ports, so that they spread over the queues
send() {
	# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
	netns_exec far bash -c 'for ((i = 0; i < $2; i++)); do echo "$i" >/dev/udp/$1/9; done' bash "$1" "$2"
}

# equals JQ NUMBER: over the summary
equals() {
	local seen
	seen=$(jq "$1" "$netns_dir/$tag.out")
	[ "$seen" = "$2" ] && return 0
	cat "$netns_dir/$tag.out"
	test_fail "$tag: $1 is $seen, wanted $2"
}

# steered INSTANCE NUMBER: the running instance has seen so many packets
steered() {
	timeout 5 "$XFQ_BIN" status "$1" --json | jq -e ".verdicts.steer == $2" >/dev/null
}

start() {
	tag=$1
	xfq_start near "$netns_dir/$1.yaml" "$1" --json
	xfq=$process_pid
	xfq_ready "$xfq" "$1" || { test_show "$1"; test_fail "xfq did not come up"; }
}

# finish STATUS
finish() {
	process_stop "$xfq" || { test_show "$tag"; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq "$1" ] || { test_show "$tag"; test_fail "$tag: status $process_status, wanted $1"; }
}

# config NAME MODE INTERFACE...
config() {
	local interface
	{
		echo "name: $1"
		echo "interfaces:"
		for interface in "${@:3}"; do
			echo "  - { name: $interface, mode: $2 }"
		done
		cat <<'END'
filter:
  default: pass
  rules:
    - { action: steer, proto: udp, dport: 9 }
groups:
  threads: { steer: flow, members: 2 }
  worker: { steer: flow, members: 2, run: worker }
END
	} >"$netns_dir/$1.yaml"
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_link far:a0 near:b0 1
netns_link far:a1 near:b1 2
for i in 0 1; do
	netns_ip far addr add "192.0.2.$((1 + 128 * i))/25" dev "a$i"
	netns_ip far neigh replace "192.0.2.$((2 + 128 * i))" lladdr 02:00:00:00:00:01 dev "a$i"
done

config both auto b0 b1
start both
send 192.0.2.2 100
send 192.0.2.130 200
wait_until 5 steered both 300 || { "$XFQ_BIN" status both; test_fail "300 packets were not steered"; }
netns_ip far link del a0
wait_until 5 grep -q 'b0: the interface went away' "$netns_dir/both.err" ||
	{ test_show both; test_fail "nobody said that b0 went away"; }
send 192.0.2.130 50
wait_until 5 steered both 350 || { "$XFQ_BIN" status both; test_fail "b1 did not go on"; }
finish 1
equals '.workers | length' 2
equals '[.workers[].received] | add' 350
equals '.workers[1].received > 0' true
equals '.groups.threads.packets' 350
equals '[.groups[].members[].lost] | add' 0
equals '.interfaces[0].gone' true
equals '.noticed.no_socket' 0

config generic generic b1
start generic
send 192.0.2.130 60
wait_until 5 steered generic 60 || { "$XFQ_BIN" status generic; test_fail "generic mode did not steer"; }
finish 0
equals '.interfaces[0].mode' '"generic"'
equals '.groups.worker.packets' 60

config zero zero-copy b1
status=0
netns_exec near timeout 20 "$XFQ_BIN" run "$netns_dir/zero.yaml" >"$netns_dir/zero.out" 2>"$netns_dir/zero.err" || status=$?
[ "$status" -eq 1 ] || { test_show zero; test_fail "zero-copy on veth ended with $status, wanted 1"; }
grep -q 'b1: the driver has no zero-copy' "$netns_dir/zero.err" || { test_show zero; test_fail "no word about zero-copy"; }

netns_ip near link set b1 down
config down auto b1
start down
grep -q 'b1: the interface is down' "$netns_dir/down.err" || { test_show down; test_fail "no word of the dead line"; }
netns_ip near link set b1 up
netns_ip far neigh replace 192.0.2.130 lladdr 02:00:00:00:00:01 dev a1
send 192.0.2.130 40
wait_until 5 grep -q 'b1: the link is up again' "$netns_dir/down.err" ||
	{ test_show down; test_fail "no word of the line that came alive"; }
wait_until 5 steered down 40 || { "$XFQ_BIN" status down; test_fail "nothing came when the line was up again"; }
finish 0
echo "two interfaces in one instance, native and generic; a dead line that comes alive; zero-copy refused"
