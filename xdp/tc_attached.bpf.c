// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The programs that are attached by TC. xfq_tc goes on to the one in its only slot, as the XDP
 * program does (attached.bpf.c); where the slot is empty, as its owner has died, the packet goes
 * its way, which is what matters where the kernel keeps the program.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "xdp/tc_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tc_now SEC(".maps");

/* As in attached.bpf.c: to change this is to wait until no program runs that began before. */
struct tc_grace_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tc_grace_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct tc_grace_inner);
} tc_grace SEC(".maps");

SEC("tc")
int xfq_tc(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &tc_now, 0);
	return TC_ACT_UNSPEC;
}

/* Both ways at this end of a mirror's pair: only clones go in, and nothing comes out. */
SEC("tc")
int xfq_tc_guard(struct __sk_buff *ctx)
{
	return ctx->mark == TC_MIRROR_MARK ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
