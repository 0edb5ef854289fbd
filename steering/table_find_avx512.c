/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_find_level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt"))),         \
	apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt")
#endif
#define TABLE_FIND_LEVEL 2
#include "steering/table_find_body.h"

void table_find_avx512(const struct table_side *ipv4, const struct table_side *ipv6,
		       const struct table_key *keys, uint32_t cnt, uint16_t *outcomes,
		       uint32_t *rules)
{
	table_find_sides(ipv4, ipv6, keys, cnt, outcomes, rules);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
