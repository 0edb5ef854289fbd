/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance inside the application is made of: configs from files, from text and from code,
 * and all that is refused, with its sentence.
 */
#include "tests/embedded_rig.h"
#include "workers/config.h"
#include <sys/stat.h>

#define LONG_NAME "a-name-that-is-one-byte-too-long"

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", rig.folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* --- text and files --------------------------------------------------------------------------- */

/* A config that is refused has all its errors in one text, a line each. */
static void test_text_errors(void **state)
{
	char *errors = NULL;

	(void)state;
	assert_null(xfq_config_parse("groups:\n  a: { steer: up }\n  b: { ring: 100 }\n", &errors));
	assert_non_null(strstr(errors, "config:2: groups.a.steer:"));
	assert_non_null(strstr(errors, "\nconfig:3: groups.b.ring:"));
	assert_true(errors[strlen(errors) - 1] == '\n');
	free(errors);
	assert_null(xfq_config_parse("", &errors));
	assert_non_null(errors);
	free(errors);
	assert_null(xfq_config_parse("groups: [", NULL));
	assert_null(xfq_config_read("/nonexistent/xfq.yaml", NULL));
	assert_null(xfq_config_read("/nonexistent/xfq.yaml", &errors));
	assert_non_null(strstr(errors, "/nonexistent/xfq.yaml:1: "));
	free(errors);
}

static void test_text(void **state)
{
	struct xfq_config *config;
	char *errors = (char *)(uintptr_t) "stale";

	(void)state;
	config = xfq_config_parse("groups: { all: { members: 0 } }", &errors);
	assert_non_null(config);
	assert_null(errors);
	xfq_config_destroy(config);
	xfq_config_destroy(NULL);
}

/* Run a config on ten flows, of which a set drops the first eight, and destroy it. */
static void check_set(struct xfq_config *config)
{
	struct xfq_instance_options options = {.read_path = rig.file};
	struct xfq_error error = {0};
	json_t *status;

	assert_non_null(config);
	traffic_write(rig.file, 16, 32);
	rig_done(xfq_instance_create(&rig.instance, config, &options, &error), &error);
	xfq_config_destroy(config);
	rig_done(xfq_instance_connect(&rig.xfq, rig.instance, &error), &error);
	rig_start();
	rig_complete();
	status = rig_finish();
	/* half of the first host's packets are IPv4, and in both directions */
	assert_int_equal(rig_number(json_object_get(status, "verdicts"), "drop"), 8);
	assert_int_equal(rig_number(rig_group(status, "all"), "packets"), 24);
	json_decref(status);
}

/* Files that a config names lie beside it; those that a text names, in the working directory. */
static void test_files(void **state)
{
	static const char text[] =
		"name: sets\n"
		"filter:\n"
		"  sets: { near: { type: net, file: near.txt } }\n"
		"  rules: [ { action: drop, in: { set: near, field: either } } ]\n"
		"groups: { all: { run: worker } }\n";
	char folder[256];
	char *errors;

	(void)state;
	write_file("near.txt", "10.0.0.0/32\n");
	write_file("set.yaml", text);
	check_set(xfq_config_read(path_of("set.yaml"), NULL));
	assert_null(xfq_config_parse(text, &errors));
	assert_non_null(strstr(errors, "near.txt"));
	free(errors);
	assert_non_null(getcwd(folder, sizeof(folder)));
	assert_int_equal(chdir(rig.folder), 0);
	check_set(xfq_config_parse(text, NULL));
	assert_int_equal(chdir(folder), 0);
}

/* --- code ------------------------------------------------------------------------------------- */

static void refuse_interface(struct xfq_config *config, const char *name, const char *mode,
			     int code, const char *words)
{
	struct xfq_error error = {0};

	rig_expect(xfq_config_interface(config, name, mode, &error), &error, code, words);
	assert_int_equal(xfq_config_interface(config, name, mode, NULL), code);
}

static void test_interfaces(void **state)
{
	static const char *const modes[] = {NULL, "auto", "zero-copy", "native", "generic"};
	struct xfq_config *config = xfq_config_create();
	char name[16];

	(void)state;
	assert_non_null(config);
	refuse_interface(config, NULL, NULL, -EINVAL, "\"\" is no interface");
	refuse_interface(config, "", NULL, -EINVAL, "\"\" is no interface");
	refuse_interface(config, "eth0/1", NULL, -EINVAL, "\"eth0/1\" is no interface");
	refuse_interface(config, "eth 0", NULL, -EINVAL, "1 to 15 characters");
	refuse_interface(config, "an-interface-too-long", NULL, -EINVAL, "1 to 15 characters");
	refuse_interface(config, "eth0", "fast", -EINVAL, "interface eth0: \"fast\" is none of");
	refuse_interface(config, "eth0", "", -EINVAL, "auto, zero-copy, native, generic");
	for (int i = 0; i < XDP_INTERFACES_MAX; i++) {
		snprintf(name, sizeof(name), "eth%d", i);
		assert_int_equal(xfq_config_interface(config, name, modes[i % 5], NULL), 0);
		refuse_interface(config, name, NULL, -EEXIST, "is there already");
	}
	refuse_interface(config, "more", NULL, -E2BIG, "interface more: there are");
	xfq_config_destroy(config);
}

