/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random groups with cases, classes, samples, marks, counters, copies, sets and tables; random
 * packets; and workers whose members note who got what. The order of use:
 *
 *	random_state = seed; pool_fill(); make_policy(&test, true);
 *	worker_create(&worker, &test, &data, flows);
 *	worker_run(&worker, pkts, cnt);		worker.outcome says who has what
 *	worker_destroy(&worker, &test); destroy_policy(&test);
 */
#ifndef TESTS_UNIT_CASES_RIG_H
#define TESTS_UNIT_CASES_RIG_H

#include "steering/fanout.h"
#include "steering/flow.h"
#include "tests/packet_builder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define POOL          160
#define FRAME         256
#define MEMBERS       5 /* of a group */
#define GROUPS_MAX    6
#define SETS          3
#define SEED          0x51eedULL
#define FLOW_CACHE    256
#define CLASSES       2
#define TABLE_LINES   6
#define PACKETS_BURST PACKET_BURST

static uint64_t random_state;

static inline uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % n;
}

static const char *const matches[] = {
	NULL,
	"tcp",
	"udp",
	"ip6",
	"tcp port 80 or udp port 53",
	"src host 198.18.0.3",
	"tcp[tcpflags] & tcp-syn != 0",
	"greater 90",
	"vlan 7",
	"icmp or icmp6",
	"ip[6:2] & 0x3fff != 0",
	"portrange 1000-1002 and not vlan",
	"arp",
};
#define MATCHES (sizeof(matches) / sizeof(matches[0]))

/* --- packets ---------------------------------------------------------------------------------- */

static uint8_t memory[POOL][XFQ_META_BYTES + FRAME] __attribute__((aligned(8)));
static struct packet pool[POOL];

static inline void pool_build(struct packet_builder *b)
{
	bool v6 = random_below(3) == 0;
	uint32_t src = random_below(4), dst = random_below(4);
	uint32_t sport = 1000 + random_below(4), dport = random_below(2) ? 80 : 53;

	packet_start(b);
	if (random_below(4) == 0)
		packet_vlan(b, 0x8100, 5 + random_below(3));
	if (random_below(16) == 0) {
		packet_type(b, 0x0806);
		packet_payload(b, 28);
		packet_finish(b);
		return;
	}
	if (v6)
		packet_ipv6(b, src, dst);
	else
		packet_ipv4(b, 0xc6120000 + src, 0xc6120000 + dst, 0);
	if (!v6 && random_below(10) == 0)
		packet_fragment4(b, random_below(2) * 8, true);
	switch (random_below(4)) {
	case 0:
	case 1:
		packet_tcp(b, sport, dport, 0);
		b->bytes[b->l4 + 13] = (uint8_t)(random_below(2) ? 0x02 : 0x10);
		break;
	case 2:
		packet_udp(b, dport, sport);
		break;
	default:
		if (v6)
			packet_icmpv6(b);
		else
			packet_icmp(b);
	}
	packet_payload(b, random_below(60));
	packet_finish(b);
}

static inline void pool_fill(void)
{
	for (uint32_t i = 0; i < POOL; i++) {
		struct packet *pkt = &pool[i];
		struct packet_builder b;
		struct parse_key key;

		pool_build(&b);
		pkt->data = memory[i] + XFQ_META_BYTES;
		pkt->meta = (struct xfq_meta *)(void *)memory[i];
		pkt->len = b.len < FRAME ? b.len : FRAME;
		pkt->frame = i;
		memcpy(pkt->data, b.bytes, pkt->len);
		parse_packet(NULL, pkt->data, pkt->data + pkt->len, b.len, pkt->meta, &key);
		pkt->meta->flow_hash =
			flow_hash(pkt->meta, &key, pkt->data, pkt->data + pkt->len, SEED);
		pkt->meta->magic = XFQ_META_CHECKED;
		pkt->meta->ts_ns = 1000 + i;
	}
}

/* --- sets, in a form that is nobody's ----------------------------------------------------------
 */

/* Set k has the IPv4 addresses whose last byte's bit is set. */
struct test_sets {
	uint8_t members[SETS];
};

static inline bool sets_have(const struct test_sets *sets, uint32_t set, uint8_t fields,
			     const struct packet *pkt)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	bool in = false;

	if (!(pkt->meta->flags & XFQ_META_IPV4))
		return false;
	if (fields & 1)
		in |= sets->members[set] >> (l3[15] & 7) & 1;
	if (fields & 2)
		in |= sets->members[set] >> (l3[19] & 7) & 1;
	return in;
}

static inline uint64_t sets_ask(const void *sets, uint32_t set, uint8_t fields,
				const struct packet *pkts, uint64_t among)
{
	uint64_t in = 0;

	for (uint64_t left = among; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);

		in |= (uint64_t)sets_have(sets, set, fields, &pkts[i]) << i;
	}
	return in;
}

/* --- random groups -----------------------------------------------------------------------------
 */

struct test_when {
	struct expression match;
};

