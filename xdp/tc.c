/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/tc.h"
#include "xdp/blame.h"
#include "xdp/decide.h"
#include "xdp/merged.h"
#include "xdp/splice.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tc.skel.h>
#include <tc_attached.skel.h>

static char tc_reason[1 << 20]; /* the verifier's, of the last program */

static int tc_sentence(int code, struct xfq_error *error)
{
	if (code == -EPERM)
		return xfq_error_set(error, code,
				     "loading the TC program: not permitted; run as root, or with "
				     "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
	return xfq_error_set(error, code, "loading the TC program: %s", strerror(-code));
}

static void tc_settings(const struct tc *tc, const struct filter *filter,
			struct xdp_settings *settings)
{
	static const uint8_t verdicts[] = {
		[FILTER_STEER] = XDP_VERDICT_STEER, [FILTER_PASS] = XDP_VERDICT_PASS,
		[FILTER_DROP] = XDP_VERDICT_DROP,   [FILTER_TX] = XDP_VERDICT_PASS,
		[FILTER_LIMIT] = XDP_VERDICT_PASS,  [FILTER_CLAIMED] = XDP_VERDICT_STEER,
	};

	*settings = (struct xdp_settings){
		.rules = filter_has_rules(filter),
		.default_verdict = verdicts[filter->default_action],
		.malformed = (uint8_t)filter->malformed,
		.fragments = tc->kind == TC_MIRROR && filter->fragments,
		.test_clock = tc->test_clock,
	};
}

static int tc_place(const struct tc *tc, struct tc_generation *generation,
		    const struct setmaps *sets, struct xfq_error *error)
{
	const struct setmap_slots slots = SETMAP_SLOTS(generation->skeleton);
	bool again = tc->now.skeleton;
	int code = sets ? setmaps_place(sets, &slots, error) : 0;

	if (code || tc->kind == TC_MIRROR)
		return code;
	code = limit_maps_create(&generation->limits, generation->filter,
				 again ? &tc->now.limits : NULL, again ? tc->now.filter : NULL,
				 error);
	if (code)
		return code;
	return limit_maps_place(&generation->limits,
				bpf_map__fd(generation->skeleton->maps.limit_buckets), error);
}

void tc_forget(struct tc_generation *next)
{
	if (!next->skeleton)
		return;
	limit_maps_destroy(&next->limits);
	tc_bpf__destroy(next->skeleton);
	memset(next, 0, sizeof(*next));
}

static struct bpf_program *tc_program(const struct tc *tc, const struct tc_generation *generation)
{
	return tc->kind == TC_EGRESS ? generation->skeleton->progs.xfq_egress
				     : generation->skeleton->progs.xfq_mirror;
}

static int tc_fill(const struct tc *tc, struct tc_generation *generation,
		   const struct filter *filter)
{
	struct tc_bpf *skeleton = tc_bpf__open();

	if (!skeleton)
		return -errno;
	generation->skeleton = skeleton;
	generation->filter = filter;
	bpf_program__set_autoload(skeleton->progs.xfq_egress, tc->kind == TC_EGRESS);
	bpf_program__set_autoload(skeleton->progs.xfq_mirror, tc->kind == TC_MIRROR);
	tc_settings(tc, filter, (struct xdp_settings *)&skeleton->rodata->settings);
	limit_settings((struct xdp_limit *)skeleton->rodata->limits, filter);
	memcpy((void *)skeleton->rodata->mirrors, tc->mirrors, sizeof(tc->mirrors));
	*(uint8_t *)&skeleton->rodata->mirror_merged = merged_differs(filter);
	return 0;
}

/* Load the program of a filter, for the kernel's log `log`. 0, or -errno: from decide_generate()
 * with a sentence, else without one. */
static int tc_try(const struct tc *tc, struct tc_generation *next, const struct filter *filter,
		  uint32_t log, struct xfq_error *error)
{
	struct code code = {0};
	int result;

	memset(next, 0, sizeof(*next));
	tc_reason[0] = '\0';
	result = tc_fill(tc, next, filter);
	if (result)
		return result;
	bpf_program__set_log_buf(tc_program(tc, next), tc_reason, sizeof(tc_reason));
	bpf_program__set_log_level(tc_program(tc, next), log);
	result = decide_generate(&code, TRANSLATE_SKB, filter, error);
	if (result == 0)
		result = splice_load(next->skeleton->obj, &code);
	code_destroy(&code);
	return result;
}

static int tc_build(const struct tc *tc, struct tc_generation *next, const struct filter *filter,
		    struct xfq_error *error)
{
	int result = tc_try(tc, next, filter, BLAME_LOG, error);

	/* not a refusal: too much for the log */
	if (result == -ENOSPC) {
		tc_forget(next);
		result = tc_try(tc, next, filter, 0, error);
	}
	return result;
}

static int tc_attempt(const struct filter *filter, void *context)
{
	struct tc_generation next;
	int result = tc_build(context, &next, filter, NULL);

	tc_forget(&next);
	return result;
}

int tc_prepare(const struct tc *tc, struct tc_generation *next, const struct filter *filter,
	       const struct setmaps *sets, struct xfq_error *error)
{
	struct tc attempt = *tc;
	struct xfq_error said = {0};
	int result = tc_build(tc, next, filter, &said), blamed = 0;

	if (said.code) {
		xfq_error_set(error, said.code, "%s", said.text);
	} else if (result) {
		if (blame_is_refusal(result))
			blamed = blame_find(filter, tc_attempt, &attempt, tc_reason, error);
		result = blamed ? blamed : tc_sentence(result, error);
	}
	if (result == 0)
		result = tc_place(tc, next, sets, error);
	if (result)
		tc_forget(next);
	return result;
}

/* From here on packets are judged by `generation`. */
static int tc_switch(struct tc *tc, const struct tc_generation *generation, struct xfq_error *error)
{
	int program = bpf_program__fd(tc_program(tc, generation));
	__u32 zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(tc->attached->maps.tc_now), &zero, &program, BPF_ANY))
		return xfq_error_set(error, -errno, "putting the TC program in its place: %s",
				     strerror(errno));
	return 0;
}

