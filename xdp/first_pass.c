/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/first_pass.h"
#include "steering/flow.h"
#include "steering/parse.h"
#include "xdp/decide.h"
#include "xdp/first_pass_state.h"
#include "xdp/fragment.h"
#include <bpf/bpf.h>
#include <stdlib.h>
#include <time.h>

/* A packet being judged. */
struct first_pass_packet {
	const uint8_t *data;
	uint32_t len;
	struct xdp_judged judged;
};

/* One writer; others may read while it runs. */
static void first_pass_add(__u64 *counter, __u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void first_pass_count(struct xdp_counter *counter, uint32_t bytes)
{
	first_pass_add(&counter->packets, 1);
	first_pass_add(&counter->bytes, bytes);
}

static bool first_pass_in(uint16_t port, uint16_t lo, uint16_t hi)
{
	return port >= lo && port <= hi;
}

static bool first_pass_ports(const struct filter_rule *rule, const struct xdp_judged *judged)
{
	uint16_t sport = judged->key.sport, dport = judged->key.dport;

	if (!(judged->meta.flags & XFQ_META_PORTS))
		return false;
	if ((rule->fields & FILTER_SPORT) && !first_pass_in(sport, rule->sport_lo, rule->sport_hi))
		return false;
	if ((rule->fields & FILTER_DPORT) && !first_pass_in(dport, rule->dport_lo, rule->dport_hi))
		return false;
	return !(rule->fields & FILTER_PORT) ||
	       first_pass_in(sport, rule->port_lo, rule->port_hi) ||
	       first_pass_in(dport, rule->port_lo, rule->port_hi);
}

static bool first_pass_matches(const struct filter *filter, const struct filter_rule *rule,
			       const struct first_pass_packet *packet)
{
	const uint8_t ports = FILTER_PORT | FILTER_SPORT | FILTER_DPORT;
	const struct xfq_meta *meta = &packet->judged.meta;

	if ((rule->fields & FILTER_PROTO) && (!meta->l3_off || meta->l4_proto != rule->proto))
		return false;
	if ((rule->fields & ports) && !first_pass_ports(rule, &packet->judged))
		return false;
	if ((rule->fields & FILTER_SET) && !set_has(filter->sets[rule->set], rule->set_fields,
						    &packet->judged, packet->data, packet->len))
		return false;
	return !(rule->fields & FILTER_MATCH) ||
	       expression_match(&rule->expression, packet->data, meta->wire_len, packet->len);
}

static struct first_pass_state *first_pass_state(struct first_pass *pass)
{
	if (!pass->state)
		pass->state = calloc(1, sizeof(*pass->state));
	return pass->state;
}

static enum xdp_verdict first_pass_verdict(enum filter_action action)
{
	switch (action) {
	case FILTER_STEER:
		return XDP_VERDICT_STEER;
	case FILTER_DROP:
		return XDP_VERDICT_DROP;
	case FILTER_TX:
		return XDP_VERDICT_TX;
	case FILTER_LIMIT:
		return XDP_VERDICT_LIMITED;
	case FILTER_PASS:
	case FILTER_CLAIMED:
		break;
	}
	return XDP_VERDICT_PASS;
}

static enum xdp_verdict first_pass_default(const struct filter *filter,
					   const struct first_pass_packet *packet)
{
	switch (filter->default_action) {
	case FILTER_DROP:
		return XDP_VERDICT_DROP;
	case FILTER_CLAIMED:
		if (!filter->claim_push_down)
			return XDP_VERDICT_STEER;
		for (uint32_t i = 0; i < filter->claim_cnt; i++)
			if (expression_match(&filter->claims[i].expression, packet->data,
					     packet->judged.meta.wire_len, packet->len))
				return XDP_VERDICT_STEER;
		return XDP_VERDICT_PASS;
	case FILTER_STEER:
		return XDP_VERDICT_STEER;
	case FILTER_PASS:
	case FILTER_TX:
	case FILTER_LIMIT:
		break;
	}
	return XDP_VERDICT_PASS;
}

/* Whether a packet that a rule that limits matches is beyond its rate. */
static bool first_pass_exceeds(struct first_pass *pass, uint32_t rule,
			       const struct xdp_judged *judged)
{
	struct first_pass_state *state = first_pass_state(pass);
	uint32_t index = decide_limit_index(pass->filter, rule);

	return state && index < XDP_LIMITS_MAX &&
	       first_pass_over(state, index, &pass->filter->rules[rule].limit, judged);
}

static struct first_pass_result first_pass_judge(struct first_pass *pass,
						 const struct first_pass_packet *packet)
{
	const struct filter *filter = pass->filter;
	struct first_pass_result result = {.rule = XFQ_RULE_DEFAULT};

	if ((packet->judged.meta.flags & XFQ_META_MALFORMED) &&
	    filter->malformed != XDP_MALFORMED_BY_RULES) {
		result.verdict = XDP_VERDICT_MALFORMED;
		result.action = filter->malformed == XDP_MALFORMED_DROP ? XDP_VERDICT_DROP
									: XDP_VERDICT_PASS;
		return result;
	}
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		const struct filter_rule *rule = &filter->rules[i];

		if (!first_pass_matches(filter, rule, packet))
			continue;
		if (rule->action == FILTER_LIMIT && !first_pass_exceeds(pass, i, &packet->judged))
			continue;
		result.rule = (uint16_t)i;
		result.verdict = first_pass_verdict(rule->action);
		result.action = rule->action == FILTER_LIMIT ? XDP_VERDICT_DROP : result.verdict;
		return result;
	}
	result.verdict = first_pass_default(filter, packet);
	result.action = result.verdict;
	return result;
}

