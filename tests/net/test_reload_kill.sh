#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# XFQ is killed in the middle of reloads: what passes by its rules passes before, meanwhile and
# afterwards, and no program stays behind.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping
rounds=8
case ${XFQ_PRESET:-release} in
release) ;;
*) rounds=4 ;;
esac
least=$rounds
# where the processor is a program, a reload takes seconds, and is killed in the middle of it
[ -z "${XFQ_TEST_SCALE-}" ] || rounds=2 least=0

xdp_program() {
	netns_ip near -d -j link show dev b0 | jq -r '.[0].xdp.prog.id // .[0].xdp.attached[0].prog.id // empty'
}

xdp_gone() {
	[ -z "$(xdp_program)" ]
}

# config NAME RULE...: pings pass by the default
config() {
	cat >"$netns_dir/$1.yaml" <<END
name: kill
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  sets:
    here: { type: net, entries: [192.0.2.0/24] }
  rules:
$(printf '    - %s\n' "${@:2}")
groups:
  all: { members: 2 }
  $1: { match: udp, members: 1, run: worker }
END
}

# reload_on: reload until the instance is gone
reload_on() {
	local config
	while :; do
		for config in two one; do
			timeout 10 "$XFQ_BIN" reload --instance kill "$netns_dir/$config.yaml" 2>/dev/null || return 0
			echo .
		done
	done
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
config one '{ action: steer, proto: udp, port: 9 }'
config two '{ action: drop, proto: udp, port: 7, in: { set: here, field: src } }' '{ action: steer, proto: tcp, port: 9 }'

reloads=0
for ((round = 0; round < rounds; round++)); do
	xfq_start near "$netns_dir/one.yaml" kill
	xfq=$process_pid
	xfq_ready "$xfq" kill || { test_show kill; test_fail "xfq did not come up"; }
	reload_on >"$netns_dir/reloads" &
	reloader=$!
	wait_until 20 test -s "$netns_dir/reloads" || test_fail "nothing is reloaded"
	netns_exec far ping -q -c 150 -i 0.01 -W 1 192.0.2.1 >"$netns_dir/ping" &
	pinger=$!
	# at another place of a reload each time
	sleep "0.$((400 + round * 37))" # of the second and a half that pings take
	kill -s KILL "$xfq"
	process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
	wait "$pinger" || true
	wait "$reloader" || true
	# veth throws away what is in its ring at the moment that it loses its XDP program
	answered=$(sed -nE 's/.* ([0-9]+) received.*/\1/p' "$netns_dir/ping")
	[ "${answered:-0}" -ge 149 ] || { cat "$netns_dir/ping"; test_fail "round $round: pings were lost"; }
	wait_until 5 xdp_gone || test_fail "XDP program $(xdp_program) remains on b0"
	reloads=$((reloads + $(wc -l <"$netns_dir/reloads")))
done
[ "$reloads" -ge "$least" ] || { test_show kill; test_fail "hardly anything was reloaded"; }
echo "killed $rounds times in the middle of $reloads reloads: pings were answered, no program remains"
