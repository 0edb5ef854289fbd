#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `xfq check --explain` says what holds, word for word; and a packet goes where it says: the members
# that it names have it, in the files that `xfq run --write` makes, and no others.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"
offline_begin explain jq tcpdump
dir=$offline_dir

# explain STATUS CONFIG WHAT [OPTION...]: the answer is in $dir/out, with numbers that depend on the
# hash left out
explain() {
	local status=0
	timeout 60 "$XFQ_BIN" check "$dir/$2.yaml" --explain "${@:3}" >"$dir/all" 2>"$dir/err" || status=$?
	[ "$status" -eq "$1" ] || {
		cat "$dir/all" "$dir/err"
		test_fail "$3: exit status $status, wanted $1"
	}
	sed -E "s/0x[0-9a-f]{8}/0x/; s/bucket [0-9]+/bucket N/; s|$dir/||; s/(-> member) [0-9]+ of [0-9]+(, mark 4)/\1 MEMBERS\2/" "$dir/all" >"$dir/out"
}

# says NAME: standard input is what is in $dir/out
says() {
	diff -u - "$dir/out" || test_fail "$1: another explanation"
}

# has NAME FILTER: of the JSON object
has() {
	jq -e "$2" "$dir/all" >/dev/null || {
		cat "$dir/all"
		test_fail "$1: not $2"
	}
}

# --- word for word -------------------------------------------------------------------------------

cat >"$dir/rules.csv" <<'END'
priority,src,dst,sport,dport,proto,flags,action
10,192.0.2.0/24,any,any,80,tcp,any,class:fast
20,any,198.51.100.9,any,any,any,any,drop
END
cat >"$dir/a.yaml" <<'END'
filter:
  sets:
    inside: { type: net, entries: [192.0.2.0/24] }
  rules:
    - { action: drop, match: icmp }
    - { action: steer, in: { set: inside, field: dst } }
groups:
  web: { match: "tcp port 80", steer: src, members: 1 }
  some:
    in: { set: inside, field: src }
    table: { file: rules.csv }
    classes: { fast: { members: 1 }, slow: { members: 2 } }
    cases:
      - { match: "tcp[4] = 9", action: drop }
      - { match: tcp, mark: 7, tee: copies, count: seen, action: pass }
      - { in: { set: inside, field: dst }, action: drop }
      - { match: "dst port 443", class: slow, steer: { by: to, member: 1 }, count: secure }
  tagged: { steer: { by: vlan, else: drop }, members: 2 }
  copies: { tee_only: true, members: 1 }
END

explain 0 a "tcp 192.0.2.1:1234 198.51.100.2:443"
says "cases" <<'END'
packet 1: IPv4 TCP 192.0.2.1:1234 > 198.51.100.2:443 len 54
  Ethernet 02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x0800
  IPv4 at byte 14, protocol 6 at byte 34, payload at byte 54, TCP flags 0x010
  54 bytes, on the wire 54; flow hash 0x
first pass: steer by default: steer
group web (line 8): does not want it
  match "tcp port 80": no, cached by flow
group some (line 9): gets it
  in inside (src): yes, cached by flow
  table rules.csv: no rule
  case 0 (line 14): no
    match "tcp[4] = 9": no
  case 1 (line 15): yes, count seen, mark 7, a copy for copies, pass
    match "tcp": yes, cached by flow
  case 2 (line 16): no
    in inside (dst): no, cached by flow
  case 3 (line 17): yes, count secure, deliver to slow
    match "dst port 443": yes, cached by flow
  by to 1
  -> member 2, one of 2 in class slow, mark 7
group tagged (line 18): gets it
  by vlan else drop of vlan 0, which does not apply
  -> dropped
group copies (line 19): gets it, a copy
  by flow of src 192.0.2.1, dst 198.51.100.2, sport 1234, dport 443, proto 6: hash 0x, bucket N of 4096
  -> member 0 of 1
flow cache: its answers are left for the next packet of the flow
A live instance hashes with a seed of its own, and members that join take buckets: there the
member may be another one, and what meets in one member does so all the same.
END

