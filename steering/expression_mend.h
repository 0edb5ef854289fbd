/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two things that libpcap 1.10.3 gets wrong in the code of an expression, and later versions put
 * right in their interpreter:
 *
 *	`protochain` goes back for each header, as often as the headers let it: a packet can be made
 *	on which that never ends. The code is made to count, and does not match after 64 times.
 *	`geneve` and what goes with it may read words of the scratch memory that it has not written,
 *	so that the verdict is one of chance. They are made zero.
 */
#ifndef STEERING_EXPRESSION_MEND_H
#define STEERING_EXPRESSION_MEND_H

#include "steering/expression.h"

/* Mend what libpcap has compiled. 0, or -errno with a sentence: -ENOMEM, or -EINVAL where there is
 * no scratch memory left to count in. */
int expression_mend(struct expression *expression, struct xfq_error *error);

#endif
