/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/setmap.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Elements that go to the kernel in one call. */
#define SETMAP_BATCH 4096
/* What a hash table has room for beyond what is in it: half as much again, and this. */
#define SETMAP_ROOM 1024

/* Expired members that are taken out at once: whoever else wants something of the thread waits.
 * What has expired does not match, whether it is still there or not. */
#define SETMAP_SWEEP_MAX 20000

/* --- maps ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t key_bytes, value_bytes;
} setmap_tables[SETMAP_KINDS] = {
	[SETMAP_NODES4] = {"xfq_nodes4", sizeof(__u32), sizeof(struct setmap_bits)},
	[SETMAP_NODES6] = {"xfq_nodes6", sizeof(struct setmap_node6), sizeof(struct setmap_bits)},
	[SETMAP_NETS] = {"xfq_nets", sizeof(struct setmap_net), sizeof(struct setmap_value)},
	[SETMAP_FLOWS] = {"xfq_flows", sizeof(struct xdp_flow_key), sizeof(struct setmap_value)},
	[SETMAP_MACS] = {"xfq_macs", sizeof(setmap_mac), sizeof(struct setmap_value)},
};

int setmap_make(struct setmap *map, enum setmap_kind kind, uint32_t cnt)
{
	map->room[kind] = cnt + cnt / 2 + SETMAP_ROOM;
	map->maps[kind] = bpf_map_create(BPF_MAP_TYPE_HASH, setmap_tables[kind].name,
					 setmap_tables[kind].key_bytes,
					 setmap_tables[kind].value_bytes, map->room[kind], NULL);
	return map->maps[kind] < 0 ? -errno : 0;
}

void *setmap_memory(const struct setmap *map, enum setmap_kind kind, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map->maps[kind], 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int setmap_batch_begin(struct setmap_batch *batch, int map, size_t key_bytes, size_t value_bytes)
{
	*batch = (struct setmap_batch){
		.map = map, .key_bytes = key_bytes, .value_bytes = value_bytes};
	batch->keys = malloc(SETMAP_BATCH * key_bytes);
	batch->values = malloc(SETMAP_BATCH * value_bytes);
	return batch->keys && batch->values ? 0 : -ENOMEM;
}

static int setmap_batch_send(struct setmap_batch *batch)
{
	__u32 cnt = batch->cnt;

	batch->cnt = 0;
	if (cnt && bpf_map_update_batch(batch->map, batch->keys, batch->values, &cnt, NULL))
		return -errno;
	return 0;
}

int setmap_batch_add(struct setmap_batch *batch, const void *key, const void *value)
{
	memcpy(batch->keys + batch->cnt * batch->key_bytes, key, batch->key_bytes);
	memcpy(batch->values + batch->cnt * batch->value_bytes, value, batch->value_bytes);
	return ++batch->cnt == SETMAP_BATCH ? setmap_batch_send(batch) : 0;
}

int setmap_batch_end(struct setmap_batch *batch, int code)
{
	if (code == 0)
		code = setmap_batch_send(batch);
	free(batch->keys);
	free(batch->values);
	return code;
}

/* --- flows, Ethernet addresses, ports --------------------------------------------------------- */

static setmap_mac setmap_mac_of(const union set_key *key)
{
	setmap_mac mac = 0;

	memcpy(&mac, key->mac, sizeof(key->mac));
	return mac;
}

static enum setmap_kind setmap_table_kind(const struct set *set)
{
	return set->type == SET_FLOW ? SETMAP_FLOWS : SETMAP_MACS;
}

