/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups of a configuration: conditions, methods, classes, cases, tables, plug-ins, claims. */
#include "apps/instance/config_steer.h"
#include "config_check.h"
#include "steering/table.h"
#include <unistd.h>

/* A folder with a table and what passes for a plug-in. */
static char folder[64];

static void file_write(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static const char *const files[] = {"rules.csv", "own.rules", "bad.csv", "voip.so"};

static int folder_create(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/xfq_test_groups.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	file_write("rules.csv",
		   "priority,src,dst,sport,dport,proto,flags,action\n"
		   "150,198.51.100.0/24,any,any,1521-1522,tcp,syn/syn+ack,class:control\n"
		   "# more\n"
		   "160,any,any,any,53,udp,,drop\n"
		   "170,any,2001:db8::/32,any,any,any,,\n");
	file_write("own.rules", "@198.51.100.0/24 203.0.113.0/25 0 : 65535 1521 : 1521 0x06/0xFF "
				"0x0000/0x0200\n");
	file_write("bad.csv", "10,any,any,any,any,tcp,,\n\n20,any,any,any,any,tcp,,class:nobody\n");
	file_write("voip.so", "");
	return 0;
}

static int folder_destroy(void **state)
{
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void read_in(struct config *config, const char *dir, const char *text)
{
	struct config_errors errors = {0};
	int code = config_read_buffer(config, "t.yaml", dir, text, strlen(text), &errors);

	errors_show(&errors);
	assert_int_equal(code, 0);
	config_errors_destroy(&errors);
}

/* One error in the folder; `file` it is of: NULL, or one of the folder's. */
static void refused_in(const char *text, const char *file, const char *wanted)
{
	struct config_errors errors = {0};
	struct config config;
	char line[512];

	assert_int_equal(config_read_buffer(&config, "t.yaml", folder, text, strlen(text), &errors),
			 -EINVAL);
	snprintf(line, sizeof(line), "%s%s%s:%s", file ? folder : "", file ? "/" : "",
		 file ? file : "t.yaml", wanted);
	assert_int_equal(errors.cnt, 1);
	assert_string_equal(errors.lines[0].text, line);
	config_errors_destroy(&errors);
}

/* --- methods --------------------------------------------------------------------------------- */

/* A group's method, as the plan shows it. */
static void check_steer(const char *value, const char *wanted)
{
	struct method_spec spec;
	struct config config;
	char text[512];

	snprintf(text, sizeof(text), "groups:\n  g: { members: 8, steer: %s }\n", value);
	read_good(&config, text);
	spec = config.groups[0].spec.steer;
	assert_string_equal(method_spec_text(&spec, text, sizeof(text)), wanted);
	config_destroy(&config);
}

static void test_steer_words(void **state)
{
	static const char *const words[] = {
		"flow",  "ip-pair",  "src",         "dst",    "double",    "link",  "vlan",
		"queue", "rss-hash", "round-robin", "random", "broadcast", "sticky"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		check_steer(words[i], words[i]);
		snprintf(text, sizeof(text), "{ by: %s }", words[i]);
		check_steer(text, words[i]);
	}
	check_steer("to:3", "to 3");
	check_steer("\"to:0\"", "to 0");
	check_steer("{ by: to, member: 11 }", "to 11");
}

static void test_steer_parameters(void **state)
{
	(void)state;
	check_steer("{ by: to, member: 3, else: drop }", "to 3 else drop");
	check_steer("{ by: local-link, gateway: \"02:00:00:00:00:01\" }",
		    "local-link 02:00:00:00:00:01");
	check_steer("{ by: local-ip, nets: [192.0.2.7/24, \"2001:db8::/32\"], else: drop }",
		    "local-ip 192.0.2.0/24,2001:db8::/32 else drop");
	check_steer("{ else: flow, nets: [10.0.0.0/8/24, 192.0.2.0/24], by: local-net }",
		    "local-net 10.0.0.0/8/24,192.0.2.0/24");
	check_steer("{ by: local-net, nets: [\"2001:db8::/32/64\"] }",
		    "local-net 2001:db8::/32/64");
	check_steer("{ by: field, offset: 26, size: 4 }", "field 26 4");
	check_steer("{ by: field, offset: 26, with: 30, size: 4, else: drop }",
		    "field 26,30 4 symmetric else drop");
	check_steer("{ by: field, offset: 0, with: 6, size: 6, each: true }", "field 0,6 6 each");
	check_steer("{ by: field, offset: 0, with: 6, size: 6, each: false }",
		    "field 0,6 6 symmetric");
	check_steer("{ by: key, fields: [src, dst, sport, dport, proto, vlan, src-mac, dst-mac, "
		    "ethertype, tos, flow-label, dscp, ecn, icmp-type, icmp-code] }",
		    "key src,dst,sport,dport,proto,vlan,src-mac,dst-mac,ethertype,tos,flow-label,"
		    "dscp,ecn,icmp-type,icmp-code");
	check_steer("{ by: key, fields: [dst, src], symmetric: true, else: drop }",
		    "key src,dst symmetric else drop");
	check_steer("{ by: ip-pair, else: drop }", "ip-pair else drop");
}

static void test_sticky(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "groups:\n  a: { steer: sticky }\n  b: { steer: { by: sticky } }\n"
			   "  c: { steer: { by: sticky, flows: 16777216, idle: 0 } }\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(config.groups[i].spec.steer.flows, 65536);
		assert_int_equal(config.groups[i].spec.steer.idle_s, 300);
	}
	assert_int_equal(config.groups[2].spec.steer.flows, 16777216);
	assert_int_equal(config.groups[2].spec.steer.idle_s, 0);
	config_destroy(&config);
}

/* --- conditions, classes, cases -------------------------------------------------------------- */

static const char full_text[] =
	"groups:\n"
	"  web:\n"
	"    match: tcp port 80\n"
	"    in: [{ set: lab, field: either }, { set: macs, field: src, not: true }, { set: live "
	"}]\n"
	"    plugin: { name: voip, not: true }\n"
	"    inner: true\n"
	"    classes: { user: { members: 2 }, control: { members: 1 }, spare: }\n"
	"    overflow: spill\n"
	"    cases:\n"
	"      - { match: \"tcp[13] & 2 != 0\", count: syns, mark: 4294967295, action: pass }\n"
	"      - { match: \"udp port 53\", sample: 100, class: control, action: deliver }\n"
	"      - { in: { set: ports, field: dst }, action: drop, count: dropped }\n"
	"      - match: icmp\n"
	"        tee: ids\n"
	"        action: pass\n"
	"        sample: { of: 7, by: packet }\n"
	"        count: syns\n"
	"      - { plugin: voip, steer: { by: plugin, name: voip, else: drop }, mark: 0 }\n"
	"      - { marked: 0xfFfffffe, sample: { of: 1000000000, by: flow }, mark: 0x1F, tee: ids "
	"}\n"
	"      - {}\n"
	"  ids: { tee_only: true, members: 3, classes: [a, b], cases: [{ tee: last, action: pass "
	"}] "
	"}\n"
	"  last: { in: { field: src, set: lab }, plugin: other, classes: [], inner: false }\n"
	"filter:\n"
	"  sets:\n"
	"    lab: { type: net, entries: [192.0.2.0/24] }\n"
	"    macs: { type: mac, entries: [\"02:00:00:00:00:01\"] }\n"
	"    live: { type: flow }\n"
	"    ports: { type: port, entries: [53] }\n"
	"plugins:\n"
	"  voip: { file: ./voip.so, args: { port: 5060, mode: \"a b\" } }\n"
	"  other: {}\n";

static void check_in(const struct group_in *in, uint32_t set, uint32_t fields, bool negated,
		     bool keyed)
{
	assert_int_equal(in->set, set);
	assert_int_equal(in->fields, fields);
	assert_int_equal(in->negated, negated);
	assert_int_equal(in->keyed, keyed);
}

static void check_web(const struct config_group *group)
{
	const struct group_spec *spec = &group->spec;

	assert_true(spec->inner);
	assert_false(spec->tee_only);
	assert_string_equal(spec->when.match, "tcp port 80");
	assert_int_equal(spec->when.in_cnt, 3);
	check_in(&spec->when.ins[0], 0, XDP_FIELD_SRC | XDP_FIELD_DST, false, true);
	check_in(&spec->when.ins[1], 1, XDP_FIELD_SRC, true, false);
	check_in(&spec->when.ins[2], 2, 0, false, true);
	assert_int_equal(spec->when.plugin, 0);
	assert_true(spec->when.plugin_negated);
	assert_int_equal(spec->class_cnt, 3);
	assert_string_equal(spec->classes[0], "user");
	assert_string_equal(spec->classes[1], "control");
	assert_string_equal(spec->classes[2], "spare");
	assert_int_equal(group->class_members[0], 2);
	assert_int_equal(group->class_members[1], 1);
	assert_int_equal(group->class_members[2], 0);
	/* none beside those of classes, as nothing else was said */
	assert_int_equal(group->members, 0);
	assert_int_equal(config_group_built_in(group), 3);
	assert_int_equal(spec->counter_cnt, 2);
	assert_string_equal(spec->counters[0], "syns");
	assert_string_equal(spec->counters[1], "dropped");
	assert_int_equal(spec->case_cnt, 7);
}

static void check_cases(const struct group_case *cases)
{
	assert_string_equal(cases[0].when.match, "tcp[13] & 2 != 0");
	assert_int_equal(cases[0].sample, GROUP_SAMPLE_ALL);
	assert_int_equal(cases[0].action, GROUP_PASS);
	assert_false(cases[0].has_marked);
	assert_true(cases[5].has_marked);
	assert_int_equal(cases[5].marked, 0xfffffffe);
	assert_int_equal(cases[5].mark, 0x1f);
	assert_true(cases[0].has_mark);
	assert_int_equal(cases[0].mark, UINT32_MAX);
	assert_int_equal(cases[0].counter, 0);
	assert_int_equal(cases[0].class, GROUP_NONE);
	assert_int_equal(cases[0].tee, GROUP_NONE);
	assert_false(cases[0].has_steer);
	assert_int_equal(cases[0].line, 10);
	assert_int_equal(cases[1].sample, GROUP_SAMPLE_FLOW);
	assert_int_equal(cases[1].sample_of, 100);
	assert_int_equal(cases[1].action, GROUP_DELIVER);
	assert_int_equal(cases[1].class, 1);
	assert_int_equal(cases[1].counter, GROUP_NONE);
	assert_false(cases[1].has_mark);
	assert_null(cases[2].when.match);
	assert_int_equal(cases[2].when.in_cnt, 1);
	check_in(&cases[2].when.ins[0], 3, XDP_FIELD_DST, false, true);
	assert_int_equal(cases[2].action, GROUP_DISCARD);
	assert_int_equal(cases[2].counter, 1);
	assert_int_equal(cases[3].sample, GROUP_SAMPLE_PACKET);
	assert_int_equal(cases[3].sample_of, 7);
	assert_int_equal(cases[3].tee, 1);
	assert_int_equal(cases[3].counter, 0);
	assert_int_equal(cases[3].line, 13);
	assert_int_equal(cases[4].when.plugin, 0);
	assert_false(cases[4].when.plugin_negated);
	assert_true(cases[4].has_steer);
	assert_int_equal(cases[4].steer.method, METHOD_PLUGIN);
	assert_int_equal(cases[4].steer.plugin, 0);
	assert_int_equal(cases[4].steer.otherwise, METHOD_ELSE_DROP);
	assert_true(cases[4].has_mark);
	assert_int_equal(cases[4].mark, 0);
	assert_int_equal(cases[5].sample, GROUP_SAMPLE_FLOW);
	assert_int_equal(cases[5].sample_of, 1000000000);
	assert_int_equal(cases[5].tee, 1);
	assert_int_equal(cases[6].action, GROUP_DELIVER);
	assert_int_equal(cases[6].when.plugin, GROUP_NONE);
}

static void check_plugins(const struct config *config, const char *file)
{
	assert_int_equal(config->plugin_cnt, 2);
	assert_string_equal(config->plugins[0].name, "voip");
	assert_string_equal(config->plugins[0].file, file);
	assert_null(config->plugins[0].functions);
	assert_int_equal(config->plugins[0].arg_cnt, 2);
	assert_string_equal(config->plugins[0].args[0].name, "port");
	assert_string_equal(config->plugins[0].args[0].value, "5060");
	assert_string_equal(config->plugins[0].args[1].name, "mode");
	assert_string_equal(config->plugins[0].args[1].value, "a b");
	assert_int_equal(config->plugins[0].line, 30);
	assert_string_equal(config->plugins[1].name, "other");
	assert_null(config->plugins[1].file);
	assert_int_equal(config->plugins[1].arg_cnt, 0);
}

static void test_full(void **state)
{
	struct config config;
	char file[128];

	(void)state;
	read_in(&config, folder, full_text);
	snprintf(file, sizeof(file), "%s/./voip.so", folder);
	check_plugins(&config, file);
	check_web(&config.groups[0]);
	check_cases(config.groups[0].spec.cases);
	assert_true(config.groups[1].spec.tee_only);
	assert_int_equal(config.groups[1].members, 3);
	assert_int_equal(config.groups[1].spec.class_cnt, 2);
	assert_int_equal(config.groups[1].spec.cases[0].tee, 2);
	assert_int_equal(config.groups[2].spec.class_cnt, 0);
	assert_int_equal(config.groups[2].spec.when.plugin, 1);
	assert_int_equal(config.groups[2].members, 1);
	config_destroy(&config);
	/* the loader of shared objects looks for names without a '/' in folders of its own */
	read_in(&config, NULL, "plugins: { voip: { file: voip.so } }");
	assert_string_equal(config.plugins[0].file, "./voip.so");
	config_destroy(&config);
	/* alone, no file is looked at */
	read_in(&config, NULL, full_text);
	check_plugins(&config, "./voip.so");
	check_cases(config.groups[0].spec.cases);
	config_destroy(&config);
}

static void test_flow_cache(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "{}");
	assert_int_equal(config.workers.flow_cache, CONFIG_FLOW_CACHE);
	config_destroy(&config);
	read_good(&config, "workers: { flow_cache: 0 }");
	assert_int_equal(config.workers.flow_cache, 0);
	config_destroy(&config);
	read_good(&config, "workers: { flow_cache: 16777216 }");
	assert_int_equal(config.workers.flow_cache, 16777216);
	config_destroy(&config);
}

