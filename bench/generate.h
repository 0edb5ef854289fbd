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

#define GENERATE_MARK_MAGIC 0x4d58 /* "XM" in little-endian memory */

/*
 * The last bytes of each packet, where packets are numbered: whoever receives them can tell whether
 * every packet of a flow came, once, and in order. In the byte order of the machine, not aligned.
 * Checksums of TCP, UDP and ICMP stay those of the packet before it was numbered, and are wrong.
 */
struct generate_mark {
	__u16 magic;    /* GENERATE_MARK_MAGIC */
	__u16 queue;    /* that it was injected into */
	__u32 flow;     /* which of the packets that are injected in turn, from 0 */
	__u64 sequence; /* of the flow's packets in this queue, from 0, in the order of injection */
};

_Static_assert(sizeof(struct generate_packet) == 8 + GENERATE_PACKET_BYTES_MAX, "no holes");
_Static_assert(sizeof(struct generate_head) == 8 + GENERATE_HEAD_BYTES, "no holes");
_Static_assert(sizeof(struct generate_mark) == 16, "no holes");

#endif
