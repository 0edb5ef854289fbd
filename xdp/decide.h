/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a filter as the code of one function, decide(ctx, judged), which the splice puts
 * into the program in the place of an empty one:
 *
 *	rule 0   proto, ports; set; expression: to rule 1 where one does not hold; else its decision
 *	rule 1   ...
 *	default  the claims of the groups, if that is what it says; its decision
 */
#ifndef XDP_DECIDE_H
#define XDP_DECIDE_H

#include "xdp/code.h"
#include "xdp/filter.h"
#include "xdp/translate.h"
#include <xfq/error.h>

/*
 * Append the code. 0, or -errno with a sentence: -EINVAL for an expression that is no code of
 * libpcap's, -ENOMEM. The code is finished then.
 */
int decide_generate(struct code *code, enum translate_target target, const struct filter *filter,
		    struct xfq_error *error);

/* Index of the rule among those that limit: what judged_over() is given. */
uint32_t decide_limit_index(const struct filter *filter, uint32_t rule);

#endif
