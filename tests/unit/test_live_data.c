/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets, tables, cases and classes of an engine that reads a capture file, changed while its worker
 * runs; and what of them a reload carries over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apps/instance/config_yaml.h"
#include "tests/traffic.h"
#include "workers/engine.h"
#include "workers/engine_sets.h"
#include "workers/engine_tables.h"
#include <string.h>
#include <unistd.h>

#define FLOWS   64
#define PACKETS 20000

/* A table of a rule that never matches: what comes to it is for the cases. */
#define NOTHING "1,192.0.2.1/32,any,any,any,any,,drop\n"

static char folder[] = "/tmp/xfq-live-XXXXXX", file[64], rules[64];
static struct engine engine;

static void write_rules(const char *text)
{
	FILE *out = fopen(rules, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static struct config *config_of(const char *text)
{
	struct config *config = malloc(sizeof(*config));
	struct config_errors errors = {0};

	assert_non_null(config);
	if (config_read_buffer(config, "text", folder, text, strlen(text), &errors))
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

static void reload(struct config **config, const char *text)
{
	struct config *next = config_of(text);
	struct xfq_error error;

	if (engine_reload(&engine, next, NULL, &error))
		fail_msg("%s", error.text);
	config_free(*config);
	*config = next;
}

static void engine_end(struct config *config)
{
	assert_int_equal(engine_stop(&engine, NULL), 0);
	engine_destroy(&engine);
	config_free(config);
}

static void wait_done(void)
{
	while (!engine_is_done(&engine))
		usleep(1000);
}

static uint32_t place_of(const char *group)
{
	uint32_t place = engine_find_group(&engine, group);

	assert_int_not_equal(place, ENGINE_NO_GROUP);
	return place;
}

static struct table_rule drop_rule(uint32_t priority, uint8_t proto)
{
	return (struct table_rule){.proto = proto,
				   .proto_mask = proto ? 0xff : 0,
				   .sport_hi = TABLE_NO_PORT,
				   .dport_hi = TABLE_NO_PORT,
				   .priority = priority,
				   .outcome = TABLE_DROP};
}

static void add_rule(const char *group, uint32_t priority, uint8_t proto)
{
	const struct table_rule rule = drop_rule(priority, proto);
	struct xfq_error error;

	if (engine_add_rule(&engine, place_of(group), &rule, &error))
		fail_msg("%s", error.text);
}

static struct set_member member_of(enum set_type type, const char *text)
{
	struct set_member member;
	struct xfq_error error;

	if (set_parse_member(type, &member, text, &error))
		fail_msg("%s", error.text);
	return member;
}

static void change_set(const char *name, const char *text, bool del)
{
	uint32_t place = engine_find_set(&engine, name);
	struct set_member member;
	struct xfq_error error;
	int code;

	assert_int_not_equal(place, ENGINE_NO_SET);
	member = member_of(engine.config->sets[place]->type, text);
	code = del ? engine_del_members(&engine, place, &member, 1, &error)
		   : engine_add_members(&engine, place, &member, 1, &error);
	if (code < 0)
		fail_msg("%s", error.text);
	assert_int_equal(code, 1);
}

static struct stats_group stats_of(const char *name)
{
	struct stats_group group = {.name = NULL};
	struct stats stats;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	for (uint32_t g = 0; g < stats.group_cnt; g++)
		if (strcmp(stats.groups[g].name, name) == 0)
			group = stats.groups[g];
	stats_destroy(&stats);
	group.members = NULL;
	assert_non_null(group.name);
	return group;
}

static uint64_t counted(const struct stats_group *group, const char *name)
{
	for (uint32_t i = 0; i < group->counter_cnt; i++)
		if (strcmp(group->counters[i].name, name) == 0)
			return group->counters[i].packets;
	return UINT64_MAX;
}

/* --- before it runs --------------------------------------------------------------------------- */

#define SETS                                                                                       \
	"filter: { sets: { near: { type: net, entries: [10.0.0.0/29] },\n"                         \
	"  names: { type: port, entries: [53] } } }\n"

/* What is changed before the start holds for every packet, cached or not. */
static void test_changes_hold(void **state)
{
	(void)state;
	for (int cache = 0; cache < 2; cache++) {
		char text[1024];
		struct config *config;
		struct stats_group group;

		write_rules(NOTHING);
		snprintf(text, sizeof(text),
			 SETS "workers: { flow_cache: %d }\n"
			      "groups:\n"
			      "  near: { in: { set: near, field: either } }\n"
			      "  names: { in: { set: names, field: either, not: true } }\n"
			      "  ruled: { table: %s }\n",
			 cache ? 1024 : 0, rules);
		config = config_of(text);
		engine_make(config);
		change_set("near", "10.0.0.0/29", true);
		change_set("near", "10.0.0.0/32", false);
		change_set("names", "53", true);
		change_set("names", "80", false);
		add_rule("ruled", 10, 6);
		engine_go();
		wait_done();
		group = stats_of("near");
		/* eight flows of that host, of which half are IPv4 */
		assert_int_equal(group.packets, PACKETS / FLOWS * 4 + 2 + 2);
		group = stats_of("names");
		assert_int_equal(group.packets, PACKETS / 2);
		group = stats_of("ruled");
		assert_int_equal(group.packets, PACKETS);
		assert_int_equal(group.dropped, PACKETS / 2);
		assert_int_equal(group.offered, PACKETS / 2);
		assert_int_equal(group.rule_cnt, 2);
		engine_end(config);
	}
}

/* A rule or member that is refused changes nothing, and both sides go on as equals. */
static void test_refused(void **state)
{
	const struct table_rule taken = drop_rule(1, 0);
	struct table_rule twice[2] = {drop_rule(7, 6), drop_rule(7, 17)};
	struct config *config;
	struct xfq_error error;
	char text[512];
	uint32_t at;

	(void)state;
	write_rules(NOTHING);
	snprintf(text, sizeof(text), SETS "groups: { ruled: { table: %s }, other: {} }\n", rules);
	config = config_of(text);
	engine_make(config);
	assert_int_equal(engine_add_rule(&engine, place_of("ruled"), &taken, &error), -EEXIST);
	assert_non_null(strstr(error.text, "priority 1"));
	assert_int_equal(engine_add_rule(&engine, place_of("other"), &taken, &error), -ENOENT);
	assert_int_equal(engine_del_rule(&engine, place_of("ruled"), 2, &error), 0);
	assert_int_equal(engine_load_rules(&engine, place_of("ruled"), twice, 2, &at, &error),
			 -EEXIST);
	assert_int_equal(table_cnt(engine_find_table(&engine, place_of("ruled"))), 1);
	for (uint32_t i = 0; i < 4; i++) {
		add_rule("ruled", 100 + i, 6);
		assert_int_equal(table_cnt(engine_find_table(&engine, place_of("ruled"))), i + 2);
	}
	assert_int_equal(engine_load_rules(&engine, place_of("ruled"), twice, 1, &at, &error), 0);
	for (uint32_t i = 0; i < 4; i++) {
		add_rule("ruled", 100 + i, 6);
		assert_int_equal(table_cnt(engine_find_table(&engine, place_of("ruled"))), i + 2);
	}
	assert_int_equal(engine_del_rule(&engine, place_of("ruled"), 7, &error), 1);
	engine_go();
	wait_done();
	assert_int_equal(stats_of("ruled").dropped, PACKETS / 2);
	engine_end(config);
}

/* --- while it runs ---------------------------------------------------------------------------- */

/* Two rules that are always there together: half a change would be seen as a packet that one of
 * them lets through. */
struct world {
	struct tally tally;
	struct taker taker;
	uint64_t packets;
};

static void slowly(void *context, const struct packet *pkts, const uint32_t *marks,
		   const uint8_t *index, uint32_t cnt)
{
	struct world *world = context;

	for (uint32_t i = 0; i < cnt; i++) {
		const struct packet *pkt = &pkts[index[i]];
		bool tcp = pkt->meta->l4_proto == 6;

		tally_take(&world->tally, &world->taker, pkt->data, pkt->len);
		TRAFFIC_REQUIRE(marks[index[i]] == (tcp ? 6u : 17u));
	}
	world->packets += cnt;
	usleep(100);
}

static void world_create(struct world *world)
{
	memset(world, 0, sizeof(*world));
	tally_create(&world->tally, FLOWS, PACKETS, false);
	taker_create(&world->taker, &world->tally, 0);
}

static void world_destroy(struct world *world)
{
	taker_destroy(&world->taker);
	tally_destroy(&world->tally);
}

/* Tables are loaded, rules and members come and go; either all TCP or all UDP is let through at any
 * moment: every packet has one of two fates, and is counted once. */
static void test_under_load(void **state)
{
	struct table_rule both[2][1] = {{drop_rule(50, 6)}, {drop_rule(50, 17)}};
	struct config *config;
	struct stats_group group;
	struct world world;
	uint64_t changes = 0;
	char text[1024];
	uint32_t at;

	(void)state;
	write_rules("50,any,any,any,any,tcp,,drop\n");
	snprintf(text, sizeof(text),
		 SETS "groups:\n"
		      "  ruled: { table: %s, members: 0, cases: [\n"
		      "    { match: tcp, mark: 6, count: tcp, action: pass },\n"
		      "    { match: udp, mark: 17, count: udp, action: pass },\n"
		      "    { in: { set: near, field: either }, count: near, action: pass } ] }\n"
		      "  near: { in: { set: near, field: either } }\n"
		      "  far: { in: { set: near, field: either, not: true } }\n",
		 rules);
	config = config_of(text);
	engine_make(config);
	world_create(&world);
	assert_int_equal(engine_add_callback(&engine, place_of("ruled"), slowly, &world, NULL), 0);
	engine_go();
	while (!engine_is_done(&engine)) {
		assert_int_equal(engine_load_rules(&engine, place_of("ruled"), both[++changes % 2],
						   1, &at, NULL),
				 0);
		add_rule("ruled", 60, 132);
		assert_int_equal(engine_del_rule(&engine, place_of("ruled"), 60, NULL), 1);
		change_set("near", "10.0.0.0/8", false);
		change_set("near", "10.0.0.0/8", true);
	}
	assert_true(changes > 2);
	group = stats_of("ruled");
	assert_int_equal(group.packets, PACKETS);
	assert_int_equal(group.packets, group.offered + group.no_member + group.dropped);
	assert_int_equal(counted(&group, "tcp") + counted(&group, "udp"), group.offered);
	assert_int_equal(world.packets, group.offered);
	assert_int_equal(tally_sum(&world.tally, 1), world.packets);
	/* each packet is in the set or is not */
	assert_int_equal(stats_of("near").packets + stats_of("far").packets, PACKETS);
	world_destroy(&world);
	engine_end(config);
}

/* Reloads between the changes: counters go on, tables and sets of which the config says the same do
 * too, and no packet is lost. */
static void test_reloads_under_load(void **state)
{
	char texts[2][1024];
	struct config *config;
	struct stats_group group;
	struct world world;
	uint64_t reloads = 0;

	(void)state;
	write_rules(NOTHING);
	for (int i = 0; i < 2; i++)
		snprintf(texts[i], sizeof(texts[i]),
			 SETS "groups:\n%s"
			      "  ruled: { table: %s, members: 0, cases: [\n"
			      "    { match: tcp, mark: 6, count: tcp, action: pass }%s,\n"
			      "    { match: udp, mark: 17, count: udp, action: pass } ] }\n"
			      "  near: { in: { set: near, field: either } }\n"
			      "  classed: { classes: %s, cases: [\n"
			      "    { match: tcp, class: a }, { match: udp, class: b } ] }\n",
			 i ? "  another: { match: udp, inner: true, steer: sticky }\n" : "", rules,
			 i ? ", { in: { set: names, field: dst }, count: names, action: pass }"
			   : "",
			 i ? "{ b: { members: 2 }, a: { members: 1 } }"
			   : "{ a: { members: 1 }, b: { members: 1 }, c: { members: 1 } }");
	config = config_of(texts[0]);
	engine_make(config);
	world_create(&world);
	assert_int_equal(engine_add_callback(&engine, place_of("ruled"), slowly, &world, NULL), 0);
	change_set("near", "10.0.0.0/29", true);
	engine_go();
	while (!engine_is_done(&engine)) {
		add_rule("ruled", (uint32_t)(100 + reloads), 132);
		reload(&config, texts[++reloads % 2]);
		assert_int_equal(table_cnt(engine_find_table(&engine, place_of("ruled"))),
				 reloads + 1);
	}
	assert_true(reloads > 2);
	/* what the file says anew counts, and what was changed is gone */
	write_rules("3,any,any,any,any,tcp,,drop\n");
	reload(&config, texts[reloads % 2]);
	assert_int_equal(table_cnt(engine_find_table(&engine, place_of("ruled"))), 1);
	assert_int_equal(stats_of("near").packets, 0);
	group = stats_of("classed");
	assert_int_equal(group.packets, PACKETS);
	assert_int_equal(group.offered, PACKETS);
	assert_int_equal(group.no_member + group.dropped, 0);
	group = stats_of("ruled");
	assert_int_equal(group.packets, PACKETS);
	assert_int_equal(group.offered, PACKETS);
	assert_int_equal(world.packets, PACKETS);
	assert_int_equal(tally_sum(&world.tally, 1), PACKETS);
	assert_int_equal(counted(&group, "tcp"), PACKETS / 2);
	assert_int_equal(counted(&group, "udp"), PACKETS / 2);
	world_destroy(&world);
	engine_end(config);
}

/* --- classes ---------------------------------------------------------------------------------- */

static uint64_t packets_of_class(const char *name, uint32_t classes)
{
	uint64_t packets = 0;
	struct stats stats;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	for (uint32_t g = 0; g < stats.group_cnt; g++)
		for (uint32_t m = 0;
		     m < stats.groups[g].member_cnt && strcmp(stats.groups[g].name, name) == 0; m++)
			if (stats.groups[g].members[m].classes == classes)
				packets += stats.groups[g].members[m].consumed;
	stats_destroy(&stats);
	return packets;
}

/* Members of a class have what is for it, and their share of what is for all; those of none have
 * only that. A reload that names the classes otherwise leaves them with the same members. */
static void test_classes(void **state)
{
	static const char *const texts[] = {
		"groups: { g: { run: worker, classes: { a: { members: 2 }, b: { members: 1 } },\n"
		"  members: 1, cases: [ { match: tcp and ip, class: a }, { match: tcp and ip6,\n"
		"  class: b } ] } }\n",
		"groups: { g: { run: worker, classes: { b: { members: 1 }, a: { members: 2 } },\n"
		"  members: 1, cases: [ { match: tcp and ip, class: a }, { match: tcp and ip6,\n"
		"  class: b } ] } }\n"};

	(void)state;
	for (int reloaded = 0; reloaded < 2; reloaded++) {
		struct config *config = config_of(texts[0]);
		struct stats_group group;
		uint64_t a, b, none;

		engine_make(config);
		if (reloaded)
			reload(&config, texts[1]);
		engine_go();
		wait_done();
		a = packets_of_class("g", reloaded ? 2 : 1);
		b = packets_of_class("g", reloaded ? 1 : 2);
		none = packets_of_class("g", 0);
		group = stats_of("g");
		assert_int_equal(group.member_cnt, 4);
		assert_int_equal(group.left_cnt, 0);
		assert_int_equal(a + b + none, PACKETS);
		assert_true(a > PACKETS / 4 && b > PACKETS / 4);
		/* nothing that is for a class */
		assert_true(none > 0 && none < PACKETS / 2);
		engine_end(config);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/traffic.pcapng", folder);
	snprintf(rules, sizeof(rules), "%s/rules.csv", folder);
	traffic_write(file, FLOWS, PACKETS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(file);
	unlink(rules);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_hold), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_under_load),   cmocka_unit_test(test_reloads_under_load),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
