#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two of the examples on a real interface: what they drop never reaches the host, what they do not is
# untouched; and `xfq filter show` counts both, with rates.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping jq

# start NAME: the example, on b0
start() {
	sed 's/name: eth0/name: b0/' "$XFQ_SOURCE_DIR/examples/$1.yaml" >"$netns_dir/$1.yaml"
	xfq_start near "$netns_dir/$1.yaml" "$1"
	xfq=$process_pid
	xfq_ready "$xfq" b0 || { test_show "$1"; test_fail "xfq did not come up ($1)"; }
}

stop() {
	process_stop "$xfq" && [ "$process_status" -eq 0 ] || { test_show "$1"; test_fail "xfq did not end well ($1)"; }
}

# datagrams PORT COUNT: from far to near
datagrams() {
	netns_exec far bash -c "for i in {1..$2}; do echo \$i >/dev/udp/192.0.2.1/$1 || true; done" 2>/dev/null
}

# arrived: UDP datagrams that near's stack has seen; nobody listens there
arrived() {
	netns_exec near awk '/^Udp:/ && $3 ~ /[0-9]/ { print $3 }' /proc/net/snmp
}

# shown FILTER: what filter show has to say
shown() {
	"$XFQ_BIN" filter show --json >"$netns_dir/show" || test_fail "xfq filter show fails"
	jq -e "$1" "$netns_dir/show" >/dev/null || { cat "$netns_dir/show"; test_fail "filter show: not $1"; }
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
netns_exec near sysctl -q -w net.ipv4.icmp_ratelimit=0
netns_exec far ping -q -c 2 -i 0.1 -W 2 192.0.2.1 >/dev/null || test_fail "no way from far to near"

start drop-dns
# what XFQ had before it gave up its privileges is not missing
if [ "$(sysctl -n net.core.bpf_jit_enable)" != 0 ] && grep "missing here: the BPF JIT" "$netns_dir/drop-dns.err"; then
	test_fail "the JIT compiler is said to be missing"
fi
if grep "missing here: XDP_USE_NEED_WAKEUP" "$netns_dir/drop-dns.err"; then
	test_fail "AF_XDP is said to lack what it has"
fi
before=$(arrived)
datagrams 53 20
datagrams 54 10
netns_exec far ping -q -c 3 -i 0.05 -W 2 192.0.2.1 >/dev/null || test_fail "drop-dns stops pings"
[ $(($(arrived) - before)) -eq 10 ] || test_fail "drop-dns: $(($(arrived) - before)) datagrams arrived, wanted the 10 to port 54"
shown '.filter.rules[0] | .action == "drop" and .what == "\"udp port 53\"" and .packets == 20 and .line == 10'
shown '.filter.default | .packets >= 13 and (.packets_per_second | type) == "number"'
datagrams 53 5 &
sender=$!
"$XFQ_BIN" filter show >"$netns_dir/table" || test_fail "filter show fails without --json"
wait "$sender"
grep -q '"udp port 53"' "$netns_dir/table" || { cat "$netns_dir/table"; test_fail "the table lacks the rule"; }
# rates: of what comes while it looks
(for i in 1 2 3 4 5 6 7 8; do datagrams 53 5; sleep 0.2; done) &
sender=$!
shown '.filter.rules[0] | .packets_per_second > 5 and .packets_per_second < 100 and .bits_per_second > 1000'
wait "$sender"
stop drop-dns
before=$(arrived)
datagrams 53 5
[ $(($(arrived) - before)) -eq 5 ] || test_fail "after its end drop-dns still drops"

start drop-icmp
before=$(arrived)
netns_exec far ping -q -c 4 -i 0.05 -W 1 192.0.2.1 >/dev/null && test_fail "drop-icmp lets pings through"
datagrams 53 10
[ $(($(arrived) - before)) -eq 10 ] || test_fail "drop-icmp: $(($(arrived) - before)) of 10 datagrams arrived"
shown '.filter.rules[0].packets == 4 and .verdicts.drop == 4'
"$XFQ_BIN" filter show --instance nobody 2>"$netns_dir/err" && test_fail "filter show of no instance"
grep -q nobody "$netns_dir/err" || test_fail "filter show of no instance: $(cat "$netns_dir/err")"
stop drop-icmp
echo "drop-dns and drop-icmp, live: what they say and nothing else"
