/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with groups, their cases and plug-ins, with its line and the key it names. */
#include "config_check.h"

#define GROUP "groups:\n  g:\n    "

static void test_plugin_errors(void **state)
{
	static const struct bad_text table[] = {
		{"plugins: [a]\n", {"1: plugins: wants a mapping (key: value), not a list"}},
		{"plugins:\n  a: { file: nowhere.so }\n",
		 {"2: plugins.a.file: there is no file ./nowhere.so"}},
		{"plugins:\n  a: { file: /tmp }\n", {"2: plugins.a.file: there is no file /tmp"}},
		{"plugins:\n  a: { args: [1] }\n",
		 {"2: plugins.a.args: wants a mapping (key: value), not a list"}},
		{"plugins:\n  a: { args: { x: [1], \"y z\": 2 } }\n",
		 {"2: plugins.a.args.x: wants a single value, not a list",
		  "2: plugins.a.args: \"y z\" is no name: wants 1 to 31 letters, digits, '_', '.' "
		  "or '-', and no '.' in front"}},
		{"plugins:\n  a: {}\n  a: {}\n",
		 {"3: plugins.a: the key is given twice, first in line 2"}},
		{"plugins:\n  a: { flie: x }\n",
		 {"2: plugins.a.flie: unknown key; did you mean \"file\"?"}},
		{"plugins: { a: , b: , c: , d: , e: , f: , g: , h: , i: , j: , k: , l: , m: , n: , "
		 "o: , p: ,\n q: }\n",
		 {"2: plugins: more than 16 plug-ins"}},
		{GROUP "plugin: voip\n",
		 {"3: groups.g.plugin: there is no plug-in \"voip\" in plugins"}},
		{GROUP "plugin: { name: voip, not: 1 }\n",
		 {"3: groups.g.plugin.name: there is no plug-in \"voip\" in plugins",
		  "3: groups.g.plugin.not: \"1\" is none of true, false"}},
		{GROUP "plugin: {}\n", {"3: groups.g.plugin.name: is missing"}},
		{GROUP "plugin: []\n", {"3: groups.g.plugin: wants a single value, not a list"}},
		{GROUP "steer: { by: plugin, name: voip }\n",
		 {"3: groups.g.steer.name: there is no plug-in \"voip\" in plugins"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_condition_errors(void **state)
{
#define SETS                                                                                       \
	"filter: { sets: { n: { type: net, entries: [] }, f: { type: flow }, m: { type: mac, "     \
	"entries: [] } } }\n"
	static const struct bad_text table[] = {
		{SETS GROUP "in: n\n",
		 {"4: groups.g.in: wants a mapping (key: value), not a single value"}},
		{SETS GROUP "in: { set: n }\n", {"4: groups.g.in.field: is missing"}},
		{SETS GROUP "in: { set: m }\n", {"4: groups.g.in.field: is missing"}},
		{SETS GROUP "in: { field: src }\n", {"4: groups.g.in.set: is missing"}},
		{SETS GROUP "in: { set: f, field: src }\n",
		 {"4: groups.g.in.field: a set of flows has both ends of each; leave field out"}},
		{SETS GROUP "in: { set: x, field: src }\n",
		 {"4: groups.g.in.set: there is no set \"x\" in filter.sets"}},
		{SETS GROUP "in: { set: n, field: both, not: maybe }\n",
		 {"4: groups.g.in.not: \"maybe\" is none of true, false",
		  "4: groups.g.in.field: \"both\" is none of src, dst, either"}},
		{SETS GROUP "in: []\n", {"4: groups.g.in: the list is empty"}},
		{SETS GROUP "in:\n    - { set: f }\n    - { set: y, field: dst }\n",
		 {"6: groups.g.in[1].set: there is no set \"y\" in filter.sets"}},
		{SETS GROUP "in: [{ set: f }, { set: f }, { set: f }, { set: f },\n { set: f }]\n",
		 {"5: groups.g.in: more than 4 sets in one condition"}},
		/* rules know no `not` */
		{"filter:\n  sets: { f: { type: flow } }\n  rules: [{ action: drop, in: { set: f, "
		 "not: true } }]\n",
		 {"3: filter.rules[0].in.not: unknown key; did you mean \"set\"?"}},
		{GROUP "inner: yes\n", {"3: groups.g.inner: \"yes\" is none of true, false"}},
		{GROUP "tee_only: 1\n", {"3: groups.g.tee_only: \"1\" is none of true, false"}},
		{SETS GROUP "tee_only: true\n    match: tcp\n    in: { set: f }\n",
		 {"5: groups.g.match: a group with tee_only: true wants nothing by itself; what it "
		  "is handed, its cases may ask",
		  "6: groups.g.in: a group with tee_only: true wants nothing by itself; what it is "
		  "handed, its cases may ask"}},
		{"plugins: { p: }\n" GROUP "tee_only: true\n    plugin: p\n",
		 {"5: groups.g.plugin: a group with tee_only: true wants nothing by itself; what "
		  "it "
		  "is handed, its cases may ask"}},
		{"workers:\n  flow_cache: 16777217\n",
		 {"2: workers.flow_cache: \"16777217\" is not a number from 0 to 16777216"}},
		{"workers:\n  flow_cache: auto\n",
		 {"2: workers.flow_cache: \"auto\" is not a number from 0 to 16777216"}},
	};
#undef SETS

	(void)state;
	CHECK_TABLE(table);
}

static void test_steer_errors(void **state)
{
#define AT     "3: groups.g.steer"
#define LONGER ": the networks of a prefix are as long as it is, or longer, and at most "
	static const struct bad_text table[] = {
		{GROUP "steer: upp\n",
		 {AT ": \"upp\" is none of flow, ip-pair, src, dst, double, link, vlan, queue, "
		     "rss-hash, round-robin, random, to:N, broadcast, sticky; nor of those that "
		     "want more, as { by: METHOD, ... }: local-link, local-ip, local-net, field, "
		     "key, plugin"}},
		{GROUP "steer: [flow]\n", {AT ": wants a single value, not a list"}},
		{GROUP "steer: to\n",
		 {AT
		  ": \"to\" wants more than that, such as to:3, with a member's number from 0 to "
		  "63"}},
		{GROUP "steer: to:64\n",
		 {AT
		  ": \"to:64\" wants more than that, such as to:3, with a member's number from 0 "
		  "to 63"}},
		{GROUP "steer: local-ip\n",
		 {AT ": \"local-ip\" wants more than that, such as { by: local-ip, nets: "
		     "[192.0.2.0/24] }"}},
		{GROUP "steer: local-link\n",
		 {AT ": \"local-link\" wants more than that, such as { by: local-link, gateway: "
		     "\"02:00:00:00:00:01\" }"}},
		{GROUP "steer: field\n",
		 {AT ": \"field\" wants more than that, such as { by: field, offset: 26, size: 4 "
		     "}"}},
		{GROUP "steer: key\n",
		 {AT ": \"key\" wants more than that, such as { by: key, fields: [src, dst] }"}},
		{GROUP "steer: plugin\n",
		 {AT ": \"plugin\" wants more than that, such as { by: plugin, name: NAME }"}},
		{GROUP "steer: {}\n", {AT ".by: is missing"}},
		{GROUP "steer: { by: to }\n", {AT ".member: is missing"}},
		{GROUP "steer: { by: to, member: 64 }\n",
		 {AT ".member: \"64\" is not a number from 0 to 63"}},
		{GROUP "steer: { by: flow, else: drop, member: 3 }\n",
		 {AT ".member: does not go with by: flow",
		  AT ".else: does not go with by: flow, which applies to every packet"}},
		{GROUP "steer: { by: sticky, else: flow }\n",
		 {AT ".else: does not go with by: sticky, which applies to every packet"}},
		{GROUP "steer: { by: ip-pair, else: pass }\n",
		 {AT ".else: \"pass\" is none of flow, drop"}},
		{GROUP "steer: { by: local-link, gateway: \"02:00\" }\n",
		 {AT ".gateway: \"02:00\" is not an Ethernet address such as 02:00:00:00:00:01"}},
		{GROUP "steer: { by: local-link }\n", {AT ".gateway: is missing"}},
		{GROUP "steer: { by: local-ip, nets: [] }\n", {AT ".nets: the list is empty"}},
		{GROUP "steer: { by: local-ip, nets: 10.0.0.0/8 }\n",
		 {AT ".nets: wants a list, not a single value"}},
		{GROUP "steer: { by: local-net, nets: [10.0.0.0/8/7, \"2001:db8::/32/129\",\n"
		       "      10.0.0.0/8/33, 10.0.0.0/8/, 10.0.0.0/8/9-10] }\n",
		 {AT ".nets[0]: \"10.0.0.0/8/7\"" LONGER "32 bits",
		  AT
		  ".nets[1]: \"2001:db8::/32/129\" is not a prefix such as 192.0.2.0/24, nor one "
		  "with the length of its networks such as 10.0.0.0/8/24",
		  "4: groups.g.steer.nets[2]: \"10.0.0.0/8/33\"" LONGER "32 bits",
		  "4: groups.g.steer.nets[3]: \"10.0.0.0/8/\" is not a prefix such as "
		  "192.0.2.0/24, "
		  "nor one with the length of its networks such as 10.0.0.0/8/24",
		  "4: groups.g.steer.nets[4]: \"10.0.0.0/8/9-10\" is not a prefix such as "
		  "192.0.2.0/24, nor one with the length of its networks such as 10.0.0.0/8/24"}},
		{GROUP "steer: { by: local-ip, nets: [10.0.0.0/8/16] }\n",
		 {AT ".nets[0]: \"10.0.0.0/8/16\": the length of an IPv4 prefix is a number from 0 "
		     "to 32"}},
		{GROUP "steer: { by: field, size: 65, offset: 65536 }\n",
		 {AT ".offset: \"65536\" is not a number from 0 to 65535",
		  AT ".size: \"65\" is not a number from 1 to 64"}},
		{GROUP "steer: { by: field }\n",
		 {AT ".offset: is missing", AT ".size: is missing"}},
		{GROUP "steer: { by: field, offset: 1, size: 2, each: true }\n",
		 {AT ".each: goes with a second place (with: OFFSET)"}},
		{GROUP "steer: { by: field, offset: 1, size: 2, symmetric: true }\n",
		 {AT ".symmetric: does not go with by: field"}},
		{GROUP "steer: { by: key, fields: [src, ports, src] }\n",
		 {AT
		  ".fields[1]: \"ports\" is none of src, dst, sport, dport, proto, vlan, "
		  "src-mac, dst-mac, ethertype, tos, flow-label, dscp, ecn, icmp-type, icmp-code",
		  AT ".fields[2]: is given twice"}},
		{GROUP "steer: { by: key, fields: [] }\n", {AT ".fields: the list is empty"}},
		{GROUP "steer: { by: key }\n", {AT ".fields: is missing"}},
		{GROUP "steer: { by: sticky, flows: 0, idle: 1000001 }\n",
		 {AT ".flows: \"0\" is not a number from 1 to 16777216",
		  AT ".idle: \"1000001\" is not a number from 0 to 1000000"}},
		{GROUP "steer: { by: plugin }\n", {AT ".name: is missing"}},
		{GROUP "steer: to:5\n",
		 {AT ": there is no member 5: the group has at most 5, numbered from 0"}},
		{GROUP "steer: { by: to, member: 2 }\n    members: 0\n    max_members: 2\n",
		 {AT ": there is no member 2: the group has at most 2, numbered from 0"}},
	};
#undef LONGER
#undef AT

	(void)state;
	CHECK_TABLE(table);
}

static void test_class_errors(void **state)
{
	static const struct bad_text table[] = {
		{GROUP "classes: user\n",
		 {"3: groups.g.classes: wants a mapping (key: value), not a single value"}},
		{GROUP "classes: [user, control, user]\n",
		 {"3: groups.g.classes[2]: is given twice"}},
		{GROUP "classes: [\"a b\"]\n",
		 {"3: groups.g.classes[0]: \"a b\" is no name: wants 1 to 31 letters, digits, '_', "
		  "'.' or '-', and no '.' in front"}},
		{GROUP "classes: [a, b, c, d, e, f, g, h,\n i]\n",
		 {"4: groups.g.classes: more than 8 classes"}},
		{GROUP "classes: { a: , b: , c: , d: , e: , f: , g: , h: ,\n i: }\n",
		 {"4: groups.g.classes: more than 8 classes"}},
		{GROUP "classes: { a: { members: 65 }, b: 4 }\n",
		 {"3: groups.g.classes.a.members: \"65\" is not a number from 0 to 64",
		  "3: groups.g.classes.b: wants a mapping (key: value), not a single value"}},
		{GROUP "members: 1\n    classes: { a: { members: 60 }, b: { members: 4 } }\n",
		 {"4: groups.g.classes: 65 built-in members of the group and its classes; a group "
		  "has at most 64"}},
		{GROUP "members: 0\n    max_members: 0\n    classes: [a]\n",
		 {"3: groups.g.members: 0, and max_members is 0 too: nobody can ever take its "
		  "packets"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_case_errors(void **state)
{
#define CASE GROUP "cases:\n    - "
#define AT   "4: groups.g.cases[0]"
	static const struct bad_text table[] = {
		{GROUP "cases: { match: tcp }\n",
		 {"3: groups.g.cases: wants a list, not a mapping (key: value)"}},
		{CASE "drop\n", {AT ": wants a mapping (key: value), not a single value"}},
		{CASE "{ action: limit }\n",
		 {AT ".action: \"limit\" is none of deliver, drop, pass"}},
		{CASE "{ matches: tcp }\n", {AT ".matches: unknown key; did you mean \"match\"?"}},
		{CASE "{ class: user }\n",
		 {AT ".class: there is no class \"user\" in the group's classes"}},
		{CASE "{ class: a, steer: flow, action: pass }\n    classes: [a]\n",
		 {AT ".class: belongs to action deliver alone, and not to pass",
		  AT ".steer: belongs to action deliver alone, and not to pass"}},
		{CASE "{ class: a, action: drop }\n    classes: [a]\n",
		 {AT ".class: belongs to action deliver alone, and not to drop"}},
		{CASE "{ sample: 0 }\n",
		 {AT ".sample: \"0\" is not a number from 1 to 1000000000"}},
		{CASE "{ sample: 1000000001 }\n",
		 {AT ".sample: \"1000000001\" is not a number from 1 to 1000000000"}},
		{CASE "{ sample: { by: bytes } }\n",
		 {AT ".sample.of: is missing", AT ".sample.by: \"bytes\" is none of flow, packet"}},
		{CASE "{ mark: -1 }\n", {AT ".mark: \"-1\" is not a number from 0 to 4294967295"}},
		{CASE "{ mark: 4294967296 }\n",
		 {AT ".mark: \"4294967296\" is not a number from 0 to 4294967295"}},
		{CASE "{ mark: 0x100000000, marked: 0x }\n",
		 {AT ".marked: \"0x\" is not a number from 0x0 to 0xffffffff",
		  AT ".mark: \"0x100000000\" is not a number from 0x0 to 0xffffffff"}},
		{CASE "{ marked: 1k }\n",
		 {AT ".marked: \"1k\" is not a number from 0 to 4294967295"}},
		{CASE "{ steer: roundrobin }\n",
		 {AT ".steer: \"roundrobin\" is no method; did you mean \"round-robin\"?"}},
		{CASE "{ steer: steer_ip_pair }\n",
		 {AT ".steer: \"steer_ip_pair\" is no method; did you mean \"ip-pair\"?"}},
		{CASE "{ steer: { by: steer_rrobin } }\n",
		 {AT ".steer.by: \"steer_rrobin\" is no method; did you mean \"round-robin\"?"}},
		{CASE "{ count: a/b }\n",
		 {AT ".count: \"a/b\" is no name: wants 1 to 31 letters, digits, '_', '.' or '-', "
		     "and no '.' in front"}},
		{CASE "{ steer: to:5 }\n",
		 {AT ".steer: there is no member 5: the group has at most 5, numbered from 0"}},
		{CASE "{ steer: { by: nowhere } }\n",
		 {AT ".steer.by: \"nowhere\" is none of flow, ip-pair, src, dst, double, link, "
		     "local-link, vlan, queue, rss-hash, round-robin, random, to, local-ip, "
		     "local-net, field, key, broadcast, sticky, plugin"}},
		{CASE "{ in: { set: x, field: src } }\n",
		 {AT ".in.set: there is no set \"x\" in filter.sets"}},
		{CASE "{ plugin: x }\n", {AT ".plugin: there is no plug-in \"x\" in plugins"}},
		{CASE "{ match: [tcp] }\n", {AT ".match: wants a single value, not a list"}},
	};
#undef AT
#undef CASE

	(void)state;
	CHECK_TABLE(table);
}

static void test_table_errors(void **state)
{
	static const struct bad_text table[] = {
		{GROUP "table: nowhere.csv\n",
		 {"3: groups.g.table: nowhere.csv cannot be read: No such file or directory"}},
		{GROUP "table: { file: nowhere.csv, action: pass }\n",
		 {"3: groups.g.table.action: \"pass\" is none of deliver, drop",
		  "3: groups.g.table: nowhere.csv cannot be read: No such file or directory"}},
		{GROUP "table: { action: drop }\n", {"3: groups.g.table.file: is missing"}},
		{GROUP "table: [a]\n", {"3: groups.g.table: wants a single value, not a list"}},
		{GROUP "cases:\n    - { match: tcp }\n    - { table: nowhere.csv }\n",
		 {"5: groups.g.cases[1].table: only the first case can be a table"}},
		{GROUP "cases:\n    - { table: nowhere.csv,\n        match: tcp, action: drop }\n",
		 {"4: groups.g.cases[0].table: nowhere.csv cannot be read: No such file or "
		  "directory",
		  "5: groups.g.cases[0].match: a case that is a table has no other key",
		  "5: groups.g.cases[0].action: a case that is a table has no other key"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_tee_errors(void **state)
{
	static const struct bad_text table[] = {
		{GROUP "cases:\n    - { tee: ids }\n",
		 {"4: groups.g.cases[0].tee: there is no group \"ids\""}},
		{GROUP "cases:\n    - { tee: g }\n",
		 {"4: groups.g.cases[0].tee: a group cannot hand copies to itself"}},
		{GROUP "cases: [{ tee: [g] }]\n",
		 {"3: groups.g.cases[0].tee: wants a single value, not a list"}},
		/* the first that closes the ring is the one that is told of */
		{"groups:\n  a: { cases: [{ tee: b }] }\n  b: { cases: [{ tee: c }] }\n"
		 "  c: { cases: [{ match: udp, action: pass }, { tee: a }] }\n",
		 {"4: groups.c.cases[1].tee: the copies would come back: what a is handed gets to "
		  "c, directly or by other groups"}},
		{"groups:\n  c: { cases: [{ tee: a }] }\n  a: { cases: [{ tee: b }] }\n"
		 "  b: { cases: [{ tee: c }, { tee: c }] }\n",
		 {"4: groups.b.cases[0].tee: the copies would come back: what c is handed gets to "
		  "b, directly or by other groups",
		  "4: groups.b.cases[1].tee: the copies would come back: what c is handed gets to "
		  "b, directly or by other groups"}},
	};
	struct config config;

	(void)state;
	CHECK_TABLE(table);
	/* two ways to the same group are no ring */
	read_good(&config, "groups:\n  a: { cases: [{ tee: b, action: pass }, { tee: c }] }\n"
			   "  b: { cases: [{ tee: c }] }\n  c:\n");
	config_destroy(&config);
}

static void test_overflow_errors(void **state)
{
#define TWICE ", which gives a packet to two members, one that spills could reach one of them twice"
	static const struct bad_text table[] = {
		{GROUP "overflow: spill\n    steer: double\n",
		 {"3: groups.g.overflow: with steer: double" TWICE}},
		{GROUP "overflow: spill\n"
		       "    steer: { by: field, offset: 0, with: 6, size: 6, each: true }\n",
		 {"3: groups.g.overflow: with steer: field" TWICE}},
		{GROUP
		 "overflow: spill\n    cases:\n    - { match: tcp }\n    - { steer: double }\n"
		 "    - { steer: broadcast }\n",
		 {"6: groups.g.cases[1].steer: with steer: double" TWICE,
		  "7: groups.g.cases[2].steer: with steer: broadcast there is nobody to spill to: "
		  "each packet goes to every member anyway"}},
	};
#undef TWICE

	(void)state;
	CHECK_TABLE(table);
}

/* So many cases, and so many counters in them. */
static void test_counts(void **state)
{
	struct config config;
	char text[4096], *at = text;

	(void)state;
	at += sprintf(at, "groups:\n  g:\n    cases:\n");
	for (int i = 0; i < GROUP_CASES_MAX; i++)
		at += sprintf(at, "    - { count: c%d, action: pass }\n", i);
	read_good(&config, text);
	assert_int_equal(config.groups[0].spec.case_cnt, 32);
	assert_int_equal(config.groups[0].spec.counter_cnt, 32);
	config_destroy(&config);
	strcpy(at, "    - {}\n");
	check_lines(text, strlen(text),
		    (const char *[]){"36: groups.g.cases: more than 32 cases", NULL});
}

static void test_match_error(void **state)
{
	static const char text[] = "groups:\n  g:\n    cases:\n    - { match: tcp prot 80 }\n";
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	assert_int_equal(config_read_buffer(&config, "t.yaml", ".", text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, 1);
	assert_non_null(strstr(errors.lines[0].text, "t.yaml:4: groups.g.cases[0].match: "));
	config_errors_destroy(&errors);
	/* alone, nothing is compiled */
	assert_int_equal(config_read_buffer(&config, "t.yaml", NULL, text, strlen(text), &errors),
			 0);
	config_destroy(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plugin_errors), cmocka_unit_test(test_condition_errors),
		cmocka_unit_test(test_steer_errors),  cmocka_unit_test(test_class_errors),
		cmocka_unit_test(test_case_errors),   cmocka_unit_test(test_table_errors),
		cmocka_unit_test(test_tee_errors),    cmocka_unit_test(test_overflow_errors),
		cmocka_unit_test(test_counts),        cmocka_unit_test(test_match_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
