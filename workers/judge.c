/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/judge.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define JUDGE_RING_SLOTS 64

/* All counters are 64-bit words. */
#define JUDGE_WORDS (sizeof(struct xdp_counters) / sizeof(__u64))

/* The place of the program's only interface: test runs come from the loopback interface. */
#define JUDGE_INTERFACE 0

/* A socket that a test run can redirect to: it needs a ring, and no device. */
static int judge_socket(struct judge *judge, struct xfq_error *error)
{
	int slots = JUDGE_RING_SLOTS;

	judge->socket = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (judge->socket < 0 ||
	    setsockopt(judge->socket, SOL_XDP, XDP_RX_RING, &slots, sizeof(slots)))
		return xfq_error_set(error, -errno, "an AF_XDP socket for test runs: %s",
				     strerror(errno));
	return loader_socket(&judge->loader, JUDGE_INTERFACE, 0, judge->socket, error);
}

static int judge_load(struct judge *judge, struct xfq_error *error)
{
	uint32_t loopback = if_nametoindex("lo");
	const struct filter *filter = judge->pass.filter;
	const struct loader_options options = {.filter = filter,
					       .sets = &judge->maps,
					       .hash_seed = judge->pass.hash_seed,
					       .test_clock = true,
					       .generation = judge->pass.generation,
					       .ifindex = &loopback,
					       .interface_cnt = 1};
	int code = setmaps_create(&judge->maps, filter->sets, filter->set_cnt, error);

	if (code == 0)
		code = loader_load(&judge->loader, &options, error);
	if (code == 0)
		code = judge_socket(judge, error);
	if (code)
		return code;
	judge->room = malloc(CAPTURE_SNAPLEN_MAX + XFQ_META_BYTES);
	return judge->room ? 0 : xfq_error_set(error, -ENOMEM, "no memory for a packet");
}

int judge_open(struct judge *judge, const struct judge_options *options, struct xfq_error *error)
{
	int code;

	memset(judge, 0, sizeof(*judge));
	judge->pass.filter = options->filter;
	judge->pass.hash_seed = options->hash_seed;
	judge->pass.generation = options->generation;
	judge->socket = -1;
	if (!options->kernel)
		return 0;
	code = judge_load(judge, error);
	if (code)
		judge_close(judge);
	else
		judge->kernel = true;
	return code;
}

int judge_replace(struct judge *judge, const struct filter *filter, uint8_t generation,
		  struct xfq_error *error)
{
	struct setmaps maps;
	int code;

	if (judge->kernel) {
		code = setmaps_create(&maps, filter->sets, filter->set_cnt, error);
		if (code)
			return code;
		code = loader_replace(&judge->loader, filter, &maps, error);
		if (code == 0)
			code = loader_socket(&judge->loader, JUDGE_INTERFACE, 0, judge->socket,
					     error);
		if (code == 0) /* rules have other places now */
			code = loader_counters(&judge->loader, &judge->before);
		setmaps_destroy(code ? &maps : &judge->maps);
		if (code)
			return code;
		judge->maps = maps;
	}
	first_pass_replace(&judge->pass, filter, generation);
	return 0;
}

/* One packet through the kernel; its metadata comes back in front of it where it was steered. 0,
 * -errno, or 1: the kernel does not take such a packet. */
static int judge_run(struct judge *judge, const struct capture_packet *packet, uint32_t *out_len,
		     uint32_t *action)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->data,
		    .data_size_in = packet->len, .data_out = judge->room,
		    .data_size_out = CAPTURE_SNAPLEN_MAX + XFQ_META_BYTES, .repeat = 1);
	int code = loader_set_clock(&judge->loader, packet->ts_ns);

	if (code)
		return code;
	if (packet->len < JUDGE_PACKET_MIN || packet->len < packet->wire_len)
		return 1;
	if (bpf_prog_test_run_opts(loader_program_fd(&judge->loader), &options)) {
		if (errno == EINVAL || errno == E2BIG || errno == EMSGSIZE || errno == ENOMEM)
			return 1;
		return -errno;
	}
	*out_len = options.data_size_out;
	*action = options.retval;
	return 0;
}

