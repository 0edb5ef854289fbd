#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Plug-ins of a config: what is loaded is asked, what cannot be is told before anything runs; and
# steer_voip of the examples keeps each call, with its media, at one member.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"
offline_begin plugin jq tcpdump
dir=$offline_dir
[ -e "${XFQ_PLUGIN_DIR:-/nonexistent}/steer_voip.so" ] || test_fail "XFQ_PLUGIN_DIR has no plug-ins"
cp "$XFQ_PLUGIN_DIR"/*.so "$dir"
chmod go-w "$dir"/*.so

# --- a capture of calls --------------------------------------------------------------------------

# hex DIGITS: bytes
hex() {
	# shellcheck disable=SC2001 # two digits at a time
	printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"
}

# le CNT BYTES: a number of 4 bytes, the lowest first
le() {
	local digits
	digits=$(printf '%08x' "$1")
	hex "${digits:6:2}${digits:4:2}${digits:2:2}${digits:0:2}"
}

# udp SRC SPORT DST DPORT TEXT: one packet in a second of its own; addresses are 10.0.0.N
second=0
udp() {
	local payload=$5 len udp_len ip_len
	len=$(printf '%b' "$payload" | wc -c)
	udp_len=$((len + 8)) ip_len=$((len + 28))
	second=$((second + 1))
	le "$second" && le 0 && le $((ip_len + 14)) && le $((ip_len + 14))
	hex 0200000000020200000000010800
	hex "$(printf '4500%04x0000000040110000' "$ip_len")"
	hex "$(printf '0a0000%02x0a0000%02x%04x%04x%04x0000' "$1" "$3" "$2" "$4" "$udp_len")"
	printf '%b' "$payload"
}

# call N: a call between 10.0.0.1 and .2, with media between .1N and .2N
call() {
	local n=$1
	sdp() {
		printf 'v=0\\r\\nc=IN IP4 10.0.0.%d\\r\\nm=audio %d RTP/AVP 0\\r\\n' "$1" "$2"
	}
	udp 1 5060 2 5060 "INVITE sip:b SIP/2.0\\r\\nCall-ID: call-$n\\r\\n\\r\\n$(sdp $((100 + n)) $((4000 + 2 * n)))"
	udp 2 5060 1 5060 "SIP/2.0 180 Ringing\\r\\ni: call-$n\\r\\n\\r\\n$(sdp $((200 + n)) $((6000 + 2 * n)))"
	for _ in 1 2 3; do
		udp $((100 + n)) $((4000 + 2 * n)) $((200 + n)) $((6000 + 2 * n)) "rtp-of-call-$n"
		udp $((200 + n)) $((6000 + 2 * n)) $((100 + n)) $((4000 + 2 * n)) "rtp-of-call-$n"
		# RTCP, and media from a port that was not announced
		udp $((200 + n)) $((6001 + 2 * n)) $((100 + n)) $((4001 + 2 * n)) "rtcp-of-call-$n"
		udp 9 999 $((200 + n)) $((6000 + 2 * n)) "rtp-of-call-$n"
	done
	udp 1 5062 2 5060 "BYE sip:b SIP/2.0\\r\\nCall-ID: call-$n\\r\\n\\r\\n"
}

calls=10
{
	hex d4c3b2a1020004000000000000000000ffff000001000000
	for n in $(seq "$calls"); do
		call "$n"
	done
	udp 7 7000 8 8000 "of-no-call"
} >"$dir/calls.pcap"
[ "$(offline_count "$dir/calls.pcap")" -eq $((calls * 15 + 1)) ] || test_fail "the capture is not what it should be"

# --- a call stays together -----------------------------------------------------------------------

cat >"$dir/calls.yaml" <<'END'
plugins: { voip: { file: steer_voip.so, args: { port: 5060, idle: 600 } } }
groups:
  calls: { plugin: voip, steer: { by: plugin, name: voip }, members: 4 }
  others: { plugin: { name: voip, not: true }, members: 1 }
  mixed: { steer: { by: plugin, name: voip, else: drop }, members: 4 }
END

# one_member GROUP FILE PATTERN: each text that the pattern finds is in the files of one member alone;
# how many there are
one_member() {
	local member all='' twice
	for member in "$dir/written/$1".*.pcapng; do
		all+=$(tcpdump -nn -A -r "$member" 2>/dev/null | tr -d '\r' | { grep -oE "$2" || true; } | sort -u)$'\n'
	done
	twice=$(sort <<<"$all" | grep . | uniq -d)
	[ -z "$twice" ] || test_fail "$1: at more than one member: $twice"
	sort <<<"$all" | grep -c .
}

mkdir "$dir/written"
offline_run 0 "$dir/calls.yaml" "$dir/calls.pcap" --write "$dir/written"
jq -e --argjson n $((calls * 15)) '.groups | .calls.packets == $n and .others.packets == 1 and .mixed.packets == $n + 1
	and .mixed.dropped == 1 and ([.calls.members[].packets] | add == $n)' "$dir/out" >/dev/null || {
	cat "$dir/out"
	test_fail "not all packets of calls are where they belong"
}
jq -e '[.groups.calls.members[].packets | select(. > 0)] | length > 1' "$dir/out" >/dev/null || test_fail "all calls are at one member"
for group in calls mixed; do
	found=$(one_member "$group" 'call-[0-9]+')
	[ "$found" -eq "$calls" ] || test_fail "$group: $found calls, wanted $calls"
done

# what is explained is that member
for member in 0 1 2 3; do
	told=$("$XFQ_BIN" check "$dir/calls.yaml" --json --explain "$dir/calls.pcap:1-9999" |
		jq -s --argjson m $member '[.[].groups[] | select(.group == "calls" and .wants and .members == [$m])] | length')
	[ "$told" -eq "$(jq ".groups.calls.members[$member].packets" "$dir/out")" ] ||
		test_fail "member $member is to have $told packets"
done

# captures from the world
file=$XFQ_SHARED_DIR/data/pcaps/sip.pcap
if [ -e "$file" ]; then
	rm -rf "$dir/written"
	mkdir "$dir/written"
	offline_run 0 "$dir/calls.yaml" "$file" --write "$dir/written"
	found=$(one_member calls 'Call-ID: *[^ ]+')
	wanted=$(tcpdump -nn -A -r "$file" 2>/dev/null | tr -d '\r' | grep -oE 'Call-ID: *[^ ]+' | sort -u | wc -l)
	[ "$found" -eq "$wanted" ] && [ "$wanted" -gt 1 ] || test_fail "sip.pcap: $found calls, wanted $wanted"
	echo "sip.pcap: $wanted calls, $(jq -r '[.groups.calls.members[].packets] | join(" + ")' "$dir/out") packets"
else
	echo "no sip.pcap: calls of the world were not looked at"
fi
file=$XFQ_SHARED_DIR/data/pcaps/rtp.pcapng
if [ -e "$file" ]; then
	# nobody has announced these: they are of no call
	offline_run 0 "$dir/calls.yaml" "$file"
	jq -e '.groups.calls.packets == 0 and .groups.others.packets > 0' "$dir/out" >/dev/null || test_fail "rtp.pcapng: media without a call"
else
	echo "no rtp.pcapng: media without a call were not looked at"
fi

# --- what is refused -----------------------------------------------------------------------------

# refused WORDS: by run and by check; the config is from standard input
refused() {
	cat >"$dir/bad.yaml"
	offline_run 1 "$dir/bad.yaml" "$dir/calls.pcap"
	grep -qF "$1" "$dir/err" || {
		cat "$dir/err"
		test_fail "run does not say \"$1\""
	}
	"$XFQ_BIN" check "$dir/bad.yaml" >/dev/null 2>"$dir/err" && test_fail "check says nothing of \"$1\""
	grep -qF "$1" "$dir/err" || {
		cat "$dir/err"
		test_fail "check does not say \"$1\""
	}
}

refused 'none.so' <<<'plugins: { p: { file: none.so } }'
refused 'exports no function xfq_plugin()' <<<'plugins: { p: { file: no_plugin.so } }'
refused 'for version 2' <<<'plugins: { p: { file: ./plugin_version.so } }'
refused 'no, not like this' <<<'plugins: { p: { file: plugin_say.so, args: { refuse: "no, not like this" } } }'
refused 'there is no argument "speed"' <<<'plugins: { p: { file: steer_voip.so, args: { speed: 1 } } }'
refused 'no program has given functions' <<<'plugins: { p: {} }'
echo 'not a shared object' >"$dir/text.so"
refused 'not to be loaded' <<<'plugins: { p: { file: text.so } }'
if [ "$(id -u)" -eq 0 ]; then
	cp "$dir/plugin_say.so" "$dir/open.so"
	chmod 0777 "$dir/open.so"
	refused 'can be written by others' <<<'plugins: { p: { file: open.so } }'
fi
echo "calls of plug-ins at their members, and refusals told"
