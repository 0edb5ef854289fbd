/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does not spill, and what is remembered apart: packets that several members get anyway, and
 * those that are for a class; whose turn it is in each class; and a reload that came to nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

#define MEMBERS 4

static struct packet_builder built;

static void add(struct rig *rig, uint32_t dport, bool to_all)
{
	packet_start(&built);
	if (to_all)
		memset(built.bytes, 0xff, 6);
	packet_ipv4(&built, 0x0a000001, 0x0a000002, 0);
	packet_udp(&built, 1000, dport);
	packet_finish(&built);
	rig_add(rig, &built);
}

/* A group of MEMBERS members of 64 slots, of which the first may use `quota`; member m is in the
 * class m % 2 of two where the spec has classes. */
static void begin(struct rig *rig, struct roster *classes, uint32_t quota)
{
	rig->places[0] = MEMBERS;
	rig->member_cnt = MEMBERS;
	RIG_REQUIRE(policy_add_group(&rig->policy, "g", &rig->specs[0], NULL) == 0);
	rig_connect(rig, 0, 0);
	memset(classes, 0, 2 * sizeof(*classes));
	for (uint32_t m = 0; m < MEMBERS; m++) {
		struct roster *class = &classes[m % 2];

		rig_join(rig, 0, m, 64, m == 0 ? quota : 64, 1);
		roster_join(class, class, (uint16_t)m, 1);
		class->place[class->cnt - 1] = (uint8_t)m;
	}
	fanout_set_classes(&rig->fanout, 0, classes);
}

/* No member has a frame twice. */
static void check_once(struct rig *rig)
{
	for (uint32_t m = 0; m < MEMBERS; m++) {
		struct xfq_ring *view = &rig->members[m].view;
		uint32_t cnt = xfq_ring_peek(view, UINT32_MAX);

		for (uint32_t i = 0; i < cnt; i++)
			for (uint32_t j = 0; j < i; j++)
				assert_int_not_equal(xfq_ring_desc(view, i)->addr,
						     xfq_ring_desc(view, j)->addr);
	}
}

static void test_several_do_not_spill(void **state)
{
	static struct roster classes[2];
	static struct rig rig;
	uint64_t lost = 0;

	(void)state;
	rig_create(&rig, 512);
	rig_spec(&rig.specs[0], NULL, METHOD_LINK, POLICY_SPILL);
	begin(&rig, classes, 8);
	for (uint32_t i = 0; i < 16; i++)
		add(&rig, 53, true);
	fanout_burst(&rig.fanout, rig.pkts, rig.cnt);
	rig.cnt = 0;
	check_once(&rig);
	assert_int_equal(rig.fanout.outlets[0].packets, 8);
	assert_int_equal(rig.fanout.outlets[0].lost_quota, 8);
	assert_int_equal(rig.fanout.outlets[0].spilled, 0);
	/* beside them, in one burst, those of one target do: the first member is full */
	for (uint32_t i = 0; i < 8; i++) {
		add(&rig, 53, true);
		add(&rig, 53, false);
	}
	fanout_burst(&rig.fanout, rig.pkts, rig.cnt);
	rig.cnt = 0;
	check_once(&rig);
	for (uint32_t m = 0; m < MEMBERS; m++)
		lost += rig_lost(&rig, m);
	assert_int_equal(lost, 16);
	rig_finish(&rig);
}

static void test_class_does_not_spill(void **state)
{
	static struct roster classes[2];
	static struct rig rig;
	struct group_case *one;

	(void)state;
	rig_create(&rig, 512);
	rig_spec(&rig.specs[0], NULL, METHOD_TO, POLICY_SPILL);
	rig.specs[0].class_cnt = 2;
	strcpy(rig.specs[0].classes[0], "even");
	strcpy(rig.specs[0].classes[1], "odd");
	one = group_spec_add_case(&rig.specs[0]);
	one->class = 0;
	begin(&rig, classes, 8);
	for (uint32_t i = 0; i < 16; i++)
		add(&rig, 53, false);
	fanout_burst(&rig.fanout, rig.pkts, rig.cnt);
	rig.cnt = 0;
	assert_int_equal(rig.fanout.outlets[0].packets, 8);
	assert_int_equal(rig.fanout.outlets[0].lost_quota, 8);
	for (uint32_t m = 1; m < MEMBERS; m++)
		assert_int_equal(rig.fanout.outlets[m].packets, 0);
	rig_finish(&rig);
}

/* Rules of a table for both classes by turns: each class has turns of its own. */
static void test_turns_of_classes(void **state)
{
	static struct roster classes[2];
	static struct rig rig;
	struct table_rule rule = {.proto = 17,
				  .proto_mask = 0xff,
				  .sport_hi = TABLE_NO_PORT,
				  .dport_lo = 1,
				  .dport_hi = 1,
				  .priority = 1,
				  .outcome = TABLE_CLASS};
	struct table *table = table_create();

	(void)state;
	assert_non_null(table);
	assert_int_equal(table_add(table, &rule), 0);
	rule.dport_lo = rule.dport_hi = 2;
	rule.priority = 2;
	rule.outcome = TABLE_CLASS + 1;
	assert_int_equal(table_add(table, &rule), 0);
	rig_create(&rig, 512);
	rig_spec(&rig.specs[0], NULL, METHOD_ROUND_ROBIN, POLICY_DROP);
	rig.specs[0].table = strdup("rules");
	rig.specs[0].class_cnt = 2;
	strcpy(rig.specs[0].classes[0], "even");
	strcpy(rig.specs[0].classes[1], "odd");
	begin(&rig, classes, 64);
	rig.data.tables[0] = table;
	/* the odd one has a member alone */
	assert_true(roster_leave(&classes[1], &classes[1], 3));
	for (uint32_t i = 0; i < 40; i++) {
		add(&rig, 1 + i % 2, false);
		fanout_burst(&rig.fanout, rig.pkts, rig.cnt);
		rig.cnt = 0;
	}
	assert_int_equal(rig.fanout.outlets[0].packets, 10);
	assert_int_equal(rig.fanout.outlets[2].packets, 10);
	assert_int_equal(rig.fanout.outlets[1].packets, 20);
	assert_int_equal(rig.fanout.outlets[3].packets, 0);
	rig_finish(&rig);
	table_destroy(table);
}

/* A reload gave groups other rosters and then failed: the workers have those of before. */
static void test_rosters_are_restored(void **state)
{
	static struct roster classes[2], others[2];
	static struct rig rig;
	const struct roster *before;
	struct roster *other;

	(void)state;
	rig_create(&rig, 512);
	rig_spec(&rig.specs[0], NULL, METHOD_FLOW, POLICY_DROP);
	begin(&rig, classes, 64);
	before = rig_roster(&rig, 0);
	other = rig_new_roster(&rig, 0);
	fanout_set_policy(&rig.fanout, &rig.policy, &rig.state);
	fanout_set_roster(&rig.fanout, 0, other);
	fanout_set_classes(&rig.fanout, 0, others);
	fanout_restore_policy(&rig.fanout);
	assert_ptr_equal(rig_roster(&rig, 0), before);
	assert_ptr_equal(rig.fanout.groups[0].classes, classes);
	free(other);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_do_not_spill),
		cmocka_unit_test(test_class_does_not_spill),
		cmocka_unit_test(test_turns_of_classes),
		cmocka_unit_test(test_rosters_are_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
