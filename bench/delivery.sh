#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a delivery costs the worker, in time and in instructions; see README.md. Rows on stdout, or
# into a file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
rounds=11
cpu=1

usage() {
	cat <<EOT
usage: delivery.sh [-r ROUNDS] [-c CPU] [FILE]
Runs bench_delivery, then counts its instructions under valgrind, and prints a row for each mode and
number of members, or appends them to FILE, with commit, date, CPU and kernel. Without valgrind the
rows have no instructions.
  -r ROUNDS   of all variants, interleaved (default $rounds)
  -c CPU      that it runs on (default $cpu)
environment: BENCH_DIR (the bench programs, default build/release/bench)
EOT
}

fail() {
	echo "delivery.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^(0|[1-9][0-9]{0,3})$ ]] || { echo "delivery.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
}

while getopts r:c:h option; do
	case $option in
	r) number -r "$OPTARG"; rounds=$OPTARG ;;
	c) number -c "$OPTARG"; cpu=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || { usage >&2; exit 2; }

for tool in jq taskset; do
	command -v $tool >/dev/null || fail "$tool is missing"
done
[ -x "$programs/bench_delivery" ] ||
	fail "$programs/bench_delivery is missing: build it, or set BENCH_DIR"
valgrind=$(command -v valgrind) || echo "delivery.sh: no valgrind: instructions are not counted" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$top" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
cpu_model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)

# busy and all ticks of the CPU since boot
ticks() {
	awk -v name="cpu$cpu" '$1 == name { for (i = 2; i <= 9; i++) all += $i; idle = $5 + $6 }
		END { print all - idle, all + 0 }' /proc/stat
}

# what others take of the CPU in the second before, in percent
read -r busy all < <(ticks)
sleep 1
read -r busy_now all_now < <(ticks)
others=0
[ "$all_now" -le "$all" ] || others=$((100 * (busy_now - busy) / (all_now - all)))

# instructions MODE MEMBERS: what the worker's side of a delivery takes, all calls of it together
instructions() {
	local total deliveries
	[ -n "$valgrind" ] || { echo null; return; }
	# only the function that is the worker's side is counted, and what it calls
	deliveries=$("$valgrind" -q --tool=callgrind "--callgrind-out-file=$work/callgrind" \
		"--toggle-collect=delivery_work*" "$programs/bench_delivery" --mode "$1" --members "$2" --bursts 512 \
		--rounds 1 2>"$work/errors" | jq .deliveries) || fail "$(cat "$work/errors")"
	total=$(sed -n 's/^totals: \([0-9]*\)$/\1/p' "$work/callgrind")
	[ -n "$total" ] || fail "no totals in what callgrind wrote"
	jq -n "$total / $deliveries * 100 | round / 100"
}

taskset -c "$cpu" "$programs/bench_delivery" --rounds "$rounds" >"$work/rows" ||
	fail "no measurement"
while read -r row; do
	read -r mode members < <(jq -r '"\(.mode) \(.members)"' <<<"$row")
	count=$(instructions "$mode" "$members")
	jq -c --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" --arg cpu "$cpu_model" \
		--arg kernel "$(uname -r)" --argjson others "$others" --argjson count "$count" '
		(if .mode == "broadcast" then .members else 1 end) as $times
		| {bench, mode, members, commit: $commit, date: $date, cpu: $cpu, kernel: $kernel,
		   others_percent: $others}
		  + (del(.bench, .mode, .members)
		     | .instructions_per_delivery = $count
		     | .instructions_per_packet = if $count then $count * $times * 100 | round / 100
			else null end)' <<<"$row" >>"${1:-/dev/stdout}"
done <"$work/rows"
