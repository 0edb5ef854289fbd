#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The examples are good configs without a warning, and their rules take the packets of a capture that
# tcpdump counts for the same words: in user space, and with root by the program in the kernel.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"
examples=$XFQ_SOURCE_DIR/examples
pcaps=$XFQ_SHARED_DIR/data/pcaps

# judge WAY NAME CAPTURE: the rules' packets in $seen, the verdicts in $verdicts
judge() {
	local option=()
	[ "$1" = kernel ] || option=(--user)
	timeout 60 "$XFQ_BIN" filter test "$examples/$2.yaml" --read "$3" --json "${option[@]}" \
		>"$offline_dir/out" 2>"$offline_dir/err" || test_fail "$2: $(cat "$offline_dir/err")"
	seen=$(jq -r '[.rules[].packets] | join(" ")' "$offline_dir/out")
	verdicts=$(jq -c '.verdicts | with_entries(select(.value > 0))' "$offline_dir/out")
}

# counts NAME CAPTURE EXPRESSION...: rule by rule, what tcpdump finds
counts() {
	local way wanted=() expression
	for expression in "${@:3}"; do
		wanted+=("$(offline_count "$2" "$expression")")
		[ "${wanted[-1]}" -gt 0 ] || test_fail "$1: ${2##*/} has nothing for \"$expression\""
	done
	for way in "${ways[@]}"; do
		judge "$way" "$1" "$2"
		[ "$seen" = "${wanted[*]}" ] ||
			test_fail "$1 on ${2##*/}, $way: the rules have $seen, tcpdump ${wanted[*]}"
	done
	checked=$((checked + 1))
}

# bucket RATE BURST: of packets whose times tcpdump prints, how many a bucket of tokens refuses
bucket() {
	awk -v interval=$((1000000 / $1)) -v burst="$2" '{
		split($1, t, "."); now = t[1] * 1000000 + t[2]
		if (full < now) full = now
		if (full - now + interval > burst * interval) refused++; else full += interval
	} END { print refused + 0 }'
}

offline_begin test jq tcpdump
offline_captures
checked=0 ways=(user)
if "$XFQ_BIN" filter test "$examples/guard.yaml" --read "$pcaps/dns.pcap" >"$offline_dir/out" 2>"$offline_dir/err"; then
	ways+=(kernel)
else
	echo "in user space alone: $(head -1 "$offline_dir/err")"
fi

for example in "$examples"/*.yaml; do
	"$XFQ_BIN" check "$example" >"$offline_dir/out" 2>"$offline_dir/err" || test_fail "${example##*/}: $(cat "$offline_dir/err")"
	grep -v 'interfaces\[.*has an address of this host' "$offline_dir/err" &&
		test_fail "${example##*/}: a warning"
	checked=$((checked + 1))
done

# and so are those in the documents
cp "$examples/blocklist.txt" "$examples/table.csv" "$offline_dir"
for page in README.md docs/config.md; do
	sed -n '/^```yaml$/,/^```$/p' "$XFQ_SOURCE_DIR/$page" | grep -v '^```' >"$offline_dir/page.yaml"
	"$XFQ_BIN" check "$offline_dir/page.yaml" >"$offline_dir/out" 2>"$offline_dir/err" || test_fail "$page: $(cat "$offline_dir/err")"
	checked=$((checked + 1))
done

counts drop-dns "$pcaps/1kxun.pcap" 'udp port 53'
counts drop-dns "$pcaps/netflix.pcap" 'udp port 53'

# both rules at work take two captures
counts_icmp=$(offline_count "$pcaps/icmp-tunnel.pcap" 'icmp[icmptype] == icmp-echo')
for way in "${ways[@]}"; do
	judge "$way" drop-icmp "$pcaps/icmp-tunnel.pcap"
	[ "$seen" = "$counts_icmp 0" ] || test_fail "drop-icmp, $way: $seen, tcpdump $counts_icmp"
	judge "$way" drop-icmp "$pcaps/http_ipv6.pcap"
	[ "$verdicts" = "$(jq -cn --argjson n "$(offline_count "$pcaps/http_ipv6.pcap")" '{pass: $n}')" ] ||
		test_fail "drop-icmp, $way: takes more of http_ipv6 than pings: $verdicts"
