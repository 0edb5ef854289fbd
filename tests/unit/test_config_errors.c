/* SPDX-License-Identifier: BSD-2-Clause */
/* Every error of a configuration file, with its line and the key it names. */
#include "config_check.h"

static void test_document_errors(void **state)
{
	static const struct bad_text table[] = {
		{"", {"1: the file is empty; it wants keys such as interfaces: and groups:"}},
		{"# nothing\n\n",
		 {"1: the file is empty; it wants keys such as interfaces: and groups:"}},
		{"---\n", {"1: the file is empty; it wants keys such as interfaces: and groups:"}},
		{"- a\n", {"1: wants a mapping (key: value), not a list"}},
		{"\nhello\n", {"2: wants a mapping (key: value), not a single value"}},
		{"name: a\n---\nname: b\n",
		 {"2: a second document begins here; a configuration is one document"}},
		{"groups:\n  a: { members: 1\n  b: {}\n",
		 {"3: not YAML: while parsing a flow mapping, did not find expected ',' or '}'"}},
		{"name: a\n@: b\n",
		 {"2: not YAML: while scanning for the next token, found character that cannot "
		  "start any token"}},
		{"name: a\n\n\t\tgroups: 1\n", {"3: not YAML: *"}},
		{"name: a\ngroups: *nowhere\n", {"2: not YAML: found undefined alias"}},
		{"name: &a 1\ngroups: &a 1\n", {"2: not YAML: found duplicate anchor*"}},
		{"name: a\ngroups:\n  x: \"\xff\"\n",
		 {"3: not YAML: invalid leading UTF-8 octet*"}},
		{"name: a\nx: \x01\n", {"2: not YAML: control characters are not allowed*"}},
		{"%TAG ! x\n---\nname: a\n", {"1: a %TAG directive; tags are not used here"}},
		{"# a\r%TAG ! x\n---\nname: a\n", {"1: a %TAG directive; tags are not used here"}},
		{"groups: !include other.yaml\n",
		 {"1: groups: tags such as !include are not used here"}},
		{"groups:\n  a: { members: !!int 3 }\n",
		 {"2: groups.a.members: tags such as tag:yaml.org,2002:int are not used here"}},
	};

	(void)state;
	CHECK_TABLE(table);
	check_lines("name: a\ngroups:\n  b\0c: {}\n", 24,
		    (const char *[]){"3: a NUL byte: this is not a text file in UTF-8", NULL});
}

