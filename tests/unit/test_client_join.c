/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining: what is asked for, what comes of it, and every way in which an answer can be wrong. One
 * that is refused leaves no descriptor and no mapping behind.
 */
#include "apps/libxfq/member.h"
#include "tests/fake_instance.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct fake fake;
static struct xfq *xfq;

static int setup(void **state)
{
	(void)state;
	fake_create(&fake, "demo");
	return xfq_open(&xfq, "demo", NULL);
}

static int teardown(void **state)
{
	(void)state;
	xfq_close(xfq);
	fake_destroy(&fake);
	return 0;
}

/* How many mappings of the fake's memory this process has. */
static int fake_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int cnt = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		cnt += strstr(line, "/memfd:fake") != NULL;
	fclose(file);
	return cnt;
}

/* --- a proper one ----------------------------------------------------------------------------- */

static void test_join(void **state)
{
	const struct xfq_join_options options = {.ring_slots = 100,
						 .weight = 1000,
						 .wait = XFQ_WAIT_POLL,
						 .classes = "user,control"};
	int fds = fake_open_fds(&fake), mappings = fake_mappings();
	struct xfq_member_info info;
	struct xfq_member_stats stats;
	struct xfq_member *member;
	struct xfq_packet pkt;
	struct xfq_error error;

	(void)state;
	assert_int_equal(xfq_join(&member, xfq, "web", &options, &error), 0);
	assert_int_equal(fake.last.type, PROTOCOL_JOIN);
	assert_string_equal(fake.last.group, "web");
	assert_int_equal(fake.last.ring_slots, 100);
	assert_int_equal(fake.last.weight, 1000);
	assert_string_equal(fake.last.classes, "user,control");
	assert_int_equal(fake.last.ring_version, XFQ_RING_VERSION);
	assert_int_equal(fake.last.desc_len, sizeof(struct xfq_ring_desc));
	assert_int_equal(fake.last.meta_len, XFQ_META_BYTES);
	assert_int_equal(strncmp(fake.last.process, program_invocation_short_name, 15), 0);
	assert_int_equal(fake.last.process[15], 0);
	/* the connection, at both of its ends, and nothing else */
	assert_int_equal(fake_open_fds(&fake), fds + 2);
	assert_int_equal(fake_mappings(), mappings + 2 + FAKE_WORKERS);
	assert_true(fcntl(xfq_fd(member), F_GETFD) & FD_CLOEXEC);

	xfq_member_info(member, &info);
	assert_string_equal(info.instance, "demo");
	assert_string_equal(info.group, "web");
	assert_string_equal(info.interfaces, "eth0,eth1");
	assert_int_equal(info.id, 7);
	assert_int_equal(info.rings, FAKE_WORKERS);
	assert_int_equal(info.ring_slots, FAKE_SLOTS);
	xfq_member_stats(member, &stats);
	assert_int_equal(stats.packets + stats.queued + stats.lost_ring + stats.lost_quota, 0);
	assert_int_equal(xfq_peek(member, &pkt, 1), 0);
	assert_null(xfq_end(member));

	xfq_leave(member);
	xfq_leave(NULL);
	assert_true(fake_await_leave(&fake, 0));
	assert_int_equal(fake_open_fds(&fake), fds + 1);
	assert_int_equal(fake_mappings(), mappings);
}

static void expect_refused(const char *group, const struct xfq_join_options *options, int code,
			   const char *words)
{
	struct xfq_member *member = (void *)&code;
	struct xfq_error error = {0};
	int fds = fake_open_fds(&fake), mappings = fake_mappings();

	assert_int_equal(xfq_join(&member, xfq, group, options, NULL), code);
	assert_int_equal(xfq_join(&member, xfq, group, options, &error), code);
	assert_null(member);
	assert_int_equal(error.code, code);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, error.text);
	assert_int_equal(fake_open_fds(&fake), fds);
	assert_int_equal(fake_mappings(), mappings);
}

