/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets in the kernel: at random, one change after the other, the verdict of the program on packets
 * must be that of the set in user space, and that of a model that compares with every member. And
 * while packets run, a set that is replaced is never seen half.
 */
#include "tests/bpf/set_model.h"
#include "tests/scale.h"
#include "xdp/loader.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OPERATIONS 10000 /* of each of the 10 runs */

/* --- a set in three places -------------------------------------------------------------------- */

struct rig {
	struct set set;
	const struct set *sets[1];
	struct setmaps maps;
	struct filter filter;
	struct loader loader;
	struct setmap_slots slots;
	struct setmaps_target target;
	struct model model;
	uint64_t now_ns;
	uint64_t members, checks, inside;
};

static void rig_create(struct rig *rig, enum set_type type, uint8_t fields, bool hits)
{
	struct loader_options options = {
		.filter = &rig->filter, .sets = &rig->maps, .test_clock = true};
	struct xfq_error error = {0};
	struct filter_rule *rule;

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->set.name, "s");
	rig->set.type = type;
	rig->set.hits = hits;
	rig->sets[0] = &rig->set;
	rig->now_ns = 1000000000;
	filter_init(&rig->filter);
	rig->filter.default_action = FILTER_PASS;
	rule = filter_add(&rig->filter, FILTER_DROP);
	rule->fields = FILTER_SET;
	rule->set_fields = fields;
	rig->filter.sets = rig->sets;
	rig->filter.set_cnt = 1;
	if (setmaps_create(&rig->maps, rig->sets, 1, &error) ||
	    loader_load(&rig->loader, &options, &error))
		fail_msg("%s", error.text);
	assert_true(loader_set_slots(&rig->loader, &rig->slots));
	rig->target = (struct setmaps_target){&rig->maps, &rig->slots, 1};
	assert_int_equal(loader_set_clock(&rig->loader, rig->now_ns), 0);
}

static void rig_destroy(struct rig *rig)
{
	loader_destroy(&rig->loader);
	setmaps_destroy(&rig->maps);
	filter_destroy(&rig->filter);
	set_destroy(&rig->set);
}

static bool kernel_drops(int program, const uint8_t *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = PACKET_BYTES,
		    .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	assert_true(options.retval == XDP_DROP || options.retval == XDP_PASS);
	return options.retval == XDP_DROP;
}

static void rig_check(struct rig *rig, const uint8_t *packet)
{
	const struct filter_rule *rule = &rig->filter.rules[0];
	struct xdp_judged judged = {.now_ns = rig->now_ns};
	bool model, user, kernel;

	parse_packet(NULL, packet, packet + PACKET_BYTES, PACKET_BYTES, &judged.meta, &judged.key);
	assert_true(judged.meta.flags & XFQ_META_PORTS);
	model = model_has(&rig->model, rig->set.type, rule->set_fields, &judged, packet);
	user = set_has(&rig->set, rule->set_fields, &judged, packet, PACKET_BYTES);
	kernel = kernel_drops(loader_judge_fd(&rig->loader), packet);
	rig->checks++;
	rig->inside += model;
	if (model != user || model != kernel)
		fail_msg("%s, %u members, check %llu: model %d, user space %d, kernel %d",
			 set_type_name(rig->set.type), rig->set.cnt,
			 (unsigned long long)rig->checks, model, user, kernel);
}

/* A packet at random, or one that belongs to a member of the model where there are many others. */
static void rig_check_any(struct rig *rig)
{
	uint8_t packet[PACKET_BYTES];
	const struct xdp_flow_key *flow = NULL;
	union set_key key;

	if (rig->set.type == SET_FLOW) {
		random_key(SET_FLOW, &key);
		flow = &key.flow;
		if (rig->model.cnt > 0 && below(2))
			flow = &rig->model.members[below(rig->model.cnt)].key.flow;
	}
	random_packet(packet, flow);
	if (rig->set.type == SET_ADDRESS && rig->model.cnt > 0 && below(2)) {
		const struct set_net *net = &rig->model.members[below(rig->model.cnt)].key.net;
		bool v6 = packet[12] == 0x86;

		if (net->v6 == v6)
			memcpy(packet + 14 + (v6 ? 8 : 12), net->addr, v6 ? 16 : 4);
	}
	rig_check(rig, packet);
}

/* --- operations ------------------------------------------------------------------------------- */

