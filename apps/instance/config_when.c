/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_when.h"
#include "apps/instance/config_set.h"
#include "steering/expression.h"
#include <string.h>

void config_when_read_match(struct config_reader *reader, int node, struct group_when *when)
{
	struct expression expression;
	struct xfq_error error;

	when->match = config_text_copy(reader, node, CONFIG_MATCH_BYTES_MAX);
	if (!when->match || !reader->dir)
		return;
	/* the engine compiles its own */
	if (expression_compile(&expression, when->match, &error) == 0)
		expression_destroy(&expression);
	else
		config_fail(reader, node, "%s", error.text);
}

/* --- sets ------------------------------------------------------------------------------------ */

struct config_when_draft {
	struct group_when *when;
	const struct config *config;
	bool negated;
};

static void config_when_add_in(struct config_reader *reader, int node,
			       const struct config_when_draft *draft)
{
	struct group_when *when = draft->when;
	struct config_in in;

	if (!config_in_read(reader, node, draft->config, true, &in))
		return;
	when->ins[when->in_cnt++] = (struct group_in){
		.set = in.set,
		.fields = in.fields,
		.negated = in.negated,
		/* a flow's packets have the same addresses and ports, but may come by several ways
		 */
		.keyed = draft->config->sets[in.set]->type != SET_MAC,
	};
}

static void config_when_read_in_one(struct config_reader *reader, const struct config_item *item,
				    void *object)
{
	config_when_add_in(reader, item->node, object);
}

void config_when_read_in(struct config_reader *reader, int node, const struct config *config,
			 struct group_when *when)
{
	struct config_when_draft draft = {.when = when, .config = config};
	const yaml_node_t *list = yaml_document_get_node(reader->document, node);

	if (config_node_type(reader, node) != YAML_SEQUENCE_NODE) {
		config_when_add_in(reader, node, &draft);
		return;
	}
	config_list_read(reader, node, GROUP_INS_MAX, "sets in one condition",
			 config_when_read_in_one, &draft);
	if (list->data.sequence.items.start == list->data.sequence.items.top)
		config_fail(reader, node, "the list is empty");
}

/* --- plug-ins -------------------------------------------------------------------------------- */

bool config_plugin_find(struct config_reader *reader, int node, const struct config *config,
			uint32_t *number)
{
	const char *name = config_text(reader, node, 4096);

	for (uint32_t i = 0; name && i < config->plugin_cnt; i++) {
		if (strcmp(config->plugins[i].name, name) == 0) {
			*number = i;
			return true;
		}
	}
	if (name)
		config_fail(reader, node, "there is no plug-in \"%.48s\" in plugins", name);
	return false;
}

static void config_when_read_name(struct config_reader *reader, int node, void *object)
{
	const struct config_when_draft *draft = object;

	config_plugin_find(reader, node, draft->config, &draft->when->plugin);
}

static const struct config_key config_when_plugin_keys[] = {
	{.name = "name", .kind = CONFIG_KIND_READ, .required = true, .read = config_when_read_name},
	{.name = "not", .kind = CONFIG_KIND_BOOL, CONFIG_MEMBER(struct config_when_draft, negated)},
	{.name = NULL},
};

void config_when_read_plugin(struct config_reader *reader, int node, const struct config *config,
			     struct group_when *when)
{
	struct config_when_draft draft = {.when = when, .config = config};

	if (config_node_type(reader, node) != YAML_MAPPING_NODE)
		config_when_read_name(reader, node, &draft);
	else
		config_map_read(reader, node, config_when_plugin_keys, &draft, NULL);
	when->plugin_negated = draft.negated;
}
