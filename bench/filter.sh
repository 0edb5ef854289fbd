#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a packet costs in the XDP program, beside bare programs and xdp-filter; see README.md. Root.
# Rows on stdout, or into a file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
rounds=101
cpu=1
table=()

usage() {
	cat <<EOT
usage: filter.sh [-r ROUNDS] [-c CPU] [-o TEXT] [-t] [FILE]
Runs bench_filter beside xdp-filter, in a network namespace of its own, and prints its rows, or
appends them to FILE, with commit, date, CPU and kernel.
  -r ROUNDS   of all programs, in turn (default $rounds)
  -c CPU      that they run on (default $cpu)
  -o TEXT     only the programs whose name contains it, beside xdp-filter and the bare ones
  -t          a table to read, instead of rows
environment: BENCH_DIR (the bench programs, default build/release/bench)
EOT
}

fail() {
	echo "filter.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^(0|[1-9][0-9]{0,3})$ ]] || { echo "filter.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
}

only=()
while getopts r:c:o:th option; do
	case $option in
	r) number -r "$OPTARG"; rounds=$OPTARG ;;
	c) number -c "$OPTARG"; cpu=$OPTARG ;;
	o) only=(--only "$OPTARG") ;;
	t) table=(--table) ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || { usage >&2; exit 2; }

[ "$(id -u)" -eq 0 ] || fail "XDP and network namespaces need root"
for tool in jq ip unshare; do
	command -v $tool >/dev/null || fail "$tool is missing"
done
[ -x "$programs/bench_filter" ] || fail "$programs/bench_filter is missing: build it, or set BENCH_DIR"

commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$top" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
cpu_model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)

# busy and all ticks of the CPU since boot
ticks() {
	awk -v name="cpu$cpu" '$1 == name { for (i = 2; i <= 9; i++) all += $i; idle += $5 + $6 }
		END { print all - idle, all + 0 }' /proc/stat
}

# The bench in network and mount namespaces of its own, so that devices and what xdp-filter pins
# go away with it. Rules of xdp-filter: UDP port 53, to be dropped, and an address that no packet has.
inside() {
	local variant others=()
	mount -t bpf bpf /sys/fs/bpf
	ip link set lo up
	if command -v xdp-filter >/dev/null; then
		for variant in udp:ddpp ipv4:pppp all:ddpp; do
			local feature=${variant%:*}
			ip link add "xf$feature" type veth peer name "peer$feature"
			ip link set "xf$feature" up
			xdp-filter load "xf$feature" -f "$feature" -m native >&2 2>/dev/null ||
				xdp-filter load "xf$feature" -f "$feature" -m native >&2
			others+=(--other "xdp_filter_$feature=xf$variant")
		done
		xdp-filter port 53 -p udp -m src,dst >&2
		xdp-filter ip 203.0.113.7 -m src >&2
	else
		echo "filter.sh: xdp-filter is missing (package xdp-tools): left out" >&2
	fi
	"$programs/bench_filter" --rounds "$rounds" --cpu "$cpu" "${others[@]}" "$@"
}
export -f inside
export programs rounds cpu

# what others take of the CPU in the second before, in percent
read -r busy all < <(ticks)
sleep 1
read -r busy_now all_now < <(ticks)
others=0
[ "$all_now" -le "$all" ] || others=$((100 * (busy_now - busy) / (all_now - all)))

rows=$(unshare --net --mount bash -euo pipefail -c 'inside "$@"' inside "${only[@]}" "${table[@]}")
if [ ${#table[@]} -gt 0 ]; then
	printf '%s\n' "$rows"
	exit 0
fi
jq -c --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" --arg cpu "$cpu_model" \
	--arg kernel "$(uname -r)" --argjson others "$others" '
	{bench, what, of, packet, commit: $commit, date: $date, cpu: $cpu, kernel: $kernel}
	+ . + {others_percent: $others}' <<<"$rows" >>"${1:-/dev/stdout}"
