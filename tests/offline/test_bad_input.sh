#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Broken captures, broken configs and wrong use end with a sentence and the right status; never with
# a crash or a hang.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"

# bad STATUS TEXT ARGUMENT...: xfq must end with that status, and say TEXT where it is not 0
bad() {
	local status=0
	timeout 20 "$XFQ_BIN" "${@:3}" >"$offline_dir/out" 2>"$offline_dir/err" </dev/null || status=$?
	cases=$((cases + 1))
	# a sanitizer's finding is a crash, whatever its status
	if [ "$status" -ne "$1" ] || grep -qE 'Sanitizer|runtime error' "$offline_dir/err"; then
		cat "$offline_dir/err"
		test_fail "xfq ${*:3}: exit status $status, wanted $1"
	fi
	[ "$1" -eq 0 ] || grep -qF -e "$2" "$offline_dir/err" || {
		cat "$offline_dir/err"
		test_fail "xfq ${*:3}: does not say \"$2\""
	}
}

# cut_everywhere FILE STEP: cut it after 0, STEP, ... bytes: read to its end or refused, both in order
cut_everywhere() {
	local status bytes size
	size=$(stat -c %s "$1")
	for ((bytes = 0; bytes <= size; bytes += $2)); do
		head -c "$bytes" "$1" >"$offline_dir/cut"
		status=0
		timeout 20 "$XFQ_BIN" run "$config" --read "$offline_dir/cut" --json \
			>"$offline_dir/out" 2>"$offline_dir/err" || status=$?
		cases=$((cases + 1))
		if [ "$status" -gt 1 ] || { [ "$status" -eq 1 ] && ! grep -q '^xfq run: .*cut: ' "$offline_dir/err"; } ||
			grep -qE 'Sanitizer|runtime error' "$offline_dir/err"; then
			cat "$offline_dir/err"
			test_fail "${1##*/} cut after $bytes bytes: exit status $status"
		fi
		# once the header was there, what came before the break is counted, and the sums hold
		[ -s "$offline_dir/out" ] || continue
		jq -e '([.verdicts[]] | add) == .groups.all.packets and .frames.total == .frames.free' \
			"$offline_dir/out" >/dev/null || test_fail "${1##*/} cut after $bytes bytes: wrong sums"
	done
	bad 0 '' run "$config" --read "$1"
}

# little BYTES NUMBER: in little-endian order
little() {
	local i value=$2
	for ((i = 0; i < $1; i++)); do
		# shellcheck disable=SC2059 # the format is the byte
		printf "\\x$(printf %02x $((value & 255)))"
		value=$((value >> 8))
	done
}

# capture_header LINKTYPE [SNAPLEN]: of a pcap file
capture_header() {
	little 4 $((0xa1b2c3d4))
	little 2 2
	little 2 4
	little 8 0
	little 4 "${2:-65535}"
	little 4 "$1"
}

# capture_packet BYTES: zeros, but for the ethertype
capture_packet() {
	little 4 1700000000
	little 4 "$1"
	little 8 $(($1 | $1 << 32))
	head -c 12 /dev/zero
	printf '\x08\x00'
	head -c $(($1 - 14)) /dev/zero
}

# garbage SEED BYTES: always the same
garbage() {
	local i value=$1
	for ((i = 0; i < $2; i++)); do
		value=$(((value * 1103515245 + 12345) & 0x7fffffff))
		little 1 $((value >> 16))
	done
}

offline_begin test jq
cases=0
config=$offline_dir/good.yaml
capture=$offline_dir/good.pcap
cat >"$config" <<'END'
groups:
  all: { steer: flow, members: 2 }
END
{
	capture_header 1
	for bytes in 14 60 34 42; do
		capture_packet "$bytes"
	done
} >"$capture"
bad 0 '' run "$config" --read "$capture" --write "$offline_dir/good"
bad 0 '' run "$config" --read "$offline_dir/good/all.0.pcapng"

# --- captures --------------------------------------------------------------------------------------
bad 1 "$offline_dir/none" run "$config" --read "$offline_dir/none"
bad 1 'directory' run "$config" --read "$offline_dir"
: >"$offline_dir/empty"
bad 1 'empty' run "$config" --read "$offline_dir/empty"
bad 1 'standard input' run "$config" --read - # /dev/null
capture_header 101 >"$offline_dir/raw.pcap"
bad 1 'only Ethernet' run "$config" --read "$offline_dir/raw.pcap"
capture_header 1 >"$offline_dir/nothing.pcap"
bad 0 '' run "$config" --read "$offline_dir/nothing.pcap"
for seed in 1 2 3 4 5 6 7 8; do
	garbage "$seed" 200 >"$offline_dir/garbage"
	bad 1 'garbage: ' run "$config" --read "$offline_dir/garbage"
	# and behind a header that is good
	{ capture_header 1 $((seed * 3000)); cat "$offline_dir/garbage"; } >"$offline_dir/mixed"
	bad 1 'mixed: after 0 packets' run "$config" --read "$offline_dir/mixed"
done
if [ "$(id -u)" -ne 0 ]; then
	install -m 0 "$capture" "$offline_dir/secret"
	bad 1 'secret' run "$config" --read "$offline_dir/secret"
fi
cut_everywhere "$capture" 2
cut_everywhere "$offline_dir/good/all.0.pcapng" 3
if [ -d "${XFQ_SHARED_DIR:-}/data/pcaps" ]; then
	for file in dns.pcap sip.pcap rtp.pcapng tls_port_80.pcapng ip_fragmented_garbage.pcap; do
		[ -f "$XFQ_SHARED_DIR/data/pcaps/$file" ] || continue
		size=$(stat -c %s "$XFQ_SHARED_DIR/data/pcaps/$file")
		cut_everywhere "$XFQ_SHARED_DIR/data/pcaps/$file" $((size / 31 + 1))
	done
