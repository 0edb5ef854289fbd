#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A config that would cut the SSH session it is started from is refused, unless somebody insists; at
# start and at a reload, and only where the session's packets come by one of its interfaces.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

# config NAME INTERFACE DEFAULT [RULE]
config() {
	printf 'name: %s\ninterfaces:\n  - { name: %s }\nfilter:\n  default: %s\n' "$1" "$2" "$3"
	[ -z "${4-}" ] || printf '  rules:\n    - %s\n' "$4"
	printf 'groups:\n  all: { members: 1 }\n'
}

# refused WORDS CONFIG: xfq run refuses it, with these words, and has attached nothing
refused() {
	local status=0
	netns_exec near timeout 10 "$XFQ_BIN" run "$2" --for 0.2 >"$netns_dir/refused.out" 2>&1 || status=$?
	[ "$status" -eq 1 ] || { cat "$netns_dir/refused.out"; test_fail "$2: status $status, wanted 1"; }
	grep -qF -- "$1" "$netns_dir/refused.out" || { cat "$netns_dir/refused.out"; test_fail "$2: not said: $1"; }
	grep -qF -- '--force' "$netns_dir/refused.out" || test_fail "$2: the way out is not named"
}

# runs CONFIG [OPTION...]: xfq run does it
runs() {
	netns_exec near timeout 10 "$XFQ_BIN" run "$1" --for 0.2 "${@:2}" >"$netns_dir/runs.out" 2>&1 || {
		cat "$netns_dir/runs.out"
		test_fail "$*: refused"
	}
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 1
netns_link far:a1 near:b1 1
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
netns_ip far addr add 2001:db8::10/64 dev a0 nodad
netns_ip near addr add 2001:db8::1/64 dev b0 nodad
netns_ip near addr add 198.51.100.1/24 dev b1
netns_ip near route add 203.0.113.0/24 via 192.0.2.10 dev b0
config steer b0 steer >"$netns_dir/steer.yaml"
config other b1 steer >"$netns_dir/other.yaml"
config pass b0 pass >"$netns_dir/pass.yaml"
config ssh b0 steer '{ action: pass, match: tcp port 22 }' >"$netns_dir/ssh.yaml"
config drop b0 pass '{ action: drop, proto: tcp }' >"$netns_dir/drop.yaml"
config limit b0 pass '{ action: limit, match: tcp, rate: 100000 }' >"$netns_dir/limit.yaml"

unset SSH_CONNECTION SSH_CLIENT
export SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22'
refused 'steer (default) would take away from the host the SSH session from 192.0.2.10 port 50000' "$netns_dir/steer.yaml"
refused 'rule 0, line 7: drop (tcp) would drop' "$netns_dir/drop.yaml"
refused 'would limit' "$netns_dir/limit.yaml"
runs "$netns_dir/pass.yaml"
runs "$netns_dir/ssh.yaml"
runs "$netns_dir/steer.yaml" --force
runs "$netns_dir/other.yaml"
# behind a router, over IPv6, and with the client alone
SSH_CONNECTION='203.0.113.9 50000 192.0.2.1 22'
refused 'from 203.0.113.9' "$netns_dir/steer.yaml"
SSH_CONNECTION='2001:db8::10 50000 2001:db8::1 22'
refused 'from 2001:db8::10' "$netns_dir/drop.yaml"
runs "$netns_dir/ssh.yaml"
unset SSH_CONNECTION
SSH_CLIENT='192.0.2.10 50000 22' refused 'from 192.0.2.10' "$netns_dir/steer.yaml"
# an address of the other interface, answered by this one: both are looked at
SSH_CONNECTION='192.0.2.10 50000 198.51.100.1 22' refused 'on b1' "$netns_dir/other.yaml"
# what sudo removes is found in the processes before it
SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22' \
	refused 'would drop' <(cat "$netns_dir/drop.yaml")
netns_exec near env SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22' bash -c \
	'env -u SSH_CONNECTION -u SSH_CLIENT timeout 10 "$1" run "$2" --for 0.2; exit $?' bash \
	"$XFQ_BIN" "$netns_dir/drop.yaml" >"$netns_dir/sudo.out" 2>&1 &&
	test_fail 'the session of an ancestor was not found'
grep -q 'would drop the SSH session' "$netns_dir/sudo.out" || { cat "$netns_dir/sudo.out"; test_fail 'refused, but not for this'; }
# a port of a bridge that has the address
netns_ip near link add br0 type bridge
netns_ip near link set br0 up
netns_ip near link set b1 master br0
netns_ip near addr del 198.51.100.1/24 dev b1
netns_ip near addr add 198.51.100.1/24 dev br0
SSH_CONNECTION='198.51.100.9 50000 198.51.100.1 22' refused 'on b1' "$netns_dir/other.yaml"
# xfq check warns
SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22' netns_exec near "$XFQ_BIN" check "$netns_dir/drop.yaml" \
	>"$netns_dir/check.out" 2>&1 || test_fail 'xfq check failed'
grep -q 'warning: .*would drop the SSH session' "$netns_dir/check.out" || { cat "$netns_dir/check.out"; test_fail 'xfq check says nothing'; }

# a reload asks for whoever wants it, not for who started the instance
config live b0 pass >"$netns_dir/live.yaml"
xfq_start near "$netns_dir/live.yaml" live
xfq=$process_pid
xfq_ready "$xfq" live || { test_show live; test_fail 'xfq did not come up'; }
config live b0 pass '{ action: drop, match: tcp }' >"$netns_dir/live.yaml"
SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22' timeout 10 "$XFQ_BIN" reload --instance live \
	>"$netns_dir/reload.out" 2>&1 && test_fail 'the reload was not refused'
grep -q 'would drop the SSH session' "$netns_dir/reload.out" || { cat "$netns_dir/reload.out"; test_fail 'the reload failed, but not for this'; }
SSH_CONNECTION='192.0.2.10 50000 192.0.2.1 22' timeout 10 "$XFQ_BIN" reload --instance live --force \
	>"$netns_dir/reload.out" 2>&1 || { cat "$netns_dir/reload.out"; test_fail 'a reload by force was refused'; }
process_stop "$xfq" || { test_show live; test_fail 'xfq did not end when asked'; }
echo 'sessions are left alone unless somebody insists'
