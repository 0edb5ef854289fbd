/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where methods send packets: the member of a number, two members, all of them, or nobody; methods
 * that do not look into the packet; what plug-ins say.
 */
#include "steering/method_read.h"
#include "steering/policy.h"
#include "steering/sticky.h"
#include "tests/unit/method_rig.h"

#define MEMBERS 48

static struct roster roster;

static uint64_t all_members(void)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < roster.cnt; i++)
		all |= 1ULL << i;
	return all;
}

/* --- methods with a number ------------------------------------------------------------------- */

static void test_of_hash(void **state)
{
	(void)state;
	rig_roster(&roster, MEMBERS);
	for (uint32_t i = 0; i < 3000; i++) {
		const enum method methods[] = {METHOD_FLOW, METHOD_IP_PAIR, METHOD_SRC, METHOD_VLAN,
					       METHOD_RSS_HASH};
		struct method_spec spec = {.method = methods[i % 5]};
		struct packet_builder b;
		struct packet pkt;
		uint32_t hash;
		bool missed;

		rig_random(&b);
		rig_built(&pkt, &b);
		hash = rig_hash(&spec, &pkt, &missed);
		assert_true(rig_target(&spec, &roster, &pkt) ==
			    1ULL << roster_by_hash(&roster, hash));
		spec.otherwise = METHOD_ELSE_DROP;
		assert_true(rig_target(&spec, &roster, &pkt) ==
			    (missed ? 0 : 1ULL << roster_by_hash(&roster, hash)));
		rig_drop(&pkt, 1);
	}
}

/* --- two members ----------------------------------------------------------------------------- */

static uint64_t flow_target(const struct packet *pkt)
{
	return 1ULL << roster_by_hash(&roster, pkt->meta->flow_hash);
}

/* The member of `size` bytes at `offset`. */
static uint64_t field_target(const struct packet *pkt, uint32_t offset, uint32_t size)
{
	const struct method_spec spec = {.method = METHOD_FIELD, .offset = offset, .size = size};

	return rig_target(&spec, &roster, pkt);
}

/* `double` is src and dst together, and `field` with `each` the two fields. */
static void test_double(void **state)
{
	const struct method_spec both = {.method = METHOD_DOUBLE};
	const struct method_spec src = {.method = METHOD_SRC}, dst = {.method = METHOD_DST};
	const struct method_spec each = {
		.method = METHOD_FIELD, .offset = 26, .offset2 = 30, .size = 4, .each = true};
	uint32_t two = 0;

	(void)state;
	rig_roster(&roster, MEMBERS);
	assert_false(method_makes_hash(&both));
	assert_false(method_makes_hash(&each));
	for (uint32_t i = 0; i < 3000; i++) {
		struct packet_builder b;
		struct packet pkt;
		uint64_t target;

		rig_random(&b);
		rig_built(&pkt, &b);
		target = rig_target(&both, &roster, &pkt);
		assert_true(target ==
			    (rig_target(&src, &roster, &pkt) | rig_target(&dst, &roster, &pkt)));
		two += target & (target - 1) ? 1 : 0;
		target = field_target(&pkt, 26, 4) | field_target(&pkt, 30, 4);
		if (pkt.len >= 34)
			assert_true(rig_target(&each, &roster, &pkt) == target);
		else
			assert_true(rig_target(&each, &roster, &pkt) == flow_target(&pkt));
		rig_drop(&pkt, 1);
	}
	assert_true(two > 2000);
}

/* A packet from one MAC address to another. */
static void link_packet(struct packet *pkt, uint64_t src, uint64_t dst)
{
	struct packet_builder b;

	packet_start(&b);
	packet_put16(&b, 0, (uint32_t)(dst >> 32));
	packet_put32(&b, 2, (uint32_t)dst);
	packet_put16(&b, 6, (uint32_t)(src >> 32));
	packet_put32(&b, 8, (uint32_t)src);
	packet_type(&b, 0x88cc);
	rig_built(pkt, &b);
}

