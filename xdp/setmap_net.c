/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefixes as blocks, nodes and filter: see setmap_abi.h. */
#include "xdp/setmap.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Places of the filter for each node: so few are taken that a node that is not there seldom costs a
 * look-up. */
#define SETMAP_PLACES_PER_NODE 8
#define SETMAP_LINES_MIN       64
#define SETMAP_LINES_MAX       (1u << 22)

/* The values of the octet that chooses a bit, which a prefix covers in its node. */
struct setmap_part {
	struct setmap_node6 node; /* of IPv4: high is the upper 24 bits */
	uint8_t first, last;
};

static uint64_t setmap_load(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

static uint32_t setmap_load4(const struct set_net *net)
{
	uint32_t word;

	memcpy(&word, net->addr, sizeof(word));
	return ntohl(word);
}

static uint32_t setmap_level(uint32_t len)
{
	return len == 0 ? 8 : (len + 7) / 8 * 8;
}

/* The range of a prefix in its node, of level `level`. */
static struct setmap_part setmap_part_of(const struct set_net *net, uint32_t level)
{
	uint8_t octet = net->addr[level / 8 - 1];
	struct setmap_part part = {{0, 0}, octet, octet};

	part.last |= (uint8_t)((1u << (level - net->len)) - 1);
	if (net->v6)
		part.node = setmap_node6(setmap_load(net->addr), setmap_load(net->addr + 8), level);
	else
		part.node.high = setmap_load4(net) >> 8;
	return part;
}

static void setmap_bits_set(struct setmap_bits *bits, uint32_t first, uint32_t last)
{
	for (uint32_t octet = first; octet <= last; octet++)
		bits->words[octet / 64] |= 1ULL << octet % 64;
}

/* One bit; programs read the words at the same time. */
static void setmap_bit_write(struct setmap_bits *bits, uint32_t octet, bool value)
{
	uint64_t word = bits->words[octet / 64], bit = 1ULL << octet % 64;

	__atomic_store_n(&bits->words[octet / 64], value ? word | bit : word & ~bit,
			 __ATOMIC_RELEASE);
}

/* Whether a prefix of the set, of `from` to `to` bits, covers an address. */
static bool setmap_covered(const struct set *set, const struct set_net *at, uint32_t from,
			   uint32_t to)
{
	const uint32_t *cnt = &set->len_cnt[at->v6 ? SET_LEN_V6 : 0];
	union set_key key = {.net = *at};

	for (uint32_t len = to + 1; len-- > from;) {
		if (!cnt[len])
			continue;
		set_clear_host_bits(key.net.addr, len);
		key.net.len = (uint8_t)len;
		if (set_find(set, &key))
			return true;
	}
	return false;
}

struct setmap_net setmap_net_key(const union set_key *key)
{
	struct setmap_net net = {.len = key->net.len | (key->net.v6 ? SETMAP_V6 : 0u)};

	memcpy(net.addr, key->net.addr, sizeof(net.addr));
	return net;
}

/* --- the filter of IPv6 ----------------------------------------------------------------------- */

static void setmap_filter_note(struct setmap *map, uint64_t high, uint64_t low, uint16_t levels)
{
	uint32_t hash = setmap_filter_hash(high, low);
	struct setmap_line *line = &map->lines[hash / SETMAP_LINE_PLACES & map->info.line_mask];
	__u16 *place = &line->levels[hash % SETMAP_LINE_PLACES];

	if ((*place & levels) == levels)
		return;
	map->filter_used++;
	__atomic_store_n(place, *place | levels, __ATOMIC_RELEASE);
}

/* After the node is there: until then it is not looked for. */
static void setmap_filter_add(struct setmap *map, const struct setmap_node6 *node,
			      const uint8_t *addr)
{
	uint32_t level = node->low & 0xff;
	uint16_t bit = (uint16_t)(1u << (level / 8 - 1));

	setmap_filter_note(map, node->high, node->low, bit);
	if (level <= 32) {
		map->info.levels6 |= bit;
		return;
	}
	for (uint32_t i = 0; i < SETMAP_INDEXES && level > SETMAP_INDEX_BITS(i); i++)
		setmap_filter_note(map, setmap_index6(setmap_load(addr), i), i, bit);
}

static int setmap_filter_make(struct setmap *map, uint32_t node_cnt)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	uint32_t cnt = SETMAP_LINES_MIN;

	while (cnt < SETMAP_LINES_MAX &&
	       (uint64_t)cnt * SETMAP_LINE_PLACES < (uint64_t)node_cnt * SETMAP_PLACES_PER_NODE)
		cnt *= 2;
	map->maps[SETMAP_FILTER6] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xfq_filter6", sizeof(__u32),
						   sizeof(struct setmap_line), cnt, &options);
	if (map->maps[SETMAP_FILTER6] < 0)
		return -errno;
	map->room[SETMAP_FILTER6] = cnt;
	map->info.line_mask = cnt - 1;
	map->lines = setmap_memory(map, SETMAP_FILTER6, cnt * sizeof(struct setmap_line));
	return map->lines ? 0 : -errno;
}

