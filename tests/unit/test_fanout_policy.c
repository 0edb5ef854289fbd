/* SPDX-License-Identifier: BSD-2-Clause */
/* A fan-out whose policy is replaced: each packet by the one of the config that judged it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

static struct packet_builder built;

/* Of the policy that comes next. */
static struct group_spec specs[2];
static struct policy_state next_state;
static struct policy_data next_data;

static void add_group(struct policy *next, uint32_t number, const char *match, uint32_t place)
{
	rig_spec(&specs[number], match, METHOD_FLOW, POLICY_DROP);
	assert_int_equal(policy_add_group(next, "g", &specs[number], NULL), 0);
	next->groups[number].place = place;
}

static void set_next(struct rig *rig, const struct policy *next)
{
	fanout_set_policy(&rig->fanout, next, &next_state);
	fanout_set_data(&rig->fanout, &next_data);
}

/* Put a packet to a port, of a generation, into the next burst. */
static void add(struct rig *rig, uint32_t dport, uint8_t generation)
{
	packet_start(&built);
	packet_ipv4(&built, 0x0a000001, 0x0a000002, 0);
	packet_udp(&built, 1000, dport);
	packet_finish(&built);
	rig_add(rig, &built);
	rig->pkts[rig->cnt - 1].meta->generation = generation;
}

static void burst(struct rig *rig)
{
	fanout_burst(&rig->fanout, rig->pkts, rig->cnt);
	rig->cnt = 0;
	rig_check(rig);
}

/* Two places: "one" wants port 1, "two" wants port 2. The policy of the rig knows the first, the
 * next one, which is made here, the second; `both` in its place knows "one" too, wanting port 3. */
static void begin(struct rig *rig, struct policy *next, bool both)
{
	rig_create(rig, 512);
	rig_group(rig, "udp dst port 1", METHOD_FLOW, 1);
	rig_group(rig, "udp dst port 2", METHOD_FLOW, 1);
	rig_connect(rig, 128, 128);
	free(rig->fanout.touched);
	rig->fanout.touched = calloc(2 * (size_t)rig->member_cnt, sizeof(*rig->fanout.touched));
	assert_non_null(rig->fanout.touched);
	rig->policy.generation = 7;
	policy_init(next, RIG_SEED);
	next->generation = 8;
	memset(specs, 0, sizeof(specs));
	add_group(next, 0, "udp dst port 2", 1);
	if (both)
		add_group(next, 1, "udp dst port 3", 0);
	assert_int_equal(policy_build(next, NULL), 0);
	assert_int_equal(policy_state_create(&next_state, next, NULL, NULL), 0);
	next_data.epoch = 2;
	/* the rig has made places for both; the policy of before is to know one */
	rig->policy.group_cnt = 1;
}

static void end(struct rig *rig, struct policy *next)
{
	rig->policy.group_cnt = 2;
	rig->fanout.policy = &rig->policy;
	rig->fanout.before = NULL;
	rig_finish(rig);
	policy_state_destroy(&next_state, next);
	group_spec_destroy(&specs[0]);
	group_spec_destroy(&specs[1]);
	policy_destroy(next);
}

static void test_by_generation(void **state)
{
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, false);
	add(&rig, 1, 7);
	burst(&rig);
	set_next(&rig, &next);
	for (int i = 0; i < 10; i++) {
		add(&rig, 1, 7);
		add(&rig, 2, 8);
		add(&rig, 2, 7); /* nobody wanted it then, */
		add(&rig, 1, 8); /* and nobody wants it now */
	}
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 11);
	assert_int_equal(rig.fanout.groups[1].packets, 10);
	assert_int_equal(rig.fanout.unclaimed, 20);
	assert_int_equal(rig.fanout.touched_cnt, 2);
	assert_int_equal(rig_drain(&rig, 0), 11);
	assert_int_equal(rig_drain(&rig, 1), 10);
	/* the generation matters no more */
	fanout_settle(&rig.fanout);
	add(&rig, 1, 7);
	add(&rig, 2, 7);
	add(&rig, 2, 8);
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 11);
	assert_int_equal(rig.fanout.groups[1].packets, 12);
	assert_int_equal(rig.fanout.unclaimed, 21);
	end(&rig, &next);
}

