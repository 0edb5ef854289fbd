/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of the application as predicate and steering function of an instance inside it. */
#include "tests/embedded_rig.h"
#include <xfq/plugin.h>

#define FLOWS   40
#define PACKETS 4000

static uint32_t created, destroyed, states;
static uint64_t asked, steered;

static int create(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
		  struct xfq_error *error)
{
	static uint32_t ports;

	assert_int_equal(arg_cnt, 1);
	assert_string_equal(args[0].name, "modulo");
	ports = (uint32_t)strtoul(args[0].value, NULL, 10);
	if (ports == 0)
		return xfq_error_set(error, -EDOM, "modulo %s is no number", args[0].value);
	created++;
	*instance = &ports;
	return 0;
}

static void destroy(void *instance)
{
	assert_non_null(instance);
	destroyed++;
}

static int create_state(void *instance, uint32_t worker, void **state, struct xfq_error *error)
{
	(void)error;
	assert_int_equal(worker, 0);
	states++;
	*state = instance;
	return 0;
}

static void destroy_state(void *instance, void *state)
{
	TRAFFIC_REQUIRE(instance == state);
	states--;
}

/* Half of the sum of the ports: of the traffic, a number of any kind. */
static uint32_t ports_of(const struct xfq_plugin_packet *pkt)
{
	const uint8_t *l4 = pkt->data + pkt->meta->l4_off;

	TRAFFIC_REQUIRE(pkt->meta->flags & XFQ_META_PORTS);
	return ((uint32_t)(l4[0] << 8 | l4[1]) + (uint32_t)(l4[2] << 8 | l4[3])) / 2;
}

/* Packets whose number is even. */
static uint64_t match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	uint64_t hits = 0;

	(void)state;
	asked += (uint64_t)__builtin_popcountll(wanted);
	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);

		TRAFFIC_REQUIRE(i < burst->cnt && burst->worker == 0);
		hits |= (uint64_t)(ports_of(&burst->pkts[i]) % 2 == 0) << i;
	}
	return hits;
}

static void steer(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		  uint32_t members, struct xfq_plugin_target *targets)
{
	const uint32_t *modulo = state;

	TRAFFIC_REQUIRE(members == 3);
	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);

		steered++;
		targets[i].kind = XFQ_TARGET_MEMBER;
		targets[i].value = ports_of(&burst->pkts[i]) / 2 % *modulo;
	}
}

static const struct xfq_plugin mine = {
	.version = XFQ_PLUGIN_VERSION,
	.size = sizeof(mine),
	.name = "mine",
	.create = create,
	.destroy = destroy,
	.create_state = create_state,
	.destroy_state = destroy_state,
	.match = match,
	.steer = steer,
};

static const char text[] = "plugins: { mine: {} }\n"
			   "groups:\n"
			   "  even: { plugin: mine, steer: { by: plugin, name: mine } }\n"
			   "  odd: { plugin: { name: mine, not: true } }\n";

/* Count what a member gets. */
struct counted {
	uint64_t packets, wrong;
	uint32_t member; /* 3: of the group of odd ones */
};

static void count(void *context, const struct xfq_packet *pkts, uint32_t cnt)
{
	struct counted *counted = context;

	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_plugin_packet pkt = {.data = pkts[i].data, .meta = pkts[i].meta};
		uint32_t number = ports_of(&pkt);

		counted->packets++;
		if (counted->member == 3)
			counted->wrong += number % 2 != 1;
		else
			counted->wrong += number % 2 != 0 || number / 2 % 3 != counted->member;
	}
}

static void test_functions(void **state)
{
	const struct xfq_plugin_arg args[] = {{"modulo", "3"}};
	struct xfq_instance_options options = {.read_path = rig.file};
	struct counted counted[4] = {{.member = 0}};
	struct xfq_error error = {0};
	struct xfq_config *config;
	char *errors = NULL;
	uint32_t used = 0;

	(void)state;
	traffic_write(rig.file, FLOWS, PACKETS);
	config = xfq_config_parse(text, &errors);
	if (!config)
		fail_msg("%s", errors);
	rig_done(xfq_config_plugin(config, "mine", &mine, args, 1, &error), &error);
	assert_int_equal(xfq_config_plugin(config, "mine", &mine, args, 1, &error), -EEXIST);
	rig_done(xfq_instance_create(&rig.instance, config, &options, &error), &error);
	for (uint32_t i = 0; i < 4; i++) {
		counted[i].member = i;
		rig_done(xfq_instance_callback(rig.instance, i < 3 ? "even" : "odd", count,
					       &counted[i], &error),
			 &error);
	}
	assert_int_equal(created, 1);
	assert_int_equal(states, 1);
	rig_start();
	rig_complete();
	xfq_instance_destroy(rig.instance);
	xfq_config_destroy(config);
	assert_int_equal(destroyed, 1);
	assert_int_equal(states, 0);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(counted[i].wrong, 0);
		used += counted[i].packets > 0;
	}
	/* the traffic has ports enough for two of the three, and for the others */
	assert_true(used >= 3 && counted[3].packets > 0);
	assert_int_equal(asked, PACKETS);
	assert_int_equal(counted[0].packets + counted[1].packets + counted[2].packets, steered);
	assert_int_equal(steered + counted[3].packets, PACKETS);
}

/* What is no plug-in, and what the functions themselves refuse. */
static void test_refused(void **state)
{
	const struct xfq_plugin_arg bad[] = {{"modulo", "0"}}, none[] = {{NULL, "0"}};
	const struct xfq_plugin other = {.version = 9, .size = sizeof(other), .match = match};
	struct xfq_instance_options options = {.read_path = rig.file};
	struct xfq_config *config = xfq_config_create();
	struct xfq_error error = {0};
	char name[8];

	(void)state;
	assert_non_null(config);
	assert_int_equal(xfq_config_plugin(config, NULL, &mine, NULL, 0, &error), -EINVAL);
	assert_int_equal(xfq_config_plugin(config, "a b", &mine, NULL, 0, &error), -EINVAL);
	assert_int_equal(xfq_config_plugin(config, "a", NULL, NULL, 0, &error), -EINVAL);
	assert_int_equal(xfq_config_plugin(config, "a", &mine, NULL, 1, &error), -EINVAL);
	assert_int_equal(xfq_config_plugin(config, "a", &mine, none, 1, &error), -EINVAL);
	assert_int_equal(xfq_config_plugin(config, "a", &other, NULL, 0, &error), -EPROTONOSUPPORT);
	assert_non_null(strstr(error.text, "version 9"));
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_int_equal(xfq_config_plugin(config, name, &mine, bad, 1, &error), 0);
	}
	assert_int_equal(xfq_config_plugin(config, "p16", &mine, bad, 1, &error), -E2BIG);
	assert_int_equal(xfq_instance_create(&rig.instance, config, &options, &error), -EDOM);
	assert_string_equal(error.text, "plug-in p0: it refuses to begin: modulo 0 is no number");
	xfq_config_destroy(config);
	/* named in a text, and given by nobody */
	config = xfq_config_parse(text, NULL);
	assert_non_null(config);
	assert_int_equal(xfq_instance_create(&rig.instance, config, &options, &error), -ENOENT);
	assert_non_null(strstr(error.text, "xfq_config_plugin"));
	xfq_config_destroy(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
