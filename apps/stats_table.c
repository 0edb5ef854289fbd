/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/stats_table.h"
#include <stdint.h>
#include <string.h>

#define TABLE_STEER_SHOWN                                                                          \
	11 /* bytes of how a group steers; what is longer is on a line of its own */
#define TABLE_RULE_SHOWN 34 /* bytes of what a rule says; `xfq filter show` has all of it */

/* A counter of an object; 0 where there is none. */
static long long table_get(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static const char *table_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Sum a key over an array of objects. */
static long long table_sum(const json_t *array, const char *key)
{
	long long sum = 0;

	for (size_t i = 0; i < json_array_size(array); i++)
		sum += table_get(json_array_get(array, i), key);
	return sum;
}

/* Packets a second since `before`, or an empty column. */
static void table_rate(FILE *out, long long now, const json_t *before, const char *key,
		       double seconds)
{
	double rate;

	if (!before || seconds <= 0) {
		fputc('\n', out);
		return;
	}
	rate = (double)(now - table_get(before, key)) / seconds;
	if (rate < 0)
		rate = 0;
	if (rate >= 1e6)
		fprintf(out, " %9.2f M/s\n", rate / 1e6);
	else
		fprintf(out, " %9.0f /s\n", rate);
}

static void table_head(FILE *out, const json_t *now)
{
	const json_t *interfaces = json_object_get(now, "interfaces");

	fprintf(out, "xfq %s", table_text(now, "name"));
	if (json_object_get(now, "source"))
		fprintf(out, ", reading %s", table_text(now, "source"));
	for (size_t i = 0; i < json_array_size(interfaces); i++) {
		const json_t *interface = json_array_get(interfaces, i);

		fprintf(out, ", %s: %s XDP, %s, %lld queue%s%s", table_text(interface, "name"),
			table_text(interface, "mode"),
			json_is_true(json_object_get(interface, "zero_copy")) ? "zero-copy"
									      : "copy mode",
			table_get(interface, "queues"),
			table_get(interface, "queues") == 1 ? "" : "s",
			json_is_true(json_object_get(interface, "gone")) ? ", gone" : "");
	}
	fprintf(out, ", %.1f s\n\n", json_real_value(json_object_get(now, "uptime_seconds")));
}

static void table_rules(FILE *out, const json_t *now, const json_t *before, double seconds)
{
	char name[160];
	const json_t *rules = json_object_get(json_object_get(now, "filter"), "rules");
	const json_t *rules_before = json_object_get(json_object_get(before, "filter"), "rules");
	const json_t *other = json_object_get(json_object_get(now, "filter"), "default");
	const json_t *verdicts = json_object_get(now, "verdicts");
	const json_t *noticed = json_object_get(now, "noticed");

	fprintf(out, "%-48s %12s %14s\n", "first pass", "packets", "bytes");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);

		snprintf(name, sizeof(name), "rule %zu %s %.*s", i, table_text(rule, "action"),
			 TABLE_RULE_SHOWN, table_text(rule, "what"));
		fprintf(out, "  %-46s %12lld %14lld", name, table_get(rule, "packets"),
			table_get(rule, "bytes"));
		table_rate(out, table_get(rule, "packets"), json_array_get(rules_before, i),
			   "packets", seconds);
	}
	fprintf(out, "  default %-38s %12lld %14lld", table_text(other, "action"),
		table_get(other, "packets"), table_get(other, "bytes"));
	table_rate(out, table_get(other, "packets"),
		   json_object_get(json_object_get(before, "filter"), "default"), "packets",
		   seconds);
	fprintf(out,
		"  steered %lld, passed %lld, dropped %lld, sent back %lld, beyond a limit %lld, "
		"shunted "
		"%lld, taken out as malformed %lld\n  malformed %lld, fragments %lld, orphans "
		"%lld\n",
		table_get(verdicts, "steer"), table_get(verdicts, "pass"),
		table_get(verdicts, "drop"), table_get(verdicts, "tx"),
		table_get(verdicts, "limited"), table_get(verdicts, "shunted"),
		table_get(verdicts, "malformed"), table_get(noticed, "malformed"),
		table_get(noticed, "fragments"), table_get(noticed, "orphans"));
	if (table_get(noticed, "no_socket") || table_get(noticed, "too_long"))
		fprintf(out,
			"  of the passed, meant to be steered: %lld had no socket, %lld did not "
			"fit a "
			"frame\n",
			table_get(noticed, "no_socket"), table_get(noticed, "too_long"));
	fputc('\n', out);
}

