#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Single flows are dropped or passed instead of steered: by the command, by a member, for a time, for
# a number of packets; a reload changes nothing of it; and who may not have it is told so.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
inject=$XFQ_BENCH_DIR/bench_inject shunter=$XFQ_MEMBERS_DIR/shunter
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq tcpdump setpriv

shunt() {
	timeout 10 "$XFQ_BIN" shunt "$@"
}

# counted VERDICT: packets of the running instance
counted() {
	timeout 5 "$XFQ_BIN" status shunt --json | jq ".verdicts.$1"
}

# grows VERDICT: whether such packets come
grows() {
	local before
	before=$(counted "$1")
	sleep 0.4
	[ "$(counted "$1")" -gt $((before + 50)) ]
}

netns_begin test
netns_add near
netns_silence near
netns_link near:a0 near:b0 1
cp "$XFQ_BIN" "$shunter" "$netns_dir/"
cat >"$netns_dir/shunt.yaml" <<END
name: shunt
interfaces:
  - { name: b0, queues: all, mode: auto }
filter: { shunt: 1000 }
groups:
  all: { steer: flow, members: 0, max_members: 4, access: shared, shunt: true }
END
xfq_start near "$netns_dir/shunt.yaml" shunt --json
xfq=$process_pid
xfq_ready "$xfq" shunt || { test_show shunt; test_fail "xfq did not come up"; }
netns_start near "$netns_dir/inject.log" "$inject" b0 0 14 --rate 1000 --fixed
injector=$process_pid
wait_until 5 grows steer || { cat "$netns_dir/inject.log"; test_fail "nothing is steered"; }
shunt list | grep -q '^0 of 1000 places' || test_fail "the table is not empty at first"

# a member that sees a flow has it shunted, as a user with no privilege
setpriv --reuid 65534 --regid 65534 --clear-groups "$netns_dir/shunter" shunt all \
	>"$netns_dir/member.out" || { cat "$netns_dir/member.out"; test_fail "the member"; }
jq -e '.before > 0 and .during == 0 and .after > 100 and .undo == -2' "$netns_dir/member.out" \
	>/dev/null || { cat "$netns_dir/member.out"; test_fail "what the member saw"; }

# the command, with the flow as the list shows it
flow=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$netns_dir/shunter" shunt all >/dev/null &
	sleep 0.5; shunt list --json | jq -r '.flows[0].flow'; wait)
[ -n "$flow" ] || test_fail "the member's flow is not in the list"
sleep 2.2
# shellcheck disable=SC2086 # a flow is three words
shunt add $flow pass || test_fail "shunt add"
grows shunted || test_fail "nothing is shunted"
! grows steer || test_fail "packets are steered all the same"
timeout 10 "$XFQ_BIN" reload || test_fail "reload"
grows shunted || test_fail "nothing is shunted after a reload"
shunt list --json | jq -e '.count == 1 and .flows[0].action == "pass" and .flows[0].packets > 50 and
	.flows[0].bytes > 50 * 60' >/dev/null || { shunt list --json; test_fail "the list"; }
# shellcheck disable=SC2086
shunt del $flow || test_fail "shunt del"
# shellcheck disable=SC2086
! shunt del $flow 2>/dev/null || test_fail "what is gone was deleted"
grows steer || test_fail "nothing is steered any more"
before=$(counted shunted)
# shellcheck disable=SC2086
shunt add $flow drop --packets 70
sleep 0.5
[ $(($(counted shunted) - before)) -eq 70 ] || test_fail "not 70 packets were dropped"
shunt list | grep -q '^0 of 1000 places' || test_fail "what is over is still in the list"

# who may not
code=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$netns_dir/xfq" shunt list 2>"$netns_dir/refused" ||
	code=$?
[ "$code" -eq 1 ] && grep -q 'only the user' "$netns_dir/refused" || test_fail "anyone may list"
sed -i 's/, shunt: true//' "$netns_dir/shunt.yaml"
timeout 10 "$XFQ_BIN" reload || test_fail "the second reload"
code=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$netns_dir/shunter" shunt all \
	>"$netns_dir/member.out" 2>&1 || code=$?
[ "$code" -eq 3 ] || { cat "$netns_dir/member.out"; test_fail "a member may without shunt: true"; }
! shunt add tcp 1.2.3.4 5.6.7.8 drop 2>"$netns_dir/refused" || test_fail "a flow without ports"
grep -q 'is not a flow such as' "$netns_dir/refused" || test_fail "no word on what a flow is"
process_wait "$injector" 30 || test_fail "the injector did not end"
process_stop "$xfq" || { test_show shunt; test_fail "xfq did not end when asked"; }
jq -e '.verdicts.shunted > 100' "$netns_dir/shunt.out" >/dev/null || test_fail "not counted at the end"
echo "$(jq .verdicts.shunted "$netns_dir/shunt.out") packets were shunted"