static void test_bad_wishes(void **state)
{
	struct xfq_join_options options = {.weight = 1001};
	char long_classes[257] = {0};

	(void)state;
	expect_refused(NULL, NULL, -EINVAL, "name of a group");
	expect_refused("a-name-that-is-one-byte-too-long", NULL, -ESRCH, "at most 31 bytes");
	expect_refused("web", &options, -EINVAL, "weight 1001");
	options = (struct xfq_join_options){.wait = XFQ_WAIT_SPIN + 1};
	expect_refused("web", &options, -EINVAL, "no wait mode");
	options = (struct xfq_join_options){.reserved = {[9] = 1}};
	expect_refused("web", &options, -EINVAL, "reserved");
	options = (struct xfq_join_options){.reserved0 = 1};
	expect_refused("web", &options, -EINVAL, "reserved");
	memset(long_classes, 'c', sizeof(long_classes) - 1);
	options = (struct xfq_join_options){.classes = long_classes};
	expect_refused("web", &options, -ESRCH, "255 bytes of classes");
}

/* --- numbers ---------------------------------------------------------------------------------- */

struct bent {
	uint32_t worker_cnt, ring_slots; /* 0: as they should be */
	uint64_t ring_stride, cons_stride;
	bool no_workers, no_slots, no_stride;
	uint32_t fd_cnt; /* that come instead */
	bool no_fds;
	size_t len;
	int code;
	const char *words;
};

static void bend_numbers(struct fake_answer *answer, const void *context)
{
	struct protocol_joined *joined = &answer->joined;
	const struct bent *bent = context;

	if (bent->worker_cnt || bent->no_workers)
		joined->worker_cnt = bent->worker_cnt;
	if (bent->ring_slots || bent->no_slots)
		joined->ring_slots = bent->ring_slots;
	if (bent->ring_stride || bent->no_stride)
		joined->ring_stride = bent->ring_stride;
	if (bent->cons_stride)
		joined->cons_stride = bent->cons_stride;
	while (answer->fd_cnt < bent->fd_cnt) {
		answer->fds[answer->fd_cnt] = answer->fds[answer->fd_cnt - 1];
		answer->fd_cnt++;
	}
	if (bent->fd_cnt || bent->no_fds)
		answer->fd_cnt = bent->fd_cnt;
	if (bent->len)
		answer->len = bent->len;
}

