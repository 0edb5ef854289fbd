#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# xfq join: counts and captures of one or several members, as whoever may, and each way to end.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq tcpdump setpriv script od

payload=0123456789012345678901234567890123456789 # 40 bytes
frame_bytes=$((14 + 20 + 8 + 40))
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# join_start TAG ARGUMENT...: in the background, and wait until it is a member; its pid is in
# process_pid, its outputs in TAG.out and TAG.err. $as: a prefix; $to: another place for its output
as=()
to=
join_start() {
	# a shell's background commands ignore SIGINT
	"${as[@]}" env --default-signal=INT "$xfq" join "${@:2}" >"${to:-$netns_dir/$1.out}" 2>"$netns_dir/$1.err" &
	process_pid=$!
	process_list+=("$process_pid")
	wait_until 5 grep -qs '^xfq join: .*: member ' "$netns_dir/$1.err" || { test_show "$1"; test_fail "$1 did not join"; }
}

# join_end TAG PID STATUS [SIGNAL]: by a signal, or by itself
join_end() {
	[ -z "${4:-}" ] || kill -s "$4" "$2"
	process_wait "$2" 10 || { test_show "$1"; test_fail "$1 did not end"; }
	[ "$process_status" -eq "$3" ] || { test_show "$1"; test_fail "$1 ended with status $process_status, wanted $3"; }
}

# join_run TAG STATUS ARGUMENT...: in the foreground
join_run() {
	local status=0
	timeout 20 "${as[@]}" "$xfq" join "${@:3}" >"$netns_dir/$1.out" 2>"$netns_dir/$1.err" || status=$?
	[ "$status" -eq "$2" ] || { test_show "$1"; test_fail "xfq join ${*:3}: status $status, wanted $2"; }
}

# says TAG TEXT, holds TAG TEXT JQ: of what it printed
says() {
	grep -qi -e "$2" "$netns_dir/$1.err" "$netns_dir/$1.out" || { test_show "$1"; test_fail "$1 does not say \"$2\""; }
}

holds() {
	jq -e "def sum(f): [f] | add // 0; $3" "$netns_dir/$1.out" >/dev/null && return 0
	cat "$netns_dir/$1.out"
	test_fail "$2: $3"
}

field() { # TAG KEY
	jq -r ".$2" "$netns_dir/$1.out"
}

status_write() {
	timeout 5 "$xfq" status demo --json >"$netns_dir/status.out" || test_fail "xfq status fails"
}

consumed() { # GROUP NUMBER: its members of now have taken so many
	status_write
	jq -e --arg group "$1" --argjson cnt "$2" '[.groups[$group].members[].consumed] | add == $cnt' \
		"$netns_dir/status.out" >/dev/null
}

join_wait_taken() { # GROUP NUMBER
	wait_until 5 consumed "$1" "$2" || { cat "$netns_dir/status.out"; test_fail "$1: not all of $2 packets were taken"; }
}

seen() { # NUMBER: of lines that tcpdump has shown
	[ "$(wc -l <"$netns_dir/tcpdump.out")" -eq "$1" ]
}

# send PORT NUMBER: datagrams, each from another port
send() {
	# shellcheck disable=SC2016 # $1 to $3 are the inner shell's
	netns_exec far bash -c 'for ((i = 0; i < $2; i++)); do printf %s "$3" >/dev/udp/192.0.2.1/$1; done' \
		bash "$1" "$2" "$payload"
}

inject_wait() { # PID
	process_wait "$1" 30 || test_fail "the injector did not end"
	[ "$process_status" -eq 0 ] || { cat "$netns_dir/inject.log"; test_fail "the injector failed"; }
}

