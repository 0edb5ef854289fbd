/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/inject.h"
#include "generate.skel.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INJECT_CALL_CNT (1u << 30) /* packets of one system call: the kernel counts in an int */

/* The id of the attached program, or 0. */
static uint32_t inject_query(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	if (bpf_xdp_query((int)ifindex, 0, &opts))
		return 0;
	if (opts.attach_mode == XDP_ATTACHED_MULTI)
		return opts.drv_prog_id ? opts.drv_prog_id : opts.skb_prog_id;
	return opts.prog_id;
}

/* Whether all packets, as far as they go, are the same after their heads. */
static bool inject_heads_only(const struct inject *inject)
{
	const struct generate_packet *base = inject->base;

	if (base->len < GENERATE_HEAD_BYTES)
		return false;
	for (uint32_t i = 0; i < inject->packet_cnt; i++) {
		const struct generate_packet *packet = &inject->packets[i];

		if (packet->len > GENERATE_HEAD_BYTES &&
		    memcmp(packet->data + GENERATE_HEAD_BYTES, base->data + GENERATE_HEAD_BYTES,
			   packet->len - GENERATE_HEAD_BYTES))
			return false;
	}
	return true;
}

/* Put the program and the packets into the maps that the generator was loaded for. */
static int inject_fill(struct inject *inject)
{
	struct bpf_map *packets = inject->generate->maps.packets;
	struct bpf_map *heads = inject->generate->maps.heads;
	uint32_t slot = 0;
	int err = 0;

	if (inject->program_fd >= 0)
		err = bpf_map__update_elem(inject->generate->maps.target, &slot, sizeof(slot),
					   &inject->program_fd, sizeof(inject->program_fd),
					   BPF_ANY);
	for (uint32_t i = 0; i < inject->packet_cnt && !err; i++) {
		const struct generate_packet *packet = &inject->packets[i];
		struct generate_head head = {.len = packet->len};

		memcpy(head.data, packet->data, sizeof(head.data));
		err = inject->generate->rodata->heads_only
			      ? bpf_map__update_elem(heads, &i, sizeof(i), &head, sizeof(head),
						     BPF_ANY)
			      : bpf_map__update_elem(packets, &i, sizeof(i), packet,
						     sizeof(*packet), BPF_ANY);
	}
	return err;
}

/*
 * Load the generator with these program flags and attach type and put the attached program behind
 * it. Returns 0, or -errno with nothing left behind.
 */
static int inject_load(struct inject *inject, const struct inject_options *options, uint32_t flags,
		       enum bpf_attach_type type)
{
	struct generate_bpf *generate = generate_bpf__open();
	int err;

	if (!generate)
		return -errno;
	inject->generate = generate;
	generate->rodata->packet_cnt = inject->packet_cnt;
	generate->rodata->frame_len = inject->base->len;
	generate->rodata->numbered = options->numbered;
	generate->rodata->queue = inject->queue;
	generate->rodata->send_ifindex = options->send ? inject->ifindex : 0;
	bpf_program__set_flags(generate->progs.generate, flags);
	bpf_program__set_expected_attach_type(generate->progs.generate, type);
	generate->rodata->heads_only = inject_heads_only(inject);
	err = bpf_map__set_max_entries(generate->rodata->heads_only ? generate->maps.heads
								    : generate->maps.packets,
				       inject->packet_cnt);
	if (!err)
		err = generate_bpf__load(generate);
	if (!err)
		err = inject_fill(inject);
	if (err) {
		generate_bpf__destroy(generate);
		inject->generate = NULL;
	}
	return err;
}

/*
 * The kernel lets a program continue only as one that was loaded alike, and does not say how that
 * was: try what there is, the usual way first.
 */
static int inject_load_alike(struct inject *inject, const struct inject_options *options)
{
	static const struct {
		uint32_t flags;
		enum bpf_attach_type type;
	} ways[] = {
		{0, BPF_XDP},
		{BPF_F_XDP_HAS_FRAGS, BPF_XDP},
		{0, BPF_CGROUP_INET_INGRESS}, /* 0: the loader said nothing */
		{BPF_F_XDP_HAS_FRAGS, BPF_CGROUP_INET_INGRESS},
	};
	int err = -EINVAL;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && err == -EINVAL; i++)
		err = inject_load(inject, options, ways[i].flags, ways[i].type);
	return err;
}

/* Attach the generator to a device where it never runs, so that the kernel keeps it ready. */
static int inject_anchor(struct inject *inject)
{
	struct ifreq request = {.ifr_name = "xfqgen%d", .ifr_flags = IFF_TAP | IFF_NO_PI};

	inject->anchor_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (inject->anchor_fd < 0 || ioctl(inject->anchor_fd, TUNSETIFF, &request))
		return -errno;
	return bpf_xdp_attach((int)if_nametoindex(request.ifr_name),
			      bpf_program__fd(inject->generate->progs.generate), 0, NULL);
}

/* Put the generator in front of the attached program, or find that the kernel wants none there. */
static int inject_prepare(struct inject *inject, const char *ifname,
			  const struct inject_options *options, struct xfq_error *error)
{
	int err = inject_load_alike(inject, options);

	inject->direct = err == -EINVAL || err == -EBUSY;
	if (inject->direct && options->numbered)
		return xfq_error_set(error, -EOPNOTSUPP,
				     "%s: its packets cannot be numbered: the kernel lets no "
				     "generator run before its XDP program",
				     ifname);
	if (inject->direct)
		return 0;
	if (err)
		return xfq_error_set(error, err, "%s: cannot load the generator: %s", ifname,
				     strerror(-err));
	err = options->anchored ? inject_anchor(inject) : 0;
	if (err)
		xfq_error_set(error, err, "keeping the generator ready on a tap device: %s",
			      strerror(-err));
	return err;
}

