#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The first pass in the kernel, by test runs, and in user space: the same verdict and the same rule for
# every packet of every capture under every config, the same counters, and the same packets for the
# members behind it.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"

sets='sets: { lab: { type: net, entries: [10.0.0.0/8, 192.168.0.0/16, "fe80::/10"] } }'
filters=(
	"filter: { default: steer }"
	"filter: { default: drop, malformed: drop, rules: [{ action: steer, match: 'tcp or udp' }] }"
	"filter: { default: pass, malformed: pass, rules: [{ action: steer, in: { set: lab, field: either } }], $sets }"
	"filter: { default: claimed, rules: [{ action: drop, match: 'udp port 53' }] }"
	"filter: { default: claimed, fragments: ignore, shunt: 0 }"
	"filter: { orphans: drop, rules: [{ action: drop, proto: udp, dport: 1-1023 }] }"
	"filter: { orphans: pass, rules: [{ action: limit, rate: 20, burst: 5 }] }"
	"filter: { rules: [{ action: limit, match: udp, per: src, rate: 2, burst: 2 }, { action: limit, per: flow, rate: 3k, unit: bytes, burst: 2k, keys: 64 }, { action: tx, match: icmp or icmp6, swap: [mac, addresses] }, { action: tx, proto: udp, swap: [ports] }] }"
	"filter: { rules: [{ action: limit, per: dst, rate: 10, burst: 1, in: { set: lab, field: src } }, { action: pass, match: 'vlan or ip6' }, { action: drop, match: 'ip[6:2] & 0x1fff != 0' }], $sets }"
)
groups="groups: { web: { match: 'tcp port 80 or tcp port 443', members: 3 }, lab: { match: 'net 10.0.0.0/8', members: 2, steer: ip-pair }, v6: { match: ip6 } }"

# one_capture: all captures as one file, the time jumping to and fro; then a packet that is cut, and one that
# is too short for the kernel
one_capture() {
	local file
	printf '\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00'
	for file in "${captures[@]}"; do
		tcpdump -r "$file" -w - 2>/dev/null | tail -c +25
	done
	printf '\x01\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x3c\x00\x00\x00'
	head -c 20 /dev/zero
	printf '\x02\x00\x00\x00\x00\x00\x00\x00\x0d\x00\x00\x00\x0d\x00\x00\x00'
	head -c 13 /dev/zero
}

# same CONFIG CAPTURE NAME: both ways, packet by packet, and all the way to the members
same() {
	local way option
	for way in kernel user; do
		option=()
		[ "$way" = kernel ] || option=(--user)
		timeout 60 "$XFQ_BIN" filter test "$1" --read "$2" --packets --json "${option[@]}" \
			>"$offline_dir/$way.raw" 2>"$offline_dir/$way.err" ||
			test_fail "$3: filter test: $(tail -1 "$offline_dir/$way.err")"
		sed -E 's/,"in_kernel":(true|false)//' "$offline_dir/$way.raw" >"$offline_dir/$way"
	done
	cmp -s "$offline_dir/kernel" "$offline_dir/user" || {
		diff "$offline_dir/user" "$offline_dir/kernel" | head -6
		test_fail "$3: kernel and user space differ"
	}
	packets=$((packets + $(wc -l <"$offline_dir/kernel.raw")))
	in_kernel=$((in_kernel + $(grep -c '"in_kernel":true' "$offline_dir/kernel.raw" || true)))
	for way in read xdp; do
		option=()
		[ "$way" = read ] || option=(--xdp)
		timeout 60 "$XFQ_BIN" run "$1" --read "$2" --json "${option[@]}" \
			>"$offline_dir/out" 2>"$offline_dir/$way.err" ||
			test_fail "$3: run: $(tail -1 "$offline_dir/$way.err")"
		jq -S 'del(.uptime_seconds, .workers[].sleeps, .workers[].flow_cache)' "$offline_dir/out" >"$offline_dir/$way"
	done
	cmp -s "$offline_dir/read" "$offline_dir/xdp" || {
		diff "$offline_dir/read" "$offline_dir/xdp" | head -20
		test_fail "$3: run --read and run --read --xdp differ"
	}
}

offline_begin test jq tcpdump
offline_captures
packets=0 in_kernel=0

echo "filter: { default: pass }" >"$offline_dir/none.yaml"
if ! "$XFQ_BIN" filter test "$offline_dir/none.yaml" --read "${captures[0]}" >"$offline_dir/out" 2>"$offline_dir/err"; then
	grep -q -e '--user' "$offline_dir/err" || test_fail "without privileges, nothing says what to do: $(cat "$offline_dir/err")"
	test_skip "needs root, to run programs in the kernel: $(head -1 "$offline_dir/err")"
fi

one_capture >"$offline_dir/all.pcap"
configs=("$XFQ_SOURCE_DIR"/examples/*.yaml)
for i in "${!filters[@]}"; do
	printf '%s\n%s\n' "${filters[i]}" "$groups" >"$offline_dir/$i.yaml"
	configs+=("$offline_dir/$i.yaml")
done
for config in "${configs[@]}"; do
	same "$config" "$offline_dir/all.pcap" "${config##*/}"
done
[ "$in_kernel" -gt $((packets * 9 / 10)) ] || test_fail "only $in_kernel of $packets packets were judged in the kernel"

# what is cut, or too short, is judged in user space, and said to be
"$XFQ_BIN" filter test "$offline_dir/3.yaml" --read "$offline_dir/all.pcap" --json >"$offline_dir/out" 2>"$offline_dir/err"
cut=$(jq .in_user_space "$offline_dir/out")
[ "$cut" -ge 2 ] && grep -q "for $cut that were judged in user space" "$offline_dir/err" ||
	test_fail "cut packets: $cut, and \"$(cat "$offline_dir/err")\""

# neither touches an interface, nor leaves anything behind
"$XFQ_BIN" run "$offline_dir/0.yaml" --xdp >/dev/null 2>"$offline_dir/err" && test_fail "--xdp without --read"
grep -q -e 'belongs to --read' "$offline_dir/err" || test_fail "--xdp without --read: $(cat "$offline_dir/err")"
echo "$packets packets judged the same in both, $in_kernel of them in the kernel; ${#configs[@]} configs, ${#captures[@]} captures"
