/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets for holding two builds of a program against each other: those of capture files, made-up
 * ones of every shape that the parser knows, and mutations of both. The same seed gives the same
 * packets. Nothing here uses the parser that is tested.
 *
 *	corpus_captures, corpus_shapes, corpus_cuts, corpus_mutations	each appends
 *	corpus_destroy
 *
 * A packet has `min_bytes` to `max_bytes`: a shorter one is left out, a longer one cut; both are
 * counted.
 */
#ifndef TESTS_BPF_CORPUS_H
#define TESTS_BPF_CORPUS_H

#include "workers/capture.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct corpus_packet {
	uint8_t *data;
	uint32_t len;
};

struct corpus {
	struct corpus_packet *packets;
	size_t cnt, room;
	uint32_t min_bytes, max_bytes;
	size_t short_cnt;   /* left out */
	size_t cut_cnt;     /* cut to max_bytes */
	size_t file_cnt;    /* capture files read */
	size_t refused_cnt; /* files that are no Ethernet capture, or broken before their end */
	uint64_t random;
};

/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators" */
static uint32_t corpus_random(struct corpus *corpus)
{
	corpus->random ^= corpus->random >> 12;
	corpus->random ^= corpus->random << 25;
	corpus->random ^= corpus->random >> 27;
	return (uint32_t)((corpus->random * 0x2545f4914f6cdd1dULL) >> 32);
}

static uint32_t corpus_below(struct corpus *corpus, uint32_t bound)
{
	return corpus_random(corpus) % bound;
}

static inline void corpus_init(struct corpus *corpus, uint64_t seed, uint32_t min_bytes,
			       uint32_t max_bytes)
{
	*corpus = (struct corpus){.min_bytes = min_bytes, .max_bytes = max_bytes, .random = seed};
}

static inline void corpus_destroy(struct corpus *corpus)
{
	for (size_t i = 0; i < corpus->cnt; i++)
		free(corpus->packets[i].data);
	free(corpus->packets);
	corpus->packets = NULL;
	corpus->cnt = corpus->room = 0;
}

/* Without memory the test ends. */
static void corpus_add(struct corpus *corpus, const uint8_t *data, uint32_t len)
{
	if (len < corpus->min_bytes) {
		corpus->short_cnt++;
		return;
	}
	if (len > corpus->max_bytes) {
		corpus->cut_cnt++;
		len = corpus->max_bytes;
	}
	if (corpus->cnt == corpus->room) {
		corpus->room = corpus->room ? corpus->room * 2 : 1024;
		corpus->packets =
			reallocarray(corpus->packets, corpus->room, sizeof(*corpus->packets));
		if (!corpus->packets)
			abort();
	}
	corpus->packets[corpus->cnt] = (struct corpus_packet){.data = malloc(len), .len = len};
	if (!corpus->packets[corpus->cnt].data)
		abort();
	memcpy(corpus->packets[corpus->cnt++].data, data, len);
}

static void corpus_capture(struct corpus *corpus, const char *path)
{
	struct capture capture;
	struct capture_packet packet;
	int code;

	if (capture_open(&capture, path, NULL)) {
		corpus->refused_cnt++;
		return;
	}
	corpus->file_cnt++;
	while ((code = capture_next(&capture, &packet, NULL)) == 1)
		corpus_add(corpus, packet.data, packet.len);
	corpus->refused_cnt += code < 0;
	capture_close(&capture);
}