# pcapng_read FILE: its blocks, in words: "section", "interface NAME RESOLUTION", "packet NS CAPTURED
# WIRE" and "statistics RECEIVED DROPPED"
pcapng_read() {
	local words i=0 end at code bytes
	mapfile -t words < <(od -An -v -tu4 -w4 "$1" | tr -d ' ')
	while [ "$i" -lt "${#words[@]}" ]; do
		end=$((i + words[i + 1] / 4))
		[ "${words[end - 1]}" = "${words[i + 1]}" ] || { echo "a block without an end"; return 1; }
		case ${words[i]} in
		168627466) echo section ;;
		6) echo "packet $(((words[i + 3] << 32) + words[i + 4])) ${words[i + 5]} ${words[i + 6]}" ;;
		1 | 5)
			if [ "${words[i]}" -eq 1 ]; then
				printf interface
				at=$((i + 4))
			else
				printf statistics
				at=$((i + 5))
			fi
			while [ $((words[at] & 65535)) -ne 0 ]; do
				code=$((words[at] & 65535)) bytes=$((words[at] >> 16))
				case ${words[i]}.$code in
				1.2) printf ' %s' "$(tail -c +$((at * 4 + 5)) "$1" | head -c "$bytes")" ;;
				1.9) printf ' %d' "$((words[at + 1] & 255))" ;;
				5.*) printf ' %d' "$((words[at + 1] + (words[at + 2] << 32)))" ;;
				esac
				at=$((at + 1 + (bytes + 3) / 4))
			done
			echo
			;;
		*) echo "block ${words[i]}" ;;
		esac
		i=$end
	done
}

# cpu_ticks PID: user and system time
cpu_ticks() {
	local stat
	read -r stat <"/proc/$1/stat"
	# shellcheck disable=SC2086 # one field per word
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}

instance_start() { # NAME INTERFACE TAG
	cat >"$netns_dir/$1.yaml" <<END
name: $1
interfaces:
  - { name: $2, queues: all, mode: auto }
groups:
  flows: { match: "udp dst port 1003", steer: flow, members: 0, max_members: 8, access: shared }
  one: { match: "udp dst port 1004", members: 0, max_members: 1, access: shared }
  closed: { match: "udp dst port 1005", members: 0, access: private }
  load: { match: "udp port 53 or tcp", members: 0, ring: 4096, access: shared }
  built: { match: "udp dst port 1006", members: 2, max_members: 0 }
END
	xfq_start near "$netns_dir/$1.yaml" "$3"
	xfq_ready "$process_pid" "$1" || { test_show "$3"; test_fail "$1 did not come up"; }
}

netns_begin test
# for a user without privileges, too
chmod 755 "$netns_dir" "$XFQ_RUN_DIR"
install -m 755 "$XFQ_BIN" "$netns_dir/xfq"
xfq=$netns_dir/xfq
mkdir -m 777 "$netns_dir/files"
files=$netns_dir/files
netns_add far
netns_add near
netns_silence near
netns_silence far
netns_link far:a0 near:b0 2
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip far neigh replace 192.0.2.1 lladdr "$(netns_ip near -j link show dev b0 | jq -r '.[0].address')" dev a0

join_run none 1 flows
says none 'no instance'
instance_start demo b0 demo
demo=$process_pid

# --- who may, and what there is
join_run list 0
says list '^flows  *flow  *0  *0/8  *1024  *yes'
says list '^built  *flow  *2  *0/0  *1024  *no'
as=("${nobody[@]}")
join_run list 0 --json
holds list 'groups' '.instance == "demo" and (.groups | keys_unsorted) == ["flows", "one", "closed", "load", "built"]
	and .groups.one == {steer: "flow", members: 0, joined: 0, max_members: 1, ring: 1024, allowed: true}
	and (.groups.closed.allowed | not)'
join_run refused 1 closed
says refused 'closed.*65534'
as=()
echo precious >"$files/kept"
join_run refused 1 missing -w "$files/kept"
says refused missing
[ "$(cat "$files/kept")" = precious ] || test_fail "a refused join has changed its file"
join_run refused 1 missing -w "$files/new"
[ ! -e "$files/new" ] || test_fail "a refused join has left a file"
join_run refused 1 built
says refused built
join_run refused 1 flows -w "$files/no/such/folder"
join_run refused 1 flows --instance other
says refused other
for wrong in '-c 0' '-c x' '--for 0' '--weight 1001' '--ring 65537' 'a b' '--bad' '-c'; do
	# shellcheck disable=SC2086 # words
	join_run wrong 2 flows $wrong
