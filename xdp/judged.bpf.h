/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every program has around decide(): how it sees the packet, the functions that decide() may
 * call, and the clock. Whoever includes this defines, before, JUDGED_CTX: struct xdp_md or struct
 * __sk_buff.
 */
#ifndef XDP_JUDGED_BPF_H
#define XDP_JUDGED_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "steering/parse.h"
#include "xdp/xdp_abi.h"

/* A function that the verifier checks once, by itself, and not for each call. Its arguments are
 * ctx, numbers, and pointers that it must find not to be NULL. */
#define JUDGED_FUNCTION __attribute__((noinline))

const volatile struct xdp_settings settings;

/* The time for test runs; see settings.test_clock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} test_now SEC(".maps");

static __always_inline __u64 judged_clock(void)
{
	__u32 zero = 0;
	__u64 *now;

	if (!settings.test_clock)
		return bpf_ktime_get_ns();
	now = bpf_map_lookup_elem(&test_now, &zero);
	return now ? *now : 0;
}

#endif
