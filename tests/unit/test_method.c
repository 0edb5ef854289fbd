/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steering methods that make a number: equal parts make equal numbers, others others, as a slow
 * model says that reads the packets by itself.
 */
#include "tests/scale.h"
#include "tests/unit/method_rig.h"
#include <arpa/inet.h>

#define PACKETS 20000
#define SPECS   64

/* --- the methods ----------------------------------------------------------------------------- */

static struct method_spec specs[SPECS];
static uint32_t spec_cnt;

static void add(struct method_spec spec)
{
	assert_true(spec_cnt < SPECS);
	specs[spec_cnt++] = spec;
}

static void add_keys(void)
{
	const uint32_t five = METHOD_KEY_SRC | METHOD_KEY_DST | METHOD_KEY_SPORT |
			      METHOD_KEY_DPORT | METHOD_KEY_PROTO;

	for (uint32_t bit = 0; bit < METHOD_KEY_FIELDS; bit++)
		add((struct method_spec){.method = METHOD_KEY, .fields = 1u << bit});
	for (uint32_t symmetric = 0; symmetric < 2; symmetric++) {
		add((struct method_spec){
			.method = METHOD_KEY, .fields = five, .symmetric = symmetric});
		add((struct method_spec){.method = METHOD_KEY,
					 .fields = five | METHOD_KEY_VLAN | METHOD_KEY_TOS |
						   METHOD_KEY_SRC_MAC | METHOD_KEY_DST_MAC,
					 .symmetric = symmetric});
		add((struct method_spec){.method = METHOD_KEY,
					 .fields = METHOD_KEY_SRC | METHOD_KEY_DPORT,
					 .symmetric = symmetric});
		add((struct method_spec){.method = METHOD_KEY,
					 .fields = (1u << METHOD_KEY_FIELDS) - 1,
					 .symmetric = symmetric});
	}
	for (uint32_t i = 0; i < 8; i++)
		add((struct method_spec){.method = METHOD_KEY,
					 .fields = 1 + random_below((1u << METHOD_KEY_FIELDS) - 1),
					 .symmetric = i % 2});
}

static void add_all(void)
{
	static const enum method plain[] = {METHOD_FLOW, METHOD_IP_PAIR, METHOD_SRC,
					    METHOD_DST,  METHOD_VLAN,    METHOD_RSS_HASH};
	static const uint32_t fields[][2] = {
		{0, 6},  {12, 2},  {12, 1}, {23, 1},  {26, 4},
		{26, 3}, {23, 11}, {26, 8}, {22, 32}, {0, METHOD_FIELD_MAX}};

	spec_cnt = 0;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		add((struct method_spec){.method = plain[i]});
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		add((struct method_spec){
			.method = METHOD_FIELD, .offset = fields[i][0], .size = fields[i][1]});
	add((struct method_spec){
		.method = METHOD_FIELD, .offset = 26, .offset2 = 30, .size = 4, .symmetric = true});
	add((struct method_spec){
		.method = METHOD_FIELD, .offset = 6, .offset2 = 0, .size = 6, .symmetric = true});
	add((struct method_spec){.method = METHOD_FIELD,
				 .offset = 22,
				 .offset2 = 38,
				 .size = 16,
				 .symmetric = true});
	add_keys();
}

/* --- against the model ----------------------------------------------------------------------- */

struct finding {
	struct model_text text;
	uint32_t hash;
};

static int by_text(const void *a, const void *b)
{
	return memcmp(&((const struct finding *)a)->text, &((const struct finding *)b)->text,
		      sizeof(struct model_text));
}

static int by_hash(const void *a, const void *b)
{
	uint32_t x = ((const struct finding *)a)->hash, y = ((const struct finding *)b)->hash;

	return x < y ? -1 : x > y;
}

