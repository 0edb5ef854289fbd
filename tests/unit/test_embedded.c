/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instance inside the application: callbacks and threads as members of its groups. It reads a
 * capture file, which waits for whoever is slow, so that nothing may be lost.
 */
#include "tests/embedded_rig.h"

#define FLOWS   200
#define PACKETS 20000

/* Nothing is missing, and nothing came twice. */
static void check_once(const struct tally *tally)
{
	assert_int_equal(tally_sum(tally, 1), tally->packet_cnt);
}

/* What the counters of a group say that its members got in all. */
static void check_group(const json_t *status, const char *name, uint64_t packets)
{
	const json_t *group = rig_group(status, name);

	assert_int_equal(rig_number(group, "offered"), packets);
	assert_int_equal(rig_sum(group, "packets"), packets);
	assert_int_equal(rig_sum(group, "lost"), 0);
}

/* --- members of one kind ---------------------------------------------------------------------- */

/* Three callbacks share the flows; they have had everything when the file is at its end. */
static void test_callbacks(void **state)
{
	struct taking takings[3];
	struct tally tally;
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { members: 0 } }", FLOWS, PACKETS);
	tally_create(&tally, FLOWS, PACKETS, true);
	for (int i = 0; i < 3; i++)
		rig_callback("all", &takings[i], &tally, i, taking_take);
	rig_start();
	assert_int_equal(xfq_instance_wait(rig.instance, RIG_LONG_MS), 1);
	check_once(&tally);
	rig_complete();
	status = rig_finish();
	check_group(status, "all", PACKETS);
	for (int i = 0; i < 3; i++) {
		assert_true(takings[i].taker.packets > 0);
		taker_destroy(&takings[i].taker);
	}
	tally_destroy(&tally);
	json_decref(status);
}

/* Four threads, joined before the start; each flow is one's, in order. */
static void run_threads(const char *text, bool loyal)
{
	static const enum xfq_wait_mode waits[] = {XFQ_WAIT_BLOCK, XFQ_WAIT_POLL, XFQ_WAIT_SPIN,
						   XFQ_WAIT_BLOCK};
	struct reader readers[4] = {
		{.direct = true}, {.direct = true}, {.direct = true}, {.direct = false}};
	struct tally tally;
	json_t *status;

	rig_begin(text, FLOWS, PACKETS);
	tally_create(&tally, FLOWS, PACKETS, loyal);
	for (int i = 0; i < 4; i++) {
		struct xfq_join_options options = {.wait = waits[i], .ring_slots = 64u << (2 * i)};

		reader_join(&readers[i], &tally, "all", &options, i);
		reader_start(&readers[i]);
	}
	rig_start();
	rig_complete();
	for (int i = 0; i < 4; i++)
		reader_end(&readers[i]);
	check_once(&tally);
	status = rig_finish();
	check_group(status, "all", PACKETS);
	for (int i = 0; i < 4; i++)
		assert_true(readers[i].taker.packets > 0);
	tally_destroy(&tally);
	json_decref(status);
}

static void test_threads_flow(void **state)
{
	(void)state;
	run_threads("groups: { all: { members: 0 } }", true);
}

static void test_threads_ip_pair(void **state)
{
	(void)state;
	run_threads("groups: { all: { steer: ip-pair, members: 0 } }", true);
}

static void test_threads_round_robin(void **state)
{
	(void)state;
	run_threads("groups: { all: { steer: round-robin, members: 0, ring: 4096 } }", false);
}

/* A file can wait: where members may spill, none has to. */
static void test_threads_spill(void **state)
{
	(void)state;
	run_threads("groups: { all: { members: 0, overflow: spill } }", true);
}

/* What a member of some classes was given. */
struct classed {
	struct xfq_member *member;
	uint64_t tcp, udp, wrong;
};

static void classed_take(struct classed *classed)
{
	struct xfq_packet pkts[64];
	int cnt;

	while ((cnt = xfq_peek(classed->member, pkts, 64)) >= 0) {
		for (int i = 0; i < cnt; i++) {
			bool tcp = pkts[i].meta->l4_proto == 6;

			classed->tcp += tcp;
			classed->udp += !tcp;
			classed->wrong += pkts[i].mark != (tcp ? 6u : UINT32_MAX);
		}
		xfq_release(classed->member, (uint32_t)cnt);
	}
	assert_int_equal(cnt, -EPIPE);
	xfq_leave(classed->member);
}

static void *classed_run(void *argument)
{
	classed_take(argument);
	return NULL;
}

/* Members of classes have what is for them, with the marks that cases set; who names a class that
 * there is not is told which there are. */
