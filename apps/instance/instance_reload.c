/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_yaml.h"
#include "apps/instance/instance.h"
#include "apps/instance/lockout.h"
#include "apps/instance/privileges.h"
#include "steering/table.h"
#include "workers/engine_tables.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has changed, in words. */
struct reload_words {
	char text[XFQ_ERROR_TEXT_BYTES];
	size_t used;
};

static void __attribute__((format(printf, 2, 3)))
reload_word(struct reload_words *words, const char *format, ...)
{
	size_t room = sizeof(words->text) - words->used;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(words->text + words->used, room, format, args);
	va_end(args);
	/* what does not fit is left out */
	words->used += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

/* How many rules of one filter the other one does not have. */
static uint32_t reload_rules_beyond(const struct filter *filter, const struct filter *other)
{
	bool taken[XDP_RULES_MAX] = {false};
	uint32_t cnt = filter->rule_cnt;

	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		for (uint32_t o = 0; o < other->rule_cnt; o++) {
			if (taken[o] || !filter_same_rule(filter, i, other, o))
				continue;
			taken[o] = true;
			cnt--;
			break;
		}
	return cnt;
}

static void reload_tell_rules(struct reload_words *words, const char *whose,
			      const struct filter *before, const struct filter *now)
{
	uint32_t added = reload_rules_beyond(now, before);
	uint32_t removed = reload_rules_beyond(before, now);

	if (added > 0)
		reload_word(words, "; %u %srule%s added", added, whose, added == 1 ? "" : "s");
	if (removed > 0)
		reload_word(words, "; %u %srule%s removed", removed, whose,
			    removed == 1 ? "" : "s");
	if (before->default_action != now->default_action)
		reload_word(words, "; %sdefault %s", whose,
			    filter_action_name(now->default_action));
}

static const struct config_group *reload_group(const struct config *config, const char *name)
{
	for (uint32_t g = 0; g < config->group_cnt; g++)
		if (strcmp(config->groups[g].name, name) == 0)
			return &config->groups[g];
	return NULL;
}

static bool reload_same_group(const struct config_group *a, const struct config_group *b)
{
	return group_spec_same(&a->spec, &b->spec) && a->members == b->members &&
	       memcmp(a->class_members, b->class_members, sizeof(a->class_members)) == 0 &&
	       a->members_max == b->members_max && a->sink == b->sink && a->run == b->run &&
	       a->ring_slots == b->ring_slots && a->access.user == b->access.user &&
	       a->access.group == b->access.group && a->access.mode == b->access.mode;
}

static void reload_tell_groups(struct reload_words *words, const struct config *before,
			       const struct config *now)
{
	for (uint32_t g = 0; g < now->group_cnt; g++) {
		const struct config_group *group = &now->groups[g];
		const struct config_group *old = reload_group(before, group->name);

		if (!old)
			reload_word(words, "; group %s added", group->name);
		else if (!reload_same_group(old, group))
			reload_word(words, "; group %s changed", group->name);
	}
	for (uint32_t g = 0; g < before->group_cnt; g++)
		if (!reload_group(now, before->groups[g].name))
			reload_word(words, "; group %s removed", before->groups[g].name);
}

/* Changes that somebody has made by hand, and that are gone now. */
static void reload_tell_tables(struct instance *instance)
{
	for (uint32_t g = 0; g < instance->config->group_cnt; g++) {
		uint32_t place = instance->engine.places[g];
		uint32_t cnt;

		if (!engine_table_replaces(&instance->engine, place))
			continue;
		cnt = table_cnt(engine_find_table(&instance->engine, place));
		instance_say(
			instance,
			"%s: %u rule%s of the file take%s the place of what `xfq table` changed",
			instance->config->groups[g].name, cnt, cnt == 1 ? "" : "s",
			cnt == 1 ? "s" : "");
	}
}

static void reload_tell(struct instance *instance, const struct config *before,
			const struct config *now)
{
	struct reload_words words = {.used = 0};

	reload_tell_rules(&words, "", &before->filter, &now->filter);
	reload_tell_rules(&words, "egress ", &before->egress, &now->egress);
	reload_tell_groups(&words, before, now);
	instance_say(instance, "reloaded: %s",
		     words.used ? words.text + 2 : "the rules and the groups are the same");
	reload_tell_tables(instance);
}

/* A member's group is no more: it is told, reads what it has, and is one no more. */
static void reload_removed(uint32_t slot, const char *group, void *context)
{
	struct instance *instance = context;
	char text[128];

	snprintf(text, sizeof(text), "group %s was removed by a reload", group);
	control_dismiss(&instance->control, slot, -EPIPE, text);
}

int instance_reload(struct instance *instance, struct config *config, struct xfq_error *error)
{
	const struct engine_reload_events events = {.removed = reload_removed, .context = instance};
	struct config *before = instance->config, *next = config_take(config);
	int code;

	if (!next)
		return xfq_error_set(error, -ENOMEM, "no memory for a config");
	if (instance->options.no_reload) {
		config_free(next);
		return xfq_error_set(error, -EPERM,
				     "instance %s was started with --no-reload, and has given up "
				     "what it would take: start it again",
				     before->name);
	}
	privileges_raise();
	code = engine_reload(&instance->engine, next, &events, error);
	privileges_lower();
	if (code) {
		config_free(next);
		return code;
	}
	instance->config = next;
	reload_tell(instance, before, next);
	instance_say_native(instance);
	config_free(before);
	return 0;
}

int instance_reload_file(struct instance *instance, const char *path, const char *session,
			 struct config_errors *errors)
{
	struct xfq_error error = {.code = 0};
	struct config next;
	char *own;
	int code;

	if (!path)
		path = instance->config->path;
	if (!path) {
		config_errors_add(errors, instance->config->name, 1, 1,
				  "this instance's config came from no file: name one");
		return -EINVAL;
	}
	/* the config that it belongs to may be gone before it is used for the last time */
	own = strdup(path);
	if (!own)
		return -ENOMEM;
	code = config_read(&next, own, errors);
	if (code == 0) {
		code = session ? lockout_check(&next, session, &error) : 0;
		if (code)
			config_destroy(&next);
		else
			code = instance_reload(instance, &next, &error);
		if (code)
			config_errors_add(errors, own, 1, 1, "%s", error.text);
	}
	free(own);
	return code;
}
