/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plug-ins: which are loaded and which are refused, with which words; what lives how long; and that
 * nothing that one says does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "steering/classify.h"
#include "tests/packet_builder.h"
#include "workers/plugin.h"
#include "xdp/first_pass.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED    0x5eedULL
#define WORKERS 3

static struct config config;
static struct xfq_error error;

static const char *plugin_dir(void)
{
	const char *dir = getenv("XFQ_PLUGIN_DIR");

	if (!dir)
		fail_msg("XFQ_PLUGIN_DIR names no folder");
	return dir;
}

/* --- configs made by hand --------------------------------------------------------------------- */

static void config_begin(void)
{
	memset(&error, 0, sizeof(error));
	config_init(&config);
	config.plugins = calloc(POLICY_PLUGINS_MAX, sizeof(*config.plugins));
	config.groups = calloc(4, sizeof(*config.groups));
	assert_non_null(config.plugins);
	assert_non_null(config.groups);
}

static struct config_plugin *config_add_plugin(const char *name, const char *file)
{
	struct config_plugin *plugin = &config.plugins[config.plugin_cnt++];

	strcpy(plugin->name, name);
	if (file && file[0] == '/')
		plugin->file = strdup(file);
	else if (file)
		assert_true(asprintf(&plugin->file, "%s/%s.so", plugin_dir(), file) > 0);
	plugin->args = calloc(8, sizeof(*plugin->args));
	assert_non_null(plugin->args);
	return plugin;
}

static void config_add_arg(struct config_plugin *plugin, const char *name, const char *value)
{
	plugin->args[plugin->arg_cnt].name = strdup(name);
	plugin->args[plugin->arg_cnt++].value = strdup(value);
}

/* Load the config's one plug-in: it fails with a code, and says something. */
static void refused(const char *file, int code, const char *words)
{
	struct plugins plugins;

	config_begin();
	config_add_plugin("mine", file);
	assert_int_equal(plugins_load(&plugins, &config, NULL, WORKERS, &error), code);
	if (!strstr(error.text, words) || !strstr(error.text, "plug-in mine: "))
		fail_msg("\"%s\" has no \"%s\"", error.text, words);
	assert_int_equal(plugins.cnt, 0);
	plugins_free(&plugins);
	config_destroy(&config);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void test_files(void **state)
{
	char path[] = "/tmp/xfq_plugin.XXXXXX", text[64];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	refused("/nonexistent/plugin.so", -ENOENT, "No such file");
	refused("/dev", -ENOEXEC, "is no file");
	refused(path, -ENOEXEC, "not to be loaded: ");
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	refused(path, -ENOEXEC, "not to be loaded: ");
	if (geteuid() == 0) {
		assert_int_equal(chmod(path, 0622), 0);
		snprintf(text, sizeof(text), "chmod go-w %s", path);
		refused(path, -EPERM, text);
	}
	close(fd);
	unlink(path);
}

/* By root, nothing out of a folder in which others may put another file in its place. */
static void test_folder(void **state)
{
	char dir[] = "/tmp/xfq_plugin.XXXXXX", path[64];
	FILE *file;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/some.so", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	refused(path, -EPERM, "the folder /tmp/xfq_plugin.");
	assert_int_equal(chmod(dir, 01777), 0);
	refused(path, -ENOEXEC, "not to be loaded: ");
	unlink(path);
	rmdir(dir);
}

static void test_objects(void **state)
{
	(void)state;
	refused("no_plugin", -ENOEXEC, "exports no function xfq_plugin()");
	refused("plugin_version", -EPROTONOSUPPORT, "for version 2 of xfq/plugin.h");
	refused("plugin_size", -EPROTONOSUPPORT, "has 16 bytes");
	refused("plugin_idle", -ENOEXEC, "neither a predicate");
	refused("plugin_unresolved", -ENOEXEC, "plugin_that_is_nowhere");
	refused(NULL, -ENOENT, "no `file`");
}

static void test_arguments(void **state)
{
	struct plugins plugins;

	(void)state;
	config_begin();
	config_add_arg(config_add_plugin("mine", "plugin_say"), "refuse", "no, not today");
	assert_int_equal(plugins_load(&plugins, &config, NULL, WORKERS, &error), -EDOM);
	assert_string_equal(error.text, "plug-in mine: it refuses to begin: no, not today");
	config_destroy(&config);
	config_begin();
	config_add_arg(config_add_plugin("mine", "plugin_say"), "refuse", "mute");
	config.path = strdup("some.yaml");
	config.plugins[0].line = 3;
	assert_int_equal(plugins_load(&plugins, &config, NULL, WORKERS, &error), -EDOM);
	assert_string_equal(error.text, "some.yaml:3: plug-in mine: it refuses to begin: Numerical "
					"argument out of domain");
	config_destroy(&config);
	config_begin();
	config_add_arg(config_add_plugin("mine", "steer_voip"), "port", "99999");
	assert_int_equal(plugins_load(&plugins, &config, NULL, WORKERS, &error), -EINVAL);
	assert_non_null(strstr(error.text, "\"99999\""));
	config_destroy(&config);
}

/* --- what lives how long ---------------------------------------------------------------------- */

static char diary[512];

static void diary_note(const char *what, long number)
{
	size_t len = strlen(diary);

	snprintf(diary + len, sizeof(diary) - len, "%s%ld ", what, number);
}

static int noted_create(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
			struct xfq_error *why)
{
	static long numbers[8];
	long number = arg_cnt > 0 ? strtol(args[0].value, NULL, 10) : 0;

	(void)why;
	numbers[number] = number;
	*instance = &numbers[number];
	diary_note("+i", number);
	return 0;
}

static void noted_destroy(void *instance)
{
	diary_note("-i", *(long *)instance);
}

static int noted_create_state(void *instance, uint32_t worker, void **state, struct xfq_error *why)
{
	static char states[8];

	diary_note("+s", *(long *)instance * 10 + worker);
	if (*(long *)instance == 7 && worker == 1)
		return xfq_error_set(why, -ENOSPC, "no more of them");
	*state = &states[worker];
	return 0;
}

static void noted_destroy_state(void *instance, void *state)
{
	(void)state;
	diary_note("-s", *(long *)instance);
}

static uint64_t noted_match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	(void)state;
	(void)burst;
	return wanted;
}