static int setmap_table_build(struct setmap *map, const struct set *set,
			      const struct setmap *before)
{
	enum setmap_kind kind = setmap_table_kind(set);
	struct setmap_batch batch;
	int code = setmap_make(map, kind, set->cnt);

	if (code)
		return code;
	code = setmap_batch_begin(&batch, map->maps[kind], setmap_tables[kind].key_bytes,
				  setmap_tables[kind].value_bytes);
	for (uint32_t i = 0; i < set->cnt && code == 0; i++) {
		setmap_mac mac = setmap_mac_of(&set->members[i].key);
		const void *key =
			kind == SETMAP_FLOWS ? (const void *)&set->members[i].key.flow : &mac;
		struct setmap_value was, value = {.expires_ns = set->members[i].expires_ns};

		if (before && set->hits && bpf_map_lookup_elem(before->maps[kind], key, &was) == 0)
			value.hits = was.hits;
		code = setmap_batch_add(&batch, key, &value);
	}
	map->cnt[kind] = set->cnt;
	return setmap_batch_end(&batch, code);
}

static int setmap_table_put(struct setmap *map, const struct set *set,
			    const struct set_member *member)
{
	enum setmap_kind kind = setmap_table_kind(set);
	setmap_mac mac = setmap_mac_of(&member->key);
	const void *key = kind == SETMAP_FLOWS ? (const void *)&member->key.flow : &mac;
	struct setmap_value value = {0};
	bool there = bpf_map_lookup_elem(map->maps[kind], key, &value) == 0;

	if (!there && map->cnt[kind] >= map->room[kind])
		return -ENOSPC;
	value.expires_ns = member->expires_ns;
	if (bpf_map_update_elem(map->maps[kind], key, &value, BPF_ANY))
		return errno == E2BIG ? -ENOSPC : -errno;
	map->cnt[kind] += !there;
	return 0;
}

static int setmap_table_take(struct setmap *map, const struct set *set, const union set_key *key)
{
	enum setmap_kind kind = setmap_table_kind(set);
	setmap_mac mac = setmap_mac_of(key);

	if (bpf_map_delete_elem(map->maps[kind],
				kind == SETMAP_FLOWS ? (const void *)&key->flow : &mac))
		return errno == ENOENT ? 0 : -errno;
	map->cnt[kind]--;
	return 0;
}

/* Have ports as the set says that they are. */
static void setmap_ports_write(struct setmap *map, const struct set *set, uint32_t lo, uint32_t hi)
{
	for (uint32_t port = lo; port <= hi; port++) {
		uint64_t expires_ns = set->ports ? set->ports[port] : 0;

		if (expires_ns == 0)
			__atomic_store_n(&map->ports[port].hits, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&map->ports[port].expires_ns, expires_ns, __ATOMIC_RELEASE);
	}
}

static int setmap_ports_build(struct setmap *map, const struct set *set,
			      const struct setmap *before)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	map->maps[SETMAP_PORTS] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xfq_ports", sizeof(__u32),
						 sizeof(struct setmap_value), SET_PORTS, &options);
	if (map->maps[SETMAP_PORTS] < 0)
		return -errno;
	map->ports = setmap_memory(map, SETMAP_PORTS, SET_PORTS * sizeof(struct setmap_value));
	if (!map->ports)
		return -errno;
	for (uint32_t port = 0; port < SET_PORTS && before; port++)
		map->ports[port].hits =
			__atomic_load_n(&before->ports[port].hits, __ATOMIC_RELAXED);
	setmap_ports_write(map, set, 0, SET_PORTS - 1);
	return 0;
}

/* --- one set ---------------------------------------------------------------------------------- */

void setmap_release(struct setmap *map)
{
	if (!map || --map->users > 0)
		return;
	if (map->blocks)
		munmap(map->blocks, SETMAP_BLOCKS * sizeof(struct setmap_block));
	if (map->lines)
		munmap(map->lines, map->room[SETMAP_FILTER6] * sizeof(struct setmap_line));
	if (map->ports)
		munmap(map->ports, SET_PORTS * sizeof(struct setmap_value));
	for (int kind = 0; kind < SETMAP_KINDS; kind++)
		if (map->maps[kind] >= 0)
			close(map->maps[kind]);
	free(map);
}

int setmap_create(struct setmap **map, const struct set *set, const struct setmap *before,
		  struct xfq_error *error)
{
	struct setmap *made = calloc(1, sizeof(*made));
	int code;