/* Every packet of every Ethernet capture in a folder, in the order of the names. 0 or -errno. */
static inline int corpus_captures(struct corpus *corpus, const char *dir)
{
	struct dirent **entries;
	int cnt = scandir(dir, &entries, NULL, alphasort);
	char path[4096 + 256];

	if (cnt < 0)
		return -errno;
	for (int i = 0; i < cnt; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
			corpus_capture(corpus, path);
		}
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* --- made-up packets ------------------------------------------------------------------------- */

enum corpus_l3 {
	CORPUS_IPV4 = 0,
	CORPUS_IPV4_OPTIONS,
	CORPUS_IPV4_FIRST, /* fragment */
	CORPUS_IPV4_NEXT,
	CORPUS_IPV4_LAST,
	CORPUS_IPV4_LENGTH_0, /* as segmentation offload leaves it */
	CORPUS_IPV6,
	CORPUS_IPV6_LENGTH_0,
	CORPUS_IPV6_HOPOPTS,
	CORPUS_IPV6_ROUTING,
	CORPUS_IPV6_AH,
	CORPUS_IPV6_WHOLE, /* an atomic fragment */
	CORPUS_IPV6_FIRST,
	CORPUS_IPV6_NEXT,
	CORPUS_IPV6_LAST,
	CORPUS_IPV6_CHAIN_8, /* as many extension headers as are followed */
	CORPUS_IPV6_CHAIN_9,
	CORPUS_IPV6_NONE, /* no next header */
	CORPUS_L3_CNT
};

static const uint16_t corpus_tags[][3] = {
	{0}, {0x8100}, {0x88a8}, {0x9100, 0x8100}, {0x88a8, 0x8100}, {0x8100, 0x8100, 0x8100},
};
#define CORPUS_TAGS (sizeof(corpus_tags) / sizeof(corpus_tags[0]))

static const uint8_t corpus_protos[] = {6, 17, 1, 58, 132, 47, 50, 4, 41, 255};
#define CORPUS_PROTOS sizeof(corpus_protos)

static const uint16_t corpus_ports[] = {0, 1, 22, 53, 80, 443, 1023, 1024, 5353, 49152, 65535};
#define CORPUS_PORTS (sizeof(corpus_ports) / sizeof(corpus_ports[0]))

/* A packet being built. */
struct corpus_build {
	uint8_t data[4096];
	uint32_t len;
};

static void corpus_put8(struct corpus_build *build, uint32_t value)
{
	if (build->len < sizeof(build->data))
		build->data[build->len++] = (uint8_t)value;
}

static void corpus_put16(struct corpus_build *build, uint32_t value)
{
	corpus_put8(build, value >> 8);
	corpus_put8(build, value);
}

static void corpus_put32(struct corpus_build *build, uint32_t value)
{
	corpus_put16(build, value >> 16);
	corpus_put16(build, value);
}

static void corpus_put_zeros(struct corpus_build *build, uint32_t cnt)
{
	while (cnt-- > 0)
		corpus_put8(build, 0);
}

static void corpus_put_link(struct corpus_build *build, const uint16_t tags[3], uint32_t type)
{
	for (uint32_t i = 0; i < 12; i++)
		corpus_put8(build, i == 0 ? 0x02 : i * 17);
	for (uint32_t i = 0; i < 3 && tags[i]; i++) {
		corpus_put16(build, tags[i]);
		corpus_put16(build, 100 + i);
	}
	corpus_put16(build, type);
}

static uint32_t corpus_port(struct corpus *corpus)
{
	return corpus_ports[corpus_below(corpus, CORPUS_PORTS)];
}

static void corpus_put_l4(struct corpus *corpus, struct corpus_build *build, uint8_t proto)
{
	uint32_t payload = corpus_below(corpus, 24);
	uint32_t options = proto == 6 ? corpus_below(corpus, 11) : 0;

	if (proto == 6 || proto == 17 || proto == 132) {
		corpus_put16(build, corpus_port(corpus));
		corpus_put16(build, corpus_port(corpus));
	}
	if (proto == 6) {
		corpus_put32(build, corpus_random(corpus));
		corpus_put32(build, corpus_random(corpus));
		corpus_put16(build, (5 + options) << 12 | 0x18);
		corpus_put_zeros(build, 6 + options * 4);
	} else if (proto == 17) {
		corpus_put16(build, 8 + payload);
		corpus_put16(build, 0);
	} else {
		corpus_put32(build, corpus_random(corpus));
		corpus_put32(build, corpus_random(corpus));
	}
	corpus_put_zeros(build, payload);
}

/* Set a 16-bit field that counts from `from` to the end. */
static void corpus_set_length(struct corpus_build *build, uint32_t at, uint32_t from)
{
	build->data[at] = (uint8_t)((build->len - from) >> 8);
	build->data[at + 1] = (uint8_t)(build->len - from);
}

static void corpus_put_ipv4(struct corpus *corpus, struct corpus_build *build, enum corpus_l3 l3,
			    uint8_t proto)
{
	static const uint16_t fragment[CORPUS_L3_CNT] = {[CORPUS_IPV4_FIRST] = 0x2000,
							 [CORPUS_IPV4_NEXT] = 0x2001,
							 [CORPUS_IPV4_LAST] = 0x00b9};
	uint32_t at = build->len;
	uint32_t options = l3 == CORPUS_IPV4_OPTIONS ? 1 + corpus_below(corpus, 10) : 0;

	corpus_put16(build, 0x4500 + (options << 8));
	corpus_put16(build, 0);
	corpus_put16(build, 1234);
	corpus_put16(build, fragment[l3]);
	corpus_put16(build, 64u << 8 | proto);
	corpus_put16(build, 0);
	corpus_put32(build, 0x0a000000 + corpus_below(corpus, 4));
	corpus_put32(build, 0xc0000200 + corpus_below(corpus, 256));
	corpus_put_zeros(build, options * 4);
	corpus_put_l4(corpus, build, proto);
	if (l3 != CORPUS_IPV4_LENGTH_0)
		corpus_set_length(build, at + 2, at);
}

/* An extension header of type `type`, before one of type `next`, with `extra` units after its
 * first 8 bytes. */
static void corpus_put_extension(struct corpus_build *build, uint8_t type, uint8_t next,
				 uint32_t extra, uint32_t fragment)
{
	corpus_put8(build, next);
	if (type == 44) {
		corpus_put8(build, 0);
		corpus_put16(build, fragment);
		corpus_put32(build, 4321);
	} else {
		corpus_put8(build, type == 51 ? extra * 2 : extra);
		corpus_put_zeros(build, 6 + extra * 8);
	}
}

static void corpus_put_ipv6(struct corpus *corpus, struct corpus_build *build, const uint8_t *types,
			    uint32_t type_cnt, uint32_t fragment, uint8_t proto)
{
	uint32_t at = build->len;

	corpus_put32(build, 0x60000000);
	corpus_put16(build, 0);
	corpus_put8(build, type_cnt ? types[0] : proto);
	corpus_put8(build, 64);
	for (uint32_t end = 0; end < 2; end++) {
		corpus_put32(build, 0x20010db8);
		corpus_put32(build, end);
		corpus_put32(build, corpus_below(corpus, 2));
		corpus_put32(build, corpus_below(corpus, 4));
	}
	for (uint32_t i = 0; i < type_cnt; i++)
		corpus_put_extension(build, types[i], i + 1 < type_cnt ? types[i + 1] : proto,
				     corpus_below(corpus, 3), fragment);
	if (proto != 59)
		corpus_put_l4(corpus, build, proto);
	corpus_set_length(build, at + 4, at + 40);
}

static void corpus_put_l3(struct corpus *corpus, struct corpus_build *build, enum corpus_l3 l3,
			  uint8_t proto)
{
	static const struct {
		uint8_t types[9], cnt;
		uint16_t fragment;
	} chains[CORPUS_L3_CNT] = {
		[CORPUS_IPV6_HOPOPTS] = {{0}, 1, 0},
		[CORPUS_IPV6_ROUTING] = {{0, 43, 60}, 3, 0},
		[CORPUS_IPV6_AH] = {{60, 51}, 2, 0},
		[CORPUS_IPV6_WHOLE] = {{44}, 1, 0},
		[CORPUS_IPV6_FIRST] = {{0, 44}, 2, 0x0001},
		[CORPUS_IPV6_NEXT] = {{44, 60}, 2, 0x0009},
		[CORPUS_IPV6_LAST] = {{43, 44}, 2, 0x05c8},
		[CORPUS_IPV6_CHAIN_8] = {{0, 60, 43, 44, 51, 60, 135, 139}, 8, 0},
		[CORPUS_IPV6_CHAIN_9] = {{0, 60, 43, 44, 51, 60, 135, 139, 140}, 9, 0},
	};
	uint32_t at = build->len;

	if (l3 < CORPUS_IPV6) {
		corpus_put_ipv4(corpus, build, l3, proto);
		return;
	}
	corpus_put_ipv6(corpus, build, chains[l3].types, chains[l3].cnt, chains[l3].fragment,
			l3 == CORPUS_IPV6_NONE ? 59 : proto);
	if (l3 == CORPUS_IPV6_LENGTH_0)
		build->data[at + 4] = build->data[at + 5] = 0;
}

/* Every combination of VLAN tags, network header and protocol; then what is not IP. */
static inline void corpus_shapes(struct corpus *corpus)
{
	static const uint16_t others[] = {0x0806, 0x8847, 0x8863, 0x8864, 0x88cc, 0, 46, 0xffff};
	struct corpus_build build;

	for (uint32_t tags = 0; tags < CORPUS_TAGS; tags++)
		for (uint32_t l3 = 0; l3 < CORPUS_L3_CNT; l3++)
			for (uint32_t proto = 0; proto < CORPUS_PROTOS; proto++) {
				build.len = 0;
				corpus_put_link(&build, corpus_tags[tags],
						l3 < CORPUS_IPV6 ? 0x0800 : 0x86dd);
				corpus_put_l3(corpus, &build, (enum corpus_l3)l3,
					      corpus_protos[proto]);
				corpus_add(corpus, build.data, build.len);
			}
	for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		build.len = 0;
		corpus_put_link(&build, corpus_tags[i % CORPUS_TAGS], others[i]);
		corpus_put_zeros(&build, i * 9);
		corpus_add(corpus, build.data, build.len);
	}
}