/* Equal strings have equal numbers; of the strings that differ hardly two have the same. */
static void check_findings(const struct method_spec *spec, struct finding *findings, uint32_t cnt)
{
	uint32_t kinds = 0, same = 0;
	char text[128];

	method_spec_text(spec, text, sizeof(text));
	qsort(findings, cnt, sizeof(findings[0]), by_text);
	for (uint32_t i = 0; i < cnt; i++) {
		if (kinds > 0 && by_text(&findings[kinds - 1], &findings[i]) == 0) {
			if (findings[kinds - 1].hash != findings[i].hash)
				fail_msg("%s: equal parts, two numbers", text);
			continue;
		}
		findings[kinds++] = findings[i];
	}
	qsort(findings, kinds, sizeof(findings[0]), by_hash);
	for (uint32_t i = 1; i < kinds; i++)
		same += findings[i].hash == findings[i - 1].hash;
	/* of 20,000 random numbers of 32 bits two are alike once in 21 times; Toeplitz hashes are
	 * none, as the sum of two inputs has the sum of their hashes */
	if (same > 2 && spec->method != METHOD_RSS_HASH)
		fail_msg("%s: of %u different packets %u share a number", text, kinds, same);
	assert_true(kinds > 1);
}

/* What a method is asked for a burst at a time, and for packets in any order. */
static void hash_all(const struct method_spec *spec, const struct packet *pkts, uint32_t cnt,
		     uint32_t *hashes, bool *missed)
{
	struct method_context context = {.seed = SEED};
	struct method_state state = {.turn = 0};

	for (uint32_t i = 0; i < cnt; i += PACKET_BURST) {
		uint32_t left = cnt - i < PACKET_BURST ? cnt - i : PACKET_BURST;
		uint32_t found[PACKET_BURST];
		uint8_t index[PACKET_BURST];
		uint64_t out;

		for (uint32_t k = 0; k < left; k++)
			index[k] = (uint8_t)(left - 1 - k);
		out = method_hashes(spec, &state, &context, pkts + i, index, left, found);
		assert_true(left == PACKET_BURST || out >> left == 0);
		for (uint32_t k = 0; k < left; k++) {
			hashes[i + index[k]] = found[k];
			missed[i + index[k]] = out >> k & 1;
		}
	}
}

static void check_spec(const struct method_spec *spec, const struct packet *pkts, uint32_t cnt)
{
	struct finding *findings = calloc(cnt, sizeof(*findings));
	uint32_t *hashes = calloc(cnt, sizeof(*hashes)), found = 0;
	bool *missed = calloc(cnt, sizeof(*missed));

	assert_true(findings && hashes && missed);
	assert_true(method_makes_hash(spec));
	hash_all(spec, pkts, cnt, hashes, missed);
	for (uint32_t i = 0; i < cnt; i++) {
		struct finding *finding = &findings[found];
		struct model model;

		model_read(&model, pkts[i].data, pkts[i].len);
		model_look(&finding->text, &model, spec);
		finding->hash = hashes[i];
		if (spec->method == METHOD_FLOW)
			assert_false(missed[i]);
		else
			assert_int_equal(missed[i], !finding->text.applies);
		if (!finding->text.applies)
			assert_int_equal(hashes[i], pkts[i].meta->flow_hash);
		if (finding->text.applies && spec->method == METHOD_RSS_HASH)
			assert_int_equal(hashes[i],
					 model_toeplitz(finding->text.bytes, finding->text.len));
		found += finding->text.applies;
	}
	check_findings(spec, findings, found);
	free(findings);
	free(hashes);
	free(missed);
}

static void test_model(void **state)
{
	uint32_t cnt = (uint32_t)test_scale(PACKETS);
	struct packet *pkts = calloc(cnt, sizeof(*pkts));

	(void)state;
	assert_non_null(pkts);
	for (uint32_t i = 0; i < cnt; i++) {
		struct packet_builder b;

		rig_random(&b);
		rig_built(&pkts[i], &b);
		if (pkts[i].meta->flags & (XFQ_META_MALFORMED | XFQ_META_CUT))
			fail_msg("packet %u is malformed", i);
	}
	add_all();
	for (uint32_t i = 0; i < spec_cnt; i++)
		check_spec(&specs[i], pkts, cnt);
	rig_drop(pkts, cnt);
	free(pkts);
}

