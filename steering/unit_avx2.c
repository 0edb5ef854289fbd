/* SPDX-License-Identifier: BSD-2-Clause */
/* The interpreter's kernels for x86 with AVX2: registers of 32 bytes. */
#ifdef __x86_64__
#define UNIT_SUFFIX(name) name##_avx2
#define UNIT_TARGET       __attribute__((target("avx2")))
#define UNIT_VECTOR       32
#define UNIT_AVX2
#include "steering/unit_kernels.h"
#else
typedef int unit_avx2_is_empty;
#endif