/* The first `cnt` packets of `from`, cut at every length. */
static inline void corpus_cuts(struct corpus *corpus, const struct corpus *from, size_t cnt)
{
	for (size_t i = 0; i < cnt && i < from->cnt; i++)
		for (uint32_t len = corpus->min_bytes; len < from->packets[i].len; len++)
			corpus_add(corpus, from->packets[i].data, len);
}

/* --- mutations ------------------------------------------------------------------------------- */

/* Where the network header is, by the tags alone. */
static uint32_t corpus_l3_off(const struct corpus_build *build)
{
	uint32_t off = 12;

	while (off + 4 < build->len) {
		uint32_t type = (uint32_t)build->data[off] << 8 | build->data[off + 1];

		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			break;
		off += 4;
	}
	return off + 2;
}

static void corpus_set16(struct corpus_build *build, uint32_t at, uint32_t value)
{
	if (at + 2 > build->len)
		return;
	build->data[at] = (uint8_t)(value >> 8);
	build->data[at + 1] = (uint8_t)value;
}

/* A length that is wrong by a little, at an edge, or altogether. */
static uint32_t corpus_lie(struct corpus *corpus, const struct corpus_build *build)
{
	static const uint16_t edges[] = {0,  1,  4,  7,  8,   9,    19,     20,
					 21, 39, 40, 41, 128, 2048, 0x7fff, 0xffff};

	switch (corpus_below(corpus, 3)) {
	case 0:
		return edges[corpus_below(corpus, sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return build->len - corpus_below(corpus, 64);
	default:
		return corpus_random(corpus);
	}
}

static void corpus_lie_length(struct corpus *corpus, struct corpus_build *build)
{
	/* from the network header: total length, payload length, fragment word, ports, length of
	 * a UDP datagram and TCP data offset, after IPv4 and after IPv6 */
	static const uint8_t fields[] = {2, 4, 6, 20, 22, 24, 32, 40, 42, 44, 52};
	uint32_t l3 = corpus_l3_off(build);

	if (corpus_below(corpus, 4) == 0 && l3 < build->len)
		build->data[l3] = (uint8_t)corpus_random(corpus);
	else
		corpus_set16(build, l3 + fields[corpus_below(corpus, sizeof(fields))],
			     corpus_lie(corpus, build));
}

/* IPv6 with extension headers of any kind, number and length, which may lie. */
static void corpus_random_chain(struct corpus *corpus, struct corpus_build *build)
{
	static const uint8_t types[] = {0, 43, 44, 51, 60, 135, 139, 140};
	uint8_t chain[12];
	uint32_t cnt = corpus_below(corpus, sizeof(chain) + 1);
	uint32_t fragment = corpus_below(corpus, 2) ? 0 : corpus_random(corpus) & 0xffff;
	uint32_t l3;

	for (uint32_t i = 0; i < cnt; i++)
		chain[i] = types[corpus_below(corpus, sizeof(types))];
	build->len = 0;
	corpus_put_link(build, corpus_tags[corpus_below(corpus, CORPUS_TAGS)], 0x86dd);
	l3 = build->len;
	corpus_put_ipv6(corpus, build, chain, cnt, fragment,
			corpus_protos[corpus_below(corpus, CORPUS_PROTOS)]);
	/* the length of the first header: the rest of the chain is what then lies there */
	if (cnt && corpus_below(corpus, 3) == 0)
		build->data[l3 + 41] = (uint8_t)corpus_random(corpus);
	if (corpus_below(corpus, 4) == 0) {
		corpus_put_zeros(build, corpus_below(corpus, 3000));
		corpus_set_length(build, l3 + 4, l3 + 40);
	}
}

static void corpus_insert_tags(struct corpus *corpus, struct corpus_build *build)
{
	const uint16_t *tags = corpus_tags[1 + corpus_below(corpus, CORPUS_TAGS - 1)];

	for (uint32_t i = 0; i < 3 && tags[i]; i++) {
		if (build->len + 4 > sizeof(build->data) || build->len < 14)
			return;
		memmove(build->data + 16, build->data + 12, build->len - 12);
		build->len += 4;
		corpus_set16(build, 12, tags[i]);
		corpus_set16(build, 14, corpus_random(corpus));
	}
}

static void corpus_mutate(struct corpus *corpus, struct corpus_build *build)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x0806, 0x8847, 0};
	uint32_t head = build->len < 128 ? build->len : 128;
	uint32_t times = 1 + corpus_below(corpus, 8);

	switch (corpus_below(corpus, 7)) {
	case 0:
		while (times-- > 0)
			build->data[corpus_below(corpus, head)] ^=
				(uint8_t)(1u << corpus_below(corpus, 8));
		break;
	case 1:
		while (times-- > 0)
			build->data[corpus_below(corpus, head)] = (uint8_t)corpus_random(corpus);
		break;
	case 2:
		build->len = corpus->min_bytes + corpus_below(corpus, head);
		break;
	case 3:
		corpus_lie_length(corpus, build);
		break;
	case 4:
		corpus_set16(build, corpus_l3_off(build) - 2,
			     types[corpus_below(corpus, sizeof(types) / sizeof(types[0]))]);
		break;
	case 5:
		corpus_random_chain(corpus, build);
		break;
	default:
		corpus_insert_tags(corpus, build);
		break;
	}
}

/* Append `cnt` packets that are those of `from` after one to three mutations. */
static inline void corpus_mutations(struct corpus *corpus, const struct corpus *from, size_t cnt)
{
	struct corpus_build build;

	for (size_t i = 0; i < cnt; i++) {
		const struct corpus_packet *packet =
			&from->packets[corpus_below(corpus, (uint32_t)from->cnt)];
		uint32_t times = 1 + corpus_below(corpus, 3);

		build.len = packet->len < sizeof(build.data) ? packet->len : sizeof(build.data);
		memset(build.data, 0, sizeof(build.data));
		memcpy(build.data, packet->data, build.len);
		while (times-- > 0)
			corpus_mutate(corpus, &build);
		corpus_add(corpus, build.data, build.len);
	}
}

#endif
