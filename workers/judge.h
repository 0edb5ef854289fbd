/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass over packets of a capture file, by the program that would run on an interface:
 * loaded, attached nowhere, and run on each packet by BPF_PROG_TEST_RUN at the packet's own time.
 * Or by the same rules in user space.
 *
 * The kernel does not take every packet: none below 14 bytes or beyond what a test run holds, and
 * one that the capture has cut would be another packet. Those are judged in user space, where all
 * packets have been seen, so that what is remembered of earlier ones is there too.
 *
 * One thread.
 */
#ifndef WORKERS_JUDGE_H
#define WORKERS_JUDGE_H

#include "workers/capture.h"
#include "xdp/first_pass.h"
#include "xdp/loader.h"
#include <stdbool.h>

#define JUDGE_PACKET_MIN 14

struct judge {
	struct first_pass pass; /* sees every packet */
	bool kernel;
	struct setmaps maps;
	struct loader loader;
	int socket;                 /* for what is steered: never bound, nothing arrives */
	struct xdp_counters before; /* the kernel's, up to the last packet */
	struct xdp_counters user;   /* of packets that the kernel did not take */
	uint64_t user_cnt;          /* those packets */
	uint8_t *room;              /* for a packet as the kernel leaves it, behind its metadata */
};

/* What became of a packet. */
struct judge_result {
	struct first_pass_result pass;
	bool orphan;  /* a fragment that came without its first one */
	bool in_user; /* the kernel did not take the packet */
};

struct judge_options {
	const struct filter *filter; /* with its sets, outlives the judge, or what replaces it */
	uint64_t hash_seed;
	uint8_t generation; /* written into the metadata; 0: none */
	bool kernel;        /* else in user space, which needs no privileges */
};

/* Load the program, if that is wanted. 0, or -errno with a sentence, as loader_load(): -EPERM
 * without the privileges. The caller owes a judge_close(). */
int judge_open(struct judge *judge, const struct judge_options *options, struct xfq_error *error);

/* Judge by another filter from now on; what both have goes on. 0, or -errno with a sentence. */
int judge_replace(struct judge *judge, const struct filter *filter, uint8_t generation,
		  struct xfq_error *error);

/* Judge a packet, and fill its metadata, but for ts_ns. 0, or -errno with a sentence where the
 * kernel fails. */
int judge_packet(struct judge *judge, const struct capture_packet *packet, struct xfq_meta *meta,
		 struct judge_result *result, struct xfq_error *error);

/* All that was counted; any thread. */
void judge_counters(const struct judge *judge, struct xdp_counters *counters);

/* Safe on zeroed memory. */
void judge_close(struct judge *judge);

#endif
