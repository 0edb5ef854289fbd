#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Files that are waited for can be left, and files that are there are not harmed by a run that fails.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"
offline_begin test jq
dir=$offline_dir
printf 'groups: { all: { members: 1 } }\n' >"$dir/all.yaml"

# a capture to work with: one packet, pcap of microseconds
printf '\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0' >"$dir/header"
{
	cat "$dir/header"
	printf '\x01\0\0\0\0\0\0\0\x0e\0\0\0\x0e\0\0\0\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x06'
} >"$dir/one.pcap"

steered() {
	jq .verdicts.steer "$dir/out"
}

# a silent pipe ends with --for and with a signal; what came before it counts
mkfifo "$dir/pipe"
status=0
timeout -k 1 10 "$XFQ_BIN" run "$dir/all.yaml" --read "$dir/pipe" --for 0.3 >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] && grep -q 'ended before the file began' "$dir/err" ||
	test_fail "a pipe without a writer: status $status: $(cat "$dir/err")"
for part in header one.pcap; do
	exec 3<>"$dir/pipe"
	cat "$dir/$part" >&3
	"$XFQ_BIN" run "$dir/all.yaml" --read "$dir/pipe" --json >"$dir/out" 2>"$dir/err" &
	pid=$!
	sleep 0.5
	kill -TERM "$pid"
	status=0
	timeout 10 tail --pid="$pid" -f /dev/null || { kill -KILL "$pid"; test_fail "$part in a pipe: SIGTERM does not end it"; }
	wait "$pid" || status=$?
	exec 3>&-
	[ "$status" -eq 0 ] && grep -q 'not read to its end' "$dir/err" ||
		test_fail "$part in a pipe: status $status: $(cat "$dir/err")"
	[ "$part" = header ] || [ "$(steered)" -eq 1 ] || test_fail "the packet before the silence was not counted"
done

# what is read cannot be written to
mkdir "$dir/w"
"$XFQ_BIN" run "$dir/all.yaml" --read "$dir/one.pcap" --write "$dir/w" >/dev/null
cp "$dir/w/all.0.pcapng" "$dir/kept"
status=0
"$XFQ_BIN" run "$dir/all.yaml" --read "$dir/w/all.0.pcapng" --write "$dir/w" >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] && grep -q 'this is the file that is read' "$dir/err" || test_fail "input as output: status $status"
cmp "$dir/kept" "$dir/w/all.0.pcapng" || test_fail "the input was changed"

# nor what another program writes, nor by a run that does not start
status=0
flock "$dir/w/all.0.pcapng" "$XFQ_BIN" run "$dir/all.yaml" --read "$dir/one.pcap" --write "$dir/w" >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] && grep -q 'another program is writing' "$dir/err" || test_fail "a locked file: status $status"
printf 'interfaces: [{ name: nowhere0 }]\ngroups: { all: { sink: pcap, dir: "%s" } }\n' "$dir/w" >"$dir/live.yaml"
"$XFQ_BIN" run "$dir/live.yaml" >"$dir/out" 2>"$dir/err" && test_fail "an interface that is not there"
mkdir -p "$dir/two/b.0.pcapng"
cp "$dir/kept" "$dir/two/a.0.pcapng"
printf 'groups: { a: {}, b: {} }\n' >"$dir/two.yaml"
"$XFQ_BIN" run "$dir/two.yaml" --read "$dir/one.pcap" --write "$dir/two" >"$dir/out" 2>"$dir/err" && test_fail "a folder as a file"
cmp "$dir/kept" "$dir/two/a.0.pcapng" || test_fail "a run that failed changed an older capture"
cmp "$dir/kept" "$dir/w/all.0.pcapng" || test_fail "a run that failed changed an older capture"

# what could never match, and output that cannot be written
for match in inbound "tcp and outbound" "ifindex 3"; do
	printf 'groups:\n  a: { match: "%s" }\n' "$match" >"$dir/never.yaml"
	status=0
	"$XFQ_BIN" check "$dir/never.yaml" >"$dir/out" 2>"$dir/err" || status=$?
	[ "$status" -eq 1 ] && grep -q '^.*never.yaml:2: groups.a.match: ' "$dir/err" || test_fail "match: $match: status $status"
done
if [ -w /dev/full ]; then
	for command in "check $dir/all.yaml" "check $dir/all.yaml --json" --help --version; do
		status=0
		# shellcheck disable=SC2086 # words
		"$XFQ_BIN" $command >/dev/full 2>"$dir/err" || status=$?
		[ "$status" -eq 1 ] || test_fail "$command to a full disk: status $status, wanted 1"
	done
fi
echo "pipes can be left, older captures are safe"