static void test_classes(void **state)
{
	static const char *const classes[3] = {"user", "control,user", NULL};
	struct classed taken[3] = {0};
	struct xfq_join_options wrong = {0};
	struct xfq_group groups[1];
	struct xfq_member *none;
	struct xfq_error error;
	pthread_t threads[3];
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { members: 0, classes: [user, control], cases: [\n"
		  "  { match: tcp, mark: 6, class: control }, { mark: 4294967295, class: user } ] "
		  "} }",
		  FLOWS, PACKETS);
	for (int i = 0; i < 3; i++) {
		struct xfq_join_options options = {.classes = classes[i]};

		rig_done(xfq_join(&taken[i].member, rig.xfq, "all", &options, &error), &error);
	}
	wrong.classes = "user,boss";
	rig_expect(xfq_join(&none, rig.xfq, "all", &wrong, &error), &error, -ESRCH,
		   "no class \"boss\"; there is user, control");
	assert_int_equal(xfq_groups(rig.xfq, groups, 1, &error), 1);
	assert_string_equal(groups[0].classes, "user,control");
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, classed_run, &taken[i]), 0);
	rig_start();
	rig_complete();
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	status = rig_finish();
	assert_int_equal(taken[0].wrong + taken[1].wrong, 0);
	assert_int_equal(taken[1].tcp, PACKETS / 2);
	assert_int_equal(taken[0].tcp, 0);
	assert_int_equal(taken[0].udp + taken[1].udp, PACKETS / 2);
	assert_true(taken[0].udp > 0 && taken[1].udp > 0);
	assert_int_equal(taken[2].tcp + taken[2].udp, 0);
	json_decref(status);
}

/* What the stand-in of a class has had. */
static uint64_t stand_in_packets(const json_t *group, const char *class)
{
	const json_t *members = json_object_get(group, "members"), *member;
	uint64_t packets = 0;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)members, i, member)
	{
		const json_t *first = json_array_get(json_object_get(member, "classes"), 0);

		if (json_is_true(json_object_get(member, "stand_in")) && first &&
		    strcmp(json_string_value(first), class) == 0)
			packets += rig_number(member, "packets");
	}
	return packets;
}

/* Who joins one class takes the place of its stand-in; that of the other stays, but what is for all
 * members goes to who has joined alone. */
static void test_class_stand_ins(void **state)
{
	static const char *const cases[] = {"{ match: tcp, class: web }, { class: dns }",
					    "{ match: tcp, class: web }",
					    "{ match: tcp, class: web }"};
	static const char *const joins[] = {"dns", "dns", NULL};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct xfq_join_options options = {.classes = joins[i]};
		struct classed taken = {0};
		struct xfq_error error;
		const json_t *group;
		pthread_t thread;
		char config[256];
		json_t *status;

		snprintf(config, sizeof(config),
			 "groups: { all: { members: 2, overflow: spill, cases: [ %s ],\n"
			 "  classes: { web: { members: 1 }, dns: { members: 2 } } } }\n",
			 cases[i]);
		rig_begin(config, FLOWS, PACKETS);
		rig_done(xfq_join(&taken.member, rig.xfq, "all", &options, &error), &error);
		assert_int_equal(pthread_create(&thread, NULL, classed_run, &taken), 0);
		rig_start();
		rig_complete();
		assert_int_equal(pthread_join(thread, NULL), 0);
		status = rig_finish();
		group = rig_group(status, "all");
		assert_int_equal(taken.udp, PACKETS / 2);
		assert_int_equal(taken.tcp, 0);
		assert_int_equal(stand_in_packets(group, "web"), PACKETS / 2);
		assert_int_equal(stand_in_packets(group, "dns"), 0);
		assert_int_equal(rig_number(group, "no_member"), 0);
		check_group(status, "all", PACKETS);
		json_decref(status);
	}
}

/* In broadcast each member sees each packet, whatever kind of member it is. */
static void test_broadcast(void **state)
{
	struct reader readers[2] = {0};
	struct tally tallies[4];
	struct taking takings[2];
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { steer: broadcast, members: 0 } }", FLOWS, PACKETS);
	for (int i = 0; i < 4; i++)
		tally_create(&tallies[i], FLOWS, PACKETS, true);
	for (int i = 0; i < 2; i++) {
		reader_join(&readers[i], &tallies[i], "all", NULL, i);
		rig_callback("all", &takings[i], &tallies[2 + i], 2 + i, taking_take);
		reader_start(&readers[i]);
	}
	rig_start();
	rig_complete();
	for (int i = 0; i < 2; i++) {
		reader_end(&readers[i]);
		taker_destroy(&takings[i].taker);
	}
	for (int i = 0; i < 4; i++) {
		check_once(&tallies[i]);
		tally_destroy(&tallies[i]);
	}
	status = rig_finish();
	check_group(status, "all", 4 * PACKETS);
	assert_int_equal(rig_number(rig_group(status, "all"), "packets"), PACKETS);
	json_decref(status);
}

