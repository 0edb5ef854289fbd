/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/set.h"
#include "steering/flow.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET_PLACES_MIN 16

/* --- the hash table --------------------------------------------------------------------------- */

static uint32_t set_home(const struct set *set, const union set_key *key)
{
	uint64_t hash = 0;

	/* what only flows use is 0 in all others, and need not be mixed */
	for (uint32_t i = 0; i < (set->type == SET_FLOW ? 5 : 3); i++)
		hash = flow_mix(hash + key->words[i] + 0x9e3779b97f4a7c15ULL);
	return (uint32_t)hash & (set->place_cnt - 1);
}

/* Where a key stands, or the free place where it would. */
static uint32_t set_place(const struct set *set, const union set_key *key)
{
	uint32_t at = set_home(set, key);

	while (set->places[at] &&
	       memcmp(&set->members[set->places[at] - 1].key, key, sizeof(*key)) != 0)
		at = (at + 1) & (set->place_cnt - 1);
	return at;
}

/* Leave a place free, moving what stood behind it because it was taken. */
static void set_free_place(struct set *set, uint32_t at)
{
	uint32_t mask = set->place_cnt - 1, next = at;

	for (;;) {
		uint32_t home;

		next = (next + 1) & mask;
		if (!set->places[next])
			break;
		home = set_home(set, &set->members[set->places[next] - 1].key);
		if (((next - home) & mask) < ((next - at) & mask))
			continue;
		set->places[at] = set->places[next];
		at = next;
	}
	set->places[at] = 0;
}

/* A table that is at most half full. */
static int set_rehash(struct set *set, uint32_t cnt)
{
	uint32_t place_cnt = SET_PLACES_MIN, *places;

	while (place_cnt / 2 < cnt)
		place_cnt *= 2;
	if (place_cnt <= set->place_cnt)
		return 0;
	places = calloc(place_cnt, sizeof(*places));
	if (!places)
		return -ENOMEM;
	free(set->places);
	set->places = places;
	set->place_cnt = place_cnt;
	for (uint32_t i = 0; i < set->cnt; i++)
		set->places[set_place(set, &set->members[i].key)] = i + 1;
	return 0;
}

int set_reserve(struct set *set, uint32_t cnt)
{
	if (set->type == SET_PORT && !set->ports) {
		set->ports = calloc(SET_PORTS, sizeof(*set->ports));
		if (!set->ports)
			return -ENOMEM;
	}
	if (cnt > set->room) {
		struct set_member *members = reallocarray(set->members, cnt, sizeof(*set->members));

		if (!members)
			return -ENOMEM;
		set->members = members;
		set->room = cnt;
	}
	return set_rehash(set, cnt);
}

struct set_member *set_find(const struct set *set, const union set_key *key)
{
	uint32_t place;

	if (!set->cnt)
		return NULL;
	place = set->places[set_place(set, key)];
	return place ? &set->members[place - 1] : NULL;
}

/* --- members ---------------------------------------------------------------------------------- */

static bool set_is_net(const struct set *set)
{
	return set->type == SET_NET || set->type == SET_ADDRESS;
}

static uint32_t set_len_place(const struct set_net *net)
{
	return net->v6 ? SET_LEN_V6 + net->len : net->len;
}

static void set_raise_ports(struct set *set, uint32_t lo, uint32_t hi, uint64_t expires_ns)
{
	for (uint32_t port = lo; port <= hi; port++)
		if (set->ports[port] < expires_ns)
			set->ports[port] = expires_ns;
}

/* Have the ports of a range by the members that are left. */
static void set_renew_ports(struct set *set, uint32_t lo, uint32_t hi)
{
	memset(&set->ports[lo], 0, (hi - lo + 1) * sizeof(*set->ports));
	for (uint32_t port = lo; port <= hi && set->wide_cnt == 0; port++) {
		union set_key key = {.ports = {(uint16_t)port, (uint16_t)port}};
		const struct set_member *member = set_find(set, &key);

		set->ports[port] = member ? member->expires_ns : 0;
	}
	for (uint32_t i = 0; i < set->cnt && set->wide_cnt > 0; i++) {
		const struct set_member *member = &set->members[i];
		const struct set_ports *range = &member->key.ports;

		set_raise_ports(set, range->lo > lo ? range->lo : lo,
				range->hi < hi ? range->hi : hi, member->expires_ns);
	}
}