	*map = NULL;
	if (!made)
		return xfq_error_set(error, -ENOMEM, "set %s: no memory", set->name);
	made->users = 1;
	for (int kind = 0; kind < SETMAP_KINDS; kind++)
		made->maps[kind] = -1;
	made->info.flags = set->hits ? SETMAP_HITS : 0;
	if (set->type == SET_NET || set->type == SET_ADDRESS)
		code = setmap_net_build(made, set, before);
	else if (set->type == SET_PORT)
		code = setmap_ports_build(made, set, before);
	else
		code = setmap_table_build(made, set, before);
	if (code) {
		setmap_release(made);
		return xfq_error_set(error, code, "set %s: loading %u members into the kernel: %s",
				     set->name, set->cnt, strerror(-code));
	}
	*map = made;
	return 0;
}

/* Put a member that the set has into the maps. 0, -ENOSPC: they are to be built anew; -errno. */
static int setmap_put(struct setmap *map, const struct set *set, const struct set_member *member)
{
	if (set->type == SET_NET || set->type == SET_ADDRESS)
		return setmap_net_put(map, set, member);
	if (set->type != SET_PORT)
		return setmap_table_put(map, set, member);
	setmap_ports_write(map, set, member->key.ports.lo, member->key.ports.hi);
	return 0;
}

/* Take a member out of the maps that the set does not have any more. 0 or -errno. */
static int setmap_take(struct setmap *map, const struct set *set, const union set_key *key)
{
	if (set->type == SET_NET || set->type == SET_ADDRESS)
		return setmap_net_take(map, set, key);
	if (set->type != SET_PORT)
		return setmap_table_take(map, set, key);
	setmap_ports_write(map, set, key->ports.lo, key->ports.hi);
	return 0;
}

/* --- slots ------------------------------------------------------------------------------------ */

/* Put maps into slots of one array, all at once: the kernel waits for a grace period each time. */
static int setmap_fill_slots(int array, __u32 *slots, int *maps, __u32 cnt)
{
	return cnt && bpf_map_update_batch(array, slots, maps, &cnt, NULL) ? -errno : 0;
}

static int setmap_head_read(const struct setmap_slots *slots, __u32 index, struct setmap_head *head)
{
	return bpf_map_lookup_elem(slots->heads, &index, head) ? -errno : 0;
}

static int setmap_head_write(const struct setmap_slots *slots, __u32 index,
			     const struct setmap_head *head)
{
	return bpf_map_update_elem(slots->heads, &index, head, BPF_ANY) ? -errno : 0;
}

/* What is known of the set has changed: tell it to a program. */
static int setmap_tell(const struct setmap *map, const struct setmap_slots *slots, uint32_t index)
{
	struct setmap_head head;
	int code = setmap_head_read(slots, index, &head);

	if (code)
		return code;
	head.sides[head.side & 1] = map->info;
	return setmap_head_write(slots, index, &head);
}

/* Empty the slots of a side, which no program looks at any more. */
static void setmap_clear_side(const struct setmap_slots *slots, __u32 slot)
{
	for (int kind = 0; kind < SETMAP_KINDS; kind++) {
		__u32 id;

		if (bpf_map_lookup_elem(slots->arrays[kind], &slot, &id) == 0)
			bpf_map_delete_elem(slots->arrays[kind], &slot);
	}
}

/* Have a program look at these maps: they are put on the side that it does not look at, which it
 * does from then on. What it looked at before is let go when no run of it does any more. */
static int setmap_switch(const struct setmap *map, const struct setmap_slots *slots, uint32_t index)
{
	struct setmap_head head;
	int code = setmap_head_read(slots, index, &head), last = -1;
	__u32 side, slot;

	if (code)
		return code;
	side = !(head.side & 1);
	slot = index * 2 + side;
	for (int kind = 0; kind < SETMAP_KINDS && code == 0; kind++) {
		if (map->maps[kind] < 0)
			continue;
		last = kind;
		if (bpf_map_update_elem(slots->arrays[kind], &slot, &map->maps[kind], BPF_ANY))
			code = -errno;
	}
	head.sides[side] = map->info;
	if (code == 0)
		code = setmap_head_write(slots, index, &head);
	/* that was for what is not looked at; now a single byte changes */
	head.side = side;
	if (code == 0)
		code = setmap_head_write(slots, index, &head);
	if (code) {
		setmap_clear_side(slots, slot);
		return code;
	}
	/* the kernel waits for running programs when a map of maps has changed */
	bpf_map_update_elem(slots->arrays[last], &slot, &map->maps[last], BPF_ANY);
	setmap_clear_side(slots, index * 2 + !side);
	return 0;
}

