/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_schema.h"
#include "apps/instance/config_steer.h"
#include "apps/instance/config_yaml.h"
#include "apps/libxfq/embedded.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xfq/ring.h>

struct xfq_config *xfq_config_create(void)
{
	struct xfq_config *config = calloc(1, sizeof(*config));

	if (config)
		config_init(&config->config);
	return config;
}

void embedded_take_config(struct xfq_config *config, struct config *to)
{
	*to = config->config;
	config_init(&config->config);
	if (to->name[0] == '\0')
		config_name_default(to);
}

void xfq_config_destroy(struct xfq_config *config)
{
	if (!config)
		return;
	config_destroy(&config->config);
	free(config);
}

/* All errors as one text, a line each; NULL without memory. */
static char *embedded_errors(const struct config_errors *errors)
{
	size_t bytes = 1, used = 0;
	char *text;

	for (size_t i = 0; i < errors->cnt; i++)
		bytes += strlen(errors->lines[i].text) + 1;
	text = malloc(bytes);
	if (!text)
		return NULL;
	text[0] = '\0';
	for (size_t i = 0; i < errors->cnt; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s\n", errors->lines[i].text);
	return text;
}

/* From a file, or from a text where `path` is NULL. */
static struct xfq_config *embedded_read(const char *path, const char *text, char **errors)
{
	struct xfq_config *config = calloc(1, sizeof(*config));
	struct config_errors found = {0};
	int code = -ENOMEM;

	if (errors)
		*errors = NULL;
	if (!config)
		return NULL;
	if (path)
		code = config_read(&config->config, path, &found);
	else
		code = config_read_buffer(&config->config, "config", ".", text, strlen(text),
					  &found);
	if (code) {
		if (errors)
			*errors = embedded_errors(&found);
		free(config);
		config = NULL;
	}
	config_errors_destroy(&found);
	return config;
}

struct xfq_config *xfq_config_read(const char *path, char **errors)
{
	return embedded_read(path, NULL, errors);
}

struct xfq_config *xfq_config_parse(const char *text, char **errors)
{
	return embedded_read(NULL, text, errors);
}

/* The mode of a name; false where there is none. */
static bool embedded_mode(const char *name, enum config_mode *mode)
{
	static const char *const names[] = {
		[CONFIG_MODE_AUTO] = "auto",     [CONFIG_MODE_ZERO_COPY] = "zero-copy",
		[CONFIG_MODE_NATIVE] = "native", [CONFIG_MODE_GENERIC] = "generic",
		[CONFIG_MODE_MIRROR] = "mirror", [CONFIG_MODE_AF_PACKET] = "af_packet"};
	uint32_t i = CONFIG_MODE_AUTO;

	while (name && i <= CONFIG_MODE_AF_PACKET && strcmp(names[i], name) != 0)
		i++;
	*mode = (enum config_mode)i;
	return i <= CONFIG_MODE_AF_PACKET;
}

int xfq_config_interface(struct xfq_config *config, const char *name, const char *mode,
			 struct xfq_error *error)
{
	struct config *to = &config->config;
	struct config_interface *interfaces;
	struct config_interface added = {.promiscuous = true, .priority = CONFIG_PRIORITY};

	if (!name || !config_interface_name_valid(name))
		return xfq_error_set(error, -EINVAL,
				     "\"%.48s\" is no interface: wants 1 to %d characters without "
				     "blanks, '/' and ':'",
				     name ? name : "", IF_NAMESIZE - 1);
	if (!embedded_mode(mode, &added.mode))
		return xfq_error_set(error, -EINVAL,
				     "interface %s: \"%.48s\" is none of the modes auto, "
				     "zero-copy, native, generic, mirror, af_packet",
				     name, mode);
	for (uint32_t i = 0; i < to->interface_cnt; i++)
		if (strcmp(to->interfaces[i].name, name) == 0)
			return xfq_error_set(error, -EEXIST, "interface %s is there already", name);
	if (to->interface_cnt == XDP_INTERFACES_MAX)
		return xfq_error_set(error, -E2BIG, "interface %s: there are %d, and no more fit",
				     name, XDP_INTERFACES_MAX);
	interfaces = realloc(to->interfaces, XDP_INTERFACES_MAX * sizeof(*interfaces));
	if (!interfaces)
		return xfq_error_set(error, -ENOMEM, "no memory for an interface");
	to->interfaces = interfaces;
	strcpy(added.name, name);
	interfaces[to->interface_cnt++] = added;
	return 0;
}

/* How a group steers, by a word. */
static int embedded_steer(struct config_group *group, const struct xfq_group_options *options,
			  struct xfq_error *error)
{
	const char *word = options->steer ? options->steer : "flow";
	struct method_spec *steer = &group->spec.steer;
	enum method method;

	if (!config_steer_parse(word, steer, &method)) {
		if (method == METHOD_CNT)
			return xfq_error_set(error, -EINVAL,
					     "group %s: \"%.48s\" is none of the ways to "
					     "steer: " CONFIG_STEER_WORDS,
					     group->name, word);
		return xfq_error_set(
			error, -EINVAL, "group %s: \"%.48s\" wants more than a word, %s",
			group->name, word,
			method == METHOD_TO ? "such as to:3" : "which a config as text can say");
	}
	if (steer->method == METHOD_TO && steer->to >= group->members_max)
		return xfq_error_set(error, -EINVAL,
				     "group %s: there is no member %u: the group has at most %u, "
				     "numbered from 0",
				     group->name, steer->to, group->members_max);
	if (!options->spill)
		return 0;
	if (steer->method == METHOD_BROADCAST)
		return xfq_error_set(error, -EINVAL,
				     "group %s: in broadcast there is nobody to spill to: each "
				     "packet goes to every member anyway",
				     group->name);
	if (steer->method == METHOD_DOUBLE)
		return xfq_error_set(error, -EINVAL,
				     "group %s: with double, which gives a packet to two members, "
				     "one that spills could reach one of them twice",
				     group->name);
	return 0;
}

/* Fill a group from the caller's options, all but its match. */
static int embedded_group(struct config_group *group, const struct xfq_group_options *options,
			  struct xfq_error *error)
{
	uint32_t slots = options->ring_slots ? options->ring_slots : CONFIG_RING_SLOTS;
	int code;

	group->spec.overflow = options->spill ? POLICY_SPILL : POLICY_DROP;
	group->members = 0;
	if (options->members_max)
		group->members_max = options->members_max;
	group->ring_slots = slots;
	if (group->members_max > CONFIG_MEMBERS_MAX)
		return xfq_error_set(error, -EINVAL, "group %s: at most %d members, and not %u",
				     group->name, CONFIG_MEMBERS_MAX, group->members_max);
	code = embedded_steer(group, options, error);
	if (code)
		return code;
	if (slots < XFQ_RING_SLOTS_MIN || slots > XFQ_RING_SLOTS_MAX || (slots & (slots - 1)) != 0)
		return xfq_error_set(error, -EINVAL,
				     "group %s: %u slots are no power of two from %u to %u",
				     group->name, slots, XFQ_RING_SLOTS_MIN, XFQ_RING_SLOTS_MAX);
	if (!embedded_unused(options->reserved, sizeof(options->reserved)))
		return xfq_error_set(error, -EINVAL,
				     "group %s: reserved fields of the options must be 0",
				     group->name);
	return 0;
}

/* Copy a group's match, compiled for libpcap's opinion alone: the engine compiles its own. */
static int embedded_match(struct config_group *group, const char *match, struct xfq_error *error)
{
	struct expression expression;
	struct xfq_error why;
	int code = expression_compile(&expression, match, &why);

	if (code)
		return xfq_error_set(error, code, "group %s: %s", group->name, why.text);
	expression_destroy(&expression);
	group->spec.when.match = match ? strdup(match) : NULL;
	if (match && !group->spec.when.match)
		return xfq_error_set(error, -ENOMEM, "no memory for a group");
	return 0;
}

int xfq_config_group(struct xfq_config *config, const char *name,
		     const struct xfq_group_options *options, struct xfq_error *error)
{
	static const struct xfq_group_options defaults;
	struct config *to = &config->config;
	struct config_group *groups;
	struct config_group added;
	int code;

	if (!options)
		options = &defaults;
	if (!name || !config_name_valid(name))
		return xfq_error_set(error, -EINVAL,
				     "\"%.48s\" is no name: 1 to %d letters, digits, '_', '.' or "
				     "'-', and no '.' in front",
				     name ? name : "", CONFIG_NAME_BYTES - 1);
	for (uint32_t i = 0; i < to->group_cnt; i++)
		if (strcmp(to->groups[i].name, name) == 0)
			return xfq_error_set(error, -EEXIST, "group %s is there already", name);
	if (to->group_cnt == CONFIG_GROUPS_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: there are %d, and no more fit", name,
				     CONFIG_GROUPS_MAX);
	groups = realloc(to->groups, CONFIG_GROUPS_MAX * sizeof(*groups));
	if (!groups)
		return xfq_error_set(error, -ENOMEM, "no memory for a group");
	to->groups = groups;
	config_group_init(&added);
	strcpy(added.name, name);
	code = embedded_group(&added, options, error);
	if (code == 0)
		code = embedded_match(&added, options->match, error);
	if (code == 0)
		groups[to->group_cnt++] = added;
	return code;
}