/* --- tables ---------------------------------------------------------------------------------- */

static void check_rules(const char *text, uint16_t last)
{
	const struct config_group *group;
	struct config config;
	char path[128];

	read_in(&config, folder, text);
	snprintf(path, sizeof(path), "%s/rules.csv", folder);
	group = &config.groups[0];
	assert_string_equal(group->spec.table, path);
	assert_int_equal(group->spec.table_outcome, last);
	assert_int_equal(group->rule_cnt, 3);
	assert_int_equal(group->rules[0].outcome, TABLE_CLASS + 1);
	assert_int_equal(group->rules[0].priority, 150);
	assert_int_equal(group->rules[0].line, 2);
	assert_int_equal(group->rules[1].outcome, TABLE_DROP);
	assert_int_equal(group->rules[2].outcome, last);
	assert_int_equal(group->rules[2].ip, 6);
	config_destroy(&config);
}

#define CLASSES "classes: [user, control]"

static void test_table(void **state)
{
	struct config config;

	(void)state;
	check_rules("groups:\n  a: { table: rules.csv, " CLASSES " }\n", TABLE_DELIVER);
	check_rules("groups:\n  a: { table: { file: rules.csv }, " CLASSES " }\n", TABLE_DELIVER);
	check_rules("groups:\n  a: { table: { file: rules.csv, action: drop }, " CLASSES " }\n",
		    TABLE_DROP);
	check_rules("groups:\n  a: { cases: [{ table: rules.csv }, { match: tcp }], " CLASSES
		    " }\n",
		    TABLE_DELIVER);
	check_rules(
		"groups:\n  a: { cases: [{ table: { action: drop, file: rules.csv } }], " CLASSES
		" }\n",
		TABLE_DROP);
	read_in(&config, folder,
		"groups:\n  a: { cases: [{ table: own.rules }, { match: tcp }] }\n");
	assert_int_equal(config.groups[0].rule_cnt, 1);
	/* the table is no case */
	assert_int_equal(config.groups[0].spec.case_cnt, 1);
	assert_string_equal(config.groups[0].spec.cases[0].when.match, "tcp");
	config_destroy(&config);
	/* alone, no file is opened */
	read_in(&config, NULL, "groups:\n  a: { table: nowhere.csv }\n");
	assert_string_equal(config.groups[0].spec.table, "nowhere.csv");
	assert_int_equal(config.groups[0].rule_cnt, 0);
	assert_null(config.groups[0].rules);
	config_destroy(&config);
}

