/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/filter_table.h"
#include <stdint.h>
#include <string.h>

#define FILTER_WHAT_COLUMNS 44

static long long filter_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static const char *filter_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* --- the view --------------------------------------------------------------------------------- */

/* The rate of a counter; never below 0, as a reload may have taken it back. */
static double filter_rate(const json_t *now, const json_t *before, const char *key, double seconds)
{
	long long more = filter_number(now, key) - filter_number(before, key);

	return more > 0 && seconds > 0 ? (double)more / seconds : 0;
}

static void filter_add_rates(json_t *rule, const json_t *before, double seconds)
{
	if (!before)
		return;
	json_object_set_new(rule, "packets_per_second",
			    json_real(filter_rate(rule, before, "packets", seconds)));
	json_object_set_new(rule, "bits_per_second",
			    json_real(8 * filter_rate(rule, before, "bytes", seconds)));
}

/* The same rule in an earlier object; after a reload there may be none. */
static const json_t *filter_before(const json_t *rule, const json_t *before, size_t place)
{
	const json_t *same = json_array_get(before, place);

	if (!same || strcmp(filter_text(same, "what"), filter_text(rule, "what")) != 0 ||
	    strcmp(filter_text(same, "action"), filter_text(rule, "action")) != 0)
		return NULL;
	return same;
}

static json_t *filter_view_rules(const json_t *now, const json_t *before, double seconds)
{
	json_t *filter = json_deep_copy(now), *rule;
	const json_t *rules_before = json_object_get(before, "rules");
	size_t i;

	json_array_foreach(json_object_get(filter, "rules"), i, rule)
		filter_add_rates(rule, filter_before(rule, rules_before, i), seconds);
	filter_add_rates(json_object_get(filter, "default"), json_object_get(before, "default"),
			 seconds);
	return filter;
}

json_t *filter_view(const json_t *now, const json_t *before, double seconds)
{
	static const char *const kept[] = {"name",    "source", "uptime_seconds", "verdicts",
					   "noticed", "sets",   "shunt"};
	static const char *const filters[] = {"filter", "egress"};
	json_t *view = json_object();

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (json_object_get(now, kept[i]))
			json_object_set(view, kept[i], json_object_get(now, kept[i]));
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (json_object_get(now, filters[i]))
			json_object_set_new(view, filters[i],
					    filter_view_rules(json_object_get(now, filters[i]),
							      json_object_get(before, filters[i]),
							      seconds));
	return view;
}

/* --- the table -------------------------------------------------------------------------------- */

/* A rate, with k, M or G. */
static void filter_print_rate(FILE *out, const json_t *rule, const char *key)
{
	const json_t *value = json_object_get(rule, key);
	double rate = json_real_value(value);

	if (!value)
		fprintf(out, " %10s", "");
	else if (rate >= 1e9)
		fprintf(out, " %9.2fG", rate / 1e9);
	else if (rate >= 1e6)
		fprintf(out, " %9.2fM", rate / 1e6);
	else if (rate >= 1e4)
		fprintf(out, " %9.2fk", rate / 1e3);
	else
		fprintf(out, " %9.0f ", rate);
}

static void filter_print_rule(FILE *out, const char *id, const json_t *rule)
{
	const char *what = filter_text(rule, "what");

	fprintf(out, "  %-8s %-8s %-*s", id, filter_text(rule, "action"), FILTER_WHAT_COLUMNS,
		what);
	if (strlen(what) > FILTER_WHAT_COLUMNS)
		fprintf(out, "\n  %-*s", 8 + 1 + 8 + 1 + FILTER_WHAT_COLUMNS, "");
	fprintf(out, " %14lld %16lld", filter_number(rule, "packets"),
		filter_number(rule, "bytes"));
	filter_print_rate(out, rule, "packets_per_second");
	filter_print_rate(out, rule, "bits_per_second");
	fputc('\n', out);
}

static void filter_print_rules(FILE *out, const char *name, const json_t *filter)
{
	const json_t *rules = json_object_get(filter, "rules"), *rule;
	size_t i;

	if (!filter)
		return;
	fprintf(out, "%-10s %-8s %-*s %14s %16s %10s %10s\n", name, "action", FILTER_WHAT_COLUMNS,
		"match", "packets", "bytes", "packets/s", "bit/s");
	json_array_foreach((json_t *)(uintptr_t)rules, i, rule)
	{
		char id[24];

		snprintf(id, sizeof(id), "%zu", i);
		filter_print_rule(out, id, rule);
	}
	filter_print_rule(out, "default", json_object_get(filter, "default"));
	fputc('\n', out);
}

/* Every number of an object: "steer 12, pass 3". */
static void filter_print_numbers(FILE *out, const char *name, const json_t *object)
{
	const char *key, *between = "";
	const json_t *value;

	if (!object)
		return;
	fprintf(out, "%-10s ", name);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (!json_is_integer(value))
			continue;
		fprintf(out, "%s%s %lld", between, key, (long long)json_integer_value(value));
		between = ", ";
	}
	fputc('\n', out);
}

void filter_table(FILE *out, const json_t *view)
{
	const json_t *sets = json_object_get(view, "sets"), *set;
	const char *name;

	fprintf(out, "xfq %s, first pass, %.1f s\n\n", filter_text(view, "name"),
		json_real_value(json_object_get(view, "uptime_seconds")));
	filter_print_rules(out, "in", json_object_get(view, "filter"));
	filter_print_rules(out, "out", json_object_get(view, "egress"));
	filter_print_numbers(out, "verdicts", json_object_get(view, "verdicts"));
	filter_print_numbers(out, "noticed", json_object_get(view, "noticed"));
	filter_print_numbers(out, "shunt", json_object_get(view, "shunt"));
	json_object_foreach((json_t *)(uintptr_t)sets, name, set)
	{
		fprintf(out, "set %s, %s: ", name, filter_text(set, "type"));
		filter_print_numbers(out, "", set);
	}
}
