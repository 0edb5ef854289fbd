/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of the kernel agrees with what then loads; and what is hidden is missing. */
#include "xdp/filter.h"
#include "xdp/loader.h"
#include "xdp/probe.h"
#include "xdp/socket.h"
#include <linux/capability.h>
#include <linux/if_xdp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Every row is filled, and no two have one name. */
static void test_rows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PROBE_CNT; i++) {
		const struct probe_row *row = probe_row((enum probe_feature)i);

		assert_true(row->name && row->name[0] && !strchr(row->name, ','));
		assert_true(row->what && row->what[0] && row->disables && row->disables[0]);
		for (uint32_t o = 0; o < i; o++)
			assert_string_not_equal(row->name, probe_row((enum probe_feature)o)->name);
		print_message("  %-16s %s\n", row->name,
			      probe_has((enum probe_feature)i) ? "yes" : "no");
	}
}

/* The programs load exactly where it is said that they can. */
static void test_loads(void **state)
{
	static const enum probe_feature needs[] = {
		PROBE_PROGRAM_XDP, PROBE_MAP_XSK,           PROBE_MAP_LRU,
		PROBE_MAP_IN_MAP,  PROBE_MAP_PROGRAMS,      PROBE_MAP_LPM,
		PROBE_XDP_FRAGS,   PROBE_HELPER_LOAD_BYTES, PROBE_HELPER_BUFF_LEN,
	};
	struct filter filter;
	struct loader_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct loader loader;
	bool can = true, loads;

	(void)state;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		can = can && probe_has(needs[i]);
	filter_init(&filter);
	loads = loader_load(&loader, &options, &error) == 0;
	if (can != loads)
		fail_msg("the table says %d, loading %d: %s", can, loads, error.text);
	assert_int_equal(probe_has(PROBE_PROGRAM_SOCKET),
			 loader_packet_sockets(&loader, &error) == 0);
	loader_destroy(&loader);
	filter_destroy(&filter);
}

static void test_sockets(void **state)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(probe_has(PROBE_AF_XDP), fd >= 0);
	if (fd >= 0)
		close(fd);
	assert_int_equal(probe_has_first_pass(),
			 probe_has(PROBE_PROGRAM_XDP) && probe_has(PROBE_AF_XDP) &&
				 probe_has(PROBE_MAP_XSK) && probe_has(PROBE_HELPER_LOAD_BYTES) &&
				 probe_has(PROBE_HELPER_BUFF_LEN));
}

static void test_hidden(void **state)
{
	bool xdp = probe_has(PROBE_PROGRAM_XDP);

	(void)state;
	setenv("XFQ_WITHOUT", "tcx,af-xdp", 1);
	probe_forget();
	assert_false(probe_has(PROBE_AF_XDP));
	assert_false(probe_has(PROBE_TCX));
	assert_false(probe_has_first_pass());
	/* no part of a name hides another one */
	assert_int_equal(probe_has(PROBE_PROGRAM_XDP), xdp);
	setenv("XFQ_WITHOUT", "xdp-link", 1);
	probe_forget();
	assert_false(probe_has(PROBE_XDP_LINK));
	assert_int_equal(probe_has(PROBE_PROGRAM_XDP), xdp);
	unsetenv("XFQ_WITHOUT");
	probe_forget();
	assert_int_equal(probe_has(PROBE_PROGRAM_XDP), xdp);
}

/* Run in a process of its own, as what it gives up does not come back. */
static void in_child(bool (*test)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(!test());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What is not allowed to be asked is not said to be missing, but what is hidden is. */
static bool unprivileged(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	bool before[PROBE_CNT], right = true;

	setenv("XFQ_WITHOUT", "tcx", 1);
	probe_forget();
	for (uint32_t i = 0; i < PROBE_CNT; i++)
		before[i] = probe_has((enum probe_feature)i);
	probe_forget();
	if (syscall(SYS_capset, &header, none))
		return false;
	for (uint32_t i = PROBE_JIT; i < PROBE_CNT; i++)
		right = right && !(before[i] && probe_lacks((enum probe_feature)i));
	return right && probe_lacks(PROBE_TCX) && probe_lacks(PROBE_CAP_BPF) &&
	       !probe_has(PROBE_AF_XDP) && !probe_has(PROBE_PROGRAM_XDP);
}

/* What was known before stays known. */
static bool unprivileged_later(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	bool before[PROBE_CNT], right = true;

	for (uint32_t i = 0; i < PROBE_CNT; i++)
		before[i] = probe_has((enum probe_feature)i);
	if (syscall(SYS_capset, &header, none))
		return false;
	for (uint32_t i = 0; i < PROBE_CNT; i++)
		right = right && probe_has((enum probe_feature)i) == before[i] &&
			probe_lacks((enum probe_feature)i) == !before[i];
	return right;
}

/* The switch of the compiler is not to be seen in another namespace. */
static bool elsewhere(void)
{
	bool before = probe_has(PROBE_JIT);

	probe_forget();
	return unshare(CLONE_NEWNET) == 0 && probe_has(PROBE_JIT) == before &&
	       probe_lacks(PROBE_JIT) == !before;
}

static void test_unknown(void **state)
{
	(void)state;
	in_child(unprivileged);
	in_child(unprivileged_later);
	in_child(elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),    cmocka_unit_test(test_loads),
		cmocka_unit_test(test_sockets), cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_unknown),
	};

	if (geteuid() != 0 || !probe_has(PROBE_CAP_BPF)) {
		print_message("skipped: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
