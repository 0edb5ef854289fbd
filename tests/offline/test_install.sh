#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is installed can be used: the program runs, and a consumer builds by pkg-config and by CMake.
set -euo pipefail
dir=$(mktemp -d "${TMPDIR:-/tmp}/xfq-install.XXXXXX")
trap 'rm -rf "$dir"' EXIT
build=$(cd "$(dirname "$XFQ_BIN")/.." && pwd)

fail() {
	echo "failed: $*" >&2
	exit 1
}

cmake --install "$build" --prefix "$dir/usr" >"$dir/log" || { cat "$dir/log"; fail "installing"; }
"$dir/usr/bin/xfq" --version | grep -q '^xfq [0-9]' || fail "the installed program does not run"

# a consumer of the ring: the header alone, as C and as C++
cat >"$dir/consumer.c" <<'END'
#include <stdio.h>
#include <xfq/error.h>
#include <xfq/ring.h>

int main(void)
{
	struct xfq_ring_prod shared = {0};
	struct xfq_ring_cons cons = {0};
	struct xfq_ring ring;

	if (xfq_ring_open(&ring, &shared, sizeof(shared), &cons, NULL))
		return 1; /* no ring: it must be refused */
	puts("refused");
	return 0;
}
END
pc=$(find "$dir/usr" -name xfq.pc)
[ -n "$pc" ] || fail "no xfq.pc"
export PKG_CONFIG_PATH=${pc%/*}
flags=$(pkg-config --cflags xfq)
# shellcheck disable=SC2086 # one flag per word
gcc -Wall -Wextra -Werror -std=c11 $flags "$dir/consumer.c" -o "$dir/consumer"
"$dir/consumer" | grep -q refused || fail "the consumer built by pkg-config"
if command -v g++ >/dev/null; then
	cp "$dir/consumer.c" "$dir/consumer.cc"
	sed -i 's/= {0}/{}/' "$dir/consumer.cc"
	# shellcheck disable=SC2086
	g++ -Wall -Wextra -Werror $flags "$dir/consumer.cc" -o "$dir/consumer++"
	"$dir/consumer++" | grep -q refused || fail "the consumer built as C++"
fi

mkdir "$dir/project"
cat >"$dir/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(xfq 0.1 REQUIRED)
add_executable(consumer ../consumer.c)
target_link_libraries(consumer PRIVATE xfq::headers)
END
cmake -G Ninja -S "$dir/project" -B "$dir/project/build" -DCMAKE_PREFIX_PATH="$dir/usr" >"$dir/log" 2>&1 &&
	cmake --build "$dir/project/build" >>"$dir/log" 2>&1 || { cat "$dir/log"; fail "find_package(xfq)"; }
"$dir/project/build/consumer" | grep -q refused || fail "the consumer built by CMake"
echo "installed, and used by pkg-config and CMake"