/* --- building --------------------------------------------------------------------------------- */

static int setmap_part_compare(const void *left, const void *right)
{
	const struct setmap_part *a = left, *b = right;

	if (a->node.high != b->node.high)
		return a->node.high < b->node.high ? -1 : 1;
	return a->node.low < b->node.low ? -1 : a->node.low > b->node.low;
}

/* IPv4 up to 24 bits. */
static void setmap_block_add(struct setmap *map, const struct set_net *net)
{
	uint32_t addr = setmap_load4(net), at = addr >> 16;

	if (net->len > 16) {
		uint32_t first = addr >> 8 & 0xff, last = first | ((1u << (24 - net->len)) - 1);

		for (uint32_t octet = first; octet <= last; octet++)
			setmap_bit_write(&map->blocks[at].full, octet, true);
		return;
	}
	for (uint32_t i = 0; i < 1u << (16 - net->len); i++)
		__atomic_store_n(&map->blocks[at + i].whole, 1, __ATOMIC_RELEASE);
}

/* The prefixes of one family that are in nodes, in the order of those. */
static struct setmap_part *setmap_parts(const struct set *set, bool v6, uint32_t *cnt)
{
	struct setmap_part *parts = malloc(((size_t)set->cnt + 1) * sizeof(*parts));

	*cnt = 0;
	for (uint32_t i = 0; i < set->cnt && parts; i++) {
		const struct set_net *net = &set->members[i].key.net;

		if (net->v6 == v6 && (v6 || net->len > 24))
			parts[(*cnt)++] = setmap_part_of(net, setmap_level(net->len));
	}
	if (parts)
		qsort(parts, *cnt, sizeof(*parts), setmap_part_compare);
	return parts;
}

static int setmap_nodes_fill(struct setmap *map, enum setmap_kind kind,
			     const struct setmap_part *parts, uint32_t cnt)
{
	struct setmap_batch batch;
	int code = setmap_batch_begin(&batch, map->maps[kind],
				      kind == SETMAP_NODES6 ? sizeof(struct setmap_node6)
							    : sizeof(__u32),
				      sizeof(struct setmap_bits));

	for (uint32_t i = 0; i < cnt && code == 0;) {
		const struct setmap_node6 *node = &parts[i].node;
		uint32_t key4 = (uint32_t)node->high;
		struct setmap_bits bits = {{0}};

		for (; i < cnt && setmap_part_compare(node, &parts[i].node) == 0; i++)
			setmap_bits_set(&bits, parts[i].first, parts[i].last);
		code = setmap_batch_add(&batch, kind == SETMAP_NODES6 ? (const void *)node : &key4,
					&bits);
		map->cnt[kind]++;
	}
	return setmap_batch_end(&batch, code);
}

static int setmap_nodes_build(struct setmap *map, const struct set *set, bool v6)
{
	enum setmap_kind kind = v6 ? SETMAP_NODES6 : SETMAP_NODES4;
	uint32_t cnt, node_cnt = 0;
	struct setmap_part *parts = setmap_parts(set, v6, &cnt);
	int code;

	if (!parts)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++)
		node_cnt += i == 0 || setmap_part_compare(&parts[i - 1], &parts[i]) != 0;
	code = setmap_make(map, kind, node_cnt);
	if (code == 0 && v6)
		code = setmap_filter_make(map, map->room[kind]);
	if (code == 0)
		code = setmap_nodes_fill(map, kind, parts, cnt);
	free(parts);
	return code;
}

