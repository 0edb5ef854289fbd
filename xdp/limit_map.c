/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/limit_map.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What a CPU takes at once from an LRU map's free places (LOCAL_FREE_TARGET of
 * kernel/bpf/bpf_lru_list.c), where others do not see them. */
#define LIMIT_LRU_LOCAL 128

uint32_t limit_map_places(uint32_t wanted)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t places = (uint64_t)wanted + LIMIT_LRU_LOCAL * (uint64_t)(cpus > 0 ? cpus : 1);

	return places > UINT32_MAX ? UINT32_MAX : (uint32_t)places;
}

void limit_make(struct xdp_limit *to, const struct filter_limit *from)
{
	static const uint8_t pers[] = {
		[FILTER_PER_ALL] = LIMIT_PER_ALL,
		[FILTER_PER_SRC] = LIMIT_PER_SRC,
		[FILTER_PER_DST] = LIMIT_PER_DST,
		[FILTER_PER_FLOW] = LIMIT_PER_FLOW,
	};
	const unsigned __int128 second = (unsigned __int128)1000000000 << LIMIT_COST_BITS;
	uint64_t rate = from->rate ? from->rate : 1, burst = from->burst ? from->burst : 1;
	unsigned __int128 allowance = second * burst / rate;

	/* rounded up: a packet that is as large as the burst is within it */
	allowance = (allowance >> (LIMIT_COST_BITS - LIMIT_TIME_BITS)) + 1;
	*to = (struct xdp_limit){
		.cost = (uint64_t)((second + rate / 2) / rate),
		.allowance =
			allowance > LIMIT_ALLOWANCE_MAX ? LIMIT_ALLOWANCE_MAX : (uint64_t)allowance,
		.per = pers[from->per],
		.bytes = from->bytes,
	};
}

void limit_settings(struct xdp_limit to[XDP_LIMITS_MAX], const struct filter *filter)
{
	uint32_t cnt = 0;

	memset(to, 0, XDP_LIMITS_MAX * sizeof(*to));
	for (uint32_t i = 0; i < filter->rule_cnt && cnt < XDP_LIMITS_MAX; i++)
		if (filter->rules[i].action == FILTER_LIMIT)
			limit_make(&to[cnt++], &filter->rules[i].limit);
}

uint32_t limit_same(const struct filter *before, const struct filter *filter, uint32_t rule)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; before && i < before->rule_cnt && cnt < XDP_LIMITS_MAX; i++) {
		if (before->rules[i].action != FILTER_LIMIT)
			continue;
		if (filter_same_rule(before, i, filter, rule))
			return cnt;
		cnt++;
	}
	return XDP_LIMITS_MAX;
}

static int limit_map_create(const struct filter_limit *limit)
{
	uint32_t keys = limit->per == FILTER_PER_ALL ? 1 : limit->max_keys ? limit->max_keys : 1;
	int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "buckets", sizeof(struct xdp_flow_key),
				sizeof(__u64), limit_map_places(keys), NULL);

	return fd < 0 ? -errno : fd;
}

int limit_maps_create(struct limit_maps *maps, const struct filter *filter,
		      const struct limit_maps *before, const struct filter *before_filter,
		      struct xfq_error *error)
{
	bool taken[XDP_LIMITS_MAX] = {false};

	maps->cnt = 0;
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		uint32_t same;
		int fd;

		if (filter->rules[i].action != FILTER_LIMIT)
			continue;
		if (maps->cnt == XDP_LIMITS_MAX) {
			limit_maps_destroy(maps);
			return xfq_error_set(error, -E2BIG, "more than %d rules that limit",
					     XDP_LIMITS_MAX);
		}
		same = before ? limit_same(before_filter, filter, i) : XDP_LIMITS_MAX;
		if (same < XDP_LIMITS_MAX && same < before->cnt && !taken[same]) {
			taken[same] = true;
			fd = fcntl(before->fds[same], F_DUPFD_CLOEXEC, 0);
			fd = fd < 0 ? -errno : fd;
		} else {
			fd = limit_map_create(&filter->rules[i].limit);
		}
		if (fd < 0) {
			limit_maps_destroy(maps);
			return xfq_error_set(error, fd, "rule %u: the buckets of %u keys: %s", i,
					     filter->rules[i].limit.max_keys, strerror(-fd));
		}
		maps->fds[maps->cnt++] = fd;
	}
	return 0;
}

int limit_maps_place(const struct limit_maps *maps, int slots, struct xfq_error *error)
{
	for (__u32 i = 0; i < maps->cnt; i++)
		if (bpf_map_update_elem(slots, &i, &maps->fds[i], BPF_ANY))
			return xfq_error_set(error, -errno, "the buckets of limit %u: %s", i,
					     strerror(errno));
	return 0;
}

void limit_maps_destroy(struct limit_maps *maps)
{
	for (uint32_t i = 0; i < maps->cnt; i++)
		close(maps->fds[i]);
	maps->cnt = 0;
}