static uint64_t link_target(const struct method_spec *spec, uint64_t src, uint64_t dst)
{
	struct packet pkt;
	uint64_t target;

	link_packet(&pkt, src, dst);
	target = rig_target(spec, &roster, &pkt);
	rig_drop(&pkt, 1);
	return target;
}

static bool is_one(uint64_t target)
{
	return target && !(target & (target - 1));
}

static void test_link(void **state)
{
	const struct method_spec link = {.method = METHOD_LINK};
	const struct method_spec local = {.method = METHOD_LOCAL_LINK,
					  .gateway = {2, 0, 0, 0, 0, 9}};
	const uint64_t gateway = 0x020000000009, everyone = 0xffffffffffff;
	uint64_t seen = 0, seen_link = 0;
	struct packet pkt;

	(void)state;
	rig_roster(&roster, MEMBERS);
	for (uint32_t i = 0; i < 500; i++) {
		uint64_t a = random_next() >> 16, b = random_next() >> 16;
		uint64_t of_a = link_target(&local, a, gateway);
		uint64_t of_b = link_target(&local, gateway, b);

		assert_true(is_one(of_a) && is_one(of_b));
		assert_true(link_target(&local, gateway, a) == of_a);
		assert_true(link_target(&local, b, gateway) == of_b);
		assert_true(link_target(&local, a, b) == (of_a | of_b));
		assert_true(link_target(&local, a, everyone) == all_members());
		assert_true(link_target(&local, gateway, everyone) == all_members());
		assert_true(is_one(link_target(&link, a, b)));
		assert_true(link_target(&link, a, b) == link_target(&link, b, a));
		assert_true(link_target(&link, a, everyone) == all_members());
		assert_true(link_target(&link, everyone, b) == all_members());
		seen |= of_a;
		seen_link |= link_target(&link, a, b);
	}
	assert_true(seen == all_members() && seen_link == all_members());
	/* neither address is there */
	link_packet(&pkt, 1, 2);
	pkt.len = 13;
	assert_true(rig_target(&link, &roster, &pkt) == flow_target(&pkt));
	pkt.len = 14;
	rig_drop(&pkt, 1);
}

/* --- local addresses and networks ------------------------------------------------------------ */

static struct method_net nets[] = {
	{.addr = {10, 1, 8, 128}, .len = 25, .sub = 28},
	{.addr = {10, 1}, .len = 16, .sub = 24},
	{.addr = {10, 1, 7}, .len = 24},
	{.addr = {192, 168, 4}, .len = 22},
	{.addr = {0x20, 1, 0xd, 0xb8, 0, 1}, .len = 48, .sub = 60, .v6 = 1},
	{.addr = {0x20, 1, 0xd, 0xb8, 0, 2, [15] = 1}, .len = 128, .v6 = 1},
	{.addr = {0x20, 1, 0xd, 0xb8, 0, 3, 0x80}, .len = 49, .v6 = 1},
	{.addr = {0x20, 1, 0xd, 0xb8, 0, 4}, .len = 48, .sub = 127, .v6 = 1},
};

/* How many leading bits of two addresses agree. */
static uint32_t same_bits(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t same = 0;

	while (same < bits &&
	       (a[same / 8] >> (7 - same % 8) & 1) == (b[same / 8] >> (7 - same % 8) & 1))
		same++;
	return same;
}

/* The net with the most bits that an address lies in. */
static const struct method_net *net_of(const uint8_t *addr, bool v6)
{
	const struct method_net *best = NULL;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (nets[i].v6 == v6 && same_bits(addr, nets[i].addr, nets[i].len) == nets[i].len &&
		    (!best || best->len < nets[i].len))
			best = &nets[i];
	return best;
}

