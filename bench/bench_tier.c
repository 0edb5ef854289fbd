/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole of steering, from a packet with metadata to the members' rings, over many flows: what
 * is measured is fanout_burst() and the reclaiming after it. Before each burst, outside the
 * measured time, its packets are made: a flow is drawn at random, and its addresses and ports are
 * written into a packet of the bench's, so that a million flows do not need a million frames. The
 * packets are in the cache then, as they are behind a NIC that writes there, or after a copy.
 *
 * One row for each number of flows and way: with the flow cache and without, expressions compiled
 * and interpreted; and rows of classification alone, beside libpcap's interpreter called once for
 * each expression. Interleaved; the median of all rounds.
 */
#include "bench/packets.h"
#include "steering/fanout.h"
#include "workers/native_load.h"
#include "xdp/first_pass.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIER_TEMPLATES 4096
#define TIER_FRAME     2048
#define TIER_OFFSET    256
#define TIER_FRAMES    2048
#define TIER_ROUNDS    101        /* at most */
#define TIER_PACKETS   (1u << 19) /* in one measurement */
#define TIER_WARM      4          /* packets before it, for each flow */
#define TIER_SLOTS     1024
#define TIER_MEMBERS   4 /* of a group, at most */
#define TIER_CACHE     32768
#define TIER_SEED      0x9e3779b97f4a7c15ULL
#define TIER_RULES     1000

static const char *const tier_groups[] = {
	"tcp port 80 or tcp port 443 or udp port 443",
	"port 53",
	"tcp port 25 or tcp port 465 or tcp port 587 or tcp port 993",
	"udp port 500 or udp port 4500 or udp port 1194 or udp port 51820 or esp",
	"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
	"ip6 and tcp",
	"vlan and udp",
	"icmp or icmp6 or (ip[6:2] & 0x3fff != 0)",
};

/* Everything that rules may be about; with a rule table. */
static const char *const tier_any[] = {"ip or ip6"};

/* Web, DNS, mail, VPN, scans, IPv6, VLAN, fragments. */
static const char *const tier_expressions[] = {
	"tcp port 80 or tcp port 443",
	"udp port 443",
	"port 53",
	"tcp port 25 or tcp port 465 or tcp port 587",
	"tcp port 110 or tcp port 143 or tcp port 993 or tcp port 995",
	"udp port 500 or udp port 4500 or esp or ah",
	"udp port 1194 or udp port 51820",
	"proto gre or ip proto 4 or ip proto 41",
	"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
	"tcp[tcpflags] & tcp-rst != 0",
	"ip6 and not icmp6",
	"icmp or icmp6",
	"vlan",
	"ip[6:2] & 0x3fff != 0",
	"tcp port 22 or tcp port 3389",
	"udp port 123 or udp port 161 or udp port 5060",
};

#define TIER_GROUPS      (sizeof(tier_groups) / sizeof(tier_groups[0]))
#define TIER_EXPRESSIONS (sizeof(tier_expressions) / sizeof(tier_expressions[0]))
#define TIER_RINGS       (TIER_GROUPS * TIER_MEMBERS)

struct tier {
	bool cache, native, table;
	uint32_t members; /* of each group */
	const char *const *matches;
	uint32_t group_cnt;
	struct group_spec specs[POLICY_GROUPS_MAX];
	struct policy policy;
	struct policy_state state;
	struct policy_data data;
	struct classify classify;
	struct roster rosters[TIER_GROUPS];
	struct frame_table frames;
	struct fanout fanout;
	struct xfq_ring_cons cons[TIER_RINGS];
};

static int rounds = 9;
static struct generate_packet *templates;
static uint8_t *umem;
static struct packet pkts[TIER_FRAMES];

static void *tier_memory(size_t cnt, size_t size)
{
	size_t bytes = (cnt * size + 4095) / 4096 * 4096;
	void *memory = aligned_alloc(4096, bytes);

	if (!memory) {
		fputs("bench_tier: no memory\n", stderr);
		exit(1);
	}
	memset(memory, 0, bytes);
	return memory;
}

