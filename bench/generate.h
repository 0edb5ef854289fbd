/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the generator program and user space share: the packets that it writes into live frames.
 * Compiles for BPF and for user space.
 */
#ifndef BENCH_GENERATE_H
#define BENCH_GENERATE_H

#include <linux/types.h>

#define GENERATE_PACKET_BYTES_MIN 60  /* of Ethernet, without the frame check sequence */
#define GENERATE_PACKET_BYTES_MAX 512 /* keeps thousands of packets in the cache */
#define GENERATE_PACKETS_MAX      65536

#define GENERATE_HEAD_WORDS 10
#define GENERATE_HEAD_BYTES (8 * GENERATE_HEAD_WORDS) /* Ethernet, IPv6, TCP, and 6 more */

/* One packet, ready to be copied; a value of the map `packets`. */
struct generate_packet {
	__u32 len; /* bytes of data, GENERATE_PACKET_BYTES_MIN to GENERATE_PACKET_BYTES_MAX */
	__u32 reserved;
	__u8 data[GENERATE_PACKET_BYTES_MAX]; /* from the Ethernet header on; 0 after len */
};

/* The beginning of a packet whose other bytes are those of all packets; a value of `heads`. */
struct generate_head {
	__u32 len; /* bytes of the packet; data after them is not sent */
	__u32 reserved;
	__u64 data[GENERATE_HEAD_WORDS];
};

_Static_assert(sizeof(struct generate_packet) == 8 + GENERATE_PACKET_BYTES_MAX, "no holes");
_Static_assert(sizeof(struct generate_head) == 8 + GENERATE_HEAD_BYTES, "no holes");

#endif
