/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limits of a filter on their way into a program: their constants, and the maps that hold their
 * buckets.
 *
 *	limit_settings        constants, before the program is loaded
 *	limit_maps_create     buckets, some of them from the filter before
 *	limit_maps_place      into the slots of a loaded program
 *	limit_maps_destroy    programs that have them in a slot keep them
 */
#ifndef XDP_LIMIT_MAP_H
#define XDP_LIMIT_MAP_H

#include "xdp/filter.h"
#include "xdp/limit.h"
#include <xfq/error.h>

/* Descriptors, by the number of the limit in its filter; -1: none. */
struct limit_maps {
	int fds[XDP_LIMITS_MAX];
	uint32_t cnt;
};

/* What a limit says as constants. */
void limit_make(struct xdp_limit *to, const struct filter_limit *from);

/* The constants of all limits of a filter: the first XDP_LIMITS_MAX. */
void limit_settings(struct xdp_limit to[XDP_LIMITS_MAX], const struct filter *filter);

/* The number of the limit of `before` that rule `rule` of `filter` is as well, word for word;
 * XDP_LIMITS_MAX: none. `before` may be NULL. */
uint32_t limit_same(const struct filter *before, const struct filter *filter, uint32_t rule);

/*
 * Make the maps of a filter's limits. A rule that `before_filter` has as well, word for word, takes
 * its buckets along from `before`: who had used up his tokens has none because of a reload. Both
 * may be NULL. 0, or -errno with a sentence, and nothing is left; -E2BIG: more than
 * XDP_LIMITS_MAX.
 */
int limit_maps_create(struct limit_maps *maps, const struct filter *filter,
		      const struct limit_maps *before, const struct filter *before_filter,
		      struct xfq_error *error);

/* Put them into `slots`, a program's map limit_buckets. 0, or -errno with a sentence. */
int limit_maps_place(const struct limit_maps *maps, int slots, struct xfq_error *error);

/* Safe on zeroed memory. */
void limit_maps_destroy(struct limit_maps *maps);

/* Places of an LRU map in which `wanted` keys stay: those beyond are for the free lists that each
 * CPU keeps. */
uint32_t limit_map_places(uint32_t wanted);

#endif