static uint64_t tier_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint32_t tier_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

/* --- packets ---------------------------------------------------------------------------------- */

/* Write flow number `flow` into a frame: a packet of the bench's with addresses and ports of its
 * own. */
static void tier_write(struct packet *pkt, uint32_t flow)
{
	const struct generate_packet *from = &templates[flow % TIER_TEMPLATES];
	uint32_t more = flow / TIER_TEMPLATES, word;
	struct parse_key key;
	uint8_t *at;

	memcpy(pkt->data, from->data, from->len);
	pkt->len = from->len;
	parse_packet(NULL, pkt->data, pkt->data + pkt->len, pkt->len, pkt->meta, &key);
	if (pkt->meta->l3_off == 0)
		return;
	/* the last bytes of both addresses, which the bench's packets leave alone */
	at = pkt->data + pkt->meta->l3_off + (pkt->meta->flags & XFQ_META_IPV4 ? 13 : 20);
	memcpy(&word, at, 2);
	word ^= more;
	memcpy(at, &word, 2);
	parse_packet(NULL, pkt->data, pkt->data + pkt->len, pkt->len, pkt->meta, &key);
	pkt->meta->flow_hash =
		flow_hash(pkt->meta, &key, pkt->data, pkt->data + pkt->len, TIER_SEED);
	pkt->meta->magic = XFQ_META_CHECKED;
}

/* --- a policy, and a worker for it ------------------------------------------------------------ */

/* Rules over the addresses and ports of the bench's packets, which none of them leaves out. */
static struct table *tier_rules(void)
{
	struct table_rule *rules = tier_memory(TIER_RULES, sizeof(*rules));
	uint64_t random = 1;
	uint32_t at;
	struct table *table = table_create();

	for (uint32_t i = 0; i < TIER_RULES; i++) {
		struct table_rule *rule = &rules[i];
		uint32_t src = 0xc6120000u | (tier_random(&random) & 0x1ffff);
		uint32_t dst = 0xc6120000u | (tier_random(&random) & 0x1ffff);
		bool last = i + 1 == TIER_RULES;

		rule->ip = last ? 0 : 4;
		rule->src_len = last ? 0 : (uint8_t)(15 + tier_random(&random) % 17);
		rule->dst_len = last ? 0 : (uint8_t)(15 + tier_random(&random) % 17);
		src &= ~(rule->src_len < 32 ? UINT32_MAX >> rule->src_len : 0);
		dst &= ~(rule->dst_len < 32 ? UINT32_MAX >> rule->dst_len : 0);
		for (uint32_t b = 0; b < 4 && !last; b++) {
			rule->src[b] = (uint8_t)(src >> (24 - 8 * b));
			rule->dst[b] = (uint8_t)(dst >> (24 - 8 * b));
		}
		rule->sport_hi = TABLE_NO_PORT;
		rule->dport_hi = TABLE_NO_PORT;
		if (i % 3 == 0 && !last) {
			rule->dport_lo = tier_random(&random) % 2048;
			rule->dport_hi = rule->dport_lo + tier_random(&random) % 512;
		}
		rule->proto = i % 2 ? 6 : 17;
		rule->proto_mask = last || i % 4 == 0 ? 0 : 0xff;
		rule->priority = 10 * (i + 1);
		rule->outcome = TABLE_DELIVER;
	}
	if (!table || table_add_all(table, rules, TIER_RULES, &at)) {
		fputs("bench_tier: no rule table\n", stderr);
		exit(1);
	}
	free(rules);
	return table;
}

