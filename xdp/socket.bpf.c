// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The first pass as the filter of packet sockets: it judges and counts as the XDP program does, and
 * shares that one's maps. What is to be steered is copied to the socket; everything else is not.
 * The host has its packet whatever is said here.
 */
#include "xdp/skb.bpf.h"

#include <linux/if_packet.h>

#include "xdp/decide.bpf.h"
#include "xdp/fragment.bpf.h"
#include "xdp/shunt.bpf.h"

/* As a socket filter answers: how many bytes are copied. */
#define SOCKET_NOTHING 0
#define SOCKET_ALL     0x7fffffff

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

/* Whether an orphan's fate is decided without the rules. */
static __always_inline bool settle_orphan(struct xdp_judged *judged, struct xdp_counters *c)
{
	__u8 verdict = settings.orphans == XDP_ORPHAN_DROP ? XDP_VERDICT_DROP : XDP_VERDICT_PASS;

	c->fragments++;
	if (!settings.fragments || !fragment_is_later(judged) || fragment_find(judged))
		return false;
	c->orphans++;
	if (settings.orphans == XDP_ORPHAN_BY_RULES)
		return false;
	count(&c->rules[XDP_RULES_MAX], judged->meta.wire_len);
	count(&c->verdicts[verdict], judged->meta.wire_len);
	return true;
}

SEC("xfq/socket")
int xfq_socket(struct __sk_buff *ctx)
{
	__u32 zero = 0, rule;
	struct xdp_counters *c = bpf_map_lookup_elem(&counters, &zero);
	struct xdp_judged judged;
	__u64 decision;
	__u8 verdict;

	/* what the host sends, where the kernel does not keep it from the socket by itself */
	if (!c || ctx->pkt_type == PACKET_OUTGOING)
		return SOCKET_NOTHING;
	skb_parse(ctx, &judged);
	if (judged.meta.flags & XFQ_META_MALFORMED)
		c->malformed++;
	if ((judged.meta.flags & XFQ_META_FRAGMENT) && settle_orphan(&judged, c))
		return SOCKET_NOTHING;
	decision = judge(ctx, &judged);
	verdict = XDP_DECISION_VERDICT(decision);
	rule = XDP_DECISION_RULE(decision);
	if (settings.fragments && fragment_is_noted(&judged, verdict, settings.malformed))
		fragment_find(&judged);
	if (verdict == XDP_VERDICT_MALFORMED) {
		count(&c->verdicts[XDP_VERDICT_MALFORMED], judged.meta.wire_len);
		return SOCKET_NOTHING;
	}
	count(&c->rules[rule < XDP_RULES_MAX ? rule : XDP_RULES_MAX], judged.meta.wire_len);
	if (settings.shunt && verdict == XDP_VERDICT_STEER && shunt_look(&judged) != SHUNT_NONE)
		verdict = XDP_VERDICT_SHUNTED;
	if (verdict < XDP_VERDICT_CNT)
		count(&c->verdicts[verdict], judged.meta.wire_len);
	return verdict == XDP_VERDICT_STEER ? SOCKET_ALL : SOCKET_NOTHING;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
