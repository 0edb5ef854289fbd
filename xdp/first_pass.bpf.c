// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The first pass over every packet, in the kernel: parse, decide, count; packets to be steered get
 * their metadata and go to the AF_XDP socket of their queue. Where there is none, or anything at
 * all is missing, the packet goes on to the stack: the program fails open.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "steering/flow.h"
#include "steering/parse.h"
#include "xdp/verdict.h"
#include "xdp/xdp_abi.h"

/* Constants of the loaded program; the verifier removes the code of what is not configured. */
const volatile struct xdp_policy policy;
const volatile __u32 packet_max; /* bytes of the longest packet that is steered; 0: no limit */
const volatile __u32 interface_cnt;
const volatile __u32 interfaces[XDP_INTERFACES_MAX]; /* ifindex; its place is its share of xsks */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_XSKS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_counters);
} counters SEC(".maps");

struct nets4 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct xdp_net4_key));
	__uint(value_size, sizeof(__u8));
};

struct nets6 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct xdp_net6_key));
	__uint(value_size, sizeof(__u8));
};

/* The named sets: a slot is one set and is replaced as a whole; empty slots hold nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDP_SETS_MAX);
	__type(key, __u32);
	__array(values, struct nets4);
} sets4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDP_SETS_MAX);
	__type(key, __u32);
	__array(values, struct nets6);
} sets6 SEC(".maps");

PARSE_INLINE bool verdict_set_has(const void *sets, __u32 index, bool v6, const __u32 addr[4])
{
	void *nets;

	(void)sets;
	if (v6) {
		struct xdp_net6_key key = {.prefix_len = 128};

		__builtin_memcpy(key.addr, addr, sizeof(key.addr));
		nets = bpf_map_lookup_elem(&sets6, &index);
		return nets && bpf_map_lookup_elem(nets, &key);
	}
	struct xdp_net4_key key = {.prefix_len = 32};

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	nets = bpf_map_lookup_elem(&sets4, &index);
	return nets && bpf_map_lookup_elem(nets, &key);
}

/* The rules, as a function of its own that the verifier checks once and not after every path of the
 * parser: inlined, 16 rules on ports were more than it takes. It returns no more than a word. */
__attribute__((noinline)) __u32 decide(const struct xfq_meta *meta, const struct parse_key *key);
__attribute__((noinline)) __u32 decide(const struct xfq_meta *meta, const struct parse_key *key)
{
	struct verdict verdict;

	if (!meta || !key)
		return XFQ_RULE_DEFAULT | XDP_VERDICT_PASS << 16 | XDP_VERDICT_PASS << 24;
	verdict = verdict_decide(&policy, meta, key, NULL);
	return (__u32)verdict.rule | (__u32)verdict.verdict << 16 | (__u32)verdict.action << 24;
}

/* The decision; the call is not in the program where there are no rules. */
static __always_inline struct verdict judge(const struct xfq_meta *meta,
					    const struct parse_key *key)
{
	__u32 decision;

	if (policy.rule_cnt == 0)
		return verdict_without_rules(&policy, meta);
	decision = decide(meta, key);
	return (struct verdict){.rule = (__u16)decision,
				.verdict = (__u8)(decision >> 16),
				.action = (__u8)(decision >> 24)};
}

static __always_inline void count(struct xdp_counter *counter, __u32 bytes)
{
	counter->packets++;
	counter->bytes += bytes;
}

/* Where the socket of this packet's queue stands in xsks; XDP_XSKS_MAX where there is none. */
static __always_inline __u32 socket_index(const struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;

	if (queue >= XDP_QUEUES_MAX)
		return XDP_XSKS_MAX;
	if (interface_cnt <= 1)
		return queue;
	for (__u32 i = 0; i < XDP_INTERFACES_MAX && i < interface_cnt; i++)
		if (interfaces[i] == ctx->ingress_ifindex)
			return i * XDP_QUEUES_MAX + queue;
	return XDP_XSKS_MAX;
}

/* Put the metadata in front of the packet. A driver without room for it is no error: the worker
 * sees that the magic is missing, and parses. */
static __always_inline void write_meta(struct xdp_md *ctx, const struct xfq_meta *meta,
				       struct xdp_counters *c)
{
	struct xfq_meta *to;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta))) {
		c->no_meta++;
		return;
	}
	to = (struct xfq_meta *)(long)ctx->data_meta;
	if ((void *)(to + 1) > (void *)(long)ctx->data)
		return;
	*to = *meta;
}

SEC("xdp")
int xfq_first_pass(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, len = (__u32)(ctx->data_end - ctx->data);
	struct xdp_counters *c = bpf_map_lookup_elem(&counters, &zero);
	struct xfq_meta meta;
	struct parse_key key;
	struct verdict verdict;
	__u32 rule;
	long code;

	if (!c)
		return XDP_PASS;
	parse_packet(ctx, data, end, len, &meta, &key);
	if (meta.flags & XFQ_META_MALFORMED)
		c->malformed++;
	if (meta.flags & XFQ_META_FRAGMENT)
		c->fragments++;

	verdict = judge(&meta, &key);
	rule = verdict.rule < XDP_RULES_MAX ? verdict.rule : XDP_RULES_MAX;
	if (verdict.verdict != XDP_VERDICT_MALFORMED)
		count(&c->rules[rule], len);

	if (verdict.action == XDP_VERDICT_STEER && packet_max && len > packet_max) {
		c->too_long++;
		count(&c->verdicts[XDP_VERDICT_PASS], len);
		return XDP_PASS;
	}
	if (verdict.action == XDP_VERDICT_STEER) {
		meta.rule = verdict.rule;
		meta.flow_hash = flow_hash(&meta, &key, data, end, policy.hash_seed);
		write_meta(ctx, &meta, c);
		code = bpf_redirect_map(&xsks, socket_index(ctx), XDP_PASS);
		if (code == XDP_REDIRECT) {
			count(&c->verdicts[XDP_VERDICT_STEER], len);
			return XDP_REDIRECT;
		}
		/* the stack would compare the metadata when it merges packets: take it back */
		if (ctx->data_meta < ctx->data)
			bpf_xdp_adjust_meta(ctx, (int)sizeof(meta));
		c->no_socket++;
		count(&c->verdicts[XDP_VERDICT_PASS], len);
		return XDP_PASS;
	}
	if (verdict.verdict == XDP_VERDICT_MALFORMED)
		count(&c->verdicts[XDP_VERDICT_MALFORMED], len);
	else if (verdict.action == XDP_VERDICT_DROP)
		count(&c->verdicts[XDP_VERDICT_DROP], len);
	else
		count(&c->verdicts[XDP_VERDICT_PASS], len);
	return verdict.action == XDP_VERDICT_DROP ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
