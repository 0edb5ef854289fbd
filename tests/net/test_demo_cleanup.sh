#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh, interrupted in the middle: no namespace, no process, no file of it remains.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping tcpdump iperf3 dnsmasq dig curl busybox setsid ss

demo_runs_xfq() {
	compgen -G "$netns_dir/tmp/xfq-demo.*/run/demo.sock" >/dev/null || process_ended "$demo"
}

namespaces_left() {
	ip netns list | grep "^xfq-$demo-" || true
}

# processes_left: of those that setsid set apart; who ended and only waits for init is gone
processes_left() {
	ps -o stat=,pid=,args= -s "$demo" | grep -v '^Z' || true
}

# interrupt SIGNAL WHOM STATUS: WHOM is the pid, or -pid for all of its process group, as Ctrl-C does
interrupt() {
	local status=0
	XFQ_DEMO_BIN=$XFQ_BIN TMPDIR=$netns_dir/tmp env --default-signal=INT,QUIT \
		setsid bash "$XFQ_SOURCE_DIR/demo.sh" >"$netns_dir/demo.out" 2>"$netns_dir/demo.err" &
	demo=$!
	process_list+=("$demo")
	wait_until 30 demo_runs_xfq
	process_alive "$demo" || { test_show demo; test_fail "demo.sh ended by itself"; }
	[ -n "$(namespaces_left)" ] || test_fail "demo.sh runs, but has no namespace xfq-$demo-*"
	sleep 3
	kill -s "$1" -- "${2/PID/$demo}"
	process_wait "$demo" 30 || { test_show demo; test_fail "demo.sh goes on after SIG$1"; }
	status=$process_status
	[ -z "$(namespaces_left)" ] || test_fail "namespaces remain after SIG$1: $(namespaces_left)"
	[ -z "$(processes_left)" ] || test_fail "processes remain after SIG$1: $(processes_left)"
	[ -z "$(ls -A "$netns_dir/tmp")" ] || test_fail "files remain after SIG$1: $(ls -A "$netns_dir/tmp")"
	[ "$status" -eq "$3" ] || test_fail "status $status after SIG$1, wanted $3"
}

netns_begin test
mkdir "$netns_dir/tmp"
interrupt INT -PID 130
interrupt TERM PID 143
echo "nothing remains of an interrupted demo"