/* An address near one of the nets. */
static void random_address(uint8_t *addr, bool v6)
{
	static const uint8_t near4[][2] = {{10, 1}, {10, 1}, {192, 168}, {8, 8}};

	memset(addr, 0, 16);
	if (v6) {
		memcpy(addr, nets[4].addr, 4);
		addr[5] = (uint8_t)random_below(5);
		addr[6] = (uint8_t)(random_below(2) << 7);
		addr[7] = (uint8_t)random_below(40);
		addr[15] = (uint8_t)random_below(3);
	} else {
		memcpy(addr, near4[random_below(4)], 2);
		addr[2] = (uint8_t)random_below(12);
		addr[3] = (uint8_t)random_below(256);
	}
}

static void ip_packet(struct packet *pkt, const uint8_t *src, const uint8_t *dst, bool v6)
{
	struct packet_builder b;

	packet_start(&b);
	if (v6)
		packet_ipv6(&b, 1, 2);
	else
		packet_ipv4(&b, 1, 2, 0);
	memcpy(b.bytes + b.l3 + (v6 ? 8 : 12), src, v6 ? 16 : 4);
	memcpy(b.bytes + b.l3 + (v6 ? 24 : 16), dst, v6 ? 16 : 4);
	packet_udp(&b, random_below(65536), 53);
	packet_finish(&b);
	rig_built(pkt, &b);
}

static uint64_t ip_target(const struct method_spec *spec, const uint8_t *src, const uint8_t *dst,
			  bool v6)
{
	struct packet pkt;
	uint64_t target;

	ip_packet(&pkt, src, dst, v6);
	target = rig_target(spec, &roster, &pkt);
	rig_drop(&pkt, 1);
	return target;
}

/* The member that a local address has where the other one is not local; 0: it is not either. */
static uint64_t local_member(const struct method_spec *spec, const uint8_t *addr, bool v6)
{
	static const uint8_t far[16] = {9, 9, 9, 9};

	if (!net_of(addr, v6))
		return 0;
	return ip_target(spec, far, addr, v6);
}

/* The network of an address, written down: its bits, and nothing of the others. */
static void network_of(char *text, size_t room, const uint8_t *addr, bool v6)
{
	const struct method_net *net = net_of(addr, v6);
	uint32_t bits = net->sub ? net->sub : net->len;

	snprintf(text, room, "%u/", bits);
	for (uint32_t bit = 0; bit < bits; bit++)
		snprintf(text + strlen(text), room - strlen(text), "%d",
			 addr[bit / 8] >> (7 - bit % 8) & 1);
}

struct network {
	char text[160];
	uint32_t number;
};

/* The number that a packet to a local address has. */
static uint32_t network_number(const struct method_spec *spec, const uint8_t *addr, bool v6)
{
	static const uint8_t far[16] = {9, 9, 9, 9};
	struct method_context context = {.seed = SEED};
	struct method_pairs pairs;
	struct packet pkt;
	uint8_t index = 0;

	ip_packet(&pkt, far, addr, v6);
	method_find_pairs(spec, &context, &pkt, &index, 1, &pairs);
	rig_drop(&pkt, 1);
	return pairs.first[0];
}

/* The same network has the same number, and others have others. */
static void check_network(struct network *known, uint32_t *cnt, const uint8_t *addr, bool v6,
			  uint32_t number)
{
	struct network *network = &known[*cnt];
	uint32_t i = 0;

	network_of(network->text, sizeof(network->text), addr, v6);
	while (strcmp(known[i].text, network->text) != 0)
		i++;
	if (i == *cnt) {
		network->number = number;
		(*cnt)++;
	}
	for (uint32_t j = 0; j < *cnt; j++)
		assert_int_equal(known[j].number == number, i == j);
	assert_true(*cnt < 300);
}

