/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of tables as text: what is read, what is refused and how, and that it comes back. */
#include "steering/table_text.h"
#include "tests/table_model.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEED 0x7ab1e7e47ULL

static const char *const classes[] = {"control", "user", "rest"};
static const struct table_words words = {
	.otherwise = TABLE_DROP, .classes = classes, .class_cnt = 3};

static struct table_rule rule_of(const char *line)
{
	struct table_rule rule;
	struct xfq_error error = {0};

	if (table_parse_rule(&rule, line, &words, &error) != 0)
		fail_msg("%s: %s", line, error.text);
	return rule;
}

static void assert_net(const uint8_t *addr, uint8_t len, int family, const char *text,
		       uint8_t expected_len)
{
	uint8_t expected[16] = {0};

	assert_int_equal(inet_pton(family, text, expected), 1);
	assert_memory_equal(addr, expected, sizeof(expected));
	assert_int_equal(len, expected_len);
}

static void test_csv(void **state)
{
	struct table_rule rule =
		rule_of("150,198.51.100.7/24,any, any ,1521-1522,tcp,syn/syn+ack,class:user\r\n");

	(void)state;
	assert_int_equal(rule.priority, 150);
	assert_int_equal(rule.ip, 4);
	assert_net(rule.src, rule.src_len, AF_INET, "198.51.100.0", 24);
	assert_int_equal(rule.dst_len, 0);
	assert_int_equal(rule.sport_lo, 0);
	assert_int_equal(rule.sport_hi, TABLE_NO_PORT);
	assert_int_equal(rule.dport_lo, 1521);
	assert_int_equal(rule.dport_hi, 1522);
	assert_int_equal(rule.proto, 6);
	assert_int_equal(rule.proto_mask, 0xff);
	assert_int_equal(rule.flags, 2);
	assert_int_equal(rule.flags_mask, 0x12);
	assert_int_equal(rule.outcome, TABLE_CLASS + 1);

	rule = rule_of(",2001:db8::1,2001:db8:ff00::/41,53,0-65535,17/0x1f,,deliver");
	assert_int_equal(rule.priority, 0);
	assert_int_equal(rule.ip, 6);
	assert_net(rule.src, rule.src_len, AF_INET6, "2001:db8::1", 128);
	assert_net(rule.dst, rule.dst_len, AF_INET6, "2001:db8:ff00::", 41);
	assert_int_equal(rule.sport_hi, 53);
	assert_int_equal(rule.dport_hi, 65535);
	assert_int_equal(rule.proto, 17);
	assert_int_equal(rule.proto_mask, 0x1f);
	assert_int_equal(rule.outcome, TABLE_DELIVER);

	/* the last field may be missing; a name of a family is none of an address */
	rule = rule_of(",,,,,icmp,0x8/255");
	assert_int_equal(rule.ip, 0);
	assert_int_equal(rule.flags, 8);
	assert_int_equal(rule.outcome, TABLE_DROP);
	assert_int_equal(rule_of(",,,,,,none/rst,").flags_mask, 4);
	assert_int_equal(rule_of(",,,,,,none/rst,").flags, 0);
	assert_int_equal(rule_of(",,,,,6,ns+fin,").flags, 0x101);
	assert_int_equal(rule_of("0xffFE,*,*,*,*,*,*,drop").priority, 0xfffe);
	assert_int_equal(rule_of(",,,,,sctp,,").proto, 132);
}

static void test_class_bench(void **state)
{
	struct table_rule rule = rule_of("@198.51.100.0/24\t203.0.113.0/25\t0 : 65535\t1521 : "
					 "1522\t0x06/0xFF\t0x0200/0x1200\t");

	(void)state;
	assert_int_equal(rule.ip, 4);
	assert_net(rule.src, rule.src_len, AF_INET, "198.51.100.0", 24);
	assert_net(rule.dst, rule.dst_len, AF_INET, "203.0.113.0", 25);
	assert_int_equal(rule.sport_hi, TABLE_NO_PORT);
	assert_int_equal(rule.dport_lo, 1521);
	assert_int_equal(rule.dport_hi, 1522);
	assert_int_equal(rule.proto, 6);
	assert_int_equal(rule.flags, 2);
	assert_int_equal(rule.flags_mask, 0x12);
	assert_int_equal(rule.outcome, TABLE_DROP);
	rule = rule_of("@2001:db8::/32 ::/0 1:2 3 : 4 0x00/0x00");
	assert_int_equal(rule.ip, 6);
	assert_int_equal(rule.src_len, 32);
	assert_int_equal(rule.sport_hi, 2);
	assert_int_equal(rule.proto_mask, 0);
	assert_int_equal(rule.flags_mask, 0);
	rule = rule_of("@0.0.0.0/0 0.0.0.0/0 0 : 65535 0 : 65535 0x01/0xFF 0x0b00/0xff00 more");
	assert_int_equal(rule.ip, 4);
	assert_int_equal(rule.flags, 11);
	assert_int_equal(rule.flags_mask, 0xff);
}

