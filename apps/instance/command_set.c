/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command_set.h"
#include "apps/instance/instance.h"
#include "apps/instance/privileges.h"
#include "workers/engine_sets.h"
#include "xdp/set_text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND_SET_LINE_BYTES 1024 /* of a list; a comment may be long */
#define COMMAND_SET_ERRORS     20   /* lines that are told */
#define COMMAND_SET_SECONDS    (100.0 * 365 * 86400)

static uint64_t command_set_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The set that a request names; NULL and *error. */
static struct set *command_set_of(struct instance *instance, const json_t *request, uint32_t *place,
				  struct xfq_error *error)
{
	const char *name = command_text(request, "set", error);

	if (!name)
		return NULL;
	*place = engine_find_set(&instance->engine, name);
	if (*place != ENGINE_NO_SET)
		return instance->config->sets[*place];
	xfq_error_set(error, -ENOENT, "there is no set \"%.48s\" in filter.sets", name);
	return NULL;
}

/* When members that live "seconds" expire. False and *error. */
static bool command_set_expiry(const json_t *request, uint64_t *expires_ns, struct xfq_error *error)
{
	const json_t *seconds = json_object_get(request, "seconds");
	double value = json_number_value(seconds);

	*expires_ns = SET_FOREVER;
	if (!seconds)
		return true;
	if (!json_is_number(seconds) || !(value > 0 && value <= COMMAND_SET_SECONDS)) {
		xfq_error_set(error, -EINVAL, "\"seconds\" is a number above 0");
		return false;
	}
	*expires_ns = command_set_now() + (uint64_t)(value * 1e9);
	return true;
}

/* The "members" of a request, the caller's to free; NULL and *error. */
static struct set_member *command_set_members(const struct set *set, const json_t *request,
					      size_t *cnt, struct xfq_error *error)
{
	const json_t *texts = json_object_get(request, "members");
	struct set_member *members;
	struct xfq_error why;

	*cnt = json_array_size(texts);
	if (*cnt == 0) {
		xfq_error_set(error, -EINVAL, "set %s: \"members\" is a list of texts", set->name);
		return NULL;
	}
	members = calloc(*cnt, sizeof(*members));
	if (!members)
		xfq_error_set(error, -ENOMEM, "set %s: no memory", set->name);
	for (size_t i = 0; members && i < *cnt; i++) {
		const char *text = json_string_value(json_array_get(texts, i));

		if (text && set_parse_member(set->type, &members[i], text, &why) == 0)
			continue;
		xfq_error_set(error, -EINVAL, "set %s: %s", set->name,
			      text ? why.text : "a member is no text");
		free(members);
		return NULL;
	}
	return members;
}

static json_t *command_set_answer(json_t *answer, struct xfq_error *error)
{
	if (!answer)
		xfq_error_set(error, -ENOMEM, "no memory for an answer");
	return answer;
}

/* --- list ------------------------------------------------------------------------------------- */

static json_t *command_set_describe(const struct set *set)
{
	return json_pack("{s:s, s:s, s:I, s:b, s:I}", "name", set->name, "type",
			 set_type_name(set->type), "members", (json_int_t)set->cnt, "hits",
			 set->hits, "max", (json_int_t)(set->max ? set->max : SET_MEMBERS_MAX));
}

static uint32_t command_set_number(const json_t *request, const char *key, uint32_t otherwise)
{
	json_int_t value = json_integer_value(json_object_get(request, key));

	return value > 0 && value < UINT32_MAX ? (uint32_t)value : otherwise;
}

/* Some members of a set into its description. */
static void command_set_page(struct instance *instance, uint32_t place, const json_t *request,
			     json_t *answer)
{
	const struct set *set = instance->config->sets[place];
	json_t *texts = json_array(), *packets = json_array(), *seconds = json_array();
	uint32_t from = command_set_number(request, "from", 0);
	uint32_t cnt = command_set_number(request, "count", COMMAND_SET_PAGE);
	uint64_t now_ns = command_set_now();
	bool counts = set->hits && !instance->engine.options.read_path;

	if (cnt > COMMAND_SET_PAGE)
		cnt = COMMAND_SET_PAGE;
	for (uint32_t i = from; i < set->cnt && i - from < cnt; i++) {
		const struct set_member *member = &set->members[i];
		char text[SET_TEXT_BYTES];
		double left = member->expires_ns > now_ns
				      ? (double)(member->expires_ns - now_ns) / 1e9
				      : 0;

		json_array_append_new(texts,
				      json_string(set_format_member(set->type, member, text)));
		if (counts)
			json_array_append_new(packets,
					      json_integer((json_int_t)setmaps_hits(
						      &instance->engine.sets, place, set, member)));
		if (set->timed)
			json_array_append_new(seconds, member->expires_ns == SET_FOREVER
							       ? json_null()
							       : json_real(left));
	}
	json_object_set_new(answer, "texts", texts);
	if (counts)
		json_object_set(answer, "packets", packets);
	if (set->timed)
		json_object_set(answer, "seconds", seconds);
	json_decref(packets);
	json_decref(seconds);
}