static void test_local(void **state)
{
	struct method_spec spec = {.nets = nets, .net_cnt = sizeof(nets) / sizeof(nets[0])};
	const struct method_spec host = {.method = METHOD_SRC};
	static struct network known[301];
	uint32_t known_cnt = 0, cases[4] = {0};

	(void)state;
	rig_roster(&roster, MEMBERS);
	for (uint32_t i = 0; i < 8000; i++) {
		bool v6 = i % 2;
		uint8_t src[16], dst[16];
		uint64_t of_src, of_dst, target;

		spec.method = i % 4 < 2 ? METHOD_LOCAL_IP : METHOD_LOCAL_NET;
		spec.otherwise = METHOD_ELSE_DROP;
		random_address(src, v6);
		random_address(dst, v6);
		of_src = local_member(&spec, src, v6);
		of_dst = local_member(&spec, dst, v6);
		target = ip_target(&spec, src, dst, v6);
		assert_true(target == (of_src | of_dst));
		cases[(of_src != 0) + 2 * (of_dst != 0)]++;
		if (!of_src)
			continue;
		assert_true(is_one(of_src));
		if (spec.method == METHOD_LOCAL_IP)
			assert_true(of_src == ip_target(&host, src, dst, v6));
		else
			check_network(known, &known_cnt, src, v6, network_number(&spec, src, v6));
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_true(cases[i] > 100);
	assert_true(known_cnt > 25);
	/* those that are not local go by flow, unless they are dropped */
	spec.otherwise = METHOD_ELSE_FLOW;
	assert_true(is_one(ip_target(&spec, (const uint8_t[4]){1, 1, 1, 1},
				     (const uint8_t[4]){2, 2, 2, 2}, false)));
}

/* 255.255.255.255 and ff02::1 concern everyone; of `ip-pair`, `src` and `dst` they are addresses as
 * others are. */
static void test_everyone(void **state)
{
	static const enum method all[] = {METHOD_DOUBLE, METHOD_LOCAL_IP, METHOD_LOCAL_NET};
	static const enum method one[] = {METHOD_FLOW, METHOD_IP_PAIR, METHOD_SRC, METHOD_DST};
	static const uint8_t host[16] = {10, 1, 7, 1}, ones[4] = {255, 255, 255, 255};
	static const uint8_t nodes[16] = {0xff, 2, [15] = 1}, routers[16] = {0xff, 2, [15] = 2};
	static const uint8_t group[4] = {224, 0, 0, 1};

	(void)state;
	rig_roster(&roster, MEMBERS);
	for (size_t i = 0; i < 3; i++) {
		struct method_spec spec = {
			.method = all[i], .nets = nets, .net_cnt = sizeof(nets) / sizeof(nets[0])};

		assert_true(ip_target(&spec, host, ones, false) == all_members());
		assert_true(ip_target(&spec, ones, host, false) == all_members());
		assert_true(ip_target(&spec, host, nodes, true) == all_members());
		assert_true(ip_target(&spec, host, routers, true) != all_members());
		assert_true(ip_target(&spec, host, group, false) != all_members());
	}
	for (size_t i = 0; i < 4; i++) {
		struct method_spec spec = {.method = one[i]};

		assert_true(is_one(ip_target(&spec, host, ones, false)));
		assert_true(is_one(ip_target(&spec, host, nodes, true)));
	}
}

/* --- methods that do not look into the packet ------------------------------------------------ */

/* A burst of `cnt` packets of flows that are all different. */
static void flow_burst(struct packet *pkts, uint8_t *index, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct packet_builder b;

		packet_start(&b);
		packet_ipv4(&b, (uint32_t)random_next(), 1, 0);
		packet_udp(&b, 1, 2);
		packet_finish(&b);
		rig_built(&pkts[i], &b);
		index[i] = (uint8_t)i;
	}
}