static void tier_policy(struct tier *tier)
{
	struct xfq_error error = {0};

	policy_init(&tier->policy, TIER_SEED);
	for (uint32_t g = 0; g < tier->group_cnt; g++) {
		group_spec_init(&tier->specs[g]);
		tier->specs[g].when.match = strdup(tier->matches[g]);
		tier->specs[g].table = tier->table ? strdup("bench") : NULL;
		if (policy_add_group(&tier->policy, "bench", &tier->specs[g], &error)) {
			fprintf(stderr, "bench_tier: %s: %s\n", tier->matches[g], error.text);
			exit(1);
		}
	}
	if (policy_build(&tier->policy, &error) ||
	    policy_state_create(&tier->state, &tier->policy, NULL, NULL) ||
	    classify_init(&tier->classify, 0, tier->cache ? TIER_CACHE : 0)) {
		fprintf(stderr, "bench_tier: %s\n", error.text);
		exit(1);
	}
	tier->data.epoch = 1;
	for (uint32_t t = 0; t < tier->policy.table_cnt; t++)
		tier->data.tables[t] = tier_rules();
	tier->classify.always = tier->cache;
	if (tier->native && native_load_compile(&tier->policy, &error)) {
		fprintf(stderr, "bench_tier: %s: interpreted\n", error.text);
		tier->native = false;
	}
}

static void tier_members(struct tier *tier)
{
	struct fanout *fanout = &tier->fanout;

	frame_init(&tier->frames, tier_memory(TIER_FRAMES, sizeof(uint32_t)),
		   tier_memory(TIER_FRAMES, sizeof(uint16_t)), TIER_FRAMES);
	fanout->policy = &tier->policy;
	fanout->state = &tier->state;
	fanout->data = &tier->data;
	fanout->classify = &tier->classify;
	fanout->frames = &tier->frames;
	fanout->umem = umem;
	fanout->outlets = tier_memory(TIER_RINGS, sizeof(struct outlet));
	fanout->outlet_max = TIER_RINGS;
	fanout->touched = tier_memory(TIER_RINGS, sizeof(uint16_t));
	fanout->rings = tier_memory(TIER_RINGS, sizeof(uint16_t));
	for (uint16_t m = 0; m < TIER_GROUPS * tier->members; m++) {
		struct roster *roster = &tier->rosters[m / tier->members];
		struct outlet outlet = {.group = (uint16_t)(m / tier->members)};

		ring_init(&outlet.ring, tier_memory(1, xfq_ring_prod_bytes(TIER_SLOTS)),
			  &tier->cons[m], tier_memory(TIER_SLOTS, sizeof(uint32_t)), TIER_SLOTS,
			  TIER_SLOTS, 0, 0);
		fanout_attach(fanout, m, &outlet);
		roster_join(roster, roster, m, 1);
	}
	for (uint32_t g = 0; g < TIER_GROUPS; g++)
		fanout_set_roster(fanout, g, &tier->rosters[g]);
}

/* --- measuring -------------------------------------------------------------------------------- */

/* Hand `cnt` packets of `flows` flows out. Returns the time of that alone, in ns. */
static uint64_t tier_run(struct tier *tier, uint32_t flows, uint32_t cnt, uint64_t *random)
{
	uint64_t spent = 0;

	for (uint32_t done = 0, at = 0; done < cnt; done += PACKET_BURST) {
		uint64_t begin;

		for (uint32_t i = 0; i < PACKET_BURST; i++)
			tier_write(&pkts[at + i], tier_random(random) % flows);
		tier->frames.worker_cnt += PACKET_BURST;
		tier->frames.free_cnt -= PACKET_BURST;
		begin = tier_now_ns();
		fanout_burst(&tier->fanout, &pkts[at], PACKET_BURST);
		spent += tier_now_ns() - begin;
		/* the members release at once all that they were given */
		for (size_t m = 0; m < TIER_GROUPS * tier->members; m++)
			tier->cons[m].cons = tier->fanout.outlets[m].ring.prod;
		begin = tier_now_ns();
		fanout_reclaim(&tier->fanout, 0);
		spent += tier_now_ns() - begin;
		at = (at + PACKET_BURST) % TIER_FRAMES;
	}
	return spent;
}

