/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/quick.h"
#include <netinet/in.h>
#include <stddef.h>

/* The registers, from where the packet is known to be plain:
 *	R2 protocol, R3 and R4 source and destination port, R6 context, R7 the packet's length;
 * until there R1 is where the parser is, R5 the bytes that the IP header leaves for the rest. R8
 *and R9 are begin and end of the packet. */

#define QUICK_ETH       14
#define QUICK_TAG       4
#define QUICK_IPV4_MIN  28 /* IP header and 8 bytes: no plain packet has less */
#define QUICK_FIRST     (QUICK_ETH + QUICK_IPV4_MIN) /* bytes that are asked for at once */
#define QUICK_BUFFER    512 /* what is longer may lie in several buffers, and is not plain */
#define QUICK_RULES_MAX 64  /* beyond that the first pass is not much slower */

static bool quick_is_port_proto(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static bool quick_takes(const struct filter_rule *rule)
{
	const uint8_t known = FILTER_PROTO | FILTER_PORT | FILTER_SPORT | FILTER_DPORT;

	return (rule->action == FILTER_DROP || rule->action == FILTER_PASS) && rule->fields &&
	       (rule->fields & ~known) == 0;
}

uint32_t quick_rule_cnt(const struct filter *filter)
{
	uint32_t cnt = 0;
	bool useful = false;

	while (cnt < filter->rule_cnt && cnt < QUICK_RULES_MAX &&
	       quick_takes(&filter->rules[cnt])) {
		const struct filter_rule *rule = &filter->rules[cnt++];

		useful |= !(rule->fields & FILTER_PROTO) || quick_is_port_proto(rule->proto);
	}
	return useful ? cnt : 0;
}

/* Where packets go on: not fragments, first fragments, and those that are not plain. */
struct quick_labels {
	uint32_t whole, first, full;
};

static void quick_load(struct code *code, uint8_t size, uint8_t dst, uint8_t src, int16_t off)
{
	code_insn(code, BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}

/* 16 bits in network byte order. */
static void quick_load_be16(struct code *code, uint8_t dst, uint8_t src, int16_t off)
{
	quick_load(code, BPF_H, dst, src, off);
	code_insn(code, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, 16);
}

static void quick_move(struct code *code, uint8_t dst, uint8_t src)
{
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void quick_math(struct code *code, uint8_t op, uint8_t dst, int32_t imm)
{
	code_insn(code, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

/* Go to `full` where the packet has no `bytes` from the pointer `from` on. */
static void quick_need(struct code *code, uint8_t from, int32_t bytes, uint32_t full)
{
	quick_move(code, BPF_REG_0, from);
	quick_math(code, BPF_ADD, BPF_REG_0, bytes);
	code_jump(code, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_0, BPF_REG_9, 0, full);
}

/* R5 is what the IP header says of `skip` bytes and what follows; it must lie in the packet. */
static void quick_length(struct code *code, int32_t skip, uint32_t full)
{
	quick_move(code, BPF_REG_0, BPF_REG_5);
	quick_math(code, BPF_ADD, BPF_REG_0, skip);
	code_jump(code, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_0, BPF_REG_7, 0, full);
}

/* The ports at the constant offset `at`, and R1 to where they are; the bytes are there. */
static void quick_ports(struct code *code, int16_t at)
{
	quick_load_be16(code, BPF_REG_3, BPF_REG_8, at);
	quick_load_be16(code, BPF_REG_4, BPF_REG_8, (int16_t)(at + 2));
	quick_move(code, BPF_REG_1, BPF_REG_8);
	quick_math(code, BPF_ADD, BPF_REG_1, at);
}

/* What is compared with a constant is left in network byte order. */
static void quick_ipv4(struct code *code, int16_t at, const struct quick_labels *to)
{
	if (at + QUICK_IPV4_MIN > QUICK_FIRST)
		quick_need(code, BPF_REG_8, at + QUICK_IPV4_MIN, to->full);
	quick_load(code, BPF_B, BPF_REG_1, BPF_REG_8, at);
	code_jump32(code, BPF_JNE, BPF_REG_1, 0x45, to->full);
	quick_load(code, BPF_H, BPF_REG_1, BPF_REG_8, (int16_t)(at + 6));
	code_jump32(code, BPF_JSET, BPF_REG_1, htons(0x1fff), to->full);
	quick_load_be16(code, BPF_REG_5, BPF_REG_8, (int16_t)(at + 2));
	quick_length(code, at, to->full);
	code_jump32(code, BPF_JLT, BPF_REG_5, 20, to->full);
	quick_math(code, BPF_SUB, BPF_REG_5, 20);
	quick_load(code, BPF_B, BPF_REG_2, BPF_REG_8, (int16_t)(at + 9));
	quick_load(code, BPF_H, BPF_REG_0, BPF_REG_8, (int16_t)(at + 6));
	quick_ports(code, (int16_t)(at + 20));
	code_jump32(code, BPF_JSET, BPF_REG_0, htons(0x2000), to->first);
	code_goto(code, to->whole);
}

static void quick_ipv6(struct code *code, int16_t at, const struct quick_labels *to)
{
	quick_need(code, BPF_REG_8, at + 48, to->full);
	quick_load(code, BPF_B, BPF_REG_1, BPF_REG_8, at);
	quick_math(code, BPF_RSH, BPF_REG_1, 4);
	code_jump32(code, BPF_JNE, BPF_REG_1, 6, to->full);
	quick_load_be16(code, BPF_REG_5, BPF_REG_8, (int16_t)(at + 4));
	quick_length(code, at + 40, to->full);
	quick_load(code, BPF_B, BPF_REG_2, BPF_REG_8, (int16_t)(at + 6));
	quick_ports(code, (int16_t)(at + 40));
	code_goto(code, to->whole);
}

/* From the ethertype at `at` - 2 to the IP header; what is neither IPv4 nor IPv6 goes to `other`.
 */
static void quick_network(struct code *code, int16_t at, uint32_t other,
			  const struct quick_labels *to)
{
	uint32_t v6 = code_label(code);

	quick_load(code, BPF_H, BPF_REG_1, BPF_REG_8, (int16_t)(at - 2));
	code_jump32(code, BPF_JEQ, BPF_REG_1, htons(PARSE_ETH_IPV6), v6);
	code_jump32(code, BPF_JNE, BPF_REG_1, htons(PARSE_ETH_IPV4), other);
	quick_ipv4(code, at, to);
	code_place(code, v6);
	quick_ipv6(code, at, to);
}

/* What the parser asks of TCP and UDP; of the length in a UDP header, not in a fragment. */
static void quick_transport(struct code *code, bool fragment, uint32_t full)
{
	uint32_t tcp = code_label(code), plain = code_label(code);

	code_jump32(code, BPF_JEQ, BPF_REG_2, IPPROTO_TCP, tcp);
	code_jump32(code, BPF_JNE, BPF_REG_2, IPPROTO_UDP, full);
	if (fragment) {
		code_jump32(code, BPF_JLT, BPF_REG_5, 8, full);
	} else {
		quick_load_be16(code, BPF_REG_0, BPF_REG_1, 4);
		/* no less than 8, and no more than there is: so 8 bytes are there too */
		code_jump32(code, BPF_JLT, BPF_REG_0, 8, full);
		code_jump(code, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_0, BPF_REG_5, 0, full);
	}
	code_goto(code, plain);
	code_place(code, tcp);
	quick_need(code, BPF_REG_1, 20, full);
	quick_load(code, BPF_B, BPF_REG_0, BPF_REG_1, 12);
	quick_math(code, BPF_RSH, BPF_REG_0, 4);
	quick_math(code, BPF_LSH, BPF_REG_0, 2);
	code_jump32(code, BPF_JLT, BPF_REG_0, 20, full);
	code_jump(code, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_0, BPF_REG_5, 0, full);
	code_place(code, plain);
}

/* Go to `no` where a port is outside [lo, hi]. */
static void quick_range(struct code *code, uint8_t port, uint16_t lo, uint16_t hi, uint32_t no)
{
	if (lo == hi) {
		code_jump32(code, BPF_JNE, port, lo, no);
		return;
	}
	if (lo > 0)
		code_jump32(code, BPF_JLT, port, lo, no);
	if (hi < UINT16_MAX)
		code_jump32(code, BPF_JGT, port, hi, no);
}

/* `pass` is where a packet goes that the rule passes. */
static void quick_rule(struct code *code, const struct filter_rule *rule, uint32_t index,
		       uint32_t pass, uint32_t count)
{
	uint32_t next = code_label(code), other = code_label(code), yes = code_label(code);
	uint32_t verdict = rule->action == FILTER_DROP ? XDP_VERDICT_DROP : XDP_VERDICT_PASS;

	if (rule->fields & FILTER_PROTO)
		code_jump32(code, BPF_JNE, BPF_REG_2, rule->proto, next);
	if (rule->fields & FILTER_SPORT)
		quick_range(code, BPF_REG_3, rule->sport_lo, rule->sport_hi, next);
	if (rule->fields & FILTER_DPORT)
		quick_range(code, BPF_REG_4, rule->dport_lo, rule->dport_hi, next);
	if ((rule->fields & FILTER_PORT) && (rule->port_lo > 0 || rule->port_hi < UINT16_MAX)) {
		quick_range(code, BPF_REG_3, rule->port_lo, rule->port_hi, other);
		code_goto(code, yes);
		code_place(code, other);
		quick_range(code, BPF_REG_4, rule->port_lo, rule->port_hi, next);
		code_place(code, yes);
	}
	if (rule->action == FILTER_PASS && pass != count) {
		code_goto(code, pass);
		code_place(code, next);
		return;
	}
	code_load64(code, BPF_REG_8,
		    offsetof(struct xdp_counters, rules) + index * sizeof(struct xdp_counter));
	code_load64(code, BPF_REG_9,
		    offsetof(struct xdp_counters, verdicts) + verdict * sizeof(struct xdp_counter));
	code_load64(code, BPF_REG_6, rule->action == FILTER_DROP ? XDP_DROP : XDP_PASS);
	code_goto(code, count);
	code_place(code, next);
}

static void quick_map(struct code *code, uint8_t dst, int map)
{
	code_insn(code, BPF_LD | BPF_DW | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, map);
	code_insn(code, 0, 0, 0, 0, 0);
}

/* Add one packet of R7 bytes to the counter at R0 + `offset`. */
static void quick_add(struct code *code, uint8_t offset)
{
	quick_move(code, BPF_REG_1, BPF_REG_0);
	code_insn(code, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, offset, 0, 0);
	quick_load(code, BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_counter, packets));
	quick_math(code, BPF_ADD, BPF_REG_2, 1);
	code_insn(code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_2,
		  offsetof(struct xdp_counter, packets), 0);
	quick_load(code, BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_counter, bytes));
	code_insn(code, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_7, 0, 0);
	code_insn(code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_2,
		  offsetof(struct xdp_counter, bytes), 0);
}

/* R8 and R9 are the places of the counters, R6 the answer. */
static void quick_count(struct code *code, bool fragment, int counters)
{
	uint32_t out = code_label(code);

	code_insn(code, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0);
	quick_map(code, BPF_REG_1, counters);
	quick_move(code, BPF_REG_2, BPF_REG_10);
	quick_math(code, BPF_ADD, BPF_REG_2, -4);
	code_insn(code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	code_jump(code, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, out);
	if (fragment) {
		quick_load(code, BPF_DW, BPF_REG_1, BPF_REG_0,
			   offsetof(struct xdp_counters, fragments));
		quick_math(code, BPF_ADD, BPF_REG_1, 1);
		code_insn(code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_1,
			  offsetof(struct xdp_counters, fragments), 0);
	}
	quick_add(code, BPF_REG_8);
	quick_add(code, BPF_REG_9);
	code_place(code, out);
	quick_move(code, BPF_REG_0, BPF_REG_6);
	code_insn(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* To the first pass; where it is not there, as the filter is being taken away, to the stack. */
static void quick_go_on(struct code *code, int next)
{
	quick_move(code, BPF_REG_1, BPF_REG_6);
	quick_map(code, BPF_REG_2, next);
	quick_math(code, BPF_MOV, BPF_REG_3, 0);
	code_insn(code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
	code_return(code, XDP_PASS);
}

/*
 * The rules, for packets that are no fragments or for first fragments. Of these a rule that passes
 * is left to the first pass, which takes note of a datagram that goes on.
 */
static void quick_rules(struct code *code, const struct filter *filter, bool fragment,
			uint32_t full, int counters)
{
	uint32_t count = code_label(code), rule_cnt = quick_rule_cnt(filter);
	bool counted = false;

	quick_transport(code, fragment, full);
	for (uint32_t i = 0; i < rule_cnt; i++) {
		counted |= !fragment || filter->rules[i].action == FILTER_DROP;
		quick_rule(code, &filter->rules[i], i, fragment ? full : count, count);
	}
	code_goto(code, full);
	if (!counted)
		return; /* the verifier refuses code that cannot be reached */
	code_place(code, count);
	quick_count(code, fragment, counters);
}

int quick_generate(struct code *code, const struct filter *filter, int counters, int next)
{
	const struct quick_labels to = {
		.whole = code_label(code), .first = code_label(code), .full = code_label(code)};
	uint32_t tag = code_label(code);

	quick_move(code, BPF_REG_6, BPF_REG_1);
	quick_load(code, BPF_W, BPF_REG_8, BPF_REG_6, offsetof(struct xdp_md, data));
	quick_load(code, BPF_W, BPF_REG_9, BPF_REG_6, offsetof(struct xdp_md, data_end));
	quick_move(code, BPF_REG_7, BPF_REG_9);
	code_insn(code, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
	code_jump(code, BPF_JMP | BPF_JGE | BPF_K, BPF_REG_7, 0, QUICK_BUFFER, to.full);
	quick_need(code, BPF_REG_8, QUICK_FIRST, to.full);
	quick_network(code, QUICK_ETH, tag, &to);
	code_place(code, tag);
	code_jump32(code, BPF_JNE, BPF_REG_1, htons(PARSE_ETH_8021Q), to.full);
	quick_network(code, QUICK_ETH + QUICK_TAG, to.full, &to);
	code_place(code, to.whole);
	quick_rules(code, filter, false, to.full, counters);
	code_place(code, to.first);
	quick_rules(code, filter, true, to.full, counters);
	code_place(code, to.full);
	quick_go_on(code, next);
	return code_finish(code);
}