/* --- all sets --------------------------------------------------------------------------------- */

int setmaps_create(struct setmaps *maps, const struct set *const *sets, uint32_t cnt,
		   struct xfq_error *error)
{
	return setmaps_share(maps, sets, cnt, NULL, NULL, error);
}

int setmaps_share(struct setmaps *maps, const struct set *const *sets, uint32_t cnt,
		  const struct setmaps *from, const int *from_index, struct xfq_error *error)
{
	memset(maps, 0, sizeof(*maps));
	if (cnt > XDP_SETS_MAX)
		return xfq_error_set(error, -E2BIG, "at most %d sets", XDP_SETS_MAX);
	for (uint32_t i = 0; i < cnt; i++) {
		int code = 0;

		if (from && from_index[i] >= 0) {
			maps->maps[i] = from->maps[from_index[i]];
			maps->maps[i]->users++;
		} else {
			code = setmap_create(&maps->maps[i], sets[i], NULL, error);
		}
		if (code) {
			setmaps_destroy(maps);
			return code;
		}
		maps->cnt++;
	}
	return 0;
}

int setmaps_place(const struct setmaps *maps, const struct setmap_slots *slots,
		  struct xfq_error *error)
{
	__u32 places[XDP_SETS_MAX];
	int fds[XDP_SETS_MAX], code = 0;

	for (int kind = 0; kind < SETMAP_KINDS && code == 0; kind++) {
		__u32 cnt = 0;

		for (uint32_t i = 0; i < maps->cnt; i++) {
			if (maps->maps[i]->maps[kind] < 0)
				continue;
			places[cnt] = i * 2;
			fds[cnt++] = maps->maps[i]->maps[kind];
		}
		code = setmap_fill_slots(slots->arrays[kind], places, fds, cnt);
	}
	for (uint32_t i = 0; i < maps->cnt && code == 0; i++) {
		struct setmap_head head = {.sides = {maps->maps[i]->info}};

		code = setmap_head_write(slots, i, &head);
	}
	return code ? xfq_error_set(error, code, "putting the sets in their places: %s",
				    strerror(-code))
		    : 0;
}