/* Whether a fragment whose flow is not known is taken out before the rules are asked. */
static bool first_pass_is_orphan(struct first_pass *pass, struct xdp_judged *judged,
				 struct first_pass_result *result)
{
	const struct filter *filter = pass->filter;
	struct xdp_counters *c = &pass->counters;

	if (!(judged->meta.flags & XFQ_META_FRAGMENT))
		return false;
	first_pass_add(&c->fragments, 1);
	if (!filter->fragments || !fragment_is_later(judged) || !first_pass_state(pass) ||
	    first_pass_follow(pass->state, filter->orphans, pass->hash_seed, judged))
		return false;
	first_pass_add(&c->orphans, 1);
	if (filter->orphans == XDP_ORPHAN_BY_RULES)
		return false;
	result->rule = XFQ_RULE_DEFAULT;
	result->action = filter->orphans == XDP_ORPHAN_DROP ? XDP_VERDICT_DROP : XDP_VERDICT_PASS;
	result->verdict = result->action;
	return true;
}

/* What the shunt table says of a packet that is to be steered. */
static void first_pass_shunt(struct first_pass *pass, const struct xdp_judged *judged,
			     struct first_pass_result *result)
{
	enum shunt_action action = shunt_table_look(pass->shunt, judged);

	if (action == SHUNT_NONE)
		return;
	result->verdict = XDP_VERDICT_SHUNTED;
	result->action = action == SHUNT_DROP ? XDP_VERDICT_DROP : XDP_VERDICT_PASS;
}

struct first_pass_result first_pass_run(struct first_pass *pass, const uint8_t *data, uint32_t len,
					uint32_t wire_len, uint64_t now_ns, struct xfq_meta *meta)
{
	struct first_pass_packet packet = {.data = data, .len = len};
	struct xdp_counters *c = &pass->counters;
	struct xdp_judged *judged = &packet.judged;
	struct first_pass_result result;

	parse_packet(NULL, data, data + len, wire_len, &judged->meta, &judged->key);
	judged->now_ns = now_ns;
	if (judged->meta.flags & XFQ_META_MALFORMED)
		first_pass_add(&c->malformed, 1);
	if (!first_pass_is_orphan(pass, judged, &result))
		result = first_pass_judge(pass, &packet);
	if (pass->filter->fragments &&
	    fragment_is_noted(judged, result.verdict, pass->filter->malformed) &&
	    first_pass_state(pass))
		first_pass_follow(pass->state, pass->filter->orphans, pass->hash_seed, judged);
	if (pass->shunt) {
		shunt_table_tick(pass->shunt, now_ns);
		if (result.verdict == XDP_VERDICT_STEER)
			first_pass_shunt(pass, judged, &result);
	}
	if (result.verdict != XDP_VERDICT_MALFORMED)
		first_pass_count(
			&c->rules[result.rule < XDP_RULES_MAX ? result.rule : XDP_RULES_MAX],
			wire_len);
	first_pass_count(&c->verdicts[result.verdict], wire_len);
	judged->meta.rule = result.rule;
	judged->meta.generation = pass->generation;
	if (result.action == XDP_VERDICT_STEER && !judged->meta.flow_hash)
		judged->meta.flow_hash =
			flow_hash(&judged->meta, &judged->key, data, data + len, pass->hash_seed);
	*meta = judged->meta;
	return result;
}

