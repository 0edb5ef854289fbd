/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plug-in that says what its arguments tell it to, of every packet:
 *
 *	match    a word of 64 bits, whatever was wanted
 *	kind     of its targets, a number, and
 *	value    of its targets; "port": the packet's destination port
 *	refuse   its create() fails, with this as its words; "mute": without any
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xfq/plugin.h>

struct say {
	uint64_t match, value;
	uint32_t kind;
	int by_port;
};

static int create(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
		  struct xfq_error *error)
{
	struct say *say = calloc(1, sizeof(*say));

	if (!say)
		return -ENOMEM;
	for (uint32_t i = 0; i < arg_cnt; i++) {
		const char *name = args[i].name, *value = args[i].value;

		if (strcmp(name, "refuse") == 0) {
			if (strcmp(value, "mute") != 0)
				snprintf(error->text, sizeof(error->text), "%s", value);
			free(say);
			return -EDOM;
		}
		if (strcmp(name, "match") == 0)
			say->match = strtoull(value, NULL, 0);
		else if (strcmp(name, "kind") == 0)
			say->kind = (uint32_t)strtoul(value, NULL, 0);
		else if (strcmp(name, "value") == 0 && strcmp(value, "port") == 0)
			say->by_port = 1;
		else if (strcmp(name, "value") == 0)
			say->value = strtoull(value, NULL, 0);
	}
	*instance = say;
	return 0;
}

static uint64_t match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	const struct say *say = state;

	(void)burst;
	(void)wanted;
	return say->match;
}

static void steer(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		  uint32_t members, struct xfq_plugin_target *targets)
{
	const struct say *say = state;

	(void)members;
	for (uint32_t i = 0; i < burst->cnt; i++) {
		const struct xfq_meta *meta = burst->pkts[i].meta;
		const uint8_t *l4 = burst->pkts[i].data + meta->l4_off;

		if (!(wanted >> i & 1))
			continue;
		targets[i].kind = say->kind;
		targets[i].value = say->value;
		if (say->by_port && meta->flags & XFQ_META_PORTS)
			targets[i].value = (uint64_t)l4[2] << 8 | l4[3];
	}
}

const struct xfq_plugin *xfq_plugin(void)
{
	static const struct xfq_plugin plugin = {
		.version = XFQ_PLUGIN_VERSION,
		.size = sizeof(plugin),
		.name = "say",
		.create = create,
		.destroy = free,
		.match = match,
		.steer = steer,
	};

	return &plugin;
}