explain 0 a "tcp 192.0.2.1:1234 198.51.100.2:80" --json
has "a rule of the table" '.groups[1].table.rule | .priority == 10 and .line == 2 and (.text | endswith("class:fast"))'
has "its class" '.groups[1] | .class == "fast" and .outcome == "delivered" and .members == [0] and .of == 1 and .cases == []'
has "the method" '.groups[0].steer | .looked_at == {"src": "192.0.2.1"} and .applies and .bucket < 4096'
explain 0 a "udp 192.0.2.1:5 198.51.100.9:80" --json
has "dropped by the table" '.groups[1] | .table.rule.priority == 20 and .outcome == "dropped" and .members == []'
explain 0 a "icmp 192.0.2.1 198.51.100.2" --json
has "dropped by a rule" '.first_pass | .verdict == "drop" and .rule == 0 and .line == 5 and (.why | contains("icmp"))'
has "no group is asked" '.groups == null and .packet.flow_hash == null'
explain 0 a "udp 198.51.100.2:53 192.0.2.1:9" --json
has "the rule that steers" '.first_pass | .verdict == "steer" and .rule == 1 and .line == 6'
has "nobody but the rest" '[.groups[] | select(.wants).group] == ["tagged"]'
explain 0 a "hex:02 00 00 00 00 02 02 00 00 00 00 01 81 00 00 2a 08 06 00 01" --json
has "a frame" '.packet | .vlan == 42 and .ethertype == "0x0806" and .len == 20'
has "by its tag" '.groups[2] | .steer.looked_at == {"vlan": 42} and .outcome == "delivered"'
explain 0 a "udp [2001:db8::1]:53 [2001:db8::2]:1024" --json
has "IPv6, in this direction" '.packet | .src == "2001:db8::1" and .sport == 53 and .ip == 6 and .proto == 17'

# a class of one member, by its number in the group; marks; and what is hashed of a packet that is not IP
explain 0 a "tcp 192.0.2.1:1234 198.51.100.2:80"
grep -qx '  -> member 0, one of 1 in class fast' "$dir/out" || test_fail "a member of a class: $(cat "$dir/out")"
cat >"$dir/b.yaml" <<'END'
groups:
  all:
    match: "tcp[13] & 2 != 0 or not tcp"
    members: 4
    classes: { own: { members: 1 }, both: { members: 2 } }
    cases:
      - { match: "udp port 1", class: own }
      - { match: "udp port 2", steer: broadcast, class: both }
      - { match: "udp port 3", mark: 3, action: pass }
      - { match: "udp port 3", marked: 3, mark: 4, action: pass }
      - { marked: 3, action: drop }
      - { marked: 4, match: "udp dst port 3", action: drop }
      - { marked: 0, match: "udp port 4", action: drop }
END

explain 0 b "udp 192.0.2.1:3 198.51.100.2:5"
says "marks" <<'END'
packet 1: IPv4 UDP 192.0.2.1:3 > 198.51.100.2:5 len 42
  Ethernet 02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x0800
  IPv4 at byte 14, protocol 17 at byte 34, payload at byte 42
  42 bytes, on the wire 42; flow hash 0x
first pass: steer by default: steer
group all (line 2): gets it
  match "tcp[13] & 2 != 0 or not tcp": yes
  case 0 (line 7): no
    match "udp port 1": no
  case 1 (line 8): no
    match "udp port 2": no
  case 2 (line 9): yes, mark 3, pass
    match "udp port 3": yes
  case 3 (line 10): yes, mark 4, pass
    match "udp port 3": yes
    marked 3: yes
  case 4 (line 11): no
    marked 3: no
  case 5 (line 12): no
    match "udp dst port 3": no
    marked 4: yes
  case 6 (line 13): no
    match "udp port 4": no
    marked 0: no
  by flow of src 192.0.2.1, dst 198.51.100.2, sport 3, dport 5, proto 17: hash 0x, bucket N of 4096
  -> member MEMBERS, mark 4
flow cache: not asked: no set, no table
A live instance hashes with a seed of its own, and members that join take buckets: there the
member may be another one, and what meets in one member does so all the same.
END
explain 0 b "udp 192.0.2.1:9 198.51.100.2:1"
grep -qx '  -> member 4, one of 1 in class own' "$dir/out" || test_fail "the class: $(cat "$dir/out")"
explain 0 b "udp 192.0.2.1:9 198.51.100.2:2"
grep -qx '  -> members 5, 6: 2 of 2 in class both' "$dir/out" || test_fail "all of a class: $(cat "$dir/out")"
explain 0 b "udp 192.0.2.1:4 198.51.100.2:9" --json
has "no mark is 0" '.groups[0] | .outcome == "dropped" and .mark == null and (.cases[6].conditions[1] == {"asks": "marked", "marked": 0, "holds": true, "cached": false})'
has "nothing is cached" '[.. | .cached? // empty] == [] and .cache == "not asked: no set, no table"'
explain 0 b "hex:02 00 00 00 00 02 02 00 00 00 00 01 08 06 00 01"
grep -q '^  by flow of src-mac 02:00:00:00:00:01, dst-mac 02:00:00:00:00:02, ethertype 0x0806: hash 0x' "$dir/out" || test_fail "a flow without IP: $(cat "$dir/out")"

