/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The shunt table in the kernel: flows that an application wants to see no more of. It is asked
 * only while shunt_state says that there may be entries.
 */
#ifndef XDP_SHUNT_BPF_H
#define XDP_SHUNT_BPF_H

#include "xdp/judged.bpf.h"
#include "xdp/shunt_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct xdp_flow_key);
	__type(value, struct xdp_shunt);
} shunt_flows SEC(".maps");

/* How many entries there may be: user space writes it, before it adds one and when none is left. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} shunt_state SEC(".maps");

/* What the table says of a packet that may be in it. */
JUDGED_FUNCTION __u32 shunt_find(struct xdp_judged *judged);
JUDGED_FUNCTION __u32 shunt_find(struct xdp_judged *judged)
{
	struct xdp_flow_key key;
	struct xdp_shunt *entry;
	__u64 before;

	if (!judged || !flow_key_make(&key, &judged->meta, &judged->key))
		return SHUNT_NONE;
	entry = bpf_map_lookup_elem(&shunt_flows, &key);
	if (!entry)
		return SHUNT_NONE;
	if (!judged->now_ns)
		judged->now_ns = judged_clock();
	if (shunt_expired(entry, judged->now_ns))
		return SHUNT_NONE;
	before = __sync_fetch_and_add(&entry->packets, 1);
	if (entry->most && before >= entry->most)
		return SHUNT_NONE;
	__sync_fetch_and_add(&entry->bytes, judged->meta.wire_len);
	entry->seen_ns = judged->now_ns;
	return entry->action;
}

/* What the table says of a packet; counted there. */
static __always_inline int shunt_look(struct xdp_judged *judged)
{
	__u32 zero = 0;
	const __u32 *used = bpf_map_lookup_elem(&shunt_state, &zero);

	if (!used || !*used)
		return SHUNT_NONE;
	return (int)shunt_find(judged);
}

#endif
