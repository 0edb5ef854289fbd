/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/loader.h"
#include "xdp/blame.h"
#include "xdp/decide.h"
#include "xdp/fragment.h"
#include "xdp/probe.h"
#include "xdp/quick.h"
#include "xdp/socket.h"
#include "xdp/splice.h"
#include <attached.skel.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <first_pass.skel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char loader_log[XFQ_ERROR_TEXT_BYTES / 2]; /* libbpf's last warning */
static char loader_reason[1 << 20];               /* the verifier's, of the last program */

/* libbpf speaks through a hook of the process: keep its last warning for our own sentence. */
static int __attribute__((format(printf, 2, 0)))
loader_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char *line;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(loader_log, sizeof(loader_log), format, args);
	for (line = loader_log; *line; line++)
		if (*line == '\n')
			*line = ' ';
	return 0;
}

static int loader_sentence(int code, struct xfq_error *error)
{
	if (code == -EPERM)
		return xfq_error_set(
			error, -EPERM,
			"loading the XDP program: not permitted; run as root, or with "
			"CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK");
	return xfq_error_set(error, code, "loading the XDP program: %s%s%s", strerror(-code),
			     loader_log[0] ? ": " : "", loader_log);
}

/* --- generations ------------------------------------------------------------------------------ */

/* The kernel wants all programs that one slot leads to to have the same of these; in a dispatcher
 * there are no packets in several buffers, and programs are of no attach type. */
static __u32 loader_flags(const struct loader *loader)
{
	return loader->shared ? 0 : BPF_F_XDP_HAS_FRAGS;
}

static enum bpf_attach_type loader_attach_type(const struct loader *loader)
{
	return loader->shared ? (enum bpf_attach_type)0 : BPF_XDP;
}

static void loader_fit(const struct loader *loader, struct bpf_program *program)
{
	bpf_program__set_flags(program, loader_flags(loader));
	bpf_program__set_expected_attach_type(program, loader_attach_type(loader));
}

static void loader_settings(const struct loader *loader, uint8_t mark, const struct filter *filter,
			    struct xdp_settings *settings)
{
	static const uint8_t verdicts[] = {
		[FILTER_STEER] = XDP_VERDICT_STEER, [FILTER_PASS] = XDP_VERDICT_PASS,
		[FILTER_DROP] = XDP_VERDICT_DROP,   [FILTER_TX] = XDP_VERDICT_PASS,
		[FILTER_LIMIT] = XDP_VERDICT_PASS,  [FILTER_CLAIMED] = XDP_VERDICT_STEER,
	};

	*settings = (struct xdp_settings){
		.hash_seed = loader->hash_seed,
		.rules = filter_has_rules(filter),
		.default_verdict = verdicts[filter->default_action],
		.malformed = (uint8_t)filter->malformed,
		.orphans = (uint8_t)filter->orphans,
		.fragments = filter->fragments,
		.shunt = filter->shunt_flows > 0,
		.test_clock = loader->test_clock,
		.generation = mark,
		.packet_max = loader->packet_max,
		.interface_cnt = loader->interface_cnt,
	};
	memcpy(settings->interfaces, loader->ifindex, sizeof(settings->interfaces));
}

/* Sizes of what a filter wants remembered. */
static int loader_size(struct first_pass_bpf *to, const struct filter *filter)
{
	/* always as many: so it is one map for all filters */
	int code = bpf_map__set_max_entries(to->maps.fragment_notes,
					    limit_map_places(FRAGMENT_DATAGRAMS));

	/* without AF_XDP nothing is redirected: any map that may be redirected to will do */
	if (code == 0 && !probe_has(PROBE_MAP_XSK))
		code = bpf_map__set_type(to->maps.xsks, BPF_MAP_TYPE_DEVMAP);
	if (code == 0)
		code = bpf_map__set_max_entries(
			to->maps.shunt_flows,
			filter->shunt_flows ? limit_map_places(filter->shunt_flows) : 1);
	return code;
}

