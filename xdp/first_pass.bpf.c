// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The first pass over every packet, in the kernel: parse, judge, count; packets to be steered get
 * their metadata and go to the AF_XDP socket of their queue. Where there is none, or anything at
 * all is missing, the packet goes on to the stack: the program fails open.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define JUDGED_CTX struct xdp_md
#include "steering/flow.h"
#include "xdp/decide.bpf.h"
#include "xdp/fragment.bpf.h"
#include "xdp/shunt.bpf.h"
#include "xdp/turn.h"

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

/* Where the quick program, if the filter has one, goes on to; see quick.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} judge_slot SEC(".maps");

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
	if (settings.interface_cnt <= 1)
		return queue;
	for (__u32 i = 0; i < XDP_INTERFACES_MAX && i < settings.interface_cnt; i++)
		if (settings.interfaces[i] == ctx->ingress_ifindex)
			return i * XDP_QUEUES_MAX + queue;
	return XDP_XSKS_MAX;
}

/* Put the metadata in front of the packet. A driver without room for it is no error: the worker
 * sees that the magic is missing, and parses. */
static __always_inline void write_meta(struct xdp_md *ctx, const struct xfq_meta *meta,
				       struct xdp_counters *c)
{
	struct xfq_meta *to;

	/* what a program before left there would stand between ours and the packet */
	if (ctx->data_meta < ctx->data)
		bpf_xdp_adjust_meta(ctx, (int)(ctx->data - ctx->data_meta));
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta))) {
		c->no_meta++;
		return;
	}
	to = (struct xfq_meta *)(long)ctx->data_meta;
	if ((void *)(to + 1) > (void *)(long)ctx->data)
		return;
	/* field by field: eight bytes at once, read back from where they were just put in smaller
	 * pieces, would have to wait for those */
	to->ts_ns = 0;
	to->flow_hash = meta->flow_hash;
	to->wire_len = meta->wire_len;
	to->magic = meta->magic;
	to->flags = meta->flags;
	to->l3_off = meta->l3_off;
	to->l4_off = meta->l4_off;
	to->payload_off = meta->payload_off;
	to->ethertype = meta->ethertype;
	to->rule = meta->rule;
	to->l4_proto = meta->l4_proto;
	to->generation = meta->generation;
}

/* To the socket of its queue, or else, counted, to the stack. */
static __always_inline int steer(struct xdp_md *ctx, struct xdp_judged *judged, __u16 rule,
				 struct xdp_counters *c)
{
	__u32 len = judged->meta.wire_len;
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (settings.packet_max && len > settings.packet_max) {
		c->too_long++;
		count(&c->verdicts[XDP_VERDICT_PASS], len);
		return XDP_PASS;
	}
	judged->meta.rule = rule;
	judged->meta.generation = settings.generation;
	/* a fragment's may have been found already */
	if (!judged->meta.flow_hash)
		judged->meta.flow_hash =
			flow_hash(&judged->meta, &judged->key, data, end, settings.hash_seed);
	write_meta(ctx, &judged->meta, c);
	if (bpf_redirect_map(&xsks, socket_index(ctx), XDP_PASS) == XDP_REDIRECT) {
		count(&c->verdicts[XDP_VERDICT_STEER], len);
		return XDP_REDIRECT;
	}
	/* the stack would compare the metadata when it merges packets: take it back */
	if (ctx->data_meta < ctx->data)
		bpf_xdp_adjust_meta(ctx, (int)sizeof(judged->meta));
	c->no_socket++;
	count(&c->verdicts[XDP_VERDICT_PASS], len);
	return XDP_PASS;
}

/* A first buffer that is shorter than this is taken for the only one: drivers fill one before they
 * begin the next. To ask costs as much as a third of the whole parser; it is asked after all where
 * such a packet seems to lie about its length. */
#define FIRST_BUFFER_MIN 512

/* Bytes of the packet, over all its buffers. */
static __always_inline __u32 packet_len(struct xdp_md *ctx)
{
	__u32 len = (__u32)(ctx->data_end - ctx->data);

	return len < FIRST_BUFFER_MIN ? len : (__u32)bpf_xdp_get_buff_len(ctx);
}

