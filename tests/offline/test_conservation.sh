#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every packet of a file is in exactly one counter of each kind: the sums of the JSON object hold for
# every capture, for the examples and for configs that are short of everything.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"

# the names of the sums that do not hold; $n: packets in the file
# shellcheck disable=SC2016 # jq's variables
sums='def sum(f): [f] | add // 0;
def taken(name): sum(.filter.rules[], .filter.default | select(.action == name).packets);
{
	"every packet has one verdict": ([.verdicts[]] | add == $n),
	"rules, default and malformed: sum to all": (sum(.filter.rules[].packets) + .filter.default.packets
		+ .verdicts.malformed == $n),
	"dropped by rules": (taken("drop") == .verdicts.drop),
	"sent back by rules": (taken("tx") == .verdicts.tx),
	"beyond a limit": (taken("limit") == .verdicts.limited),
	"passed by rules": (if .filter.default.action == "claimed" then taken("pass") <= .verdicts.pass
		else taken("pass") == .verdicts.pass end),
	"steered by rules": (if .filter.default.action == "claimed" then taken("steer") <= .verdicts.steer
		else taken("steer") == .verdicts.steer end),
	"claimed or passed": (taken("pass") + taken("steer") + taken("claimed") == .verdicts.pass + .verdicts.steer),
	"nobody shunts": (.verdicts.shunted == 0),
	"malformed verdicts are noticed": (.verdicts.malformed <= .noticed.malformed),
	"steered is received": (.verdicts.steer == sum(.workers[].received)),
	"nothing lost on the way in": (sum(.workers[] | .rx_dropped, .rx_ring_full, .faulty_members) == 0),
	"unclaimed": ([.workers[] | .unclaimed <= .received] | all),
	"a group for everything": ([.groups[] | select(.match == "" and (.narrowed | not)).packets] | all(. == $steer)),
	"unclaimed is what no group has": (if [.groups[] | select(.match == "" and (.narrowed | not))] | length > 0
		then sum(.workers[].unclaimed) == 0 else true end),
	"no group, all unclaimed": (if .groups == {} then sum(.workers[].unclaimed) == $steer else true end),
	"packets of a group": ([.groups[] | .packets * (if .steer == "broadcast" then .members | length
		else 1 end) == sum(.members[] | .packets, .lost) + (if .steer == "broadcast" then 0 else .no_member + .dropped end)] | all),
	"bytes of a group": ([.groups[] | select(.no_member + .dropped == 0) | .bytes * (if .steer == "broadcast" then .members | length
		else 1 end) == sum(.members[].bytes)] | all),
	"nothing is lost from a file": (sum(.groups[].members[].lost) == 0),
	"all is consumed": ([.groups[].members[] | .consumed == .packets and .queued == 0] | all),
	"round-robin is even": ([.groups[] | select(.steer == "round-robin") | [.members[].packets]
		| max - min <= 1] | all),
	"frames": (.frames | .total > 0 and .total == .free and .kernel + .worker + .held + .tx == 0)
} | to_entries[] | select(.value | not).key'

# check NAME CONFIG CAPTURE PACKETS
check() {
	local failed
	offline_run 0 "$2" "$3"
	failed=$(jq -r --argjson n "$4" ".verdicts.steer as \$steer | $sums" "$offline_dir/out") ||
		test_fail "$1: no JSON object with the counters"
	runs=$((runs + 1))
	[ -z "$failed" ] && return 0
	cat "$offline_dir/out"
	test_fail "$1: ${3##*/}: $failed"
}

# write NAME: a config from standard input
write() {
	cat >"$offline_dir/$1.yaml"
	configs+=("$offline_dir/$1.yaml")
}

offline_begin test jq tcpdump
offline_captures
configs=("$XFQ_SOURCE_DIR"/examples/*.yaml)
runs=0
write methods <<'END'
groups:
  flow: { steer: flow, members: 7, run: thread }
  pair: { match: "ip or ip6", steer: ip-pair, members: 5, run: worker }
  turn: { match: tcp, steer: round-robin, members: 3, run: thread }
  each: { match: "not tcp", steer: broadcast, members: 4, run: thread }
  both: { steer: broadcast, members: 2, run: worker }
END
write rules <<'END'
filter:
  default: pass
  malformed: drop
  sets:
    some: { type: net, entries: [10.0.0.0/8, 2000::/4] }
  rules:
    - { action: drop, proto: udp, port: 53 }
    - { action: steer, in: { set: some, field: either } }
    - { action: pass, proto: icmp }
    - { action: steer, proto: tcp, dport: 1-1023 }
groups:
  udp: { match: udp, members: 2 }
  tcp: { match: tcp, steer: ip-pair, members: 2 }
END
write malformed <<'END'
filter: { default: steer, malformed: pass }
groups:
  all: { steer: flow, members: 64, run: worker }
END
write none <<'END'
filter: { default: steer }
END
# the smallest rings and memory that there can be: the file waits for the members
{
	printf 'workers: { frames: 64 }\ngroups:\n'
	for ((i = 0; i < 16; i++)); do
		printf '  g%d: { steer: broadcast, members: 8, ring: 64 }\n' "$i"
	done
} | write short

for capture in "${captures[@]}"; do
	packets=$(offline_count "$capture")
	for config in "${configs[@]}"; do
		check "${config##*/}" "$config" "$capture" "$packets"
	done
done
echo "$runs runs over ${#captures[@]} captures, every sum holds"
