/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The quick program: the first rules of a filter, on plain packets, before anything is parsed.
 *
 * A flood is mostly plain packets: Ethernet, at most one VLAN tag, IPv4 without options or IPv6
 * without extension headers, TCP or UDP, lengths that agree; first fragments too, where they are
 * dropped. Rules at the begin of a filter that name protocols and ports alone, to drop or to pass,
 * are decided for those by some dozen instructions of generated code, with the same counters; every
 * other packet goes on to the first pass itself. The two never differ: what the quick program takes
 * for plain the parser takes for well-formed, with these very ports.
 */
#ifndef XDP_QUICK_H
#define XDP_QUICK_H

#include "xdp/code.h"
#include "xdp/filter.h"

/* How many rules at the begin of a filter are such; 0: a quick program would be of no use. */
uint32_t quick_rule_cnt(const struct filter *filter);

/*
 * Append the code of the program: `counters` is the descriptor of the first pass's counters, `next`
 * that of a PROG_ARRAY with the first pass in its only slot. 0, or -ENOMEM, -E2BIG from
 * code_finish().
 */
int quick_generate(struct code *code, const struct filter *filter, int counters, int next);

#endif
