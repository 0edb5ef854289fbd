/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * decide(): the rules. What stands here is replaced by generated code before the program is loaded
 * (splice.h); it names the functions that this may call, so that they are part of the program. And
 * judge(), which calls it where there is something to decide.
 */
#ifndef XDP_DECIDE_BPF_H
#define XDP_DECIDE_BPF_H

#include "xdp/judged.bpf.h"
#include "xdp/limit.bpf.h"
#include "xdp/load.bpf.h"
#include "xdp/set.bpf.h"

JUDGED_FUNCTION __u64 decide(JUDGED_CTX *ctx, struct xdp_judged *judged);
JUDGED_FUNCTION __u64 decide(JUDGED_CTX *ctx, struct xdp_judged *judged)
{
	if (!judged)
		return XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_PASS, 0);
	return judged_load(ctx, 0, 1) + judged_in_net(ctx, judged, 0, 1) +
	       judged_in_port(ctx, judged, 0, 1) + judged_in_flow(ctx, judged, 0, 1) +
	       judged_in_mac(ctx, judged, 0, 1) + judged_over(ctx, judged, 0);
}

/* The decision on a parsed packet, XDP_DECISION. */
static __always_inline __u64 judge(JUDGED_CTX *ctx, struct xdp_judged *judged)
{
	if ((judged->meta.flags & XFQ_META_MALFORMED) &&
	    settings.malformed != XDP_MALFORMED_BY_RULES)
		return XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_MALFORMED, 0);
	if (!settings.rules)
		return XDP_DECISION(XFQ_RULE_DEFAULT, settings.default_verdict, 0);
	return decide(ctx, judged);
}

#endif