static void test_table_errors(void **state)
{
	char text[4096] = "groups:\n";
	struct config config;
	size_t last;

	(void)state;
	refused_in("groups:\n  a:\n    table: bad.csv\n", "bad.csv",
		   "3: \"class:nobody\": group a has no class of that name");
	refused_in("groups:\n  a: { table: bad.csv, classes: [nobodies] }\n", "bad.csv",
		   "3: \"class:nobody\": group a has no class of that name");
	refused_in("groups:\n  a: { table: own.rules, cases: [\n    { table: own.rules }] }\n",
		   NULL, "3: groups.a.cases[0].table: the group has a table already");
	for (int i = 0; i < POLICY_TABLES_MAX; i++)
		sprintf(text + strlen(text), "  g%d: { table: own.rules }\n", i);
	read_in(&config, folder, text);
	config_destroy(&config);
	last = strlen(text);
	strcpy(text + last, "  more: { table: own.rules }\n");
	refused_in(text, NULL, "18: groups.more.table: more than 16 rule tables over all groups");
	strcpy(text + last, "  more: { cases: [{ table: own.rules }] }\n");
	refused_in(text, NULL,
		   "18: groups.more.cases[0].table: more than 16 rule tables over all groups");
}

/* --- claims ---------------------------------------------------------------------------------- */

