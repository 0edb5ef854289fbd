/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/classify.h"
#include "steering/counter.h"
#include "steering/parse.h"
#include <errno.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

int classify_init(struct classify *classify, uint32_t worker, uint32_t flows)
{
	memset(classify, 0, sizeof(*classify));
	classify->worker = worker;
	return cache_init(&classify->cache, flows);
}

void classify_destroy(struct classify *classify)
{
	cache_destroy(&classify->cache);
	tunnels_destroy(classify->tunnels);
	memset(classify, 0, sizeof(*classify));
}

/* --- the flow cache --------------------------------------------------------------------------- */

/* What the cache may hold answers of, after another policy or other sets and tables. */
static __attribute__((noinline)) void classify_begin_epoch(struct classify *classify)
{
	const struct policy *policy = classify->policy;

	cache_flush(&classify->cache);
	classify->cache_policy = policy;
	classify->cache_epoch = classify->data->epoch;
	classify->keyed_sets = 0;
	classify->keyed_tables = 0;
	for (uint32_t t = 0; t < policy->test_cnt && t < 64; t++)
		if (policy->tests[t].kind == POLICY_SET)
			classify->keyed_sets |= policy->keyed[0] & 1ULL << t;
	for (uint32_t t = 0; t < policy->table_cnt && t < CACHE_OUTCOMES; t++)
		if (!policy->groups[policy->table_groups[t]].inner && classify->data->tables[t] &&
		    !table_asks_flags(classify->data->tables[t]))
			classify->keyed_tables |= 1u << t;
	classify->worth_asking = classify->always || classify->keyed_sets || classify->keyed_tables;
}

/* The shapes and keys of all packets; what the cache may have of them is on its way here. */
static uint64_t classify_find_shapes(struct classify *classify)
{
	const struct cache *cache = &classify->cache;
	uint8_t flags = classify->policy->tcp_flags;
	uint64_t shaped = 0, loose = 0;

	for (uint32_t i = 0; i < classify->cnt; i++) {
		const struct packet *pkt = &classify->pkts[i];
		struct shape_key *key = &classify->keys[i];
		uint8_t shape = shape_of(pkt, flags, key);

		if (shape == SHAPE_NONE)
			continue;
		classify->entries[i] = cache_first(cache, pkt->meta->flow_hash, key);
		__builtin_prefetch(classify->entries[i]);
		shaped |= 1ULL << i;
		loose |= (uint64_t)(classify->policy->loose_shapes >> shape & 1) << i;
	}
	classify->loose = loose;
	return shaped;
}

/* Find out which packets the cache has answers for, and which it could have. */
static void classify_ask_cache(struct classify *classify)
{
	struct cache *cache = &classify->cache;
	uint64_t shaped = classify_find_shapes(classify), cached = 0;
	uint32_t found, asked = (uint32_t)__builtin_popcountll(shaped);

	for (uint64_t left = shaped; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		const struct shape_key *key = &classify->keys[i];
		const struct cache_entry *entry = classify->entries[i];

		if (!cache_has(cache, entry, key)) {
			entry = cache_second(cache, classify->pkts[i].meta->flow_hash, key);
			if (!cache_has(cache, entry, key))
				continue;
		}
		classify->entries[i] = entry;
		classify->words[i] = entry->answer.hits;
		cached |= 1ULL << i;
	}
	found = (uint32_t)__builtin_popcountll(cached);
	cache->asked += asked;
	cache->found += found;
	counter_add(&cache->hits, found);
	counter_add(&cache->misses, asked - found);
	classify->cached = cached;
	classify->loose &= cached;
	classify->missed = shaped & ~cached;
}

