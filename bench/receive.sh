#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What XFQ's receive path costs beside a bare AF_XDP loop; see README.md. Root. Rows on stdout.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
programs=${BENCH_DIR:-$top/build/release/bench}
xfq=${XFQ_BIN:-$top/build/release/apps/xfq}
rounds=5
seconds=3
only=both
inject_args=()

usage() {
	cat <<EOF
usage: receive.sh [-r ROUNDS] [-s SECONDS] [-o bare|xfq] [-- INJECTOR_OPTION...]
Interleaves bench_bare_xsk and xfq on a veth pair of its own, under injected load, and prints a
JSON row per run and a summary. The injector has CPU 0, the receiver CPU 1.
  -r ROUNDS   of both (default $rounds)
  -s SECONDS  of load in each run (default $seconds)
  -o WHICH    only one of the two
  options after -- go to bench_inject: --fixed, --flows N, --batch N
environment: BENCH_DIR (the bench programs, default build/release/bench),
  XFQ_BIN (default build/release/apps/xfq)
EOF
}

fail() {
	echo "receive.sh: $*" >&2
	exit 1
}

number() {
	[[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || { echo "receive.sh: $1: not a number: $2" >&2; usage >&2; exit 2; }
}

while getopts r:s:o:h option; do
	case $option in
	r) number -r "$OPTARG"; rounds=$OPTARG ;;
	s) number -s "$OPTARG"; seconds=$OPTARG ;;
	o) only=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
inject_args=("$@")
case $only in bare | xfq | both) ;; *) usage >&2; exit 2 ;; esac

[ "$(id -u)" -eq 0 ] || fail "XDP and network namespaces need root"
for tool in jq ip nsenter taskset; do
	command -v $tool >/dev/null || fail "$tool is missing"
done
for program in "$programs"/bench_{inject,bare_xsk}; do
	[ -x "$program" ] || fail "$program is missing: build it, or set BENCH_DIR"
done
[ "$only" = bare ] || [ -x "$xfq" ] || fail "$xfq is missing: build it, set XFQ_BIN, or use -o bare"
[ "$(nproc)" -ge 2 ] || fail "one CPU: injector and receiver would take turns"

ns=xfqbench$$
device=xfqb0
margin=3 # seconds a receiver outlives the load: its start, and the injector's
receiver=
injector=
work=$(mktemp -d)

stop() {
	local pid
	for pid in $injector $receiver; do
		kill "$pid" 2>/dev/null || continue
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	ip netns del $ns 2>/dev/null
	rm -rf "$work"
}
trap 'stop || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ip netns add $ns
# nsenter, as `ip netns exec` would hide a mounted bpffs
inside=(nsenter "--net=/run/netns/$ns")
# the kernel's own neighbour discovery would be counted
"${inside[@]}" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
ip -n $ns link add $device numrxqueues 1 numtxqueues 1 type veth \
	peer name ${device}p numrxqueues 1 numtxqueues 1
ip -n $ns link set $device up
ip -n $ns link set ${device}p up

cat >"$work/bench.yaml" <<EOF
name: bench
interfaces:
  - { name: $device, queues: all, mode: auto }
workers: { cpus: [1], idle: adaptive }
filter: { default: steer }
groups:
  web: { match: "tcp port 80 or tcp port 443", steer: flow, members: 4, sink: count, run: worker }
  dns: { match: "udp port 53", steer: flow, members: 4, sink: count, run: worker }
  icmp: { match: "icmp or icmp6", steer: flow, members: 4, sink: count, run: worker }
  ip6: { match: "ip6", steer: flow, members: 4, sink: count, run: worker }
EOF
export XFQ_RUN_DIR=$work

commit=$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$top" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
cpu_model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)

program_mode() {
	ip -n $ns -j link show dev $device |
		jq -r '.[0].xdp.mode // 0 | ["", "native", "generic", "offloaded"][.] // "several"'
}

ready() {
	case $1 in
	bare) [ -n "$(program_mode)" ] ;;
	xfq) [ -S "$work/bench.sock" ] && [ -n "$(program_mode)" ] ;;
	esac
}

