#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A group gets the packets that tcpdump prints for the same expression, neither more nor fewer: on
# every capture, with members in threads and in the worker, and with rules in front.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"

expressions=(
	'tcp' 'udp port 53' 'ip6' 'vlan' 'icmp or icmp6' 'tcp[tcpflags] & tcp-syn != 0'
	'net 10.0.0.0/8 or net 192.168.0.0/16' 'net 2000::/3' 'portrange 1024-49151' 'dst portrange 0-1023'
	'greater 600' 'less 100' 'ip[6:2] & 0x1fff != 0' 'host 192.168.1.4 or host 10.0.2.15'
	'ether proto 0x86dd' 'ether[0] & 1 = 1' 'ip[2:2] - ((ip[0] & 0xf) << 2) > 100' 'len - 14 < 2 * 64'
	'not ip' 'not (tcp or udp)' 'tcp port 80 or tcp port 443' 'ip proto 47 or ip proto 41' 'ip6[6] = 44'
	'vlan and vlan and ip' 'pppoes' 'udp[4:2] > 200' 'ip and not port 53' 'src net 128.0.0.0/1'
	'ether src host 00:00:00:00:00:00 or ether broadcast' 'sctp or esp' 'tcp[13] = 18 and tcp[2:2] > 1023'
	'ip[8] < 64 and ip[0] & 0xf > 4' 'udp and (udp[8] = 0x60 or udp[8] >> 4 = 4)'
)

# write_config FILE RUN: one group an expression, e0, e1, ...; $filter in front of them
write_config() {
	local i
	printf '%s\ngroups:\n  all: { run: %s }\n' "$filter" "$2"
	for i in "${!expressions[@]}"; do
		printf "  e%d: { match: '%s', members: %d, run: %s, ring: 64 }\n" \
			"$i" "${expressions[i]}" $((i % 3 + 1)) "$2"
	done
} >"$1"

# compare FILE NAME: the groups of the last run against tcpdump on FILE
compare() {
	local i wanted seen
	mapfile -t seen < <(jq --argjson n "${#expressions[@]}" '.groups as $g | range($n) | $g["e\(.)"].packets' \
		"$offline_dir/out")
	for i in "${!expressions[@]}"; do
		wanted=$(offline_count "$1" "${expressions[i]}") || test_fail "tcpdump fails on $2"
		[ "${seen[i]}" = "$wanted" ] ||
			test_fail "$2, \"${expressions[i]}\": the group has ${seen[i]}, tcpdump $wanted"
		matched[i]=$((${matched[i]:-0} + wanted))
		compared=$((compared + 1))
	done
}

offline_begin test jq tcpdump
offline_captures
matched=()
compared=0

filter='filter: { default: steer }'
# what is counted, whatever the members are
counts='.groups | map_values(.members |= map(del(.kind, .ring)))'
write_config "$offline_dir/thread.yaml" thread
write_config "$offline_dir/worker.yaml" worker
for capture in "${captures[@]}"; do
	name=${capture##*/}
	offline_run 0 "$offline_dir/worker.yaml" "$capture"
	compare "$capture" "$name"
	jq -S "$counts" "$offline_dir/out" >"$offline_dir/worker.groups"
	offline_run 0 "$offline_dir/thread.yaml" "$capture"
	jq -S "$counts" "$offline_dir/out" | cmp -s - "$offline_dir/worker.groups" ||
		test_fail "$name: the groups differ between run: thread and run: worker"
done
for i in "${!expressions[@]}"; do
	[ "${matched[i]}" -gt 0 ] || echo "no capture has a packet for \"${expressions[i]}\""
done

# With rules: the groups see what was steered, which the group `all` writes.
filter='filter:
  default: steer
  sets:
    some: { type: net, entries: [10.0.0.0/9, 192.168.1.0/24, "2001:db8::/32", "2a00::/16"] }
  rules:
    - { action: drop, proto: udp, port: 53 }
    - { action: pass, in: { set: some, field: src } }
    - { action: drop, proto: tcp, dport: 443 }
    - { action: steer, proto: tcp, sport: 1-1023 }
    - { action: drop, proto: icmp }'
taken='udp port 53 or ((ip or ip6) and (src net 10.0.0.0/9 or src net 192.168.1.0/24 or
	src net 2001:db8::/32 or src net 2a00::/16)) or tcp dst port 443 or icmp'
# where tcpdump, which looks at one header after the other, and a parser mean the same
plain='not vlan and not (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 or ip6[6] = 60))'
write_config "$offline_dir/rules.yaml" thread
plain_captures=0
for capture in "${captures[@]}"; do
	name=${capture##*/}
	offline_run 0 "$offline_dir/rules.yaml" "$capture" --write "$offline_dir/written"
	steered=$(jq .verdicts.steer "$offline_dir/out")
	[ "$(offline_count "$offline_dir/written/all.0.pcapng")" = "$steered" ] ||
		test_fail "$name: the group of every packet has not written the $steered that were steered"
	compare "$offline_dir/written/all.0.pcapng" "$name, after rules"
	rm -r "$offline_dir/written"
	packets=$(offline_count "$capture")
	if [ "$(offline_count "$capture" "$plain")" = "$packets" ] &&
		jq -e '.noticed.malformed + .noticed.fragments == 0' "$offline_dir/out" >/dev/null; then
		wanted=$(offline_count "$capture" "not ($taken)")
		[ "$steered" = "$wanted" ] || test_fail "$name: $steered steered, tcpdump says $wanted"
		plain_captures=$((plain_captures + 1))
	fi
done
[ "$plain_captures" -gt 0 ] || test_fail "no capture to hold the rules against tcpdump"
echo "${#captures[@]} captures, ${#expressions[@]} expressions, $compared comparisons;" \
	"rules held against tcpdump on $plain_captures"