/* Packets that say nothing: by the old policy until the first pass is known to have changed. */
static void test_unmarked(void **state)
{
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, false);
	set_next(&rig, &next);
	add(&rig, 1, 0);
	add(&rig, 2, 8);
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 1);
	assert_int_equal(rig.fanout.groups[1].packets, 1);
	fanout_settle_unmarked(&rig.fanout);
	add(&rig, 2, 0);
	add(&rig, 1, 7);
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 2);
	assert_int_equal(rig.fanout.groups[1].packets, 2);
	assert_int_equal(rig.fanout.unclaimed, 0);
	end(&rig, &next);
}

/* A group that both have, at the same place: one member, one ring, in the order of the bursts. */
static void test_group_of_both(void **state)
{
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, true);
	set_next(&rig, &next);
	for (int i = 0; i < 16; i++) {
		add(&rig, 1, 7);
		add(&rig, 3, 8);
		add(&rig, 3, 7);
		add(&rig, 1, 8);
	}
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 32);
	assert_int_equal(rig.fanout.unclaimed, 32);
	/* once for each policy: the same member may be named twice */
	assert_int_equal(rig.fanout.touched_cnt, 2);
	assert_int_equal(rig_drain(&rig, 0), 32);
	end(&rig, &next);
}

static void test_restore(void **state)
{
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, false);
	set_next(&rig, &next);
	add(&rig, 1, 7);
	burst(&rig);
	fanout_restore_policy(&rig.fanout);
	add(&rig, 1, 7);
	add(&rig, 2, 7);
	burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 2);
	assert_int_equal(rig.fanout.groups[1].packets, 0);
	assert_int_equal(rig.fanout.unclaimed, 1);
	end(&rig, &next);
}

/* A new group at a place that another one had. */
static void test_begin_group(void **state)
{
	const struct roster *roster;
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, false);
	add(&rig, 1, 7);
	burst(&rig);
	roster = rig_roster(&rig, 0);
	fanout_begin_group(&rig.fanout, 0, roster);
	assert_int_equal(rig.fanout.groups[0].packets, 0);
	assert_int_equal(rig.fanout.groups[0].offered, 0);
	assert_ptr_equal(rig_roster(&rig, 0), roster);
	end(&rig, &next);
}

/* A quota below what is in use: nothing more until there is less, and nothing is taken away. */
static void test_lower_quota(void **state)
{
	struct policy next;
	struct rig rig;

	(void)state;
	begin(&rig, &next, false);
	for (int i = 0; i < 40; i++)
		add(&rig, 1, 7);
	burst(&rig);
	fanout_set_quota(&rig.fanout, 0, 10);
	add(&rig, 1, 7);
	fanout_burst(&rig.fanout, rig.pkts, rig.cnt);
	rig.cnt = 0;
	assert_int_equal(rig.fanout.outlets[0].packets, 40);
	assert_int_equal(rig.fanout.outlets[0].lost_quota, 1);
	assert_int_equal(fanout_room(&rig.fanout), 0);
	assert_int_equal(rig_drain(&rig, 0), 40);
	for (int i = 0; i < 12; i++)
		add(&rig, 1, 7);
	burst(&rig);
	assert_int_equal(rig.fanout.outlets[0].packets, 50);
	assert_int_equal(rig.fanout.outlets[0].lost_quota, 3);
	fanout_set_quota(&rig.fanout, 0, 128);
	add(&rig, 1, 7);
	burst(&rig);
	assert_int_equal(rig.fanout.outlets[0].packets, 51);
	end(&rig, &next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_generation), cmocka_unit_test(test_unmarked),
		cmocka_unit_test(test_group_of_both), cmocka_unit_test(test_restore),
		cmocka_unit_test(test_begin_group),   cmocka_unit_test(test_lower_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