json_t *command_set_list(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	json_t *answer, *sets;
	struct set *set;
	uint32_t place;

	if (json_object_get(request, "set")) {
		set = command_set_of(instance, request, &place, error);
		if (!set)
			return NULL;
		answer = command_set_describe(set);
		if (answer)
			command_set_page(instance, place, request, answer);
		return command_set_answer(answer, error);
	}
	sets = json_array();
	for (uint32_t i = 0; i < instance->config->set_cnt; i++)
		json_array_append_new(sets, command_set_describe(instance->config->sets[i]));
	return command_set_answer(json_pack("{s:o}", "sets", sets), error);
}

/* --- add, del, flush -------------------------------------------------------------------------- */

/* Exchange all members: that makes maps. 0 or -errno with a sentence. */
static int command_set_replace(struct instance *instance, uint32_t place, struct set *with,
			       struct xfq_error *error)
{
	int code;

	privileges_raise();
	code = engine_replace_members(&instance->engine, place, with, error);
	privileges_lower();
	return code;
}

json_t *command_set_add(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	struct engine_set_target target;
	struct set_member *members = NULL;
	size_t cnt;
	uint64_t expires_ns;
	uint32_t place;
	struct set *set = command_set_of(instance, request, &place, error);
	int added;

	if (!set || !command_set_expiry(request, &expires_ns, error) ||
	    engine_set_target(&instance->engine, place, &target, error))
		return NULL;
	members = command_set_members(set, request, &cnt, error);
	if (!members)
		return NULL;
	privileges_raise();
	for (size_t i = 0; i < cnt; i++)
		members[i].expires_ns = expires_ns;
	added = engine_add_members(&instance->engine, place, members, (uint32_t)cnt, error);
	privileges_lower();
	free(members);
	if (added < 0)
		return NULL;
	return command_set_answer(json_pack("{s:I, s:I, s:I}", "added", (json_int_t)added,
					    "renewed", (json_int_t)cnt - added, "members",
					    (json_int_t)set->cnt),
				  error);
}

json_t *command_set_del(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	struct engine_set_target target;
	struct set_member *members = NULL;
	size_t cnt;
	uint32_t place;
	struct set *set = command_set_of(instance, request, &place, error);
	int removed;

	if (!set || engine_set_target(&instance->engine, place, &target, error))
		return NULL;
	members = command_set_members(set, request, &cnt, error);
	if (!members)
		return NULL;
	privileges_raise();
	removed = engine_del_members(&instance->engine, place, members, (uint32_t)cnt, error);
	privileges_lower();
	free(members);
	if (removed < 0)
		return NULL;
	return command_set_answer(json_pack("{s:I, s:I, s:I}", "removed", (json_int_t)removed,
					    "absent", (json_int_t)cnt - removed, "members",
					    (json_int_t)set->cnt),
				  error);
}

json_t *command_set_flush(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	struct engine_set_target target;
	uint32_t place;
	struct set *set = command_set_of(instance, request, &place, error);
	struct set empty = {.type = set ? set->type : SET_NET};
	json_int_t removed;

	if (!set || engine_set_target(&instance->engine, place, &target, error))
		return NULL;
	removed = set->cnt;
	if (command_set_replace(instance, place, &empty, error))
		return NULL;
	set_destroy(&empty);
	return command_set_answer(json_pack("{s:I}", "removed", removed), error);
}

/* --- load ------------------------------------------------------------------------------------- */

struct command_set_load {
	char name[XDP_NAME_BYTES];
	struct set with;
	uint64_t expires_ns;
	bool add;
	uint32_t line; /* number of the one that is being read */
	char rest[COMMAND_SET_LINE_BYTES];
	size_t rest_len; /* beyond the size: what is not kept */
	json_t *errors;
	uint64_t error_cnt;
};

