# SPDX-License-Identifier: BSD-2-Clause
# What every folder's CMakeLists.txt uses: dependencies, warnings, sanitizers, BPF objects.
#
# A folder is a static library of all its .c files (xfq_library); dropping a file in is adding it.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf>=1.1)
pkg_check_modules(LIBXDP REQUIRED IMPORTED_TARGET libxdp>=1.3)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.9)
pkg_check_modules(LIBPCAP REQUIRED IMPORTED_TARGET libpcap>=1.10)
pkg_check_modules(LIBYAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBCAP REQUIRED IMPORTED_TARGET libcap)

set(XFQ_WARNINGS
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wcast-align -Wdouble-promotion
  -Wimplicit-fallthrough -Wswitch-enum)

add_library(xfq_flags INTERFACE)
target_compile_options(xfq_flags INTERFACE ${XFQ_WARNINGS})
target_compile_definitions(xfq_flags INTERFACE _GNU_SOURCE XFQ_VERSION="${PROJECT_VERSION}")
target_include_directories(xfq_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
if(XFQ_SANITIZE)
  set(sanitize -fsanitize=${XFQ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(XFQ_FUZZ)
    list(APPEND sanitize -fsanitize=fuzzer-no-link)
  endif()
  target_compile_options(xfq_flags INTERFACE ${sanitize})
  target_link_options(xfq_flags INTERFACE ${sanitize})
endif()

# xfq_library(NAME [libraries...]): every .c file of this folder
function(xfq_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  list(FILTER sources EXCLUDE REGEX "\\.bpf\\.c$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC xfq_flags ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# xfq_bpf(FILE.bpf.c TARGET): compile for BPF and make FILE.skel.h; link TARGET to include it
find_program(BPF_CLANG NAMES clang REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
function(xfq_bpf source target)
  cmake_path(GET source STEM LAST_ONLY stem)
  string(REPLACE ".bpf" "" name ${stem})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror
      -I${CMAKE_SOURCE_DIR} -I${CMAKE_SOURCE_DIR}/include
      -idirafter /usr/include/${CMAKE_C_LIBRARY_ARCHITECTURE}
      -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d VERBATIM)
  string(REPLACE "-" "_" identifier ${name})
  add_custom_command(OUTPUT ${skeleton}
    COMMAND sh -c "exec \"$1\" gen skeleton \"$2\" name \"$3\" >\"$4\"" sh
      ${BPFTOOL} ${object} ${identifier}_bpf ${skeleton}
    DEPENDS ${object} VERBATIM)
  add_custom_target(${target}_skeleton DEPENDS ${skeleton})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_skeleton)
  target_include_directories(${target} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