static void test_key_errors(void **state)
{
	static const struct bad_text table[] = {
		{"nmae: demo\n", {"1: nmae: unknown key; did you mean \"name\"?"}},
		{"name: a\ngroup:\n  a: {}\n", {"2: group: unknown key; did you mean \"groups\"?"}},
		{"include: other\n",
		 {"1: include: unknown key; there is name, interfaces, workers, filter, egress, "
		  "plugins, groups"}},
		{"groups:\n  web:\n    <<: { members: 2 }\n",
		 {"3: groups.web.<<: merge keys are not supported; write the keys out"}},
		{"groups:\n  web: { sterr: flow,\n         acess: 1 }\n",
		 {"2: groups.web.sterr: unknown key; did you mean \"steer\"?",
		  "3: groups.web.acess: unknown key; did you mean \"access\"?"}},
		{"filter:\n  default: drop\n  malformed: pass\n  default:\n    pass\n",
		 {"4: filter.default: the key is given twice, first in line 2"}},
		{"groups:\n  a: {}\n  b: {}\n  a: {}\n",
		 {"4: groups.a: the key is given twice, first in line 2"}},
		{"filter:\n  sets:\n    s: { type: net, entries: [] }\n    s: {}\n",
		 {"4: filter.sets.s: the key is given twice, first in line 3"}},
		{"[a]: 1\n", {"1: wants a single value, not a list"}},
		{"name: a\n? { a: b }\n: 1\n",
		 {"2: wants a single value, not a mapping (key: "
		  "value)"}},
		{"? ~\n: 1\n", {"1: has no value"}},
		{"\"a\\0b\": 1\n", {"1: \"a\" has a NUL byte in it"}},
		{"\"a\\nb\\e\\u00e9\": 1\n",
		 {"1: a\\x0ab\\x1b\\xc3\\xa9: unknown key; there is "
		  "name, interfaces, workers, filter, egress, plugins, groups"}},
		{"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff: 1\n",
		 {"1: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeee: unknown key; there is "
		  "name, interfaces, workers, filter, egress, plugins, groups"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_name_errors(void **state)
{
#define RULES " is no name: wants 1 to 31 letters, digits, '_', '.' or '-', and no '.' in front"
	static const struct bad_text table[] = {
		{"name: .hidden\n", {"1: name: \".hidden\"" RULES}},
		{"name: a/b\n", {"1: name: \"a/b\"" RULES}},
		{"name: ''\n", {"1: name: \"\"" RULES}},
		{"name: abcdefghijklmnopqrstuvwxyz012345\n",
		 {"1: name: \"abcdefghijklmnopqrstuvwxyz012345\"" RULES}},
		{"name:\n", {"1: name: has no value"}},
		{"name: [a]\n", {"1: name: wants a single value, not a list"}},
		{"groups:\n  ../x: {}\n", {"2: groups: \"../x\"" RULES}},
		{"filter:\n  sets:\n    \"a b\": {}\n", {"3: filter.sets: \"a b\"" RULES}},
	};
#undef RULES

	(void)state;
	CHECK_TABLE(table);
}

static void test_interface_errors(void **state)
{
#define RULES " is no interface: wants 1 to 15 characters without blanks, '/' and ':'"
	static const struct bad_text table[] = {
		{"interfaces: eth0\n", {"1: interfaces: wants a list, not a single value"}},
		{"interfaces: { name: eth0 }\n",
		 {"1: interfaces: wants a list, not a mapping (key: value)"}},
		{"interfaces:\n  - eth0\n",
		 {"2: interfaces[0]: wants a mapping (key: value), not a single value"}},
		{"interfaces:\n  - { mode: auto }\n", {"2: interfaces[0].name: is missing"}},
		{"interfaces:\n  - name: a\n  -\n", {"3: interfaces[1].name: is missing"}},
		{"interfaces:\n  - name: a/b\n  - name: ''\n  - name: abcdefghijklmnop\n"
		 "  - name: ..\n",
		 {"2: interfaces[0].name: \"a/b\"" RULES, "3: interfaces[1].name: \"\"" RULES,
		  "4: interfaces[2].name: \"abcdefghijklmnop\"" RULES,
		  "5: interfaces[3].name: \"..\"" RULES}},
		{"interfaces:\n  - name: a\n  - name: b\n  - mode: auto\n    name: a\n",
		 {"5: interfaces[2].name: a is already interfaces[0]"}},
		{"interfaces:\n  - { name: a, queues: 2 }\n",
		 {"2: interfaces[0].queues: \"2\" is not all"}},
		{"interfaces:\n  - { name: a, mode: fast }\n",
		 {"2: interfaces[0].mode: \"fast\" is none of auto, zero-copy, native, generic, "
		  "mirror, af_packet"}},
		{"interfaces:\n  - { name: a, promiscuous: 1 }\n",
		 {"2: interfaces[0].promiscuous: \"1\" is none of true, false"}},
		{"interfaces:\n  - { name: a, attach: beside }\n",
		 {"2: interfaces[0].attach: \"beside\" is none of exclusive, shared"}},
		{"interfaces:\n  - { name: a, attach: shared, priority: 0 }\n",
		 {"2: interfaces[0].priority: \"0\" is not a number from 1 to 10000"}},
		{"interfaces:\n  - { name: a, priority: 10 }\n",
		 {"2: interfaces[0].priority: belongs to attach: shared alone"}},
		{"interfaces:\n  - { name: a, mode: mirror, attach: shared }\n"
		 "  - { name: b, mode: af_packet, attach: shared }\n",
		 {"2: interfaces[0].attach: in modes mirror and af_packet XFQ has no XDP program "
		  "on the interface, and is beside others anyway",
		  "3: interfaces[1].attach: in modes mirror and af_packet XFQ has no XDP program "
		  "on the interface, and is beside others anyway"}},
		{"interfaces:\n"
		 "  [{ name: a }, { name: b }, { name: c }, { name: d }, { name: e }, { name: f "
		 "},\n"
		 "  { name: g }, { name: h },\n  { name: i }, { name: i }]\n",
		 {"4: interfaces: more than 8 interfaces"}},
	};
#undef RULES

	(void)state;
	CHECK_TABLE(table);
}

static void test_worker_errors(void **state)
{
#define RULES " is not a CPU from 0 to 1023 or a range LO-HI of them"
	static const struct bad_text table[] = {
		{"workers: 4\n", {"1: workers: wants a mapping (key: value), not a single value"}},
		{"workers: { cpus: some }\n", {"1: workers.cpus: \"some\"" RULES}},
		{"workers: { cpus: 1024 }\n", {"1: workers.cpus: \"1024\"" RULES}},
		{"workers: { cpus: 3-1 }\n", {"1: workers.cpus: \"3-1\"" RULES}},
		{"workers: { cpus: 01 }\n", {"1: workers.cpus: \"01\"" RULES}},
		{"workers: { cpus: { a: 1 } }\n",
		 {"1: workers.cpus: wants a single value, not a mapping (key: value)"}},
		{"workers:\n  cpus:\n  - 1\n  - -2\n  - [3]\n  - 0-4\n  - 4-\n",
		 {"4: workers.cpus[1]: \"-2\"" RULES,
		  "5: workers.cpus[2]: wants a single value, not a list",
		  "6: workers.cpus[3]: CPU 1 is given twice", "7: workers.cpus[4]: \"4-\"" RULES}},
		{"workers: { cpus: [] }\n",
		 {"1: workers.cpus: the list is empty; \"auto\" lets XFQ choose"}},
		{"workers: { idle: never }\n",
		 {"1: workers.idle: \"never\" is none of adaptive, spin, sleep"}},
		{"workers:\n  frames: 1023\n",
		 {"2: workers.frames: \"1023\" is not a number from 1024 to 1048576"}},
		{"workers:\n  frames: 1048577\n",
		 {"2: workers.frames: \"1048577\" is not a number from 1024 to 1048576"}},
		{"workers:\n  frames: 99999999999999999999999999\n",
		 {"2: workers.frames: \"99999999999999999999999999\" is not a number from 1024 to "
		  "1048576"}},
		{"workers:\n  frames: 0x4000\n",
		 {"2: workers.frames: \"0x4000\" is not a number from 1024 to 1048576"}},
		{"workers:\n  frames: many\n",
		 {"2: workers.frames: \"many\" is not a number from 1024 to 1048576"}},
		{"workers:\n  frame_size: 1024\n",
		 {"2: workers.frame_size: \"1024\" is none of 2048, 4096"}},
	};
#undef RULES

	(void)state;
	CHECK_TABLE(table);
}

static void test_filter_errors(void **state)
{
	static const struct bad_text table[] = {
		{"filter: []\n", {"1: filter: wants a mapping (key: value), not a list"}},
		{"filter: { default: limbo }\n",
		 {"1: filter.default: \"limbo\" is none of steer, pass, drop, claimed"}},
		{"filter: { malformed: steer }\n",
		 {"1: filter.malformed: \"steer\" is none of rules, drop, pass"}},
		{"filter:\n  sets:\n  - a\n",
		 {"3: filter.sets: wants a mapping (key: value), not a list"}},
		{"filter:\n  sets:\n    a: {}\n", {"3: filter.sets.a.type: is missing"}},
		{"filter:\n  sets:\n    a: { type: nets, entries: [] }\n",
		 {"3: filter.sets.a.type: \"nets\" is none of net, address, port, flow, mac"}},
		{"filter:\n  sets:\n    a: { type: port, entries: [80, 8000-8100, 90-80, x] }\n",
		 {"3: filter.sets.a.entries[2]: \"90-80\" is not a port from 0 to 65535, nor a "
		  "range such as 8000-8100",
		  "3: filter.sets.a.entries[3]: \"x\" is not a port from 0 to 65535, nor a range "
		  "such as 8000-8100"}},
		{"filter:\n  sets:\n    a: { type: address, entries: [192.0.2.1, 10.0.0.0/8] }\n",
		 {"3: filter.sets.a.entries[1]: \"10.0.0.0/8\" is a prefix, and the set has single "
		  "addresses; type: net has prefixes"}},
		{"filter:\n  sets:\n    a: { type: flow, entries: [\"tcp 192.0.2.1 192.0.2.2\"] "
		 "}\n",
		 {"3: filter.sets.a.entries[0]: \"tcp 192.0.2.1 192.0.2.2\" is not a flow such as "
		  "tcp 192.0.2.1:80 198.51.100.2:1234, or udp [2001:db8::1]:53 [2001:db8::2]:53 "
		  "(tcp, udp or sctp; ports from 1)"}},
		{"filter:\n  sets:\n    a: { type: mac, entries: [\"02:00:00:00:00\"] }\n",
		 {"3: filter.sets.a.entries[0]: \"02:00:00:00:00\" is not an Ethernet address such "
		  "as 02:00:00:00:00:01"}},
		{"filter:\n  sets:\n    a: { type: port, entries: [1, 2, 3], max: 2, hits: maybe "
		 "}\n",
		 {"3: filter.sets.a.hits: \"maybe\" is none of true, false",
		  "3: filter.sets.a.entries[2]: more members than the set may have (2)"}},
		{"filter:\n  sets:\n    a: { type: net, entries: 10.0.0.0/8 }\n",
		 {"3: filter.sets.a.entries: wants a list, not a single value"}},
		{"filter:\n  sets:\n    a:\n      type: net\n      entries:\n      - 10.0.0.0/8\n"
		 "      - 10.0.0.0/33\n      - example.org\n      - [1]\n",
		 {"7: filter.sets.a.entries[1]: \"10.0.0.0/33\": the length of an IPv4 prefix is a "
		  "number from 0 to 32",
		  "8: filter.sets.a.entries[2]: \"example.org\" is neither an address nor a prefix "
		  "such as 192.0.2.0/24 or 2001:db8::/32",
		  "9: filter.sets.a.entries[3]: wants a single value, not a list"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_rule_errors(void **state)
{
#define RULE     "filter:\n  rules:\n    - "
#define AT       "3: filter.rules[0]."
#define PORTS    " is not a port from 0 to 65535 or a range LO-HI of them"
#define NO_PORTS " has no ports; ports go with proto tcp, udp, sctp or none"
	static const struct bad_text table[] = {
		{"filter: { rules: { action: drop } }\n",
		 {"1: filter.rules: wants a list, not a mapping (key: value)"}},
		{RULE "drop\n",
		 {"3: filter.rules[0]: wants a mapping (key: value), not a single value"}},
		{RULE "{ port: 1 }\n", {AT "action: is missing"}},
		{RULE "{ action: reject }\n",
		 {AT "action: \"reject\" is none of drop, pass, steer, tx, limit"}},
		{RULE "{ action: drop, proto: http }\n",
		 {AT "proto: \"http\" is no protocol: wants a number from 0 to 255 or a name such "
		     "as tcp, udp, icmp, icmp6, sctp"}},
		{RULE "{ action: drop, proto: 256 }\n",
		 {AT "proto: \"256\" is no protocol: wants a number from 0 to 255 or a name such "
		     "as tcp, udp, icmp, icmp6, sctp"}},
		{RULE "{ action: drop, proto: 6-6 }\n",
		 {AT "proto: \"6-6\" is no protocol: wants a number from 0 to 255 or a name such "
		     "as tcp, udp, icmp, icmp6, sctp"}},
		{RULE "{ action: drop, port: 65536 }\n", {AT "port: \"65536\"" PORTS}},
		{RULE "{ action: drop, port: 20-10 }\n", {AT "port: \"20-10\"" PORTS}},
		{RULE "{ action: drop, sport: http }\n", {AT "sport: \"http\"" PORTS}},
		{RULE "{ action: drop, dport: 1-2-3 }\n", {AT "dport: \"1-2-3\"" PORTS}},
		{RULE "{ action: drop, dport: \"-1\" }\n", {AT "dport: \"-1\"" PORTS}},
		{RULE "{ action: drop, port: [1, 2] }\n",
		 {AT "port: wants a single value, not a list"}},
		{RULE "{ action: drop, proto: icmp, port: 1 }\n", {AT "port: protocol 1" NO_PORTS}},
		{RULE "action: drop\n      sport: 5\n      proto: 47\n      dport: 5\n",
		 {"4: filter.rules[0].sport: protocol 47" NO_PORTS,
		  "6: filter.rules[0].dport: protocol 47" NO_PORTS}},
		{RULE "{ action: drop, in: blocklist }\n",
		 {AT "in: wants a mapping (key: value), not a single value"}},
		{RULE "{ action: drop, in: { set: blocklist, field: src } }\n",
		 {AT "in.set: there is no set \"blocklist\" in filter.sets"}},
		{RULE "{ action: drop, in: { field: any } }\n",
		 {AT "in.set: is missing", AT "in.field: \"any\" is none of src, dst, either"}},
		/* a set with an error is a set all the same */
		{RULE
		 "{ action: drop, in: { set: s } }\n  sets:\n    s: { type: net, entries: [x] }",
		 {AT "in.field: is missing",
		  "5: filter.sets.s.entries[0]: \"x\" is neither an address nor a prefix such as "
		  "192.0.2.0/24 or 2001:db8::/32"}},
	};
#undef RULE
#undef AT
#undef PORTS
#undef NO_PORTS

	(void)state;
	CHECK_TABLE(table);
}

static void test_group_errors(void **state)
{
	static const struct bad_text table[] = {
		{"groups: [web]\n", {"1: groups: wants a mapping (key: value), not a list"}},
		{"groups:\n  web: 4\n",
		 {"2: groups.web: wants a mapping (key: value), not a single value"}},
		{"groups:\n  web:\n    members: 2\n    steer: flwo\n",
		 {"4: groups.web.steer: \"flwo\" is none of flow, ip-pair, src, *"}},
		{"groups:\n  web: { members: 65 }\n",
		 {"2: groups.web.members: \"65\" is not a number from 0 to 64"}},
		{"groups:\n  web: { members: -1, max_members: 65 }\n",
		 {"2: groups.web.members: \"-1\" is not a number from 0 to 64",
		  "2: groups.web.max_members: \"65\" is not a number from 0 to 64"}},
		{"groups:\n  web: { max_members: many }\n",
		 {"2: groups.web.max_members: \"many\" is not a number from 0 to 64"}},
		{"groups:\n  web: { members: [2] }\n",
		 {"2: groups.web.members: wants a single value, not a list"}},
		{"groups:\n  web: { sink: null }\n", {"2: groups.web.sink: has no value"}},
		{"groups:\n  web: { sink: file }\n",
		 {"2: groups.web.sink: \"file\" is none of count, pcap"}},
		{"groups:\n  web: { run: process }\n",
		 {"2: groups.web.run: \"process\" is none of thread, worker"}},
		{"groups:\n  web: { ring: 32 }\n",
		 {"2: groups.web.ring: \"32\" is not a number from 64 to 65536"}},
		{"groups:\n  web: { ring: 1000 }\n",
		 {"2: groups.web.ring: 1000 is not a power of two"}},
		{"groups:\n  web:\n    dir: here\n",
		 {"3: groups.web.dir: only a group with sink: pcap has a folder to write to"}},
		{"groups:\n  web: { sink: pcap, dir: '' }\n",
		 {"2: groups.web.dir: is empty; \".\" is the working directory"}},
		{"groups:\n  web: { overflow: block }\n",
		 {"2: groups.web.overflow: \"block\" is none of drop, spill"}},
		{"groups:\n  web:\n    overflow: spill\n    steer: broadcast\n",
		 {"3: groups.web.overflow: with steer: broadcast there is nobody to spill to: each "
		  "packet goes to every member anyway"}},
		{"groups:\n  web:\n    max_members: 0\n    members: 0\n",
		 {"4: groups.web.members: 0, and max_members is 0 too: nobody can ever take its "
		  "packets"}},
		{"groups:\n  web:\n    run: worker\n    sink: pcap\n    dir: x\n    members: 0\n",
		 {"3: groups.web.run: the group has no built-in members to run in the worker "
		  "(members: 0)",
		  "4: groups.web.sink: the group has no built-in members to write files (members: "
		  "0)"}},
		{"groups:\n  web: { match: \"a\\0b\" }\n",
		 {"2: groups.web.match: \"a\" has a NUL byte in it"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

static void test_access_errors(void **state)
{
#define GROUP "groups:\n  all:\n    access: "
#define AT    "3: groups.all.access"
#define RULES                                                                                      \
	" is not made of 0400 (the user), 0040 (the group) and 0004 (everyone else), such as 0440"
	static const struct bad_text table[] = {
		{GROUP "\n", {AT ": has no value"}},
		{GROUP "open\n", {AT ": \"open\" is none of private, restricted, shared"}},
		{GROUP "0440\n", {AT ": \"0440\" is none of private, restricted, shared"}},
		{GROUP "[shared]\n", {AT ": wants a mapping (key: value), not a list"}},
		{GROUP "!own { }\n", {AT ": tags such as !own are not used here"}},
		{GROUP "{ uid: 1, groups: 2 }\n",
		 {AT ".uid: unknown key; there is user, group, mode",
		  AT ".groups: unknown key; did you mean \"group\"?"}},
		{GROUP "\n      group: no such group\n      user: \"no:such:user\"\n",
		 {"4: groups.all.access.group: this machine has no group \"no such group\"",
		  "5: groups.all.access.user: this machine has no user \"no:such:user\""}},
		{GROUP "{ user: '', group: \"x\\ny\" }\n",
		 {AT ".user: this machine has no user \"\"",
		  AT ".group: this machine has no group \"x\\x0ay\""}},
		{GROUP "{ user: null, group: [1] }\n",
		 {AT ".user: has no value", AT ".group: wants a single value, not a list"}},
		/* what the kernel has for nobody */
		{GROUP "{ user: 4294967295, group: 4294967296 }\n",
		 {AT ".user: \"4294967295\" is not a number from 0 to 4294967294",
		  AT ".group: \"4294967296\" is not a number from 0 to 4294967294"}},
		{GROUP "{ user: 007 }\n",
		 {AT ".user: \"007\" is not a number from 0 to 4294967294"}},
		{GROUP "{ group: 7, mode: 0640 }\n", {AT ".mode: \"0640\"" RULES}},
		{GROUP "{ group: 7, mode: \"1440\" }\n", {AT ".mode: \"1440\"" RULES}},
		{GROUP "{ group: 7, mode: 0o440 }\n", {AT ".mode: \"0o440\"" RULES}},
		{GROUP "{ group: 7, mode: 00440 }\n", {AT ".mode: \"00440\"" RULES}},
		{GROUP "{ group: 7, mode: 0480 }\n", {AT ".mode: \"0480\"" RULES}},
		{GROUP "{ group: 7, mode: 44 }\n", {AT ".mode: \"44\"" RULES}},
		{GROUP "{ group: 7, mode: r--r----- }\n", {AT ".mode: \"r--r-----\"" RULES}},
		{GROUP "{ group: 7, mode: ' 440' }\n", {AT ".mode: \" 440\"" RULES}},
		{GROUP "{ group: 7, mode: '' }\n", {AT ".mode: \"\"" RULES}},
		{GROUP "{ group: 7, mode: [] }\n", {AT ".mode: wants a single value, not a list"}},
		{GROUP "\n      user: 7\n      mode: 0440\n",
		 {"5: groups.all.access.mode: 0440 is for a group too, but no group is named"}},
		{GROUP "{ mode: 0040 }\n",
		 {AT ".mode: 0040 is for a group too, but no group is named"}},
	};
#undef GROUP
#undef AT
#undef RULES

	(void)state;
	CHECK_TABLE(table);
}

/* libpcap's words differ between its versions; the key, the line and the expression do not. */
static void test_match_error(void **state)
{
	static const char text[] = "groups:\n  a: {}\n  web:\n    match: tcp prot 80\n";
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	assert_int_equal(config_read_buffer(&config, "t.yaml", ".", text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, 1);
	assert_non_null(strstr(errors.lines[0].text, "t.yaml:4: groups.web.match: "));
	assert_non_null(strstr(errors.lines[0].text, "syntax error"));
	config_errors_destroy(&errors);
	/* alone, nothing is compiled */
	assert_int_equal(config_read_buffer(&config, "t.yaml", NULL, text, strlen(text), &errors),
			 0);
	assert_string_equal(config.groups[1].spec.when.match, "tcp prot 80");
	config_destroy(&config);
}

static void test_many_errors(void **state)
{
	static const struct bad_text table[] = {
		{"groups:\n  web: { steer: flwo }\nname: .a\nworkers: { idle: no }\n",
		 {"2: groups.web.steer: \"flwo\" is none of flow, ip-pair, src, *",
		  "3: name: \".a\" is no name: wants 1 to 31 letters, digits, '_', '.' or '-', and "
		  "no '.' in front",
		  "4: workers.idle: \"no\" is none of adaptive, spin, sleep"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document_errors), cmocka_unit_test(test_key_errors),
		cmocka_unit_test(test_name_errors),     cmocka_unit_test(test_interface_errors),
		cmocka_unit_test(test_worker_errors),   cmocka_unit_test(test_filter_errors),
		cmocka_unit_test(test_rule_errors),     cmocka_unit_test(test_group_errors),
		cmocka_unit_test(test_access_errors),   cmocka_unit_test(test_match_error),
		cmocka_unit_test(test_many_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