/* What the host sends, if there are rules for that. */
static void table_egress(FILE *out, const json_t *now, const json_t *before, double seconds)
{
	const json_t *egress = json_object_get(now, "egress");
	const json_t *egress_before = json_object_get(before, "egress");
	const json_t *rules = json_object_get(egress, "rules");
	const json_t *verdicts = json_object_get(egress, "verdicts");
	char name[160];

	if (!egress)
		return;
	fprintf(out, "%-48s %12s %14s\n", "egress", "packets", "bytes");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);

		snprintf(name, sizeof(name), "rule %zu %s %.*s", i, table_text(rule, "action"),
			 TABLE_RULE_SHOWN, table_text(rule, "what"));
		fprintf(out, "  %-46s %12lld %14lld", name, table_get(rule, "packets"),
			table_get(rule, "bytes"));
		table_rate(out, table_get(rule, "packets"),
			   json_array_get(json_object_get(egress_before, "rules"), i), "packets",
			   seconds);
	}
	fprintf(out, "  passed %lld, dropped %lld, beyond a limit %lld, malformed %lld\n\n",
		table_get(verdicts, "pass"), table_get(verdicts, "drop"),
		table_get(verdicts, "limited"), table_get(verdicts, "malformed"));
}

/* The flow caches of all workers, if they were asked anything. */
static void table_caches(FILE *out, const json_t *now)
{
	const json_t *workers = json_object_get(now, "workers"), *worker;
	long long hits = 0, misses = 0;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)workers, i, worker)
	{
		hits += table_get(json_object_get(worker, "flow_cache"), "hits");
		misses += table_get(json_object_get(worker, "flow_cache"), "misses");
	}
	if (hits + misses > 0)
		fprintf(out, "  flow cache: %lld of %lld packets were known\n", hits,
			hits + misses);
}

static void table_workers(FILE *out, const json_t *now, const json_t *before, double seconds)
{
	const json_t *workers = json_object_get(now, "workers");
	const json_t *workers_before = json_object_get(before, "workers");

	fprintf(out, "%-15s %9s %10s %12s %12s\n", "workers", "unclaimed", "lost full",
		"lost dropped", "received");
	for (size_t i = 0; i < json_array_size(workers); i++) {
		const json_t *worker = json_array_get(workers, i);
		long long cpu = table_get(worker, "cpu");
		char name[48];

		if (cpu < 0)
			snprintf(name, sizeof(name), "%zu", i);
		else
			snprintf(name, sizeof(name), "%zu on CPU %lld", i, cpu);
		fprintf(out, "  %-13s %9lld %10lld %12lld %12lld", name,
			table_get(worker, "unclaimed"), table_get(worker, "rx_ring_full"),
			table_get(worker, "rx_dropped"), table_get(worker, "received"));
		table_rate(out, table_get(worker, "received"), json_array_get(workers_before, i),
			   "received", seconds);
	}
	table_caches(out, now);
	fputc('\n', out);
}