static void test_numbers_bent(void **state)
{
	static const struct bent bents[] = {
		{.no_workers = true, .code = -EPROTO, .words = "0 workers, and not 1 to 128"},
		{.worker_cnt = 129, .code = -EPROTO, .words = "129 workers"},
		{.worker_cnt = UINT32_MAX, .code = -EPROTO, .words = "workers"},
		{.worker_cnt = 1, .code = -EPROTO, .words = "4 descriptors came for 1 workers"},
		{.worker_cnt = 3, .code = -EPROTO, .words = "4 descriptors came for 3 workers"},
		{.worker_cnt = 129, .fd_cnt = 131, .code = -EMFILE, .words = "130 descriptors"},
		{.worker_cnt = 128, .fd_cnt = 130, .code = -EPROTO, .words = "128 rings"},
		{.no_fds = true, .code = -EPROTO, .words = "0 descriptors"},
		{.fd_cnt = 3, .code = -EPROTO, .words = "3 descriptors"},
		{.fd_cnt = 5, .code = -EPROTO, .words = "5 descriptors"},
		{.no_slots = true, .code = -EPROTO, .words = "0 slots"},
		{.ring_slots = 32, .code = -EPROTO, .words = "rings of 32 slots"},
		{.ring_slots = 65, .code = -EPROTO, .words = "rings of 65 slots"},
		{.ring_slots = 131072, .code = -EPROTO, .words = "rings of 131072 slots"},
		{.ring_slots = 128, .code = -EPROTO, .words = "64 slots, and not 128"},
		{.ring_slots = 512, .code = -EPROTO, .words = "2 rings of 4096 bytes in 8192"},
		{.no_stride = true, .code = -EPROTO, .words = "rings of 0 bytes"},
		{.ring_stride = 2048, .code = -EPROTO, .words = "rings of 2048 bytes"},
		{.ring_stride = 8192, .code = -EPROTO, .words = "rings of 8192 bytes"},
		{.ring_stride = 1ULL << 63,
		 .code = -EPROTO,
		 .words = "rings of 9223372036854775808"},
		{.cons_stride = 64, .code = -EPROTO, .words = "consumer pages of 64 bytes"},
		{.cons_stride = 8192, .code = -EPROTO, .words = "consumer pages of 8192 bytes"},
		{.cons_stride = 1ULL << 63, .code = -EPROTO, .words = "consumer pages of 92233720"},
		{.len = sizeof(struct protocol_answer), .code = -EPROTO, .words = "272 bytes"},
		{.len = sizeof(struct protocol_joined) - 1, .code = -EPROTO, .words = "527 bytes"},
		{.len = sizeof(struct protocol_joined) + 1, .code = -EPROTO, .words = "529 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bents) / sizeof(bents[0]); i++) {
		fake_bend(&fake, bend_numbers, &bents[i]);
		expect_refused("web", NULL, bents[i].code, bents[i].words);
	}
}

static void bend_refusal(struct fake_answer *answer, const void *context)
{
	answer->joined.answer.code = -EBUSY;
	strcpy(answer->joined.answer.text, context);
	answer->len = sizeof(struct protocol_answer);
}

/* Descriptors of a refusal are not wanted; they are closed. */
static void test_refusal(void **state)
{
	(void)state;
	fake_bend(&fake, bend_refusal, "group web is full");
	expect_refused("web", NULL, -EBUSY, "group web is full");
}

/* So few descriptors are left to this process that not all of them come. */
static void bend_limit(struct fake_answer *answer, const void *context)
{
	struct rlimit limit;
	int next = dup(answer->fds[0]);

	(void)context;
	close(next);
	FAKE_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)next + 2;
	FAKE_REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void test_limit(void **state)
{
	struct rlimit limit;
	struct xfq_member *member;
	struct xfq_error error;
	int fds = fake_open_fds(&fake);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	fake_bend(&fake, bend_limit, NULL);
	assert_int_equal(xfq_join(&member, xfq, "web", NULL, &error), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_non_null(strstr(error.text, "ulimit -n"));
	assert_int_equal(fake_open_fds(&fake), fds);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Another descriptor in place of one of the proper ones. */
struct swap {
	uint32_t place;
	int fd;
};

static void bend_fd(struct fake_answer *answer, const void *context)
{
	const struct swap *swap = context;

	answer->fds[swap->place] = swap->fd;
}

static void test_memory_bent(void **state)
{
	static const char *const names[] = {"rings", "consumer pages", "packets", "packets"};
	struct fake_area unsealed, grown, small, empty;
	char words[64];

	(void)state;
	fake_area_create(&unsealed, 1 << 16, 0);
	fake_area_create(&grown, 1 << 16, F_SEAL_GROW);
	fake_area_create(&small, 4096, F_SEAL_SHRINK);
	fake_area_create(&empty, 0, F_SEAL_SHRINK);
	for (uint32_t place = 0; place < 4; place++) {
		struct swap swap = {.place = place, .fd = unsealed.fd};

		fake_bend(&fake, bend_fd, &swap);
		snprintf(words, sizeof(words), "memory of the %s is not sealed", names[place]);
		expect_refused("web", NULL, -EPROTO, words);
		swap.fd = grown.fd;
		expect_refused("web", NULL, -EPROTO, words);
		swap.fd = fake.stop_fds[0]; /* a pipe has no seals */
		expect_refused("web", NULL, -EPROTO, words);
		swap.fd = empty.fd;
		snprintf(words, sizeof(words), "memory of the %s has no size", names[place]);
		expect_refused("web", NULL, -EPROTO, words);
		swap.fd = small.fd;
		expect_refused("web", NULL, -EPROTO, place < 2 ? " in 4096" : "has 4096 bytes");
		fake_bend(&fake, NULL, NULL);
	}
	fake_area_destroy(&unsealed);
	fake_area_destroy(&grown);
	fake_area_destroy(&small);
	fake_area_destroy(&empty);
}

/* Consumer pages that cannot be written are refused where they are mapped. */
static void test_cons_read_only(void **state)
{
	struct swap swap = {.place = 1};
	struct fake_area area;

	(void)state;
	fake_area_create(&area, FAKE_WORKERS * FAKE_STRIDE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
	swap.fd = area.fd;
	fake_bend(&fake, bend_fd, &swap);
	expect_refused("web", NULL, -EPERM, "mapping 8192 bytes of the consumer pages");
	fake_area_destroy(&area);
}

/* Everything else that is mapped need not be writable. */
static void test_read_only(void **state)
{
	struct fake_area rings = fake.members[0].rings;
	struct xfq_member *member;

	(void)state;
	assert_int_equal(fcntl(rings.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		assert_int_equal(fcntl(fake.workers[w].umem.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE),
				 0);
	assert_int_equal(xfq_join(&member, xfq, "web", NULL, NULL), 0);
	xfq_leave(member);
}

/* --- ready ------------------------------------------------------------------------------------ */

/* What the instance says when the member has mapped its memory, before it hangs up. */
struct reply {
	const void *bytes;
	size_t len;
	int code;
	const char *words;
};

static void bend_reply(struct fake_answer *answer, const void *context)
{
	const struct reply *reply = context;

	answer->more = reply->bytes;
	answer->more_len = reply->len;
}

static void test_replies(void **state)
{
	static const struct protocol_notice no = {
		.magic = PROTOCOL_MAGIC, .code = -EPERM, .text = "the pages are not sealed"};
	static const struct protocol_notice zero = {.magic = PROTOCOL_MAGIC};
	static const struct protocol_notice strange = {.code = -EPERM};
	const struct reply replies[] = {
		{&no, sizeof(no), -EPERM, "demo: the pages are not sealed"},
		{&no, sizeof(no) - 1, -EPROTO, "fits no question"},
		{&zero, sizeof(zero), -EPROTO, "fits no question"},
		{&strange, sizeof(strange), -EPROTO, "fits no question"},
		{"", 0, -ECONNRESET, "hung up"},
		{"", PROTOCOL_WAKE_BYTES, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		int fds = fake_open_fds(&fake), mappings = fake_mappings();
		struct xfq_member *member;
		struct xfq_error error = {0};
		struct xfq_packet pkt;

		fake_bend(&fake, bend_reply, &replies[i]);
		assert_int_equal(xfq_join(&member, xfq, "web", NULL, &error), replies[i].code);
		assert_non_null(strstr(error.text, replies[i].words));
		/* in either case nobody but this mapping can change the consumer pages any more */
		assert_int_equal(fcntl(fake.members[0].cons.fd, F_GET_SEALS),
				 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
		if (replies[i].code == 0)
			assert_int_equal(xfq_peek(member, &pkt, 1), -ECONNRESET);
		xfq_leave(member);
		assert_int_equal(fake_open_fds(&fake), fds);
		assert_int_equal(fake_mappings(), mappings);
		fake_renew(&fake);
	}
}

/* --- rings ------------------------------------------------------------------------------------ */

static void bend_nothing(struct fake_answer *answer, const void *context)
{
	(void)answer;
	(void)context;
}

static void test_rings_bent(void **state)
{
	(void)state;
	fake_bend(&fake, bend_nothing, NULL); /* a proper answer, but nobody is to join */
	for (uint32_t w = 0; w < FAKE_WORKERS; w++) {
		struct xfq_ring_prod *shared = fake_shared(&fake.members[0], w);
		struct xfq_ring_prod proper = *shared;
		char words[32];

		snprintf(words, sizeof(words), "ring %u has", w);
		shared->magic++;
		expect_refused("web", NULL, -EPROTONOSUPPORT, words);
		*shared = proper;
		shared->version++;
		expect_refused("web", NULL, -EPROTONOSUPPORT, words);
		*shared = proper;
		shared->desc_len = 24;
		expect_refused("web", NULL, -EPROTONOSUPPORT, words);
		*shared = proper;
		shared->slots = 65536; /* more than there is memory for */
		expect_refused("web", NULL, -EPROTONOSUPPORT, words);
		*shared = proper;
		shared->slots = 128;
		expect_refused("web", NULL, -EPROTO, "128 slots, and not 64");
		*shared = proper;
		shared->umem_len++;
		expect_refused("web", NULL, -EPROTO, "packet memory of worker");
		*shared = proper;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_wishes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_bent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_bent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cons_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_bent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