struct test_policy {
	uint32_t group_cnt;
	struct group_spec specs[GROUPS_MAX];
	struct test_when wants[GROUPS_MAX];
	struct test_when cases[GROUPS_MAX][GROUP_CASES_MAX];
	struct policy policy;
	struct table *tables[GROUPS_MAX]; /* by group */
};

static inline void make_when(struct group_when *when, struct test_when *test)
{
	const char *match = matches[random_below(MATCHES)];

	when->match = match ? strdup(match) : NULL;
	assert_int_equal(expression_compile(&test->match, match, NULL), 0);
	while (random_below(3) == 0 && when->in_cnt < GROUP_INS_MAX)
		when->ins[when->in_cnt++] = (struct group_in){
			.set = random_below(SETS),
			.fields = (uint8_t)(1 + random_below(3)),
			.negated = random_below(3) == 0,
			.keyed = random_below(4) > 0,
		};
}

static inline void make_steer(struct method_spec *steer)
{
	static const enum method methods[] = {METHOD_FLOW,   METHOD_IP_PAIR, METHOD_BROADCAST,
					      METHOD_DOUBLE, METHOD_TO,      METHOD_SRC};

	steer->method = methods[random_below(6)];
	steer->otherwise = random_below(3) == 0 ? METHOD_ELSE_DROP : METHOD_ELSE_FLOW;
	steer->to = random_below(MEMBERS + 2);
}

static inline void make_case(struct group_spec *spec, struct test_when *test, uint32_t g,
			     uint32_t groups)
{
	struct group_case *one = group_spec_add_case(spec);
	char name[8];

	assert_non_null(one);
	make_when(&one->when, test);
	one->action = (enum group_action)random_below(3);
	if (random_below(4) == 0) {
		one->sample = GROUP_SAMPLE_FLOW;
		one->sample_of = 1 + random_below(4);
	} else if (random_below(6) == 0) {
		one->sample = GROUP_SAMPLE_PACKET;
		one->sample_of = 1 + random_below(4);
	}
	if (random_below(2)) {
		one->has_mark = true;
		one->mark = 1 + random_below(4);
	}
	one->has_marked = random_below(4) == 0;
	one->marked = random_below(4);
	if (random_below(3) == 0) {
		snprintf(name, sizeof(name), "c%u", random_below(3));
		one->counter = group_spec_counter(spec, name);
	}
	if (random_below(4) == 0 && g + 1 < groups)
		one->tee = g + 1 + random_below(groups - g - 1);
	if (one->action != GROUP_DELIVER)
		return;
	if (spec->class_cnt && random_below(2))
		one->class = random_below(spec->class_cnt);
	if (random_below(2)) {
		one->has_steer = true;
		make_steer(&one->steer);
	}
}

static inline void make_rule(struct table *table, uint32_t classes)
{
	struct table_rule rule = {
		.ip = 4,
		.src = {198, 18, 0, (uint8_t)random_below(4)},
		.src_len = random_below(2) ? 32 : 0,
		.sport_hi = TABLE_NO_PORT,
		.dport_hi = TABLE_NO_PORT,
		.proto = random_below(2) ? 6 : 17,
		.proto_mask = random_below(2) ? 0xff : 0,
		.priority = 1 + random_below(1000),
		.outcome = (uint16_t)(TABLE_DROP + random_below(2 + classes)),
	};

	if (rule.src_len == 0)
		memset(rule.src, 0, sizeof(rule.src));
	if (random_below(3) == 0)
		rule.dport_lo = rule.dport_hi = 80;
	if (random_below(6) == 0) {
		rule.proto = 6;
		rule.proto_mask = 0xff;
		rule.flags = rule.flags_mask = 0x02;
	}
	table_add(table, &rule); /* a priority may be taken */
}

static inline void make_policy(struct test_policy *test, bool cases)
{
	memset(test, 0, sizeof(*test));
	test->group_cnt = 1 + random_below(GROUPS_MAX);
	policy_init(&test->policy, SEED);
	for (uint32_t g = 0; g < test->group_cnt; g++) {
		struct group_spec *spec = &test->specs[g];

		group_spec_init(spec);
		make_when(&spec->when, &test->wants[g]);
		make_steer(&spec->steer);
		spec->tee_only = random_below(6) == 0;
		if (cases && random_below(2)) {
			spec->class_cnt = CLASSES;
			strcpy(spec->classes[0], "user");
			strcpy(spec->classes[1], "control");
		}
		if (cases && random_below(3) == 0) {
			spec->table = strdup("rules");
			test->tables[g] = table_create();
			for (uint32_t i = 0; i < TABLE_LINES; i++)
				make_rule(test->tables[g], spec->class_cnt);
		}
		for (uint32_t c = cases ? random_below(5) : 0; c > 0; c--)
			make_case(spec, &test->cases[g][spec->case_cnt], g, test->group_cnt);
		assert_int_equal(policy_add_group(&test->policy, "g", spec, NULL), 0);
	}
	assert_int_equal(policy_build(&test->policy, NULL), 0);
}

