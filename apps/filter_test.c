/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/filter_test.h"
#include "apps/commands.h"
#include "apps/instance/filter_json.h"
#include "apps/instance/rule_text.h"
#include "apps/packet_text.h"
#include "apps/verdict_text.h"
#include "workers/config.h"
#include "workers/judge.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct test_run {
	const struct filter_test *test;
	const struct config *config;
	uint64_t cut_cnt; /* packets that the capture has not all of */
	struct judge judge;
	uint64_t packets, first_ns;
};

/* --- a line for each packet ------------------------------------------------------------------- */

/* Since the first packet; packets may not be in order. */
static double test_seconds(const struct test_run *run, const struct capture_packet *packet)
{
	if (packet->ts_ns >= run->first_ns)
		return (double)(packet->ts_ns - run->first_ns) / 1e9;
	return -(double)(run->first_ns - packet->ts_ns) / 1e9;
}

static void test_print_json(const struct test_run *run, const struct capture_packet *packet,
			    const struct judge_result *result, const char *summary, const char *why)
{
	json_t *line = json_pack("{s:I, s:f, s:s, s:I, s:s, s:s}", "number",
				 (json_int_t)run->packets, "time", test_seconds(run, packet),
				 "packet", summary, "len", (json_int_t)packet->wire_len, "verdict",
				 rule_verdict_name(result->pass.verdict), "why", why);

	if (result->pass.rule != XFQ_RULE_DEFAULT) {
		json_object_set_new(line, "rule", json_integer(result->pass.rule));
		json_object_set_new(
			line, "line",
			json_integer(run->config->filter.rules[result->pass.rule].line));
	}
	json_object_set_new(line, "in_kernel", json_boolean(run->judge.kernel && !result->in_user));
	json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
	json_decref(line);
}

static void test_print_packet(struct test_run *run, const struct capture_packet *packet,
			      const struct judge_result *result)
{
	char summary[VERDICT_TEXT_BYTES], why[VERDICT_TEXT_BYTES];
	double seconds = test_seconds(run, packet);

	packet_text(packet->data, packet->len, packet->wire_len, summary, sizeof(summary));
	verdict_text(&run->config->filter, packet, result, why, sizeof(why));
	if (run->test->json) {
		test_print_json(run, packet, result, summary, why);
		return;
	}
	printf("%6" PRIu64 " %12.6f  %s  %s by %s%s\n", run->packets, seconds, summary,
	       rule_verdict_name(result->pass.verdict), why,
	       result->in_user ? "  [in user space]" : "");
}

/* --- sums ------------------------------------------------------------------------------------- */

static json_t *test_counter(json_t *object, const struct xdp_counter *counter)
{
	json_object_set_new(object, "packets", json_integer((json_int_t)counter->packets));
	json_object_set_new(object, "bytes", json_integer((json_int_t)counter->bytes));
	return object;
}

static json_t *test_sums(const struct test_run *run)
{
	const struct filter *filter = &run->config->filter;
	json_t *rules = json_array(), *verdicts = json_object();
	struct xdp_counters c;

	judge_counters(&run->judge, &c);
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		json_array_append_new(rules,
				      test_counter(filter_json_rule(filter, i), &c.rules[i]));
	for (unsigned i = 0; i < XDP_VERDICT_CNT; i++)
		json_object_set_new(verdicts, rule_verdict_name(i),
				    json_integer((json_int_t)c.verdicts[i].packets));
	return json_pack("{s:I, s:s, s:I, s:o, s:o, s:o, s:{s:I, s:I, s:I}}", "packets",
			 (json_int_t)run->packets, "ran_in",
			 run->judge.kernel ? "kernel" : "user space", "in_user_space",
			 (json_int_t)(run->judge.kernel ? run->judge.user_cnt : run->packets),
			 "rules", rules, "default",
			 test_counter(json_pack("{s:s}", "action",
						filter_action_name(filter->default_action)),
				      &c.rules[XDP_RULES_MAX]),
			 "verdicts", verdicts, "noticed", "malformed", (json_int_t)c.malformed,
			 "fragments", (json_int_t)c.fragments, "orphans", (json_int_t)c.orphans);
}