int command_set_load_begin(struct instance *instance, const json_t *request, uint64_t data_len,
			   void **state, struct xfq_error *error)
{
	struct engine_set_target target;
	uint32_t place;
	struct set *set = command_set_of(instance, request, &place, error);
	struct command_set_load *load;
	uint64_t expires_ns;

	(void)data_len;
	if (!set || !command_set_expiry(request, &expires_ns, error) ||
	    engine_set_target(&instance->engine, place, &target, error))
		return error->code;
	load = calloc(1, sizeof(*load));
	if (!load)
		return xfq_error_set(error, -ENOMEM, "set %s: no memory", set->name);
	memcpy(load->name, set->name, sizeof(load->name));
	load->with.type = set->type;
	load->with.max = set->max;
	load->expires_ns = expires_ns;
	load->add = json_is_true(json_object_get(request, "add"));
	load->errors = json_array();
	*state = load;
	return 0;
}

static void command_set_wrong(struct command_set_load *load, const char *why)
{
	if (load->error_cnt++ < COMMAND_SET_ERRORS)
		json_array_append_new(load->errors, json_sprintf("%u: %s", load->line, why));
}

/* A whole line. 0, or -errno with a sentence where there is no going on. */
static int command_set_line(struct command_set_load *load, const char *line, size_t len,
			    struct xfq_error *error)
{
	struct set_member member;
	struct xfq_error why;
	int code;

	load->line++;
	code = set_parse_line(load->with.type, &member, line, len, &why);
	if (code < 0)
		command_set_wrong(load, why.text);
	if (code != 0)
		return 0;
	member.expires_ns = load->expires_ns;
	code = set_add(&load->with, &member);
	if (code == -ENOSPC)
		return xfq_error_set(error, code,
				     "set %s: line %u: more members than the set may have (%u)",
				     load->name, load->line, load->with.cnt);
	return code < 0 ? xfq_error_set(error, code, "set %s: no memory", load->name) : 0;
}

/* The end of what is kept of a line. */
static int command_set_rest(struct command_set_load *load, struct xfq_error *error)
{
	size_t len = load->rest_len;

	load->rest_len = 0;
	if (len <= sizeof(load->rest))
		return command_set_line(load, load->rest, len, error);
	load->line++;
	command_set_wrong(load, "the line is too long");
	return 0;
}

int command_set_load_data(void *state, const char *bytes, size_t len, struct xfq_error *error)
{
	struct command_set_load *load = state;
	const char *end = bytes + len;
	int code = 0;

	while (bytes < end && code == 0) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t part = (size_t)((newline ? newline : end) - bytes);

		if (newline && load->rest_len == 0) {
			code = command_set_line(load, bytes, part, error);
		} else {
			if (load->rest_len + part <= sizeof(load->rest)) {
				memcpy(load->rest + load->rest_len, bytes, part);
				load->rest_len += part;
			} else {
				load->rest_len = sizeof(load->rest) + 1;
			}
			if (newline)
				code = command_set_rest(load, error);
		}
		bytes += part + (newline != NULL);
	}
	return code;
}

/* What the set is to have besides the list. 0 or -errno with a sentence. */
static int command_set_join(struct command_set_load *load, const struct set *set,
			    struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; load->add && i < set->cnt && code >= 0; i++)
		if (!set_find(&load->with, &set->members[i].key))
			code = set_add(&load->with, &set->members[i]);
	if (code == -ENOSPC)
		return xfq_error_set(error, code, "set %s: more members than it may have (%u)",
				     set->name, load->with.cnt);
	return code < 0 ? xfq_error_set(error, code, "set %s: no memory", set->name) : 0;
}

json_t *command_set_load_end(struct instance *instance, void *state, struct xfq_error *error)
{
	struct command_set_load *load = state;
	struct engine_set_target target;
	uint32_t place = engine_find_set(&instance->engine, load->name);
	struct set *set;

	if (load->rest_len && command_set_rest(load, error))
		return NULL;
	if (load->error_cnt > COMMAND_SET_ERRORS)
		json_array_append_new(
			load->errors,
			json_sprintf("and %llu more lines like these",
				     (unsigned long long)(load->error_cnt - COMMAND_SET_ERRORS)));
	if (load->error_cnt > 0)
		return command_set_answer(
			json_pack("{s:b, s:O}", "loaded", 0, "errors", load->errors), error);
	if (place == ENGINE_NO_SET || instance->config->sets[place]->type != load->with.type) {
		xfq_error_set(error, -ENOENT, "the set %s is no more", load->name);
		return NULL;
	}
	set = instance->config->sets[place];
	if (command_set_join(load, set, error) ||
	    engine_set_target(&instance->engine, place, &target, error) ||
	    command_set_replace(instance, place, &load->with, error))
		return NULL;
	return command_set_answer(
		json_pack("{s:b, s:I}", "loaded", 1, "members", (json_int_t)set->cnt), error);
}

void command_set_load_free(void *state)
{
	struct command_set_load *load = state;

	if (!load)
		return;
	set_destroy(&load->with);
	json_decref(load->errors);
	free(load);
}
