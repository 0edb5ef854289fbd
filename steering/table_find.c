/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_find_level.h"

#define TABLE_FIND_LEVEL 0
#include "steering/table_find_body.h"

enum table_find_level table_find_best(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return TABLE_FIND_AVX512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		return TABLE_FIND_AVX2;
#endif
	return TABLE_FIND_PORTABLE;
}

void table_find_at(enum table_find_level level, const struct table_side *ipv4,
		   const struct table_side *ipv6, const struct table_key *keys, uint32_t cnt,
		   uint16_t *outcomes, uint32_t *rules)
{
	switch (level) {
#if defined(__x86_64__)
	case TABLE_FIND_AVX512:
		table_find_avx512(ipv4, ipv6, keys, cnt, outcomes, rules);
		return;
	case TABLE_FIND_AVX2:
		table_find_avx2(ipv4, ipv6, keys, cnt, outcomes, rules);
		return;
#else
	case TABLE_FIND_AVX512:
	case TABLE_FIND_AVX2:
#endif
	case TABLE_FIND_PORTABLE:
		break;
	}
	table_find_sides(ipv4, ipv6, keys, cnt, outcomes, rules);
}