static const struct xfq_plugin noted = {
	.version = XFQ_PLUGIN_VERSION,
	.size = sizeof(noted),
	.name = "noted",
	.create = noted_create,
	.destroy = noted_destroy,
	.create_state = noted_create_state,
	.destroy_state = noted_destroy_state,
	.match = noted_match,
};

static void config_add_noted(const char *name, const char *number)
{
	struct config_plugin *plugin = config_add_plugin(name, NULL);

	plugin->functions = &noted;
	config_add_arg(plugin, "number", number);
}

static void wrote(const char *text)
{
	assert_string_equal(diary, text);
	diary[0] = '\0';
}

static void test_order(void **state)
{
	struct plugins plugins;
	void *states[POLICY_PLUGINS_MAX];

	(void)state;
	diary[0] = '\0';
	config_begin();
	config_add_noted("a", "1");
	config_add_noted("b", "2");
	assert_int_equal(plugins_load(&plugins, &config, NULL, 2, &error), 0);
	wrote("+i1 +s10 +s11 +i2 +s20 +s21 ");
	assert_int_equal(plugins.cnt, 2);
	plugins_states(&plugins, 1, states);
	assert_ptr_not_equal(states[0], plugins.seen[0].instance);
	plugins_free(&plugins);
	wrote("-s2 -s2 -i2 -s1 -s1 -i1 ");
	config_destroy(&config);
	/* a state that cannot be made takes all that was made before with it */
	config_begin();
	config_add_noted("a", "1");
	config_add_noted("b", "7");
	assert_int_equal(plugins_load(&plugins, &config, NULL, 2, &error), -ENOSPC);
	assert_string_equal(error.text, "plug-in b: no state for a worker: no more of them");
	wrote("+i1 +s10 +s11 +i7 +s70 +s71 -s7 -i7 -s1 -s1 -i1 ");
	config_destroy(&config);
}

