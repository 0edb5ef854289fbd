/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions of any size: code with jumps further than an instruction reaches runs as short code
 * does, and what the kernel's verifier refuses is refused with the rule that is the cause.
 */
#include "xdp/first_pass.h"
#include "xdp/loader.h"
#include "xdp/socket.h"
#include "xdp/tc.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Conditional jumps in a row: the verifier of any kernel gives up before so many. */
#define JUMPS_TOO_MANY 40000

/* As many as it still takes. */
#define JUMPS_MANY 3000

/* Bytes of the packets, and what is looked for in them. */
#define PACKET_BYTES 64

/* An expression of `cnt` instructions, which the rule owns from now on. */
static struct sock_filter *rule_program(struct filter_rule *rule, uint32_t cnt)
{
	struct sock_filter *insns = calloc(cnt, sizeof(*insns));
	struct xfq_error error = {0};

	assert_non_null(insns);
	assert_int_equal(filter_rule_match(rule, "ip", &error), 0);
	expression_destroy(&rule->expression);
	rule->expression.insns = (struct bpf_insn *)insns;
	rule->expression.insn_cnt = cnt;
	return insns;
}

/* `cnt` times: a byte, with something added `padding` times, equals a number; then it matches. */
static void rule_of_bytes(struct filter_rule *rule, uint32_t cnt, uint32_t padding)
{
	uint32_t block = padding + 3, at = 0;
	struct sock_filter *insns = rule_program(rule, cnt * block + 1);

	for (uint32_t i = 0; i < cnt; i++) {
		insns[at++] =
			(struct sock_filter){BPF_LD | BPF_B | BPF_ABS, 0, 0, i % PACKET_BYTES};
		for (uint32_t n = 0; n < padding; n++)
			insns[at++] = (struct sock_filter){BPF_ALU | BPF_ADD | BPF_K, 0, 0, i};
		insns[at++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 1,
						   i * padding + i % 251};
		insns[at++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, 1};
	}
	insns[at] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, 0};
}

static int run(const struct loader *loader, const uint8_t *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = PACKET_BYTES,
		    .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(loader_program_fd(loader), &options), 0);
	return (int)options.retval;
}

static void test_far_jumps(void **state)
{
	struct loader_options options = {0};
	struct xfq_error error = {0};
	struct filter filter;
	struct loader loader;
	int matched = 0;

	(void)state;
	filter_init(&filter);
	filter.default_action = FILTER_PASS;
	/* about 100,000 instructions, and as many again for what is beyond the first buffer */
	rule_of_bytes(filter_add(&filter, FILTER_DROP), 1500, 60);
	assert_int_equal(filter_rule_match(filter_add(&filter, FILTER_DROP), "arp", &error), 0);
	options.filter = &filter;
	if (loader_load(&loader, &options, &error))
		fail_msg("%s", error.text);
	for (uint32_t i = 0; i < 2000; i++) {
		uint8_t packet[PACKET_BYTES];
		bool matches;

		memset(packet, 252 + (int)(i % 2), sizeof(packet));
		/* at most one of the numbers is there */
		packet[i % PACKET_BYTES] = (uint8_t)(i % 3 ? i % 251 : 255);
		matches = expression_match(&filter.rules[0].expression, packet, sizeof(packet),
					   sizeof(packet));
		matched += matches;
		assert_int_equal(run(&loader, packet), matches ? XDP_DROP : XDP_PASS);
	}
	assert_in_range(matched, 100, 1900);
	loader_destroy(&loader);
	filter_destroy(&filter);
}

/* The load fails, with a sentence in which `rule` is named. */
static void refuses(struct filter *filter, const char *rule)
{
	struct loader_options options = {.filter = filter};
	struct xfq_error error = {0};
	struct loader loader;

	assert_int_equal(loader_load(&loader, &options, &error), -E2BIG);
	print_message("  %s\n", error.text);
	assert_non_null(strstr(error.text, rule));
	assert_non_null(strstr(error.text, "the kernel's verifier"));
	filter_destroy(filter);
}

static void test_too_large(void **state)
{
	struct xfq_error error = {0};
	struct filter filter;

	(void)state;
	filter_init(&filter);
	for (uint32_t i = 0; i < 4; i++) {
		struct filter_rule *rule = filter_add(&filter, FILTER_DROP);

		rule->line = 10 + i;
		if (i == 2)
			rule_of_bytes(rule, JUMPS_TOO_MANY, 0);
		else
			assert_int_equal(filter_rule_match(rule, "udp port 53", &error), 0);
	}
	refuses(&filter, "rule 2 (line 12): the kernel's verifier");
}