/* As loader_synchronize(). */
static void tc_synchronize(struct tc *tc)
{
	__u32 zero = 0;

	bpf_map_update_elem(bpf_map__fd(tc->attached->maps.tc_grace), &zero,
			    &(int){bpf_map__fd(tc->attached->maps.tc_grace_inner)}, BPF_ANY);
}

static int tc_add_counters(const struct tc_generation *generation, struct xdp_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();
	size_t words = sizeof(*sum) / sizeof(__u64); /* all counters are such */
	__u64 *values, *to = (__u64 *)sum;
	__u32 zero = 0;
	int code = 0;

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus, sizeof(*sum));
	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(generation->skeleton->maps.counters), &zero, values))
		code = -errno;
	for (size_t i = 0; code == 0 && i < (size_t)cpus * words; i++)
		to[i % words] += values[i];
	free(values);
	return code;
}

int tc_commit(struct tc *tc, struct tc_generation *next, struct xfq_error *error)
{
	struct xdp_counters sum = tc->retired;
	int code = tc_switch(tc, next, error);

	if (code) {
		tc_forget(next);
		return code;
	}
	tc_synchronize(tc);
	if (tc->now.skeleton && tc_add_counters(&tc->now, &sum) == 0) {
		tc->retired = sum;
		filter_carry_counters(tc->now.filter, sum.rules, next->filter, tc->retired.rules);
	}
	tc_forget(&tc->now);
	tc->now = *next;
	memset(next, 0, sizeof(*next));
	return 0;
}

int tc_replace(struct tc *tc, const struct filter *filter, const struct setmaps *sets,
	       struct xfq_error *error)
{
	struct tc_generation next;
	int code = tc_prepare(tc, &next, filter, sets, error);

	return code ? code : tc_commit(tc, &next, error);
}

int tc_open(struct tc *tc, const struct tc_options *options, struct xfq_error *error)
{
	int code = splice_register(error);

	memset(tc, 0, sizeof(*tc));
	if (code)
		return code;
	tc->kind = options->kind;
	tc->test_clock = options->test_clock;
	for (uint32_t i = 0; i < options->mirror_cnt && i < XDP_INTERFACES_MAX; i++)
		tc->mirrors[i] = options->mirrors[i];
	tc->attached = tc_attached_bpf__open_and_load();
	return tc->attached ? 0 : tc_sentence(-errno, error);
}

int tc_load(struct tc *tc, const struct tc_options *options, struct xfq_error *error)
{
	int code = tc_open(tc, options, error);

	if (code)
		return code;
	code = tc_replace(tc, options->filter, options->sets, error);
	if (code)
		tc_destroy(tc);
	return code;
}

int tc_counters(const struct tc *tc, struct xdp_counters *sum)
{
	const __u64 *from = (const __u64 *)&tc->retired;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
	return tc->now.skeleton ? tc_add_counters(&tc->now, sum) : 0;
}

int tc_program_fd(const struct tc *tc)
{
	return bpf_program__fd(tc->attached->progs.xfq_tc);
}

int tc_guard_fd(const struct tc *tc)
{
	return bpf_program__fd(tc->attached->progs.xfq_tc_guard);
}

bool tc_set_slots(const struct tc *tc, struct setmap_slots *slots)
{
	if (!tc->now.skeleton)
		return false;
	*slots = SETMAP_SLOTS(tc->now.skeleton);
	return true;
}

int tc_judge_fd(const struct tc *tc)
{
	return bpf_program__fd(tc_program(tc, &tc->now));
}

void tc_destroy(struct tc *tc)
{
	if (!tc->attached)
		return;
	tc_forget(&tc->now);
	tc_attached_bpf__destroy(tc->attached);
	memset(tc, 0, sizeof(*tc));
}
