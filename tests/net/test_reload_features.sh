#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a reload changes besides rules: what groups claim, named sets and who was added to them, egress
# rules; each is asked by packets that are sent. And an instance that has given up the privileges
# for it.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

# config FILE: from standard input
config() {
	{
		echo "name: features"
		echo "interfaces: [{ name: b0, queues: all, mode: auto }]"
		cat
	} >"$netns_dir/$1.yaml"
}

reload() {
	timeout 20 "$XFQ_BIN" reload --instance features "$netns_dir/$1.yaml" || {
		test_show features
		test_fail "$1.yaml was refused"
	}
}

status() {
	timeout 10 "$XFQ_BIN" status features --json >"$netns_dir/status.json"
}

# value JQ
value() {
	status
	jq "$1" "$netns_dir/status.json"
}

# send PORT...: ten datagrams to each
send() {
	# shellcheck disable=SC2016 # $1 is the inner shell's
	netns_exec far bash -c 'for port in "$@"; do for i in {1..10}; do echo "$i" >/dev/udp/192.0.2.1/$port; done; done' bash "$@"
}

# is JQ NUMBER: soon
is() {
	local seen
	for _ in {1..50}; do
		seen=$(value "$1")
		[ "$seen" = "$2" ] && return 0
		sleep 0.1
	done
	jq . "$netns_dir/status.json"
	test_fail "$1 is $seen, wanted $2"
}

# claims PUSH_DOWN: groups come and go, and what they want is steered; the same for the groups
# wherever it is decided
claims() {
	local one two
	config claims <<END
filter: { default: claimed, push_down: $1 }
groups: { one: { match: udp dst port 1001 }, two: { match: udp dst port 1002 } }
END
	config others <<END
filter: { default: claimed, push_down: $1 }
groups: { three: { match: udp dst port 1003 }, one: { match: udp dst port 1001 or udp dst port 1004 } }
END
	reload claims
	one=$(value .groups.one.packets)
	send 1001 1002 1003 1004
	is .groups.one.packets $((one + 10))
	is .groups.two.packets 10
	reload others
	send 1001 1002 1003 1004
	is .groups.one.packets $((one + 30))
	is .groups.three.packets 10
	is '.groups | keys | length' 2
	two=$(value '[.workers[].unclaimed] | add')
	reload claims
	is .groups.two.packets 0
	[ "$1" = false ] || is '[.workers[].unclaimed] | add' "$two"
}

# live_set: members that were added to a set stay, as long as the config says what it said
live_set() {
	config set <<END
filter:
  default: pass
  sets: { here: { type: port, entries: [1001] } }
  rules: [{ action: drop, proto: udp, in: { set: here, field: dst } }]
groups: { one: {} }
END
	config set2 <<END
filter:
  default: pass
  sets: { more: { type: port, entries: [7] }, here: { type: port, entries: [1001] } }
  rules: [{ action: drop, proto: tcp }, { action: drop, proto: udp, in: { set: here, field: dst } }]
END
	config set3 <<END
filter:
  default: pass
  sets: { here: { type: port, entries: [1003] } }
  rules: [{ action: drop, proto: udp, in: { set: here, field: dst } }]
END
	reload set
	"$XFQ_BIN" set add --instance features here 1002 >/dev/null || test_fail "nothing can be added to a set"
	send 1001 1002 1003
	is '.filter.rules[0].packets' 20
	reload set2
	send 1001 1002 1003
	is '.filter.rules[1].packets' 40
	# it says something else: that is what it has
	reload set3
	send 1001 1002 1003
	is '.filter.rules[0].packets' 50
}

# egress_rules: come and go
egress_rules() {
	config out <<END
filter: { default: pass }
egress: { default: pass, rules: [{ action: drop, proto: icmp }] }
END
	config free <<END
filter: { default: pass }
END
	reload free
	netns_exec near ping -q -c 1 -W 2 192.0.2.10 >/dev/null || test_fail "no ping leaves"
	reload out
	! netns_exec near ping -q -c 1 -W 1 192.0.2.10 >/dev/null 2>&1 || test_fail "a ping leaves against the rules"
	reload free
	netns_exec near ping -q -c 1 -W 2 192.0.2.10 >/dev/null || test_fail "no ping leaves any more"
}

# no_reload: it has no privileges, and says so
no_reload() {
	local task
	xfq_start near "$netns_dir/claims.yaml" bare --no-reload
	xfq=$process_pid
	xfq_ready "$xfq" features || { test_show bare; test_fail "xfq did not come up"; }
	for task in "/proc/$xfq/task"/*/status; do
		! grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):.*[1-9a-f]' "$task" || test_fail "$task: capabilities"
	done
	! timeout 20 "$XFQ_BIN" reload 2>"$netns_dir/refused" || test_fail "it was reloaded"
	grep -q 'was started with --no-reload' "$netns_dir/refused" || { cat "$netns_dir/refused"; test_fail "it does not say why"; }
	send 1001
	is .groups.one.packets 10
	kill -s HUP "$xfq"
	wait_until 5 grep -q 'not reloaded' "$netns_dir/bare.err" || test_fail "SIGHUP was not heard"
	send 1001
	is .groups.one.packets 20
	process_stop "$xfq" || test_fail "xfq did not end when asked"
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
mac=$(netns_ip near -j link show dev b0 | jq -r '.[0].address')
netns_ip far neigh replace 192.0.2.1 lladdr "$mac" dev a0
config features <<END
filter: { default: pass }
groups: { one: { match: tcp port 9 } }
END
xfq_start near "$netns_dir/features.yaml" features --json
xfq=$process_pid
xfq_ready "$xfq" features || { test_show features; test_fail "xfq did not come up"; }
claims true
claims false
live_set
egress_rules
process_stop "$xfq" || { test_show features; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show features; test_fail "xfq ended with status $process_status"; }
no_reload
echo "claims, sets and egress rules follow the config; without privileges nothing does"
