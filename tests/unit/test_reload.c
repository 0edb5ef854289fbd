/* SPDX-License-Identifier: BSD-2-Clause */
/* Reloads of an engine that reads a capture file: before it runs, while it does, and afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apps/instance/config_yaml.h"
#include "tests/traffic.h"
#include "workers/engine.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS   64
#define PACKETS 40000

static char folder[] = "/tmp/xfq-reload-XXXXXX", file[64];
static struct engine engine;

static struct config *config_of(const char *text)
{
	struct config *config = malloc(sizeof(*config));
	struct config_errors errors = {0};

	assert_non_null(config);
	if (config_read_buffer(config, "text", ".", text, strlen(text), &errors))
		fail_msg("%s", errors.lines[0].text);
	return config;
}

static void engine_make(const struct config *config)
{
	const struct engine_options options = {
		.read_path = file, .stop_fds = {-1, -1}, .join = true};
	struct xfq_error error;

	if (engine_create(&engine, config, &options, &error))
		fail_msg("%s", error.text);
}

static void engine_go(void)
{
	struct xfq_error error;

	if (engine_attach(&engine, &error) || engine_start(&engine, &error))
		fail_msg("%s", error.text);
}

/* Another config from now on; the one there was is gone. */
static void reload(struct config **config, const char *text)
{
	struct config *next = config_of(text);
	struct xfq_error error;

	if (engine_reload(&engine, next, NULL, &error))
		fail_msg("%s", error.text);
	config_free(*config);
	*config = next;
}

static void refused(const char *text, int code, const char *why)
{
	struct config *next = config_of(text);
	struct xfq_error error;

	assert_int_equal(engine_reload(&engine, next, NULL, &error), code);
	if (!strstr(error.text, why))
		fail_msg("%s", error.text);
	config_free(next);
}

static void wait_done(void)
{
	while (!engine_is_done(&engine))
		usleep(1000);
}

static void engine_end(struct config *config)
{
	struct stats stats;
	struct xfq_error error;

	if (engine_stop(&engine, &error))
		fail_msg("%s", error.text);
	assert_int_equal(engine_stats(&engine, &stats), 0);
	assert_int_equal(stats.frames.total, stats.frames.free);
	stats_destroy(&stats);
	engine_destroy(&engine);
	config_free(config);
}

static const struct stats_group *group_of(const struct stats *stats, const char *name)
{
	for (uint32_t g = 0; g < stats->group_cnt; g++)
		if (strcmp(stats->groups[g].name, name) == 0)
			return &stats->groups[g];
	return NULL;
}

/* What a group was given has its end, with those who are there and those who left. */
static void check_group(const struct stats_group *group)
{
	uint64_t given = group->left_sum->packets + group->left_sum->lost_ring +
			 group->left_sum->lost_quota + group->left_sum->lost_detached;

	for (uint32_t m = 0; m < group->member_cnt; m++)
		given += group->members[m].packets + group->members[m].lost_ring +
			 group->members[m].lost_quota + group->members[m].lost_detached;
	assert_int_equal(given, group->offered);
	assert_int_equal(group->packets, group->offered + group->no_member);
}

/* --- before it runs --------------------------------------------------------------------------- */

#define UDP                                                                                        \
	"filter: { default: drop, rules: [{ action: drop, proto: 99 }, { action: steer, proto: "   \
	"udp }] }\n"
#define TCP                                                                                        \
	"filter: { default: drop, rules: [{ action: steer, proto: tcp }, { action: drop, proto: "  \
	"99 }] }\n"

static uint64_t group_packets(const char *name)
{
	const struct stats_group *group;
	struct stats stats;
	uint64_t packets;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	group = group_of(&stats, name);
	packets = group ? group->packets : UINT64_MAX;
	stats_destroy(&stats);
	return packets;
}

/* What it then does is what the other config says. */
static void test_before(void **state)
{
	struct config *config = config_of(UDP "groups: { one: { match: udp }, two: {} }\n");

	(void)state;
	engine_make(config);
	reload(&config, TCP "groups: { three: {}, two: { match: tcp, members: 3 } }\n");
	engine_go();
	wait_done();
	assert_int_equal(group_packets("one"), UINT64_MAX);
	assert_int_equal(group_packets("two"), PACKETS / 2);
	assert_int_equal(group_packets("three"), PACKETS / 2);
	engine_end(config);
}

static uint64_t steered(void)
{
	struct stats stats;
	uint64_t packets;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	packets = stats.xdp.verdicts[XDP_VERDICT_STEER].packets;
	stats_destroy(&stats);
	return packets;
}