/* The length of a packet that seems to be malformed. Where there are more buffers, headers that
 * reach into them are not looked at, and are no lie. */
static __always_inline __u32 packet_ask(struct xdp_md *ctx, struct xdp_judged *judged)
{
	__u32 len = (__u32)bpf_xdp_get_buff_len(ctx);

	if (len > judged->meta.wire_len) {
		judged->meta.wire_len = len;
		judged->meta.flags &= (__u16)~XFQ_META_MALFORMED;
		judged->meta.flags |= XFQ_META_CUT;
	}
	return len;
}

/* Whether the fate of a fragment is decided without the rules, as its first one was not seen. */
static __always_inline bool orphan_settled(struct xdp_judged *judged, struct xdp_counters *c,
					   __u8 *verdict)
{
	c->fragments++;
	if (!settings.fragments || !fragment_is_later(judged) || fragment_find(judged))
		return false;
	c->orphans++;
	if (settings.orphans == XDP_ORPHAN_BY_RULES)
		return false;
	*verdict = settings.orphans == XDP_ORPHAN_DROP ? XDP_VERDICT_DROP : XDP_VERDICT_PASS;
	count(&c->rules[XDP_RULES_MAX], judged->meta.wire_len);
	count(&c->verdicts[*verdict], judged->meta.wire_len);
	return true;
}

SEC("xfq/xdp")
int xfq_judge(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, len = packet_len(ctx);
	struct xdp_counters *c = bpf_map_lookup_elem(&counters, &zero);
	struct xdp_judged judged;
	__u64 decision;
	__u32 rule;
	__u8 verdict;

	if (!c)
		return XDP_PASS;
	judged.now_ns = 0;
	parse_packet(ctx, data, end, len, &judged.meta, &judged.key);
	if ((judged.meta.flags & XFQ_META_MALFORMED) && len < FIRST_BUFFER_MIN)
		len = packet_ask(ctx, &judged);
	if (judged.meta.flags & XFQ_META_MALFORMED)
		c->malformed++;
	if ((judged.meta.flags & XFQ_META_FRAGMENT) && orphan_settled(&judged, c, &verdict))
		return verdict == XDP_VERDICT_DROP ? XDP_DROP : XDP_PASS;
	decision = judge(ctx, &judged);
	verdict = XDP_DECISION_VERDICT(decision);
	rule = XDP_DECISION_RULE(decision);
	if (settings.fragments && fragment_is_noted(&judged, verdict, settings.malformed))
		fragment_find(&judged);
	if (verdict == XDP_VERDICT_MALFORMED) {
		count(&c->verdicts[XDP_VERDICT_MALFORMED], len);
		return settings.malformed == XDP_MALFORMED_DROP ? XDP_DROP : XDP_PASS;
	}
	count(&c->rules[rule < XDP_RULES_MAX ? rule : XDP_RULES_MAX], len);
	/* after the rules: to shunt is to say no more of what would be steered, and never to undo
	 * what a rule drops or leaves to the host */
	if (settings.shunt && verdict == XDP_VERDICT_STEER) {
		int action = shunt_look(&judged);

		if (action != SHUNT_NONE) {
			count(&c->verdicts[XDP_VERDICT_SHUNTED], len);
			return action == SHUNT_DROP ? XDP_DROP : XDP_PASS;
		}
	}
	if (verdict == XDP_VERDICT_STEER)
		return steer(ctx, &judged, (__u16)rule, c);
	if (verdict == XDP_VERDICT_TX) {
		turn_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end, &judged,
			    XDP_DECISION_SWAP(decision));
		count(&c->verdicts[XDP_VERDICT_TX], len);
		return XDP_TX;
	}
	if (verdict >= XDP_VERDICT_CNT)
		return XDP_PASS;
	count(&c->verdicts[verdict], len);
	return verdict == XDP_VERDICT_PASS ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
