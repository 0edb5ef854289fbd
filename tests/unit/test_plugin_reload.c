/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reloads under traffic of an engine whose groups ask plug-ins: what stays the same goes on, what
 * does not is called until the last packet of before is handed out, and never afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apps/instance/config_yaml.h"
#include "tests/traffic.h"
#include "workers/engine.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLOWS     64
#define PACKETS   40000
#define INSTANCES 64

/* An instance of a plug-in; the test's and the worker's. */
struct kept {
	uint32_t alive, states, asked, steered;
	char name[16]; /* its argument */
};

static struct kept kept[INSTANCES];
static uint32_t kept_cnt;
static char folder[] = "/tmp/xfq-plugin-XXXXXX", file[64];
static struct engine engine;

static int create(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
		  struct xfq_error *error)
{
	struct kept *one = &kept[kept_cnt++];

	(void)error;
	assert_true(kept_cnt <= INSTANCES);
	one->alive = 1;
	snprintf(one->name, sizeof(one->name), "%s", arg_cnt > 0 ? args[0].value : "");
	*instance = one;
	return 0;
}

static void destroy(void *instance)
{
	struct kept *one = instance;

	assert_int_equal(one->states, 0);
	__atomic_store_n(&one->alive, 0, __ATOMIC_RELEASE);
}

static int create_state(void *instance, uint32_t worker, void **state, struct xfq_error *error)
{
	(void)worker;
	(void)error;
	((struct kept *)instance)->states++;
	*state = instance;
	return 0;
}

static void destroy_state(void *instance, void *state)
{
	assert_ptr_equal(instance, state);
	((struct kept *)instance)->states--;
}

static uint64_t match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	struct kept *one = state;

	(void)burst;
	TRAFFIC_REQUIRE(__atomic_load_n(&one->alive, __ATOMIC_ACQUIRE));
	__atomic_fetch_add(&one->asked, (uint32_t)__builtin_popcountll(wanted), __ATOMIC_RELAXED);
	return wanted;
}

static void steer(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		  uint32_t members, struct xfq_plugin_target *targets)
{
	struct kept *one = state;

	(void)members;
	TRAFFIC_REQUIRE(__atomic_load_n(&one->alive, __ATOMIC_ACQUIRE));
	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);

		targets[i].kind = XFQ_TARGET_HASH;
		targets[i].value = burst->pkts[i].meta->flow_hash;
		__atomic_fetch_add(&one->steered, 1, __ATOMIC_RELAXED);
	}
}

static const struct xfq_plugin plugin = {
	.version = XFQ_PLUGIN_VERSION,
	.size = sizeof(plugin),
	.create = create,
	.destroy = destroy,
	.create_state = create_state,
	.destroy_state = destroy_state,
	.match = match,
	.steer = steer,
};

static struct config *config_of(const char *text)
{
	struct config *config = malloc(sizeof(*config));
	struct config_errors errors = {0};

	assert_non_null(config);
	if (config_read_buffer(config, "text", ".", text, strlen(text), &errors))
		fail_msg("%s", errors.lines[0].text);
	for (uint32_t i = 0; i < config->plugin_cnt; i++)
		if (!config->plugins[i].file)
			config->plugins[i].functions = &plugin;
	return config;
}

static void reload(struct config **config, const char *text)
{
	struct config *next = config_of(text);
	struct xfq_error error;

	if (engine_reload(&engine, next, NULL, &error))
		fail_msg("%s", error.text);
	config_free(*config);
	*config = next;
}

/* How many instances there are, and the one of an argument. */
static uint32_t alive(const char *name, struct kept **found)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < kept_cnt; i++) {
		cnt += kept[i].alive;
		if (found && kept[i].alive && strcmp(kept[i].name, name) == 0)
			*found = &kept[i];
	}
	return cnt;
}

static const char first[] =
	"plugins: { a: { args: { n: a } }, b: { args: { n: b } } }\n"
	"groups: { g: { plugin: a, steer: { by: plugin, name: b }, members: 2, run: worker } }\n";
static const char second[] =
	"plugins: { b: { args: { n: other } }, a: { args: { n: a } } }\n"
	"groups: { g: { plugin: a, steer: { by: plugin, name: b }, members: 2, run: worker } }\n";

static void test_reload(void **state)
{
	const struct engine_options options = {.read_path = file, .stop_fds = {-1, -1}};
	struct config *config = config_of(first), *bad;
	struct kept *a = NULL, *now = NULL;
	struct xfq_error error;
	uint32_t steered = 0;

	(void)state;
	traffic_write(file, FLOWS, PACKETS);
	if (engine_create(&engine, config, &options, &error))
		fail_msg("%s", error.text);
	assert_int_equal(alive("a", &a), 2);
	assert_int_equal(a->states, 1);
	if (engine_attach(&engine, &error) || engine_start(&engine, &error))
		fail_msg("%s", error.text);
	for (int i = 0; i < 8; i++) {
		reload(&config, i % 2 ? first : second);
		/* one stays, the other is another one */
		assert_int_equal(alive("a", &now), 2);
		assert_ptr_equal(now, a);
		assert_int_equal(a->states, 1);
		assert_int_equal(kept_cnt, 3 + i);
	}
	/* a reload that is refused leaves what there is, and nothing of its own */
	bad = config_of("plugins: { c: { args: { n: c } } }\n"
			"groups: { g: { plugin: c, steer: { by: to, member: 63 }, members: 64,\n"
			"  run: worker }, h: { members: 64 }, i: { members: 64 } }\n");
	if (engine_reload(&engine, bad, NULL, &error) == 0)
		fail_msg("more members than there are places");
	config_free(bad);
	assert_int_equal(alive("a", &now), 2);
	assert_ptr_equal(now, a);
	while (!engine_is_done(&engine))
		usleep(1000);
	if (engine_stop(&engine, &error))
		fail_msg("%s", error.text);
	for (uint32_t i = 0; i < kept_cnt; i++)
		steered += kept[i].steered;
	assert_int_equal(a->asked, PACKETS);
	assert_int_equal(a->steered, 0);
	assert_int_equal(steered, PACKETS);
	engine_destroy(&engine);
	assert_int_equal(alive("a", NULL), 0);
	for (uint32_t i = 0; i < kept_cnt; i++)
		assert_int_equal(kept[i].states, 0);
	config_free(config);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/traffic.pcapng", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	remove(file);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reload)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
