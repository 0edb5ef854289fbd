/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests that go on at length do less where the machine is slow: $XFQ_TEST_SCALE is how much, in
 * percent. The layer vm sets it, whose processor is a program.
 */
#ifndef TESTS_SCALE_H
#define TESTS_SCALE_H

#include <stddef.h>
#include <stdlib.h>

/* 1 to 100; 100 where nothing is set. */
static inline unsigned test_scale_percent(void)
{
	const char *text = getenv("XFQ_TEST_SCALE");
	unsigned long percent = text ? strtoul(text, NULL, 10) : 100;

	return percent >= 1 && percent <= 100 ? (unsigned)percent : 100;
}

/* How many of `cnt` to do: at least one, if there are any. */
static inline size_t test_scale(size_t cnt)
{
	size_t scaled = cnt / 100 * test_scale_percent() + cnt % 100 * test_scale_percent() / 100;

	return scaled || !cnt ? scaled : 1;
}

/* The step at which to go through things of which all are done where there is time. */
static inline size_t test_scale_step(void)
{
	return 100 / test_scale_percent();
}

#endif
