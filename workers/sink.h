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
	int told; /* that writing failed */
};

struct sink {
	struct sink_file *file; /* NULL: count only */
	uint64_t packets;       /* consumed; one writer, anyone reads */
	uint64_t bytes;         /* on the wire */
} __attribute__((aligned(64)));

/* Open DIR/GROUP.MEMBER.pcapng, and make DIR if it does not exist; nothing of an older file is
 * touched before sink_file_begin(). 0 or -errno with a sentence; the caller owes a
 * sink_file_close(). */
int sink_file_open(struct sink_file *file, const char *dir, const char *group, uint32_t member,
		   const char *interface, struct xfq_error *error);

/* Begin the file: what was in it is gone. 0 or -errno with a sentence. */
int sink_file_begin(struct sink_file *file, struct xfq_error *error);

/* Let readers see what was written so far. Any thread. 0; or, the first time only, that writing has
 * failed, with a sentence. */
int sink_file_flush(struct sink_file *file, struct xfq_error *error);

/* Packets that were delivered, but could not be written. Any thread. */
uint64_t sink_file_unwritten(struct sink_file *file);

/* Write out and close, with the packets that came and that were lost before they came here as the
 * file's statistics. 0, or the first write that failed, with a sentence. Safe on zeroed memory. */
int sink_file_close(struct sink_file *file, uint64_t received, uint64_t lost,
		    struct xfq_error *error);

/* A packet_consumer; `context` is the struct sink. */
void sink_consume(void *context, const struct packet *pkts, const uint32_t *marks,
		  const uint8_t *index, uint32_t cnt);

#endif