/* Bit b of each of 64 bytes, as a word; b from 0 to 7, in words[b]. */
static void classify_turn_bytes(const uint8_t *bytes, uint64_t *words)
{
#ifdef __SSE2__
	__m128i part[4];

	for (int p = 0; p < 4; p++)
		part[p] = _mm_load_si128((const __m128i *)(const void *)(bytes + 16 * p));
	for (int b = 7; b >= 0; b--) {
		words[b] = 0;
		for (int p = 0; p < 4; p++) {
			words[b] |= (uint64_t)(uint32_t)_mm_movemask_epi8(part[p]) << 16 * p;
			part[p] = _mm_add_epi8(part[p], part[p]);
		}
	}
#else
	for (int b = 0; b < 8; b++) {
		words[b] = 0;
		for (int i = 0; i < 64; i++)
			words[b] |= (uint64_t)(bytes[i] >> b & 1) << i;
	}
#endif
}

/* What the cache says becomes the tests' words. */
static void classify_use_cache(struct classify *classify)
{
	uint32_t tests = classify->policy->test_cnt < 64 ? classify->policy->test_cnt : 64;

	for (uint64_t left = ~classify->cached; left; left &= left - 1)
		classify->words[__builtin_ctzll(left)] = 0;
	for (uint32_t t = 0; t < tests; t += 8) {
		uint8_t bytes[PACKET_BURST] __attribute__((aligned(16)));
		uint64_t words[8];

		for (uint32_t i = 0; i < PACKET_BURST; i++)
			bytes[i] = (uint8_t)(classify->words[i] >> t);
		classify_turn_bytes(bytes, words);
		for (uint32_t b = 0; b < 8 && t + b < tests; b++)
			classify->hits[t + b] |= words[b];
	}
	for (uint64_t left = classify->keyed_sets; left; left &= left - 1)
		classify->asked[__builtin_ctzll(left)] |= classify->cached;
	for (uint32_t table = classify->keyed_tables; table; table &= table - 1) {
		uint32_t t = (uint32_t)__builtin_ctz(table);

		for (uint64_t left = classify->cached; left; left &= left - 1) {
			uint32_t i = (uint32_t)__builtin_ctzll(left);

			classify->outcomes[t][i] = classify->entries[i]->answer.outcomes[t];
		}
		classify->table_asked[t] |= classify->cached;
	}
}

static uint64_t classify_test(struct classify *classify, uint32_t test, uint64_t among);

/* Packets of flows that the cache does not know: all that it is to know is found out, and put
 * there. */
static __attribute__((noinline)) void classify_fill_cache(struct classify *classify)
{
	const struct policy *policy = classify->policy;
	uint32_t tests = policy->test_cnt < 64 ? policy->test_cnt : 64;

	for (uint64_t left = classify->missed; left; left &= left - 1)
		memset(&classify->answers[__builtin_ctzll(left)], 0, sizeof(classify->answers[0]));
	for (uint64_t left = classify->keyed_sets; left; left &= left - 1)
		classify_test(classify, (uint32_t)__builtin_ctzll(left), classify->missed);
	for (uint32_t t = 0; t < tests; t++)
		for (uint64_t left = classify->hits[t] & classify->missed; left; left &= left - 1) {
			uint32_t i = (uint32_t)__builtin_ctzll(left);

			classify->answers[i].hits |=
				policy->keyed[shape_of_key(&classify->keys[i])] & 1ULL << t;
		}
	for (uint32_t table = classify->keyed_tables; table; table &= table - 1) {
		uint32_t t = (uint32_t)__builtin_ctz(table);

		classify_table(classify, t, false, classify->missed);
		for (uint64_t left = classify->missed; left; left &= left - 1) {
			uint32_t i = (uint32_t)__builtin_ctzll(left);

			classify->answers[i].outcomes[t] = classify->outcomes[t][i];
		}
	}
	for (uint64_t left = classify->missed; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);

		cache_put(&classify->cache, classify->pkts[i].meta->flow_hash, &classify->keys[i],
			  &classify->answers[i]);
	}
}

void classify_end(struct classify *classify)
{
	if (classify->missed)
		classify_fill_cache(classify);
}

/* --- expressions ------------------------------------------------------------------------------ */

