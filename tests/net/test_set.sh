#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# xfq set: members come and go while packets do, and a list takes the place of another while a flood
# runs, without a packet that is judged by half of one.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping

set_do() { # VERB ARGUMENTS...: must succeed
	timeout 60 "$XFQ_BIN" set "$@" --instance sets >"$netns_dir/set.out" 2>"$netns_dir/set.err" || {
		cat "$netns_dir/set.out" "$netns_dir/set.err"
		test_fail "xfq set $* fails"
	}
}

refused() { # STATUS TEXT VERB ARGUMENTS...
	local status=0
	timeout 60 "$XFQ_BIN" set "${@:3}" >"$netns_dir/set.out" 2>"$netns_dir/set.err" || status=$?
	[ "$status" -eq "$1" ] || test_fail "xfq set ${*:3}: exit status $status, wanted $1"
	grep -qF -- "$2" "$netns_dir/set.err" || {
		cat "$netns_dir/set.err"
		test_fail "xfq set ${*:3}: does not say: $2"
	}
}

answers() { # SOURCE DESTINATION SECONDS: whether the peer answers this one
	netns_exec far ping -q -c 1 -W "$3" -I "$1" "$2" >/dev/null 2>&1
}
# a busy machine may take its time to answer; that nothing comes is seen after a second
passes() { answers "$1" "${3:-192.0.2.1}" 5 || test_fail "$2: packets of $1 do not pass"; }
drops() { ! answers "$1" "${3:-192.0.2.1}" 1 || test_fail "$2: packets of $1 are not dropped"; }

members() { # NAME: how many there are
	"$XFQ_BIN" set list "$1" --json -i sets | jq .members
}

netns_begin test
netns_add far
netns_add near
netns_link far:a0 near:b0 1
for last in 10 11 12; do
	netns_ip far addr add 192.0.2.$last/24 dev a0
	netns_ip far addr add 2001:db8::$last/64 dev a0 nodad
done
netns_ip near addr add 192.0.2.1/24 dev b0
netns_ip near addr add 2001:db8::1/64 dev b0 nodad
printf '# a list\n192.0.2.12 ; SBL1\n' >"$netns_dir/block.txt"
cat >"$netns_dir/sets.yaml" <<END
name: sets
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  default: pass
  sets:
    block: { type: net, file: block.txt, hits: true }
    live: { type: address }
    macs: { type: mac, max: 2 }
    ports: { type: port, entries: [9, 100-110] }
    flows: { type: flow }
  rules:
    - { action: drop, in: { set: block, field: src } }
    - { action: drop, in: { set: live, field: src } }
    - { action: drop, in: { set: macs, field: src } }
END
xfq_start near "$netns_dir/sets.yaml" run
xfq=$process_pid
xfq_ready "$xfq" sets || { test_show run; test_fail "xfq did not come up"; }

# by the file, and changed
passes 192.0.2.10 'at first'
drops 192.0.2.12 'by the file'
set_do add block 192.0.2.10 2001:db8::10/127
drops 192.0.2.10 'added'
drops 2001:db8::10 'added' 2001:db8::1
passes 2001:db8::12 'not added' 2001:db8::1
set_do del block 192.0.2.10
passes 192.0.2.10 'deleted'
set_do list block
grep -qx '192.0.2.12  packets [1-9][0-9]*' "$netns_dir/set.out" || { cat "$netns_dir/set.out"; test_fail "the list does not count"; }
set_do flush block
passes 192.0.2.12 'flushed'
passes 2001:db8::10 'flushed' 2001:db8::1
[ "$(members block)" = 0 ] || test_fail "a flushed set has members"

# for a while
set_do add live 192.0.2.11 --for 8
drops 192.0.2.11 'for 8 seconds'
set_do list live
grep -q '^192.0.2.11  for [0-8]\.[0-9] s$' "$netns_dir/set.out" || { cat "$netns_dir/set.out"; test_fail "the list does not show the time left"; }
wait_until 10 answers 192.0.2.11 192.0.2.1 1 || test_fail "after 8 seconds: packets do not pass"
wait_until 5 test 0 = "$(members live)" || test_fail "what has expired stays"