static uint64_t tier_classify(struct tier *tier, uint32_t flows, uint32_t cnt, uint64_t *random)
{
	uint64_t spent = 0;

	for (uint32_t done = 0, at = 0; done < cnt; done += PACKET_BURST) {
		uint64_t begin;

		for (uint32_t i = 0; i < PACKET_BURST; i++)
			tier_write(&pkts[at + i], tier_random(random) % flows);
		begin = tier_now_ns();
		classify_burst(&tier->classify, &tier->policy, &tier->data, &tier->state, &pkts[at],
			       PACKET_BURST);
		classify_end(&tier->classify);
		spent += tier_now_ns() - begin;
		at = (at + PACKET_BURST) % TIER_FRAMES;
	}
	return spent;
}

/* Each expression by libpcap's interpreter. */
static uint64_t tier_libpcap(struct tier *tier, uint32_t flows, uint32_t cnt, uint64_t *random)
{
	uint64_t spent = 0, matched = 0;

	for (uint32_t done = 0, at = 0; done < cnt; done += PACKET_BURST) {
		uint64_t begin;

		for (uint32_t i = 0; i < PACKET_BURST; i++)
			tier_write(&pkts[at + i], tier_random(random) % flows);
		begin = tier_now_ns();
		for (uint32_t i = 0; i < PACKET_BURST; i++)
			for (uint32_t t = 0; t < tier->policy.test_cnt; t++)
				matched += expression_match(&tier->policy.tests[t].expression,
							    pkts[at + i].data, pkts[at + i].len,
							    pkts[at + i].len);
		spent += tier_now_ns() - begin;
		at = (at + PACKET_BURST) % TIER_FRAMES;
	}
	if (matched == 0)
		fputs("bench_tier: nothing matches\n", stderr);
	return spent;
}

typedef uint64_t tier_measure(struct tier *tier, uint32_t flows, uint32_t cnt, uint64_t *random);

struct tier_row {
	const char *what, *way;
	struct tier *tier;
	tier_measure *measure;
	uint32_t flows;
	uint64_t random;
	double ns[TIER_ROUNDS];
	uint64_t hits, misses;
};

static int tier_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tier_row_print(struct tier_row *row)
{
	double *ns = row->ns;

	qsort(ns, (size_t)rounds, sizeof(double), tier_compare);
	printf("{\"bench\": \"tier\", \"what\": \"%s\", \"way\": \"%s\", \"expressions\": %u, "
	       "\"members\": %u, "
	       "\"flows\": %u, \"cache_flows\": %d, \"cache_hit_share\": %.3f, \"rounds\": %d, "
	       "\"ns_per_packet\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}}\n",
	       row->what, row->way, row->tier->group_cnt, row->tier->members, row->flows,
	       row->tier->cache ? TIER_CACHE : 0,
	       row->hits + row->misses ? (double)row->hits / (double)(row->hits + row->misses)
				       : 0.0,
	       rounds, ns[rounds / 2], ns[0], ns[rounds - 1]);
	fflush(stdout);
}

/* Rows that are compared: round by round, one after the other. */
static void tier_measure_rows(struct tier_row *rows, uint32_t cnt)
{
	for (int round = -1; round < rounds; round++) {
		for (uint32_t r = 0; r < cnt; r++) {
			struct tier_row *row = &rows[r];
			uint32_t warm = row->flows * TIER_WARM;
			uint64_t hits, misses, ns;

			if (warm > TIER_PACKETS)
				warm = TIER_PACKETS;
			row->measure(row->tier, row->flows, warm, &row->random);
			hits = row->tier->classify.cache.hits;
			misses = row->tier->classify.cache.misses;
			ns = row->measure(row->tier, row->flows, TIER_PACKETS, &row->random);
			if (round < 0)
				continue;
			row->ns[round] = (double)ns / TIER_PACKETS;
			row->hits += row->tier->classify.cache.hits - hits;
			row->misses += row->tier->classify.cache.misses - misses;
		}
	}
	for (uint32_t r = 0; r < cnt; r++)
		tier_row_print(&rows[r]);
}

