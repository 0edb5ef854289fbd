/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/netset.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Digits only, no sign, no needless zero in front: -1 where it is not a number up to `max`. */
static int netset_parse_bits(const char *text, int max)
{
	int bits = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
		if (bits > max)
			return -1;
	}
	return bits;
}

static void netset_clear_host_bits(struct netset_prefix *prefix)
{
	unsigned int bytes = prefix->v6 ? 16 : 4;
	unsigned int whole = prefix->len / 8;

	if (whole < bytes) {
		prefix->addr[whole] &= (uint8_t)(0xff00u >> (prefix->len % 8));
		memset(&prefix->addr[whole + 1], 0, bytes - whole - 1);
	}
}

int netset_parse(struct netset_prefix *prefix, const char *text, struct xfq_error *error)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');
	size_t host_len = (size_t)(slash - text);
	int max, bits;

	memset(prefix, 0, sizeof(*prefix));
	if (host_len >= sizeof(host))
		goto no_address;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	prefix->v6 = strchr(host, ':') != NULL;
	if (inet_pton(prefix->v6 ? AF_INET6 : AF_INET, host, prefix->addr) != 1)
		goto no_address;
	max = prefix->v6 ? 128 : 32;
	bits = *slash ? netset_parse_bits(slash + 1, max) : max;
	if (bits < 0)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": the length of an IPv%d prefix is a number "
				     "from 0 to %d",
				     text, prefix->v6 ? 6 : 4, max);
	prefix->len = (uint8_t)bits;
	netset_clear_host_bits(prefix);
	return 0;

no_address:
	return xfq_error_set(error, -EINVAL,
			     "\"%.80s\" is neither an address nor a prefix such as "
			     "192.0.2.0/24 or 2001:db8::/32",
			     text);
}

int netset_add(struct netset *set, const struct netset_prefix *prefix)
{
	if (set->prefix_cnt == set->prefix_room) {
		size_t room = set->prefix_room ? set->prefix_room * 2 : 16;
		struct netset_prefix *prefixes =
			reallocarray(set->prefixes, room, sizeof(*prefixes));

		if (!prefixes)
			return -ENOMEM;
		set->prefixes = prefixes;
		set->prefix_room = room;
	}
	set->prefixes[set->prefix_cnt++] = *prefix;
	return 0;
}

/* IPv4 first, then by address: the order in which ranges are built. */
static int netset_compare(const void *left, const void *right)
{
	const struct netset_prefix *a = left, *b = right;
	int order;

	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	order = memcmp(a->addr, b->addr, sizeof(a->addr));
	return order ? order : (int)a->len - (int)b->len;
}

static void netset_dedup(struct netset *set)
{
	size_t kept = 0;

	if (set->prefix_cnt == 0)
		return;
	qsort(set->prefixes, set->prefix_cnt, sizeof(*set->prefixes), netset_compare);
	for (size_t i = 1; i < set->prefix_cnt; i++)
		if (netset_compare(&set->prefixes[kept], &set->prefixes[i]) != 0)
			set->prefixes[++kept] = set->prefixes[i];
	set->prefix_cnt = kept + 1;
}

static uint64_t netset_load(const uint8_t *bytes, unsigned int cnt)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < cnt; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The upper `cnt` bits of a 64-bit word cleared, the others set. */
static uint64_t netset_host_mask(unsigned int cnt)
{
	return cnt >= 64 ? 0 : UINT64_MAX >> cnt;
}

static struct netset_range netset_range_of(const struct netset_prefix *prefix)
{
	struct netset_range range = {{0, 0}, {0, 0}};
	unsigned int len = prefix->len;

	if (prefix->v6) {
		range.lo[0] = netset_load(prefix->addr, 8);
		range.lo[1] = netset_load(prefix->addr + 8, 8);
		range.hi[0] = range.lo[0] | netset_host_mask(len);
		range.hi[1] = range.lo[1] | netset_host_mask(len > 64 ? len - 64 : 0);
	} else {
		range.lo[1] = netset_load(prefix->addr, 4);
		range.hi[1] = range.lo[1] | netset_host_mask(32 + len);
	}
	return range;
}

static bool netset_less(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
}

/* Whether a range that does not begin before `last` overlaps it or follows it without a gap. */
static bool netset_touches(const struct netset_range *last, const struct netset_range *range)
{
	uint64_t next[2] = {last->hi[0], last->hi[1] + 1};

	if (next[1] == 0)
		next[0]++;
	if (next[0] == 0 && next[1] == 0)
		return true; /* last ends with the address space */
	return !netset_less(next, range->lo);
}

/* Ranges of `cnt` sorted prefixes of one family; *ranges stays NULL where there are none. */
static int netset_merge(const struct netset_prefix *prefixes, size_t cnt,
			struct netset_range **ranges, size_t *range_cnt)
{
	struct netset_range *merged;
	size_t used = 0;

	if (cnt == 0)
		return 0;
	merged = calloc(cnt, sizeof(*merged));
	if (!merged)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++) {
		struct netset_range range = netset_range_of(&prefixes[i]);

		if (used == 0 || !netset_touches(&merged[used - 1], &range))
			merged[used++] = range;
		else if (netset_less(merged[used - 1].hi, range.hi))
			memcpy(merged[used - 1].hi, range.hi, sizeof(range.hi));
	}
	*ranges = merged;
	*range_cnt = used;
	return 0;
}

static void netset_unseal(struct netset *set)
{
	free(set->v4);
	free(set->v6);
	set->v4 = set->v6 = NULL;
	set->v4_cnt = set->v6_cnt = 0;
}

int netset_seal(struct netset *set)
{
	size_t v4_cnt = 0;
	int code;

	netset_unseal(set);
	netset_dedup(set);
	while (v4_cnt < set->prefix_cnt && !set->prefixes[v4_cnt].v6)
		v4_cnt++;
	code = netset_merge(set->prefixes, v4_cnt, &set->v4, &set->v4_cnt);
	if (code == 0 && v4_cnt < set->prefix_cnt)
		code = netset_merge(set->prefixes + v4_cnt, set->prefix_cnt - v4_cnt, &set->v6,
				    &set->v6_cnt);
	if (code != 0)
		netset_unseal(set);
	return code;
}

bool netset_has(const struct netset *set, const void *addr, bool v6)
{
	const struct netset_range *ranges = v6 ? set->v6 : set->v4;
	size_t from = 0, to = v6 ? set->v6_cnt : set->v4_cnt;
	uint64_t key[2] = {0, 0};

	if (v6) {
		key[0] = netset_load(addr, 8);
		key[1] = netset_load((const uint8_t *)addr + 8, 8);
	} else {
		key[1] = netset_load(addr, 4);
	}
	/* ranges before `from` end below the key, those from `to` on do not */
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (netset_less(ranges[middle].hi, key))
			from = middle + 1;
		else
			to = middle;
	}
	return from < (v6 ? set->v6_cnt : set->v4_cnt) && !netset_less(key, ranges[from].lo);
}

void netset_destroy(struct netset *set)
{
	if (!set)
		return;
	netset_unseal(set);
	free(set->prefixes);
	memset(set, 0, sizeof(*set));
}
