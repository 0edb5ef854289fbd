/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rate limits in the kernel: the buckets of each limit, and whether a packet finds a token.
 *
 * The buckets of a limit are a map of their own, in the slot of its number: so a limit that the
 * next filter has as well takes them along. A limit without a map limits nothing.
 */
#ifndef XDP_LIMIT_BPF_H
#define XDP_LIMIT_BPF_H

#include "xdp/judged.bpf.h"
#include "xdp/limit.h"

/* How often a bucket is tried that other CPUs take from at the same time. Each time that one fails
 * another one has taken a token, so that giving up is to be beyond the rate. */
#define LIMIT_TRIES 16

const volatile struct xdp_limit limits[XDP_LIMITS_MAX];

struct buckets {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct xdp_flow_key));
	__uint(value_size, sizeof(__u64));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDP_LIMITS_MAX);
	__type(key, __u32);
	__array(values, struct buckets);
} limit_buckets SEC(".maps");

/* Take `cost` from a bucket that exists: whether that is beyond the rate. */
static __always_inline __u32 limit_take(__u64 *bucket, __u64 now, __u64 cost, __u64 allowance)
{
	for (int i = 0; i < LIMIT_TRIES; i++) {
		__u64 was = *(volatile __u64 *)bucket, full = was;

		if (limit_step(&full, now, cost, allowance))
			return 1;
		if (__sync_val_compare_and_swap(bucket, was, full) == was)
			return 0;
	}
	return 1;
}

/* Whether the packet is beyond the rate of limit `index`; if not, it has taken its token. */
JUDGED_FUNCTION __u32 judged_over(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 index);
JUDGED_FUNCTION __u32 judged_over(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 index)
{
	struct xdp_flow_key key;
	struct xdp_limit limit;
	__u64 now, cost, full, *bucket;
	__u32 slot = index; /* has an address, so that the verifier forgets its bounds */
	void *map;

	(void)ctx;
	if (!judged || index >= XDP_LIMITS_MAX)
		return 0;
	map = bpf_map_lookup_elem(&limit_buckets, &slot);
	if (!map)
		return 0;
	limit.cost = limits[index].cost;
	limit.allowance = limits[index].allowance;
	limit.per = limits[index].per;
	limit.bytes = limits[index].bytes;
	if (!judged->now_ns)
		judged->now_ns = judged_clock();
	now = judged->now_ns << LIMIT_TIME_BITS;
	cost = limit_cost(&limit, judged->meta.wire_len);
	limit_key(&key, limit.per, &judged->meta, &judged->key);
	bucket = bpf_map_lookup_elem(map, &key);
	if (!bucket) {
		full = now;
		if (limit_step(&full, now, cost, limit.allowance))
			return 1;
		if (bpf_map_update_elem(map, &key, &full, BPF_NOEXIST) == 0)
			return 0;
		/* another CPU was first; or there is no memory, and then nothing is limited */
		bucket = bpf_map_lookup_elem(map, &key);
		if (!bucket)
			return 0;
	}
	return limit_take(bucket, now, cost, limit.allowance);
}

#endif
