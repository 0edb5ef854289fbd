/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile packets on the way that every packet goes: first pass, expressions, fan-out.
 *
 * The first bytes of an input choose how to begin (with Ethernet and IP headers made by hand, so
 * that they need not be guessed, or with nothing), and how much of the packet the capture has kept;
 * the rest are the packet's.
 */
#include "xdp/first_pass.h"
#include <stdint.h>
#include <stdlib.h>

#define RIG_REQUIRE(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)
#include "tests/fanout_rig.h"

#define PACKET_BYTES_MAX (RIG_FRAME_BYTES - RIG_HEADROOM)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const matches[] = {
	NULL,
	"tcp port 80 or udp port 53",
	"ip6 protochain 6",
	"ip6[6] = 17 and ip6[48:2] = 0x1234",
	"vlan and ip and tcp[tcpflags] & tcp-syn != 0",
	"src net 10.0.0.0/8 or dst net 2001:db8::/32",
	"ip[6:2] & 0x1fff != 0",
	"less 60 or greater 200",
	"ether[len - 4:4] = 0",
	"icmp or icmp6 or arp or sctp",
};

#define MATCH_CNT (sizeof(matches) / sizeof(matches[0]))

/* Those of the groups: that give a packet to one member, or to all. */
static const enum method methods[] = {METHOD_FLOW,     METHOD_IP_PAIR,     METHOD_SRC,
				      METHOD_VLAN,     METHOD_ROUND_ROBIN, METHOD_BROADCAST,
				      METHOD_RSS_HASH, METHOD_RANDOM};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

/* Made once: an input brings packets alone. */
static struct rig rig;
static struct set set;
static const struct set *const sets[] = {&set};
static const struct filter_rule rules[] = {
	{.action = FILTER_DROP, .fields = FILTER_SET, .set_fields = XDP_FIELD_SRC},
	{.action = FILTER_PASS,
	 .fields = FILTER_SET | FILTER_PROTO,
	 .set_fields = XDP_FIELD_SRC | XDP_FIELD_DST,
	 .proto = 17},
	{.action = FILTER_STEER, .fields = FILTER_PORT, .port_lo = 80, .port_hi = 443},
	{.action = FILTER_DROP,
	 .fields = FILTER_PROTO | FILTER_DPORT,
	 .proto = 6,
	 .dport_lo = 0,
	 .dport_hi = 21},
	{.action = FILTER_PASS, .fields = FILTER_SPORT, .sport_lo = 65000, .sport_hi = 65535},
	{.action = FILTER_PASS, .fields = FILTER_PROTO, .proto = 58},
};
static struct filter filter;

static void start(void)
{
	static const char *const prefixes[] = {"10.1.0.0/16", "192.0.2.1", "2001:db8:1::/48"};
	struct set_member member;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		RIG_REQUIRE(set_parse_member(SET_NET, &member, prefixes[i], NULL) == 0);
		RIG_REQUIRE(set_add(&set, &member) == 1);
	}
	filter_init(&filter);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct filter_rule *rule = filter_add(&filter, rules[i].action);

		RIG_REQUIRE(rule);
		*rule = rules[i];
	}
	filter.sets = sets;
	filter.set_cnt = 1;
	rig_create(&rig, 512);
	for (size_t i = 0; i < MATCH_CNT; i++)
		rig_group(&rig, matches[i], methods[i % METHODS], 3);
	rig_connect(&rig, 64, 13);
}

/* Headers that the packet begins with. */
static void begin(struct packet_builder *b, uint32_t choice)
{
	packet_start(b);
	if (choice & 1)
		packet_vlan(b, choice & 2 ? 0x88a8 : 0x8100, 5);
	if (choice & 4)
		packet_vlan(b, 0x9100, 6);
	switch (choice >> 3 & 3) {
	case 0:
		b->len = 0;
		break;
	case 1:
		packet_ipv4(b, 0x0a010203, 0x0a000001, choice >> 5 & 1 ? 12 : 0);
		break;
	case 2:
		packet_ipv6(b, 1, 2);
		if (choice >> 5 & 1)
			packet_extension(b, 60, 16);
		break;
	default:
		break;
	}
	if (b->len && b->next_at && choice >> 6 & 1)
		b->bytes[b->next_at] = choice >> 7 ? 6 : 17;
}

