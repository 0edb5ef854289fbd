#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Cases, classes, rule tables and sets of groups, in a running instance: changed while packets come,
# and kept by a reload as far as the config says the same.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

table_do() { # VERB ARGUMENTS...: must succeed
	timeout 60 "$XFQ_BIN" table "$@" -i steering >"$netns_dir/table.out" 2>"$netns_dir/table.err" || {
		cat "$netns_dir/table.out" "$netns_dir/table.err"
		test_fail "xfq table $* fails"
	}
}

refused() { # STATUS TEXT COMMAND ARGUMENTS...
	local status=0
	timeout 60 "$XFQ_BIN" "${@:3}" --instance steering >"$netns_dir/refused.out" 2>"$netns_dir/refused.err" || status=$?
	[ "$status" -eq "$1" ] || test_fail "xfq ${*:3}: exit status $status, wanted $1"
	grep -qF -- "$2" "$netns_dir/refused.err" || {
		cat "$netns_dir/refused.err"
		test_fail "xfq ${*:3}: does not say: $2"
	}
}

value() { # JQ-EXPRESSION, of a group
	timeout 60 "$XFQ_BIN" status steering --json | jq "$1"
}

is() { # WANTED JQ-EXPRESSION WHAT
	local got=
	for _ in $(seq 50); do
		got=$(value "$2")
		[ "$got" = "$1" ] && return
		sleep 0.1
	done
	value .groups
	test_fail "$3: $2 is $got, wanted $1"
}

