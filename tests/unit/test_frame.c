/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame table: who owns a frame, and that the census adds up after every step. */
#include "steering/frame.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define FRAMES 100

struct fixture {
	struct frame_table table;
	uint32_t free[FRAMES];
	uint16_t refs[FRAMES];
};

static void create(struct fixture *f)
{
	frame_init(&f->table, f->free, f->refs, FRAMES);
}

static void check(const struct fixture *f, uint32_t free, uint32_t worker, uint32_t kernel,
		  uint32_t held)
{
	assert_true(frame_census_holds(&f->table));
	assert_int_equal(f->table.free_cnt, free);
	assert_int_equal(f->table.worker_cnt, worker);
	assert_int_equal(f->table.kernel_cnt, kernel);
	assert_int_equal(f->table.held_cnt, held);
	assert_int_equal(f->table.tx_cnt, 0);
}

static void test_take_all(void **state)
{
	struct fixture f;
	bool taken[FRAMES] = {false};

	(void)state;
	create(&f);
	check(&f, FRAMES, 0, 0, 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t frame = frame_take(&f.table);

		assert_in_range(frame, 0, FRAMES - 1);
		assert_false(taken[frame]);
		taken[frame] = true;
		check(&f, FRAMES - 1 - i, i + 1, 0, 0);
	}
	assert_int_equal(frame_take(&f.table), FRAME_NONE);
	check(&f, 0, FRAMES, 0, 0);
	for (uint32_t i = 0; i < FRAMES; i++)
		frame_give(&f.table, i);
	check(&f, FRAMES, 0, 0, 0);
}

/* The frame given last is taken first. */
static void test_stack(void **state)
{
	struct fixture f;
	uint32_t first, second;

	(void)state;
	create(&f);
	first = frame_take(&f.table);
	second = frame_take(&f.table);
	assert_int_not_equal(first, second);
	frame_give(&f.table, second);
	frame_give(&f.table, first);
	assert_int_equal(frame_take(&f.table), first);
	assert_int_equal(frame_take(&f.table), second);
}

static void test_kernel(void **state)
{
	struct fixture f;

	(void)state;
	create(&f);
	for (int i = 0; i < 30; i++)
		frame_take(&f.table);
	frame_to_kernel(&f.table, 30);
	check(&f, FRAMES - 30, 0, 30, 0);
	frame_from_kernel(&f.table, 10);
	check(&f, FRAMES - 30, 10, 20, 0);
}

static void test_settle(void **state)
{
	struct fixture f;
	uint32_t frame;

	(void)state;
	create(&f);
	frame = frame_take(&f.table);
	frame_settle(&f.table, frame); /* no ring has it */
	check(&f, FRAMES, 0, 0, 0);
	frame = frame_take(&f.table);
	frame_hold(&f.table, frame);
	frame_hold(&f.table, frame);
	check(&f, FRAMES - 1, 1, 0, 0);
	frame_settle(&f.table, frame);
	check(&f, FRAMES - 1, 0, 0, 1);
	frame_drop(&f.table, &frame, 1);
	check(&f, FRAMES - 1, 0, 0, 1);
	frame_drop(&f.table, &frame, 1);
	check(&f, FRAMES, 0, 0, 0);
}

/* The most that one frame can be in: every member of every group. */
static void test_references(void **state)
{
	struct fixture f;
	uint32_t frame;

	(void)state;
	create(&f);
	frame = frame_take(&f.table);
	for (int i = 0; i < 64 * 64; i++)
		frame_hold(&f.table, frame);
	frame_settle(&f.table, frame);
	for (int i = 1; i < 64 * 64; i++) {
		frame_drop(&f.table, &frame, 1);
		check(&f, FRAMES - 1, 0, 0, 1);
	}
	frame_drop(&f.table, &frame, 1);
	check(&f, FRAMES, 0, 0, 0);
}

/* A census that is off by one, in whichever place, does not hold. */
static void test_census(void **state)
{
	struct fixture f;
	uint32_t *const counts[] = {&f.table.free_cnt, &f.table.worker_cnt, &f.table.kernel_cnt,
				    &f.table.held_cnt, &f.table.tx_cnt};

	(void)state;
	create(&f);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		++*counts[i];
		assert_false(frame_census_holds(&f.table));
		--*counts[i];
		assert_true(frame_census_holds(&f.table));
	}
	/* nor does one that adds up to the total but for 2^32 */
	f.table.tx_cnt = UINT32_MAX;
	f.table.held_cnt = 1;
	assert_false(frame_census_holds(&f.table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_all),   cmocka_unit_test(test_stack),
		cmocka_unit_test(test_kernel),     cmocka_unit_test(test_settle),
		cmocka_unit_test(test_references), cmocka_unit_test(test_census),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
