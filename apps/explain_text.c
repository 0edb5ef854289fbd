/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/explain_parts.h"
#include <stdio.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long text_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static bool text_is(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* A value of any kind. */
static void text_value(const json_t *value)
{
	if (json_is_string(value))
		fputs(json_string_value(value), stdout);
	else if (json_is_integer(value))
		printf("%lld", (long long)json_integer_value(value));
	else
		fputs("none", stdout);
}

static void text_packet(const json_t *packet)
{
	const json_t *at = json_object_get(packet, "ip_at");

	printf("  Ethernet %s > %s, ethertype %s", text_of(packet, "src_mac"),
	       text_of(packet, "dst_mac"), text_of(packet, "ethertype"));
	if (json_object_get(packet, "vlan"))
		printf(", VLAN %lld", text_number(packet, "vlan"));
	putchar('\n');
	if (at) {
		printf("  IPv%lld at byte %lld, protocol %lld", text_number(packet, "ip"),
		       text_number(packet, "ip_at"), text_number(packet, "proto"));
		if (json_object_get(packet, "proto_at"))
			printf(" at byte %lld", text_number(packet, "proto_at"));
		if (json_object_get(packet, "payload_at"))
			printf(", payload at byte %lld", text_number(packet, "payload_at"));
		if (json_object_get(packet, "tcp_flags"))
			printf(", TCP flags %s", text_of(packet, "tcp_flags"));
		putchar('\n');
	}
	printf("  %lld bytes, on the wire %lld", text_number(packet, "len"),
	       text_number(packet, "wire_len"));
	if (json_object_get(packet, "flow_hash"))
		printf("; flow hash %s", text_of(packet, "flow_hash"));
	putchar('\n');
}

static void text_tunnel(const json_t *tunnel)
{
	const json_t *inner = json_object_get(tunnel, "inner"), *kind;
	const char *between = "  in ";
	size_t i;

	json_array_foreach(json_object_get(tunnel, "path"), i, kind)
	{
		printf("%s%s", between, json_string_value(kind));
		between = ", ";
	}
	printf(": %s\n", text_of(inner, "summary"));
	text_packet(inner);
}

static void text_condition(const json_t *condition, const char *indent)
{
	const char *negated = text_is(condition, "not") ? "not " : "";

	if (json_object_get(condition, "match"))
		printf("%s%smatch \"%s\"", indent, negated, text_of(condition, "match"));
	else if (json_object_get(condition, "set"))
		printf("%s%sin %s (%s)", indent, negated, text_of(condition, "set"),
		       text_of(condition, "field"));
	else if (json_object_get(condition, "marked"))
		printf("%smarked %lld", indent, text_number(condition, "marked"));
	else
		printf("%s%splug-in %s", indent, negated, text_of(condition, "plugin"));
	printf(": %s%s\n", text_is(condition, "holds") ? "yes" : "no",
	       text_is(condition, "cached") ? ", cached by flow" : "");
}

static void text_conditions(const json_t *object, const char *indent)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_object_get(object, "conditions"), i, condition)
		text_condition(condition, indent);
}

static void text_table(const json_t *table)
{
	const json_t *rule = json_object_get(table, "rule");

	if (json_is_null(rule))
		printf("  table %s: no rule\n", text_of(table, "file"));
	else
		printf("  table %s: rule %lld (line %lld): %s: %s\n", text_of(table, "file"),
		       text_number(rule, "priority"), text_number(rule, "line"),
		       text_of(rule, "text"), text_of(table, "outcome"));
}

static void text_case(const json_t *one)
{
	printf("  case %lld (line %lld): %s", text_number(one, "case"), text_number(one, "line"),
	       text_is(one, "taken")   ? "yes"
	       : text_is(one, "holds") ? "yes, but not in the sample"
				       : "no");
	if (json_object_get(one, "sample"))
		printf(", %s", text_of(one, "sample"));
	if (text_is(one, "taken")) {
		if (json_object_get(one, "count"))
			printf(", count %s", text_of(one, "count"));
		if (json_object_get(one, "mark"))
			printf(", mark %lld", text_number(one, "mark"));
		if (json_object_get(one, "tee"))
			printf(", a copy for %s", text_of(one, "tee"));
		printf(", %s", text_of(one, "action"));
		if (json_object_get(one, "class"))
			printf(" to %s", text_of(one, "class"));
	}
	putchar('\n');
	text_conditions(one, "    ");
}