done
join_run wrong 2 -w "$files/new"
says wrong GROUP
join_run help 0 --help
grep -q '^Usage: xfq join' "$netns_dir/help.out" || test_fail "no help"
status=0
timeout 10 script -qec "$xfq join flows -w -" /dev/null >"$netns_dir/script.out" 2>&1 || status=$?
[ "$status" -eq 2 ] || test_fail "a capture on a terminal: status $status, wanted 2"
status=0
timeout 10 "$xfq" join flows -w - 2>"$netns_dir/shut.err" >&- || status=$?
[ "$status" -eq 1 ] || test_fail "a closed standard output: status $status, wanted 1"

# a second instance
netns_link near:c0 near:d0 1
instance_start second d0 second
second=$process_pid
join_run several 1 flows
says several 'demo second'
join_run several 0 flows --instance second --for 0.1
process_stop "$second" || test_fail "the second instance did not end"

# --- two share a flow group
join_start live load --live
live=$process_pid
join_start idle one
idle=$process_pid
ticks=$(cpu_ticks "$idle")
join_run full 1 one
says full full
join_start left flows --json
left=$process_pid
as=("${nobody[@]}")
join_start right flows --json -w "$files/right.pcapng"
right=$process_pid
as=()
send 1003 300
join_wait_taken flows 300
join_end left "$left" 0 INT
join_end right "$right" 0 TERM
status_write
jq --slurpfile left "$netns_dir/left.out" --slurpfile right "$netns_dir/right.out" \
	'{group: .groups.flows, left: $left[0], right: $right[0]}' "$netns_dir/status.out" >"$netns_dir/both.out"
holds both 'all packets' '.left.packets + .right.packets == 300 and .group.packets == 300'
holds both 'shares' '.left.packets > 0 and .right.packets > 0 and .left.end == "signal"'
holds both 'nothing lost' '.left.lost == 0 and .right.lost == 0'
holds both "bytes" ".left.bytes + .right.bytes == 300 * $frame_bytes"
holds both 'the instance agrees' '([.group.left.last[0, 1] | [.id, .packets, .consumed]] | sort) ==
	([.left, .right | [.member, .packets, .packets]] | sort)'
holds both 'written' '.right.written == .right.packets and (.left | has("written") | not)'
[ "$(pcapng_read "$files/right.pcapng" | grep -c ^packet)" -eq "$(field right packets)" ] ||
	test_fail "the file has not what its member took"
[ "$(stat -c %u:%a "$files/right.pcapng")" = 65534:640 ] || test_fail "owner or mode of the file"

# weights: one with 9 times the share
join_start left flows --json --weight 1 --ring 64
left=$process_pid
join_start right flows --json --weight 9
right=$process_pid
send 1003 300
join_wait_taken flows 300
join_end left "$left" 0 HUP
join_end right "$right" 0 INT
holds left 'the ring it wished for' '.ring == 64'
[ "$(field right packets)" -gt $((3 * $(field left packets))) ] ||
	test_fail "weights 1 and 9: $(field left packets) and $(field right packets)"

# --- as much as there can be: what was lost is said by all alike
join_start heavy load --json --ring 64 -w "$files/heavy.pcapng"
heavy=$process_pid
join_start light load --json
light=$process_pid
netns_start near "$netns_dir/inject.log" "$inject" b0 0 1 --flows 512
inject_wait "$process_pid"
sleep 1
join_end heavy "$heavy" 0 TERM
join_end light "$light" 0 TERM
status_write
jq --slurpfile heavy "$netns_dir/heavy.out" --slurpfile light "$netns_dir/light.out" \
	'{group: .groups.load, heavy: $heavy[0], light: $light[0]}' "$netns_dir/status.out" >"$netns_dir/load.out"
# shellcheck disable=SC2016 # jq's variables
holds load 'packets and losses' '.group as $group | [.heavy, .light | . as $join | $group.left.last[] |
	select(.id == $join.member) | .packets == $join.packets and .consumed == $join.packets and
	.lost_ring == $join.lost_ring and .lost_quota == $join.lost_quota and .discarded == 0] | length == 2 and all'
holds load 'every copy' '.group.packets == sum(.group | .left, .members[] | .packets, .lost)'
holds load 'much' '.heavy.packets > 1000 and .light.packets > 1000 and .heavy.written == .heavy.packets'
holds load 'losses' '.heavy.lost > 0 and .heavy.ring == 64'
[ "$(tcpdump -nr "$files/heavy.pcapng" --count 2>/dev/null | cut -d ' ' -f 1)" = "$(field heavy packets)" ] ||
	test_fail "tcpdump counts another number in the file"