/* What is the same in both configs goes on; what is not comes and goes. */
static void test_reload(void **state)
{
	struct plugins before, after;
	void *old[POLICY_PLUGINS_MAX], *new[POLICY_PLUGINS_MAX];

	(void)state;
	diary[0] = '\0';
	config_begin();
	config_add_noted("a", "1");
	config_add_noted("b", "2");
	config_add_noted("c", "3");
	assert_int_equal(plugins_load(&before, &config, NULL, 1, &error), 0);
	plugins_states(&before, 0, old);
	config_destroy(&config);
	wrote("+i1 +s10 +i2 +s20 +i3 +s30 ");
	config_begin();
	config_add_noted("b", "2");
	config_add_noted("a", "4");
	config_add_noted("d", "3");
	assert_int_equal(plugins_load(&after, &config, &before, 1, &error), 0);
	plugins_states(&after, 0, new);
	config_destroy(&config);
	wrote("+i4 +s40 +i3 +s30 ");
	assert_ptr_equal(after.seen[0].instance, before.seen[1].instance);
	assert_ptr_equal(after.seen[0].functions, before.seen[1].functions);
	assert_ptr_equal(new[0], old[1]);
	plugins_free(&before);
	wrote("-s3 -i3 -s1 -i1 ");
	plugins_free(&after);
	wrote("-s3 -i3 -s4 -i4 -s2 -i2 ");
}

/* --- what groups ask of them ------------------------------------------------------------------ */

static uint64_t never(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	return noted_match(state, burst, wanted) & 0;
}

static void nowhere(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		    uint32_t members, struct xfq_plugin_target *targets)
{
	(void)state;
	(void)burst;
	(void)wanted;
	(void)members;
	(void)targets;
}

static const struct xfq_plugin only_match = {
	.version = XFQ_PLUGIN_VERSION, .size = sizeof(only_match), .match = never};
static const struct xfq_plugin only_steer = {
	.version = XFQ_PLUGIN_VERSION, .size = sizeof(only_steer), .steer = nowhere};

static void test_uses(void **state)
{
	struct config_group *group;
	struct group_case *one;
	struct plugins plugins;

	(void)state;
	config_begin();
	config.path = strdup("some.yaml");
	config_add_plugin("m", NULL)->functions = &only_match;
	config_add_plugin("s", NULL)->functions = &only_steer;
	assert_int_equal(plugins_load(&plugins, &config, NULL, 1, &error), 0);
	group = &config.groups[config.group_cnt++];
	config_group_init(group);
	strcpy(group->name, "calls");
	group->line = 12;
	group->spec.when.plugin = 0;
	group->spec.steer.method = METHOD_PLUGIN;
	group->spec.steer.plugin = 1;
	assert_int_equal(plugins_check(&plugins, &config, &error), 0);
	group->spec.when.plugin = 1;
	assert_int_equal(plugins_check(&plugins, &config, &error), -EINVAL);
	assert_string_equal(error.text,
			    "some.yaml:12: group calls: plug-in s has no predicate (match)");
	group->spec.when.plugin = GROUP_NONE;
	one = group_spec_add_case(&group->spec);
	assert_non_null(one);
	one->line = 14;
	one->has_steer = true;
	one->steer.method = METHOD_PLUGIN;
	one->steer.plugin = 0;
	assert_int_equal(plugins_check(&plugins, &config, &error), -EINVAL);
	assert_string_equal(error.text,
			    "some.yaml:14: group calls: plug-in m does not steer (steer)");
	one->steer.plugin = 2;
	assert_int_equal(plugins_check(&plugins, &config, &error), -EINVAL);
	plugins_free(&plugins);
	config_destroy(&config);
}

/* --- what they say ---------------------------------------------------------------------------- */

#define PACKETS 64

static struct packet pkts[PACKETS];
static struct xfq_meta metas[PACKETS];
static uint8_t bytes[PACKETS][64];

