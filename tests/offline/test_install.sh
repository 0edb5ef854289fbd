#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is installed can be used: the program runs, and consumers build by pkg-config, shared and
# static, and by CMake; the library shows its API and nothing else.
set -euo pipefail
dir=$(mktemp -d "${TMPDIR:-/tmp}/xfq-install.XXXXXX")
trap 'rm -rf "$dir"' EXIT
build=$(cd "$(dirname "$XFQ_BIN")/.." && pwd)
export XFQ_RUN_DIR=$dir/run

fail() {
	echo "failed: $*" >&2
	exit 1
}

# compile SOURCE OUTPUT FLAGS...
compile() {
	local source=$1 output=$2
	shift 2
	cc -Wall -Wextra -Werror -std=gnu11 "$source" -o "$output" "$@"
}

cmake --install "$build" --prefix "$dir/usr" >"$dir/log" || { cat "$dir/log"; fail "installing"; }
"$dir/usr/bin/xfq" --version | grep -q '^xfq [0-9]' || fail "the installed program does not run"

# the compiler of expressions: it has one name, is found beside what is installed, and nothing but it
# is linked with LLVM
if grep -q '^XFQ_LLVM:BOOL=ON' "$build/CMakeCache.txt"; then
	module=$(find "$dir/usr" -name xfq-native.so)
	[ -n "$module" ] || fail "no xfq-native.so"
	[ "$(nm -D --defined-only "$module" | awk '{ print $3 }')" = xfq_native_module ] ||
		fail "the names of xfq-native.so"
	runpath=$(readelf -d "$dir/usr/bin/xfq" | sed -n 's/.*RUNPATH.*\[\(.*\)\]/\1/p')
	[ "$dir/usr/bin/${runpath#"\$ORIGIN/"}" -ef "${module%/*}" ] ||
		fail "the installed program looks for xfq-native.so in $runpath"
fi
[[ $(ldd "$dir/usr/bin/xfq") != *LLVM* ]] || fail "the program is linked with LLVM"

# a consumer of the ring: the headers alone, as C and as C++
cat >"$dir/consumer.c" <<'END'
#include <stdio.h>
#include <xfq/error.h>
#include <xfq/ring.h>
#include <xfq/xfq.h>

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
read -ra cflags < <(pkg-config --cflags xfq)
compile "$dir/consumer.c" "$dir/consumer" "${cflags[@]}"
"$dir/consumer" | grep -q refused || fail "the consumer built by pkg-config"
if command -v c++ >/dev/null; then
	sed 's/= {0}/{}/' "$dir/consumer.c" >"$dir/consumer.cc"
	c++ -Wall -Wextra -Werror "${cflags[@]}" "$dir/consumer.cc" -o "$dir/consumer++"
	"$dir/consumer++" | grep -q refused || fail "the consumer built as C++"
fi

# project NAME SOURCE TARGET: build by find_package(xfq), linked to TARGET
project() {
	mkdir "$dir/$1.project"
	cat >"$dir/$1.project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project($1 C)
find_package(xfq 0.1 REQUIRED)
add_executable($1 $2)
target_link_libraries($1 PRIVATE $3)
END
	if ! { cmake -G Ninja -S "$dir/$1.project" -B "$dir/$1.project/build" \
		-DCMAKE_PREFIX_PATH="$dir/usr" && cmake --build "$dir/$1.project/build"; } \
		>"$dir/log" 2>&1; then
		cat "$dir/log"
		fail "find_package(xfq), $3"
	fi
}

project consumer "$dir/consumer.c" xfq::headers
"$dir/consumer.project/build/consumer" | grep -q refused || fail "the consumer built by CMake"

page=$(find "$dir/usr" -name xfq.3)
[ -n "$page" ] || fail "no manual page"
if command -v groff >/dev/null; then
	groff -man -Tutf8 -ww -z "$page" 2>"$dir/log"
	[ ! -s "$dir/log" ] || { cat "$dir/log"; fail "the manual page"; }
fi

if grep -q '^XFQ_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
	echo "installed, and used by pkg-config and CMake; no library with sanitizers"
	exit 0
fi

# --- the library ---
libdir=$(pkg-config --variable=libdir xfq)
count=$XFQ_SOURCE_DIR/examples/count.c

# works PROGRAM: it gets as far as a program can where no instance runs
works() {
	"$1" all 2>"$dir/said" && fail "$1: there is no instance"
	grep -q '^count: no instance is running' "$dir/said" || { cat "$dir/said"; fail "$1"; }
}

# shows NM-ARGUMENTS...: the names that are defined, without what nm says beside them
shows() {
	nm --defined-only "$@" | awk 'NF == 3 && $2 != "A" { print $3 }' | sort
}

# what the headers promise, the map lists, and both libraries have
sed -n 's/^\t\(xfq_[a-z_]*\);$/\1/p' "$XFQ_SOURCE_DIR/apps/libxfq/libxfq.map" | sort >"$dir/map"
{ cat "$dir/usr/include/xfq/xfq.h" "$dir/usr/include/xfq/error.h"; } |
	sed -n '/^typedef/d; s/^[a-z].*[ *]\(xfq_[a-z_]*\)(.*/\1/p' | sort >"$dir/promised"
shows -D "$libdir/libxfq.so.0" | sed 's/@@XFQ_0\.1$//' >"$dir/shared"
shows -g "$libdir/libxfq.a" >"$dir/static"
for names in promised shared static; do
	diff "$dir/map" "$dir/$names" || fail "the names that are $names are not those of libxfq.map"
done
shows -D "$libdir/libxfq.so.0" | grep -v '@@XFQ_0\.1$' && fail "a name without a version"

read -ra flags < <(pkg-config --cflags --libs xfq)
compile "$count" "$dir/count" "${flags[@]}"
export LD_LIBRARY_PATH=$libdir
works "$dir/count"
[[ $(ldd "$dir/count") == *libxfq.so.0* ]] || fail "count does not use libxfq.so.0"
unset LD_LIBRARY_PATH

# of the two libraries in one folder the linker takes the shared one, unless it is named
read -ra flags < <(pkg-config --static --cflags --libs xfq)
compile "$count" "$dir/count-static" "${flags[@]/#-lxfq/-l:libxfq.a}"
works "$dir/count-static"
[[ $(ldd "$dir/count-static") != *libxfq* ]] || fail "count-static uses libxfq.so"

project count "$count" xfq::xfq
works "$dir/count.project/build/count"
echo "installed, and used by pkg-config, shared and static, and by CMake"
