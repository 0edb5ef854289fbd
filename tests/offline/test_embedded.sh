#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/embedded.c, built against the library as an application is: it counts what tcpdump counts.
set -euo pipefail
. "$XFQ_SOURCE_DIR/tests/offline/offline.sh"
build=$(cd "$(dirname "${XFQ_BIN:-/nonexistent/xfq}")/.." 2>/dev/null && pwd) || build=/nonexistent
lib=$build/apps/libxfq
[ -e "$lib/libxfq.so" ] || test_skip "this build has no shared library"
offline_begin embedded tcpdump gcc
program=$offline_dir/embedded
expression='tcp port 80 or tcp port 443'
gcc -std=gnu11 -O2 -Wall -Wextra -Werror -I"$XFQ_SOURCE_DIR/include" "$XFQ_SOURCE_DIR/examples/embedded.c" \
	-L"$lib" -lxfq -Wl,-rpath,"$lib" -pthread -o "$program" || test_fail "the example does not build"

# says STATUS TEXT ARGUMENT...: it must end like that, and say that
says() {
	local status=0
	timeout 20 "$program" "${@:3}" >"$offline_dir/out" 2>&1 || status=$?
	[ "$status" -eq "$1" ] && grep -q "$2" "$offline_dir/out" && return 0
	cat "$offline_dir/out"
	test_fail "embedded ${*:3}: status $status, wanted $1 and \"$2\""
}

says 1 'usage'
says 1 'nosuch0' nosuch0
says 1 'regular file' "$offline_dir"
echo "no capture file" >"$offline_dir/text"
says 1 'pcap' "$offline_dir/text"

offline_captures
for file in "${captures[@]}"; do
	web=$(offline_count "$file" "$expression")
	all=$(offline_count "$file")
	says 0 "^rest: $((all - web)) packets, [0-9]* bytes; the instance has ended\$" "$file"
	grep -q "^web: $web packets\$" "$offline_dir/out" || {
		cat "$offline_dir/out"
		test_fail "$file: tcpdump counts $web packets of the web"
	}
done
echo "${#captures[@]} captures counted as tcpdump does"