/* A member came, or its time changed. */
static void set_note(struct set *set, const struct set_member *member)
{
	if (member->expires_ns != SET_FOREVER) {
		if (!set->timed || member->expires_ns < set->next_ns)
			set->next_ns = member->expires_ns;
		set->timed = true;
	}
	if (set->type == SET_PORT)
		set_raise_ports(set, member->key.ports.lo, member->key.ports.hi,
				member->expires_ns);
}

int set_add(struct set *set, const struct set_member *member)
{
	struct set_member *was = set_find(set, &member->key);

	if (was) {
		bool sooner = member->expires_ns < was->expires_ns;

		was->expires_ns = member->expires_ns;
		set_note(set, was);
		if (sooner && set->type == SET_PORT)
			set_renew_ports(set, was->key.ports.lo, was->key.ports.hi);
		return 0;
	}
	if (set->cnt >= (set->max ? set->max : SET_MEMBERS_MAX))
		return -ENOSPC;
	if ((set->cnt >= set->room || !set->places) &&
	    set_reserve(set, set->cnt < 8 ? 8 : set->cnt * 2))
		return -ENOMEM;
	set->members[set->cnt] = *member;
	set->places[set_place(set, &member->key)] = ++set->cnt;
	if (set_is_net(set))
		set->len_cnt[set_len_place(&member->key.net)]++;
	set->wide_cnt += set->type == SET_PORT && member->key.ports.lo < member->key.ports.hi;
	set_note(set, member);
	return 1;
}

bool set_del(struct set *set, const union set_key *key)
{
	struct set_member *member = set_find(set, key);
	const union set_key gone = *key;
	uint32_t at;

	if (!member)
		return false;
	at = (uint32_t)(member - set->members);
	set_free_place(set, set_place(set, &gone));
	if (at != set->cnt - 1) {
		set->places[set_place(set, &set->members[set->cnt - 1].key)] = at + 1;
		*member = set->members[set->cnt - 1];
	}
	set->cnt--;
	if (set_is_net(set))
		set->len_cnt[set_len_place(&gone.net)]--;
	if (set->type == SET_PORT) {
		set->wide_cnt -= gone.ports.lo < gone.ports.hi;
		set_renew_ports(set, gone.ports.lo, gone.ports.hi);
	}
	return true;
}

void set_flush(struct set *set)
{
	free(set->members);
	free(set->places);
	free(set->ports);
	set->members = NULL;
	set->places = NULL;
	set->ports = NULL;
	set->cnt = set->room = set->place_cnt = 0;
	set->timed = false;
	set->next_ns = 0;
	set->sweep_at = set->wide_cnt = 0;
	memset(set->len_cnt, 0, sizeof(set->len_cnt));
}

void set_swap(struct set *a, struct set *b)
{
	struct set was = *a;

	*a = *b;
	memcpy(a->name, was.name, sizeof(a->name));
	a->hits = was.hits;
	a->max = was.max;
	a->source = was.source;
	memcpy(was.name, b->name, sizeof(b->name));
	was.hits = b->hits;
	was.max = b->max;
	was.source = b->source;
	*b = was;
}

int set_copy(struct set *set, const struct set *from)
{
	int code;

	memset(set, 0, sizeof(*set));
	memcpy(set->name, from->name, sizeof(set->name));
	set->type = from->type;
	set->hits = from->hits;
	set->max = from->max;
	set->source = from->source;
	code = set_reserve(set, from->cnt);
	for (uint32_t i = 0; i < from->cnt && code >= 0; i++)
		code = set_add(set, &from->members[i]);
	if (code < 0)
		set_destroy(set);
	return code < 0 ? code : 0;
}

uint64_t set_source(const struct set *set)
{
	uint64_t sum = set->type;

	for (uint32_t i = 0; i < set->cnt; i++) {
		uint64_t hash = 0;

		for (uint32_t j = 0; j < 5; j++)
			hash = flow_mix(hash + set->members[i].key.words[j] +
					0x9e3779b97f4a7c15ULL);
		sum += hash;
	}
	return sum;
}