static void do_add(struct rig *rig, bool timed)
{
	struct set_member member = {.expires_ns = SET_FOREVER};
	struct xfq_error error = {0};
	bool is_new;

	random_key(rig->set.type, &member.key);
	if (rig->model.cnt == MODEL_MAX)
		return;
	if (timed && below(2))
		member.expires_ns = rig->now_ns + 1 + below(1000);
	is_new = !model_find(&rig->model, &member.key);
	model_add(&rig->model, &member);
	assert_int_equal(setmaps_add(&rig->target, 0, &rig->set, &member, &error), is_new);
}

static void do_del(struct rig *rig)
{
	struct xfq_error error = {0};
	union set_key key;

	random_key(rig->set.type, &key);
	if (rig->model.cnt > 0 && below(8))
		key = rig->model.members[below(rig->model.cnt)].key;
	assert_int_equal(setmaps_del(&rig->target, 0, &rig->set, &key, &error),
			 model_del(&rig->model, &key));
}

/* Replace it by other members, or none. */
static void do_replace(struct rig *rig, bool timed, uint32_t cnt)
{
	struct set with = {.type = rig->set.type};
	struct xfq_error error = {0};

	rig->model.cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		struct set_member member = {.expires_ns = SET_FOREVER};

		random_key(rig->set.type, &member.key);
		if (timed && below(2))
			member.expires_ns = rig->now_ns + 1 + below(1000);
		model_add(&rig->model, &member);
		assert_true(set_add(&with, &member) >= 0);
	}
	assert_int_equal(setmaps_replace(&rig->target, 0, &rig->set, &with, &error), 0);
	set_destroy(&with);
}

/* Time goes on; perhaps those that have expired are taken out. */
static void do_expire(struct rig *rig)
{
	struct xfq_error error = {0};
	int gone = 0;

	rig->now_ns += below(300);
	assert_int_equal(loader_set_clock(&rig->loader, rig->now_ns), 0);
	if (below(2))
		return;
	for (uint32_t i = 0; i < rig->model.cnt;)
		if (rig->model.members[i].expires_ns <= rig->now_ns) {
			rig->model.members[i] = rig->model.members[--rig->model.cnt];
			gone++;
		} else {
			i++;
		}
	assert_int_equal(setmaps_sweep(&rig->target, 0, &rig->set, rig->now_ns, &error), gone);
}

static void run_random(enum set_type type, uint8_t fields, bool timed)
{
	/* fewer than that do not come to all that is asserted */
	uint32_t cnt = (uint32_t)test_scale(OPERATIONS);
	struct rig rig;

	cnt = cnt < OPERATIONS / 40 ? OPERATIONS / 40 : cnt;
	rig_create(&rig, type, fields, false);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t choice = below(2000);

		if (choice == 0)
			do_replace(&rig, timed, below(MODEL_MAX));
		else if (choice == 1)
			do_replace(&rig, timed, 0);
		else if (choice < 700)
			do_add(&rig, timed);
		else if (choice < 1200)
			do_del(&rig);
		else if (choice < 1280 && timed)
			do_expire(&rig);
		rig_check_any(&rig);
		assert_int_equal(rig.set.cnt, rig.model.cnt);
	}
	print_message("  %s%s: %llu checks, %llu inside\n", set_type_name(type),
		      timed ? ", timed" : "", (unsigned long long)rig.checks,
		      (unsigned long long)rig.inside);
	/* neither all nor none: else nothing was tested */
	assert_true(rig.inside > cnt / 50 && rig.inside < cnt - cnt / 50);
	rig_destroy(&rig);
}

static void test_random(void **state)
{
	(void)state;
	for (int type = SET_NET; type <= SET_MAC; type++) {
		run_random((enum set_type)type, XDP_FIELD_SRC, false);
		run_random((enum set_type)type, XDP_FIELD_SRC | XDP_FIELD_DST, true);
	}
}

/* --- counting --------------------------------------------------------------------------------- */

static struct set_member member_of(enum set_type type, const char *text)
{
	struct set_member member;
	struct xfq_error error = {0};

	if (set_parse_member(type, &member, text, &error))
		fail_msg("%s", error.text);
	return member;
}

static void rig_add(struct rig *rig, const char *text)
{
	struct set_member member = member_of(rig->set.type, text);
	struct xfq_error error = {0};

	if (setmaps_add(&rig->target, 0, &rig->set, &member, &error) < 0)
		fail_msg("%s", error.text);
}

static void check_hits(struct rig *rig, const char *text, uint64_t hits)
{
	struct set_member member = member_of(rig->set.type, text);

	assert_int_equal(setmaps_hits(&rig->maps, 0, &rig->set, &member), hits);
}