static void test_too_large_claim(void **state)
{
	struct xfq_error error = {0};
	struct filter_rule *big;
	struct filter filter;

	(void)state;
	filter_init(&filter);
	assert_int_equal(filter_rule_match(filter_add(&filter, FILTER_DROP), "arp", &error), 0);
	big = filter_add(&filter, FILTER_DROP);
	rule_of_bytes(big, JUMPS_TOO_MANY, 0);
	filter.default_action = FILTER_CLAIMED;
	filter.claim_push_down = true;
	filter.claims = calloc(2, sizeof(*filter.claims));
	assert_non_null(filter.claims);
	filter.claim_cnt = 2;
	assert_int_equal(expression_compile(&filter.claims[0].expression, "tcp", &error), 0);
	filter.claims[0].name = "web";
	filter.claims[1].name = "large";
	filter.claims[1].line = 7;
	/* its expression is the claim's from now on */
	filter.claims[1].expression = big->expression;
	memset(&big->expression, 0, sizeof(big->expression));
	big->fields = 0;
	big->fields |= FILTER_PROTO;
	refuses(&filter, "group \"large\" (line 7): the kernel's verifier");
}

/* Together they have more jumps than one of them may have. */
static void test_many_large(void **state)
{
	struct loader_options options = {0};
	struct xfq_error error = {0};
	uint8_t packet[PACKET_BYTES];
	struct filter filter;
	struct loader loader;

	(void)state;
	filter_init(&filter);
	for (uint32_t i = 0; i < 8; i++)
		rule_of_bytes(filter_add(&filter, i % 2 ? FILTER_DROP : FILTER_PASS), JUMPS_MANY,
			      i % 3);
	filter.default_action = FILTER_PASS;
	options.filter = &filter;
	if (loader_load(&loader, &options, &error))
		fail_msg("%s", error.text);
	for (uint32_t i = 0; i < 256; i++) {
		struct first_pass pass = {.filter = &filter};
		struct xfq_meta meta;

		memset(packet, (int)i, sizeof(packet));
		assert_int_equal(
			run(&loader, packet),
			first_pass_run(&pass, packet, sizeof(packet), sizeof(packet), 0, &meta)
						.verdict == XDP_VERDICT_DROP
				? XDP_DROP
				: XDP_PASS);
	}
	loader_destroy(&loader);
	filter_destroy(&filter);
}

/* Each is taken alone, but not all together. */
static void test_too_many(void **state)
{
	static const char chains[] =
		"protochain 1 or protochain 2 or protochain 3 or protochain 4 or protochain 5 or "
		"protochain 6 or protochain 7 or protochain 8 or protochain 9 or protochain 10 or "
		"protochain 11 or protochain 12 or protochain 13 or protochain 14";
	struct xfq_error error = {0};
	struct filter filter;

	(void)state;
	filter_init(&filter);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(
			filter_rule_match(filter_add(&filter, FILTER_DROP), chains, &error), 0);
	refuses(&filter, "rule 2: with those before it");
}

/* The programs on socket buffers are refused with the rule that is the cause as well. */
static void test_too_large_skb(void **state)
{
	struct filter small, large;
	struct loader_options options = {.filter = &small};
	struct tc_options tc_options = {.kind = TC_EGRESS, .filter = &large};
	struct xfq_error error = {0}, tc_error = {0}, socket_error = {0};
	struct socket_bpf *socket = NULL;
	struct filter_rule *rule;
	struct loader loader;
	struct tc tc;

	(void)state;
	filter_init(&small);
	filter_init(&large);
	large.default_action = FILTER_PASS;
	assert_int_equal(filter_rule_match(filter_add(&small, FILTER_DROP), "arp", &error), 0);
	assert_int_equal(filter_rule_match(filter_add(&large, FILTER_DROP), "arp", &error), 0);
	rule = filter_add(&large, FILTER_DROP);
	rule->line = 12;
	rule_of_bytes(rule, JUMPS_TOO_MANY, 0);
	assert_int_equal(tc_load(&tc, &tc_options, &tc_error), -E2BIG);
	print_message("  %s\n", tc_error.text);
	assert_non_null(strstr(tc_error.text, "rule 1 (line 12): the kernel's verifier"));
	if (loader_load(&loader, &options, &error))
		fail_msg("%s", error.text);
	assert_int_equal(socket_load(&socket, loader.now.skeleton, &large, &socket_error), -E2BIG);
	assert_null(socket);
	assert_string_equal(socket_error.text, tc_error.text);
	loader_destroy(&loader);
	filter_destroy(&small);
	filter_destroy(&large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_far_jumps), cmocka_unit_test(test_many_large),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_too_large_claim),
		cmocka_unit_test(test_too_many),  cmocka_unit_test(test_too_large_skb),
	};
	struct filter filter;
	struct loader_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct loader loader;

	filter_init(&filter);
	if (loader_load(&loader, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	loader_destroy(&loader);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