static void test_plain(void **state)
{
	struct method_context context = {.seed = SEED};
	struct method_state old = {.turn = 0};
	struct packet pkts[PACKET_BURST];
	uint64_t targets[PACKET_BURST];
	uint8_t index[PACKET_BURST];
	struct method_spec spec = {.method = METHOD_QUEUE};

	(void)state;
	flow_burst(pkts, index, PACKET_BURST);
	for (uint32_t members = 1; members <= ROSTER_MEMBERS_MAX; members++) {
		rig_roster(&roster, members);
		spec = (struct method_spec){.method = METHOD_QUEUE};
		context.worker = random_below(200);
		assert_true(method_targets(&spec, &old, &context, &roster, pkts, index,
					   PACKET_BURST, targets) == 0);
		for (uint32_t k = 0; k < PACKET_BURST; k++)
			assert_true(targets[k] == 1ULL << context.worker % members);
		spec.method = METHOD_BROADCAST;
		method_targets(&spec, &old, &context, &roster, pkts, index, PACKET_BURST, targets);
		assert_true(targets[0] == all_members() && targets[63] == all_members());
		spec = (struct method_spec){.method = METHOD_TO, .to = random_below(members)};
		method_targets(&spec, &old, &context, &roster, pkts, index, PACKET_BURST, targets);
		assert_true(targets[5] == 1ULL << spec.to);
		spec.to = members + random_below(3);
		assert_true(method_targets(&spec, &old, &context, &roster, pkts, index,
					   PACKET_BURST, targets) == UINT64_MAX);
		for (uint32_t k = 0; k < PACKET_BURST; k++)
			assert_true(targets[k] == flow_target(&pkts[k]));
		spec = (struct method_spec){.method = METHOD_ROUND_ROBIN};
		old.turn = 0;
		method_targets(&spec, &old, &context, &roster, pkts, index, PACKET_BURST, targets);
		for (uint32_t k = 0; k < PACKET_BURST; k++)
			assert_true(targets[k] == 1ULL << k % members);
	}
	rig_drop(pkts, PACKET_BURST);
}

/* By chance, but by weight; each worker otherwise. */
static void test_random(void **state)
{
	const struct method_spec spec = {.method = METHOD_RANDOM};
	struct method_context context = {.seed = SEED};
	struct method_state states[2] = {{.turn = 0}, {.turn = 0}};
	uint32_t got[3] = {0}, same = 0;
	struct packet pkts[PACKET_BURST];
	uint64_t targets[2][PACKET_BURST];
	uint8_t index[PACKET_BURST];
	const double shares[3] = {.1, .2, .7}, packets = 1000 * PACKET_BURST;

	(void)state;
	memset(&roster, 0, sizeof(roster));
	for (uint32_t i = 0; i < 3; i++)
		roster_join(&roster, &roster, (uint16_t)i, (uint16_t)(shares[i] * 100));
	flow_burst(pkts, index, PACKET_BURST);
	for (uint32_t round = 0; round < 1000; round++) {
		for (context.worker = 0; context.worker < 2; context.worker++)
			method_targets(&spec, &states[context.worker], &context, &roster, pkts,
				       index, PACKET_BURST, targets[context.worker]);
		for (uint32_t k = 0; k < PACKET_BURST; k++) {
			assert_true(is_one(targets[0][k]) && targets[0][k] < 8);
			got[__builtin_ctzll(targets[0][k])]++;
			same += targets[0][k] == targets[1][k];
		}
	}
	for (uint32_t i = 0; i < 3; i++) {
		double off = got[i] - shares[i] * packets;

		/* six standard deviations, and half a bucket of the roster */
		assert_true(off * off < 36 * packets * shares[i] * (1 - shares[i]) + 64);
	}
	assert_true(same < packets * .6); /* .54 by chance */
	rig_drop(pkts, PACKET_BURST);
}

/* --- plug-ins -------------------------------------------------------------------------------- */

static struct xfq_plugin_target answers[PACKET_BURST];
static uint32_t asked_members, asked_cnt;
static const struct packet *asked_pkts;

static void say(void *plugin_state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		uint32_t members, struct xfq_plugin_target *targets)
{
	assert_ptr_equal(plugin_state, answers);
	assert_int_equal(burst->worker, 3);
	assert_true(burst->cnt == PACKET_BURST ? wanted == UINT64_MAX
					       : wanted == (1ULL << burst->cnt) - 1);
	asked_members = members;
	asked_cnt = burst->cnt;
	for (uint32_t i = 0; i < burst->cnt; i++) {
		assert_int_equal(targets[i].kind, XFQ_TARGET_NONE);
		assert_ptr_equal(burst->pkts[i].data, asked_pkts[2 * i].data);
		assert_ptr_equal(burst->pkts[i].meta, asked_pkts[2 * i].meta);
		assert_int_equal(burst->pkts[i].len, asked_pkts[2 * i].len);
		targets[i] = answers[i];
	}
	assert_true(burst->now_ns == asked_pkts[0].meta->ts_ns);
}

