#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What it costs to find out which expressions a packet matches, and all of steering; see README.md. Rows
# on stdout, or into a file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
rounds=101
cpu=1

usage() {
	cat <<EOT
usage: classify.sh [-r ROUNDS] [-c CPU] [FILE]
Runs bench_classify, then bench_tier, and prints their rows, or appends them to FILE, with commit,
date, CPU and kernel.
  -r ROUNDS   of all variants, interleaved (default $rounds); of bench_tier a tenth of them
  -c CPU      that it runs on (default $cpu)
environment: BENCH_DIR (the bench programs, default build/release/bench)
EOT
}

fail() {
	echo "classify.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^(0|[1-9][0-9]{0,3})$ ]] ||
		{ echo "classify.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
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
for program in bench_classify bench_tier; do
	[ -x "$programs/$program" ] || fail "$programs/$program is missing: build it, or set BENCH_DIR"
done

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

rows=$(taskset -c "$cpu" "$programs/bench_classify" --rounds "$rounds" &&
	taskset -c "$cpu" "$programs/bench_tier" --rounds $((rounds / 10 + 1))) || fail "no measurement"
jq -c --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" --arg cpu "$cpu_model" \
	--arg kernel "$(uname -r)" --argjson others "$others" '
	{bench, what, way, commit: $commit, date: $date, cpu: $cpu, kernel: $kernel}
	+ . + {others_percent: $others}' <<<"$rows" >>"${1:-/dev/stdout}"