done

office='src net 192.168.5.0/24'
private='src net 10.0.0.0/8 or src net 172.16.0.0/12 or src net 192.168.0.0/16 or src net fc00::/7'
counts cidr "$pcaps/1kxun.pcap" "$office" "udp and ($private) and not $office" \
	"tcp dst port 80 and (src net 192.168.0.0/16 or src net 10.0.0.0/8) and not $office"

# limits: a bucket of tokens over the times of the capture
refused=$(tcpdump -tt -nr "$pcaps/icmp-tunnel.pcap" 'icmp or icmp6' 2>/dev/null | bucket 10 5)
[ "$refused" -gt 0 ] || test_fail "the capture is within the limit"
for way in "${ways[@]}"; do
	judge "$way" limit "$pcaps/icmp-tunnel.pcap"
	[ "$seen" = "$refused 0 0" ] || test_fail "limit, $way: $seen, a bucket refuses $refused"
done

# the blocklist: its own prefixes, sent by nobody in the captures; then with one that is sent
sed 's/file: blocklist.txt, /entries: [192.168.5.16, 68.233.253.128\/25], /' "$examples/blocklist.yaml" >"$offline_dir/blocklist.yaml"
examples=$offline_dir counts blocklist "$pcaps/1kxun.pcap" 'src host 192.168.5.16 or src net 68.233.253.128/25'

# the groups: what cases, tables and tunnels count, tcpdump counts
# group NAME CAPTURE FILTER WANTED: what jq finds in the counters
group() {
	local got
	offline_run 0 "$examples/$1.yaml" "$2"
	got=$(jq -r ".groups | $3" "$offline_dir/out")
	[ "$got" = "$4" ] || test_fail "$1 on ${2##*/}: $3 is $got, tcpdump has $4"
	checked=$((checked + 1))
}

# some CAPTURE EXPRESSION: how many packets tcpdump finds, of which there are some
some() {
	local cnt
	cnt=$(offline_count "$1" "$2")
	[ "$cnt" -gt 0 ] || test_fail "${1##*/} has nothing for \"$2\""
	echo "$cnt"
}

call=$pcaps/sip.pcap mixed=$pcaps/1kxun.pcap six=$pcaps/6in4tunnel.pcap
group cases "$call" .calls.packets "$(some "$call" 'tcp or udp')"
group cases "$call" .calls.counters.sip.packets "$(some "$call" 'port 5060')"
group cases "$call" '[.calls.members[] | select(.classes == ["control"]).packets] | add' "$(some "$call" 'port 5060')"
group cases "$call" '[.calls.members[] | select(.classes == ["media"]).packets] | add' "$(some "$call" 'udp and not port 5060')"
group cases "$mixed" .calls.counters.syns.packets "$(some "$mixed" 'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn')"
group cases "$mixed" '.closer.packets > 0 and .closer.packets < .calls.packets / 2' true
# a table in front of the cases
ours='(src net 10.0.0.0/8 or src net 2001:db8::/32)'
noise='(udp dst port 5353 or (udp and dst net ff02::/16))'
group table "$mixed" .ids.dropped "$(some "$mixed" "$noise")"
group table "$mixed" '[.ids.members[].packets] | add' "$(some "$mixed" "not $noise and not ((icmp or icmp6) and not $ours)")"
echo=$pcaps/icmp-tunnel.pcap
group table "$echo" .ids.counters.icmp.packets "$(some "$echo" "(icmp or icmp6) and not $ours")"
# IPv6 in IPv4, without options or extension headers: its next header is at 26
group tunnels "$six" .outer.packets "$(some "$six" 'ip proto 41')"
group tunnels "$six" .inner.packets "$(some "$six" 'ip proto 41 and (ip[26] == 6 or ip[26] == 58)')"
group sticky "$mixed" '[.services.members[].packets] | add' "$(some "$mixed" 'tcp or udp')"
group sticky "$mixed" '[.flows.members[].packets] | add' "$(some "$mixed" 'tcp or udp')"

echo "$checked examples and counts; ${ways[*]}"
