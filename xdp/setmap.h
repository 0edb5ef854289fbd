/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The named sets in the kernel: the maps that hold them, in the slots of every program that is
 * loaded.
 *
 *	setmaps_create    from sets in user space
 *	setmaps_place     into a program that judges no packets yet
 *	  setmaps_add, _del, _sweep   one member, in both places: struct set and kernel
 *	  setmaps_replace             all members at once
 *	  setmaps_hits                what a member counted
 *	setmaps_share     the same maps for the sets of another config
 *	setmaps_destroy   programs keep what they have in their slots
 *
 * The struct set stays the authority; maps are built from it again where they are too small, or
 * where there was no need before for what a member asks for. To packets every change is at once: a
 * packet sees the set before it or after it. Changes of one member take microseconds, those that
 * build maps wait for the kernel's grace periods besides. One thread.
 */
#ifndef XDP_SETMAP_H
#define XDP_SETMAP_H

#include "xdp/set.h"
#include "xdp/setmap_abi.h"
#include <xfq/error.h>

enum setmap_kind {
	SETMAP_BLOCKS4 = 0,
	SETMAP_NODES4,
	SETMAP_FILTER6,
	SETMAP_NODES6,
	SETMAP_NETS, /* prefixes that are entries */
	SETMAP_PORTS,
	SETMAP_FLOWS,
	SETMAP_MACS,
	SETMAP_KINDS
};

/* The maps of one set. */
struct setmap {
	uint32_t users;                                 /* struct setmaps that have it */
	int maps[SETMAP_KINDS];                         /* descriptors; -1: none */
	uint32_t cnt[SETMAP_KINDS], room[SETMAP_KINDS]; /* elements of the hash tables */
	struct setmap_block *blocks;                    /* mapped, where there are any */
	struct setmap_line *lines;
	struct setmap_value *ports;
	uint32_t filter_used; /* bits set in lines */
	struct setmap_info info;
};

/* The maps of one program that hold sets; descriptors, the program's. */
struct setmap_slots {
	int heads;
	int arrays[SETMAP_KINDS];
};

/* Those of a program whose skeleton has xdp/set.bpf.h. */
#define SETMAP_SLOTS(skeleton)                                                                     \
	((struct setmap_slots){                                                                    \
		.heads = bpf_map__fd((skeleton)->maps.set_heads),                                  \
		.arrays = {[SETMAP_BLOCKS4] = bpf_map__fd((skeleton)->maps.sets_blocks4),          \
			   [SETMAP_NODES4] = bpf_map__fd((skeleton)->maps.sets_nodes4),            \
			   [SETMAP_FILTER6] = bpf_map__fd((skeleton)->maps.sets_filter6),          \
			   [SETMAP_NODES6] = bpf_map__fd((skeleton)->maps.sets_nodes6),            \
			   [SETMAP_NETS] = bpf_map__fd((skeleton)->maps.sets_entries),             \
			   [SETMAP_PORTS] = bpf_map__fd((skeleton)->maps.sets_ports),              \
			   [SETMAP_FLOWS] = bpf_map__fd((skeleton)->maps.sets_flows),              \
			   [SETMAP_MACS] = bpf_map__fd((skeleton)->maps.sets_macs)}})

/* All sets of a config, by their places there. */
struct setmaps {
	struct setmap *maps[XDP_SETS_MAX];
	uint32_t cnt;
};

/* 0, or -errno with a sentence, and nothing is left. */
int setmaps_create(struct setmaps *maps, const struct set *const *sets, uint32_t cnt,
		   struct xfq_error *error);

/* Put all of them into the slots of a program that runs nowhere yet. 0, or -errno with a sentence.
 */
int setmaps_place(const struct setmaps *maps, const struct setmap_slots *slots,
		  struct xfq_error *error);

/* Safe on zeroed memory. */
void setmaps_destroy(struct setmaps *maps);

/*
 * The maps of `sets`, where from_sets[i], if not NULL, is a set whose members are to go on under
 * this config: set i then has its maps, and what they counted. Both are users of them until one is
 * destroyed; only one of them may make changes. As setmaps_create() else.
 */
int setmaps_share(struct setmaps *maps, const struct set *const *sets, uint32_t cnt,
		  const struct setmaps *from, const int *from_index, struct xfq_error *error);

/* Where changes go: the maps, and the slots of all loaded programs that have these sets. */
struct setmaps_target {
	struct setmaps *maps;
	const struct setmap_slots *slots;
	uint32_t slot_cnt;
};

/* Add a member to `set`, at place `index`, or give it its new time. 1: it is new; 0: it was there;
 * or -errno with a sentence (-ENOSPC: the set's `max`), and nothing has changed. */
int setmaps_add(const struct setmaps_target *target, uint32_t index, struct set *set,
		const struct set_member *member, struct xfq_error *error);

/* Take a member out. 1: it was there; 0: it was not; or -errno with a sentence. */
int setmaps_del(const struct setmaps_target *target, uint32_t index, struct set *set,
		const union set_key *key, struct xfq_error *error);

/* Take out some of those that have expired; the others at the next call. Their number, or -errno
 * with a sentence. */
int setmaps_sweep(const struct setmaps_target *target, uint32_t index, struct set *set,
		  uint64_t now_ns, struct xfq_error *error);

/*
 * Exchange all members of `set` for those of `with`, a set of the same type, which has the old ones
 * then; its name and options do not matter. Members of both keep what they counted. 0, or -errno
 * with a sentence, and nothing has changed.
 */
int setmaps_replace(const struct setmaps_target *target, uint32_t index, struct set *set,
		    struct set *with, struct xfq_error *error);

/* Packets that a member of a set with `hits` counted: of a prefix, those of which it was the
 * longest; of ports, those to and from any of them. */
uint64_t setmaps_hits(const struct setmaps *maps, uint32_t index, const struct set *set,
		      const struct set_member *member);

/* --- for setmap*.c ---------------------------------------------------------------------------- */

/* Make the maps of a set; hits are taken over from `before`, if not NULL. 0, or -errno with a
 * sentence. */
int setmap_create(struct setmap **map, const struct set *set, const struct setmap *before,
		  struct xfq_error *error);
void setmap_release(struct setmap *map);

/* Make a hash table for `cnt` elements and more. 0 or -errno. */
int setmap_make(struct setmap *map, enum setmap_kind kind, uint32_t cnt);

/* A map's array as memory; NULL with errno. */
void *setmap_memory(const struct setmap *map, enum setmap_kind kind, size_t bytes);

/* Elements on their way into a hash table, many in one call. */
struct setmap_batch {
	int map;
	size_t key_bytes, value_bytes;
	uint32_t cnt;
	uint8_t *keys, *values; /* owned */
};
int setmap_batch_begin(struct setmap_batch *batch, int map, size_t key_bytes, size_t value_bytes);
int setmap_batch_add(struct setmap_batch *batch, const void *key, const void *value);
/* The rest; frees, also after a failure, `code`, which it returns if it is not 0. */
int setmap_batch_end(struct setmap_batch *batch, int code);

/* What setmap_put() and setmap_take() do for prefixes: -ENOSPC where maps are to be built anew. */
int setmap_net_build(struct setmap *map, const struct set *set, const struct setmap *before);
int setmap_net_put(struct setmap *map, const struct set *set, const struct set_member *member);
int setmap_net_take(struct setmap *map, const struct set *set, const union set_key *key);
struct setmap_net setmap_net_key(const union set_key *key);

#endif