/* --- members of several kinds, in several groups ---------------------------------------------- */

/* Two threads and a callback share one group's flows; another group wants a part of the packets;
 * built-in members write a file, and stand-ins give way to a callback. */
static void test_mixed(void **state)
{
	static const char text[] = "groups:\n"
				   "  all: { members: 0 }\n"
				   "  web: { match: tcp port 80, members: 2 }\n"
				   "  file: { sink: pcap, dir: \"%s\", run: worker }\n";
	struct tally all, web;
	struct reader readers[2] = {0};
	struct taking takings[2];
	char config[512];
	json_t *status;

	(void)state;
	snprintf(config, sizeof(config), text, rig.folder);
	rig_begin(config, FLOWS, PACKETS);
	tally_create(&all, FLOWS, PACKETS, true);
	tally_create(&web, FLOWS, PACKETS, true);
	reader_join(&readers[0], &all, "all", NULL, 0);
	reader_join(&readers[1], &all, "all", NULL, 1);
	rig_callback("all", &takings[0], &all, 2, taking_take);
	rig_callback("web", &takings[1], &web, 3, taking_take);
	reader_start(&readers[0]);
	reader_start(&readers[1]);
	rig_start();
	rig_complete();
	reader_end(&readers[0]);
	reader_end(&readers[1]);
	check_once(&all);
	assert_int_equal(tally_sum(&web, 1), PACKETS / 2);
	status = rig_finish();
	check_group(status, "all", PACKETS);
	check_group(status, "web", PACKETS / 2);
	check_group(status, "file", PACKETS);
	assert_int_equal(takings[1].taker.packets, PACKETS / 2);
	assert_true(takings[0].taker.packets > 0);
	taker_destroy(&takings[0].taker);
	taker_destroy(&takings[1].taker);
	tally_destroy(&all);
	tally_destroy(&web);
	json_decref(status);
}

/* A member's share of the flows is its weight's, within 5 percent. */
static void test_weights(void **state)
{
	static const uint32_t weights[] = {1, 2, 5}, flows = 40000;
	struct reader readers[3] = {0};
	struct tally tally;

	(void)state;
	rig_begin("groups: { all: { members: 0 } }", flows, flows);
	tally_create(&tally, flows, flows, true);
	for (int i = 0; i < 3; i++) {
		struct xfq_join_options options = {.weight = weights[i]};

		reader_join(&readers[i], &tally, "all", &options, i);
		reader_start(&readers[i]);
	}
	rig_start();
	rig_complete();
	for (int i = 0; i < 3; i++) {
		uint64_t share = (uint64_t)flows * weights[i] / 8;

		reader_end(&readers[i]);
		assert_in_range(readers[i].taker.packets, share - share / 20, share + share / 20);
	}
	check_once(&tally);
	tally_destroy(&tally);
	json_decref(rig_finish());
}

/* --- members that come and go ----------------------------------------------------------------- */

/* One joins when another has had a part: some flows move to it, and nothing is lost or doubled. */
static void test_join_later(void **state)
{
	struct reader first = {.hold_at = 5000}, second = {0};
	struct tally tally;
	uint64_t before;

	(void)state;
	rig_begin("groups: { all: { members: 0, ring: 64 } }", FLOWS, PACKETS);
	tally_create(&tally, FLOWS, PACKETS, false);
	reader_join(&first, &tally, "all", NULL, 0);
	reader_start(&first);
	rig_start();
	reader_await_hold(&first);
	before = first.taker.packets;
	assert_in_range(before, 5000, 5000 + RIG_BURST);
	reader_join(&second, &tally, "all", NULL, 1);
	reader_start(&second);
	reader_go_on(&first);
	rig_complete();
	reader_end(&first);
	reader_end(&second);
	check_once(&tally);
	assert_true(first.taker.packets > before + 1000);
	assert_true(second.taker.packets > 1000);
	tally_destroy(&tally);
	json_decref(rig_finish());
}

/* One stops reading: the file waits, for the other as well. It leaves: what it had not read is
 * given up, and the other has all flows. */
