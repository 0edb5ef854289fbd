/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Built-in consumers: what `xfq run` does with a group's packets when no application takes them.
 *
 * A sink belongs to one thread: a member's own, or one worker for a member that is handled there. A
 * file that several workers write for the same member is shared under a lock, taken once a burst.
 */
#ifndef WORKERS_SINK_H
#define WORKERS_SINK_H

#include "steering/packet.h"
#include "workers/pcapng.h"
#include <pthread.h>
#include <stdint.h>
#include <xfq/error.h>

/* A capture file and the lock around it. */
struct sink_file {
	struct pcapng pcapng;
	pthread_mutex_t lock;
};

struct sink {
	struct sink_file *file; /* NULL: count only */
	uint64_t packets;       /* consumed; one writer, anyone reads */
	uint64_t bytes;         /* on the wire */
} __attribute__((aligned(64)));

/* Create DIR/GROUP.MEMBER.pcapng, and DIR if it does not exist. 0 or -errno with a sentence; the
 * caller owes a sink_file_close(). */
int sink_file_open(struct sink_file *file, const char *dir, const char *group, uint32_t member,
		   const char *interface, struct xfq_error *error);

/* Write out and close, with the packets that came and that were lost before they came here as the
 * file's statistics. 0, or the first write that failed, with a sentence. Safe on zeroed memory. */
int sink_file_close(struct sink_file *file, uint64_t received, uint64_t lost,
		    struct xfq_error *error);

/* A packet_consumer; `context` is the struct sink. */
void sink_consume(void *context, const struct packet *pkts, const uint8_t *index, uint32_t cnt);

#endif
