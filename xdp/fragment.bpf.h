/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Fragments in the kernel: the notes of all CPUs. */
#ifndef XDP_FRAGMENT_BPF_H
#define XDP_FRAGMENT_BPF_H

#include <stddef.h>

#include "xdp/fragment.h"
#include "xdp/judged.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENT_DATAGRAMS);
	__type(key, struct fragment_key);
	__type(value, struct fragment_note);
} fragment_notes SEC(".maps");

/* A first fragment is noted, a later one gets what was noted. Whether it is known what its flow is;
 * 0: an orphan. */
JUDGED_FUNCTION __u32 fragment_find(struct xdp_judged *judged);
JUDGED_FUNCTION __u32 fragment_find(struct xdp_judged *judged)
{
	struct fragment_note mine, *there, *note;
	struct fragment_key key;
	bool known;

	if (!judged)
		return 0;
	if (!judged->now_ns)
		judged->now_ns = judged_clock();
	fragment_key_make(&key, judged);
	there = bpf_map_lookup_elem(&fragment_notes, &key);
	note = there && fragment_fresh(there, judged->now_ns) ? there : NULL;
	known = fragment_judge(judged, note, judged->now_ns, settings.hash_seed, &mine);
	/* an orphan must not overwrite what its first fragment notes on another CPU meanwhile */
	if (fragment_leaves(judged, note, known, settings.orphans))
		bpf_map_update_elem(&fragment_notes, &key, &mine,
				    known || there ? BPF_ANY : BPF_NOEXIST);
	return known;
}

#endif
