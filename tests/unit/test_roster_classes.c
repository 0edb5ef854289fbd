/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rosters of a group with classes: each is as if it were alone, so that whoever joins or leaves
 * moves no more than its own share in any of them.
 */
#include "steering/roster.h"
#include "tests/scale.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 1000 /* outlets that members are placed at */

#define CLASSES 5

/* The rosters as they ought to be: one for all and one for each class, each by itself. */
struct class_model {
	struct roster rosters[1 + CLASSES];
	uint32_t masks[SLOTS]; /* by slot */
};

/* A roster is as one of its own that saw the same come and go, and every place leads to the member
 * of the same outlet on the roster of all. */
static void check_class(const struct rosters *rosters, const struct roster *roster,
			const struct roster *expected)
{
	assert_int_equal(roster->cnt, expected->cnt);
	assert_memory_equal(roster->slots, expected->slots, roster->cnt * sizeof(roster->slots[0]));
	assert_memory_equal(roster->weights, expected->weights,
			    roster->cnt * sizeof(roster->weights[0]));
	if (roster->cnt > 0)
		assert_memory_equal(roster->buckets, expected->buckets, sizeof(roster->buckets));
	assert_int_equal(roster->weighted, expected->weighted);
	if (roster->weighted)
		assert_memory_equal(roster->turns, expected->turns, sizeof(roster->turns));
	for (uint32_t i = 0; i < roster->cnt; i++) {
		assert_true(roster->place[i] < rosters->all.cnt);
		assert_int_equal(rosters->all.slots[roster->place[i]], roster->slots[i]);
		assert_true(i == 0 || roster->place[i - 1] < roster->place[i]);
	}
}

static void check_classes(const struct rosters *rosters, const struct class_model *model)
{
	assert_int_equal(rosters->class_cnt, CLASSES);
	check_class(rosters, &rosters->all, &model->rosters[0]);
	for (uint32_t c = 0; c < CLASSES; c++)
		check_class(rosters, &rosters->of_class[c], &model->rosters[1 + c]);
	for (uint32_t i = 0; i < rosters->all.cnt; i++) {
		assert_int_equal(rosters->all.place[i], i);
		assert_int_equal(rosters->masks[i], model->masks[rosters->all.slots[i]]);
	}
}

/* Between two rosters only buckets from or to `slot` have moved, all that it had or now has. */
static void check_moves(const struct roster *before, const struct roster *after, uint32_t slot)
{
	for (uint32_t b = 0; before->cnt && after->cnt && b < ROSTER_BUCKETS; b++) {
		uint32_t from = before->slots[roster_by_hash(before, b)];
		uint32_t to = after->slots[roster_by_hash(after, b)];

		if (before->cnt < after->cnt)
			assert_true(from == to || to == slot);
		else
			assert_int_equal(from != to, from == slot);
	}
}

/* In every class only the buckets of who came or went have moved. */
static void check_class_moves(const struct rosters *before, const struct rosters *after,
			      uint32_t slot)
{
	check_moves(&before->all, &after->all, slot);
	for (uint32_t c = 0; c < CLASSES; c++) {
		const struct roster *from = &before->of_class[c], *to = &after->of_class[c];

		if (from->cnt != to->cnt)
			check_moves(from, to, slot);
		else if (from->cnt > 0)
			assert_memory_equal(from->buckets, to->buckets, sizeof(from->buckets));
	}
}

static void model_join(struct class_model *model, uint32_t slot, uint32_t weight, uint32_t mask)
{
	model->masks[slot] = mask;
	for (uint32_t i = 0; i <= CLASSES; i++)
		if (i == 0 || mask >> (i - 1) & 1)
			assert_true(roster_join(&model->rosters[i], &model->rosters[i],
						(uint16_t)slot, (uint16_t)weight));
}

static void model_leave(struct class_model *model, uint32_t slot)
{
	for (uint32_t i = 0; i <= CLASSES; i++)
		roster_leave(&model->rosters[i], &model->rosters[i], (uint16_t)slot);
}

/* Members of random classes come and go, mostly in another copy and sometimes in place. */
static void test_classes(void **state)
{
	struct class_model *model = calloc(1, sizeof(*model));
	struct rosters *now = calloc(1, rosters_bytes(CLASSES));
	struct rosters *next = malloc(rosters_bytes(CLASSES));

	(void)state;
	assert_true(model && now && next);
	now->class_cnt = CLASSES;
	for (uint32_t i = 0; i < test_scale(3000); i++) {
		uint32_t full = i / 500 % 2 ? ROSTER_MEMBERS_MAX : 6, slot = i % SLOTS;
		bool joins = now->all.cnt == 0 || (now->all.cnt < full && random() % 3);

		memset(next, 0x5a, rosters_bytes(CLASSES));
		if (joins) {
			uint32_t weight = 1 + (uint32_t)random() % (i % 2000 < 1000 ? 1 : 9);
			uint32_t mask = (uint32_t)random() % (4u << CLASSES);

			assert_true(
				rosters_join(next, now, (uint16_t)slot, (uint16_t)weight, mask));
			model_join(model, slot, weight, mask);
		} else {
			slot = now->all.slots[(uint32_t)random() % now->all.cnt];
			assert_true(rosters_leave(next, now, (uint16_t)slot));
			model_leave(model, slot);
		}
		check_classes(next, model);
		check_class_moves(now, next, slot);
		if (i % 5 == 0 && joins)
			assert_true(rosters_join(now, now, (uint16_t)slot,
						 next->all.weights[next->all.cnt - 1],
						 model->masks[slot]));
		else if (i % 5 == 0)
			assert_true(rosters_leave(now, now, (uint16_t)slot));
		else
			memcpy(now, next, rosters_bytes(CLASSES));
		check_classes(now, model);
	}
	free(model);
	free(now);
	free(next);
}

/* A group without classes has the roster of all; and what is refused leaves everything as it was.
 */
static void test_classes_refused(void **state)
{
	struct rosters *now = calloc(1, rosters_bytes(1));
	struct rosters *before = malloc(rosters_bytes(1));

	(void)state;
	assert_true(now && before);
	assert_int_equal(rosters_bytes(0), sizeof(struct rosters));
	for (uint32_t i = 0; i < ROSTER_MEMBERS_MAX; i++)
		assert_true(rosters_join(now, now, (uint16_t)i, 1, UINT32_MAX));
	assert_int_equal(now->all.cnt, ROSTER_MEMBERS_MAX);
	now->class_cnt = 1;
	memcpy(before, now, rosters_bytes(1));
	assert_false(rosters_join(now, now, 99, 1, 1));
	assert_false(rosters_leave(now, now, 99));
	assert_memory_equal(before, now, rosters_bytes(1));
	/* who was in no class leaves from none */
	assert_true(rosters_leave(now, now, 5));
	assert_int_equal(now->of_class[0].cnt, 0);
	free(now);
	free(before);
}

static int seed(void **state)
{
	(void)state;
	srandom(1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_classes_refused),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
