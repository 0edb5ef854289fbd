/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shunt table of a program, from user space: flows whose packets are dropped or passed where
 *the rules would have them steered, until their time or their number is over. What a rule drops,
 *passes or sends back it does not touch: nobody gets a packet by it that he would not have got.
 *Both directions of a flow are one entry. Where the table is full the flow that was seen least
 *recently gives way.
 *
 *	shunt_add    from now on, in place of what was said of that flow before
 *	shunt_del    no more
 *	shunt_read   all that act now, with what they have done
 *
 * An entry acts no more at the very moment when its time is over, and is forgotten by the next call
 * of shunt_sweep(), which the others make.
 *
 * Thread: one at a time for each table.
 */
#ifndef XDP_SHUNT_H
#define XDP_SHUNT_H

#include "xdp/shunt_abi.h"
#include "xdp/shunt_table.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

/* The maps of a program, its own, of any program that has them; or the table of the first pass in
 * user space. */
struct shunt {
	int flows_fd, state_fd;
	struct shunt_table *table; /* NULL: the maps */
};

/* What is to be done with a flow. */
struct shunt_order {
	enum shunt_action action; /* SHUNT_DROP or SHUNT_PASS */
	uint64_t packets;         /* to live; 0: any number */
	uint64_t lifetime_ns;     /* to live; 0: for good */
};

/* A flow as shunt_read() tells of it. */
struct shunt_flow {
	struct xdp_flow_key key;
	struct xdp_shunt entry;
};

/* 0, or -errno with a sentence: -EINVAL for a key of no flow or no such action, -ENOMEM. */
int shunt_add(const struct shunt *shunt, const struct xdp_flow_key *key,
	      const struct shunt_order *order, uint64_t now_ns, struct xfq_error *error);

/* 0, or -ENOENT: it is not in the table, or acts no more; with a sentence. */
int shunt_del(const struct shunt *shunt, const struct xdp_flow_key *key, uint64_t now_ns,
	      struct xfq_error *error);

/* All entries that act, in no order; entry.packets counts those acted on. 0 with *flows, which the
 * caller frees, and *cnt; or -errno with a sentence. */
int shunt_read(const struct shunt *shunt, uint64_t now_ns, struct shunt_flow **flows, uint32_t *cnt,
	       struct xfq_error *error);

/* Forget what acts no more; returns how many entries are left. */
uint32_t shunt_sweep(const struct shunt *shunt, uint64_t now_ns);

/* Put all entries of one table that act into another. 0 or -errno. */
int shunt_copy(const struct shunt *to, const struct shunt *from, uint64_t now_ns);

/* Fill what is to be put into a table; 0, or -EINVAL with a sentence. */
int shunt_make(struct xdp_shunt *entry, const struct xdp_flow_key *key,
	       const struct shunt_order *order, uint64_t now_ns, struct xfq_error *error);

/* Whether an entry acts, and still will. */
bool shunt_acts(const struct xdp_shunt *entry, uint64_t now_ns);

/* Now, on the clock of who looks packets up: CLOCK_MONOTONIC, or the capture file's. */
uint64_t shunt_now_ns(const struct shunt *shunt);

#endif