static uint32_t judge_moved(const struct xdp_counter *before, const struct xdp_counter *after,
			    uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (after[i].packets != before[i].packets)
			return i;
	return cnt;
}

/* What the kernel did, by the counters that it moved. */
static int judge_read(struct judge *judge, uint32_t action, struct judge_result *result,
		      struct xfq_error *error)
{
	struct xdp_counters now;
	int code = loader_counters(&judge->loader, &now);
	uint32_t verdict, rule;

	if (code)
		return xfq_error_set(error, code, "reading the program's counters: %s",
				     strerror(-code));
	verdict = judge_moved(judge->before.verdicts, now.verdicts, XDP_VERDICT_CNT);
	rule = judge_moved(judge->before.rules, now.rules, XDP_RULES_MAX + 1);
	if (verdict == XDP_VERDICT_CNT)
		return xfq_error_set(error, -EPROTO, "a packet that the program did not count");
	result->pass.verdict = (enum xdp_verdict)verdict;
	result->pass.rule = rule < XDP_RULES_MAX ? (uint16_t)rule : XFQ_RULE_DEFAULT;
	result->pass.action = action == XDP_REDIRECT ? XDP_VERDICT_STEER
			      : action == XDP_TX     ? XDP_VERDICT_TX
			      : action == XDP_DROP   ? XDP_VERDICT_DROP
						     : XDP_VERDICT_PASS;
	result->orphan = now.orphans != judge->before.orphans;
	judge->before = now;
	return 0;
}

/* Count what user space has just counted, on behalf of the kernel. */
static void judge_add_user(struct judge *judge, const struct xdp_counters *then)
{
	const __u64 *from = (const __u64 *)&judge->pass.counters, *less = (const __u64 *)then;
	__u64 *to = (__u64 *)&judge->user;

	for (size_t i = 0; i < JUDGE_WORDS; i++)
		to[i] += from[i] - less[i];
	judge->user_cnt++;
}

int judge_packet(struct judge *judge, const struct capture_packet *packet, struct xfq_meta *meta,
		 struct judge_result *result, struct xfq_error *error)
{
	struct xdp_counters then = judge->pass.counters;
	uint32_t len = 0, action = 0;
	int code;

	result->pass = first_pass_run(&judge->pass, packet->data, packet->len, packet->wire_len,
				      packet->ts_ns, meta);
	result->orphan = judge->pass.counters.orphans != then.orphans;
	result->in_user = false;
	if (!judge->kernel)
		return 0;
	code = judge_run(judge, packet, &len, &action);
	if (code < 0)
		return xfq_error_set(error, code, "a test run of the XDP program: %s",
				     strerror(-code));
	if (code > 0) {
		result->in_user = true;
		judge_add_user(judge, &then);
		return 0;
	}
	/* the kernel's own word, also where user space has another */
	if (len == packet->len + XFQ_META_BYTES)
		memcpy(meta, judge->room, sizeof(*meta));
	return judge_read(judge, action, result, error);
}

void judge_counters(const struct judge *judge, struct xdp_counters *counters)
{
	const __u64 *from = (const __u64 *)&judge->user;
	__u64 *to = (__u64 *)counters;

	if (!judge->kernel) {
		first_pass_counters(&judge->pass, counters);
		return;
	}
	if (loader_counters(&judge->loader, counters))
		memset(counters, 0, sizeof(*counters));
	for (size_t i = 0; i < JUDGE_WORDS; i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void judge_close(struct judge *judge)
{
	loader_destroy(&judge->loader);
	setmaps_destroy(&judge->maps);
	first_pass_destroy(&judge->pass);
	if (judge->socket > 0)
		close(judge->socket);
	free(judge->room);
	memset(judge, 0, sizeof(*judge));
}
