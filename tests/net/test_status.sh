#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# xfq status: of a running instance, of none, and after one that was killed left its socket.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

# no_instance TEXT: status must fail with 1 and say something that names the instance
no_instance() {
	local status=0
	timeout 10 "$XFQ_BIN" status seen >"$netns_dir/none.out" 2>"$netns_dir/none.err" || status=$?
	[ "$status" -eq 1 ] || { test_show none; test_fail "xfq status $1: exit status $status, wanted 1"; }
	grep -q seen "$netns_dir/none.err" || { test_show none; test_fail "xfq status $1: does not name the instance"; }
}

start() { # TAG
	xfq_start near "$netns_dir/seen.yaml" "$1"
	xfq=$process_pid
	xfq_ready "$xfq" seen || { test_show "$1"; test_fail "xfq did not come up ($1)"; }
}

# counted TEXT: status must show packets after some were sent
counted() {
	netns_exec far ping -q -c 5 -i 0.05 -W 1 192.0.2.1 >/dev/null || test_fail "ping gets no answer ($1)"
	"$XFQ_BIN" status seen --json >"$netns_dir/status.json" || test_fail "xfq status fails ($1)"
	jq -e '.verdicts.pass >= 5 and (.workers | type == "array") and (.groups.all.members | length == 2)
		and (.filter.rules | length == 1)' "$netns_dir/status.json" >/dev/null || {
		cat "$netns_dir/status.json"
		test_fail "xfq status --json does not show what was sent ($1)"
	}
	"$XFQ_BIN" status seen >"$netns_dir/table" || test_fail "xfq status without --json fails ($1)"
	grep -q all "$netns_dir/table" || test_fail "the table does not show the group ($1)"
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
cat >"$netns_dir/seen.yaml" <<'END'
name: seen
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  rules:
    - { action: steer, proto: udp, port: 9 }
groups:
  all: { steer: flow, members: 2, sink: count, run: thread }
END

no_instance 'before any start'
start one
counted 'first start'
[ "$("$XFQ_BIN" status --json | jq -c .filter.rules[0].action)" = '"steer"' ] ||
	test_fail "xfq status without a name does not find the only instance"
kill -s KILL "$xfq"
process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
[ -S "$XFQ_RUN_DIR/seen.sock" ] || test_fail "no stale socket to test with"
no_instance 'after SIGKILL'
start two
counted 'start over a stale socket'
process_stop "$xfq" || test_fail "xfq did not end when asked"
[ "$process_status" -eq 0 ] || { test_show two; test_fail "xfq ended with status $process_status"; }
[ ! -e "$XFQ_RUN_DIR/seen.sock" ] || test_fail "the control socket remains after the end"
no_instance 'after the end'
echo "status of a running, of no, and of a restarted instance"
