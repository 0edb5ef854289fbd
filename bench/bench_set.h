/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What bench_set.c and its programs share. */
#ifndef BENCH_BENCH_SET_H
#define BENCH_BENCH_SET_H

#include <linux/types.h>

#define BENCH_SET_SOURCES 65536
#define BENCH_SET_MAX     2000000

struct bench_set_source {
	__u32 addr[4];
	__u32 v6;
};

/* Key of a trie; one family at a time. */
struct bench_set_prefix {
	__u32 len;
	__u32 addr[4];
};

#endif
