/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bytes of a packet that are not in its first buffer, or beside it: for expressions. */
#ifndef XDP_LOAD_BPF_H
#define XDP_LOAD_BPF_H

#include <bpf/bpf_endian.h>

#include "xdp/judged.bpf.h"

#ifndef JUDGED_SKB /* skb.bpf.h has its own */

/* `bytes` (1, 2 or 4) at `offset`, in host byte order, or XDP_LOAD_FAILED. */
JUDGED_FUNCTION __u64 judged_load(JUDGED_CTX *ctx, __u32 offset, __u32 bytes);
JUDGED_FUNCTION __u64 judged_load(JUDGED_CTX *ctx, __u32 offset, __u32 bytes)
{
	__u32 word = 0;

	if (bytes == 4)
		return bpf_xdp_load_bytes(ctx, offset, &word, 4) ? XDP_LOAD_FAILED
								 : bpf_ntohl(word);
	if (bytes == 2)
		return bpf_xdp_load_bytes(ctx, offset, &word, 2) ? XDP_LOAD_FAILED
								 : bpf_ntohs((__u16)word);
	return bpf_xdp_load_bytes(ctx, offset, &word, 1) ? XDP_LOAD_FAILED : word & 0xff;
}

#endif

#endif