/* Maps that outlive a filter are those of the generation before, as far as they fit. */
static int loader_share(struct first_pass_bpf *to, const struct first_pass_bpf *from)
{
	struct bpf_map *const maps[][2] = {
		{to->maps.xsks, from ? from->maps.xsks : NULL},
		{to->maps.fragment_notes, from ? from->maps.fragment_notes : NULL},
		{to->maps.shunt_flows, from ? from->maps.shunt_flows : NULL},
		{to->maps.shunt_state, from ? from->maps.shunt_state : NULL},
		{to->maps.test_now, from ? from->maps.test_now : NULL},
	};
	int code = 0;

	for (size_t i = 0; from && i < sizeof(maps) / sizeof(maps[0]) && code == 0; i++)
		if (bpf_map__max_entries(maps[i][0]) == bpf_map__max_entries(maps[i][1]))
			code = bpf_map__reuse_fd(maps[i][0], bpf_map__fd(maps[i][1]));
	return code;
}

static int loader_place_sets(const struct loader_generation *generation, const struct setmaps *sets,
			     struct xfq_error *error)
{
	const struct setmap_slots slots = SETMAP_SLOTS(generation->skeleton);

	return sets ? setmaps_place(sets, &slots, error) : 0;
}

/* The shunt table of a generation. */
static struct shunt loader_shunt_of(const struct loader_generation *generation)
{
	return (struct shunt){
		.flows_fd = bpf_map__fd(generation->skeleton->maps.shunt_flows),
		.state_fd = bpf_map__fd(generation->skeleton->maps.shunt_state),
	};
}

/* What the program remembers: the buckets of limits, and the shunt table where it could not be
 * taken over as it is. */
static int loader_place_state(const struct loader *loader, struct loader_generation *generation,
			      struct xfq_error *error)
{
	const struct loader_generation *before = &loader->now;
	int code = limit_maps_create(&generation->limits, generation->filter,
				     before->skeleton ? &before->limits : NULL,
				     before->skeleton ? before->filter : NULL, error);

	if (code == 0)
		code = limit_maps_place(&generation->limits,
					bpf_map__fd(generation->skeleton->maps.limit_buckets),
					error);
	if (code || !before->skeleton || !before->filter->shunt_flows ||
	    before->filter->shunt_flows == generation->filter->shunt_flows)
		return code;
	if (generation->filter->shunt_flows) {
		const struct shunt to = loader_shunt_of(generation), from = loader_shunt_of(before);

		code = shunt_copy(&to, &from, shunt_now_ns(&from));
	}
	return code ? xfq_error_set(error, code, "taking over the shunt table: %s", strerror(-code))
		    : 0;
}

static void loader_drop_generation(struct loader_generation *generation)
{
	socket_unload(generation->socket);
	generation->socket = NULL;
	if (generation->quick > 0)
		close(generation->quick);
	generation->quick = 0;
	limit_maps_destroy(&generation->limits);
	first_pass_bpf__destroy(generation->skeleton);
	generation->skeleton = NULL;
}

/* The quick program of a filter whose first pass is loaded, if it has use for one. */
static int loader_add_quick(const struct loader *loader, struct loader_generation *generation,
			    struct xfq_error *error)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = loader_flags(loader),
		    .expected_attach_type = loader_attach_type(loader));
	int judge = bpf_program__fd(generation->skeleton->progs.xfq_judge);
	int slot = bpf_map__fd(generation->skeleton->maps.judge_slot);
	struct code code = {0};
	__u32 zero = 0;
	int result;

	if (quick_rule_cnt(generation->filter) == 0)
		return 0;
	result = quick_generate(&code, generation->filter,
				bpf_map__fd(generation->skeleton->maps.counters), slot);
	if (result == 0 && bpf_map_update_elem(slot, &zero, &judge, BPF_ANY))
		result = -errno;
	if (result == 0) {
		result = bpf_prog_load(BPF_PROG_TYPE_XDP, "xfq_quick", "Dual BSD/GPL", code.insns,
				       code.cnt, &options);
		if (result > 0)
			generation->quick = result;
	}
	code_destroy(&code);
	return result < 0 ? loader_sentence(result, error) : 0;
}