static void make_packets(void)
{
	struct packet_builder b;

	for (uint32_t i = 0; i < PACKETS; i++) {
		packet_start(&b);
		packet_ipv4(&b, 0x0a000001, 0x0a000002 + i, 0);
		packet_udp(&b, 1000, 2000 + i);
		packet_finish(&b);
		memcpy(bytes[i], b.bytes, b.len);
		pkts[i] = (struct packet){.data = bytes[i], .meta = &metas[i], .len = b.len};
		first_pass_parse(SEED, bytes[i], b.len, b.len, &metas[i]);
	}
}

static uint32_t rude_calls;

/* Asked for the first time it says yes to all, wanted or not; then no. */
static uint64_t rude_match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	(void)state;
	(void)burst;
	(void)wanted;
	return rude_calls++ == 0 ? UINT64_MAX : 0;
}

static const struct xfq_plugin rude = {
	.version = XFQ_PLUGIN_VERSION, .size = sizeof(rude), .match = rude_match};

/* Two groups: what goes to ports 2002 to 2009 and the plug-in matches; what it does not match. Of
 * bursts of several lengths, those packets must be theirs. */
static void check_predicate(uint64_t first, uint64_t second)
{
	static struct classify classify;
	struct policy_data data = {.epoch = 1};
	struct policy_state remembered;
	struct group_spec spec, other;
	struct plugins plugins;
	struct policy policy;

	make_packets();
	assert_int_equal(plugins_load(&plugins, &config, NULL, 1, &error), 0);
	policy_init(&policy, SEED);
	policy.plugins = plugins.seen;
	policy.plugin_cnt = plugins.cnt;
	group_spec_init(&spec);
	group_spec_init(&other);
	spec.when.match = strdup("udp dst portrange 2002-2009");
	spec.when.plugin = 0;
	other.when.plugin = 0;
	other.when.plugin_negated = true;
	assert_int_equal(policy_add_group(&policy, "g", &spec, &error), 0);
	assert_int_equal(policy_add_group(&policy, "h", &other, &error), 0);
	assert_int_equal(policy_build(&policy, &error), 0);
	assert_int_equal(policy_state_create(&remembered, &policy, NULL, NULL), 0);
	plugins_states(&plugins, 0, remembered.plugin_states);
	assert_int_equal(classify_init(&classify, 0, 64), 0);
	for (uint32_t cnt = 1; cnt <= PACKETS; cnt += 21) {
		uint64_t all = cnt == 64 ? UINT64_MAX : (1ULL << cnt) - 1;

		/* in a burst of one packet nobody is asked but by the second group */
		rude_calls = cnt == 1;
		classify_burst(&classify, &policy, &data, &remembered, pkts, cnt);
		assert_int_equal(classify_when(&classify, &policy.groups[0].when, all),
				 first & all);
		assert_int_equal(classify_when(&classify, &policy.groups[1].when, all),
				 second & all);
		classify_end(&classify);
	}
	classify_destroy(&classify);
	policy_state_destroy(&remembered, &policy);
	policy_destroy(&policy);
	group_spec_destroy(&spec);
	group_spec_destroy(&other);
	plugins_free(&plugins);
	config_destroy(&config);
}

/* Bits that nobody wanted are not heard. */
static void test_predicate(void **state)
{
	(void)state;
	config_begin();
	config_add_arg(config_add_plugin("m", "plugin_say"), "match", "0xffffffffffffff0f");
	check_predicate(0x30c, 0xf0);
	config_begin();
	config_add_plugin("m", NULL)->functions = &rude;
	check_predicate(0x3fc, ~0x3fcULL);
}

/* The members of a burst, by a plug-in that says `kind` and `value`; those it says nothing of. */
static uint64_t steered(const char *kind, const char *value, uint32_t members,
			enum method_else otherwise, uint64_t *targets)
{
	struct method_spec spec = {.method = METHOD_PLUGIN, .otherwise = otherwise};
	struct method_context context = {.seed = SEED};
	struct method_state remembered = {0};
	void *states[POLICY_PLUGINS_MAX];
	static struct roster roster;
	struct plugins plugins;
	uint8_t index[PACKETS];
	uint64_t missed;