static int setmap_blocks_make(struct setmap *map)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	map->maps[SETMAP_BLOCKS4] =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "xfq_blocks4", sizeof(__u32),
			       sizeof(struct setmap_block), SETMAP_BLOCKS, &options);
	if (map->maps[SETMAP_BLOCKS4] < 0)
		return -errno;
	map->blocks =
		setmap_memory(map, SETMAP_BLOCKS4, SETMAP_BLOCKS * sizeof(struct setmap_block));
	return map->blocks ? 0 : -errno;
}

static void setmap_note_length(struct setmap *map, const struct set_net *net)
{
	map->info.lengths[net->v6 ? 1 + net->len / 64 : 0] |= 1ULL << net->len % 64;
}

/* Prefixes as entries besides. */
static int setmap_entries_build(struct setmap *map, const struct set *set,
				const struct setmap *before)
{
	struct setmap_batch batch;
	int code = setmap_make(map, SETMAP_NETS, set->cnt);

	if (code)
		return code;
	code = setmap_batch_begin(&batch, map->maps[SETMAP_NETS], sizeof(struct setmap_net),
				  sizeof(struct setmap_value));
	for (uint32_t i = 0; i < set->cnt && code == 0; i++) {
		struct setmap_net key = setmap_net_key(&set->members[i].key);
		struct setmap_value was = {0}, value = {.expires_ns = set->members[i].expires_ns};

		if (before && before->maps[SETMAP_NETS] >= 0 &&
		    bpf_map_lookup_elem(before->maps[SETMAP_NETS], &key, &was) == 0)
			value.hits = was.hits;
		code = setmap_batch_add(&batch, &key, &value);
		setmap_note_length(map, &set->members[i].key.net);
		map->cnt[SETMAP_NETS]++;
	}
	return setmap_batch_end(&batch, code);
}

int setmap_net_build(struct setmap *map, const struct set *set, const struct setmap *before)
{
	bool any[2] = {false, false};
	int code = 0;

	for (uint32_t i = 0; i < set->cnt; i++)
		any[set->members[i].key.net.v6] = true;
	if (any[0])
		code = setmap_blocks_make(map);
	/* something always is there, for setmap_switch() to wait by */
	if (code == 0)
		code = setmap_nodes_build(map, set, false);
	if (code == 0 && any[1])
		code = setmap_nodes_build(map, set, true);
	for (uint32_t i = 0; i < set->cnt && code == 0; i++) {
		const struct set_net *net = &set->members[i].key.net;
		struct setmap_part part;

		if (net->v6) {
			part = setmap_part_of(net, setmap_level(net->len));
			setmap_filter_add(map, &part.node, net->addr);
		} else if (net->len <= 24) {
			setmap_block_add(map, net);
		} else {
			setmap_bit_write(&map->blocks[setmap_load4(net) >> 16].more,
					 setmap_load4(net) >> 8 & 0xff, true);
		}
	}
	if (code == 0 && (set->timed || set->hits)) {
		map->info.flags |= SETMAP_ENTRIES;
		code = setmap_entries_build(map, set, before);
	}
	return code;
}

/* --- one member ------------------------------------------------------------------------------- */

/* Change the bits of a node: `octets` of them as `has` says. Returns 1 where it is empty then. */
static int setmap_node_write(struct setmap *map, enum setmap_kind kind, const void *key,
			     const struct setmap_part *part, const struct setmap_bits *has)
{
	struct setmap_bits bits = {{0}}, empty = {{0}};
	bool there = bpf_map_lookup_elem(map->maps[kind], key, &bits) == 0;

	for (uint32_t octet = part->first; octet <= part->last; octet++)
		setmap_bit_write(&bits, octet, setmap_bit(has, octet));
	if (memcmp(&bits, &empty, sizeof(bits)) == 0) {
		if (there && bpf_map_delete_elem(map->maps[kind], key))
			return -errno;
		map->cnt[kind] -= there;
		return 1;
	}
	if (!there && map->cnt[kind] >= map->room[kind])
		return -ENOSPC;
	if (bpf_map_update_elem(map->maps[kind], key, &bits, BPF_ANY))
		return errno == E2BIG ? -ENOSPC : -errno;
	map->cnt[kind] += !there;
	return 0;
}

static int setmap_entry_put(struct setmap *map, const struct set_member *member)
{
	struct setmap_net key = setmap_net_key(&member->key);
	struct setmap_value value = {0};
	bool there = bpf_map_lookup_elem(map->maps[SETMAP_NETS], &key, &value) == 0;

	if (!there && map->cnt[SETMAP_NETS] >= map->room[SETMAP_NETS])
		return -ENOSPC;
	value.expires_ns = member->expires_ns;
	if (bpf_map_update_elem(map->maps[SETMAP_NETS], &key, &value, BPF_ANY))
		return errno == E2BIG ? -ENOSPC : -errno;
	map->cnt[SETMAP_NETS] += !there;
	setmap_note_length(map, &member->key.net);
	return 0;
}