/* From 10.0.0.7 or 2001::7, port 300, to port 301. */
static void run_packet(struct rig *rig, bool v6, uint32_t cnt)
{
	struct xdp_flow_key flow = {.ip = v6 ? 6 : 4, .proto = PARSE_IP_UDP};
	uint8_t packet[PACKET_BYTES];
	uint8_t *ip = packet + 14;

	random_packet(packet, &flow);
	memset(ip + (v6 ? 8 : 12), 0, v6 ? 32 : 8);
	ip[v6 ? 8 : 12] = v6 ? 0x20 : 10;
	if (v6)
		ip[9] = 0x01;
	ip[v6 ? 23 : 15] = 7;
	put16(ip + (v6 ? 40 : 20), 300);
	put16(ip + (v6 ? 42 : 22), 301);
	packet[11] = 7;
	packet[5] = 9;
	for (uint32_t i = 0; i < cnt; i++)
		kernel_drops(loader_judge_fd(&rig->loader), packet);
}

static void test_hits(void **state)
{
	struct rig rig;
	struct set with = {.type = SET_NET};
	struct set_member member = member_of(SET_NET, "10.0.0.0/24");
	struct xfq_error error = {0};

	(void)state;
	rig_create(&rig, SET_NET, XDP_FIELD_SRC, true);
	rig_add(&rig, "10.0.0.0/24");
	rig_add(&rig, "10.0.0.4/30");
	rig_add(&rig, "10.0.0.8/30");
	rig_add(&rig, "2001::/16");
	run_packet(&rig, false, 5);
	run_packet(&rig, true, 3);
	check_hits(&rig, "10.0.0.0/24", 0);
	check_hits(&rig, "10.0.0.4/30", 5);
	check_hits(&rig, "10.0.0.8/30", 0);
	check_hits(&rig, "2001::/16", 3);
	/* the next longer one counts once the longest is gone; what is kept goes on counting */
	assert_int_equal(set_add(&with, &member), 1);
	assert_int_equal(setmaps_replace(&rig.target, 0, &rig.set, &with, &error), 0);
	set_destroy(&with);
	run_packet(&rig, false, 2);
	check_hits(&rig, "10.0.0.0/24", 2);
	rig_add(&rig, "2001::/17");
	for (uint32_t i = 0; i < 2000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "11.0.%u.%u", i / 250, i % 250);
		rig_add(&rig, text); /* beyond what there was room for */
	}
	run_packet(&rig, false, 1);
	check_hits(&rig, "10.0.0.0/24", 3);
	rig_destroy(&rig);

	rig_create(&rig, SET_PORT, XDP_FIELD_SRC | XDP_FIELD_DST, true);
	rig_add(&rig, "299-301");
	rig_add(&rig, "300");
	run_packet(&rig, true, 4);
	check_hits(&rig, "299-301", 4);
	check_hits(&rig, "300", 4);
	check_hits(&rig, "301", 0);
	rig_destroy(&rig);

	rig_create(&rig, SET_MAC, XDP_FIELD_DST, true);
	rig_add(&rig, "02:00:00:00:00:09");
	rig_add(&rig, "02:00:00:00:00:07");
	run_packet(&rig, false, 4);
	check_hits(&rig, "02:00:00:00:00:07", 0);
	check_hits(&rig, "02:00:00:00:00:09", 4);
	rig_destroy(&rig);
}

/* --- while packets run ------------------------------------------------------------------------ */

struct runner {
	int program;
	uint8_t always[4][PACKET_BYTES]; /* in every version of the set: by all families */
	uint8_t never[2][PACKET_BYTES];
	_Atomic bool stop;
	_Atomic uint64_t runs, half;
};

static void *runner_run(void *context)
{
	struct runner *runner = context;

	while (!runner->stop) {
		for (int i = 0; i < 4; i++)
			runner->half += !kernel_drops(runner->program, runner->always[i]);
		for (int i = 0; i < 2; i++)
			runner->half += kernel_drops(runner->program, runner->never[i]);
		runner->runs += 6;
	}
	return NULL;
}

static void packet_from(uint8_t packet[PACKET_BYTES], const char *source)
{
	struct set_member member = member_of(SET_ADDRESS, source);
	struct xdp_flow_key flow = {.ip = member.key.net.v6 ? 6 : 4, .proto = PARSE_IP_UDP};

	random_packet(packet, &flow);
	memcpy(packet + 14 + (flow.ip == 6 ? 8 : 12), member.key.net.addr, flow.ip == 6 ? 16 : 4);
}

