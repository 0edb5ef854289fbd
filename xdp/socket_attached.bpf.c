// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The program that packet sockets have: it goes on to the one in its only slot. What a socket is
 * given counts against a small budget of the socket's (net.core.optmem_max), which the first pass
 * does not fit; and one write replaces the filter of all sockets.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} socket_pass SEC(".maps");

SEC("socket")
int xfq_socket_pass(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &socket_pass, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