static void text_steer(const json_t *steer)
{
	const json_t *looked_at = json_object_get(steer, "looked_at"), *value;
	const char *key, *between = " of ";

	printf("  by %s", text_of(steer, "method"));
	if (json_object_get(steer, "plugin"))
		printf(" %s", text_of(steer, "plugin"));
	json_object_foreach((json_t *)(uintptr_t)looked_at, key, value)
	{
		printf("%s%s ", between, key);
		text_value(value);
		between = ", ";
	}
	if (!text_is(steer, "applies"))
		printf(", which does not apply%s",
		       text_of(steer, "else")[0] == 'f' ? ": by flow" : "");
	if (json_object_get(steer, "hash"))
		printf(": hash %s, bucket %lld of %lld", text_of(steer, "hash"),
		       text_number(steer, "bucket"), text_number(steer, "buckets"));
	putchar('\n');
}

static void text_outcome(const json_t *group)
{
	const json_t *members = json_object_get(group, "members"), *member;
	const char *between = json_array_size(members) == 1 ? "member " : "members ";
	size_t i;

	fputs("  -> ", stdout);
	json_array_foreach(members, i, member)
	{
		printf("%s%lld", between, (long long)json_integer_value(member));
		between = ", ";
	}
	if (json_array_size(members) == 0)
		fputs(text_of(group, "outcome"), stdout);
	else if (!json_object_get(group, "class"))
		printf(" of %lld", text_number(group, "of"));
	/* members have their numbers in the group, so that a class of 1 may be member 2 */
	else if (json_array_size(members) == 1)
		printf(", one of %lld", text_number(group, "of"));
	else
		printf(": %zu of %lld", json_array_size(members), text_number(group, "of"));
	if (json_object_get(group, "class"))
		printf(" in class %s", text_of(group, "class"));
	if (json_object_get(group, "mark"))
		printf(", mark %lld", text_number(group, "mark"));
	putchar('\n');
}

static void text_group(const json_t *group)
{
	const json_t *one;
	size_t i;

	printf("group %s (line %lld): %s%s%s\n", text_of(group, "group"),
	       text_number(group, "line"), text_is(group, "wants") ? "gets it" : "does not want it",
	       text_is(group, "handed") ? ", a copy" : "",
	       text_is(group, "inner") ? ", by its innermost packet" : "");
	text_conditions(group, "  ");
	if (!text_is(group, "wants"))
		return;
	if (json_object_get(group, "table"))
		text_table(json_object_get(group, "table"));
	json_array_foreach(json_object_get(group, "cases"), i, one) text_case(one);
	if (json_object_get(group, "steer"))
		text_steer(json_object_get(group, "steer"));
	text_outcome(group);
}

void explain_print(const json_t *all)
{
	const json_t *packet = json_object_get(all, "packet");
	const json_t *pass = json_object_get(all, "first_pass");
	const json_t *groups = json_object_get(all, "groups"), *group;
	size_t i;

	printf("packet %lld: %s\n", text_number(all, "number"), text_of(packet, "summary"));
	text_packet(packet);
	if (json_object_get(all, "tunnel"))
		text_tunnel(json_object_get(all, "tunnel"));
	printf("first pass: %s by %s\n", text_of(pass, "verdict"), text_of(pass, "why"));
	json_array_foreach(groups, i, group) text_group(group);
	if (groups)
		printf("flow cache: %s\n", text_of(all, "cache"));
}

void explain_print_note(const struct config *config)
{
	if (config->group_cnt > 0)
		printf("A live instance hashes with a seed of its own, and members that join take "
		       "buckets: there the\nmember may be another one, and what meets in one "
		       "member does so all the same.\n");
}
