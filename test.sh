#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Install what is missing, build everything and run the whole test suite. As root all of it runs;
# without root, what needs root is skipped, and the reason shown.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/deps.sh

usage() {
	cat <<'END'
Usage: ./test.sh [CTEST ARGUMENTS]
Builds the presets release, asan, tsan and fuzz below build/ and runs all their tests.
  ./test.sh -R unit          only tests whose name matches
  ./test.sh -LE 'net|fuzz'   without the layers net and fuzz
XFQ_NO_SKIP=1 makes a skipped test a failure.
END
}

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
esac

# build PRESET: quietly; the log is shown where it fails
build() {
	mkdir -p build
	echo "building $1"
	if ! { cmake --preset "$1" && cmake --build --preset "$1"; } >"build/$1.log" 2>&1; then
		grep -E 'FAILED|error:|Error' "build/$1.log" | head -n 40 || tail -n 40 "build/$1.log"
		echo "building $1 failed; the whole log is build/$1.log" >&2
		return 1
	fi
}

# Names of the skipped tests, each with the last line that it printed: its reason.
skipped() {
	awk '/^[0-9]+\/[0-9]+ Test: / { name = $3 }
		/^Test Skipped\./ { print "skipped: " name ": " last }
		/^-+$/ { next }
		NF && !/^(Test time|Output:|Command:|Directory:|<end of output>|")/ { last = $0 }' \
		build/Testing/Temporary/LastTest.log
}

deps_install "${deps_build[@]}" "${deps_test[@]}" "${deps_net[@]}" "${deps_vm[@]}"
presets=(release asan tsan fuzz)
for preset in "${presets[@]}"; do
	build "$preset"
done
# one run over all build folders, so that one count covers them
printf 'subdirs(%s)\n' "${presets[*]}" >build/CTestTestfile.cmake

status=0
ctest --test-dir build --output-on-failure --no-tests=error -j2 "$@" 2>&1 | tee build/ctest.log ||
	status=1
skips=$(skipped)
if [ -n "$skips" ]; then
	echo "$skips"
	if [ -n "${XFQ_NO_SKIP-}" ]; then
		echo "tests were skipped, and XFQ_NO_SKIP forbids it" >&2
		status=1
	fi
fi
grep -E '^[0-9]+% tests passed' build/ctest.log || status=1
exit $status