	memset(&roster, 0, sizeof(roster));
	for (uint32_t m = 0; m < members; m++)
		assert_true(roster_join(&roster, &roster, (uint16_t)m, 1));
	config_begin();
	config_add_arg(config_add_plugin("s", "plugin_say"), "kind", kind);
	config_add_arg(&config.plugins[0], "value", value);
	assert_int_equal(plugins_load(&plugins, &config, NULL, 1, &error), 0);
	plugins_states(&plugins, 0, states);
	context.plugins = plugins.seen;
	context.plugin_states = states;
	/* all packets but the first, the last one first */
	for (uint32_t i = 0; i < PACKETS - 1; i++)
		index[i] = (uint8_t)(PACKETS - 1 - i);
	missed = method_targets(&spec, &remembered, &context, &roster, pkts, index, PACKETS - 1,
				targets);
	plugins_free(&plugins);
	config_destroy(&config);
	return missed;
}

static void test_targets(void **state)
{
	const uint64_t some = (1ULL << (PACKETS - 1)) - 1;
	uint64_t targets[PACKETS], flow[PACKETS];
	uint32_t seen = 0;

	(void)state;
	make_packets();
	/* nothing, and what there is not: by flow, or to nobody */
	assert_int_equal(steered("0", "0", 3, METHOD_ELSE_FLOW, flow), some);
	assert_int_equal(steered("77", "5", 3, METHOD_ELSE_FLOW, targets), some);
	assert_memory_equal(targets, flow, (PACKETS - 1) * sizeof(targets[0]));
	assert_int_equal(steered("0", "0", 3, METHOD_ELSE_DROP, targets), some);
	for (uint32_t i = 0; i < PACKETS - 1; i++) {
		assert_int_equal(targets[i], 0);
		assert_true(flow[i] == 1 || flow[i] == 2 || flow[i] == 4);
	}
	/* to nobody */
	assert_int_equal(steered("1", "9", 3, METHOD_ELSE_FLOW, targets), 0);
	for (uint32_t i = 0; i < PACKETS - 1; i++)
		assert_int_equal(targets[i], 0);
	/* by a number: equal ones meet, and all members have some */
	assert_int_equal(steered("2", "12345678901234", 3, METHOD_ELSE_FLOW, targets), 0);
	for (uint32_t i = 1; i < PACKETS - 1; i++)
		assert_int_equal(targets[i], targets[0]);
	assert_int_equal(steered("2", "port", 3, METHOD_ELSE_FLOW, targets), 0);
	for (uint32_t i = 0; i < PACKETS - 1; i++)
		seen |= (uint32_t)targets[i];
	assert_int_equal(seen, 7);
	/* to a place, modulo members: packet 63 has port 2063 */
	assert_int_equal(steered("3", "port", 3, METHOD_ELSE_FLOW, targets), 0);
	for (uint32_t i = 0; i < PACKETS - 1; i++)
		assert_int_equal(targets[i], 1 << (2063 - i) % 3);
	assert_int_equal(steered("3", "0xffffffffffffffff", 64, METHOD_ELSE_FLOW, targets), 0);
	assert_int_equal(targets[0], 1ULL << 63);
	/* to several, of those that there are */
	assert_int_equal(steered("4", "0xfffffffffffffffd", 3, METHOD_ELSE_FLOW, targets), 0);
	assert_int_equal(targets[5], 5);
	assert_int_equal(steered("4", "8", 3, METHOD_ELSE_FLOW, targets), 0);
	assert_int_equal(targets[5], 0);
	assert_int_equal(steered("4", "0xffffffffffffffff", 64, METHOD_ELSE_FLOW, targets), 0);
	assert_int_equal(targets[5], UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),   cmocka_unit_test(test_folder),
		cmocka_unit_test(test_objects), cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_order),   cmocka_unit_test(test_reload),
		cmocka_unit_test(test_uses),    cmocka_unit_test(test_predicate),
		cmocka_unit_test(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
