/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Made-up traffic in which every packet says which one it is, so that who receives it can tell
 * whether it is whole, in order, and nobody else's.
 *
 *	traffic_write(path, flows, packets)	a capture file: packet i is of flow i % flows, its
 *						(i / flows)-th; both directions in turn; IPv4 and
 *						IPv6, TCP port 80 and UDP port 53; eight flows
 *						of each host
 *	traffic_build(&b, flows, i)		the packet alone
 *	tally_create(&tally, flows, packets)	who has received what, over all members of a group
 *	tally_take(&tally, &taker, data, len)	one of them receives a packet; any thread
 *
 * A condition that does not hold ends the program through TRAFFIC_REQUIRE, in any thread.
 */
#ifndef TESTS_TRAFFIC_H
#define TESTS_TRAFFIC_H

#include "tests/packet_builder.h"
#include "workers/pcapng.h"
#include <stdio.h>
#include <stdlib.h>

#define TRAFFIC_REQUIRE(condition)                                                                 \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define TRAFFIC_TS_NS   1700000000000000000ULL /* of packet 0; each next one is 1 us later */
#define TRAFFIC_SNAPLEN 1500
#define TRAFFIC_KINDS   4 /* of flows: flow % 4 is IPv4 TCP, IPv4 UDP, IPv6 TCP, IPv6 UDP */

/* The last bytes of each packet. */
struct traffic_stamp {
	uint32_t index, flow, seq;
	uint32_t sum; /* over all that is in front of it */
};

/* FNV-1a, 32 bits. */
static inline uint32_t traffic_sum(const uint8_t *bytes, uint32_t len)
{
	uint32_t sum = 2166136261u;

	for (uint32_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

static inline void traffic_build(struct packet_builder *b, uint32_t flow_cnt, uint32_t i)
{
	struct traffic_stamp stamp = {.index = i, .flow = i % flow_cnt, .seq = i / flow_cnt};
	uint32_t near = 0x0a000000 + stamp.flow / 8, far = 0x0b000001;
	uint32_t near_port = 1024 + stamp.flow % 8, far_port = stamp.flow % 2 ? 53 : 80;
	bool back = stamp.seq % 2;

	packet_start(b);
	if (stamp.flow % TRAFFIC_KINDS < 2)
		packet_ipv4(b, back ? far : near, back ? near : far, 0);
	else
		packet_ipv6(b, back ? far : near, back ? near : far);
	if (stamp.flow % 2)
		packet_udp(b, back ? far_port : near_port, back ? near_port : far_port);
	else
		packet_tcp(b, back ? far_port : near_port, back ? near_port : far_port, 0);
	packet_payload(b, i % 100 + sizeof(stamp));
	packet_finish(b);
	memcpy(b->bytes + b->len - sizeof(stamp), &stamp, sizeof(stamp));
	stamp.sum = traffic_sum(b->bytes, b->len - sizeof(stamp.sum));
	memcpy(b->bytes + b->len - sizeof(stamp.sum), &stamp.sum, sizeof(stamp.sum));
}

static inline void traffic_write(const char *path, uint32_t flow_cnt, uint32_t packet_cnt)
{
	struct packet_builder b;
	struct pcapng pcapng;

	TRAFFIC_REQUIRE(pcapng_create(&pcapng, path, NULL, TRAFFIC_SNAPLEN, NULL) == 0);
	for (uint32_t i = 0; i < packet_cnt; i++) {
		traffic_build(&b, flow_cnt, i);
		TRAFFIC_REQUIRE(pcapng_write(&pcapng, b.bytes, b.len, b.len,
					     TRAFFIC_TS_NS + i * 1000ULL) == 0);
	}
	TRAFFIC_REQUIRE(pcapng_close(&pcapng, packet_cnt, 0, NULL) == 0);
}

/* Read the stamp of a packet, which must be whole. */
static inline struct traffic_stamp traffic_read(const uint8_t *data, uint32_t len)
{
	struct traffic_stamp stamp;

	TRAFFIC_REQUIRE(len > sizeof(stamp));
	memcpy(&stamp, data + len - sizeof(stamp), sizeof(stamp));
	TRAFFIC_REQUIRE(stamp.sum == traffic_sum(data, len - sizeof(stamp.sum)));
	return stamp;
}

/* What the members of a group have received, all together. */
struct tally {
	uint32_t flow_cnt, packet_cnt;
	uint8_t *seen;   /* how often each packet */
	int32_t *owners; /* who has each flow; -1: nobody yet */
	bool loyal;      /* a flow stays with one member */
};

/* What one of them has. */
struct taker {
	int32_t id;
	uint32_t *next; /* of each flow: the first seq that may come */
	uint64_t packets, bytes;
};

static inline void tally_create(struct tally *tally, uint32_t flow_cnt, uint32_t packet_cnt,
				bool loyal)
{
	*tally = (struct tally){.flow_cnt = flow_cnt, .packet_cnt = packet_cnt, .loyal = loyal};
	tally->seen = calloc(packet_cnt, sizeof(*tally->seen));
	tally->owners = malloc(flow_cnt * sizeof(*tally->owners));
	TRAFFIC_REQUIRE(tally->seen && tally->owners);
	for (uint32_t i = 0; i < flow_cnt; i++)
		tally->owners[i] = -1;
}

static inline void tally_destroy(struct tally *tally)
{
	free(tally->seen);
	free(tally->owners);
	memset(tally, 0, sizeof(*tally));
}

static inline void taker_create(struct taker *taker, const struct tally *tally, int32_t id)
{
	*taker = (struct taker){.id = id};
	taker->next = calloc(tally->flow_cnt, sizeof(*taker->next));
	TRAFFIC_REQUIRE(taker->next);
}

static inline void taker_destroy(struct taker *taker)
{
	free(taker->next);
	taker->next = NULL;
}

/* A packet has come: whole, after those of its flow that this one had before, and where flows are
 * to stay, nobody else's. */
static inline struct traffic_stamp tally_take(struct tally *tally, struct taker *taker,
					      const uint8_t *data, uint32_t len)
{
	struct traffic_stamp stamp = traffic_read(data, len);
	int32_t owner = -1;

	TRAFFIC_REQUIRE(stamp.index < tally->packet_cnt && stamp.flow < tally->flow_cnt);
	TRAFFIC_REQUIRE(stamp.index == stamp.seq * tally->flow_cnt + stamp.flow);
	TRAFFIC_REQUIRE(stamp.seq >= taker->next[stamp.flow]);
	taker->next[stamp.flow] = stamp.seq + 1;
	taker->packets++;
	taker->bytes += len;
	__atomic_fetch_add(&tally->seen[stamp.index], 1, __ATOMIC_RELAXED);
	if (tally->loyal &&
	    !__atomic_compare_exchange_n(&tally->owners[stamp.flow], &owner, taker->id, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		TRAFFIC_REQUIRE(owner == taker->id);
	return stamp;
}

/* How many packets were seen, none of them more than `times` times. */
static inline uint64_t tally_sum(const struct tally *tally, uint32_t times)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < tally->packet_cnt; i++) {
		TRAFFIC_REQUIRE(tally->seen[i] <= times);
		sum += tally->seen[i];
	}
	return sum;
}

#endif