void setmaps_destroy(struct setmaps *maps)
{
	for (uint32_t i = 0; i < maps->cnt; i++)
		setmap_release(maps->maps[i]);
	memset(maps, 0, sizeof(*maps));
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Build the maps of a set anew, and have all programs look at them. */
static int setmaps_rebuild(const struct setmaps_target *target, uint32_t index,
			   const struct set *set, struct xfq_error *error)
{
	struct setmap *before = target->maps->maps[index], *map;
	int code = setmap_create(&map, set, before, error);

	for (uint32_t i = 0; i < target->slot_cnt && code == 0; i++) {
		code = setmap_switch(map, &target->slots[i], index);
		if (code == 0)
			continue;
		xfq_error_set(error, code, "set %s: putting it in its place: %s", set->name,
			      strerror(-code));
		while (i-- > 0)
			(void)setmap_switch(before, &target->slots[i], index);
		break;
	}
	if (code) {
		setmap_release(map);
		return code;
	}
	/* other struct setmaps that share the maps before go on having those */
	target->maps->maps[index] = map;
	setmap_release(before);
	return 0;
}

/* Tell the programs what is known of the set, if that has changed. */
static int setmaps_tell(const struct setmaps_target *target, uint32_t index,
			const struct setmap_info *was)
{
	const struct setmap *map = target->maps->maps[index];
	int code = 0;

	if (memcmp(&map->info, was, sizeof(*was)) == 0)
		return 0;
	for (uint32_t i = 0; i < target->slot_cnt && code == 0; i++)
		code = setmap_tell(map, &target->slots[i], index);
	return code;
}

static int setmaps_failed(const struct set *set, int code, const char *what,
			  struct xfq_error *error)
{
	return xfq_error_set(error, code, "set %s: %s: %s", set->name, what, strerror(-code));
}

int setmaps_add(const struct setmaps_target *target, uint32_t index, struct set *set,
		const struct set_member *member, struct xfq_error *error)
{
	struct setmap *map = target->maps->maps[index];
	struct setmap_info was = map->info;
	const struct set_member *found = set_find(set, &member->key);
	struct set_member old = found ? *found : (struct set_member){.expires_ns = 0};
	int code, is_new = set_add(set, member);

	if (is_new == -ENOSPC)
		return xfq_error_set(error, is_new, "set %s is full: it has %u members", set->name,
				     set->cnt);
	if (is_new < 0)
		return setmaps_failed(set, is_new, "adding a member", error);
	code = setmap_put(map, set, member);
	if (code == 0)
		code = setmaps_tell(target, index, &was);
	if (code == -ENOSPC)
		code = setmaps_rebuild(target, index, set, error);
	else if (code)
		setmaps_failed(set, code, "adding a member", error);
	if (code == 0)
		return is_new;
	/* as it was, as far as that can be had */
	if (is_new) {
		set_del(set, &member->key);
		(void)setmap_take(map, set, &member->key);
	} else {
		set_add(set, &old);
	}
	return code;
}

int setmaps_del(const struct setmaps_target *target, uint32_t index, struct set *set,
		const union set_key *key, struct xfq_error *error)
{
	const union set_key gone = *key;
	int code;

	if (!set_del(set, key))
		return 0;
	code = setmap_take(target->maps->maps[index], set, &gone);
	/* a node that is to lose a bit may have to be copied, and there may be no memory for that
	 */
	if (code && setmaps_rebuild(target, index, set, error))
		return setmaps_failed(set, code, "taking a member out", error);
	return 1;
}

int setmaps_sweep(const struct setmaps_target *target, uint32_t index, struct set *set,
		  uint64_t now_ns, struct xfq_error *error)
{
	const struct set_member *member;
	int cnt = 0;

	while (cnt < SETMAP_SWEEP_MAX && (member = set_next_expired(set, now_ns)) != NULL) {
		int code = setmaps_del(target, index, set, &member->key, error);

		if (code < 0)
			return code;
		cnt++;
	}
	return cnt;
}

int setmaps_replace(const struct setmaps_target *target, uint32_t index, struct set *set,
		    struct set *with, struct xfq_error *error)
{
	int code;

	set_swap(set, with);
	code = setmaps_rebuild(target, index, set, error);
	if (code)
		set_swap(set, with);
	return code;
}

uint64_t setmaps_hits(const struct setmaps *maps, uint32_t index, const struct set *set,
		      const struct set_member *member)
{
	const struct setmap *map = maps->maps[index];
	struct setmap_net net = setmap_net_key(&member->key);
	setmap_mac mac = setmap_mac_of(&member->key);
	struct setmap_value value = {0};
	uint64_t hits = 0;

	switch (set->type) {
	case SET_NET:
	case SET_ADDRESS:
		bpf_map_lookup_elem(map->maps[SETMAP_NETS], &net, &value);
		break;
	case SET_FLOW:
		bpf_map_lookup_elem(map->maps[SETMAP_FLOWS], &member->key.flow, &value);
		break;
	case SET_MAC:
		bpf_map_lookup_elem(map->maps[SETMAP_MACS], &mac, &value);
		break;
	case SET_PORT:
		for (uint32_t port = member->key.ports.lo; port <= member->key.ports.hi; port++)
			hits += __atomic_load_n(&map->ports[port].hits, __ATOMIC_RELAXED);
		return hits;
	}
	return value.hits;
}
