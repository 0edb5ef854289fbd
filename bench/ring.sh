#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# XFQ's ring beside DPDK's rte_ring between two CPUs; see README.md. Rows on stdout, or into a file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
rounds=301
producer=0
consumer=1

usage() {
	cat <<EOT
usage: ring.sh [-r ROUNDS] [-p CPU] [-c CPU] [FILE]
Runs bench_ring and prints its rows, or appends them to FILE, with commit, date, CPU and kernel.
  -r ROUNDS   of all variants, interleaved (default $rounds)
  -p CPU      of the producer (default $producer)
  -c CPU      of the consumer (default $consumer)
environment: BENCH_DIR (the bench programs, default build/release/bench)
EOT
}

fail() {
	echo "ring.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^(0|[1-9][0-9]{0,3})$ ]] || { echo "ring.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
}

while getopts r:p:c:h option; do
	case $option in
	r) number -r "$OPTARG"; rounds=$OPTARG ;;
	p) number -p "$OPTARG"; producer=$OPTARG ;;
	c) number -c "$OPTARG"; consumer=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || { usage >&2; exit 2; }

command -v jq >/dev/null || fail "jq is missing"
[ -x "$programs/bench_ring" ] ||
	fail "$programs/bench_ring is missing: build it (it needs libdpdk-dev), or set BENCH_DIR"

commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$top" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
cpu_model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)

# busy and all ticks of the two CPUs since boot
ticks() {
	awk -v first="cpu$producer" -v second="cpu$consumer" '
		$1 == first || $1 == second { for (i = 2; i <= 9; i++) all += $i; idle += $5 + $6 }
		END { print all - idle, all + 0 }' /proc/stat
}

# what others take of the two CPUs in the second before, in percent
read -r busy all < <(ticks)
sleep 1
read -r busy_now all_now < <(ticks)
others=0
[ "$all_now" -le "$all" ] || others=$((100 * (busy_now - busy) / (all_now - all)))

rows=$("$programs/bench_ring" --rounds "$rounds" --producer "$producer" --consumer "$consumer")
jq -c --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" --arg cpu "$cpu_model" \
	--arg kernel "$(uname -r)" --argjson others "$others" '
	{bench, what, of, burst, commit: $commit, date: $date, cpu: $cpu, kernel: $kernel}
	+ . + {others_percent: $others}' <<<"$rows" >>"${1:-/dev/stdout}"