/* Who claims something, and what: in order, all or not. */
static void test_claims(void **state)
{
	static const char text[] =
		"filter: { default: claimed, sets: { s: { type: net, entries: [10.0.0.0/8] } } }\n"
		"groups:\n"
		"  match: { match: tcp port 80, in: { set: s, field: src } }\n"
		"  set: { in: { set: s, field: src } }\n"
		"  inner: { match: tcp port 80, inner: true }\n"
		"  copies: { tee_only: true }\n"
		"  cases: { match: udp, cases: [{ match: udp port 53, tee: copies }] }\n";
	static const struct {
		const char *name;
		bool all;
		uint32_t line;
	} wanted[] = {
		{"match", false, 3}, {"set", true, 4}, {"inner", true, 5}, {"cases", false, 7}};
	struct config config;

	(void)state;
	read_good(&config, text);
	assert_int_equal(config.filter.claim_cnt, 4);
	for (uint32_t i = 0; i < 4; i++) {
		const struct filter_claim *claim = &config.filter.claims[i];

		assert_string_equal(claim->name, wanted[i].name);
		assert_int_equal(claim->line, wanted[i].line);
		assert_int_equal(claim->expression.all, wanted[i].all);
	}
	/* again after a change */
	assert_int_equal(config_claim(&config, NULL), 0);
	assert_int_equal(config.filter.claim_cnt, 4);
	config_destroy(&config);
	read_good(&config, "filter: { default: claimed }\ngroups: { a: { tee_only: true } }\n");
	assert_int_equal(config.filter.claim_cnt, 0);
	config_destroy(&config);
}

/* --- the words that code may give ------------------------------------------------------------ */

static void test_words(void **state)
{
	struct method_spec spec = {0};
	enum method method;

	(void)state;
	assert_true(config_steer_parse("to:63", &spec, &method));
	assert_int_equal(spec.method, METHOD_TO);
	assert_int_equal(spec.to, 63);
	assert_false(config_steer_parse("to:64", &spec, &method));
	assert_int_equal(method, METHOD_TO);
	assert_false(config_steer_parse("to:", &spec, &method));
	assert_false(config_steer_parse("to:1-2", &spec, &method));
	assert_false(config_steer_parse("to", &spec, &method));
	assert_false(config_steer_parse("key", &spec, &method));
	assert_int_equal(method, METHOD_KEY);
	assert_false(config_steer_parse("", &spec, &method));
	assert_int_equal(method, METHOD_CNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steer_words),  cmocka_unit_test(test_steer_parameters),
		cmocka_unit_test(test_sticky),       cmocka_unit_test(test_full),
		cmocka_unit_test(test_flow_cache),   cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_errors), cmocka_unit_test(test_claims),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, folder_create, folder_destroy);
}
