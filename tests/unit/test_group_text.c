/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups in words, and as JSON, as `xfq check` shows them. */
#include "apps/group_text.h"
#include "config_check.h"

static const char text[] =
	"plugins: { voip: { file: /bin/sh } }\n"
	"filter:\n"
	"  sets:\n"
	"    lab: { type: net, entries: [192.0.2.0/24] }\n"
	"    live: { type: flow }\n"
	"groups:\n"
	"  web:\n"
	"    match: tcp port 80\n"
	"    in: [{ set: lab, field: either }, { set: live, not: true }]\n"
	"    plugin: { name: voip, not: true }\n"
	"    inner: true\n"
	"    classes: { user: { members: 2 }, control: }\n"
	"    steer: { by: sticky, idle: 5 }\n"
	"    cases:\n"
	"      - { match: udp, sample: { of: 3, by: packet }, count: u, mark: 7, tee: ids, action: "
	"pass }\n"
	"      - { in: { set: lab, field: src }, marked: 7, sample: 9, action: drop }\n"
	"      - { plugin: voip, class: control, steer: { by: plugin, name: voip, else: drop } }\n"
	"      - { in: { set: lab, field: dst }, steer: to:1 }\n"
	"      - {}\n"
	"  ids: { tee_only: true }\n";

static void test_cases(void **state)
{
	static const char *const wanted[] = {
		"\"udp\", 1 packet in 3: count u, mark 7, tee ids, pass",
		"src in lab, marked 7, 1 flow in 9: drop",
		"plug-in voip: deliver to class control by plugin voip else drop",
		"dst in lab: deliver by to 1",
		"every packet: deliver",
	};
	char shown[GROUP_TEXT_BYTES];
	struct config config;

	(void)state;
	read_good(&config, text);
	assert_int_equal(config.groups[0].spec.case_cnt, 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_string_equal(group_case_text(&config, &config.groups[0],
						    &config.groups[0].spec.cases[i], shown,
						    sizeof(shown)),
				    wanted[i]);
	assert_string_equal(
		group_when_text(&config, &config.groups[0].spec.when, shown, sizeof(shown)),
		"\"tcp port 80\", src or dst in lab, not flow in live, not plug-in voip");
	assert_string_equal(
		group_steer_text(&config, &config.groups[0].spec.steer, shown, sizeof(shown)),
		"sticky 65536 flows, idle 5 s");
	config_destroy(&config);
}

/* Whatever the room, the text ends within it, and is the beginning of the whole. */
static void test_cut(void **state)
{
	char whole[GROUP_TEXT_BYTES], shown[GROUP_TEXT_BYTES];
	const struct config_group *group;
	struct config config;

	(void)state;
	read_good(&config, text);
	group = &config.groups[0];
	group_case_text(&config, group, &group->spec.cases[0], whole, sizeof(whole));
	for (size_t room = 1; room <= strlen(whole) + 1; room++) {
		memset(shown, 'x', sizeof(shown));
		group_case_text(&config, group, &group->spec.cases[0], shown, room);
		assert_int_equal(strlen(shown), room - 1);
		assert_memory_equal(shown, whole, room - 1);
		assert_int_equal(shown[room], 'x');
	}
	config_destroy(&config);
}

static void test_json(void **state)
{
	struct config config;
	json_t *web, *ids;

	(void)state;
	read_good(&config, text);
	web = group_json(&config, &config.groups[0]);
	ids = group_json(&config, &config.groups[1]);
	assert_non_null(web);
	assert_non_null(ids);
	assert_true(json_is_true(json_object_get(web, "inner")));
	assert_null(json_object_get(web, "tee_only"));
	assert_string_equal(json_string_value(json_object_get(web, "plugin")), "not voip");
	assert_int_equal(json_array_size(json_object_get(web, "in")), 2);
	assert_int_equal(json_array_size(json_object_get(web, "cases")), 5);
	assert_int_equal(json_object_size(json_object_get(web, "classes")), 2);
	assert_string_equal(json_string_value(json_object_get(web, "steer")),
			    "sticky 65536 flows, idle 5 s");
	assert_true(json_is_true(json_object_get(ids, "tee_only")));
	assert_null(json_object_get(ids, "cases"));
	assert_null(json_object_get(ids, "table"));
	json_decref(web);
	json_decref(ids);
	config_destroy(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
