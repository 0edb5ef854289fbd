#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients that pester the control socket of an instance, without any rights: root is served at once
# all the same, packets go on, and nothing is left of them.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
pester=${XFQ_HOSTILE_DIR:-}/pester
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$pester" ] || test_fail "XFQ_HOSTILE_DIR has no pester"
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq setpriv

pests=()

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
# begin USER MODE ARGUMENT...: a pest in the background
begin() {
	local log=$netns_dir/pest.${#process_list[@]}
	setpriv --reuid "$1" --regid "$1" --clear-groups "$pester" "$2" "$socket" "${@:3}" >"$log" 2>&1 &
	pests+=("$!")
	process_list+=("$!")
	wait_until 10 grep -q '^ready' "$log" || { cat "$log"; test_fail "pester $2 did not begin"; }
}

end() {
	kill -s KILL "${pests[@]}" 2>/dev/null || true
	wait "${pests[@]}" 2>/dev/null || true
	pests=()
}

# served TEXT: root gets the counters within 2 seconds, three times, and packets come in
served() {
	local before
	before=$(jq '[.workers[].received] | add' "$netns_dir/now.json" 2>/dev/null || echo 0)
	for _ in 1 2 3; do
		timeout "$patience" "$XFQ_BIN" status pestered --json >"$netns_dir/now.json" ||
			test_fail "root is not served within $patience s ($1)"
	done
	jq -e ".frames.total == (.frames | .free + .kernel + .worker + .held + .tx) and
		([.workers[].received] | add) > $before" "$netns_dir/now.json" >/dev/null ||
		test_fail "packets are missing, or come in no more ($1)"
	process_alive "$xfq" || { test_show pestered; test_fail "the instance is gone ($1)"; }
	echo "served: $1"
}

# descriptors: how many the instance has open
descriptors() {
	find "/proc/$xfq/fd" -mindepth 1 | wc -l
}

as_before() {
	[ "$(descriptors)" -eq "$open" ]
}

config_write() {
	echo "name: pestered"
	echo "interfaces: [ { name: b0 } ]"
	echo "groups:"
	echo "  all: { members: 1, max_members: 8, access: shared }"
	# many counters, so that the answer does not fit into a socket
	for ((i = 0; i < 60; i++)); do
		echo "  many$i: { match: 'ip host 198.51.100.$i', members: 60, run: worker, max_members: 0 }"
	done
}

netns_begin test
netns_add near
netns_silence near
netns_link near:a0 near:b0 1
config_write >"$netns_dir/pestered.yaml"
socket=$XFQ_RUN_DIR/pestered.sock
patience=2
[ "${XFQ_PRESET:-release}" = release ] || patience=10

# a name that leads somewhere else is not taken, nor what it leads to touched
ln -s "$netns_dir/elsewhere.sock" "$socket"
xfq_start near "$netns_dir/pestered.yaml" linked
process_wait "$process_pid" 20 || test_fail "xfq runs on a link in the place of its socket"
if [ "$process_status" -ne 1 ] || [ ! -L "$socket" ] || [ -e "$netns_dir/elsewhere.sock" ]; then
	test_show linked
	test_fail "status $process_status with a link in the place of the socket"
fi
rm "$socket"
# nor is a folder in which everyone could replace it
chmod 777 "$XFQ_RUN_DIR"
xfq_start near "$netns_dir/pestered.yaml" open
process_wait "$process_pid" 20 || test_fail "xfq runs in a folder that everyone may write"
grep -q 'chmod o-w' "$netns_dir/open.err" || { test_show open; test_fail "no word of the folder"; }
chmod 755 "$XFQ_RUN_DIR"

xfq_start near "$netns_dir/pestered.yaml" pestered
xfq=$process_pid
xfq_ready "$xfq" pestered || { test_show pestered; test_fail "xfq did not come up"; }
netns_start near "$netns_dir/load.log" "$inject" b0 0 120 --flows 64 --rate 2000
sleep 0.5
open=$(descriptors)
served 'at peace'
[ "$(stat -c %s "$netns_dir/now.json")" -gt 400000 ] || test_fail "the counters are too few for this test"

begin 65534 idle 500
served '500 that say nothing'
end
for _ in 1 2 3 4; do
	begin 65534 flood
done
served 'four that connect and hang up all the time'
end
begin 65534 mute 200 2
served '200 that do not read the groups that they ask for'
end
begin 0 mute 20 1
served '20 of root that do not read the counters that they ask for'
end
begin 65534 mute 200 4
begin 0 mute 20 4
served '220 that begin a command and do not go on, 20 of them of root'
end
"${nobody[@]}" "$XFQ_BIN" set list --instance pestered >"$netns_dir/denied" 2>&1 && test_fail "anyone may give commands"
grep -q 'only the user that the instance runs as' "$netns_dir/denied" || test_fail "who may not give commands is told $(cat "$netns_dir/denied")"
begin 65534 garbage 1000000
served 'one that talks nonsense'
end
for _ in 1 2; do
	begin 65534 storm all
done
served 'two that join and leave all the time'
served 'and again'
end
jq -e '.groups.all.left.members > 10' "$netns_dir/now.json" >/dev/null || test_fail "hardly anyone joined"

text=$("${nobody[@]}" "$pester" version "$socket" 9) || test_fail "no answer to another version"
grep -q '^-93: the request is of version 9 .* understands version 2' <<<"$text" ||
	test_fail "what another version is told is \"$text\""
# the kernel refuses descriptors, or, before Linux 6.16, closes those that come
text=$("${nobody[@]}" "$pester" descriptors "$socket")
case $text in
'Operation not permitted')
	"${nobody[@]}" "$pester" linger "$socket" >"$netns_dir/linger" &
	pests+=("$!")
	process_list+=("$!")
	wait_until 5 grep -q 'Operation not permitted' "$netns_dir/linger" || test_fail "a descriptor came through"
	end
	;;
sent) echo "this kernel cannot refuse descriptors" ;;
*) test_fail "what becomes of descriptors is \"$text\"" ;;
esac
served 'what is left'
wait_until 5 as_before || { ls -l "/proc/$xfq/fd"; test_fail "$(descriptors) descriptors are open, and were $open"; }
process_stop "$xfq" || { test_show pestered; test_fail "xfq did not end when asked"; }
[ "$process_status" -eq 0 ] || { test_show pestered; test_fail "xfq ended with status $process_status"; }
