/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_filter.h"
#include "apps/instance/config_rule.h"
#include "apps/instance/config_set.h"

#define CONFIG_SHUNT_MAX 4194304

static const struct config_word config_filter_malformed[] = {
	{"rules", XDP_MALFORMED_BY_RULES, NULL},
	{"drop", XDP_MALFORMED_DROP, NULL},
	{"pass", XDP_MALFORMED_PASS, NULL},
	{NULL, 0, NULL},
};

/* --- what comes in --------------------------------------------------------------------------- */

static void config_filter_read_rules(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config_rules_read(reader, node, config, &config->filter);
}

static void config_filter_read_sets(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config_sets_read(reader, node, config);
	config->egress.sets = (const struct set *const *)config->sets;
	config->egress.set_cnt = config->set_cnt;
}

static const struct config_word config_filter_defaults[] = {
	{"steer", FILTER_STEER, NULL},
	{"pass", FILTER_PASS, NULL},
	{"drop", FILTER_DROP, NULL},
	{"claimed", FILTER_CLAIMED, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_filter_fragments[] = {
	{"follow", true, NULL},
	{"ignore", false, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_filter_orphans[] = {
	{"rules", XDP_ORPHAN_BY_RULES, NULL},
	{"drop", XDP_ORPHAN_DROP, NULL},
	{"pass", XDP_ORPHAN_PASS, NULL},
	{NULL, 0, NULL},
};

/* Sets come before the rules that name them. */
enum { CONFIG_FILTER_PUSH_DOWN = 0, CONFIG_FILTER_ORPHANS };
static const struct config_key config_filter_keys[] = {
	[CONFIG_FILTER_PUSH_DOWN] = {.name = "push_down",
				     .kind = CONFIG_KIND_BOOL,
				     CONFIG_MEMBER(struct config, filter.claim_push_down)},
	[CONFIG_FILTER_ORPHANS] = {.name = "orphans",
				   CONFIG_MEMBER(struct config, filter.orphans),
				   .words = config_filter_orphans},
	{.name = "default",
	 CONFIG_MEMBER(struct config, filter.default_action),
	 .words = config_filter_defaults},
	{.name = "malformed",
	 CONFIG_MEMBER(struct config, filter.malformed),
	 .words = config_filter_malformed},
	{.name = "fragments",
	 CONFIG_MEMBER(struct config, filter.fragments),
	 .words = config_filter_fragments},
	{.name = "shunt",
	 .kind = CONFIG_KIND_NUMBER,
	 CONFIG_MEMBER(struct config, filter.shunt_flows),
	 .max = CONFIG_SHUNT_MAX},
	{.name = "sets", .kind = CONFIG_KIND_READ, .read = config_filter_read_sets},
	{.name = "rules", .kind = CONFIG_KIND_READ, .read = config_filter_read_rules},
	{.name = NULL},
};

static void config_filter_fail(struct config_reader *reader, int node, const char *key,
			       const char *why)
{
	size_t mark;

	if (node == 0)
		return;
	mark = config_path_push(reader, ".%s", key);
	config_fail(reader, node, "%s", why);
	config_path_pop(reader, mark);
}

void config_filter_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;
	int at[CONFIG_KEYS_MAX];

	if (!config_map_read(reader, node, config_filter_keys, config, at))
		return;
	if (config->filter.default_action != FILTER_CLAIMED)
		config_filter_fail(reader, at[CONFIG_FILTER_PUSH_DOWN], "push_down",
				   "belongs to default: claimed alone");
	if (!config->filter.fragments)
		config_filter_fail(reader, at[CONFIG_FILTER_ORPHANS], "orphans",
				   "with fragments: ignore, first fragments are not remembered, "
				   "and none is an orphan");
}

/* --- what leaves ----------------------------------------------------------------------------- */

static void config_egress_read_rules(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config_rules_read(reader, node, config, &config->egress);
}

static const struct config_word config_egress_defaults[] = {
	{"pass", FILTER_PASS, NULL},
	{"drop", FILTER_DROP, NULL},
	{NULL, 0, NULL},
};

static const struct config_key config_egress_keys[] = {
	{.name = "default",
	 CONFIG_MEMBER(struct config, egress.default_action),
	 .words = config_egress_defaults},
	{.name = "malformed",
	 CONFIG_MEMBER(struct config, egress.malformed),
	 .words = config_filter_malformed},
	{.name = "rules", .kind = CONFIG_KIND_READ, .read = config_egress_read_rules},
	{.name = NULL},
};

void config_egress_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	if (config_map_read(reader, node, config_egress_keys, config, NULL))
		config->has_egress = true;
}
