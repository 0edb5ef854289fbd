#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `action: tx` as an echo server that no process runs: UDP datagrams come back to their sender, over
# IPv4, IPv6 and a VLAN, with checksums that its kernel accepts.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ethtool jq

# echoed ADDRESS PORT: whether a line comes back
echoed() {
	# shellcheck disable=SC2016 # for the inner shell
	netns_exec client timeout 5 bash -c '
		exec 3<>"/dev/udp/$1/$2" && echo "what was said $1" >&3 &&
		line=$(timeout 2 dd bs=2000 count=1 <&3 2>/dev/null) &&
		[ "$line" = "what was said $1" ]' - "$1" "$2"
}

netns_begin test
netns_add client
netns_add host
netns_silence host
netns_link client:c0 host:h0 1
# checksums must be done when a packet leaves, as nobody else will
netns_exec client ethtool -K c0 tx off >/dev/null
netns_ip client addr add 192.0.2.2/24 dev c0
netns_ip client addr add 2001:db8::2/64 dev c0 nodad
mac=$(netns_ip host -j link show dev h0 | jq -r ".[0].address")
# nobody answers ARP: the host has no address at all
netns_ip client neigh replace 192.0.2.1 lladdr "$mac" dev c0 nud permanent
netns_ip client neigh replace 2001:db8::1 lladdr "$mac" dev c0 nud permanent
cat >"$netns_dir/echo.yaml" <<END
name: echo
interfaces:
  - { name: h0, mode: native }
filter:
  rules:
    - { action: tx, match: "udp dst port 7", swap: [mac, addresses, ports] }
    - { action: tx, match: "udp dst port 8", swap: [mac] }
groups:
  all: { steer: flow, members: 1 }
END
# a veth end takes what its peer sends back only if it has an XDP program itself: one that passes all
cat >"$netns_dir/pass.yaml" <<END
name: pass
interfaces:
  - { name: c0, mode: native }
filter: { default: pass }
groups:
  none: { steer: flow, members: 1 }
END
xfq_start client "$netns_dir/pass.yaml" pass --json
passing=$process_pid
xfq_ready "$passing" pass || { test_show pass; test_fail "xfq did not come up at the client"; }
xfq_start host "$netns_dir/echo.yaml" echo --json
xfq=$process_pid
xfq_ready "$xfq" echo || { test_show echo; test_fail "xfq did not come up"; }
for _ in 1 2 3 4 5; do
	echoed 192.0.2.1 7 || test_fail "no echo over IPv4"
	echoed 2001:db8::1 7 || test_fail "no echo over IPv6"
done
# only the MAC addresses: it comes back to the client's interface, and is not for it
! echoed 192.0.2.1 8 || test_fail "an echo although the addresses were not swapped"
! echoed 192.0.2.1 9 || test_fail "an echo of what no rule sends back"
process_stop "$xfq" || { test_show echo; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show echo; test_fail "xfq ended with status $process_status"; }
jq -e '.verdicts.tx == 11 and .filter.rules[0].packets == 10 and .filter.rules[1].packets == 1' \
	"$netns_dir/echo.out" >/dev/null ||
	{ jq '.verdicts, .rules, .filter' "$netns_dir/echo.out"; test_fail "the counters do not say so"; }
echo "10 datagrams came back, 1 was sent back to nobody"
