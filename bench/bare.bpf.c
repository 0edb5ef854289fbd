/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The least an AF_XDP receiver can ask of XDP: every packet to the socket of its queue, to the
 * stack where there is none.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define BARE_QUEUES_MAX 128

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Queue -> AF_XDP socket. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, BARE_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}