# --- a live capture
mkfifo "$netns_dir/pipe"
timeout 60 tcpdump -n -tt --time-stamp-precision=nano -l -r - <"$netns_dir/pipe" \
	>"$netns_dir/tcpdump.out" 2>"$netns_dir/tcpdump.err" &
tcpdump=$!
process_list+=("$tcpdump")
to=$netns_dir/pipe
join_start watch flows -w -
watch=$process_pid
to=
# the header is there before any packet
wait_until 5 grep -q 'reading from file -, link-type EN10MB' "$netns_dir/tcpdump.err" ||
	test_fail "tcpdump has no header yet: $(cat "$netns_dir/tcpdump.err")"
for count in 1 2 3; do
	send 1003 1
	wait_until 2 seen "$count" || test_fail "packet $count is not shown while others are waited for"
done
send 1003 37
join_wait_taken flows 40
join_end watch "$watch" 0 TERM
process_wait "$tcpdump" 5 || test_fail "tcpdump did not end"
[ "$process_status" -eq 0 ] || test_fail "tcpdump did not end well: $(cat "$netns_dir/tcpdump.err")"
seen 40 || test_fail "tcpdump saw $(wc -l <"$netns_dir/tcpdump.out") packets, wanted 40"
grep -qvE '\.[0-9]{6}000 ' "$netns_dir/tcpdump.out" || test_fail "time stamps without nanoseconds"
says watch ': 40 packets'

# --- so many packets; block by block
join_start count flows -c 5 --json -w "$files/count.pcapng"
count=$process_pid
before=$(date +%s%N)
send 1003 20
join_end count "$count" 0
after=$(date +%s%N)
holds count 'five' '.packets == 5 and .written == 5 and .end == "count" and .interface == "b0"'
pcapng_read "$files/count.pcapng" >"$netns_dir/blocks"
[ "$(cut -d ' ' -f 1 "$netns_dir/blocks" | uniq -c | tr -s ' \n' ' ')" = \
	' 1 section 1 interface 5 packet 1 statistics ' ] ||
	test_fail "blocks of the capture: $(cat "$netns_dir/blocks")"
grep -q '^interface b0 9$' "$netns_dir/blocks" || test_fail "interface or resolution: $(cat "$netns_dir/blocks")"
grep -q '^statistics 5 0$' "$netns_dir/blocks" || test_fail "statistics: $(cat "$netns_dir/blocks")"
while read -r kind stamp captured wire; do
	[ "$kind" = packet ] || continue
	if [ "$stamp" -lt "$before" ] || [ "$stamp" -gt "$after" ]; then
		test_fail "a time stamp of $stamp, not from $before to $after"
	fi
	[ "$captured $wire" = "$frame_bytes $frame_bytes" ] || test_fail "a length of $captured, $wire on the wire"
done <"$netns_dir/blocks"

# received and lost of the loaded file are those of its member
tail -c 52 "$files/heavy.pcapng" >"$netns_dir/last"
wanted=$(jq -r '"statistics \(.packets + .lost) \(.lost)"' "$netns_dir/heavy.out")
[ "$(pcapng_read "$netns_dir/last")" = "$wanted" ] ||
	test_fail "statistics of a capture with losses: $(pcapng_read "$netns_dir/last")"

# --- time
join_run time 0 flows --for 1.2 --json
holds time 'ended in time' '.end == "time" and .seconds >= 1.2 and .seconds < 2.5 and .packets == 0'

# --- a reader that goes, at once and later, and one that does not read
reader() { # TAG COMMAND...: a capture into that command; its status in TAG.status
	{
		status=0
		timeout 10 "$xfq" join flows -w - 2>"$netns_dir/$1.err" || status=$?
		echo "$status" >"$netns_dir/$1.status"
	} | "${@:2}" >/dev/null
	[ "$(cat "$netns_dir/$1.status")" -eq 0 ] || {
		cat "$netns_dir/$1.err"
		test_fail "the reader has gone ($1): status $(cat "$netns_dir/$1.status"), wanted 0"
	}
	grep -q 'reader' "$netns_dir/$1.err" || test_fail "$1 does not say that the reader has gone"
}
reader gone head -c 1
reader never true
(
	sleep 1
	send 1003 100
) &
reader five tcpdump -n -r - -c 5 2>/dev/null