/* What is worth a word beside the columns, where it is not 0. */
static void table_remarks(FILE *out, const json_t *member)
{
	static const char *const keys[] = {"queued", "discarded", "lost_detached", "spilled",
					   "unwritten"};
	static const char *const words[] = {"not read yet", "discarded when it went",
					    "lost since it was detached", "spilled to others",
					    "not written"};

	const json_t *classes = json_object_get(member, "classes"), *class;
	size_t c;

	json_array_foreach((json_t *)(uintptr_t)classes, c, class)
		fprintf(out, "%s%s", c ? "," : "  of ", json_string_value(class));
	if (table_get(member, "weight") > 1)
		fprintf(out, "  weight %lld", table_get(member, "weight"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (table_get(member, keys[i]) > 0)
			fprintf(out, "  %lld %s", table_get(member, keys[i]), words[i]);
	fputc('\n', out);
}

/* A member that is there, or one that left: then `kind` is why it did. */
static void table_member(FILE *out, const json_t *member, const char *left)
{
	char name[64];
	const char *process = table_text(member, "process");

	if (process[0])
		snprintf(name, sizeof(name), "%lld %s, pid %lld, user %lld%s%s",
			 table_get(member, "id"), process, table_get(member, "pid"),
			 table_get(member, "uid"), left[0] ? ", " : "", left);
	else
		snprintf(name, sizeof(name), "%lld %s%s", table_get(member, "id"),
			 table_text(member, "kind"),
			 json_is_true(json_object_get(member, "stand_in")) ? ", stand-in" : "");
	fprintf(out, "    %-42s %12lld %10lld %10lld", name, table_get(member, "packets"),
		table_get(member, "lost_ring"), table_get(member, "lost_quota"));
	table_remarks(out, member);
}

/* The members of a group, and those that left. */
static void table_members(FILE *out, const json_t *group)
{
	const json_t *list = json_object_get(group, "members"), *member;
	const json_t *left = json_object_get(group, "left");
	const json_t *last = json_object_get(left, "last");
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, member)
	{
		const char *kind = table_text(member, "kind");

		table_member(out, member, strcmp(kind, "joining") == 0 ? kind : "");
	}
	/* those that left in order are one line; how the others ended is worth one each */
	json_array_foreach((json_t *)(uintptr_t)last, i, member)
	{
		if (strcmp(table_text(member, "kind"), "left") != 0)
			table_member(out, member, table_text(member, "kind"));
	}
	if (table_get(left, "members") > 0)
		fprintf(out, "    %lld that %-34s %12lld %10lld %10lld\n",
			table_get(left, "members"), "joined and are gone, in all",
			table_get(left, "packets"), table_get(left, "lost_ring"),
			table_get(left, "lost_quota"));
	if (table_get(group, "no_member") > 0)
		fprintf(out, "    %-42s %12s %10s %10s  %lld\n", "nobody there", "", "", "",
			table_get(group, "no_member"));
}

/* How a group steers where that is long. What became of its packets before members came into it:
 * its rule table, what was dropped, and what its cases have counted. */
static void table_cases(FILE *out, const json_t *group, const json_t *before, double seconds)
{
	const char *steer = table_text(group, "steer");
	const json_t *counters = json_object_get(group, "counters"), *counter;
	const json_t *table = json_object_get(group, "table");
	const char *name;

	if (strlen(steer) > TABLE_STEER_SHOWN)
		fprintf(out, "    steer %s\n", steer);
	if (table)
		fprintf(out, "    rule table of %lld rules\n", table_get(table, "rules"));
	if (table_get(group, "dropped") > 0)
		fprintf(out, "    %-42s %12lld\n", "dropped", table_get(group, "dropped"));
	json_object_foreach((json_t *)(uintptr_t)counters, name, counter)
	{
		char shown[64];

		snprintf(shown, sizeof(shown), "count %s", name);
		fprintf(out, "    %-42s %12lld", shown, table_get(counter, "packets"));
		table_rate(out, table_get(counter, "packets"),
			   json_object_get(json_object_get(before, "counters"), name), "packets",
			   seconds);
	}
}

/* A counter over the members that are there and those that left. */
static long long table_all(const json_t *group, const char *key)
{
	return table_sum(json_object_get(group, "members"), key) +
	       table_get(json_object_get(group, "left"), key);
}

static void table_groups(FILE *out, const json_t *now, const json_t *before, double seconds,
			 int members)
{
	const json_t *groups = json_object_get(now, "groups"), *group;
	const json_t *groups_before = json_object_get(before, "groups");
	const char *name;

	fprintf(out, "%-13s %-11s %7s %12s %12s %10s %10s\n", "groups", "steer", "members",
		"packets", "delivered", "lost ring", "lost quota");
	json_object_foreach((json_t *)(uintptr_t)groups, name, group)
	{
		const char *steer = table_text(group, "steer");
		/* by its name alone where all of it has no room */
		int shown = (int)(strlen(steer) > TABLE_STEER_SHOWN ? strcspn(steer, " ")
								    : strlen(steer));

		fprintf(out, "  %-11s %-11.*s %7zu %12lld %12lld %10lld %10lld", name, shown, steer,
			json_array_size(json_object_get(group, "members")),
			table_get(group, "packets"), table_all(group, "packets"),
			table_all(group, "lost_ring"), table_all(group, "lost_quota"));
		table_rate(out, table_get(group, "packets"), json_object_get(groups_before, name),
			   "packets", seconds);
		table_cases(out, group, json_object_get(groups_before, name), seconds);
		if (members)
			table_members(out, group);
	}
}

void stats_table(FILE *out, const json_t *now, const json_t *before, double seconds, int members)
{
	const json_t *frames = json_object_get(now, "frames");

	table_head(out, now);
	table_rules(out, now, before, seconds);
	table_egress(out, now, before, seconds);
	table_workers(out, now, before, seconds);
	table_groups(out, now, before, seconds, members);
	fprintf(out,
		"\nframes: %lld = %lld free + %lld kernel + %lld worker + %lld held + %lld tx\n",
		table_get(frames, "total"), table_get(frames, "free"), table_get(frames, "kernel"),
		table_get(frames, "worker"), table_get(frames, "held"), table_get(frames, "tx"));
}
