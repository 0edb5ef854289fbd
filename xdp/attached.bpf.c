// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The program that is attached to an interface: it goes on to the one in its only slot, which is
 * the first pass as the filter wants it now. A reload replaces that slot, by one write: each packet
 * is judged by the old filter or by the new one. Where the slot is empty, as the process that owns
 * it has died, the packet goes to the stack.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} first_pass SEC(".maps");

/* To change this is to wait until no program runs that began before: see the loader. */
struct grace_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} grace_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct grace_inner);
} grace SEC(".maps");

SEC("xdp")
int xfq_first_pass(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &first_pass, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
