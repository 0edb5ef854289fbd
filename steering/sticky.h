/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the method `sticky` remembers: which member has which flow. Flows are known by their hash;
 * two of the same hash are one flow to it. Where the table is full, the flow that was seen least
 * recently of a bucket gives way.
 *
 * A member is known by its outlet, which stays while others come and go. One that has left is
 * forgotten with the next packet of its flow.
 *
 * Thread: the worker's; created and given back by the wiring.
 */
#ifndef STEERING_STICKY_H
#define STEERING_STICKY_H

#include <stdbool.h>
#include <stdint.h>

#define STICKY_NONE UINT16_MAX

struct sticky;

/* Room for `flows` (rounded up), forgotten after `idle_s` seconds without a packet (0: never).
 * NULL: no memory. One reference is the caller's. */
struct sticky *sticky_create(uint32_t flows, uint32_t idle_s);
void sticky_hold(struct sticky *sticky);
void sticky_release(struct sticky *sticky); /* the last one frees it; NULL is allowed */

/* The outlet of a flow, STICKY_NONE: not known; it is seen now. And note one, in place of the one
 * that was. A clock that goes back lets nothing expire. */
uint16_t sticky_find(struct sticky *sticky, uint32_t hash, uint64_t now_ns);
void sticky_note(struct sticky *sticky, uint32_t hash, uint64_t now_ns, uint16_t outlet);

/* It will be asked for soon. */
void sticky_prefetch(const struct sticky *sticky, uint32_t hash);

#endif