/* The default `claimed` follows the groups, in the first pass or behind it: to the groups it is
 * the same. */
static void test_claimed(void **state)
{
	(void)state;
	for (int push_down = 0; push_down < 2; push_down++) {
		char before[256], after[256];
		struct config *config;

		snprintf(before, sizeof(before),
			 "filter: { default: claimed, push_down: %s }\n"
			 "groups: { web: { match: tcp and ip }, dns: { match: udp } }\n",
			 push_down ? "true" : "false");
		snprintf(after, sizeof(after),
			 "filter: { default: claimed, push_down: %s }\n"
			 "groups: { six: { match: ip6 }, dns: { match: udp port 53 and ip } }\n",
			 push_down ? "true" : "false");
		config = config_of(before);
		engine_make(config);
		reload(&config, after);
		engine_go();
		wait_done();
		assert_int_equal(group_packets("six"), PACKETS / 2);
		assert_int_equal(group_packets("dns"), PACKETS / 4);
		assert_int_equal(steered(), push_down ? PACKETS / 4 * 3 : PACKETS);
		/* a group that wants everything claims everything */
		reload(&config, "filter: { default: claimed }\ngroups: { all: {} }\n");
		engine_end(config);
	}
}

/* --- while it runs ---------------------------------------------------------------------------- */

/* A member of "stay" that takes its time, so that the file lasts. */
static void slowly(void *context, const struct packet *pkts, const uint32_t *marks,
		   const uint8_t *index, uint32_t cnt)
{
	uint64_t *taken = context;

	(void)marks;
	(void)pkts;
	(void)index;
	__atomic_add_fetch(taken, cnt, __ATOMIC_RELAXED);
	usleep(100);
}

/* What one config steers, no group of the other wants. */
static void test_running(void **state)
{
	static const char *const texts[] = {
		UDP "groups: { odd: { match: udp, members: 2, ring: 64 }, stay: { match: udp } }\n",
		TCP "groups: { stay: { match: tcp, steer: broadcast, members: 0 },\n"
		    "  even: { match: tcp, run: worker }, more: { match: tcp, members: 3, ring: 64 "
		    "} }\n",
	};
	struct config *config = config_of(texts[0]);
	uint64_t taken = 0, reloads = 0;
	struct stats stats;

	(void)state;
	engine_make(config);
	assert_int_equal(engine_add_callback(&engine, engine_find_group(&engine, "stay"), slowly,
					     &taken, NULL),
			 0);
	engine_go();
	while (!engine_is_done(&engine))
		reload(&config, texts[++reloads % 2]);
	assert_true(reloads > 4);
	assert_int_equal(engine_stats(&engine, &stats), 0);
	assert_int_equal(stats.workers[0].unclaimed, 0);
	assert_int_equal(stats.workers[0].received, stats.xdp.verdicts[XDP_VERDICT_STEER].packets);
	assert_int_equal(stats.xdp.verdicts[XDP_VERDICT_STEER].packets +
				 stats.xdp.verdicts[XDP_VERDICT_DROP].packets,
			 PACKETS);
	assert_int_equal(group_of(&stats, "stay")->packets, stats.workers[0].received);
	/* it had a built-in member besides, which was a stand-in */
	assert_int_equal(taken, stats.workers[0].received);
	for (uint32_t g = 0; g < stats.group_cnt; g++)
		if (texts[reloads % 2] == texts[0] || strcmp(stats.groups[g].name, "stay") != 0)
			check_group(&stats.groups[g]);
	stats_destroy(&stats);
	engine_end(config);
}

/* Members by the config come and go, with their files; nothing that was given to one is missing. */
static void test_members(void **state)
{
	char texts[4][256];
	uint64_t packets = 0, reloads = 0;
	const struct stats_group *group;
	struct config *config;
	struct stats stats;
	uint64_t taken = 0;

	(void)state;
	snprintf(texts[0], sizeof(texts[0]),
		 "groups: { all: { sink: pcap, dir: %s, members: 2 }, slow: {} }\n", folder);
	snprintf(texts[1], sizeof(texts[1]),
		 "groups: { all: { sink: pcap, dir: %s, members: 4 }, slow: {} }\n", folder);
	snprintf(texts[2], sizeof(texts[2]),
		 "groups: { slow: {}, all: { members: 1, ring: 128 } }\n");
	snprintf(texts[3], sizeof(texts[3]),
		 "groups: { all: { sink: pcap, dir: %s, members: 1, run: worker }, slow: {} }\n",
		 folder);
	config = config_of(texts[0]);
	engine_make(config);
	assert_int_equal(engine_add_callback(&engine, engine_find_group(&engine, "slow"), slowly,
					     &taken, NULL),
			 0);
	engine_go();
	while (!engine_is_done(&engine))
		reload(&config, texts[++reloads % 4]);
	assert_true(reloads > 4);
	/* a look before the end: then those who are there may not have read all yet */
	reload(&config, texts[1]);
	assert_int_equal(engine_stop(&engine, NULL), 0);
	assert_int_equal(engine_stats(&engine, &stats), 0);
	group = group_of(&stats, "all");
	check_group(group);
	assert_int_equal(group->packets, PACKETS);
	assert_int_equal(group->no_member, 0);
	assert_int_equal(group->member_cnt, 4);
	assert_int_equal(group->left_sum->discarded, 0);
	for (uint32_t m = 0; m < group->member_cnt; m++)
		packets += group->members[m].consumed;
	assert_int_equal(packets + group->left_sum->consumed, PACKETS);
	stats_destroy(&stats);
	engine_end(config);
}