static void test_print_table(const struct test_run *run)
{
	const struct filter *filter = &run->config->filter;
	char text[VERDICT_TEXT_BYTES];
	struct xdp_counters c;
	const char *between = "";

	judge_counters(&run->judge, &c);
	printf("%12s %14s\n", "packets", "bytes");
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		verdict_rule_text(filter, (uint16_t)i, text, sizeof(text));
		printf("%12llu %14llu  %s by %s\n", (unsigned long long)c.rules[i].packets,
		       (unsigned long long)c.rules[i].bytes,
		       filter_action_name(filter->rules[i].action), text);
	}
	printf("%12llu %14llu  default: %s\n", (unsigned long long)c.rules[XDP_RULES_MAX].packets,
	       (unsigned long long)c.rules[XDP_RULES_MAX].bytes,
	       filter_action_name(filter->default_action));
	printf("%12" PRIu64 " packets:", run->packets);
	for (unsigned i = 0; i < XDP_VERDICT_CNT; i++) {
		if (c.verdicts[i].packets == 0)
			continue;
		printf("%s %s %llu", between, rule_verdict_name(i),
		       (unsigned long long)c.verdicts[i].packets);
		between = ",";
	}
	putchar('\n');
}

/* Where the packets were judged. */
static void test_say_where(const struct test_run *run)
{
	if (!run->judge.kernel)
		fprintf(stderr, "xfq filter test: judged in user space\n");
	else if (run->judge.user_cnt > 0)
		fprintf(stderr,
			"xfq filter test: judged in the kernel, but for %" PRIu64
			" that were judged in user space: shorter than %d bytes, longer than a "
			"test run holds, or cut by the capture\n",
			run->judge.user_cnt, JUDGE_PACKET_MIN);
	if (run->cut_cnt > 0)
		fprintf(stderr,
			"xfq filter test: the capture has cut %" PRIu64
			" packets: a rule that asks for bytes that are missing does not match "
			"here, and may on the wire\n",
			run->cut_cnt);
	if (run->config->has_egress)
		fprintf(stderr, "xfq filter test: the rules of egress were not asked\n");
}

/* --- the run ---------------------------------------------------------------------------------- */

static int test_packets(struct test_run *run, struct capture *capture, struct xfq_error *error)
{
	struct capture_packet packet;
	struct judge_result result;
	struct xfq_meta meta;
	int code;

	while ((code = capture_next(capture, &packet, error)) > 0) {
		run->cut_cnt += packet.len < packet.wire_len;
		code = judge_packet(&run->judge, &packet, &meta, &result, error);
		if (code)
			return code;
		if (run->packets++ == 0)
			run->first_ns = packet.ts_ns;
		if (run->test->packets)
			test_print_packet(run, &packet, &result);
	}
	return code;
}

static void test_finish(const struct test_run *run)
{
	test_say_where(run);
	if (run->test->packets)
		return;
	if (run->test->json) {
		json_t *sums = test_sums(run);

		json_dumpf(sums, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(sums);
	} else {
		test_print_table(run);
	}
}

int filter_test_run(const struct filter_test *test)
{
	struct test_run run = {.test = test};
	struct capture capture = {0};
	struct xfq_error error = {0};
	struct config config;
	const struct judge_options options = {.filter = &config.filter, .kernel = !test->user};
	int status = command_config(&config, test->config_path), code;

	if (status)
		return status;
	run.config = &config;
	code = capture_open(&capture, test->read_path, &error);
	if (code == 0)
		code = judge_open(&run.judge, &options, &error);
	if (code == -EPERM)
		fprintf(stderr,
			"xfq filter test: %s\nxfq filter test: the program runs in the kernel, for "
			"which root is needed; --user runs the same rules in user space\n",
			error.text);
	else if (code == 0)
		code = test_packets(&run, &capture, &error);
	if (code && code != -EPERM)
		fprintf(stderr, "xfq filter test: %s\n", error.text);
	if (run.packets > 0 || code == 0)
		test_finish(&run);
	judge_close(&run.judge);
	capture_close(&capture);
	config_destroy(&config);
	return code ? COMMAND_FAILED : COMMAND_DONE;
}