static void test_leave(void **state)
{
	struct reader stays = {0}, goes = {.hold_at = 2000};
	struct tally tally;
	uint64_t discarded;
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { members: 0, ring: 64 } }", FLOWS, PACKETS);
	tally_create(&tally, FLOWS, PACKETS, false);
	reader_join(&stays, &tally, "all", NULL, 0);
	reader_join(&goes, &tally, "all", NULL, 1);
	reader_start(&stays);
	reader_start(&goes);
	rig_start();
	reader_await_hold(&goes);
	assert_int_equal(xfq_instance_wait(rig.instance, 300), 0);
	status = rig_status();
	rig_check_group(rig_group(status, "all"));
	assert_int_equal(json_array_size(json_object_get(rig_group(status, "all"), "members")), 2);
	assert_true(rig_number(rig_group(status, "all"), "packets") < PACKETS);
	json_decref(status);

	reader_leave(&goes);
	assert_int_equal(goes.end, 0);
	rig_complete();
	reader_end(&stays);
	status = rig_finish();
	discarded = rig_sum(rig_group(status, "all"), "discarded");
	assert_in_range(discarded, 1, 64);
	assert_int_equal(tally_sum(&tally, 1), PACKETS - discarded);
	assert_int_equal(rig_number(json_object_get(rig_group(status, "all"), "left"), "members"),
			 1);
	check_group(status, "all", PACKETS);
	taker_destroy(&goes.taker);
	tally_destroy(&tally);
	json_decref(status);
}

/* A thread that joins, takes some packets and leaves, again and again. */
struct churner {
	pthread_t thread;
	struct xfq *xfq;
	struct tally *tally;
	bool stop;
	uint64_t joins, packets;
};

static void churner_join(struct churner *churner, uint32_t round)
{
	struct xfq_join_options options = {.weight = 1 + round % 7};
	struct reader reader = {.tally = churner->tally};
	struct xfq_error error;

	if (xfq_join(&reader.member, churner->xfq, "all", &options, &error)) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	churner->joins++;
	taker_create(&reader.taker, churner->tally, 0);
	while (reader.taker.packets < 1 + round * 37 % 300 && reader.end >= 0 &&
	       !__atomic_load_n(&churner->stop, __ATOMIC_RELAXED))
		reader.end = reader_take(&reader);
	churner->packets += reader.taker.packets;
	taker_destroy(&reader.taker);
	xfq_leave(reader.member);
}

static void *churner_run(void *argument)
{
	struct churner *churner = argument;

	for (uint32_t i = 0; !__atomic_load_n(&churner->stop, __ATOMIC_RELAXED); i++)
		churner_join(churner, i);
	return NULL;
}

/* What holds of the counters while packets are on their way. */
static void check_running(void)
{
	json_t *status = rig_status();
	const json_t *group = rig_group(status, "all");

	rig_check_frames(status);
	rig_check_members(group);
	assert_true(rig_number(group, "offered") >= rig_sum(group, "packets"));
	json_decref(status);
}

/* Members come and go as the file is read: each packet is had by one, was given up by one who left,
 * or came when nobody was there. */
static void test_churn(void **state)
{
	struct churner churners[4] = {0};
	uint64_t packets = 0, joins = 0;
	struct tally tally;
	const json_t *group;
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { members: 0 } }", FLOWS, 5 * PACKETS);
	tally_create(&tally, FLOWS, 5 * PACKETS, false);
	for (int i = 0; i < 4; i++) {
		churners[i].tally = &tally;
		rig_done(xfq_instance_connect(&churners[i].xfq, rig.instance, NULL), NULL);
		assert_int_equal(
			pthread_create(&churners[i].thread, NULL, churner_run, &churners[i]), 0);
	}
	rig_start();
	while (xfq_instance_wait(rig.instance, 5) == 0)
		check_running();
	for (int i = 0; i < 4; i++) {
		__atomic_store_n(&churners[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(churners[i].thread, NULL);
		xfq_close(churners[i].xfq);
		packets += churners[i].packets;
		joins += churners[i].joins;
	}
	rig_complete();
	assert_int_equal(tally_sum(&tally, 1), packets);
	status = rig_finish();
	group = rig_group(status, "all");
	assert_int_equal(rig_number(group, "packets"), 5 * PACKETS);
	assert_int_equal(rig_sum(group, "consumed"), packets);
	assert_int_equal(rig_sum(group, "lost"), 0);
	/* the control thread may not have seen the last ones leave */
	assert_int_equal(rig_number(json_object_get(group, "left"), "members") +
				 json_array_size(json_object_get(group, "members")),
			 joins);
	tally_destroy(&tally);
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_callbacks),       cmocka_unit_test(test_threads_flow),
		cmocka_unit_test(test_threads_ip_pair), cmocka_unit_test(test_threads_round_robin),
		cmocka_unit_test(test_threads_spill),   cmocka_unit_test(test_broadcast),
		cmocka_unit_test(test_mixed),           cmocka_unit_test(test_weights),
		cmocka_unit_test(test_join_later),      cmocka_unit_test(test_leave),
		cmocka_unit_test(test_churn),           cmocka_unit_test(test_classes),
		cmocka_unit_test(test_class_stand_ins),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
