#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# XFQ is killed without a chance to tidy up: the network goes on, and no program stays behind.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

promiscuity() {
	netns_ip near -d -j link show dev b0 | jq '.[0].promiscuity'
}

xdp_program() {
	netns_ip near -d -j link show dev b0 | jq -r '.[0].xdp.prog.id // .[0].xdp.attached[0].prog.id // empty'
}

xdp_gone() {
	[ -z "$(xdp_program)" ]
}

promiscuity_restored() {
	[ "$(promiscuity)" -eq "$before" ]
}

ping_through() {
	netns_exec far ping -q -c 5 -i 0.05 -W 1 "$1" | grep -q ' 5 received'
}

ping_both() {
	ping_through 192.0.2.1 || test_fail "no answer over IPv4 $1"
	ping_through 2001:db8::1 || test_fail "no answer over IPv6 $1"
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip far addr add 2001:db8::10/64 dev a0 nodad
netns_ip near addr add 192.0.2.1/24 dev b0
netns_ip near addr add 2001:db8::1/64 dev b0 nodad
cat >"$netns_dir/kill.yaml" <<'END'
name: kill
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  rules:
    - { action: steer, proto: udp, port: 9 }
groups:
  all: { steer: flow, members: 2, sink: count, run: thread }
END
ping_both 'before'
before=$(promiscuity)

xfq_start near "$netns_dir/kill.yaml" kill
xfq=$process_pid
xfq_ready "$xfq" kill || { test_show kill; test_fail "xfq did not come up"; }
[ -n "$(xdp_program)" ] || test_fail "no XDP program on b0 while xfq runs"
[ "$(promiscuity)" -eq $((before + 1)) ] ||
	test_fail "promiscuity of b0 is $(promiscuity) while xfq runs, was $before"
ping_both 'while xfq runs'

kill -s KILL "$xfq"
process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
ping_both 'after xfq was killed'
wait_until 5 xdp_gone || test_fail "XDP program $(xdp_program) remains on b0"
wait_until 5 promiscuity_restored || test_fail "promiscuity of b0 is $(promiscuity), was $before"
ping_both 'in the end'
echo "killed: traffic goes on, no program and no promiscuous mode remain"