/* Versions that have the packets' sources by members that the other does not have. */
static void version_fill(struct set *with, uint32_t version)
{
	static const char *const texts[2][4] = {
		{"10.0.0.0/8", "20.1.2.3", "2001:db8::/32", "2a00::1"},
		{"10.1.2.0/24", "20.1.2.0/25", "2001:db8:0:1::/64", "2a00::/16"}};

	for (int i = 0; i < 4; i++) {
		struct set_member member = member_of(SET_NET, texts[version % 2][i]);

		assert_int_equal(set_add(with, &member), 1);
	}
	for (uint32_t i = 0; i < 500; i++) {
		struct set_member member = {.expires_ns = SET_FOREVER};
		bool v6 = i % 2;

		random_address(member.key.net.addr, v6);
		member.key.net.addr[0] = v6 ? 0x30 : 30;
		member.key.net.v6 = v6;
		member.key.net.len = v6 ? 128 : 32;
		assert_true(set_add(with, &member) >= 0);
	}
}

static void test_replace_under_load(void **state)
{
	static struct runner runner;
	struct xfq_error error = {0};
	pthread_t thread;
	struct rig rig;

	(void)state;
	rig_create(&rig, SET_NET, XDP_FIELD_SRC, false);
	for (uint32_t version = 0; version < test_scale(100); version++) {
		struct set with = {.type = SET_NET};

		version_fill(&with, version);
		if (setmaps_replace(&rig.target, 0, &rig.set, &with, &error))
			fail_msg("%s", error.text);
		set_destroy(&with);
		if (version > 0)
			continue;
		runner.program = loader_judge_fd(&rig.loader);
		packet_from(runner.always[0], "10.1.2.3");
		packet_from(runner.always[1], "20.1.2.3");
		packet_from(runner.always[2], "2001:db8:0:1::1");
		packet_from(runner.always[3], "2a00::1");
		packet_from(runner.never[0], "21.1.2.3");
		packet_from(runner.never[1], "2b00::1");
		assert_int_equal(pthread_create(&thread, NULL, runner_run, &runner), 0);
	}
	/* where the versions are few the thread may come late */
	for (int i = 0; i < 5000 && runner.runs <= test_scale(1000); i++)
		usleep(1000);
	runner.stop = true;
	pthread_join(thread, NULL);
	print_message("  %zu versions, %llu packets\n", test_scale(100),
		      (unsigned long long)runner.runs);
	assert_int_equal(runner.half, 0);
	assert_true(runner.runs > test_scale(1000));
	rig_destroy(&rig);
}

/* Members beyond every room that maps have at first, by every kind of map. */
static void test_growth(void **state)
{
	static const enum set_type types[] = {SET_NET, SET_FLOW, SET_MAC};
	struct rig rig;

	(void)state;
	for (int t = 0; t < 3; t++) {
		uint8_t packet[PACKET_BYTES];
		struct xfq_error error = {0};

		rig_create(&rig, types[t], XDP_FIELD_SRC, false);
		for (uint32_t i = 0; i < test_scale(5000); i++) {
			struct set_member member = {.expires_ns = SET_FOREVER};
			union set_key *key = &member.key;

			if (types[t] == SET_NET) {
				random_address(key->net.addr, i % 2);
				memcpy(key->net.addr + 1, &i, i % 2 ? 4 : 3);
				key->net.v6 = i % 2;
				key->net.len = i % 2 ? 128 : 32;
			} else if (types[t] == SET_FLOW) {
				uint32_t a[4] = {i}, b[4] = {10};

				flow_key_set(&key->flow, 4, PARSE_IP_TCP, a, 1, b, 2);
			} else {
				memcpy(key->mac, &i, 4);
			}
			assert_int_equal(setmaps_add(&rig.target, 0, &rig.set, &member, &error), 1);
		}
		for (uint32_t i = 0; i < test_scale(5000) && types[t] == SET_NET; i++) {
			const struct set_member *member = &rig.set.members[i];
			char text[SET_TEXT_BYTES];

			packet_from(packet, set_format_member(SET_ADDRESS, member, text));
			assert_true(kernel_drops(loader_judge_fd(&rig.loader), packet));
		}
		rig_destroy(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_hits),
		cmocka_unit_test(test_replace_under_load),
		cmocka_unit_test(test_growth),
	};
	struct filter filter;
	struct loader_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct loader loader;

	filter_init(&filter);
	filter.default_action = FILTER_PASS;
	if (loader_load(&loader, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	loader_destroy(&loader);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
