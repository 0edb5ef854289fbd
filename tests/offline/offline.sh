# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by the scripts of this folder: `xfq run --read` on capture files, without root.
#
#	offline_begin test jq                 $offline_dir, which goes away with the script; needs jq
#	offline_captures                      the Ethernet captures of the test data are in captures
#	offline_run 0 CONFIG FILE [OPTION...] must end with status 0; $offline_dir/out has its JSON
. "$XFQ_SOURCE_DIR/scripts/netns.sh"

offline_dir=
captures=()

# offline_begin TAG COMMAND...: skip unless the commands are there
offline_begin() {
	local command
	[ -x "${XFQ_BIN:-}" ] || test_fail "XFQ_BIN names no program"
	for command in "${@:2}"; do
		command -v "$command" >/dev/null || test_skip "needs $command"
	done
	netns_begin "$1"
	offline_dir=$netns_dir
}

# offline_captures: needs tcpdump; those of another link type are left out
offline_captures() {
	local file
	[ -d "${XFQ_SHARED_DIR:-}/data/pcaps" ] || test_skip "no test data in $XFQ_SHARED_DIR/data/pcaps"
	tcpdump --help 2>&1 | grep -q -e --count || test_skip "this tcpdump cannot count (--count)"
	for file in "$XFQ_SHARED_DIR"/data/pcaps/*; do
		tcpdump --count -nr "$file" 2>&1 | grep -q EN10MB && captures+=("$file")
	done
	[ "${#captures[@]}" -gt 0 ] || test_skip "no Ethernet capture in $XFQ_SHARED_DIR/data/pcaps"
}

# offline_count FILE [EXPRESSION]: how many packets tcpdump finds
offline_count() {
	local text
	text=$(tcpdump --count -nr "$@" 2>"$offline_dir/tcpdump.err") || {
		cat "$offline_dir/tcpdump.err" >&2
		return 1
	}
	echo "${text%% *}"
}

# offline_run STATUS CONFIG FILE [OPTION...]
offline_run() {
	local status=0
	timeout 60 "$XFQ_BIN" run "$2" --read "$3" --json "${@:4}" \
		>"$offline_dir/out" 2>"$offline_dir/err" || status=$?
	[ "$status" -eq "$1" ] && return 0
	cat "$offline_dir/err"
	test_fail "xfq run ${2##*/} --read ${3##*/} ${*:4}: exit status $status, wanted $1"
}