/* Nothing to read there. */
static void test_no_rule(void **state)
{
	static const char *const none[] = {"",
					   " \t",
					   "# 1,2",
					   "  #",
					   "\n",
					   "\r\n",
					   "priority,src,dst,sport,dport,proto,flags,action",
					   "Priority, Src, Dst,sport,dport,proto,flags,action\r"};
	struct table_rule rule;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(table_parse_rule(&rule, none[i], &words, NULL), 1);
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *says;
	} bad[] = {
		{"10,1.2.3.4.5,,,,,,", "\"1.2.3.4.5\" is neither an address"},
		{"10,1.2.3.4/33,,,,,,", "\"1.2.3.4/33\": the length of an IPv4 prefix"},
		{"10,::/129,,,,,,", "\"::/129\": the length of an IPv6 prefix"},
		{"10,1.2.3.4/,,,,,,", "\"1.2.3.4/\": the length"},
		{"10,1.2.3.4,::1,,,,,", "\"1.2.3.4\" and \"::1\" are of two families"},
		{"10,,,65536,,,,", "\"65536\" is neither a port"},
		{"10,,,,9-8,,,", "\"9-8\" is neither a port"},
		{"10,,,,-1,,,", "\"-1\" is neither a port"},
		{"10,,,,0x,,,", "\"0x\" is neither a port"},
		{"10,,,,1 2,,,", "\"1 2\" is neither a port"},
		{"10,,,,,tpc,,", "\"tpc\" is no protocol"},
		{"10,,,,,256,,", "\"256\" is no protocol"},
		{"10,,,,,tcp,syn+,", "\"syn+\" are no flags"},
		{"10,,,,,tcp,syn/ack,", "\"syn/ack\" asks for a flag that its mask leaves out"},
		{"10,,,,,udp,syn,", "\"syn\": flags are for tcp"},
		{"10,,,,,tcp,0x200,", "\"0x200\" are no flags"},
		{"10,,,,,,,pass", "\"pass\" is no action"},
		{"10,,,,,,,class:guest", "\"class:guest\": the group has no class"},
		{"0,,,,,,,", "\"0\" is no priority"},
		{"4294967295,,,,,,,", "\"4294967295\" is no priority"},
		{"99999999999999999999,,,,,,,", "\"99999999999999999999\" is no priority"},
		{"10,,,,,,,drop,", "has 8 fields and no more"},
		{"10,,", "has 3 of the 8 fields"},
		{"hello", "\"hello\" has 1 of the 8 fields"},
		{"10,\x01,,,,,,", "byte 0x01"},
		{"\"10\",any,any,any,any,udp,,drop", "fields have no quotes around them"},
		{"priority,src,dst,sport,dport,proto,action,flags", "a heading of other fields"},
		{"Src,dst", "\"Src,dst\": a heading of other fields"},
		{"priority,src,dst,sport,dport,proto,flags,action,hits", "a heading of other"},
		{"10,,,,53,icmp,,", "protocol icmp has no ports"},
		{"10,,,1-2,,58,,", "protocol icmp6 has no ports"},
		{"10,2001:db8::/32,,,,icmp,,", "icmp does not go with IPv6 prefixes; icmp6 does"},
		{"10,,10.0.0.0/8,,,icmp6,,", "icmp6 does not go with IPv4 prefixes; icmp does"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 65535 0x01/0xFF", "icmp has no ports"},
		{"@1.2.3.4/32", "two prefixes of one family are missing"},
		{"@1.2.3.4/32 ::/0 0 : 1 0 : 1 0/0", "two prefixes of one family are missing"},
		{"@1.2.3.4/32 1.2.3.4/32 0 - 1 0 : 1 0/0", "\"0 - 1\" is no range of source ports"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 2 : 1 0/0", "no range of destination ports"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 1", "the protocol is missing"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 1 0x06/0x1FF", "\"0x06/0x1FF\" is no protocol"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 1 0x06/0xFF 2", "\"2\" are no flags"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 1 0x06/0xFF 0x2/0x12", "upper 8 of 16 bits"},
		{"@1.2.3.4/32 1.2.3.4/32 0 : 1 0 : 1 0x11/0xFF 0x200/0x200", "not for 17"},
	};
	struct table_rule rule;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct xfq_error error = {0};

		assert_int_equal(table_parse_rule(&rule, bad[i].line, &words, &error), -EINVAL);
		assert_int_equal(error.code, -EINVAL);
		if (!strstr(error.text, bad[i].says))
			fail_msg("%s: %s", bad[i].line, error.text);
	}
}