/* `flow` and `ip-pair` are what they have always been, and what XDP computes. */
static void test_as_before(void **state)
{
	const struct method_spec flow = {.method = METHOD_FLOW};
	const struct method_spec pair = {.method = METHOD_IP_PAIR};

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		struct packet_builder b;
		struct packet pkt;

		rig_random(&b);
		rig_built(&pkt, &b);
		assert_int_equal(rig_hash(&flow, &pkt, NULL), pkt.meta->flow_hash);
		assert_int_equal(rig_hash(&pair, &pkt, NULL), method_hash_ip_pair(&pkt, SEED));
		rig_drop(&pkt, 1);
	}
}

/* Which methods promise one number for both directions. */
static bool is_symmetric(const struct method_spec *spec)
{
	return spec->method == METHOD_FLOW || spec->method == METHOD_IP_PAIR ||
	       spec->method == METHOD_VLAN || (spec->method == METHOD_KEY && spec->symmetric);
}

static void test_symmetric(void **state)
{
	const struct method_spec src = {.method = METHOD_SRC}, dst = {.method = METHOD_DST};
	uint32_t there, back, cnt = 0;

	(void)state;
	add_all();
	for (uint32_t i = 0; i < 3000; i++) {
		struct packet_builder b;
		struct packet pkts[2];
		bool missed;

		rig_random(&b);
		rig_built(&pkts[0], &b);
		rig_turn(&pkts[1], &pkts[0]);
		for (uint32_t s = 0; s < spec_cnt; s++) {
			if (!is_symmetric(&specs[s]))
				continue;
			assert_int_equal(rig_hash(&specs[s], &pkts[0], NULL),
					 rig_hash(&specs[s], &pkts[1], NULL));
			cnt++;
		}
		/* a host has one number, sending and receiving */
		there = rig_hash(&src, &pkts[0], &missed);
		back = rig_hash(&dst, &pkts[1], NULL);
		if (!missed)
			assert_int_equal(there, back);
		rig_drop(pkts, 2);
	}
	assert_true(cnt > 10000);
}

/* --- RSS ------------------------------------------------------------------------------------- */

