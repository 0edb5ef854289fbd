/* SPDX-License-Identifier: BSD-2-Clause */
/* Which rule decides about each packet of a capture file: `xfq filter test`. */
#ifndef APPS_FILTER_TEST_H
#define APPS_FILTER_TEST_H

#include <stdbool.h>

struct filter_test {
	const char *config_path, *read_path;
	bool packets; /* a line for each */
	bool user;    /* in user space, without privileges */
	bool json;
};

/* The exit status of the command. */
int filter_test_run(const struct filter_test *test);

#endif