void first_pass_replace(struct first_pass *pass, const struct filter *filter, uint8_t generation)
{
	struct xdp_counter rules[XDP_RULES_MAX] = {{0}};

	filter_carry_counters(pass->filter, pass->counters.rules, filter, rules);
	for (uint32_t i = 0; i < XDP_RULES_MAX; i++) {
		__atomic_store_n(&pass->counters.rules[i].packets, rules[i].packets,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&pass->counters.rules[i].bytes, rules[i].bytes, __ATOMIC_RELAXED);
	}
	if (pass->state)
		first_pass_carry_limits(pass->state, pass->filter, filter);
	pass->filter = filter;
	pass->generation = generation;
}

void first_pass_destroy(struct first_pass *pass)
{
	if (!pass->state)
		return;
	first_pass_state_destroy(pass->state);
	free(pass->state);
	pass->state = NULL;
}

void first_pass_counters(const struct first_pass *pass, struct xdp_counters *counters)
{
	/* all counters are 64-bit words */
	const __u64 *from = (const __u64 *)&pass->counters;
	__u64 *to = (__u64 *)counters;

	for (size_t i = 0; i < sizeof(*counters) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* The clock of the programs in the kernel. */
static uint64_t first_pass_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

void first_pass_parse_noted(uint64_t hash_seed, int notes, const uint8_t *data, uint32_t len,
			    uint32_t wire_len, struct xfq_meta *meta)
{
	struct fragment_note note;
	struct fragment_key name;
	struct xdp_judged judged;

	parse_packet(NULL, data, data + len, wire_len, &judged.meta, &judged.key);
	*meta = judged.meta;
	meta->rule = XFQ_RULE_DEFAULT;
	if (notes >= 0 && (meta->flags & XFQ_META_FRAGMENT)) {
		fragment_key_make(&name, &judged);
		if (bpf_map_lookup_elem(notes, &name, &note) == 0 &&
		    fragment_fresh(&note, first_pass_clock())) {
			meta->flow_hash = note.hash;
			return;
		}
	}
	meta->flow_hash = flow_hash(meta, &judged.key, data, data + len, hash_seed);
}

void first_pass_parse(uint64_t hash_seed, const uint8_t *data, uint32_t len, uint32_t wire_len,
		      struct xfq_meta *meta)
{
	first_pass_parse_noted(hash_seed, -1, data, len, wire_len, meta);
}

int first_pass_notes_create(struct first_pass_notes *notes)
{
	*notes = (struct first_pass_notes){0};
	return first_pass_make_notes(&notes->notes);
}

void first_pass_notes_set(struct first_pass_notes *notes, const struct filter *filter)
{
	notes->follow = filter->fragments;
	notes->orphans = filter->orphans;
}

void first_pass_notes_destroy(struct first_pass_notes *notes)
{
	lru_destroy(&notes->notes);
	*notes = (struct first_pass_notes){0};
}

void first_pass_parse_following(uint64_t hash_seed, struct first_pass_notes *notes, uint64_t now_ns,
				const uint8_t *data, uint32_t len, uint32_t wire_len,
				struct xfq_meta *meta)
{
	struct xdp_judged judged;

	parse_packet(NULL, data, data + len, wire_len, &judged.meta, &judged.key);
	judged.now_ns = now_ns;
	if (notes->follow && (judged.meta.flags & XFQ_META_FRAGMENT))
		(void)first_pass_note(&notes->notes, notes->orphans, hash_seed, &judged);
	else
		judged.meta.flow_hash =
			flow_hash(&judged.meta, &judged.key, data, data + len, hash_seed);
	*meta = judged.meta;
	meta->rule = XFQ_RULE_DEFAULT;
}