/* The verification suite of the specification: destination, source, addresses alone, with TCP. */
static const struct {
	const char *dst;
	uint32_t dport;
	const char *src;
	uint32_t sport, alone, with_ports;
} vectors[] = {
	{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
	{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
	{"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
	{"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
	{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
	{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
	{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
	{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
	 0x4b61e985, 0x02d1feef},
};

static uint32_t rss_of(size_t i, uint32_t kind)
{
	const struct method_spec spec = {.method = METHOD_RSS_HASH};
	bool v6 = strchr(vectors[i].dst, ':');
	struct packet_builder b;
	struct packet pkt;
	uint32_t hash;

	packet_start(&b);
	if (v6)
		packet_ipv6(&b, 1, 2);
	else
		packet_ipv4(&b, 1, 2, 0);
	inet_pton(v6 ? AF_INET6 : AF_INET, vectors[i].src, b.bytes + b.l3 + (v6 ? 8 : 12));
	inet_pton(v6 ? AF_INET6 : AF_INET, vectors[i].dst, b.bytes + b.l3 + (v6 ? 24 : 16));
	if (kind == 0)
		packet_tcp(&b, vectors[i].sport, vectors[i].dport, 0);
	else if (kind == 1)
		packet_udp(&b, vectors[i].sport, vectors[i].dport);
	else if (kind == 2)
		packet_sctp(&b, vectors[i].sport, vectors[i].dport);
	packet_finish(&b);
	rig_built(&pkt, &b);
	hash = rig_hash(&spec, &pkt, NULL);
	rig_drop(&pkt, 1);
	return hash;
}

static void test_rss_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_int_equal(rss_of(i, 0), vectors[i].with_ports);
		assert_int_equal(rss_of(i, 1), vectors[i].with_ports);
		assert_int_equal(rss_of(i, 2), vectors[i].alone);
		assert_int_equal(rss_of(i, 3), vectors[i].alone);
	}
}

/* --- shares, short packets, metadata that says anything -------------------------------------- */

/* Each of eight members has its share of 40,000 packets of hosts that follow one another, within
 * six standard deviations. */
static void test_distribution(void **state)
{
	const struct method_spec spread[] = {
		{.method = METHOD_FLOW},
		{.method = METHOD_IP_PAIR},
		{.method = METHOD_SRC},
		{.method = METHOD_FIELD, .offset = 26, .size = 4},
		{.method = METHOD_FIELD, .offset = 26, .offset2 = 30, .size = 4, .symmetric = true},
		{.method = METHOD_KEY, .fields = METHOD_KEY_SRC},
		{.method = METHOD_KEY,
		 .fields = METHOD_KEY_SRC | METHOD_KEY_DST | METHOD_KEY_SPORT,
		 .symmetric = true},
	};
	const uint32_t packets = 40000;
	struct roster roster;

	(void)state;
	rig_roster(&roster, 8);
	for (size_t s = 0; s < sizeof(spread) / sizeof(spread[0]); s++) {
		uint32_t got[8] = {0};

		for (uint32_t i = 0; i < packets; i++) {
			struct packet_builder b;
			struct packet pkt;

			packet_start(&b);
			packet_ipv4(&b, 0x0a000000 + i, 0xc0a80001, 0);
			packet_udp(&b, 5000, 53);
			packet_finish(&b);
			rig_built(&pkt, &b);
			got[roster_by_hash(&roster, rig_hash(&spread[s], &pkt, NULL))]++;
			rig_drop(&pkt, 1);
		}
		for (uint32_t m = 0; m < 8; m++) {
			double off = got[m] - packets / 8.0;

			if (off * off > 36 * packets / 8.0 * 7 / 8)
				fail_msg("method %zu: member %u has %u of %u", s, m, got[m],
					 packets);
		}
	}
}

/* Packets cut off anywhere, and metadata of any content: nothing is read beyond their end (the
 * sanitizers see it), and there is a number. */
static void test_short(void **state)
{
	(void)state;
	add_all();
	for (uint32_t i = 0; i < test_scale(3000); i++) {
		struct packet_builder b;
		struct packet pkt;
		uint32_t len;

		rig_random(&b);
		len = random_below(b.len + 1);
		rig_packet(&pkt, b.bytes, len);
		if (i % 2) {
			pkt.meta->flags = (uint16_t)random_next();
			pkt.meta->l3_off = (uint16_t)(random_next() >> random_below(16));
			pkt.meta->l4_off = (uint16_t)(random_next() >> random_below(16));
			pkt.meta->l4_proto = (uint8_t)(random_below(2) ? 17 : 1);
		}
		for (uint32_t s = 0; s < spec_cnt; s++) {
			bool missed;
			uint32_t hash = rig_hash(&specs[s], &pkt, &missed);

			if (missed)
				assert_int_equal(hash, pkt.meta->flow_hash);
			if (specs[s].method == METHOD_FIELD)
				assert_int_equal(missed,
						 specs[s].offset + specs[s].size > len ||
							 (specs[s].symmetric &&
							  specs[s].offset2 + specs[s].size > len));
		}
		rig_drop(&pkt, 1);
	}
}

/* Offsets as large as they can be. */
static void test_far_field(void **state)
{
	struct method_spec spec = {.method = METHOD_FIELD, .offset = UINT32_MAX, .size = 4};
	struct packet_builder b;
	struct packet pkt;
	bool missed;

	(void)state;
	packet_start(&b);
	rig_built(&pkt, &b);
	for (uint32_t i = 0; i < 64; i++, spec.offset--) {
		rig_hash(&spec, &pkt, &missed);
		assert_true(missed);
	}
	spec = (struct method_spec){.method = METHOD_FIELD, .offset = 10, .size = 4};
	rig_hash(&spec, &pkt, &missed);
	assert_false(missed);
	spec.offset++;
	rig_hash(&spec, &pkt, &missed);
	assert_true(missed);
	rig_drop(&pkt, 1);
}

/* Ports that lie too far behind the Ethernet header, behind extension headers, are not looked at.
 */
static void test_far_ports(void **state)
{
	const struct method_spec rss = {.method = METHOD_RSS_HASH};
	const struct method_spec key = {.method = METHOD_KEY, .fields = METHOD_KEY_SPORT};
	const uint32_t to_l4 = 14 + 40;
	uint32_t hashes[2][2], keys[2][2];

	(void)state;
	for (uint32_t far = 0; far < 2; far++) {
		for (uint32_t sport = 0; sport < 2; sport++) {
			struct packet_builder b;
			struct packet pkt;

			packet_start(&b);
			packet_ipv6(&b, 1, 2);
			packet_extension(&b, 60, (METHOD_REACH_L4 - 4 - to_l4) / 8 * 8 + 8 * far);
			packet_udp(&b, 1000 + sport, 53);
			packet_finish(&b);
			rig_built(&pkt, &b);
			assert_true(pkt.meta->flags & XFQ_META_PORTS);
			hashes[far][sport] = rig_hash(&rss, &pkt, NULL);
			keys[far][sport] = rig_hash(&key, &pkt, NULL);
			rig_drop(&pkt, 1);
		}
	}
	assert_int_not_equal(hashes[0][0], hashes[0][1]);
	assert_int_equal(hashes[1][0], hashes[1][1]);
	assert_int_not_equal(keys[0][0], keys[0][1]);
	assert_int_equal(keys[1][0], keys[1][1]);
}

/* Another seed makes other numbers, but of rss-hash. */
static void test_seed(void **state)
{
	uint8_t index = 0;

	(void)state;
	add_all();
	for (uint32_t s = 0; s < spec_cnt; s++) {
		uint32_t other = 0, all = 0;

		for (uint32_t i = 0; i < 200; i++) {
			struct method_context context = {.seed = SEED + 1};
			struct method_state old = {.turn = 0};
			struct packet_builder b;
			struct packet pkt;
			uint32_t hash;
			bool missed;

			rig_random(&b);
			rig_built(&pkt, &b);
			method_hashes(&specs[s], &old, &context, &pkt, &index, 1, &hash);
			other += rig_hash(&specs[s], &pkt, &missed) != hash;
			all += !missed;
			rig_drop(&pkt, 1);
		}
		if (specs[s].method == METHOD_FLOW || specs[s].method == METHOD_RSS_HASH)
			assert_int_equal(other, 0);
		else
			assert_in_range(other, all - 1, all);
	}
}

/* How far into a packet a method looks: whatever follows changes nothing. */
static void test_reach(void **state)
{
	struct method_spec spec = {.method = METHOD_FIELD, .offset = 60, .size = 8};
	struct roster roster;

	(void)state;
	rig_roster(&roster, 48);
	assert_int_equal(method_reach(&spec), 68);
	spec.offset2 = 100;
	assert_int_equal(method_reach(&spec), 68);
	spec.each = true;
	assert_int_equal(method_reach(&spec), 108);
	assert_true(method_reach(&(struct method_spec){.method = METHOD_PLUGIN}) == UINT32_MAX);
	for (uint32_t i = 0; i < 2000; i++) {
		const enum method methods[] = {METHOD_IP_PAIR, METHOD_DOUBLE, METHOD_LINK,
					       METHOD_VLAN, METHOD_RSS_HASH};
		struct method_spec one = {.method = methods[i % 5]};
		struct packet_builder b;
		struct packet pkt;
		uint64_t target;

		rig_random(&b);
		packet_payload(&b, 600);
		rig_built(&pkt, &b);
		target = rig_target(&one, &roster, &pkt);
		memset(pkt.data + method_reach(&one), 0, pkt.len - method_reach(&one));
		assert_true(rig_target(&one, &roster, &pkt) == target);
		rig_drop(&pkt, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),        cmocka_unit_test(test_as_before),
		cmocka_unit_test(test_symmetric),    cmocka_unit_test(test_rss_vectors),
		cmocka_unit_test(test_distribution), cmocka_unit_test(test_short),
		cmocka_unit_test(test_far_field),    cmocka_unit_test(test_seed),
		cmocka_unit_test(test_far_ports),    cmocka_unit_test(test_reach),
	};

	return cmocka_run_group_tests(tests, rig_seed, NULL);
}
