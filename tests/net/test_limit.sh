#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A rate limit under ten times its rate for ten seconds: what comes through is the rate, within 5 %.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
inject=$XFQ_BENCH_DIR/bench_inject
[ -x "$inject" ] || test_skip "bench_inject was not built"
test_needs jq

rate=10000 seconds=10
netns_begin test
netns_add near
netns_silence near
netns_link near:a0 near:b0 1
cat >"$netns_dir/limit.yaml" <<END
name: limit
interfaces:
  - { name: b0, queues: all, mode: auto }
filter:
  rules:
    - { action: limit, match: "ip or ip6", per: all, rate: $rate, burst: 100 }
groups:
  all: { steer: flow, members: 1 }
END
xfq_start near "$netns_dir/limit.yaml" limit --json
xfq=$process_pid
xfq_ready "$xfq" limit || { test_show limit; test_fail "xfq did not come up"; }
begin=$(date +%s%N)
netns_start near "$netns_dir/inject.log" "$inject" b0 0 "$seconds" --rate $((10 * rate)) --flows 512
injector=$process_pid
process_wait "$injector" 30 || test_fail "the injector did not end"
took_ms=$((($(date +%s%N) - begin) / 1000000))
[ "$process_status" -eq 0 ] || { cat "$netns_dir/inject.log"; test_fail "the injector failed"; }
injected=$(jq .packets "$netns_dir/inject.log")
# the injector may begin late and end late, so it says itself for how long it has sent
sent_ms=$(jq 'if .seconds then .seconds * 1000 | floor else 0 end' "$netns_dir/inject.log")
[ "$sent_ms" -gt 0 ] || sent_ms=$took_ms
process_stop "$xfq" || { test_show limit; test_fail "xfq did not end when asked"; }
through=$(jq .verdicts.steer "$netns_dir/limit.out")
limited=$(jq .verdicts.limited "$netns_dir/limit.out")
wanted=$((rate * sent_ms / 1000))
echo "$injected packets injected in $sent_ms ms; $through through, $wanted wanted, $limited limited"
[ "$injected" -gt $((wanted * 8)) ] ||
	test_skip "this machine did not inject ten times the rate: $injected packets in $sent_ms ms"
[ $((through + limited)) -ge "$injected" ] || test_fail "packets without a verdict"
[ "$through" -ge $((wanted * 95 / 100)) ] || test_fail "too few came through"
[ "$through" -le $((wanted * 105 / 100 + 100)) ] || test_fail "too many came through"
