/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving up what an instance needed to be set up. */
#ifndef INSTANCE_PRIVILEGES_H
#define INSTANCE_PRIVILEGES_H

#include <xfq/error.h>

/*
 * Give up every capability, for good: effective, permitted, inheritable, ambient and bounding set
 * of the calling thread, and so of those that it starts afterwards; and set no_new_privs, so that
 * no exec brings any back. The user stays the same: with root's files, but no more than those. 0,
 * or -errno with a sentence. To be called while there is one thread.
 */
int privileges_drop(struct xfq_error *error);

#endif
