/* SPDX-License-Identifier: BSD-2-Clause */
/* Quotas: whatever the rings' sizes are, stalled members together never hold more than their share.
 */
#include "workers/engine_parts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RINGS_MAX 4096

/* The sum of all shares of `cnt` rings; checks each. */
static uint64_t sum(const uint32_t *slots, uint32_t cnt, uint64_t frames)
{
	uint64_t total = 0, shares = 0;

	for (uint32_t i = 0; i < cnt; i++)
		total += slots[i];
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t share = engine_share(slots[i], total, cnt, frames);

		assert_in_range(share, 1, slots[i]);
		shares += share;
	}
	return shares;
}

static void test_enough(void **state)
{
	const uint32_t slots[] = {64, 1024, 65536};

	(void)state;
	/* with enough frames a share is the whole ring */
	assert_int_equal(sum(slots, 3, 64 + 1024 + 65536), 64 + 1024 + 65536);
	assert_int_equal(engine_share(1024, 66624, 3, 66624), 1024);
}

static void test_mixed(void **state)
{
	uint32_t slots[RINGS_MAX];

	(void)state;
	for (uint32_t i = 0; i < RINGS_MAX; i++)
		slots[i] = i < 512 ? 65536 : 64;
	assert_true(sum(slots, RINGS_MAX, 128896) <= 128896);
	assert_true(sum(slots, RINGS_MAX, RINGS_MAX) == RINGS_MAX);
}

static void test_random(void **state)
{
	uint32_t slots[64];

	(void)state;
	srandom(1);
	for (int round = 0; round < 10000; round++) {
		uint32_t cnt = 1 + (uint32_t)random() % 64;
		uint64_t frames = 2 * cnt + (uint64_t)random() % 100000;
		uint64_t total = 0, shares;

		for (uint32_t i = 0; i < cnt; i++) {
			slots[i] = 64U << random() % 11;
			total += slots[i];
		}
		shares = sum(slots, cnt, frames);
		assert_true(shares <= frames || shares == total);
		/* little is left unused: less than one frame a ring, by rounding */
		assert_true(total <= frames || shares + cnt > frames);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enough),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
