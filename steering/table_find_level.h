/* SPDX-License-Identifier: BSD-2-Clause */
/* The sources that table_find.c chooses from; x86-64 alone has more than one. */
#ifndef STEERING_TABLE_FIND_LEVEL_H
#define STEERING_TABLE_FIND_LEVEL_H

#include "steering/table_find.h"

void table_find_avx2(const struct table_side *ipv4, const struct table_side *ipv6,
		     const struct table_key *keys, uint32_t cnt, uint16_t *outcomes,
		     uint32_t *rules);
void table_find_avx512(const struct table_side *ipv4, const struct table_side *ipv6,
		       const struct table_key *keys, uint32_t cnt, uint16_t *outcomes,
		       uint32_t *rules);

#endif
