#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# XFQ's rule table beside DPDK's rte_acl on ClassBench sets; see README.md. Rows on stdout, or into a file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
sets=${XFQ_SHARED_DIR:-$top/../shared}/data/classbench
rounds=15
cpu=0
iterations=20
only="acl1_1k fw1_1k ipc1_1k acl1_10k"

usage() {
	cat <<EOT
usage: table.sh [-r ROUNDS] [-c CPU] [-o SET] [FILE]
Runs bench_table and dpdk-test-acl in turn and prints their rows, or appends them to FILE.
  -r ROUNDS   of all variants, interleaved (default $rounds)
  -c CPU      of both (default $cpu)
  -o SET      only this set of rules ($only)
environment: BENCH_DIR (the bench programs, default build/release/bench), XFQ_SHARED_DIR (its
data/classbench has SET.rules and SET.trace, default ../shared)
EOT
}

fail() {
	echo "table.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^(0|[1-9][0-9]{0,3})$ ]] || { echo "table.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
}

while getopts r:c:o:h option; do
	case $option in
	r) number -r "$OPTARG"; rounds=$OPTARG ;;
	c) number -c "$OPTARG"; cpu=$OPTARG ;;
	o) only=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || { usage >&2; exit 2; }

command -v jq >/dev/null || fail "jq is missing"
[ -x "$programs/bench_table" ] || fail "$programs/bench_table is missing: build it, or set BENCH_DIR"
for set in $only; do
	[ -r "$sets/$set.rules" ] || fail "$sets/$set.rules is missing: set XFQ_SHARED_DIR"
done
command -v dpdk-test-acl >/dev/null || echo "table.sh: dpdk-test-acl (package dpdk-dev) is missing: no peer" >&2

commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$top" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
cpu_model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# busy and all ticks of the CPU since boot
ticks() {
	awk -v name="cpu$cpu" '
		$1 == name { for (i = 2; i <= 9; i++) all += $i; idle += $5 + $6 }
		END { print all - idle, all + 0 }' /proc/stat
}

read -r busy all < <(ticks)
sleep 1
read -r busy_now all_now < <(ticks)
others=0
[ "$all_now" -le "$all" ] || others=$((100 * (busy_now - busy) / (all_now - all)))

# acl SET ALGORITHM [OPTION...]: a run of rte_acl's tool
acl() {
	local set=$1 algorithm=$2 wide=
	shift 2
	[[ $algorithm != avx512* ]] || wide=--force-max-simd-bitwidth=512
	# shellcheck disable=SC2086
	stdbuf -oL dpdk-test-acl -l "$cpu" --no-huge -m 2048 --no-pci $wide -- \
		--rulesf="$sets/$set.rules" --tracef="$sets/$set.trace" --rulenum=20000 \
		--tracestep=256 --alg="$algorithm" --bldcat=1 --runcat=1 "$@" 2>/dev/null
}

# One measurement of a variant of a set: {"m_per_s": ..., "load_ms": ...}, null where it cannot be had.
measure() {
	local set=$1 variant=$2
	case $variant in
	rte_acl_*)
		acl "$set" "${variant#rte_acl_}" --iter=$iterations --verbose=1 |
			while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done | awk '
			$2 ~ /^ipv6:/ { begin = $1 }
			/rte_acl_build/ { load = ($1 - begin) * 1000 }
			match($0, /[0-9.]+ pkt\/sec/) { rate = substr($0, RSTART, RLENGTH - 8) / 1e6 }
			END { printf "{\"m_per_s\": %s, \"load_ms\": %s}\n",
				rate ? rate : "null", load ? load : "null" }' ;;
	xfq_*)
		local options=(--level "${variant#xfq_}")
		[ "$variant" != xfq_flags ] || options=(--flags)
		taskset -c "$cpu" "$programs/bench_table" --rules "$sets/$set.rules" \
			--trace "$sets/$set.trace" --iter $iterations "${options[@]}" |
			jq -c '. + {load_ms: (.parse_ms + .build_ms)}' ;;
	esac
}

# What there is to be compared.
variants=()
for level in avx512 avx2 portable; do
	! taskset -c "$cpu" "$programs/bench_table" --rules "$sets/${only%% *}.rules" --level $level \
		>/dev/null 2>&1 || variants+=("xfq_$level")
done
variants+=(xfq_flags)
! command -v dpdk-test-acl >/dev/null || variants+=(rte_acl_avx2 rte_acl_avx512x16 rte_acl_avx512x32)

# Where the answers to the packets of a trace differ from those of rte_acl: of how many.
differ() {
	command -v dpdk-test-acl >/dev/null || { echo null; return; }
	"$programs/bench_table" --rules "$sets/$1.rules" --trace "$sets/$1.trace" --print >"$work/xfq"
	acl "$1" avx2 --iter=1 --verbose=3 | sed -n 's/^ipv4_5tuple: .* result: //p' >"$work/acl"
	[ "$(wc -l <"$work/xfq")" = "$(wc -l <"$work/acl")" ] || { echo null; return; }
	paste "$work/xfq" "$work/acl" | awk '$1 != $2 { cnt++ } END { print cnt + 0 }'
}

head=$(jq -cn --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" --arg cpu "$cpu_model" \
	--arg kernel "$(uname -r)" --argjson others "$others" \
	'{commit: $commit, date: $date, cpu: $cpu, kernel: $kernel, others_percent: $others}')
out=${1:-/dev/stdout}

for set in $only; do
	: >"$work/$set"
	for ((round = 0; round < rounds; round++)); do
		for ((i = 0; i < ${#variants[@]}; i++)); do
			variant=${variants[$(((round + i) % ${#variants[@]}))]}
			measure "$set" "$variant" | jq -c --arg what "$variant" --argjson round $round \
				'. + {what: $what, round: $round}' >>"$work/$set"
		done
	done
	jq -cs --arg set "$set" --argjson head "$head" --argjson differ "$(differ "$set")" '
		def spread: map(select(. != null)) | sort |
			if length == 0 then null else {median: .[length / 2 | floor], min: .[0], max: .[-1]}
			| map_values(. * 1000 | round / 1000) end;
		(map(select(.what == "rte_acl_avx2")) | map({key: "\(.round)", value: .m_per_s})
			| from_entries) as $peer |
		(map(select(.rules)) | .[0]) as $one |
		group_by(.what)[] | {bench: "table", kind: "look_up", set: $set, what: .[0].what} + $head +
		{rules: $one.rules, packets: $one.packets, runs: length,
			m_per_s: map(.m_per_s) | spread,
			ratio_rte_acl_avx2: (map(select($peer["\(.round)"]) | .m_per_s / $peer["\(.round)"])
				| spread | .median?),
			load_ms: map(.load_ms) | spread,
			bytes_per_rule: .[0].bytes_per_rule,
			answers_unlike_rte_acl: (if .[0].what == "xfq_flags" then null else $differ end)}
	' "$work/$set" >>"$out"
done

# One rule more or less: sets as they are, and the largest one ten times over.
for set in ${only%% *} ${only##* } ten; do
	options=()
	file=$set
	[ "$set" != ten ] || { options=(--copies 10); file=${only##* }; }
	taskset -c "$cpu" "$programs/bench_table" --rules "$sets/$file.rules" --trace "$sets/$file.trace" \
		--changes "${options[@]}" |
		jq -c --arg set "$file" --argjson head "$head" \
			'{bench: "table", kind: "change", set: $set, what: "xfq"} + $head + .' >>"$out"
done
