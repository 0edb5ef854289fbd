/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet on its way through a worker, and what is done with a burst of them. */
#ifndef STEERING_PACKET_H
#define STEERING_PACKET_H

#include <stdint.h>
#include <xfq/packet.h>

/* Packets that are handled together: receive, classify, steer and publish each work on so many. A
 * 64-bit mask says something of each. */
#define PACKET_BURST 64

struct packet {
	uint8_t *data;         /* first byte, in the UMEM */
	struct xfq_meta *meta; /* the XFQ_META_BYTES before it, checked */
	uint32_t len;          /* bytes at data */
	uint32_t frame;        /* frame of the UMEM that it lies in */
};

/*
 * Consume packets in place: pkts[index[0]] ... pkts[index[cnt - 1]], whose marks are
 * marks[index[0]] and so on. They are valid only during the call and must not be changed.
 */
typedef void packet_consumer(void *context, const struct packet *pkts, const uint32_t *marks,
			     const uint8_t *index, uint32_t cnt);

#endif
