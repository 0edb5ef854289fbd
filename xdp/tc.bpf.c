// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What TC runs on the packets of an interface: xfq_egress judges what the host sends, xfq_mirror
 * clones what is to be steered, in both directions, and leaves the packet alone. One of them is
 * loaded. Where anything is missing the packet goes its way.
 */
#include "xdp/skb.bpf.h"

#include <linux/pkt_cls.h>

#include "xdp/decide.bpf.h"
#include "xdp/tc_abi.h"

const volatile struct tc_mirror mirrors[XDP_INTERFACES_MAX];
/* 1: segments of one packet may be judged differently, so that it is not judged before it is cut */
const volatile __u8 mirror_merged;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_counters);
} counters SEC(".maps");

static __always_inline void count(struct xdp_counter *counter, __u32 bytes)
{
	counter->packets++;
	counter->bytes += bytes;
}

/* Count a decision; whether the packet is to be dropped. */
static __always_inline bool count_decision(struct xdp_counters *c, const struct xdp_judged *judged,
					   __u64 decision)
{
	__u32 rule = XDP_DECISION_RULE(decision), len = judged->meta.wire_len;
	__u8 verdict = XDP_DECISION_VERDICT(decision);

	if (judged->meta.flags & XFQ_META_MALFORMED)
		c->malformed++;
	if (judged->meta.flags & XFQ_META_FRAGMENT)
		c->fragments++;
	if (verdict == XDP_VERDICT_MALFORMED) {
		count(&c->verdicts[XDP_VERDICT_MALFORMED], len);
		return settings.malformed == XDP_MALFORMED_DROP;
	}
	count(&c->rules[rule < XDP_RULES_MAX ? rule : XDP_RULES_MAX], len);
	if (verdict != XDP_VERDICT_DROP && verdict != XDP_VERDICT_LIMITED &&
	    verdict != XDP_VERDICT_TX)
		verdict = XDP_VERDICT_PASS;
	count(&c->verdicts[verdict], len);
	return verdict == XDP_VERDICT_DROP || verdict == XDP_VERDICT_LIMITED;
}

SEC("xfq/tc")
int xfq_egress(struct __sk_buff *ctx)
{
	__u32 zero = 0;
	struct xdp_counters *c = bpf_map_lookup_elem(&counters, &zero);
	struct xdp_judged judged;

	if (!c)
		return TC_ACT_UNSPEC;
	skb_parse(ctx, &judged);
	return count_decision(c, &judged, judge(ctx, &judged)) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* This end of the pair for the packets of an interface; 0: none. */
static __always_inline __u32 mirror_near(__u32 ifindex)
{
	for (__u32 i = 0; i < XDP_INTERFACES_MAX; i++)
		if (mirrors[i].ifindex == ifindex)
			return mirrors[i].near;
	return 0;
}

/* Clone it into the pair. The packet's own mark is what it was, when this returns. Negative where
 * there is no clone; positive where the pair had no room for it, or for some segments, which it
 * counts. */
static __always_inline long mirror_clone(struct __sk_buff *ctx, __u32 near)
{
	__u32 mark = ctx->mark;
	long code;

	ctx->mark = TC_MIRROR_MARK;
	code = bpf_clone_redirect(ctx, near, 0);
	ctx->mark = mark;
	return code;
}

/*
 * Only what does not leave here is counted here: clones are judged, limited and counted by the
 * program at the other end of the pair, by the same rules. Limits let everything through here, and
 * fragments go there, if they are to follow their flow, to be seen all.
 */
SEC("xfq/tc")
int xfq_mirror(struct __sk_buff *ctx)
{
	__u32 zero = 0, near = mirror_near(ctx->ifindex);
	struct xdp_counters *c = bpf_map_lookup_elem(&counters, &zero);
	__u64 decision = XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_STEER, 0);
	struct xdp_judged judged;
	bool follow;

	if (!c || !near)
		return TC_ACT_UNSPEC;
	skb_parse(ctx, &judged);
	follow = settings.fragments && (judged.meta.flags & XFQ_META_FRAGMENT);
	if (!follow && !(mirror_merged && ctx->gso_size))
		decision = judge(ctx, &judged);
	if (XDP_DECISION_VERDICT(decision) != XDP_VERDICT_STEER) {
		count_decision(c, &judged, decision);
	} else if (mirror_clone(ctx, near) < 0) {
		c->no_socket++;
		count_decision(c, &judged,
			       XDP_DECISION(XDP_DECISION_RULE(decision), XDP_VERDICT_PASS, 0));
	}
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