# flags of TCP
for flags in "=0x010 false" " syn=0x002 true" " syn+ack=0x012 true" " fin+psh+ns=0x109 false"; do
	explain 0 b "tcp 192.0.2.1:1 198.51.100.2:2${flags%%=*}" --json
	has "flags${flags%%=*}" ".packet.tcp_flags == \"$(cut -d' ' -f1 <<<"${flags##*=}")\" and .groups[0].wants == ${flags##* }"
done

# --- what is refused -----------------------------------------------------------------------------

for what in rubbish hex:0011 x: x:0 x:-1 x:2-1 "47 192.0.2.1 x" "$dir/none.pcap:1" "$dir/a.yaml:1"; do
	explain 1 a "$what"
	grep -q '^xfq check: ' "$dir/err" || test_fail "$what: no sentence"
done

# refused FLOW SENTENCE: what is wrong with it
refused() {
	explain 1 a "$1"
	grep -qF "xfq check: $2" "$dir/err" || test_fail "$1: $(cat "$dir/err")"
}
refused "tcp 192.0.2.1:99999 198.51.100.2:80" '"192.0.2.1:99999": the port is no number from 0 to 65535'
refused "udp 192.0.2.1:9 198.51.100.2:" '"198.51.100.2:": the port is no number'
refused "tcp 192.0.2.1 198.51.100.2" '"192.0.2.1" has no port'
refused "sctp [2001:db8::1]:1 [2001:db8::1]" '"[2001:db8::1]" has no port'
refused "tcp 192.0.2.300:1 198.51.100.2:2" '"192.0.2.300:1": no address'
refused "tcp 192.0.2.1:1 2001:db8::1:80" '"2001:db8::1:80": an IPv6 address with a port wants brackets'
refused "tcp 192.0.2.1:1 [2001:db8::1]:80" '"192.0.2.1:1" is IPv4 and "[2001:db8::1]:80" IPv6'
refused "icmp 192.0.2.1 2001:db8::1" '"192.0.2.1" is IPv4 and "2001:db8::1" IPv6'
refused "icmp 192.0.2.1:8 198.51.100.2" '"192.0.2.1:8": this protocol has no ports'
refused "icmp 192.0.2.1 x" '"x" is no address'
refused "tcp $(printf '%0200d' 1):1 198.51.100.2:2" '"000000000000000000000'
refused "tcp" 'a flow wants two ends, and "tcp" is followed by none'
refused "tcp 192.0.2.1:1" 'a flow wants two ends, and "tcp" is followed by one'
refused "tcp 192.0.2.1:1 198.51.100.2:2 sin" '"sin" is behind the flow, where TCP flags may be'
refused "tcp 192.0.2.1:1 198.51.100.2:2 syn ack" '"ack" is one word too many'
refused "udp 192.0.2.1:1 198.51.100.2:2 syn" '"syn" is behind a flow that is not TCP'

for option in --explain --explain= "--explain --json"; do
	status=0
	# shellcheck disable=SC2086 # two words
	"$XFQ_BIN" check "$dir/a.yaml" $option >"$dir/out" 2>"$dir/err" || status=$?
	[ "$status" -eq 2 ] || test_fail "$option: exit status $status"
	grep -q 'explain wants a PACKET' "$dir/err" || test_fail "$option: $(cat "$dir/err")"
done

# --- the members that have it --------------------------------------------------------------------

cat >"$dir/methods.yaml" <<'END'
filter:
  rules: [{ action: drop, match: "udp port 137" }]
groups:
  flow: { match: "not arp", members: 4 }
  pair: { steer: { by: ip-pair, else: drop }, members: 3 }
  double: { match: ip, steer: double, members: 3 }
  turns: { steer: round-robin, members: 3 }
  any: { steer: random, members: 3 }
  all: { match: "port 53 or port 80", steer: broadcast, members: 2 }
  key: { steer: { by: key, fields: [src, dport, proto] }, members: 3 }
  bytes: { steer: { by: field, offset: 26, size: 4, else: drop }, members: 3 }
  toeplitz: { steer: rss-hash, members: 3 }
END
cat >"$dir/cases.yaml" <<'END'
filter:
  default: claimed
  sets: { lan: { type: net, entries: [10.0.0.0/8, 192.168.0.0/16, "fe80::/10"] } }
groups:
  cases:
    members: 3
    classes: { one: { members: 1 }, two: { members: 2 } }
    table: { file: ports.csv }
    cases:
      - { in: { set: lan, field: src, not: true }, sample: { of: 3, by: packet }, tee: copies, action: pass }
      - { match: tcp, sample: { of: 2, by: flow }, class: two, steer: src }
      - { match: "ip6", class: one }
      - { match: "arp", action: drop }
  copies: { tee_only: true, steer: round-robin, members: 2 }
END
cat >"$dir/marks.yaml" <<'END'
groups:
  some:
    members: 5
    classes: { one: { members: 2 }, two: { members: 1 } }
    cases:
      - { sample: { of: 2, by: flow }, mark: 1, action: pass }
      - { sample: { of: 2, by: flow }, marked: 1, mark: 2, action: pass }
      - { marked: 2, sample: { of: 3, by: packet }, class: one, steer: round-robin }
      - { marked: 0, sample: { of: 2, by: packet }, match: udp, tee: halves, action: pass }
      - { marked: 1, sample: { of: 2, by: flow }, mark: 3, class: two }
      - { marked: 1, action: drop }
      - { sample: { of: 2, by: flow }, mark: 7, action: pass }
  halves:
    members: 2
    tee_only: true
    cases:
      - { sample: { of: 2, by: flow }, mark: 4294967295, action: pass }
      - { marked: 4294967295, sample: { of: 2, by: packet }, action: drop }
      - { marked: 7, action: drop }
END
cat >"$dir/turns.csv" <<'END'
priority,src,dst,sport,dport,proto,flags,action
10,any,any,any,53,any,any,class:one
20,any,any,53,any,any,any,class:two
30,any,any,any,5060,any,any,drop
END
cat >"$dir/turns.yaml" <<'END'
groups:
  turns:
    steer: round-robin
    members: 3
    classes: { one: { members: 2 }, two: { members: 3 } }
    table: { file: turns.csv }
    cases: [{ sample: { of: 3, by: packet }, class: two }]
END
cat >"$dir/ports.csv" <<'END'
priority,src,dst,sport,dport,proto,flags,action
10,any,any,any,53,udp,any,class:two
20,any,any,443,any,tcp,any,drop
END
cat >"$dir/inner.yaml" <<'END'
groups:
  inner: { inner: true, members: 4 }
  dns: { inner: true, match: "udp port 53", steer: src, members: 2 }
  icmp: { inner: true, match: "icmp or icmp6", steer: { by: key, fields: [icmp-type], else: drop }, members: 3 }
END

# lines FILE: a line for each packet of it, in order
lines() {
	tcpdump -tt -nn -q -e -# -r "$1" 2>/dev/null |
		sed -nE 's/^ *[0-9]+  ([0-9]+\.[0-9]+ [^,]*,.*length [0-9]+).*/\1/p' | sed -E 's/(length [0-9]+).*/\1/'
}

# agrees CONFIG FILE
agrees() {
	local written=$dir/written file member
	rm -rf "$written"
	mkdir "$written"
	offline_run 0 "$dir/$1.yaml" "$2" --write "$written"
	lines "$2" >"$dir/lines"
	[ "$(wc -l <"$dir/lines")" -eq "$(offline_count "$2")" ] || return 0 # of another format
	explain 0 "$1" "$2:1-99999" --json
	# what is told: GROUP.MEMBER and the packet's line
	jq -r '.number as $n | .groups[]? | .group as $g | .members[]? | "\($g).\(.) \($n)"' "$dir/all" >"$dir/numbers"
	awk 'NR == FNR { line[NR] = $0; next } { print $1, line[$2] }' "$dir/lines" "$dir/numbers" | sort -s -k 1,1 >"$dir/told"
	for file in "$written"/*.pcapng; do
		member=${file##*/}
		lines "$file" | sed "s/^/${member%.pcapng} /"
	done | sort -s -k 1,1 >"$dir/is"
	diff "$dir/told" "$dir/is" >"$dir/diff" || {
		head -5 "$dir/diff"
		test_fail "$1: ${2##*/}: what is told (<) is not what members have (>)"
	}
	compared=$((compared + $(wc -l <"$dir/told")))
}

offline_captures
compared=0 files=0
for file in "${captures[@]}"; do
	case ${file##*/} in
	sip.pcap | dns.pcap | vxlan.pcap | gre.pcapng | teredo.pcap | http_ipv6.pcap | dns_fragmented.pcap)
		for config in methods cases marks turns inner; do
			agrees "$config" "$file"
		done
		files=$((files + 1))
		;;
	esac
done
[ "$compared" -gt 100 ] || test_fail "only $compared packets were compared"
echo "what is explained, and $compared packets of $files captures at the members that it names"
