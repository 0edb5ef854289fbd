/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile packets in packets: the walk to the innermost one, and bursts with notes of fragments.
 *
 * The first byte of an input chooses an encapsulation that is made by hand, so that it need not be
 * guessed; the second where the rest of the input, which is the packet's, begins: behind it, or
 * over its last bytes. The third says how much of the packet the capture has kept.
 */
#include "steering/flow.h"
#include "tests/tunnel_wraps.h"
#include <stdlib.h>

#define SEED 7

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once: notes stay from input to input. */
static struct tunnels *whole, *some;
static uint64_t now_ns;

/* Two encapsulations at most, one in the other, or none. */
static void begin(struct nest *n, uint32_t choice)
{
	uint32_t first = choice % (WRAP_CNT + 1), second = choice / (WRAP_CNT + 1) % 4;

	nest_start(n);
	if (first == WRAP_CNT)
		return;
	wraps[first].make(n, choice & 1 ? 6 : 4, false);
	if (second)
		nest_ip(n, second & 1 ? 6 : 4, false);
	if (second == 3)
		nest_udp(n, 4789);
}

static void check_path(const struct tunnel_path *path)
{
	REQUIRE(path->cnt <= TUNNEL_DEPTH_MAX);
	for (uint32_t i = 0; i < path->cnt; i++)
		REQUIRE(path->kinds[i] < TUNNEL_KINDS);
}

/* What is shown lies in the packet, as far as it is there, and its metadata in it. */
static void check_shown(const struct packet *pkt, const struct tunnel_inner *inner,
			const struct packet *shown, uint32_t reach)
{
	const struct xfq_meta *meta = shown->meta;
	uint32_t head = inner->ethertype ? 14 : 0, bytes = shown->len;

	REQUIRE(shown->frame == pkt->frame);
	REQUIRE(meta->magic == XFQ_META_CHECKED && meta->ts_ns == pkt->meta->ts_ns);
	REQUIRE(meta->flow_hash != 0);
	if (shown->data == pkt->data) {
		REQUIRE(shown->len == pkt->len);
		return;
	}
	REQUIRE(inner->off >= 14 && inner->off < pkt->len && inner->path.cnt > 0);
	REQUIRE(shown->len > head && shown->len - head <= pkt->len - inner->off);
	REQUIRE(meta->wire_len >= shown->len && !(meta->flags & XFQ_META_MALFORMED));
	REQUIRE(!(meta->flags & XFQ_META_CUT) == (meta->wire_len == shown->len));
	REQUIRE(meta->payload_off <= shown->len);
	REQUIRE(meta->l4_off == 0 || meta->l4_off < shown->len);
	REQUIRE(!(meta->flags & XFQ_META_PORTS) || meta->l4_off + 4u <= shown->len);
	if (head && bytes > reach)
		bytes = reach;
	REQUIRE(memcmp(shown->data + head, pkt->data + inner->off, bytes - head) == 0);
}

/* The packet and all shorter ones of its bytes that fit, in one burst. */
static void run(uint8_t *data, uint32_t len, uint32_t wire_len)
{
	static struct packet pkts[PACKET_BURST], shown[PACKET_BURST];
	static struct xfq_meta metas[PACKET_BURST];
	struct parse_key key;
	uint32_t cnt = 0;
	uint64_t bits;

	for (; cnt < PACKET_BURST && len + 1 > cnt; cnt++) {
		uint32_t own = len - cnt;

		parse_packet(NULL, data, data + own, wire_len > own ? wire_len : own, &metas[cnt],
			     &key);
		metas[cnt].magic = XFQ_META_CHECKED;
		metas[cnt].flow_hash = flow_hash(&metas[cnt], &key, data, data + own, SEED);
		metas[cnt].ts_ns = now_ns += 1000000;
		pkts[cnt] = (struct packet){
			.data = data, .meta = &metas[cnt], .len = own, .frame = cnt};
	}
	for (int round = 0; round < 2; round++) {
		bits = tunnels_burst(round ? some : whole, SEED, pkts, cnt, shown);
		for (uint32_t i = 0; i < cnt; i++) {
			struct tunnel_inner inner;

			tunnel_find(data, pkts[i].len, &metas[i], &inner);
			check_path(&inner.path);
			REQUIRE(!inner.off || bits >> i & 1);
			REQUIRE((shown[i].meta == &metas[i]) == !(bits >> i & 1));
			if (bits >> i & 1)
				check_shown(&pkts[i], &inner, &shown[i], round ? 60 : UINT32_MAX);
			else
				REQUIRE(memcmp(&shown[i], &pkts[i], sizeof(shown[i])) == 0);
		}
		REQUIRE(cnt == PACKET_BURST || bits >> cnt == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nest n;
	uint32_t len, at;
	uint8_t *memory;

	if (!whole) {
		whole = tunnels_create(UINT32_MAX);
		some = tunnels_create(60);
		REQUIRE(whole && some);
	}
	if (size < 3)
		return 0;
	begin(&n, data[0]);
	at = n.b.len - (data[1] >> 1 < n.b.len ? data[1] >> 1 : n.b.len);
	n.b.len = at;
	if (size - 3 > PACKET_BUILDER_BYTES - at)
		size = PACKET_BUILDER_BYTES - at + 3;
	memcpy(n.b.bytes + at, data + 3, size - 3);
	n.b.len = at + (uint32_t)size - 3;
	for (uint32_t i = 0; i < n.length_cnt && data[1] & 1; i++)
		if (n.lengths[i].at + 2 <= n.b.len && n.lengths[i].from <= n.b.len)
			packet_put16(&n.b, n.lengths[i].at, n.b.len - n.lengths[i].from);
	len = n.b.len > data[2] ? n.b.len - data[2] : 0;
	memory = malloc(len ? len : 1);
	REQUIRE(memory);
	memcpy(memory, n.b.bytes, len);
	run(memory, len, data[2] & 1 ? n.b.len : len);
	free(memory);
	return 0;
}