/* --- who has joined --------------------------------------------------------------------------- */

static uint32_t told_cnt;
static char told_group[CONFIG_NAME_BYTES];

static void tell(uint32_t slot, const char *group, void *context)
{
	assert_int_equal(slot, *(uint32_t *)context);
	snprintf(told_group, sizeof(told_group), "%s", group);
	told_cnt++;
}

static uint32_t join(const char *group, int wake_fd)
{
	struct engine_join join = {.group = engine_find_group(&engine, group),
				   .weight = 1,
				   .wake_fd = wake_fd,
				   .process = "test"};
	struct xfq_error error;
	uint32_t slot;

	if (engine_join(&engine, &join, &slot, &error))
		fail_msg("%s", error.text);
	return slot;
}

static void test_joined(void **state)
{
	struct config *config = config_of("groups: { go: {}, stay: { max_members: 2 } }\n");
	struct engine_reload_events events = {.removed = tell};
	uint32_t going, staying;
	struct stats_member last;
	struct config *next;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	engine_make(config);
	going = join("go", pair[0]);
	staying = join("stay", pair[0]);
	events.context = &going;
	told_cnt = 0;
	/* fewer may join than have: who has stays */
	next = config_of("groups: { new: {}, stay: { max_members: 0, steer: broadcast } }\n");
	assert_int_equal(engine_reload(&engine, next, &events, NULL), 0);
	config_free(config);
	config = next;
	assert_int_equal(told_cnt, 1);
	assert_string_equal(told_group, "go");
	assert_int_equal(engine.members[going].kind, MEMBER_FREE);
	assert_int_equal(engine.members[staying].kind, MEMBER_JOINED);
	assert_int_equal(engine_find_group(&engine, "go"), ENGINE_NO_GROUP);
	assert_int_equal(engine.members[staying].group, engine_find_group(&engine, "stay"));
	/* the place of the one that is gone is used again, from 0 on */
	reload(&config, "groups: { go: {}, stay: { max_members: 1 }, new: {} }\n");
	assert_int_equal(engine.groups[engine_find_group(&engine, "go")].left_cnt, 0);
	last = engine_leave(&engine, staying, "left");
	assert_int_equal(last.packets, 0);
	close(pair[0]);
	close(pair[1]);
	engine_end(config);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void test_refused(void **state)
{
	static const char *const many =
		"name: n\ngroups: {\n"
		"  a: { members: 64, max_members: 64 }, b: { members: 64, max_members: 64 },\n"
		"  c: { members: 64, max_members: 64 }, d: { members: 64, max_members: 64 } }\n";
	struct config *config = config_of("name: n\ngroups: { one: { match: udp }, two: {} }\n");
	struct stats before, after;

	(void)state;
	engine_make(config);
	assert_int_equal(engine_stats(&engine, &before), 0);
	refused("name: m\ngroups: { one: {} }\n", -EOPNOTSUPP, "name: cannot change while");
	refused("name: n\nworkers: { idle: spin }\n", -EOPNOTSUPP, "workers.idle: cannot change");
	refused("name: n\nworkers: { frames: 4096 }\n", -EOPNOTSUPP, "workers.frames: cannot");
	refused("name: n\nworkers: { flow_cache: 64 }\n", -EOPNOTSUPP,
		"workers.flow_cache: cannot");
	refused("name: n\nworkers: { frame_size: 4096 }\n", -EOPNOTSUPP,
		"workers.frame_size: cannot");
	refused("name: n\nworkers: { cpus: [0] }\n", -EOPNOTSUPP, "workers.cpus: cannot");
	refused(many, -ENOSPC, "there are places for");
	/* half of it is there when a folder for the last member's file cannot be made */
	refused("name: n\ngroups: { three: { members: 2 }, one: { members: 3, run: worker },\n"
		"  four: { sink: pcap, dir: /dev/null/x } }\n",
		-ENOTDIR, "making the folder");
	assert_int_equal(engine_stats(&engine, &after), 0);
	assert_int_equal(after.group_cnt, before.group_cnt);
	for (uint32_t g = 0; g < before.group_cnt; g++) {
		assert_string_equal(after.groups[g].name, before.groups[g].name);
		assert_int_equal(after.groups[g].member_cnt, before.groups[g].member_cnt);
		for (uint32_t m = 0; m < before.groups[g].member_cnt; m++)
			assert_int_equal(after.groups[g].members[m].id,
					 before.groups[g].members[m].id);
	}
	assert_int_equal(engine_find_group(&engine, "three"), ENGINE_NO_GROUP);
	assert_int_equal(engine.policy->policy.generation, 1);
	stats_destroy(&before);
	stats_destroy(&after);
	engine_go();
	wait_done();
	refused("name: m\n", -EOPNOTSUPP, "name: cannot change while");
	assert_int_equal(group_packets("one"), PACKETS / 2);
	assert_int_equal(group_packets("two"), PACKETS);
	assert_int_equal(engine_stop(&engine, NULL), 0);
	refused("name: n\n", -ESHUTDOWN, "has ended");
	engine_end(config);
}

/* --- counters and order ----------------------------------------------------------------------- */

static uint64_t rule_packets(uint32_t rule)
{
	struct stats stats;
	uint64_t packets;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	assert_true(rule == XDP_RULES_MAX || rule < stats.filter->rule_cnt);
	packets = stats.xdp.rules[rule].packets;
	stats_destroy(&stats);
	return packets;
}

static void test_counters(void **state)
{
	struct config *config = config_of(
		"filter: { default: pass, rules: [{ action: drop, proto: tcp, dport: 80 },\n"
		"  { action: steer, proto: udp }, { action: steer, proto: udp }] }\n"
		"groups: { one: {}, two: { match: ip } }\n");
	uint64_t http, udp, rest;

	(void)state;
	engine_make(config);
	engine_go();
	wait_done();
	http = rule_packets(0);
	udp = rule_packets(1);
	rest = rule_packets(XDP_RULES_MAX);
	assert_true(http > 0 && udp > 0 && rest > 0);
	reload(&config, "filter: { default: pass, rules: [{ action: steer, proto: udp },\n"
			"  { action: drop, proto: udp, dport: 80 },\n"
			"  { action: drop, proto: tcp, dport: 80 }] }\n"
			"groups: { two: { match: tcp }, one: {} }\n");
	assert_int_equal(rule_packets(0), udp);
	assert_int_equal(rule_packets(1), 0);
	assert_int_equal(rule_packets(2), http);
	assert_int_equal(rule_packets(XDP_RULES_MAX), rest);
	assert_int_equal(group_packets("one"), udp);
	assert_int_equal(group_packets("two"), udp / 2);
	/* as often as there are generations, and more */
	for (int i = 0; i < 600; i++)
		reload(&config, i % 2 ? "groups: { two: { members: 0 }, three: { members: 0 } }\n"
				      : "groups: { four: {}, two: { members: 2 } }\n");
	assert_int_equal(group_packets("two"), udp / 2);
	engine_end(config);
}

/* 64 groups give way to 64 others. */
static void test_all_groups(void **state)
{
	char texts[2][CONFIG_GROUPS_MAX * 64];
	struct config *config;

	(void)state;
	for (int t = 0; t < 2; t++) {
		size_t used = (size_t)snprintf(texts[t], sizeof(texts[t]), "groups:\n");

		for (int g = 0; g < CONFIG_GROUPS_MAX; g++)
			used += (size_t)snprintf(texts[t] + used, sizeof(texts[t]) - used,
						 "  %c%d: { max_members: 0, run: worker }\n",
						 'a' + t, g);
	}
	config = config_of(texts[0]);
	engine_make(config);
	for (int i = 1; i < 6; i++)
		reload(&config, texts[i % 2]);
	engine_go();
	wait_done();
	assert_int_equal(group_packets("b0"), PACKETS);
	assert_int_equal(group_packets("b63"), PACKETS);
	engine_end(config);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/traffic.pcapng", folder);
	traffic_write(file, FLOWS, PACKETS);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before),   cmocka_unit_test(test_claimed),
		cmocka_unit_test(test_running),  cmocka_unit_test(test_members),
		cmocka_unit_test(test_joined),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_counters), cmocka_unit_test(test_all_groups),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
