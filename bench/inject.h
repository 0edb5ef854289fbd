/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Load without a NIC: packets are put through the XDP program that is attached to an interface, as
 * if they had arrived on one of its queues.
 *
 *	 packets ---> generate.bpf.c ---- tail call ---> attached program ---> AF_XDP socket
 *	 (a map)      BPF_PROG_TEST_RUN, live frames     (anyone's)
 *
 * The kernel runs the generator on real frames, a batch at a time (BPF_F_TEST_XDP_LIVE_FRAMES,
 * since 5.18); the generator writes the next packet into the frame and continues as the attached
 * program, whose verdict counts. The injecting thread's CPU does what a NIC's softirq would: it
 * runs the program and, where the driver cannot do without, copies packets to the AF_XDP socket.
 * A receiver that loses nothing may thus be faster than the rate it was offered.
 *
 * Where the kernel refuses the tail call (a program that an freplace program extends, such as
 * libxdp's dispatcher, on new kernels), the attached program is run itself, on INJECT_DIRECT_CNT
 * frames of a packet before the next one's turn comes. inject.direct says so.
 *
 * The kernel says of all frames of a run that they came on queue 0, whatever the run is asked for.
 * Packets for the other queues of a veth are sent: they leave through its other end, and come in on
 * the queue whose number is that of the sending CPU, modulo the number of queues. On the way there
 * is a queue of the veth, of 256; what it has no room for counts as xdp_xmit_errors of the sender.
 *
 * Setting a run up costs the kernel some 20 ms, in which it takes the generator into its list of
 * programs that XDP may run. For a load in many small portions the generator is anchored: attached
 * to a tap device of the injector's own, which is never up and ends with it. Programs that are
 * attached somewhere are on that list, and a run costs 20 us.
 *
 * Needs root, and the network namespace of the interface. One thread at a time.
 */
#ifndef BENCH_INJECT_H
#define BENCH_INJECT_H

#include "bench/generate.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define INJECT_BATCH      64   /* frames the kernel takes through the program at once, as NAPI */
#define INJECT_BATCH_MAX  256  /* TEST_XDP_MAX_BATCH of the kernel */
#define INJECT_DIRECT_CNT 4096 /* frames of one packet; fewer, and setting up a run costs more */

struct generate_bpf;

/* What to inject. */
struct inject_options {
	const struct generate_packet *packets; /* stay the caller's, and outlive the injector */
	uint32_t packet_cnt;                   /* 1 to GENERATE_PACKETS_MAX */
	bool numbered; /* each ends with a struct generate_mark; each has room for it */
	bool anchored; /* for many small runs */
	bool send;     /* out of the interface, which then needs no program */
};

struct inject {
	struct generate_bpf *generate;         /* NULL where direct */
	const struct generate_packet *packets; /* the caller's */
	uint32_t packet_cnt;
	const struct generate_packet *base; /* the longest: what the frames come with */
	uint32_t next;                      /* of packets, where direct */
	int program_fd;                     /* the attached program; -1 where packets are sent */
	int anchor_fd;                      /* the tap device; -1: none */
	uint32_t ifindex;
	uint32_t queue; /* 0, but where packets are sent */
	uint32_t batch; /* 1 to INJECT_BATCH_MAX; may be changed between runs */
	bool direct;    /* the attached program is run itself */
};

/* What a run did. */
struct inject_result {
	uint64_t packets; /* handed to the attached program */
	uint64_t ns;      /* from the first to the last of them, without the kernel's set-up */
};

/*
 * Prepare to inject into `queue` of interface `ifname`, which must be up; or to send out of it, and
 * then `queue` is what the marks of the packets say, no more. The program is the one
 * attached there now, native or generic; when it is replaced by another, create anew. Of several
 * packets, each run continues where the last one ended. A single one is never copied and so the
 * cheapest; packets that are all the same after their first GENERATE_HEAD_BYTES come next. Returns
 * 0 and a structure that inject_destroy() takes, or with nothing left to release -ENODEV (no such
 * interface), -ENOENT (no program attached), -EINVAL (no packets or too many), -EOPNOTSUPP (another
 * queue than 0; packets are to be numbered, and the kernel refuses the tail call) or what the
 * kernel said.
 */
int inject_create(struct inject *inject, const char *ifname, uint32_t queue,
		  const struct inject_options *options, struct xfq_error *error);

/*
 * Inject `packets` packets, or fewer: a signal that is handled ends the run early, and that is
 * success. Adds to `result`; its packets are exact, unless a signal ended a direct run, where up to
 * INJECT_DIRECT_CNT more went out. The set-up of a run is not in result->ns: prefer few long runs,
 * or an anchor. Returns 0, -ENODEV where the interface has gone, -EPIPE where no packet got as far
 * as the attached program, or what the kernel said: -EINVAL where it knows no live frames.
 */
int inject_run(struct inject *inject, uint64_t packets, struct inject_result *result,
	       struct xfq_error *error);

/* Release what inject_create() made; accepts zeroed memory and what failed to be created. */
void inject_destroy(struct inject *inject);

#endif