int setmap_net_put(struct setmap *map, const struct set *set, const struct set_member *member)
{
	const struct set_net *net = &member->key.net;
	struct setmap_part part = setmap_part_of(net, setmap_level(net->len));
	struct setmap_bits all = {{~0ULL, ~0ULL, ~0ULL, ~0ULL}};
	uint32_t addr = setmap_load4(net), key4 = addr >> 8;
	int code;

	if ((net->v6 ? !map->lines : !map->blocks) ||
	    ((set->timed || set->hits) && !(map->info.flags & SETMAP_ENTRIES)))
		return -ENOSPC;
	/* a filter with too much in it, from members long gone, lets too much through */
	if (net->v6 &&
	    map->filter_used > (uint64_t)map->room[SETMAP_FILTER6] * SETMAP_LINE_PLACES / 2)
		return -ENOSPC;
	if (map->info.flags & SETMAP_ENTRIES) {
		code = setmap_entry_put(map, member);
		if (code)
			return code;
	}
	if (!net->v6 && net->len <= 24) {
		setmap_block_add(map, net);
		return 0;
	}
	code = setmap_node_write(map, net->v6 ? SETMAP_NODES6 : SETMAP_NODES4,
				 net->v6 ? (const void *)&part.node : &key4, &part, &all);
	if (code < 0)
		return code;
	if (net->v6)
		setmap_filter_add(map, &part.node, net->addr);
	else
		setmap_bit_write(&map->blocks[addr >> 16].more, addr >> 8 & 0xff, true);
	return 0;
}

/* Take an IPv4 prefix of up to 24 bits out. */
static void setmap_block_take(struct setmap *map, const struct set *set, const struct set_net *net)
{
	uint32_t from = net->len > 16 ? 17 : 0, to = net->len > 16 ? 24 : 16;
	uint32_t addr = setmap_load4(net), cnt = 1u << (to - net->len);
	struct set_net at = *net;

	/* one that covers it all: nothing changes */
	if (net->len > from && setmap_covered(set, net, from, net->len - 1u))
		return;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t part = addr + (i << (32 - to)), part_be = htonl(part);
		bool covered;

		memcpy(at.addr, &part_be, sizeof(part_be));
		covered = setmap_covered(set, &at, from, to);
		if (to == 16)
			__atomic_store_n(&map->blocks[part >> 16].whole, covered, __ATOMIC_RELEASE);
		else
			setmap_bit_write(&map->blocks[part >> 16].full, part >> 8 & 0xff, covered);
	}
}

int setmap_net_take(struct setmap *map, const struct set *set, const union set_key *key)
{
	const struct set_net *net = &key->net;
	uint32_t level = setmap_level(net->len), addr = setmap_load4(net), key4 = addr >> 8;
	struct setmap_part part = setmap_part_of(net, level);
	struct setmap_net entry = setmap_net_key(key);
	struct setmap_bits has = {{0}};
	struct set_net at = *net;
	int code;

	if (!net->v6 && net->len <= 24) {
		setmap_block_take(map, set, net);
	} else {
		uint32_t from = level == 8 ? 0 : level - 7;

		for (uint32_t octet = part.first; octet <= part.last; octet++) {
			at.addr[level / 8 - 1] = (uint8_t)octet;
			if (setmap_covered(set, &at, from, level))
				setmap_bits_set(&has, octet, octet);
		}
		code = setmap_node_write(map, net->v6 ? SETMAP_NODES6 : SETMAP_NODES4,
					 net->v6 ? (const void *)&part.node : &key4, &part, &has);
		if (code < 0)
			return code;
		if (code == 1 && !net->v6)
			setmap_bit_write(&map->blocks[addr >> 16].more, addr >> 8 & 0xff, false);
	}
	if (map->info.flags & SETMAP_ENTRIES) {
		if (bpf_map_delete_elem(map->maps[SETMAP_NETS], &entry) == 0)
			map->cnt[SETMAP_NETS]--;
		else if (errno != ENOENT)
			return -errno;
	}
	return 0;
}