static void refuse_group(struct xfq_config *config, const char *name,
			 struct xfq_group_options options, int code, const char *words)
{
	struct xfq_error error = {0};

	rig_expect(xfq_config_group(config, name, &options, &error), &error, code, words);
	assert_int_equal(xfq_config_group(config, name, &options, NULL), code);
}

static void test_groups(void **state)
{
	static const struct xfq_group_options plain;
	struct xfq_group_options options = {.match = "udp port 53",
					    .steer = "ip-pair",
					    .members_max = 64,
					    .ring_slots = 65536,
					    .spill = true};
	struct xfq_config *config = xfq_config_create();
	char name[32], match[10000];

	(void)state;
	refuse_group(config, NULL, plain, -EINVAL, "\"\" is no name");
	refuse_group(config, "", plain, -EINVAL, "1 to 31 letters");
	refuse_group(config, ".web", plain, -EINVAL, "\".web\" is no name");
	refuse_group(config, "we b", plain, -EINVAL, "\"we b\" is no name");
	refuse_group(config, LONG_NAME, plain, -EINVAL, "is no name");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "up"}, -EINVAL,
		     "group web: \"up\" is none of the ways to steer: flow, ip-pair");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "broadcast", .spill = true},
		     -EINVAL, "nobody to spill to");
	refuse_group(config, "web", (struct xfq_group_options){.members_max = 65}, -EINVAL,
		     "at most 64 members, and not 65");
	refuse_group(config, "web", (struct xfq_group_options){.ring_slots = 32}, -EINVAL,
		     "32 slots are no power of two from 64 to 65536");
	refuse_group(config, "web", (struct xfq_group_options){.ring_slots = 100}, -EINVAL,
		     "100 slots");
	refuse_group(config, "web", (struct xfq_group_options){.ring_slots = 131072}, -EINVAL,
		     "131072 slots");
	refuse_group(config, "web", (struct xfq_group_options){.match = "tcp prot 80"}, -EINVAL,
		     "group web: expression \"tcp prot 80\": ");
	refuse_group(config, "web", (struct xfq_group_options){.match = "inbound"}, -EINVAL,
		     "would never match");
	memset(match, ' ', sizeof(match));
	memcpy(match + sizeof(match) - 4, "udp", 4);
	refuse_group(config, "web", (struct xfq_group_options){.match = match}, -E2BIG,
		     "group web: expression");
	options.reserved[30] = 1;
	refuse_group(config, "web", options, -EINVAL, "reserved fields of the options must be 0");
	options.reserved[30] = 0;
	assert_int_equal(xfq_config_group(config, "web", &options, NULL), 0);
	refuse_group(config, "web", plain, -EEXIST, "group web is there already");
	for (int i = 1; i < CONFIG_GROUPS_MAX; i++) {
		snprintf(name, sizeof(name), "group-%d", i);
		assert_int_equal(xfq_config_group(config, name, NULL, NULL), 0);
	}
	refuse_group(config, "more", plain, -E2BIG, "group more: there are 64");
	xfq_config_destroy(config);
}

/* Every word steers; what needs more than a word says so. */
static void test_steer(void **state)
{
	static const char *const words[] = {"flow", "ip-pair", "src",         "dst",      "double",
					    "link", "vlan",    "queue",       "rss-hash", "random",
					    "to:3", "sticky",  "round-robin", "broadcast"};
	struct xfq_config *config = xfq_config_create();
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct xfq_group_options options = {.steer = words[i]};

		snprintf(name, sizeof(name), "group-%zu", i);
		assert_int_equal(xfq_config_group(config, name, &options, NULL), 0);
	}
	refuse_group(config, "web", (struct xfq_group_options){.steer = ""}, -EINVAL,
		     "\"\" is none of the ways to steer");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "key"}, -EINVAL,
		     "group web: \"key\" wants more than a word, which a config as text can say");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "plugin"}, -EINVAL,
		     "\"plugin\" wants more than a word");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "to:64"}, -EINVAL,
		     "\"to:64\" wants more than a word, such as to:3");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "to:4"}, -EINVAL,
		     "there is no member 4: the group has at most 4, numbered from 0");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "to:2", .members_max = 2},
		     -EINVAL, "there is no member 2");
	refuse_group(config, "web", (struct xfq_group_options){.steer = "double", .spill = true},
		     -EINVAL, "which gives a packet to two members");
	xfq_config_destroy(config);
}