const struct set_member *set_next_expired(struct set *set, uint64_t now_ns)
{
	if (!set->timed || now_ns < set->next_ns)
		return NULL;
	if (set->sweep_at == 0)
		set->sweep_ns = SET_FOREVER;
	for (; set->sweep_at < set->cnt; set->sweep_at++) {
		const struct set_member *member = &set->members[set->sweep_at];

		if (member->expires_ns <= now_ns)
			return member;
		if (member->expires_ns < set->sweep_ns)
			set->sweep_ns = member->expires_ns;
	}
	set->next_ns = set->sweep_ns;
	set->sweep_at = 0;
	return NULL;
}

/* --- packets ---------------------------------------------------------------------------------- */

void set_clear_host_bits(uint8_t addr[16], uint32_t len)
{
	uint32_t whole = len / 8;

	if (whole < 16) {
		addr[whole] &= (uint8_t)(0xff00u >> (len % 8));
		memset(&addr[whole + 1], 0, 16 - whole - 1);
	}
}

const struct set_member *set_net_of(const struct set *set, const void *addr, bool v6,
				    uint64_t now_ns)
{
	union set_key key = {0};
	int bits = v6 ? 128 : 32;
	const uint32_t *cnt = &set->len_cnt[v6 ? SET_LEN_V6 : 0];

	memcpy(key.net.addr, addr, v6 ? 16 : 4);
	key.net.v6 = v6;
	for (int len = bits; len >= 0; len--) {
		const struct set_member *member;

		if (!cnt[len])
			continue;
		set_clear_host_bits(key.net.addr, (uint32_t)len);
		key.net.len = (uint8_t)len;
		member = set_find(set, &key);
		if (member && member->expires_ns > now_ns)
			return member;
	}
	return NULL;
}

static bool set_has_key(const struct set *set, const union set_key *key, uint64_t now_ns)
{
	const struct set_member *member = set_find(set, key);

	return member && member->expires_ns > now_ns;
}

static bool set_has_mac(const struct set *set, uint8_t fields, const uint8_t *data, uint32_t len,
			uint64_t now_ns)
{
	union set_key src = {0}, dst = {0};

	if (len < 14)
		return false;
	memcpy(dst.mac, data, sizeof(dst.mac));
	memcpy(src.mac, data + sizeof(dst.mac), sizeof(src.mac));
	return ((fields & XDP_FIELD_SRC) && set_has_key(set, &src, now_ns)) ||
	       ((fields & XDP_FIELD_DST) && set_has_key(set, &dst, now_ns));
}

bool set_has(const struct set *set, uint8_t fields, const struct xdp_judged *judged,
	     const uint8_t *data, uint32_t len)
{
	bool v6 = judged->meta.flags & XFQ_META_IPV6;
	uint64_t now_ns = judged->now_ns;
	union set_key flow = {0};

	if (!set->cnt)
		return false;
	switch (set->type) {
	case SET_NET:
	case SET_ADDRESS:
		if (!judged->meta.l3_off)
			return false;
		return ((fields & XDP_FIELD_SRC) && set_net_of(set, judged->key.src, v6, now_ns)) ||
		       ((fields & XDP_FIELD_DST) && set_net_of(set, judged->key.dst, v6, now_ns));
	case SET_PORT:
		if (!(judged->meta.flags & XFQ_META_PORTS))
			return false;
		return ((fields & XDP_FIELD_SRC) && set->ports[judged->key.sport] > now_ns) ||
		       ((fields & XDP_FIELD_DST) && set->ports[judged->key.dport] > now_ns);
	case SET_FLOW:
		return flow_key_make(&flow.flow, &judged->meta, &judged->key) &&
		       set_has_key(set, &flow, now_ns);
	case SET_MAC:
		return set_has_mac(set, fields, data, len, now_ns);
	}
	return false;
}

const char *set_type_name(enum set_type type)
{
	switch (type) {
	case SET_NET:
		return "net";
	case SET_ADDRESS:
		return "address";
	case SET_PORT:
		return "port";
	case SET_FLOW:
		return "flow";
	case SET_MAC:
		return "mac";
	}
	return "unknown";
}

void set_destroy(struct set *set)
{
	if (!set)
		return;
	set_flush(set);
	memset(set, 0, sizeof(*set));
}