else
	echo "without the captures in $XFQ_SHARED_DIR/data/pcaps: not there"
fi

# --- configs ---------------------------------------------------------------------------------------
bad 1 "$offline_dir" check "$offline_dir"
bad 1 "$offline_dir/none.yaml" check "$offline_dir/none.yaml"
bad 1 "$offline_dir/none.yaml" run "$offline_dir/none.yaml" --read "$capture"
cat >"$offline_dir/three.yaml" <<'END'
colour: blue
groups:
  web: { match: "tcp porrt 80" }
  dns: { match: "port 53", steer: sideways }
END
for command in check run; do
	bad 1 'three.yaml:1: ' "$command" "$offline_dir/three.yaml"
	[ "$(grep -c 'three\.yaml:[134]: ' "$offline_dir/err")" -eq 3 ] || {
		cat "$offline_dir/err"
		test_fail "xfq $command: three errors, but not three lines FILE:LINE:"
	}
	grep -q 'three\.yaml:1: .*colour' "$offline_dir/err" || test_fail "the unknown key is not named"
	grep -q 'three\.yaml:3: .*syntax error' "$offline_dir/err" || test_fail "libpcap's message is missing"
	grep -q 'three\.yaml:4: .*sideways' "$offline_dir/err" || test_fail "the unknown word is not named"
done
printf 'groups: { a: { match: "tcp" }' >"$offline_dir/open.yaml"
bad 1 'open.yaml:2: ' check "$offline_dir/open.yaml"
printf 'groups:\n\t- x\n' >"$offline_dir/tab.yaml"
bad 1 'tab.yaml:2: ' check "$offline_dir/tab.yaml"
garbage 5 300 >"$offline_dir/garbage.yaml"
bad 1 'garbage.yaml:' check "$offline_dir/garbage.yaml"
printf 'filter: { sets: { a: { type: net, file: none.txt } } }\n' >"$offline_dir/set.yaml"
bad 1 'none.txt' check "$offline_dir/set.yaml"
size=$(stat -c %s "$XFQ_SOURCE_DIR/examples/demo.yaml")
cp "$XFQ_SOURCE_DIR/examples/blocklist.txt" "$offline_dir"
for ((bytes = 0; bytes <= size; bytes += size / 40)); do
	head -c "$bytes" "$XFQ_SOURCE_DIR/examples/demo.yaml" >"$offline_dir/part.yaml"
	status=0
	timeout 20 "$XFQ_BIN" check "$offline_dir/part.yaml" >"$offline_dir/out" 2>"$offline_dir/err" || status=$?
	cases=$((cases + 1))
	if [ "$status" -gt 1 ] || { [ "$status" -eq 1 ] && ! grep -q 'part\.yaml:[0-9]*: ' "$offline_dir/err"; }; then
		cat "$offline_dir/err"
		test_fail "demo.yaml cut after $bytes bytes: exit status $status"
	fi
done

# --- use -------------------------------------------------------------------------------------------
bad 2 'Usage' # no command
bad 2 'sideways' sideways
bad 2 'Usage' run
bad 2 'Usage' run "$config" "$config"
bad 2 '--sideways' run "$config" --sideways
bad 2 '--for' run "$config" --for
for seconds in x 0 -1 1x nan inf ''; do
	bad 2 '--for' run "$config" --for "$seconds"
done
bad 2 'Usage' check
bad 2 'Usage' status a b
bad 0 '' --help
bad 0 '' run --help
bad 0 '' --version
bad 1 'no interfaces' run "$config"

# --- places that cannot be written -----------------------------------------------------------------
bad 1 "$capture" run "$config" --read "$capture" --write "$capture"
bad 1 "$offline_dir/none/sub" run "$config" --read "$capture" --write "$offline_dir/none/sub"
bad 1 '/proc/none' run "$config" --read "$capture" --write /proc/none
mkdir -p "$offline_dir/blocked/all.1.pcapng"
bad 1 'blocked/all.1.pcapng' run "$config" --read "$capture" --write "$offline_dir/blocked"
if [ -w /dev/full ]; then
	mkdir "$offline_dir/full"
	ln -s /dev/full "$offline_dir/full/all.0.pcapng"
	bad 1 'full/all.0.pcapng' run "$config" --read "$capture" --write "$offline_dir/full"
	for option in --json ''; do
		status=0
		# shellcheck disable=SC2086 # no option, no word
		timeout 20 "$XFQ_BIN" run "$config" --read "$capture" $option >/dev/full 2>"$offline_dir/err" || status=$?
		[ "$status" -eq 1 ] || test_fail "a summary ($option) to a full disk: exit status $status, wanted 1"
		[ -s "$offline_dir/err" ] || test_fail "a summary ($option) to a full disk: says nothing"
	done
	for command in --help --version "run --help" "check $config" "check --json $config"; do
		status=0
		# shellcheck disable=SC2086 # words
		timeout 20 "$XFQ_BIN" $command >/dev/full 2>"$offline_dir/err" || status=$?
		[ "$status" -le 2 ] || test_fail "xfq $command to a full disk: exit status $status"
	done
fi
# a reader that goes away
status=0
{ timeout 20 "$XFQ_BIN" run "$config" --read "$capture" --json 2>"$offline_dir/err" || echo "$?" >"$offline_dir/status"; } | :
status=$(cat "$offline_dir/status" 2>/dev/null || echo 0)
[ "$status" -le 1 ] || test_fail "a reader of the summary that went away: exit status $status"
echo "$cases cases, none crashed"