# busy and all ticks of CPU 0 and 1 since boot
ticks() {
	awk '/^cpu[01] / { for (i = 2; i <= 9; i++) all += $i; idle += $5 + $6 }
		END { print all - idle, all }' /proc/stat
}

# what others took of the two CPUs in a second in which nothing of ours runs, in percent; the
# kernel needs that pause, too: it frees a socket's queue some time after its end
pause() {
	local busy all busy_now all_now
	read -r busy all < <(ticks)
	sleep 1
	read -r busy_now all_now < <(ticks)
	echo $((100 * (busy_now - busy) / (all_now - all)))
}

# receive WHAT ROUND: one run of it, its row on stdout
receive() {
	local what=$1 mode others tries=0 command
	others=$(pause)
	case $what in
	bare) command=(taskset -c 1 "$programs/bench_bare_xsk" "$device" 0 "$((seconds + margin))") ;;
	xfq) command=("$xfq" run "$work/bench.yaml" --for "$((seconds + margin))" --json) ;;
	esac
	rm -f "$work/bench.sock"
	"${inside[@]}" "${command[@]}" >"$work/received" 2>"$work/errors" &
	receiver=$!
	until ready "$what"; do
		tries=$((tries + 1))
		if ! kill -0 $receiver 2>/dev/null || [ $tries -ge 40 ]; then
			fail "$what: not receiving after $((tries * 50)) ms: $(cat "$work/errors")"
		fi
		sleep 0.05
	done
	mode=$(program_mode)
	"${inside[@]}" "$programs/bench_inject" $device 0 "$seconds" --cpu 0 "${inject_args[@]}" \
		>"$work/injected" &
	injector=$!
	wait $injector || fail "$what: no load"
	injector=
	kill -0 $receiver 2>/dev/null || fail "$what: ended before the load did: $(cat "$work/errors")"
	wait $receiver || fail "$what: $(cat "$work/errors")"
	receiver=
	jq -c -n --arg what "$what" --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" \
		--arg cpu "$cpu_model" --arg kernel "$(uname -r)" --arg device "veth" \
		--arg mode "$mode" --argjson round "$2" --argjson others "$others" \
		--slurpfile received "$work/received" --slurpfile injected "$work/injected" '
		$injected[0] as $in
		| ($received[-1].workers // [$received[-1]]) as $workers
		| ($workers | map(.received) | add) as $packets
		| {bench: "receive", what: $what, round: $round, commit: $commit, date: $date,
		   cpu: $cpu, kernel: $kernel, device: $device, mode: $mode, flows: $in.flows,
		   others_percent: $others, way: $in.way, batch: $in.batch, seconds: $in.seconds, injected: $in.packets,
		   injected_mpps: $in.mpps, packets: $packets,
		   mpps: ($packets / $in.seconds / 1e6 * 1e4 | round / 1e4),
		   loss_percent: (100 * (1 - $packets / $in.packets) * 1e4 | round / 1e4),
		   rx_dropped: ($workers | map(.rx_dropped) | add),
		   rx_ring_full: ($workers | map(.rx_ring_full) | add)}' | tee -a "$work/rows"
}

for ((round = 1; round <= rounds; round++)); do
	if ((round % 2)); then order="bare xfq"; else order="xfq bare"; fi
	for what in $order; do
		case $only in both | "$what") receive "$what" $round ;; esac
	done
done

jq -c -s '
	def median: sort | if length % 2 == 1 then .[length / 2 | floor]
		else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def range3: {median: median, min: min, max: max};
	def of($what): map(select(.what == $what));
	def sum($what): of($what) | if . == [] then null else
		{mpps: map(.mpps) | range3, injected_mpps: map(.injected_mpps) | range3,
		 loss_percent: map(.loss_percent) | range3} end;
	.[0] as $first
	| {bench: "receive", what: "summary", rounds: (map(.round) | max), commit: $first.commit,
	   date: $first.date, cpu: $first.cpu, kernel: $first.kernel, device: $first.device,
	   flows: $first.flows, others_percent: (map(.others_percent) | range3), bare: sum("bare"), xfq: sum("xfq")}
	| .ratio = (if .bare and .xfq and .bare.mpps.median > 0
		then .xfq.mpps.median / .bare.mpps.median * 1e4 | round / 1e4 else null end)' "$work/rows"