static struct tier *tier_create(const char *const *matches, uint32_t cnt, uint32_t members,
				bool cache, bool native)
{
	struct tier *tier = tier_memory(1, sizeof(*tier));

	tier->matches = matches;
	tier->members = members;
	tier->table = matches == tier_any;
	tier->group_cnt = cnt;
	tier->cache = cache;
	tier->native = native;
	tier_policy(tier);
	tier_members(tier);
	return tier;
}

static struct tier_row tier_row(const char *what, const char *way, struct tier *tier,
				tier_measure *measure, uint32_t flows)
{
	return (struct tier_row){.what = what,
				 .way = way,
				 .tier = tier,
				 .measure = measure,
				 .flows = flows,
				 .random = 1};
}

/* "--rounds N", N from 1 to TIER_ROUNDS. */
static bool tier_options(int argc, char **argv)
{
	if (argc == 1)
		return true;
	if (argc != 3 || strcmp(argv[1], "--rounds") != 0)
		return false;
	rounds = atoi(argv[2]);
	return rounds >= 1 && rounds <= TIER_ROUNDS;
}

int main(int argc, char **argv)
{
	static const char *const ways[] = {"cache", "native", "interpreted"};
	static const uint32_t flows[] = {1000, 10000, 100000, 1000000};
	struct tier *whole[3], *alone[4];
	static struct tier_row rows[4];

	if (!tier_options(argc, argv)) {
		fprintf(stderr, "usage: bench_tier [--rounds N], N from 1 to %d\n", TIER_ROUNDS);
		return 2;
	}
	templates = tier_memory(TIER_TEMPLATES, sizeof(*templates));
	packets_fill_varied(templates, TIER_TEMPLATES);
	umem = tier_memory(TIER_FRAMES, TIER_FRAME);
	for (uint32_t i = 0; i < TIER_FRAMES; i++) {
		pkts[i].frame = i;
		pkts[i].data = umem + (size_t)i * TIER_FRAME + TIER_OFFSET;
		pkts[i].meta = (struct xfq_meta *)(void *)(pkts[i].data - XFQ_META_BYTES);
	}
	for (uint32_t members = 1; members <= TIER_MEMBERS; members *= 4) {
		for (uint32_t w = 0; w < 3; w++)
			whole[w] = tier_create(tier_groups, TIER_GROUPS, members, w == 0, w < 2);
		for (uint32_t f = 0; f < sizeof(flows) / sizeof(flows[0]); f++) {
			for (uint32_t w = 0; w < 3; w++)
				rows[w] = tier_row("tier", ways[w], whole[w], tier_run, flows[f]);
			tier_measure_rows(rows, 3);
		}
	}
	for (uint32_t w = 0; w < 3; w++)
		alone[w] = tier_create(tier_expressions, TIER_EXPRESSIONS, 1, w == 0, w < 2);
	for (uint32_t w = 0; w < 3; w++)
		rows[w] = tier_row("classify", ways[w], alone[w], tier_classify, 10000);
	rows[3] = tier_row("classify", "libpcap", alone[2], tier_libpcap, 10000);
	tier_measure_rows(rows, 4);
	for (uint32_t w = 0; w < 2; w++)
		alone[w] = tier_create(tier_any, 1, 1, w == 0, true);
	for (uint32_t f = 0; f < sizeof(flows) / sizeof(flows[0]); f++) {
		for (uint32_t w = 0; w < 2; w++)
			rows[w] = tier_row("table", ways[w], alone[w], tier_run, flows[f]);
		tier_measure_rows(rows, 2);
	}
	return 0;
}
