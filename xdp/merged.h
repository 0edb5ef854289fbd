/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that the kernel has merged of several, or will still cut into several (GRO, segmentation
 * offload): whether a filter may decide differently on the segments than on the whole.
 *
 * Rules by protocol, ports and sets cannot: these are the same in all segments. Expressions can, as
 * they may ask for the length, TCP flags or payload.
 */
#ifndef XDP_MERGED_H
#define XDP_MERGED_H

#include "xdp/filter.h"
#include <stdbool.h>

/* Whether any rule or claim reads more than what segments have in common. Where that cannot be told
 * it says so too. */
bool merged_differs(const struct filter *filter);

#endif
