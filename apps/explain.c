/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/explain.h"
#include "apps/commands.h"
#include "apps/explain_parts.h"
#include "apps/instance/rule_text.h"
#include "apps/verdict_text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Packets lie as a worker has them: metadata in front. */
static int explain_create(struct explain *explain, const struct config *config, const char *path,
			  struct xfq_error *error)
{
	const struct engine_options options = {.read_path = path, .stop_fds = {-1, -1}};
	struct engine *engine = calloc(1, sizeof(*engine));
	int code;

	memset(explain, 0, sizeof(*explain));
	explain->config = config;
	if (!engine)
		return xfq_error_set(error, -ENOMEM, "no memory for the engine");
	code = engine_create(engine, config, &options, error);
	if (code) {
		free(engine);
		return code;
	}
	explain->engine = engine;
	explain->tunnels = tunnels_create(UINT32_MAX);
	explain->room = malloc(XFQ_META_BYTES + capture_snaplen(&engine->replay.capture) + 1);
	if (!explain->tunnels || !explain->room)
		return xfq_error_set(error, -ENOMEM, "no memory for packets");
	return 0;
}

static void explain_destroy(struct explain *explain)
{
	if (explain->engine)
		engine_destroy(explain->engine);
	free(explain->engine);
	tunnels_destroy(explain->tunnels);
	free(explain->room);
}

/* A packet as a worker gets it. */
static void explain_take(struct explain *explain, const struct capture_packet *from,
			 const struct xfq_meta *meta)
{
	struct packet *pkt = &explain->pkt;

	pkt->meta = (struct xfq_meta *)(void *)explain->room;
	pkt->data = explain->room + XFQ_META_BYTES;
	pkt->len = from->len;
	*pkt->meta = *meta;
	pkt->meta->magic = XFQ_META_CHECKED;
	pkt->meta->ts_ns = from->ts_ns;
	memcpy(pkt->data, from->data, from->len);
}

static json_t *explain_first_pass(const struct explain *explain, const struct capture_packet *from,
				  const struct judge_result *result)
{
	const struct filter *filter = &explain->config->filter;
	uint16_t rule = result->pass.rule;
	char why[VERDICT_TEXT_BYTES];
	json_t *object;

	verdict_text(filter, from, result, why, sizeof(why));
	object = json_pack("{s:s, s:s, s:s}", "verdict", rule_verdict_name(result->pass.verdict),
			   "action", rule_verdict_name(result->pass.action), "why", why);
	if (rule != XFQ_RULE_DEFAULT) {
		json_object_set_new(object, "rule", json_integer(rule));
		json_object_set_new(object, "line", json_integer(filter->rules[rule].line));
	}
	return object;
}

/* Why to ask the flow cache would spare nothing. */
static const char *explain_not_worth(const struct classify *classify)
{
	const struct policy *policy = classify->policy;
	bool set = false;

	for (uint32_t t = 0; t < policy->test_cnt; t++)
		set |= policy->tests[t].kind == POLICY_SET;
	if (set || policy->table_cnt > 0)
		return "not asked: no set, no table that goes by the flow alone";
	return "not asked: no set, no table";
}

/* How the flow cache helps: for packets of one flow, in one direction. */
static const char *explain_cache(const struct explain *explain)
{
	const struct classify *classify = explain->engine->workers[0].fanout.classify;
	struct shape_key key;

	if (classify->cached & 1)
		return "an earlier packet of the flow has left its answers";
	if (classify->missed & 1)
		return "its answers are left for the next packet of the flow";
	if (!classify->cache.entries)
		return "not asked: workers.flow_cache is 0";
	if (!classify->worth_asking)
		return explain_not_worth(classify);
	if (explain->pkt.meta->l3_off == 0 || shape_of(&explain->pkt, 0, &key) == SHAPE_NONE)
		return "not asked: it keeps nothing of such packets";
	return "not asked: it had few of the packets before";
}

/* What is to be said of a packet. */
static json_t *explain_one(struct explain *explain, const struct capture_packet *from,
			   const struct judge_result *result)
{
	json_t *all = json_object(), *groups;

	json_object_set_new(all, "number",
			    json_integer((json_int_t)explain->engine->replay.capture.packet_cnt));
	json_object_set_new(all, "packet", explain_packet(&explain->pkt));
	if (tunnels_burst(explain->tunnels, explain->engine->policy->policy.hash_seed,
			  &explain->pkt, 1, &explain->inner))
		json_object_set_new(all, "tunnel", explain_tunnel(explain));
	json_object_set_new(all, "first_pass", explain_first_pass(explain, from, result));
	if (result->pass.action != XDP_VERDICT_STEER)
		return all;
	groups = json_array();
	explain_groups(explain, groups);
	json_object_set_new(all, "groups", groups);
	json_object_set_new(all, "cache", json_string(explain_cache(explain)));
	return all;
}

/* Say it: at once, or one of several. */
static void explain_say(const struct explain_input *input, json_t *all, bool as_json)
{
	if (!as_json) {
		explain_print(all);
	} else {
		json_dumpf(all, stdout, input->several ? JSON_COMPACT : JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(all);
}

/* Go through the file up to the last packet that is asked about. 0 or -errno with a sentence. */
static int explain_read(struct explain *explain, const struct explain_input *input, bool as_json,
			struct xfq_error *error)
{
	struct replay *replay = &explain->engine->replay;
	const uint64_t *number = &replay->capture.packet_cnt;
	struct capture_packet from;
	struct judge_result result;
	struct xfq_meta meta;
	int code = 0;

	while (*number < input->last && (code = capture_next(&replay->capture, &from, error)) > 0) {
		code = judge_packet(&replay->judge, &from, &meta, &result, error);
		if (code)
			return code;
		explain_take(explain, &from, &meta);
		if (*number >= input->first) {
			explain_say(input, explain_one(explain, &from, &result), as_json);
		} else if (result.pass.action == XDP_VERDICT_STEER) {
			tunnels_burst(explain->tunnels, explain->engine->policy->policy.hash_seed,
				      &explain->pkt, 1, &explain->inner);
			explain_groups(explain, NULL);
		}
	}
	if (code < 0)
		return code;
	if (*number < input->first)
		return xfq_error_set(error, -ENOENT,
				     "%s has %" PRIu64 " packets, and no packet %" PRIu64,
				     input->path, *number, input->first);
	return 0;
}

int explain_run(const struct config *config, const char *what, bool as_json)
{
	struct explain explain = {.engine = NULL};
	struct xfq_error error = {0};
	struct explain_input input;
	int code = explain_open_input(&input, what, &error);

	if (code == 0)
		code = explain_create(&explain, config, input.path, &error);
	if (code == 0)
		code = explain_read(&explain, &input, as_json, &error);
	if (code == 0 && !as_json)
		explain_print_note(config);
	if (code)
		fprintf(stderr, "xfq check: %s\n", error.text);
	explain_destroy(&explain);
	explain_close_input(&input);
	return code ? COMMAND_FAILED : COMMAND_DONE;
}
