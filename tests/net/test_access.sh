#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Who may join what, live and for users without any rights; and that an instance which root has
# started keeps no privilege once it runs, and needs none for all that it does afterwards.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping setpriv sed

alice=4001 bob=4002 carol=4003 # users, and groups of the same numbers
ids=4242 guests=4243           # groups
checked=0

# as USER GROUPS COMMAND...: GROUPS are supplementary ones, "-" for none
as() {
	local groups=(--groups "$2")
	[ "$2" != - ] || groups=(--clear-groups)
	setpriv --reuid "$1" --regid "$1" "${groups[@]}" timeout 20 "${@:3}"
}

# may USER GROUPS GROUP: joins, and the list of groups says so beforehand
may() {
	listed "$1" "$2" "$3" true
	as "$1" "$2" "$XFQ_BIN" join "$3" --instance access --for 0.05 --json >"$netns_dir/join.out" 2>"$netns_dir/join.err" || {
		cat "$netns_dir/join.err"
		test_fail "user $1 with groups $2 could not join $3"
	}
	checked=$((checked + 1))
}

# may_not USER GROUPS GROUP: is refused, with a sentence that says whom and why
may_not() {
	local status=0
	listed "$1" "$2" "$3" false
	as "$1" "$2" "$XFQ_BIN" join "$3" --instance access --for 0.05 >"$netns_dir/join.out" 2>"$netns_dir/join.err" || status=$?
	[ "$status" -eq 1 ] || test_fail "user $1 with groups $2 joining $3: status $status, wanted 1"
	grep -q "group $3: user $1 may not join; its access: in the config says who may" "$netns_dir/join.err" || {
		cat "$netns_dir/join.err"
		test_fail "user $1 with groups $2 is not told why not to join $3"
	}
	checked=$((checked + 1))
}

# listed USER GROUPS GROUP BOOLEAN
listed() {
	as "$1" "$2" "$XFQ_BIN" join --instance access --json >"$netns_dir/list.json" ||
		test_fail "user $1 gets no list of the groups"
	jq -e --arg group "$3" ".groups[\$group].allowed == $4" "$netns_dir/list.json" >/dev/null ||
		test_fail "for user $1 with groups $2 the list says of $3: $(jq -c ".groups.$3" "$netns_dir/list.json")"
}

# unprivileged PID: every thread has no capability, and none to be had by a program that it runs
unprivileged() {
	local task bounding='CapBnd:[[:space:]]*0+$' threads=0
	# who may not give up the bounding set keeps it, and cannot use it: CAP_SETPCAP is 8
	(((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) >> 8) & 1)) || bounding=CapBnd
	for task in /proc/"$1"/task/*/status; do
		for line in 'CapInh:[[:space:]]*0+$' 'CapPrm:[[:space:]]*0+$' 'CapEff:[[:space:]]*0+$' \
			'CapAmb:[[:space:]]*0+$' 'NoNewPrivs:[[:space:]]*1$' "$bounding"; do
			grep -qE "^$line" "$task" || {
				grep -E 'Name|Cap|NoNew' "$task"
				test_fail "a thread has privileges"
			}
		done
		threads=$((threads + 1))
	done
	[ "$threads" -ge 4 ] || test_fail "only $threads threads were looked at"
	echo "$threads threads without privileges"
}

# refused SENTENCE ARGUMENT...: xfq fails with 1 for a stranger, and says so
refused() {
	local status=0
	as $alice - "$XFQ_BIN" "${@:2}" >"$netns_dir/refused.out" 2>"$netns_dir/refused.err" || status=$?
	[ "$status" -eq 1 ] || test_fail "a stranger's xfq ${*:2} ended with status $status, wanted 1"
	grep -q "$1" "$netns_dir/refused.err" ||
		{ cat "$netns_dir/refused.err"; test_fail "a stranger's xfq ${*:2} does not say: $1"; }
}

seen() {
	timeout 10 "$XFQ_BIN" status access --json | jq "$1"
}

# counted NUMBER: so many packets have come to the groups
counted() {
	[ "$(seen .groups.open.packets)" -ge "$1" ]
}

# datagrams: 50, to be steered
datagrams() {
	netns_exec far bash -c 'for ((i = 0; i < 50; i++)); do echo >/dev/udp/192.0.2.1/9; done'
}

no_program() {
	[ -z "$(netns_ip near -d -j link show dev b0 | jq -r '.[0].xdp | .prog.id // .attached[0].prog.id // empty')" ]
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 2
netns_link far:a1 near:b1 1
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
cat >"$netns_dir/access.yaml" <<END
name: access
interfaces: [ { name: b0 }, { name: b1 } ]
filter: { default: pass, rules: [ { action: steer, proto: udp } ] }
groups:
  own: { members: 2, access: private }
  rooted: { members: 0, access: restricted }
  team: { members: 0, access: { group: $ids } }
  open: { members: 0, access: shared }
  hers: { members: 0, access: { user: $alice } }
  but: { members: 0, access: { user: $alice, group: $guests, mode: "0404" } }
  nobodys: { members: 0, access: { user: $alice, mode: "0000" } }
END
xfq_start near "$netns_dir/access.yaml" access --no-reload --json
xfq=$process_pid
xfq_ready "$xfq" access || { test_show access; test_fail "xfq did not come up"; }
unprivileged "$xfq"

for group in own rooted team open hers but nobodys; do
	may 0 - "$group"
done
may_not $alice - own
may_not $alice - rooted
may_not $alice - team
may $alice - open
may $alice - hers
may $alice - but
may $alice $guests but # the user's own bit comes first
may_not $alice - nobodys
may_not $bob $ids own
may $bob $ids team
may $bob $ids open
may_not $bob $ids hers
may $bob $ids but
may_not $carol $guests but
may_not $carol $guests,1,2,3 but
may $carol 1,2,$ids,$guests team
may_not $carol 0 own # group root is not user root
may $carol 0 rooted
may_not 65534 - team
may 65534 - open

refused 'only the user that the instance runs as, and root, may ask for its counters' status access
refused 'instance access has no group nosuch' join nosuch --instance access

# without privileges it still counts, notices an interface that goes away, and detaches
datagrams
wait_until 5 counted 50 || test_fail "packets are not counted"
netns_ip far link del a1
wait_until 5 grep -q 'b1: the interface went away' "$netns_dir/access.err" ||
	{ test_show access; test_fail "nobody noticed that b1 went away"; }
[ "$(seen '.interfaces | map(select(.gone)) | length')" -eq 1 ] || test_fail "b1 is not shown as gone"
may 65534 - open
datagrams
wait_until 5 counted 100 || test_fail "packets are not counted any more"
unprivileged "$xfq"
process_stop "$xfq" || { test_show access; test_fail "xfq did not end when asked"; }
# an interface has gone: that is a failure, but nothing else is
[ "$process_status" -eq 1 ] || { test_show access; test_fail "xfq ended with status $process_status"; }
wait_until 5 no_program || test_fail "an XDP program remains on b0"
[ ! -e "$XFQ_RUN_DIR/access.sock" ] || test_fail "the control socket remains"
netns_exec far ping -q -c 3 -i 0.05 -W 1 192.0.2.1 | grep -q ' 3 received' || test_fail "ping gets no answer"
jq -e '.frames | .held == 0 and .total == .free + .kernel' "$netns_dir/access.out" >/dev/null || test_fail "frames are missing"
echo "$checked joins allowed and refused as the config says"
