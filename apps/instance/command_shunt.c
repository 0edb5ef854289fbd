/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command_shunt.h"
#include "apps/instance/instance.h"
#include "xdp/flow_text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Flows in one answer, unless more are asked for: what is made and sent at once. */
#define SHUNT_LIST_MOST 10000

/* Longest life that can be asked for: 10 years. */
#define SHUNT_SECONDS_MAX (10.0 * 365 * 86400)

bool command_shunt_allows(const struct instance *instance, const struct access_asker *asker,
			  const json_t *request)
{
	const struct config *config = instance->config;

	(void)request;
	for (uint32_t i = 0; i < config->group_cnt; i++)
		if (config->groups[i].shunt && config->groups[i].members_max > 0 &&
		    access_allows(&config->groups[i].access, geteuid(), asker))
			return true;
	return false;
}

/* The flow that a request names. */
static int command_shunt_flow(const json_t *request, struct xdp_flow_key *key,
			      struct xfq_error *error)
{
	const char *text = command_text(request, "flow", error);

	return text ? flow_parse_text(key, text, error) : -EINVAL;
}

/* A whole number of a request, 0 where it is missing. */
static int command_shunt_number(const json_t *request, const char *name, uint64_t *number,
				struct xfq_error *error)
{
	const json_t *value = json_object_get(request, name);

	*number = 0;
	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return xfq_error_set(error, -EINVAL, "\"%s\" is not a whole number from 0", name);
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

static int command_shunt_order(const json_t *request, struct shunt_order *order,
			       struct xfq_error *error)
{
	const char *action = command_text(request, "action", error);
	const json_t *seconds = json_object_get(request, "seconds");
	double number = json_number_value(seconds);

	if (!action)
		return -EINVAL;
	order->action = strcmp(action, "drop") == 0   ? SHUNT_DROP
			: strcmp(action, "pass") == 0 ? SHUNT_PASS
						      : SHUNT_NONE;
	/* also what is not a number */
	if (seconds && (!json_is_number(seconds) || !(number >= 0 && number <= SHUNT_SECONDS_MAX)))
		return xfq_error_set(error, -EINVAL, "\"seconds\" is not a number from 0 to %.0f",
				     SHUNT_SECONDS_MAX);
	order->lifetime_ns = (uint64_t)(number * 1e9);
	/* less than a nanosecond is not for good */
	if (number > 0 && order->lifetime_ns == 0)
		order->lifetime_ns = 1;
	return command_shunt_number(request, "packets", &order->packets, error);
}

json_t *command_shunt_add(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	struct shunt_order order = {.action = SHUNT_NONE};
	struct xdp_flow_key key;
	struct shunt shunt;

	if (command_shunt_flow(request, &key, error) ||
	    command_shunt_order(request, &order, error) ||
	    engine_shunt(&instance->engine, &shunt, error) ||
	    shunt_add(&shunt, &key, &order, shunt_now_ns(&shunt), error))
		return NULL;
	return json_object();
}

json_t *command_shunt_del(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	struct xdp_flow_key key;
	struct shunt shunt;

	if (command_shunt_flow(request, &key, error) ||
	    engine_shunt(&instance->engine, &shunt, error) ||
	    shunt_del(&shunt, &key, shunt_now_ns(&shunt), error))
		return NULL;
	return json_object();
}

static json_t *command_shunt_json(const struct shunt_flow *flow, uint64_t now_ns)
{
	const struct xdp_shunt *entry = &flow->entry;
	char text[FLOW_TEXT_BYTES];
	json_t *object =
		json_pack("{s:s, s:s, s:I, s:I}", "flow", flow_format_text(&flow->key, text),
			  "action", entry->action == SHUNT_DROP ? "drop" : "pass", "packets",
			  (json_int_t)entry->packets, "bytes", (json_int_t)entry->bytes);

	if (entry->most)
		json_object_set_new(object, "packets_left",
				    json_integer((json_int_t)(entry->most - entry->packets)));
	if (entry->expires_ns)
		json_object_set_new(
			object, "seconds_left",
			json_real((double)(entry->expires_ns - (entry->relative ? 0 : now_ns)) /
				  1e9));
	if (entry->seen_ns)
		json_object_set_new(object, "idle_seconds",
				    json_real(entry->seen_ns < now_ns
						      ? (double)(now_ns - entry->seen_ns) / 1e9
						      : 0));
	return object;
}

json_t *command_shunt_list(struct instance *instance, const json_t *request,
			   struct xfq_error *error)
{
	struct shunt_flow *flows = NULL;
	json_t *list, *answer;
	struct shunt shunt;
	uint64_t most, now_ns;
	uint32_t cnt;

	if (command_shunt_number(request, "most", &most, error) ||
	    engine_shunt(&instance->engine, &shunt, error))
		return NULL;
	now_ns = shunt_now_ns(&shunt);
	if (shunt_read(&shunt, now_ns, &flows, &cnt, error))
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < cnt && i < (most ? most : SHUNT_LIST_MOST); i++)
		json_array_append_new(list, command_shunt_json(&flows[i], now_ns));
	free(flows);
	answer = json_pack("{s:o, s:I, s:I}", "flows", list, "count", (json_int_t)cnt, "places",
			   (json_int_t)instance->config->filter.shunt_flows);
	if (!answer)
		xfq_error_set(error, -ENOMEM, "no memory for an answer");
	return answer;
}