/* What a group is that code has made, as members see it. */
static void test_group_options(void **state)
{
	struct xfq_instance_options options = {.read_path = rig.file};
	struct xfq_group_options some = {.steer = "broadcast", .members_max = 3, .ring_slots = 64};
	struct xfq_config *config = xfq_config_create();
	struct xfq_group groups[2];
	struct xfq_error error = {0};

	(void)state;
	traffic_write(rig.file, 1, 1);
	assert_int_equal(xfq_config_group(config, "plain", NULL, NULL), 0);
	assert_int_equal(xfq_config_group(config, "some", &some, NULL), 0);
	rig_done(xfq_instance_create(&rig.instance, config, &options, &error), &error);
	rig_done(xfq_instance_connect(&rig.xfq, rig.instance, &error), &error);
	assert_string_equal(xfq_name(rig.xfq), "xfq");
	assert_int_equal(xfq_groups(rig.xfq, groups, 2, NULL), 2);
	assert_string_equal(groups[0].name, "plain");
	assert_string_equal(groups[0].steer, "flow");
	assert_int_equal(groups[0].members, 0);
	assert_int_equal(groups[0].members_max, CONFIG_JOIN_MAX);
	assert_int_equal(groups[0].ring_slots, 1024);
	assert_true(groups[0].allowed);
	assert_string_equal(groups[1].steer, "broadcast");
	assert_int_equal(groups[1].members_max, 3);
	assert_int_equal(groups[1].ring_slots, 64);
	json_decref(rig_finish());
	xfq_config_destroy(config);
}

/* --- instances -------------------------------------------------------------------------------- */

/* An instance that is refused, of a config that is empty then. */
static void refuse_instance(struct xfq_config *config, const char *read_path, int code,
			    const char *words)
{
	struct xfq_instance_options options = {.read_path = read_path};
	struct xfq_instance *instance = (struct xfq_instance *)&options;
	struct xfq_error error = {0};
	int fds = rig_open_fds();

	rig_expect(xfq_instance_create(&instance, config, &options, &error), &error, code, words);
	assert_null(instance);
	assert_int_equal(xfq_instance_create(&instance, config, &options, NULL),
			 read_path ? code : -EINVAL);
	assert_int_equal(rig_open_fds(), fds);
}

static void test_refused(void **state)
{
	struct xfq_config *config = xfq_config_create();
	struct xfq_instance_options options = {.reserved = {1}};
	struct xfq_instance *instance;
	struct xfq_error error = {0};

	(void)state;
	rig_expect(xfq_instance_create(&instance, config, NULL, &error), &error, -EINVAL,
		   "instance xfq: no interfaces; add one to the config, or set read_path");
	rig_expect(xfq_instance_create(&instance, config, &options, &error), &error, -EINVAL,
		   "reserved fields");
	assert_int_equal(xfq_config_interface(config, "nosuch0", NULL, NULL), 0);
	refuse_instance(config, NULL, -ENODEV, "nosuch0");
	refuse_instance(config, path_of("nothing"), -ENOENT, "nothing: No such file");
	refuse_instance(config, rig.folder, -EINVAL, "is no regular file");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	refuse_instance(config, path_of("fifo"), -EINVAL, "fifo: is no regular file");
	write_file("text", "this is no capture file");
	refuse_instance(config, path_of("text"), -EINVAL, "cannot be read as a pcap");
	write_file("empty", "");
	refuse_instance(config, path_of("empty"), -EINVAL, "empty");
	xfq_config_destroy(config);
}

/* A name is the text's, else the first interface's, and is one instance's at a time. */
static void test_socket_name(void **state)
{
	struct xfq_instance_options options = {.read_path = rig.file, .socket = true};
	struct xfq_config *config = xfq_config_create();
	struct xfq_instance *instances[2];
	struct xfq_error error = {0};
	struct xfq *xfq;
	mode_t mask;

	(void)state;
	traffic_write(rig.file, 1, 1);
	assert_int_equal(xfq_config_interface(config, "eth0.5", NULL, NULL), 0);
	mask = umask(0077);
	rig_done(xfq_instance_create(&instances[0], config, &options, &error), &error);
	assert_int_equal(umask(mask), 0077);
	rig_done(xfq_open(&xfq, "eth0.5", &error), &error);
	xfq_close(xfq);
	assert_int_equal(xfq_config_interface(config, "eth0.5", NULL, NULL), 0);
	rig_expect(xfq_instance_create(&instances[1], config, &options, &error), &error,
		   -EADDRINUSE, "an instance named eth0.5 is running");
	rig_done(xfq_instance_create(&instances[1], config, &options, &error), &error);
	rig_done(xfq_open(&xfq, "xfq", &error), &error);
	xfq_close(xfq);
	xfq_instance_destroy(instances[0]);
	assert_int_equal(xfq_open(&xfq, "eth0.5", NULL), -ENOENT);
	xfq_instance_destroy(instances[1]);
	xfq_config_destroy(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_errors),   cmocka_unit_test(test_text),
		cmocka_unit_test(test_files),         cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_steer),         cmocka_unit_test(test_groups),
		cmocka_unit_test(test_group_options), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_socket_name),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
