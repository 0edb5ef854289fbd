#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Searches all states of the models of this folder, and prints a line for each. What must hold has
# to hold; and each BROKEN_ variant, which is a model with one mistake, has to fail, and for the
# reason given here: a property that no mistake breaks says nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/netns.sh"

memory_mb=1500 # of a search's states and stack; one that needs more is cut short, and fails
depth=2000000
model=
holding=0
breaking=0

# model_build CFLAGS MODEL [MACRO...]: $netns_dir/pan is the program that searches it
model_build() {
	local flags file=$2
	read -ra flags <<<"$1"
	shift 2
	model="$file${*:+ $*}"
	(cd "$netns_dir" && spin -a "${@/#/-D}" "$here/$file.pml" &&
		cc -w -DSAFETY "${flags[@]}" -o pan pan.c) >"$netns_dir/log" 2>&1 ||
		model_fail "cannot be built"
}

model_fail() {
	cat "$netns_dir/log"
	test_fail "$model: $*"
}

# model_number PATTERN: the number that comes with it in what pan printed
model_number() {
	sed -nE "s/$1/\\1/p" "$netns_dir/log"
}

# model_holds MODEL [MACRO...]: every state was seen, and none is wrong
model_holds() {
	model_build "-O1 -DMEMLIM=$memory_mb" "$@"
	(cd "$netns_dir" && ./pan -m"$depth" -w24 -n) >"$netns_dir/log" 2>&1 ||
		model_fail "the search failed"
	grep -q ', errors: 0$' "$netns_dir/log" || model_fail "does not hold"
	! grep -qE 'not completed|max search depth too small|MEMLIM|Bit statespace|Hash-Compact' \
		"$netns_dir/log" || model_fail "not all states were searched"
	grep -q '^Full statespace search' "$netns_dir/log" || model_fail "not a full search"
	holding=$((holding + 1))
	echo "$model: holds in all of $(model_number '^ *([0-9]+) states, stored.*') states," \
		"up to $(model_number '.*depth reached ([0-9]+),.*') steps deep," \
		"$(model_number '^ *([0-9]+)\.[0-9]*\ttotal actual memory usage.*') MB"
}

# model_breaks REASON MODEL MACRO...: the shortest way to a wrong state, breadth first, ends with it
model_breaks() {
	local reason=$1
	shift
	model_build "-O0 -DBFS" "$@"
	(cd "$netns_dir" && ./pan -w20 -n) >"$netns_dir/log" 2>&1 || true
	grep '^pan:1: ' "$netns_dir/log" | grep -qF -e "$reason" ||
		model_fail "must break, with: $reason"
	breaking=$((breaking + 1))
	echo "$model: breaks, as it must: $(model_number '^pan:1: (.*)')"
}

for command in spin cc; do
	command -v "$command" >/dev/null || test_skip "needs $command"
done
netns_begin model

model_holds ring
model_holds ring HOSTILE
model_holds wake
model_holds wake CLAIMER
model_holds wake TWO_WORKERS

# 3 is no frame: the member found poison in a slot
model_breaks 'f!=3' ring BROKEN_RECLAIM_EARLY
model_breaks 'f!=3' ring BROKEN_PUBLISH_FIRST
model_breaks 'f!=3' ring BROKEN_LOAD_BEFORE_PEEK
model_breaks 'whole[f]' ring BROKEN_RELEASE_FIRST
model_breaks 'whole[f]' ring BROKEN_DETACH_ALIVE
model_breaks 'whole[f]' ring BROKEN_NO_REFCOUNT
model_breaks 'whole[f]' ring HOSTILE BROKEN_NO_REFCOUNT
model_breaks 'refs[f]>0' ring HOSTILE BROKEN_NO_RANGE_CHECK
model_breaks 'refs[f]>0' ring HOSTILE BROKEN_CONS_LOADED_TWICE
# 1: the member is honest
model_breaks '!(1)' ring BROKEN_RANGE_TOO_NARROW
model_breaks 'held_cnt>0' ring BROKEN_RECLAIM_IN_BURST
model_breaks 'refs[f]==n' ring BROKEN_DETACH_FORGETS
model_breaks '+held_cnt)==3' ring BROKEN_SETTLE_KEEPS
model_breaks '<=quotas[' ring BROKEN_NO_QUOTA
model_breaks 'desc[i]==3' ring BROKEN_NO_ROOM
for mistake in NO_RECHECK NO_FENCE NO_MEMBER_FENCE WAITING_FIRST CONS_BEFORE_FENCE WAKE_ONCE \
	DRAIN_BEFORE_SLEEP; do
	model_breaks 'invalid end state' wake "BROKEN_$mistake"
done
model_breaks 'invalid end state' wake TWO_WORKERS BROKEN_DRAIN_BEFORE_SLEEP
model_breaks 'owed[w]==0' wake CLAIMER BROKEN_WAKE_ALWAYS

echo "$holding models hold, $breaking variants with a mistake break"
