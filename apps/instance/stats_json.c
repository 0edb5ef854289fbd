/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/stats_json.h"
#include "apps/instance/filter_json.h"
#include "apps/instance/rule_text.h"
#include <string.h>

#define STATS_STEER_BYTES 1024 /* of how a group steers, with all that it was told */

/* Set keys of one object from numbers: every counter fits into JSON's 63 bits. */
static void stats_set(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void stats_counter(json_t *object, const struct xdp_counter *counter)
{
	stats_set(object, "packets", counter->packets);
	stats_set(object, "bytes", counter->bytes);
}

static json_t *stats_filter(const struct filter *from, const struct xdp_counters *counters)
{
	json_t *filter = json_object(), *rules = json_array(), *rule;

	for (uint32_t i = 0; i < from->rule_cnt; i++) {
		rule = filter_json_rule(from, i);
		stats_counter(rule, &counters->rules[i]);
		json_array_append_new(rules, rule);
	}
	json_object_set_new(filter, "rules", rules);
	rule = json_pack("{s:s}", "action", filter_action_name(from->default_action));
	stats_counter(rule, &counters->rules[XDP_RULES_MAX]);
	json_object_set_new(filter, "default", rule);
	return filter;
}

static json_t *stats_verdicts(const struct xdp_counters *counters)
{
	json_t *verdicts = json_object();

	for (unsigned i = 0; i < XDP_VERDICT_CNT; i++)
		stats_set(verdicts, rule_verdict_name(i), counters->verdicts[i].packets);
	return verdicts;
}

/* What the host sends: rules of their own, with their own verdicts. */
static json_t *stats_egress(const struct stats *stats)
{
	json_t *egress = stats_filter(stats->egress_filter, &stats->egress);

	json_object_set_new(egress, "verdicts", stats_verdicts(&stats->egress));
	return egress;
}

/* What was noticed of packets, whatever became of them. */
static json_t *stats_noticed(const struct stats *stats)
{
	json_t *noticed = json_object();

	stats_set(noticed, "malformed", stats->xdp.malformed);
	stats_set(noticed, "fragments", stats->xdp.fragments);
	stats_set(noticed, "orphans", stats->xdp.orphans);
	stats_set(noticed, "no_socket", stats->xdp.no_socket);
	stats_set(noticed, "too_long", stats->xdp.too_long);
	stats_set(noticed, "no_meta", stats->xdp.no_meta);
	return noticed;
}

static json_t *stats_interfaces(const struct stats *stats)
{
	json_t *interfaces = json_array();

	for (uint32_t i = 0; i < stats->interface_cnt; i++) {
		const struct stats_interface *from = &stats->interfaces[i];
		json_t *interface = json_object();

		json_object_set_new(interface, "name", json_string(from->name));
		json_object_set_new(interface, "driver", json_string(from->driver));
		json_object_set_new(interface, "mode", json_string(from->mode));
		json_object_set_new(interface, "zero_copy", json_boolean(from->zero_copy));
		stats_set(interface, "queues", from->queues);
		json_object_set_new(interface, "gone", json_boolean(from->gone));
		if (strcmp(from->mode, "mirror") == 0)
			stats_set(interface, "mirror_lost", from->mirror_lost);
		json_array_append_new(interfaces, interface);
	}
	return interfaces;
}

static json_t *stats_workers(const struct stats *stats)
{
	json_t *workers = json_array();

	for (uint32_t i = 0; i < stats->worker_cnt; i++) {
		const struct stats_worker *from = &stats->workers[i];
		json_t *worker = json_object();

		stats_set(worker, "id", i);
		json_object_set_new(worker, "cpu", json_integer(from->cpu));
		json_object_set_new(worker, "node", json_integer(from->node));
		json_object_set_new(worker, "shared_cpu", json_boolean(from->shared_cpu));
		stats_set(worker, "received", from->received);
		stats_set(worker, "bytes", from->bytes);
		stats_set(worker, "unclaimed", from->unclaimed);
		stats_set(worker, "rx_dropped", from->rx_dropped);
		stats_set(worker, "rx_ring_full", from->rx_ring_full);
		stats_set(worker, "fill_empty", from->fill_empty);
		stats_set(worker, "reparsed", from->reparsed);
		stats_set(worker, "cut", from->cut);
		stats_set(worker, "sleeps", from->sleeps);
		stats_set(worker, "faulty_members", from->faulty);
		json_object_set_new(worker, "flow_cache",
				    json_pack("{s:I, s:I}", "hits", (json_int_t)from->cache_hits,
					      "misses", (json_int_t)from->cache_misses));
		json_array_append_new(workers, worker);
	}
	return workers;
}

/* Names of the classes whose bits are set. */
static json_t *stats_classes(const struct group_spec *spec, uint32_t classes)
{
	json_t *names = json_array();

	for (uint32_t c = 0; c < spec->class_cnt; c++)
		if (classes >> c & 1)
			json_array_append_new(names, json_string(spec->classes[c]));
	return names;
}

static json_t *stats_member(const struct group_spec *spec, const struct stats_member *m)
{
	json_t *member = json_object();

	stats_set(member, "id", m->id);
	json_object_set_new(member, "kind", json_string(m->kind));
	json_object_set_new(member, "stand_in", json_boolean(m->stand_in));
	if (m->process[0]) {
		json_object_set_new(member, "process", json_string(m->process));
		json_object_set_new(member, "pid", json_integer(m->pid));
		stats_set(member, "uid", m->uid);
	}
	stats_set(member, "weight", m->weight);
	if (spec->class_cnt)
		json_object_set_new(member, "classes", stats_classes(spec, m->classes));
	stats_set(member, "ring", m->ring_slots);
	stats_set(member, "packets", m->packets);
	stats_set(member, "bytes", m->bytes);
	stats_set(member, "lost", m->lost_ring + m->lost_quota + m->lost_detached);
	stats_set(member, "lost_ring", m->lost_ring);
	stats_set(member, "lost_quota", m->lost_quota);
	stats_set(member, "lost_detached", m->lost_detached);
	stats_set(member, "spilled", m->spilled);
	stats_set(member, "consumed", m->consumed);
	stats_set(member, "discarded", m->discarded);
	stats_set(member, "queued", m->queued);
	stats_set(member, "unwritten", m->unwritten);
	return member;
}

/* Those who joined and left: their number and sums, and the last of them one by one. */
static json_t *stats_left(const struct stats_group *from)
{
	const struct stats_member *sum = from->left_sum;
	json_t *left = json_object(), *last = json_array();

	stats_set(left, "members", from->left_cnt);
	stats_set(left, "packets", sum->packets);
	stats_set(left, "bytes", sum->bytes);
	stats_set(left, "lost", sum->lost_ring + sum->lost_quota + sum->lost_detached);
	stats_set(left, "lost_ring", sum->lost_ring);
	stats_set(left, "lost_quota", sum->lost_quota);
	stats_set(left, "lost_detached", sum->lost_detached);
	stats_set(left, "spilled", sum->spilled);
	stats_set(left, "consumed", sum->consumed);
	stats_set(left, "discarded", sum->discarded);
	for (uint32_t i = 0; i < STATS_LEFT_MAX && from->left[i]; i++)
		json_array_append_new(last, stats_member(from->spec, from->left[i]));
	json_object_set_new(left, "last", last);
	return left;
}

/* Of each class: how many of the members are of it. */
static json_t *stats_class_members(const struct stats_group *from)
{
	json_t *classes = json_object();

	for (uint32_t c = 0; c < from->spec->class_cnt; c++) {
		uint32_t cnt = 0;

		for (uint32_t i = 0; i < from->member_cnt; i++)
			cnt += from->members[i].classes >> c & 1;
		stats_set(classes, from->spec->classes[c], cnt);
	}
	return classes;
}

static json_t *stats_counters(const struct stats_group *from)
{
	json_t *counters = json_object();

	for (uint32_t i = 0; i < from->counter_cnt; i++)
		json_object_set_new(counters, from->counters[i].name,
				    json_pack("{s:I, s:I}", "packets",
					      (json_int_t)from->counters[i].packets, "bytes",
					      (json_int_t)from->counters[i].bytes));
	return counters;
}

static json_t *stats_group(const struct stats_group *from)
{
	json_t *group = json_object(), *members = json_array();
	char steer[STATS_STEER_BYTES];

	json_object_set_new(group, "match", json_string(from->match));
	json_object_set_new(
		group, "steer",
		json_string(method_spec_text(&from->spec->steer, steer, sizeof(steer))));
	json_object_set_new(group, "narrowed",
			    json_boolean(from->spec->tee_only || from->spec->when.in_cnt ||
					 from->spec->when.plugin != GROUP_NONE));
	stats_set(group, "packets", from->packets);
	stats_set(group, "bytes", from->bytes);
	stats_set(group, "offered", from->offered);
	stats_set(group, "no_member", from->no_member);
	stats_set(group, "dropped", from->dropped);
	if (from->counter_cnt)
		json_object_set_new(group, "counters", stats_counters(from));
	if (from->has_table)
		json_object_set_new(group, "table",
				    json_pack("{s:I}", "rules", (json_int_t)from->rule_cnt));
	if (from->spec->class_cnt)
		json_object_set_new(group, "classes", stats_class_members(from));
	stats_set(group, "max_members", from->members_max);
	for (uint32_t i = 0; i < from->member_cnt; i++)
		json_array_append_new(members, stats_member(from->spec, &from->members[i]));
	json_object_set_new(group, "members", members);
	json_object_set_new(group, "left", stats_left(from));
	return group;
}

static json_t *stats_frames(const struct stats *stats)
{
	json_t *frames = json_object();

	stats_set(frames, "total", stats->frames.total);
	stats_set(frames, "free", stats->frames.free);
	stats_set(frames, "kernel", stats->frames.kernel);
	stats_set(frames, "worker", stats->frames.worker);
	stats_set(frames, "held", stats->frames.held);
	stats_set(frames, "tx", stats->frames.tx);
	json_object_set_new(frames, "huge_pages", json_boolean(stats->huge_pages));
	return frames;
}

json_t *stats_json(const struct stats *stats)
{
	json_t *object = json_object(), *groups = json_object();

	json_object_set_new(object, "name", json_string(stats->name));
	if (stats->source)
		json_object_set_new(object, "source", json_string(stats->source));
	json_object_set_new(object, "uptime_seconds",
			    json_real((double)(stats->uptime_ns / 1000000) / 1e3));
	json_object_set_new(object, "interfaces", stats_interfaces(stats));
	json_object_set_new(object, "filter", stats_filter(stats->filter, &stats->xdp));
	json_object_set_new(object, "verdicts", stats_verdicts(&stats->xdp));
	json_object_set_new(object, "noticed", stats_noticed(stats));
	json_object_set_new(object, "sets",
			    filter_json_sets(stats->filter->sets, stats->filter->set_cnt));
	if (stats->egress_filter)
		json_object_set_new(object, "egress", stats_egress(stats));
	json_object_set_new(object, "workers", stats_workers(stats));
	for (uint32_t i = 0; i < stats->group_cnt; i++)
		json_object_set_new(groups, stats->groups[i].name, stats_group(&stats->groups[i]));
	json_object_set_new(object, "groups", groups);
	json_object_set_new(object, "frames", stats_frames(stats));
	return object;
}
