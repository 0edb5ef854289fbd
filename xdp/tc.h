/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TC programs in the kernel: load, replace, count. Where they are attached is hook.h.
 *
 *	tc_open       the program that is attached goes into the kernel: everything passes
 *	tc_replace    a filter, or another one, without a gap; or in two steps:
 *	  tc_prepare    all that can fail
 *	  tc_commit     the write that makes it so; or tc_forget
 *	tc_load       tc_open and the first filter
 *	tc_destroy
 *
 * TC_EGRESS judges what the host sends: packets are dropped, or go their way. TC_MIRROR drops
 * nothing: what its filter would steer is cloned into a pair (workers/mirror.h), at whose other end
 * the XDP program judges it by the same filter, and counts it; here is counted what was not cloned.
 * One thread.
 */
#ifndef XDP_TC_H
#define XDP_TC_H

#include "xdp/filter.h"
#include "xdp/limit_map.h"
#include "xdp/setmap.h"
#include "xdp/tc_abi.h"
#include "xdp/xdp_abi.h"
#include <xfq/error.h>

struct tc_attached_bpf;
struct tc_bpf;

enum tc_kind { TC_EGRESS = 0, TC_MIRROR };

struct tc_generation {
	struct tc_bpf *skeleton;
	const struct filter *filter; /* the caller's */
	struct limit_maps limits;    /* of TC_EGRESS: a mirror's limits are at the other end */
};

struct tc {
	enum tc_kind kind;
	struct tc_attached_bpf *attached;
	struct tc_generation now;
	struct xdp_counters retired; /* of the generations before, as far as now has their rules */
	struct tc_mirror mirrors[XDP_INTERFACES_MAX];
	bool test_clock;
};

/* What tc_open() and tc_load() build from. */
struct tc_options {
	enum tc_kind kind;
	const struct filter *filter; /* tc_load: until it is replaced, or the tc destroyed */
	const struct setmaps *sets;  /* tc_load: of the filter; needed only during the call */
	const struct tc_mirror *mirrors;
	uint32_t mirror_cnt;
	bool test_clock; /* as of loader_options */
};

/* Load the program, tc_load() with filter and sets. 0, or -errno with a sentence. On success the
 * caller owes a tc_destroy(); on failure nothing is left. */
int tc_open(struct tc *tc, const struct tc_options *options, struct xfq_error *error);
int tc_load(struct tc *tc, const struct tc_options *options, struct xfq_error *error);

/* As loader_prepare(), loader_commit(), loader_forget() and loader_replace(). */
int tc_prepare(const struct tc *tc, struct tc_generation *next, const struct filter *filter,
	       const struct setmaps *sets, struct xfq_error *error);
int tc_commit(struct tc *tc, struct tc_generation *next, struct xfq_error *error);
void tc_forget(struct tc_generation *next);
int tc_replace(struct tc *tc, const struct filter *filter, const struct setmaps *sets,
	       struct xfq_error *error);

/* Add to `sum` what all CPUs have counted. 0 or -errno. */
int tc_counters(const struct tc *tc, struct xdp_counters *sum);

/* The program to attach, and the one for both ways at this end of a mirror's pair; descriptors that
 * stay the tc's. */
int tc_program_fd(const struct tc *tc);
int tc_guard_fd(const struct tc *tc);

/* As loader_set_slots(). */
bool tc_set_slots(const struct tc *tc, struct setmap_slots *slots);

/* What judges now, behind tc_program_fd(); for tests. */
int tc_judge_fd(const struct tc *tc);

/* Unload; packets go their way then. Safe on zeroed memory. */
void tc_destroy(struct tc *tc);

#endif