/* Load the program of a filter, for the kernel's log `log`. 0, or -errno: from decide_generate()
 * with a sentence, else without one. */
static int loader_try(const struct loader *loader, struct loader_generation *generation,
		      uint8_t mark, const struct filter *filter, uint32_t log,
		      struct xfq_error *error)
{
	struct code code = {0};
	int result;

	loader_log[0] = loader_reason[0] = '\0';
	generation->filter = filter;
	generation->skeleton = first_pass_bpf__open();
	if (!generation->skeleton)
		return -errno;
	loader_fit(loader, generation->skeleton->progs.xfq_judge);
	loader_settings(loader, mark, filter,
			(struct xdp_settings *)&generation->skeleton->rodata->settings);
	limit_settings((struct xdp_limit *)generation->skeleton->rodata->limits, filter);
	bpf_program__set_log_buf(generation->skeleton->progs.xfq_judge, loader_reason,
				 sizeof(loader_reason));
	bpf_program__set_log_level(generation->skeleton->progs.xfq_judge, log);
	result = loader_size(generation->skeleton, filter);
	if (result == 0)
		result = loader_share(generation->skeleton, loader->now.skeleton);
	if (result == 0)
		result = decide_generate(&code, TRANSLATE_XDP, filter, error);
	if (result == 0)
		result = splice_load(generation->skeleton->obj, &code);
	code_destroy(&code);
	return result;
}

/* The same, with the reason where the verifier refuses it. */
static int loader_build(const struct loader *loader, struct loader_generation *generation,
			uint8_t mark, const struct filter *filter, struct xfq_error *error)
{
	/* without a level libbpf would ask again, for the log of every step */
	int result = loader_try(loader, generation, mark, filter, BLAME_LOG, error);

	/* not a refusal: a line for each call of a function was too much for the log */
	if (result == -ENOSPC) {
		first_pass_bpf__destroy(generation->skeleton);
		result = loader_try(loader, generation, mark, filter, 0, error);
	}
	return result;
}

/* What blame_find() loads parts of a filter for. */
struct loader_attempt {
	const struct loader *loader;
	uint8_t mark;
};

static int loader_attempt(const struct filter *filter, void *context)
{
	const struct loader_attempt *attempt = context;
	struct loader_generation generation = {0};
	int result = loader_build(attempt->loader, &generation, attempt->mark, filter, NULL);

	first_pass_bpf__destroy(generation.skeleton);
	return result;
}

/* Load the program of a filter, with its sets. */
static int loader_generate(const struct loader *loader, struct loader_generation *generation,
			   uint8_t mark, const struct filter *filter, const struct setmaps *sets,
			   struct xfq_error *error)
{
	struct loader_attempt attempt = {.loader = loader, .mark = mark};
	struct xfq_error said = {0};
	int result = loader_build(loader, generation, mark, filter, &said), blamed = 0;

	if (said.code) {
		*error = said;
	} else if (result) {
		if (blame_is_refusal(result))
			blamed = blame_find(filter, loader_attempt, &attempt, loader_reason, error);
		result = blamed ? blamed : loader_sentence(result, error);
	}
	if (result == 0)
		result = loader_place_sets(generation, sets, error);
	if (result == 0)
		result = loader_place_state(loader, generation, error);
	if (result == 0 && !loader->test_clock)
		result = loader_add_quick(loader, generation, error);
	if (result == 0 && loader->now.socket)
		result = socket_load(&generation->socket, generation->skeleton, filter, error);
	if (result)
		loader_drop_generation(generation);
	return result;
}

/* From here on packets are judged by `generation`. */
static int loader_switch(struct loader *loader, const struct loader_generation *generation,
			 struct xfq_error *error)
{
	int program = generation->quick > 0
			      ? generation->quick
			      : bpf_program__fd(generation->skeleton->progs.xfq_judge);
	__u32 zero = 0;
	int code = loader->socket_hub ? socket_switch(loader->socket_hub, generation->socket) : 0;