/* A text and what becomes of it: an error that begins with `says`, or that many rules. */
static struct table_rule *text_of(const char *text, uint32_t cnt, const char *says)
{
	struct table_rule *rules = NULL;
	struct xfq_error error = {0};
	uint32_t got = 0;
	int code = table_parse("FILE", text, strlen(text), &words, &rules, &got, &error);

	if (says && (code != -EINVAL || strncmp(error.text, says, strlen(says)) != 0))
		fail_msg("%d, \"%s\", not \"%s\"", code, error.text, says);
	if (!says && (code != 0 || got != cnt))
		fail_msg("%d, %u rules: %s", code, got, error.text);
	return rules;
}

static void test_file(void **state)
{
	struct table_rule *rules;

	(void)state;
	rules = text_of("# rules\npriority,src,dst,sport,dport,proto,flags,action\n\n,,,,,tcp,,\n"
			"15,,,,,udp,,\n  ,,,,,icmp,,",
			3, NULL);
	assert_int_equal(rules[0].priority, 10);
	assert_int_equal(rules[0].line, 4);
	assert_int_equal(rules[1].priority, 15);
	assert_int_equal(rules[2].priority, 20);
	assert_int_equal(rules[2].line, 6);
	free(rules);
	free(text_of("", 0, NULL));
	free(text_of("@1.2.3.4/32 0.0.0.0/0 0 : 65535 0 : 65535 0x06/0xFF\r\n\n", 1, NULL));
	text_of("\n,,,,,tcp,,\n,,,,,tpc,,\n", 0, "FILE:3: \"tpc\" is no protocol");
	text_of("20,,,,,,,\n7,,,,,,,\n,,,,,,,\n,,,,,,,\n", 0,
		"FILE:4: priority \"20\" is that of line 1");
	free(text_of("\xef\xbb\xbfpriority,src,dst,sport,dport,proto,flags,action\n,,,,,,,\n", 1,
		     NULL));
	free(text_of("\xef\xbb\xbf@1.2.3.4/32 0.0.0.0/0 0 : 1 0 : 1 0/0\n", 1, NULL));
	text_of("@1.2.3.4/32 0.0.0.0/0 0 : 1 0 : 1 0/0\n,,,,,,,\n", 0,
		"FILE:2: \",,,,,,,\": a file");
}

struct told {
	uint32_t cnt, lines[TABLE_FAULTS_MAX + 1];
	char texts[TABLE_FAULTS_MAX + 1][100];
};

static void tell(void *context, uint32_t line, const char *text)
{
	struct told *told = context;

	assert_true(told->cnt <= TABLE_FAULTS_MAX);
	told->lines[told->cnt] = line;
	snprintf(told->texts[told->cnt++], sizeof(told->texts[0]), "%s", text);
}