# others
mac=$(netns_ip far -j link show dev a0 | jq -r ".[0].address")
set_do add macs "$mac"
drops 192.0.2.10 'by its MAC address'
set_do del macs "$mac"
passes 192.0.2.10 'its MAC address deleted'
set_do add ports 80 8000-8100
set_do add flows 'tcp 192.0.2.1:80 192.0.2.10:1234' 'udp [2001:db8::1]:53 [2001:db8::2]:53'
set_do list flows --json
jq -e '.list | map(.member) | sort == ["tcp 192.0.2.1:80 192.0.2.10:1234", "udp [2001:db8::1]:53 [2001:db8::2]:53"]' \
	"$netns_dir/set.out" >/dev/null || { cat "$netns_dir/set.out"; test_fail "flows are not listed"; }
set_do list --json
jq -e '.sets | map(.members) == [0, 0, 0, 4, 2]' "$netns_dir/set.out" >/dev/null || test_fail "the sets are not listed"

# refused
refused 1 'there is no set "none" in filter.sets' add none 192.0.2.1
refused 1 'set block: "192.0.2.256" is neither' add block 192.0.2.10 192.0.2.256
[ "$(members block)" = 0 ] || test_fail "what was refused has changed something"
refused 1 'set macs is full: it has 2 members' add macs 02:00:00:00:00:01 02:00:00:00:00:02 02:00:00:00:00:03
refused 2 'there is list, add' frob block
refused 2 '--for goes with add and load' del block 192.0.2.1 --for 1
printf '192.0.2.10\n10.0.0.0/8 example.org\n' >"$netns_dir/wrong.txt"
refused 1 'wrong.txt:2: "10.0.0.0/8 example.org": one member per line' load block "$netns_dir/wrong.txt"
[ "$(members block)" = 0 ] || test_fail "a wrong list has changed something"

# a list in place of another, under load: 192.0.2.10 is in both, 192.0.2.11 in none
awk 'BEGIN { print "192.0.2.10"; for (i = 0; i < 20000; i++) printf "10.%d.%d.%d\n", i / 4096, i / 16 % 256, i % 16 }' >"$netns_dir/a.txt"
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "2001:db8:%x::/48\n", i + 1; print "192.0.2.8/30" }' >"$netns_dir/b.txt"
sed -i 's|192.0.2.8/30|192.0.2.10/32|' "$netns_dir/b.txt"
set_do load block "$netns_dir/a.txt"
[ "$(members block)" = 20001 ] || test_fail "not every line became a member"
netns_start far "$netns_dir/in.log" ping -f -q -W 1 -w 30 -I 192.0.2.10 192.0.2.1
inside=$process_pid
netns_start far "$netns_dir/out.log" ping -f -q -W 1 -w 30 -I 192.0.2.11 192.0.2.1
outside=$process_pid
for turn in 1 2 3 4 5 6 7 8 9 10; do
	for list in b a; do set_do load block "$netns_dir/$list.txt"; done
done
process_stop "$inside" INT || test_fail "ping does not end"
process_stop "$outside" INT || test_fail "ping does not end"
grep -q ' 0 received' "$netns_dir/in.log" || { cat "$netns_dir/in.log"; test_fail "a packet passed that is in both lists"; }
sent=$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$netns_dir/out.log")
got=$(sed -n 's/.*, \([0-9]*\) received.*/\1/p' "$netns_dir/out.log")
[ "$sent" -gt 100 ] && [ $((sent - got)) -le 1 ] || { cat "$netns_dir/out.log"; test_fail "a packet was dropped that is in no list"; }
set_do load block --add "$netns_dir/b.txt"
[ "$(members block)" = 40001 ] || test_fail "--add does not keep what there was"

# from standard input; and kept over a reload
echo 192.0.2.11 | timeout 20 "$XFQ_BIN" set load live - >/dev/null || test_fail "load from standard input fails"
drops 192.0.2.11 'loaded'
timeout 20 "$XFQ_BIN" reload --instance sets || test_fail "reload fails"
drops 192.0.2.11 'after a reload'
[ "$(members block)" = 40001 ] || test_fail "a reload has changed a set of which the config says the same"
set_do del live 192.0.2.11
passes 192.0.2.11 'deleted after a reload'
printf '192.0.2.11\n' >"$netns_dir/block.txt"
timeout 20 "$XFQ_BIN" reload --instance sets || test_fail "reload fails"
drops 192.0.2.11 'by the new file'
[ "$(members block)" = 1 ] || test_fail "a reload keeps a set of which the config says something new"
process_stop "$xfq" || test_fail "xfq did not end when asked"
[ "$process_status" -eq 0 ] || { test_show run; test_fail "xfq ended with status $process_status"; }
echo "sets changed live; $sent packets under 20 lists"