	if (code)
		return xfq_error_set(error, code,
				     "putting the filter of packet sockets in its place: %s",
				     strerror(-code));
	if (bpf_map_update_elem(bpf_map__fd(loader->attached->maps.first_pass), &zero, &program,
				BPF_ANY))
		return xfq_error_set(error, -errno, "putting the first pass in its place: %s",
				     strerror(errno));
	return 0;
}

/* Wait until no program runs that began before: the kernel does so when a map of maps changes. */
static int loader_synchronize(struct loader *loader)
{
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(loader->attached->maps.grace), &zero,
				   &(int){bpf_map__fd(loader->attached->maps.grace_inner)}, BPF_ANY)
		       ? -errno
		       : 0;
}

/* Add what all CPUs counted for a generation. 0 or -errno. */
static int loader_add_counters(const struct loader_generation *generation, struct xdp_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();
	/* all counters are 64-bit words: CPUs are summed word by word */
	size_t words = sizeof(*sum) / sizeof(__u64);
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

/* What has been counted so far goes on in the next generation; rules that it does not have are
 * forgotten. */
static int loader_retire(struct loader *loader, const struct loader_generation *next)
{
	struct xdp_counters sum = loader->retired;
	int code = loader_add_counters(&loader->now, &sum);

	if (code)
		return code;
	loader->retired = sum;
	filter_carry_counters(loader->now.filter, sum.rules, next->filter, loader->retired.rules);
	return 0;
}

int loader_counters(const struct loader *loader, struct xdp_counters *sum)
{
	*sum = loader->retired;
	return loader_add_counters(&loader->now, sum);
}

int loader_load(struct loader *loader, const struct loader_options *options,
		struct xfq_error *error)
{
	struct loader_generation first = {0};
	int code;

	memset(loader, 0, sizeof(*loader));
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		attach_init(&loader->attach[i]);
	if (options->interface_cnt > XDP_INTERFACES_MAX)
		return xfq_error_set(error, -E2BIG, "at most %d interfaces", XDP_INTERFACES_MAX);
	libbpf_set_print(loader_print);
	loader->hash_seed = options->hash_seed;
	loader->packet_max = options->packet_max;
	loader->test_clock = options->test_clock;
	loader->shared = options->shared;
	loader->generation = options->generation;
	loader->interface_cnt = options->interface_cnt;
	for (uint32_t i = 0; i < options->interface_cnt; i++)
		loader->ifindex[i] = options->ifindex[i];
	code = splice_register(error);
	if (code)
		return code;
	loader_log[0] = '\0';
	loader->attached = attached_bpf__open();
	if (!loader->attached)
		return loader_sentence(-errno, error);
	loader_fit(loader, loader->attached->progs.xfq_first_pass);
	code = attached_bpf__load(loader->attached);
	if (code) {
		loader_destroy(loader);
		return loader_sentence(code, error);
	}
	code = loader_generate(loader, &first, loader->generation, options->filter, options->sets,
			       error);
	if (code == 0) {
		loader->now = first;
		code = loader_switch(loader, &loader->now, error);
	}
	if (code)
		loader_destroy(loader);
	return code;
}

int loader_prepare(const struct loader *loader, struct loader_generation *next,
		   const struct filter *filter, const struct setmaps *sets, struct xfq_error *error)
{
	*next = (struct loader_generation){0};
	return loader_generate(loader, next, loader_next_generation(loader), filter, sets, error);
}

void loader_forget(struct loader_generation *next)
{
	loader_drop_generation(next);
}

int loader_commit(struct loader *loader, struct loader_generation *next, struct xfq_error *error)
{
	int code = loader_switch(loader, next, error);

	if (code) {
		loader_drop_generation(next);
		return code;
	}
	loader_synchronize(loader);
	loader_retire(loader, next);
	loader_drop_generation(&loader->now);
	loader->now = *next;
	loader->generation = loader_next_generation(loader);
	*next = (struct loader_generation){0};
	return 0;
}

int loader_replace(struct loader *loader, const struct filter *filter, const struct setmaps *sets,
		   struct xfq_error *error)
{
	struct loader_generation next;
	int code = loader_prepare(loader, &next, filter, sets, error);

	return code ? code : loader_commit(loader, &next, error);
}

int loader_socket(struct loader *loader, uint32_t interface, uint32_t queue, int fd,
		  struct xfq_error *error)
{
	__u32 key = interface * XDP_QUEUES_MAX + queue;

	if (interface >= loader->interface_cnt || queue >= XDP_QUEUES_MAX)
		return xfq_error_set(error, -E2BIG, "queue %u is beyond the %d that are supported",
				     queue, XDP_QUEUES_MAX);
	if (bpf_map_update_elem(bpf_map__fd(loader->now.skeleton->maps.xsks), &key, &fd, BPF_ANY))
		return xfq_error_set(error, -errno,
				     "putting the socket of queue %u into the XSKMAP: %s", queue,
				     strerror(errno));
	return 0;
}

int loader_packet_sockets(struct loader *loader, struct xfq_error *error)
{
	int code;

	if (loader->socket_hub)
		return 0;
	code = socket_load(&loader->now.socket, loader->now.skeleton, loader->now.filter, error);
	if (code == 0)
		code = socket_hub(&loader->socket_hub, error);
	return code ? code : loader_switch(loader, &loader->now, error);
}

int loader_packet_socket(struct loader *loader, int fd, struct xfq_error *error)
{
	return socket_attach(loader->socket_hub, fd, error);
}

int loader_attach(struct loader *loader, uint32_t interface, const struct attach_options *options,
		  struct xfq_error *error)
{
	return attach_open(&loader->attach[interface], loader->attached, loader->ifindex[interface],
			   options, error);
}

void loader_detach_one(struct loader *loader, uint32_t interface)
{
	attach_close(&loader->attach[interface]);
}

void loader_detach(struct loader *loader)
{
	__u32 zero = 0;

	for (uint32_t i = 0; i < loader->interface_cnt; i++)
		if (loader->attach[i].program) /* it may have to stay: let it pass everything */
			bpf_map_delete_elem(bpf_map__fd(loader->attached->maps.first_pass), &zero);
	for (uint32_t i = 0; i < loader->interface_cnt; i++)
		loader_detach_one(loader, i);
}

int loader_shunt(const struct loader *loader, struct shunt *shunt, struct xfq_error *error)
{
	if (!loader->now.skeleton || !loader->now.filter->shunt_flows)
		return xfq_error_set(error, -EOPNOTSUPP,
				     "there is no shunt table: filter.shunt is 0 in the config");
	*shunt = loader_shunt_of(&loader->now);
	return 0;
}

int loader_notes(const struct loader *loader)
{
	return bpf_map__fd(loader->now.skeleton->maps.fragment_notes);
}

int loader_set_clock(struct loader *loader, uint64_t now_ns)
{
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(loader->now.skeleton->maps.test_now), &zero, &now_ns,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

bool loader_set_slots(const struct loader *loader, struct setmap_slots *slots)
{
	if (!loader->now.skeleton)
		return false;
	*slots = SETMAP_SLOTS(loader->now.skeleton);
	return true;
}

int loader_program_fd(const struct loader *loader)
{
	return bpf_program__fd(loader->attached->progs.xfq_first_pass);
}

int loader_judge_fd(const struct loader *loader)
{
	return bpf_program__fd(loader->now.skeleton->progs.xfq_judge);
}

void loader_destroy(struct loader *loader)
{
	if (!loader->attached)
		return;
	loader_detach(loader);
	if (loader->now.skeleton)
		loader_drop_generation(&loader->now);
	socket_unhub(loader->socket_hub);
	loader->socket_hub = NULL;
	attached_bpf__destroy(loader->attached);
	loader->attached = NULL;
}