static void check_meta(const struct xfq_meta *meta, uint32_t len, uint32_t wire_len)
{
	uint32_t flags = meta->flags;
	uint32_t l3_len = flags & XFQ_META_IPV6 ? 40 : 20;

	RIG_REQUIRE(meta->magic == XFQ_META_RAW && meta->generation == 0);
	RIG_REQUIRE(meta->wire_len == wire_len);
	RIG_REQUIRE(!(flags & XFQ_META_CUT) == (wire_len == len));
	RIG_REQUIRE((flags & (XFQ_META_IPV4 | XFQ_META_IPV6)) != (XFQ_META_IPV4 | XFQ_META_IPV6));
	RIG_REQUIRE((meta->l3_off != 0) == ((flags & (XFQ_META_IPV4 | XFQ_META_IPV6)) != 0));
	RIG_REQUIRE(meta->l3_off == 0 || (meta->l3_off >= 14 && meta->l3_off + l3_len <= len));
	RIG_REQUIRE(meta->l4_off == 0 || (meta->l3_off && meta->l4_off >= meta->l3_off + l3_len));
	RIG_REQUIRE(meta->l4_off == 0 || meta->l4_off < len);
	RIG_REQUIRE(meta->payload_off == 0 || (meta->l4_off && meta->payload_off > meta->l4_off));
	RIG_REQUIRE(meta->payload_off <= len);
	RIG_REQUIRE(!(flags & XFQ_META_PORTS) || (meta->l4_off && meta->l4_off + 4U <= len));
	RIG_REQUIRE(!(flags & XFQ_META_FRAG_NEXT) || (flags & XFQ_META_FRAGMENT));
	RIG_REQUIRE(!(flags & XFQ_META_FRAG_NEXT) || meta->l4_off == 0);
	RIG_REQUIRE(!(flags & XFQ_META_QINQ) || (flags & XFQ_META_VLAN));
	RIG_REQUIRE(len < 14 || !(flags & XFQ_META_VLAN) || len >= 18);
}

static uint64_t verdicts_sum(const struct xdp_counters *counters)
{
	uint64_t sum = 0;

	for (int i = 0; i < XDP_VERDICT_CNT; i++)
		sum += counters->verdicts[i].packets;
	return sum;
}

/* The other direction of the same packet has the same hash. */
static void check_symmetry(uint8_t *data, uint32_t len, uint32_t wire_len,
			   const struct xfq_meta *meta)
{
	uint32_t bytes = meta->flags & XFQ_META_IPV6 ? 16 : 4;
	uint8_t *parts[3] = {NULL};
	struct xfq_meta other;
	uint8_t first[16];

	if (len >= 14)
		parts[0] = data;
	if (meta->l3_off)
		parts[1] = data + meta->l3_off + (bytes == 16 ? 8 : 12);
	if (meta->flags & XFQ_META_PORTS)
		parts[2] = data + meta->l4_off;
	for (int i = 0; i < 3; i++) {
		uint32_t part = i == 0 ? 6 : i == 1 ? bytes : 2;

		if (!parts[i])
			continue;
		memcpy(first, parts[i], part);
		memcpy(parts[i], parts[i] + part, part);
		memcpy(parts[i] + part, first, part);
	}
	first_pass_parse(RIG_SEED, data, len, wire_len, &other);
	RIG_REQUIRE(other.flow_hash == meta->flow_hash && other.flags == meta->flags);
}