# `ping` gets no answer, as what comes is steered
send() { # COUNT DESTINATION [OPTIONS...]
	netns_exec far ping -q -c "$1" -i 0.01 -W 0.1 "${@:3}" "$2" >/dev/null 2>&1 || true
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 1
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip far addr add 192.0.2.11/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
mac=$(netns_ip near -j link show dev b0 | jq -r '.[0].address')
netns_ip far neigh add 192.0.2.1 lladdr "$mac" dev a0 nud permanent
cat >"$netns_dir/rules.csv" <<END
priority,src,dst,sport,dport,proto,flags,action
10,192.0.2.99/32,any,any,any,any,,drop
END
config() { # CLASSES EXTRA-CASE
	cat >"$netns_dir/steering.yaml" <<END
name: steering
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  sets:
    known: { type: address }
  rules:
    - { action: steer, match: "icmp and dst host 192.0.2.1" }
groups:
  ruled:
    table: rules.csv
    classes: $1
    cases:
$2
      - { in: { set: known, field: src }, count: known, class: control, mark: 7 }
      - { count: others, class: user, mark: 9, tee: copies }
  copies: { tee_only: true, steer: { by: key, fields: [src, dport] } }
END
}
config '{ user: { members: 1 }, control: { members: 1 } }' ''
xfq_start near "$netns_dir/steering.yaml" run
xfq=$process_pid
xfq_ready "$xfq" steering || { test_show run; test_fail "xfq did not come up"; }

# cases, classes, copies
send 20 192.0.2.1 -I 192.0.2.10
is 20 .groups.ruled.counters.others.packets 'nobody is known'
is 20 .groups.copies.packets 'copies'
is 20 '[.groups.ruled.members[] | select(.classes == ["user"]) | .packets] | add' 'the class'
is 0 '[.groups.ruled.members[] | select(.classes == ["control"]) | .packets] | add' 'the other class'

# a set, changed
timeout 60 "$XFQ_BIN" set add known 192.0.2.10 -i steering >/dev/null || test_fail 'xfq set add fails'
send 20 192.0.2.1 -I 192.0.2.10
is 20 .groups.ruled.counters.known.packets 'one is known'
is 20 '[.groups.ruled.members[] | select(.classes == ["control"]) | .packets] | add' 'its class'
timeout 60 "$XFQ_BIN" set add known 192.0.2.11 --for 1 -i steering >/dev/null || test_fail 'xfq set add fails'
sleep 3
send 20 192.0.2.1 -I 192.0.2.11
is 40 .groups.ruled.counters.others.packets 'who was known'

# a table, changed
table_do add ruled '5,192.0.2.10/32,any,any,any,icmp,,drop' '6,192.0.2.0/24,any,any,any,any,,class:control'
send 20 192.0.2.1 -I 192.0.2.10
is 20 .groups.ruled.dropped 'a rule'
send 20 192.0.2.1 -I 192.0.2.11
is 40 '[.groups.ruled.members[] | select(.classes == ["control"]) | .packets] | add' 'a rule with a class'
refused 1 'priority 5' table add ruled '5,any,any,any,any,any,,drop'
refused 1 'no class' table add ruled '8,any,any,any,any,any,,class:other'
refused 1 'priority' table add ruled ',any,any,any,any,any,,drop'
refused 1 'no rule table' table list copies
refused 1 'there is no group' table list nothing
table_do list ruled
[ "$(grep -c . "$netns_dir/table.out")" -eq 3 ] || { cat "$netns_dir/table.out"; test_fail 'three rules'; }
[ "$(head -n 1 "$netns_dir/table.out" | cut -d, -f1)" = 5 ] || test_fail 'the order of rules'
cp "$netns_dir/table.out" "$netns_dir/kept.csv"
table_do del ruled 6
! timeout 60 "$XFQ_BIN" table del ruled 6 -i steering >/dev/null || test_fail 'a rule is deleted twice'
table_do flush ruled
is 0 .groups.ruled.table.rules 'no rules'
printf '1,any,any,any,any,any,,drop\n2,nonsense,any,any,any,any,,drop\n' >"$netns_dir/bad.csv"
refused 1 'bad.csv:2: ' table load ruled "$netns_dir/bad.csv"
table_do load ruled "$netns_dir/kept.csv"
is 3 .groups.ruled.table.rules 'loaded'
table_do list
grep -q '^ruled  *3 ' "$netns_dir/table.out" || test_fail 'the list of tables'

# who joins a class
refused 1 'there is no class "boss"; there is user, control' join ruled --class user,boss -c 1 --for 1
timeout 60 "$XFQ_BIN" join ruled --class user --instance steering --json -c 10 --for 20 >"$netns_dir/join.json" &
join=$!
is 1 '[.groups.ruled.members[] | select(.kind == "joined" and .classes == ["user"])] | length' 'a member of a class'
table_do flush ruled
# the stand-in of a class that nobody has joined stays
of_control=$(value '[.groups.ruled.members[] | select(.classes == ["control"]) | .packets] | add')
homeless=$(value .groups.ruled.no_member)
timeout 60 "$XFQ_BIN" set add known 192.0.2.11 -i steering >/dev/null || test_fail 'xfq set add fails'
send 20 192.0.2.1 -I 192.0.2.11
is $((of_control + 20)) '[.groups.ruled.members[] | select(.classes == ["control"]) | .packets] | add' 'a class that nobody has joined'
is "$homeless" .groups.ruled.no_member 'packets that nobody had'
timeout 60 "$XFQ_BIN" set flush known -i steering >/dev/null || test_fail 'xfq set flush fails'
send 10 192.0.2.1 -I 192.0.2.11
wait "$join" || test_fail 'the member of a class'
[ "$(jq .packets "$netns_dir/join.json")" -eq 10 ] || test_fail 'packets of a class'
[ "$(jq -c .marks "$netns_dir/join.json")" = '{"9":10}' ] || { cat "$netns_dir/join.json"; test_fail 'marks'; }
of_user=$(value '[.groups.ruled.members[] | select(.classes == ["user"]) | .packets] | add')
send 20 192.0.2.1 -I 192.0.2.11
is $((of_user + 20)) '[.groups.ruled.members[] | select(.classes == ["user"]) | .packets] | add' 'a class that everybody left'

# a reload: what the config says the same of stays, and so do the counters
timeout 60 "$XFQ_BIN" set add known 192.0.2.10 -i steering >/dev/null || test_fail 'xfq set add fails'
table_do add ruled '7,192.0.2.11/32,any,any,any,any,,drop'
others=$(value .groups.ruled.counters.others.packets)
known=$(value .groups.ruled.counters.known.packets)
config '{ user: { members: 1 }, control: { members: 2 } }' '      - { match: "icmp[4:2] = 0xffff", action: drop }'
timeout 60 "$XFQ_BIN" reload --instance steering >/dev/null || test_fail 'the reload'
is 1 .groups.ruled.table.rules 'the table after a reload'
is 2 .groups.ruled.classes.control 'members of a class after a reload'
is "$others" .groups.ruled.counters.others.packets 'a counter after a reload'
send 20 192.0.2.1 -I 192.0.2.10
is $((known + 20)) .groups.ruled.counters.known.packets 'the set after a reload'
dropped=$(value .groups.ruled.dropped)
send 20 192.0.2.1 -I 192.0.2.11
is $((dropped + 20)) .groups.ruled.dropped 'the rule after a reload'

# a table whose file says something new: what was changed live is gone, and that is said
! grep -q 'of the file' "$netns_dir/run.err" || { test_show run; test_fail 'what was changed is said to be gone'; }
echo '20,192.0.2.98/32,any,any,any,any,,drop' >>"$netns_dir/rules.csv"
timeout 60 "$XFQ_BIN" reload --instance steering >/dev/null || test_fail 'the reload of a table'
is 2 .groups.ruled.table.rules 'the table of the file'
grep -qF 'ruled: 2 rules of the file take the place of what `xfq table` changed' "$netns_dir/run.err" ||
	{ test_show run; test_fail 'what was changed is gone in silence'; }
echo '21,192.0.2.97/32,any,any,any,any,,drop' >>"$netns_dir/rules.csv"
timeout 60 "$XFQ_BIN" reload --instance steering >/dev/null || test_fail 'the reload of a table'
is 3 .groups.ruled.table.rules 'the table of the file'
[ "$(grep -c 'of the file' "$netns_dir/run.err")" -eq 1 ] || { test_show run; test_fail 'nothing was changed'; }

# how a group steers, with all that it was told
is '"key src,dport"' .groups.copies.steer 'how a group steers'

# under load, tables, sets and configs change, and every packet is counted once
netns_exec far ping -q -f -w 6 -I 192.0.2.10 192.0.2.1 >/dev/null 2>&1 &
flood=$!
for i in 1 2 3; do
	table_do add ruled "$((1000 + i)),192.0.2.10/32,any,any,any,any,,drop"
	timeout 60 "$XFQ_BIN" set del known 192.0.2.10 -i steering >/dev/null
	config "{ control: { members: 1 }, user: { members: $i } }" ''
	timeout 60 "$XFQ_BIN" reload --instance steering >/dev/null || test_fail 'a reload under load'
	timeout 60 "$XFQ_BIN" set add known 192.0.2.10 -i steering >/dev/null
	table_do load ruled "$netns_dir/rules.csv"
done
wait "$flood" || true
is true '.verdicts.steer == ([.workers[] | .received + .rx_dropped + .rx_ring_full] | add)' 'packets'
is true '.groups.ruled.packets == ([.workers[].received] | add)' 'packets of the group'
is true '.groups.ruled | .packets == .offered + .no_member + .dropped' 'the sum'
is true '.groups.ruled | .offered == (([.members[] | .packets + .lost] | add) + .left.packets + .left.lost)' 'members'
process_stop "$xfq" || test_fail "xfq did not end when asked"
[ "$process_status" -eq 0 ] || { test_show run; test_fail "xfq ended with status $process_status"; }
echo "classes, tables and sets changed live"
