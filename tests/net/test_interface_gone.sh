#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An interface that is not there, and one that goes away: status 1 and its name, and no hang.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs sed

config_write() { # NAME INTERFACE
	cat >"$netns_dir/$1.yaml" <<END
name: $1
interfaces:
  - { name: $2, queues: all, mode: auto }
groups:
  all: { steer: flow, members: 2, sink: count, run: thread }
END
}

# ended PID TAG INTERFACE: within 10 s, with status 1 and the interface's name
ended() {
	process_wait "$1" 10 || { test_show "$2"; test_fail "xfq still runs without its interface $3"; }
	[ "$process_status" -eq 1 ] || { test_show "$2"; test_fail "status $process_status, wanted 1"; }
	grep -q "$3" "$netns_dir/$2.err" || { test_show "$2"; test_fail "the message does not name $3"; }
	[ ! -e "$XFQ_RUN_DIR/$2.sock" ] || test_fail "the control socket of $2 remains"
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2

config_write missing nope0
xfq_start near "$netns_dir/missing.yaml" missing
ended "$process_pid" missing nope0

config_write gone b0
xfq_start near "$netns_dir/gone.yaml" gone
xfq=$process_pid
xfq_ready "$xfq" gone || { test_show gone; test_fail "xfq did not come up"; }
netns_ip near link del b0
ended "$xfq" gone b0
echo "missing and removed interfaces are named, with status 1"