/* All that is wrong at once, and no more than is good to read. */
static void test_faults(void **state)
{
	static const char some[] = "10,,,,,tpc,,\n20,,,,,tcp,,\n20,,,,,,,\n\n30,,,,,,,class:guest\n"
				   "@1.2.3.4/32 0.0.0.0/0 0 : 1 0 : 1 0/0\n";
	struct table_words named = words;
	char many[100 * 12 + 1] = "";
	struct table_rule *rules = NULL;
	struct xfq_error error = {0};
	struct told told = {0};
	uint32_t cnt;

	(void)state;
	named.group = "ids";
	assert_int_equal(
		table_parse_all("F", some, strlen(some), &named, tell, &told, &rules, &cnt, &error),
		-EINVAL);
	assert_null(rules);
	assert_int_equal(told.cnt, 4);
	assert_int_equal(told.lines[0], 1);
	assert_int_equal(told.lines[1], 5);
	assert_string_equal(told.texts[1], "\"class:guest\": group ids has no class of that name");
	assert_int_equal(told.lines[2], 6);
	assert_int_equal(told.lines[3], 3);
	assert_string_equal(told.texts[3], "priority \"20\" is that of line 2");
	assert_int_equal(strncmp(error.text, "F:1: \"tpc\"", 10), 0);
	for (int i = 0; i < 100; i++)
		strcat(many, ",,,,,tpc,,\n");
	told.cnt = 0;
	assert_int_equal(
		table_parse_all("F", many, strlen(many), &words, tell, &told, &rules, &cnt, NULL),
		-EINVAL);
	assert_int_equal(told.cnt, TABLE_FAULTS_MAX);
	assert_int_equal(told.lines[TABLE_FAULTS_MAX - 1], TABLE_FAULTS_MAX);
}

/* Lines that are too long, or have a zero byte in them. */
static void test_bytes(void **state)
{
	struct table_rule *rules;
	struct xfq_error error = {0};
	char text[2000];
	uint32_t cnt;

	(void)state;
	memset(text, ' ', sizeof(text));
	text[0] = '#';
	text[1800] = '\n';
	assert_int_equal(table_parse("F", text, sizeof(text), &words, &rules, &cnt, &error), 0);
	assert_int_equal(cnt, 0);
	free(rules);
	memset(text, ',', 1800);
	assert_int_equal(table_parse("F", text, sizeof(text), &words, &rules, &cnt, &error),
			 -EINVAL);
	assert_non_null(strstr(error.text, "F:1: "));
	memcpy(text, "10,,\0,,,,,\n", 11);
	assert_int_equal(table_parse("F", text, 11, &words, &rules, &cnt, &error), -EINVAL);
	assert_string_equal(error.text, "F:1: \"10,,\" is followed by a zero byte");
}

/* What is written is read as it was, one by one and as a file. */
static void test_round_trip(void **state)
{
	char *file = malloc(2000 * TABLE_TEXT_BYTES), text[TABLE_TEXT_BYTES], *end = file;
	struct table_rule rules[2000], *again;
	uint64_t seed = SEED;

	(void)state;
	assert_non_null(file);
	for (uint32_t i = 0; i < 2000; i++) {
		struct table_rule read, *rule = &rules[i];

		*rule = model_rule(&seed, (uint8_t[]){0, 4, 6}[i % 3], 8, 100);
		rule->priority = 2 * i + 1;
		rule->outcome = (uint16_t)(1 + i % 5);
		if (rule->proto_mask == 0 || rule->proto_mask != 0xff || rule->proto > 100 ||
		    rule->proto == 17)
			rule->flags = rule->flags_mask = 0;
		if (rule->proto_mask == 0xff && (rule->proto == 1 || rule->proto == 58)) {
			/* these have no ports, and each is of one family */
			rule->sport_lo = rule->dport_lo = 0;
			rule->sport_hi = rule->dport_hi = TABLE_NO_PORT;
			rule->proto = rule->ip == 6 ? 58 : 1;
		}
		if (rule->ip && rule->src_len == 0 && rule->dst_len == 0)
			rule->dst_len = 8;
		read = rule_of(table_format_rule(rule, &words, text));
		assert_memory_equal(&read, rule, sizeof(read));
		rule->line = i + 1;
		end += sprintf(end, "%s\n", text);
	}
	again = text_of(file, 2000, NULL);
	assert_memory_equal(again, rules, sizeof(rules));
	free(again);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv),     cmocka_unit_test(test_class_bench),
		cmocka_unit_test(test_no_rule), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_file),    cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_faults),  cmocka_unit_test(test_round_trip),
	};

	print_message("seed %llx\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