/* What a plug-in may say, and what comes of it. */
static uint64_t plugin_target(const struct xfq_plugin_target *said, const struct packet *pkt,
			      bool drop)
{
	switch (said->kind) {
	case XFQ_TARGET_DROP:
		return 0;
	case XFQ_TARGET_MEMBER:
		return 1ULL << said->value % roster.cnt;
	case XFQ_TARGET_MEMBERS:
		return said->value & all_members();
	default:
		return drop ? 0 : flow_target(pkt);
	}
}

static void test_plugin(void **state)
{
	const struct xfq_plugin functions = {.version = XFQ_PLUGIN_VERSION, .steer = say};
	const struct xfq_plugin no_steer = {.version = XFQ_PLUGIN_VERSION};
	const struct policy_plugin plugins[] = {{.functions = &no_steer},
						{.functions = &functions}};
	void *const states[] = {NULL, answers};
	struct method_context context = {
		.seed = SEED, .worker = 3, .plugins = plugins, .plugin_states = states};
	struct method_spec spec = {.method = METHOD_PLUGIN, .plugin = 1};
	struct packet pkts[2 * PACKET_BURST];
	uint64_t targets[PACKET_BURST], of_value[4] = {0};
	uint8_t index[2 * PACKET_BURST];

	(void)state;
	flow_burst(pkts, index, 2 * PACKET_BURST);
	asked_pkts = pkts;
	for (uint32_t i = 0; i < PACKET_BURST; i++)
		index[i] = (uint8_t)(2 * i);
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t cnt = 1 + random_below(PACKET_BURST);
		uint64_t missed;

		rig_roster(&roster, 1 + random_below(ROSTER_MEMBERS_MAX));
		memset(of_value, 0, sizeof(of_value));
		spec.otherwise = round % 2 ? METHOD_ELSE_DROP : METHOD_ELSE_FLOW;
		for (uint32_t i = 0; i < cnt; i++)
			answers[i] = (struct xfq_plugin_target){.kind = random_below(7),
								.value = random_next() >>
									 random_below(64)};
		missed = method_targets(&spec, NULL, &context, &roster, pkts, index, cnt, targets);
		assert_int_equal(asked_members, roster.cnt);
		assert_int_equal(asked_cnt, cnt);
		for (uint32_t i = 0; i < cnt; i++) {
			uint32_t kind = answers[i].kind;
			uint64_t *known = &of_value[answers[i].value & 3];

			assert_int_equal(missed >> i & 1,
					 kind == XFQ_TARGET_NONE || kind > XFQ_TARGET_MEMBERS);
			if (kind != XFQ_TARGET_HASH) {
				assert_true(targets[i] ==
					    plugin_target(&answers[i], &pkts[2 * i], round % 2));
			} else {
				assert_true(is_one(targets[i] & all_members()));
				if (answers[i].value < 4 && *known)
					assert_true(targets[i] == *known);
				if (answers[i].value < 4)
					*known = targets[i];
			}
		}
	}
	spec = (struct method_spec){.method = METHOD_PLUGIN, .plugin = 0};
	assert_true(method_targets(&spec, NULL, &context, &roster, pkts, index, 2, targets) == 3);
	assert_true(targets[1] == flow_target(&pkts[2]));
	rig_drop(pkts, 2 * PACKET_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_hash),  cmocka_unit_test(test_double),
		cmocka_unit_test(test_link),     cmocka_unit_test(test_local),
		cmocka_unit_test(test_everyone), cmocka_unit_test(test_plain),
		cmocka_unit_test(test_random),   cmocka_unit_test(test_plugin),
	};

	return cmocka_run_group_tests(tests, rig_seed, NULL);
}