to=$netns_dir/pipe
# shellcheck disable=SC2217 # that it does not read is the point
sleep 60 <"$netns_dir/pipe" &
sleeper=$!
process_list+=("$sleeper")
join_start stuck load -w -
stuck=$process_pid
to=
netns_start near "$netns_dir/inject.log" "$inject" b0 0 1 --flows 512
inject_wait "$process_pid"
join_end stuck "$stuck" 1 TERM
says stuck 'nobody reads it; [1-9][0-9]* packets are in it, [1-9][0-9]* were lost'
process_stop "$sleeper" || true

# --- one that lies: it says that it has released what it was never given
join_start liar flows --json -w "$files/liar.pcapng"
liar=$process_pid
send 1003 1
join_wait_taken flows 1
page=$((16#$(sed -n 's/-.* rw-s .*xfq-consumer.*//p' "/proc/$liar/maps")))
# stopped, so that it cannot tell the truth again before a worker looks; a page for each worker
kill -s STOP "$liar"
for cons in "$page" "$((page + $(getconf PAGESIZE)))"; do
	printf '\377\377\377' | dd of="/proc/$liar/mem" bs=1 seek="$cons" conv=notrunc status=none
done
send 1003 1
wait_until 5 grep -q 'is faulty and was detached' "$netns_dir/demo.err" ||
	{ test_show demo; test_fail "no lie was noticed"; }
kill -s CONT "$liar"
join_end liar "$liar" 1
says liar '^xfq join: demo: it released what it was never given'
holds liar 'why' '.end == "detached" and (.why | test("never given"))'
[ "$(pcapng_read "$files/liar.pcapng" | tail -n 1 | cut -d ' ' -f 1)" = statistics ] ||
	test_fail "no statistics of a liar"

# --- a terminal
timeout 20 script -qefc "$xfq join load --for 2.5" "$netns_dir/terminal" >/dev/null
grep -q $'\rload: 0 packets, 0 /s, 0 B, lost 0\033\\[K' "$netns_dir/terminal" ||
	test_fail "no live line on a terminal: $(cat -v "$netns_dir/terminal")"

# every 5 s without one
wait_until 5 grep -q '^load: .* packets, .*/s, .*B, lost ' "$netns_dir/live.err" ||
	test_fail "no live lines: $(cat "$netns_dir/live.err")"
join_end live "$live" 0 TERM
says live '^ended: told to end'

# --- the instance ends
process_alive "$idle" || { test_show idle; test_fail "the idle join is gone"; }
ticks=$(($(cpu_ticks "$idle") - ticks))
[ "$ticks" -le 2 ] || test_fail "an idle join has used $ticks ticks"
join_start last flows --json -w "$files/last.pcapng"
last=$process_pid
send 1003 3
join_wait_taken flows 3
process_stop "$demo" || { test_show demo; test_fail "xfq did not end when asked"; }
join_end idle "$idle" 0
says idle '^ended: the instance has ended$'
join_end last "$last" 0
holds last 'what was there' '.packets == 3 and .written == 3 and .end == "instance"'
holds last 'why' '.why == "the instance has ended"'
[ "$(pcapng_read "$files/last.pcapng" | tail -n 1)" = 'statistics 3 0' ] || test_fail "no statistics at the end"

instance_start demo b0 again
demo=$process_pid
join_start killed flows --json -w "$files/killed.pcapng"
killed=$process_pid
send 1003 3
join_wait_taken flows 3
kill -s KILL "$demo"
join_end killed "$killed" 1
says killed 'killed'
holds killed 'what was there' '.packets == 3 and .end == "killed"'
[ "$(pcapng_read "$files/killed.pcapng" | tail -n 1)" = 'statistics 3 0' ] || test_fail "no statistics after a kill"
join_run none 1 flows --instance demo
echo "joined, shared, captured, refused, and ended in every way; $ticks ticks of an idle one"