/* Open the program that is attached to the interface. */
static int inject_open_program(struct inject *inject, const char *ifname, struct xfq_error *error)
{
	uint32_t id = inject_query(inject->ifindex);

	if (inject->queue)
		return xfq_error_set(error, -EOPNOTSUPP,
				     "%s: the kernel injects into queue 0, and not %u; packets for "
				     "other queues can be sent",
				     ifname, inject->queue);
	if (!id)
		return xfq_error_set(error, -ENOENT,
				     "%s: no XDP program attached: start the receiver first",
				     ifname);
	inject->program_fd = bpf_prog_get_fd_by_id(id);
	if (inject->program_fd < 0)
		return xfq_error_set(error, -errno, "%s: cannot open its XDP program %u: %s",
				     ifname, id, strerror(errno));
	return 0;
}

int inject_create(struct inject *inject, const char *ifname, uint32_t queue,
		  const struct inject_options *options, struct xfq_error *error)
{
	const struct generate_packet *packets = options->packets;
	uint32_t packet_cnt = options->packet_cnt;
	int err = 0;

	memset(inject, 0, sizeof(*inject));
	inject->program_fd = inject->anchor_fd = -1;
	inject->packets = packets;
	inject->packet_cnt = packet_cnt;
	inject->queue = queue;
	inject->batch = INJECT_BATCH;
	if (!packet_cnt || packet_cnt > GENERATE_PACKETS_MAX)
		return xfq_error_set(error, -EINVAL, "%u packets to inject: 1 to %u are possible",
				     packet_cnt, GENERATE_PACKETS_MAX);
	inject->base = &packets[0];
	for (uint32_t i = 1; i < packet_cnt; i++)
		if (packets[i].len > inject->base->len)
			inject->base = &packets[i];
	inject->ifindex = if_nametoindex(ifname);
	if (!inject->ifindex)
		return xfq_error_set(error, -ENODEV, "%s: no such interface in this namespace",
				     ifname);
	if (!options->send)
		err = inject_open_program(inject, ifname, error);
	if (!err)
		err = inject_prepare(inject, ifname, options, error);
	if (err)
		inject_destroy(inject);
	return err;
}

/* Run `program_fd` on `cnt` frames that start as `packet`. Returns 0, -EINTR or another -errno. */
static int inject_call(const struct inject *inject, int program_fd,
		       const struct generate_packet *packet, uint64_t cnt)
{
	struct xdp_md ctx = {
		.data_end = packet->len,
		.ingress_ifindex = inject->ifindex,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data, .data_size_in = packet->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = (int)cnt,
		    .batch_size = inject->batch, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	return bpf_prog_test_run_opts(program_fd, &opts) ? -errno : 0;
}

static uint64_t inject_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One system call's worth, at most `cnt`. Adds to `result` also where it fails. */
static int inject_run_generator(struct inject *inject, uint64_t cnt, struct inject_result *result)
{
	struct generate_bpf__bss *counters = inject->generate->bss;
	int err;

	counters->injected_cnt = 0;
	err = inject_call(inject, bpf_program__fd(inject->generate->progs.generate), inject->base,
			  cnt);
	if (!err && !counters->injected_cnt)
		err = -EPIPE;
	result->packets += counters->injected_cnt;
	/* the last stamp lies a few packets back: stretch to them */
	if (counters->stamped_cnt && counters->injected_cnt)
		result->ns +=
			(uint64_t)((double)(counters->stamped_ns - counters->started_ns) *
				   (double)counters->injected_cnt / (double)counters->stamped_cnt);
	return err;
}

static int inject_run_direct(struct inject *inject, uint64_t cnt, struct inject_result *result)
{
	const struct generate_packet *packet = &inject->packets[inject->next];
	uint64_t start_ns = inject_now_ns();
	int err;

	if (cnt > INJECT_DIRECT_CNT)
		cnt = INJECT_DIRECT_CNT;
	err = inject_call(inject, inject->program_fd, packet, cnt);
	inject->next = (inject->next + 1) % inject->packet_cnt;
	result->ns += inject_now_ns() - start_ns;
	result->packets += err ? 0 : cnt;
	return err;
}

int inject_run(struct inject *inject, uint64_t packets, struct inject_result *result,
	       struct xfq_error *error)
{
	uint64_t end = result->packets + packets;
	char name[IF_NAMESIZE];
	int err = 0;

	while (!err && result->packets < end) {
		uint64_t left = end - result->packets;
		uint64_t cnt = left < INJECT_CALL_CNT ? left : INJECT_CALL_CNT;

		err = inject->direct ? inject_run_direct(inject, cnt, result)
				     : inject_run_generator(inject, cnt, result);
	}
	if (!err || err == -EINTR)
		return 0;
	if (!if_indextoname(inject->ifindex, name))
		return xfq_error_set(error, -ENODEV, "the interface to inject into is gone");
	if (err == -EINVAL)
		return xfq_error_set(error, err,
				     "%s: the kernel refuses to inject: is this Linux 5.18 or "
				     "later?",
				     name);
	return xfq_error_set(error, err, "%s: cannot inject: %s", name,
			     err == -EPIPE ? "no packet reached its program" : strerror(-err));
}

void inject_destroy(struct inject *inject)
{
	if (inject->generate)
		generate_bpf__destroy(inject->generate);
	if (inject->program_fd > 0)
		close(inject->program_fd);
	if (inject->anchor_fd > 0)
		close(inject->anchor_fd);
	memset(inject, 0, sizeof(*inject));
}