/* Bits of packets that stood closely, at their places in the burst. */
static inline uint64_t classify_spread(uint64_t close, const uint8_t *places)
{
	uint64_t spread = 0;

	for (; close; close &= close - 1)
		spread |= 1ULL << places[__builtin_ctzll(close)];
	return spread;
}

/* Evaluate the expressions of a unit for some packets; their words take what they say. */
static void classify_unit(struct classify *classify, const struct policy_unit *unit,
			  const struct packet *pkts, uint64_t among)
{
	uint64_t hits[POLICY_TESTS_MAX];
	struct packet some[PACKET_BURST];
	uint8_t places[PACKET_BURST];
	uint32_t cnt = 0;

	if (unit->unit.cnt == 0 || among == 0)
		return;
	if (among == classify->all) {
		unit_run(&unit->unit, pkts, classify->cnt, hits);
		for (uint32_t r = 0; r < unit->unit.cnt; r++)
			classify->hits[unit->tests[r]] |= hits[r];
		return;
	}
	for (uint64_t left = among; left; left &= left - 1) {
		places[cnt] = (uint8_t)__builtin_ctzll(left);
		some[cnt] = pkts[places[cnt]];
		cnt++;
	}
	unit_run(&unit->unit, some, cnt, hits);
	for (uint32_t r = 0; r < unit->unit.cnt; r++)
		classify->hits[unit->tests[r]] |= classify_spread(hits[r], places);
}

/* By the cache, and what it does not say by the units. */
static void classify_with_cache(struct classify *classify)
{
	const struct policy *policy = classify->policy;
	uint64_t unanswered;

	classify_ask_cache(classify);
	unanswered = classify->all & ~classify->cached;
	if (classify->cached) {
		classify_use_cache(classify);
		/* what is answered may be asked again here, with the same answer */
		classify_unit(classify, &policy->rest, classify->pkts, classify->loose);
	}
	classify_unit(classify, &policy->outer, classify->pkts, unanswered);
}

void classify_burst(struct classify *classify, const struct policy *policy,
		    const struct policy_data *data, const struct policy_state *state,
		    const struct packet *pkts, uint32_t cnt)
{
	classify->policy = policy;
	classify->data = data;
	classify->state = state;
	classify->pkts = pkts;
	classify->inner = pkts;
	classify->cnt = cnt;
	classify->all = cnt == PACKET_BURST ? UINT64_MAX : (1ULL << cnt) - 1;
	classify->cached = classify->missed = 0;
	for (uint32_t t = 0; t < policy->test_cnt; t++)
		classify->hits[t] = classify->asked[t] = 0;
	for (uint32_t t = 0; t < policy->table_cnt; t++)
		classify->table_asked[t] = 0;
	if (policy->asks_inner && classify->tunnels) {
		tunnels_set_reach(classify->tunnels, policy->inner_reach);
		tunnels_burst(classify->tunnels, policy->hash_seed, pkts, cnt, classify->inners);
		classify->inner = classify->inners;
		classify_unit(classify, &policy->inner, classify->inner, classify->all);
	}
	if (classify->cache_policy != policy || classify->cache_epoch != data->epoch)
		classify_begin_epoch(classify);
	if (classify->worth_asking && cache_is_asked(&classify->cache, cnt))
		classify_with_cache(classify);
	else
		classify_unit(classify, &policy->outer, pkts, classify->all);
}

/* --- what is asked when somebody wants to know -------------------------------------------------
 */

static const struct packet *classify_pkts(const struct classify *classify, bool inner)
{
	return inner ? classify->inner : classify->pkts;
}

/* Ask a plug-in's predicate. */
static uint64_t classify_ask_plugin(struct classify *classify, const struct policy_test *test,
				    uint64_t among)
{
	const struct packet *pkts = classify_pkts(classify, test->inner);
	const struct policy_plugin *plugin = &classify->policy->plugins[test->plugin];
	struct xfq_plugin_packet seen[PACKET_BURST];
	struct xfq_plugin_burst burst = {
		.pkts = seen,
		.cnt = classify->cnt,
		.worker = classify->worker,
		.now_ns = classify->pkts[0].meta->ts_ns,
	};

	for (uint32_t i = 0; i < classify->cnt; i++)
		seen[i] = (struct xfq_plugin_packet){
			.data = pkts[i].data,
			.meta = pkts[i].meta,
			.len = pkts[i].len,
		};
	return plugin->functions->match(classify->state->plugin_states[test->plugin], &burst,
					among) &
	       among;
}