static inline void destroy_policy(struct test_policy *test)
{
	for (uint32_t g = 0; g < test->group_cnt; g++) {
		expression_destroy(&test->wants[g].match);
		for (uint32_t c = 0; c < test->specs[g].case_cnt; c++)
			expression_destroy(&test->cases[g][c].match);
		table_destroy(test->tables[g]);
		group_spec_destroy(&test->specs[g]);
	}
	policy_destroy(&test->policy);
}

/* --- what came out -----------------------------------------------------------------------------
 */

/* Who got which packet of the burst, by group: a bit for each member, and its mark. */
struct outcome {
	uint64_t members[GROUPS_MAX][PACKETS_BURST];
	uint32_t marks[GROUPS_MAX][PACKETS_BURST];
};

struct test_member {
	struct outcome *outcome;
	uint32_t group, member;
	const struct packet *pkts; /* of the burst */
};

static inline void take(void *context, const struct packet *pkts, const uint32_t *marks,
			const uint8_t *index, uint32_t cnt)
{
	struct test_member *member = context;
	struct outcome *outcome = member->outcome;

	for (uint32_t k = 0; k < cnt; k++) {
		uint64_t *to = &outcome->members[member->group][index[k]];

		assert_true(k == 0 || index[k] > index[k - 1]); /* in the order of their coming */
		assert_ptr_equal(pkts, member->pkts);
		assert_false(*to >> member->member & 1);
		*to |= 1ULL << member->member;
		outcome->marks[member->group][index[k]] = marks[index[k]];
	}
}

/* A worker: its fan-out, with members that note what they get. */
struct test_worker {
	struct classify classify;
	struct policy_state state;
	struct fanout fanout;
	struct frame_table frames;
	uint32_t free[POOL];
	uint16_t refs[POOL];
	struct outlet outlets[GROUPS_MAX * MEMBERS];
	struct test_member members[GROUPS_MAX * MEMBERS];
	uint16_t touched[2 * GROUPS_MAX * MEMBERS], rings[GROUPS_MAX * MEMBERS];
	struct roster rosters[GROUPS_MAX], classes[GROUPS_MAX][CLASSES];
	struct outcome outcome;
};

/* Member m is in class m % 3, of which there are two: every third is in none. */
static inline void worker_create(struct test_worker *worker, const struct test_policy *test,
				 const struct policy_data *data, uint32_t flows)
{
	struct fanout *fanout = &worker->fanout;

	memset(worker, 0, sizeof(*worker));
	frame_init(&worker->frames, worker->free, worker->refs, POOL);
	assert_int_equal(classify_init(&worker->classify, 0, flows), 0);
	assert_int_equal(policy_state_create(&worker->state, &test->policy, NULL, NULL), 0);
	fanout->frames = &worker->frames;
	fanout->outlets = worker->outlets;
	fanout->outlet_max = GROUPS_MAX * MEMBERS;
	fanout->touched = worker->touched;
	fanout->rings = worker->rings;
	fanout->classify = &worker->classify;
	fanout->policy = &test->policy;
	fanout->state = &worker->state;
	fanout->data = data;
	for (uint32_t g = 0; g < test->group_cnt; g++) {
		for (uint32_t m = 0; m < MEMBERS; m++) {
			uint32_t slot = g * MEMBERS + m, class = m % 3;
			struct outlet outlet = {
				.group = (uint16_t)g,
				.consume = take,
				.context = &worker->members[slot],
			};

			worker->members[slot] = (struct test_member){
				.outcome = &worker->outcome, .group = g, .member = m};
			fanout_attach(fanout, slot, &outlet);
			roster_join(&worker->rosters[g], &worker->rosters[g], (uint16_t)slot, 1);
			if (class >= CLASSES)
				continue;
			roster_join(&worker->classes[g][class], &worker->classes[g][class],
				    (uint16_t)slot, 1);
			worker->classes[g][class].place[worker->classes[g][class].cnt - 1] =
				(uint8_t)m;
		}
		fanout_set_roster(fanout, g, &worker->rosters[g]);
		fanout_set_classes(fanout, g, worker->classes[g]);
	}
}

static inline void worker_destroy(struct test_worker *worker, const struct test_policy *test)
{
	policy_state_destroy(&worker->state, &test->policy);
	classify_destroy(&worker->classify);
}

static inline void worker_run(struct test_worker *worker, const struct packet *pkts, uint32_t cnt)
{
	memset(&worker->outcome, 0, sizeof(worker->outcome));
	for (uint32_t i = 0; i < GROUPS_MAX * MEMBERS; i++)
		worker->members[i].pkts = pkts;
	worker->frames.worker_cnt = cnt;
	worker->frames.free_cnt = POOL - cnt;
	fanout_burst(&worker->fanout, pkts, cnt);
	assert_int_equal(worker->frames.worker_cnt, 0);
	assert_true(frame_census_holds(&worker->frames));
}

#endif
