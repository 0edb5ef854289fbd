/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving up what an instance needed to be set up. Capabilities are each thread's own. */
#ifndef INSTANCE_PRIVILEGES_H
#define INSTANCE_PRIVILEGES_H

#include <stdbool.h>
#include <xfq/error.h>

/*
 * Give up every capability, for good: effective, permitted, inheritable, ambient and bounding set
 * of the calling thread, and so of those that it starts afterwards; and set no_new_privs, so that
 * no exec brings any back. The user stays the same: with root's files, but no more than those.
 * With `reload`, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN stay permitted, as far as they are there,
 * for privileges_raise(): threads that are started afterwards are to give them up themselves. 0, or
 * -errno with a sentence. To be called while there is one thread.
 */
int privileges_drop(bool reload, struct xfq_error *error);

/* Have the calling thread use what it was left with, to make maps and load programs, and no longer
 * use it. Nothing happens where privileges_drop() was not called, or left nothing. */
void privileges_raise(void);
void privileges_lower(void);

#endif