/* `data` is memory of exactly `len` bytes. */
static void judge(uint8_t *data, uint32_t len, uint32_t wire_len, uint8_t malformed)
{
	struct first_pass pass = {.filter = &filter, .hash_seed = RIG_SEED};
	struct xfq_meta meta, parsed;
	enum xdp_verdict verdict;

	filter.malformed = (enum xdp_malformed)malformed;
	verdict = first_pass_run(&pass, data, len, wire_len, 0, &meta).action;
	check_meta(&meta, len, wire_len);
	RIG_REQUIRE(verdict == XDP_VERDICT_STEER || verdict == XDP_VERDICT_PASS ||
		    verdict == XDP_VERDICT_DROP);
	RIG_REQUIRE(meta.rule == XFQ_RULE_DEFAULT || meta.rule < filter.rule_cnt);
	RIG_REQUIRE(verdicts_sum(&pass.counters) == 1);
	RIG_REQUIRE(pass.counters.malformed == !!(meta.flags & XFQ_META_MALFORMED));
	RIG_REQUIRE(pass.counters.fragments == !!(meta.flags & XFQ_META_FRAGMENT));
	first_pass_parse(RIG_SEED, data, len, wire_len, &parsed);
	/* a first fragment has the hash of its flow, and a later one that comes alone that of its
	 * addresses, as both have where nothing is remembered */
	if (verdict == XDP_VERDICT_STEER &&
	    (meta.flags & (XFQ_META_FRAGMENT | XFQ_META_FRAG_NEXT)) != XFQ_META_FRAGMENT)
		RIG_REQUIRE(parsed.flow_hash == meta.flow_hash);
	first_pass_destroy(&pass);
	for (uint32_t t = 0; t < rig.policy.test_cnt; t++)
		(void)expression_match(&rig.policy.tests[t].expression, data, wire_len, len);
	check_symmetry(data, len, wire_len, &parsed);
}

/* Every method, of the next burst: whom it names are members. */
static void steer(void)
{
	const struct roster *roster = rig_roster(&rig, 0);
	const struct method_net net = {.addr = {10}, .len = 8};
	struct method_context context = {.seed = RIG_SEED};
	uint8_t index[PACKET_BURST];
	uint64_t targets[PACKET_BURST];

	for (uint32_t i = 0; i < rig.cnt; i++)
		index[i] = (uint8_t)i;
	for (uint32_t m = 0; m < METHOD_PLUGIN; m++) {
		struct method_spec spec = {.method = (enum method)m,
					   .offset = 12,
					   .offset2 = 30,
					   .size = 8,
					   .symmetric = true,
					   .fields = UINT32_MAX,
					   .nets = (struct method_net *)(uintptr_t)&net,
					   .net_cnt = 1};
		struct method_state state = {0};

		if (m == METHOD_STICKY)
			continue;
		method_targets(&spec, &state, &context, roster, rig.pkts, index, rig.cnt, targets);
		for (uint32_t i = 0; i < rig.cnt; i++)
			RIG_REQUIRE(targets[i] && targets[i] < 1ULL << roster->cnt);
	}
}

/* The packet, and all shorter ones of its bytes that fit, in one burst. */
static void fan_out(const uint8_t *bytes, uint32_t len, uint32_t wire_len)
{
	uint64_t sent = rig.fanout.groups[0].packets;

	for (uint32_t i = 0; i < PACKET_BURST && len + 1 > i; i++) {
		struct packet *pkt = &rig.pkts[rig.cnt];

		*pkt = rig_packet_bytes(&rig, bytes, len - i);
		first_pass_parse(RIG_SEED, pkt->data, pkt->len, wire_len, pkt->meta);
		rig.cnt++;
	}
	sent += rig.cnt;
	steer();
	rig_burst(&rig);
	RIG_REQUIRE(rig.fanout.groups[0].packets == sent);
	rig_check_sums(&rig, sent);
	for (uint32_t m = 0; m < rig.member_cnt; m += 1 + (len & 1))
		rig_drain(&rig, m);
	fanout_reclaim(&rig.fanout, len % 40);
	rig_check(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet_builder b;
	uint32_t len, choice;
	uint8_t *memory;

	if (!rig.umem)
		start();
	if (size < 2)
		return 0;
	choice = data[0];
	begin(&b, choice);
	if (size - 2 > PACKET_BYTES_MAX - b.len)
		size = PACKET_BYTES_MAX - b.len + 2;
	memcpy(b.bytes + packet_append(&b, (uint32_t)size - 2), data + 2, size - 2);
	if (data[1] & 1)
		packet_finish(&b);
	len = b.len;
	if (data[1] & 2)
		len = len > data[1] / 4 ? len - data[1] / 4 : 0;
	memory = malloc(len + 1);
	RIG_REQUIRE(memory);
	memcpy(memory + 1, b.bytes, len);
	judge(memory + 1, len, b.len, data[1] / 4 % 3);
	free(memory);
	fan_out(b.bytes, len, b.len);
	return 0;
}
