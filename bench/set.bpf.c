// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What a look-up in a set of prefixes costs: in the set's own maps, in an LPM trie, and none, for
 * what is around it. Addresses come from an array, one after the other.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define JUDGED_CTX struct xdp_md
#include "bench/bench_set.h"
#include "xdp/judged.bpf.h"
#include "xdp/set.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_SET_SOURCES);
	__type(key, __u32);
	__type(value, struct bench_set_source);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BENCH_SET_MAX);
	__uint(key_size, sizeof(struct bench_set_prefix));
	__uint(value_size, sizeof(__u8));
} trie SEC(".maps");

__u32 next_source;
__u64 in_set;

static __always_inline bool bench_source(struct xdp_judged *judged)
{
	__u32 at = next_source++ % BENCH_SET_SOURCES;
	const struct bench_set_source *source = bpf_map_lookup_elem(&sources, &at);

	if (!source)
		return false;
	__builtin_memset(judged, 0, sizeof(*judged));
	__builtin_memcpy(judged->key.src, source->addr, sizeof(judged->key.src));
	judged->meta.flags = source->v6 ? XFQ_META_IPV6 : XFQ_META_IPV4;
	judged->meta.l3_off = 14;
	return true;
}

SEC("xdp")
int bench_none(struct xdp_md *ctx)
{
	struct xdp_judged judged;

	(void)ctx;
	if (bench_source(&judged))
		in_set += judged.key.src[0] == 1;
	return XDP_DROP;
}

SEC("xdp")
int bench_levels(struct xdp_md *ctx)
{
	struct xdp_judged judged;

	if (bench_source(&judged))
		in_set += judged_in_net(ctx, &judged, 0, XDP_FIELD_SRC);
	return XDP_DROP;
}

SEC("xdp")
int bench_trie(struct xdp_md *ctx)
{
	struct bench_set_prefix key;
	struct xdp_judged judged;

	(void)ctx;
	if (!bench_source(&judged))
		return XDP_DROP;
	key.len = judged.meta.flags & XFQ_META_IPV6 ? 128 : 32;
	__builtin_memcpy(key.addr, judged.key.src, sizeof(key.addr));
	in_set += bpf_map_lookup_elem(&trie, &key) != 0;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
