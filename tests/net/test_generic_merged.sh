#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# In generic mode the stack may merge packets before XFQ sees them: what does not fit a frame is passed
# on and counted, not lost without a name; and XFQ says so at its start.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs iperf3 ethtool jq

holds() {
	jq -e "def sum(f): [f] | add // 0; $2" "$netns_dir/merged.out" >/dev/null && return 0
	cat "$netns_dir/merged.out"
	test_fail "$1: $2"
}

netns_begin test
for name in client server monitor; do
	netns_add "$name"
done
netns_silence monitor
switch_create switch
netns_link client:c0 switch:pc 1
netns_link server:s0 switch:ps 1
netns_link monitor:m0 switch:pm 1
for end in client:c0 server:s0 monitor:m0 switch:pc switch:ps switch:pm; do
	netns_exec "${end%:*}" ethtool -K "${end#*:}" tx on tso on gso on gro on >/dev/null 2>&1 || true
done
for port in pc ps pm; do
	switch_plug switch "$port"
done
netns_ip client addr add 192.0.2.10/24 dev c0
netns_ip server addr add 192.0.2.1/24 dev s0
cat >"$netns_dir/merged.yaml" <<'END'
name: merged
interfaces:
  - { name: m0, mode: generic }
groups:
  all: { steer: flow, members: 2 }
END
xfq_start monitor "$netns_dir/merged.yaml" merged --json
xfq=$process_pid
xfq_ready "$xfq" merged || { test_show merged; test_fail "xfq did not come up"; }
grep -q 'm0: generic XDP sees packets after the stack has merged them' "$netns_dir/merged.err" ||
	{ test_show merged; test_fail "no warning that packets may be merged"; }
netns_start server "$netns_dir/server.log" iperf3 -s -1 -B 192.0.2.1
sleep 0.5
netns_exec client timeout 20 iperf3 -c 192.0.2.1 -n 20M >"$netns_dir/client.log" ||
	{ cat "$netns_dir/client.log"; test_fail "iperf3"; }
sleep 0.3
process_stop "$xfq" || { test_show merged; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show merged; test_fail "xfq ended with status $process_status"; }
holds 'some packets were too long' '.noticed.too_long > 0'
holds 'those were passed' '.verdicts.pass == .noticed.too_long + .noticed.no_socket'
holds 'nothing is dropped for its length' 'sum(.workers[].rx_dropped) == 0'
holds 'steered' '.verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
echo "$(jq .noticed.too_long "$netns_dir/merged.out") merged packets were passed on, and counted"
