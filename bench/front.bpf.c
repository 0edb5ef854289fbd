/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * For test runs that run a program again and again on one packet: takes back the metadata that the
 * program wrote the time before, so that there is room for it again, and goes on as the program.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Slot 0: the program. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

SEC("xdp.frags")
int front(struct xdp_md *ctx)
{
	if (ctx->data_meta < ctx->data)
		bpf_xdp_adjust_meta(ctx, (int)(ctx->data - ctx->data_meta));
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

/* The least there is. */
SEC("xdp.frags")
int drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}
