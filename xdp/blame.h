/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rule or claim of a filter the kernel's verifier does not take: each expression is tried by
 * itself, and where it takes them all, as many of them together as it takes.
 */
#ifndef XDP_BLAME_H
#define XDP_BLAME_H

#include "xdp/filter.h"
#include <stdbool.h>
#include <xfq/error.h>

/* How much the kernel is to say of a program, for the reason: its BPF_LOG_STATS, which no header
 * has. */
#define BLAME_LOG 4

/* Whether the kernel takes the program of a filter: 0, or -errno as it said it. */
typedef int blame_try(const struct filter *filter, void *context);

/* Whether the verifier says such a thing of a program that it has looked at. */
bool blame_is_refusal(int code);

/*
 * The kernel has refused `filter`: say which rule or claim is the cause, by loading parts of it
 * with `try`, which leaves the verifier's reason in `log`. Returns -E2BIG, with a sentence; where
 * no expression is the cause, 0, and the sentence is left to the caller. May take some hundred
 * loads.
 */
int blame_find(const struct filter *filter, blame_try *try, void *context, const char *log,
	       struct xfq_error *error);

#endif