/* Which of the packets `among` pass a test. */
static uint64_t classify_test(struct classify *classify, uint32_t number, uint64_t among)
{
	const struct policy_test *test = &classify->policy->tests[number];
	uint64_t ask = among & ~classify->asked[number];

	if (test->kind == POLICY_EXPRESSION)
		return classify->hits[number] & among;
	if (ask) {
		classify->asked[number] |= ask;
		if (test->kind == POLICY_SET)
			classify->hits[number] |= classify->data->in_set(
				classify->data->sets, test->set, test->fields,
				classify_pkts(classify, test->inner), ask);
		else
			classify->hits[number] |= classify_ask_plugin(classify, test, ask);
	}
	return classify->hits[number] & among;
}

uint64_t classify_when(struct classify *classify, const struct policy_when *when, uint64_t among)
{
	for (uint32_t i = 0; i < when->cnt && among; i++) {
		uint64_t pass = classify_test(classify, when->tests[i], among);

		among = when->negated >> i & 1 ? among & ~pass : pass;
	}
	return among;
}

void classify_table_key(const struct packet *pkt, struct table_key *key)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *l3 = pkt->data + meta->l3_off, *l4 = pkt->data + meta->l4_off;

	memset(key, 0, sizeof(*key));
	key->sport = key->dport = TABLE_NO_PORT;
	if (meta->flags & XFQ_META_IPV4) {
		key->ip = 4;
		memcpy(key->src, l3 + 12, 4);
		memcpy(key->dst, l3 + 16, 4);
	} else if (meta->flags & XFQ_META_IPV6) {
		key->ip = 6;
		memcpy(key->src, l3 + 8, 16);
		memcpy(key->dst, l3 + 24, 16);
	} else {
		return;
	}
	key->proto = meta->l4_proto;
	if ((key->proto == PARSE_IP_ICMP || key->proto == PARSE_IP_ICMPV6) && meta->l4_off &&
	    pkt->len > meta->l4_off)
		key->flags = *l4; /* the type */
	if (!(meta->flags & XFQ_META_PORTS))
		return;
	key->sport = parse_be16(l4);
	key->dport = parse_be16(l4 + 2);
	if (key->proto == PARSE_IP_TCP && pkt->len >= meta->l4_off + 14u)
		key->flags = parse_be16(l4 + 12) & 0x1ff;
}

void classify_table(struct classify *classify, uint32_t table, bool inner, uint64_t among)
{
	const struct packet *pkts = classify_pkts(classify, inner);
	const struct table *rules = classify->data->tables[table];
	uint64_t ask = among & ~classify->table_asked[table];
	struct table_key keys[PACKET_BURST];
	uint16_t outcomes[PACKET_BURST];
	uint32_t cnt = 0;

	if (ask == 0)
		return;
	for (uint64_t left = ask; left; left &= left - 1)
		classify_table_key(&pkts[__builtin_ctzll(left)], &keys[cnt++]);
	memset(outcomes, 0, cnt * sizeof(outcomes[0]));
	if (rules)
		table_find(rules, keys, cnt, outcomes, NULL);
	cnt = 0;
	for (uint64_t left = ask; left; left &= left - 1)
		classify->outcomes[table][__builtin_ctzll(left)] = outcomes[cnt++];
	classify->table_asked[table] |= ask;
}

int classify_prepare(struct classify *classify, const struct policy *policy)
{
	if (!policy->asks_inner || classify->tunnels)
		return 0;
	classify->tunnels = tunnels_create(UINT32_MAX);
	return classify->tunnels ? 0 : -ENOMEM;
}
