#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A second instance on the same interface is refused with the interface's name; the first goes on.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

config_write() { # NAME
	cat >"$netns_dir/$1.yaml" <<END
name: $1
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
groups:
  all: { steer: flow, members: 1, sink: count, run: thread }
END
}

program_id() {
	netns_ip near -d -j link show dev b0 | jq -r '.[0].xdp | .prog.id // .attached[0].prog.id // empty'
}

# refused NAME: an instance of that name must end by itself, with status 1, naming b0
refused() {
	xfq_start near "$netns_dir/$1.yaml" "again-$1"
	process_wait "$process_pid" 15 || test_fail "the second instance ($1) did not end"
	if [ "$process_status" -ne 1 ] || ! grep -q b0 "$netns_dir/again-$1.err"; then
		test_show "again-$1"
		test_fail "the second instance ($1) ended with status $process_status; wanted 1 and a message naming b0"
	fi
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
config_write first
config_write second

xfq_start near "$netns_dir/first.yaml" first
first=$process_pid
xfq_ready "$first" first || { test_show first; test_fail "the first instance did not come up"; }
program=$(program_id)
[ -n "$program" ] || test_fail "no XDP program on b0"

refused second

process_alive "$first" || { test_show first; test_fail "the first instance is gone"; }
[ "$(program_id)" = "$program" ] || test_fail "the first instance's program $program was replaced: $(program_id)"
"$XFQ_BIN" status first --json | jq -e .verdicts >/dev/null || test_fail "the first instance does not answer"
before=$("$XFQ_BIN" status first --json | jq '.verdicts.pass')
netns_exec far ping -q -c 5 -i 0.05 -W 1 192.0.2.1 | grep -q ' 5 received' || test_fail "ping gets no answer"
after=$("$XFQ_BIN" status first --json | jq '.verdicts.pass')
[ $((after - before)) -ge 5 ] || test_fail "the first instance no longer counts: $before, then $after"
process_stop "$first" || test_fail "the first instance did not end when asked"
[ "$process_status" -eq 0 ] || { test_show first; test_fail "the first instance ended with status $process_status"; }
echo "second instance refused, first unharmed"
