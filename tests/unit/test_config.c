/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: what is read from a good one, limits, and files. */
#include "apps/instance/config_document.h"
#include "apps/instance/config_set.h"
#include "config_check.h"
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder for files, one per test program. */
static char folder[64];

static int folder_create(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/xfq_test_config.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int folder_destroy(void **state)
{
	static const char *const files[] = {"c.yaml", "good.txt", "bad.txt", "big.yaml", "fifo"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void file_write(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
}

/* --- good configurations --------------------------------------------------------------------- */

static const char full_text[] =
	"name: demo.1\n"
	"interfaces:\n"
	"  - { name: eth0, queues: all, mode: auto, promiscuous: true }\n"
	"  - { name: eth1, mode: zero-copy, promiscuous: false }\n"
	"  - name: eth2\n"
	"    mode: native\n"
	"  - { mode: generic, name: br-lan.100 }\n"
	"workers: { cpus: [0, 2, \"4-7\"], idle: spin, frames: 16384, frame_size: 4096 }\n"
	"filter:\n"
	"  rules:\n"
	"    - { action: drop, in: { set: lab, field: src } }\n"
	"    - { action: steer, in: { set: two, field: either }, proto: 17, sport: 53 }\n"
	"    - { action: pass, proto: icmp6 }\n"
	"    - { action: drop, port: 1-65535, dport: \"0\" }\n"
	"    - { action: drop, in: { field: dst, set: two }, proto: sctp, port: 80 }\n"
	"    - action: pass\n"
	"  default: pass\n"
	"  malformed: drop\n"
	"  sets:\n"
	"    lab: { type: net, entries: [192.0.2.0/24, \"2001:db8::/32\"] }\n"
	"    two: { type: net, entries: [] }\n"
	"groups:\n"
	"  web: { match: \"tcp port 80\", steer: ip-pair, members: 64, sink: count, run: worker }\n"
	"  all:\n"
	"  pcap: { steer: round-robin, sink: pcap, ring: 65536, dir: captures }\n"
	"  a.pcap:\n"
	"    sink: pcap\n"
	"    ring: 64\n"
	"    steer: broadcast\n"
	"    run: thread\n"
	"  joined:\n"
	"    members: 0\n"
	"    max_members: 64\n"
	"    overflow: spill\n"
	"    access: { user: 1000, group: 0, mode: \"0404\" }\n"
	"  alone: { max_members: 0, overflow: drop, access: private }\n";

static void check_rule(const struct filter_rule *rule, struct filter_rule wanted)
{
	assert_int_equal(rule->action, wanted.action);
	assert_int_equal(rule->fields, wanted.fields);
	assert_int_equal(rule->proto, wanted.proto);
	assert_int_equal(rule->set, wanted.set);
	assert_int_equal(rule->set_fields, wanted.set_fields);
	assert_int_equal(rule->port_lo, wanted.port_lo);
	assert_int_equal(rule->port_hi, wanted.port_hi);
	assert_int_equal(rule->sport_lo, wanted.sport_lo);
	assert_int_equal(rule->sport_hi, wanted.sport_hi);
	assert_int_equal(rule->dport_lo, wanted.dport_lo);
	assert_int_equal(rule->dport_hi, wanted.dport_hi);
}

static void check_full_filter(const struct filter *filter)
{
	uint8_t inside[4] = {192, 0, 2, 200}, outside[4] = {192, 0, 3, 0};

	assert_int_equal(filter->default_action, FILTER_PASS);
	assert_int_equal(filter->malformed, XDP_MALFORMED_DROP);
	assert_int_equal(filter->rule_cnt, 6);
	check_rule(&filter->rules[0], (struct filter_rule){.action = FILTER_DROP,
							   .fields = FILTER_SET,
							   .set_fields = XDP_FIELD_SRC});
	check_rule(&filter->rules[1],
		   (struct filter_rule){.action = FILTER_STEER,
					.fields = FILTER_SET | FILTER_PROTO | FILTER_SPORT,
					.set_fields = XDP_FIELD_SRC | XDP_FIELD_DST,
					.proto = IPPROTO_UDP,
					.set = 1,
					.sport_lo = 53,
					.sport_hi = 53});
	check_rule(&filter->rules[2], (struct filter_rule){.action = FILTER_PASS,
							   .fields = FILTER_PROTO,
							   .proto = IPPROTO_ICMPV6});
	check_rule(&filter->rules[3], (struct filter_rule){.action = FILTER_DROP,
							   .fields = FILTER_PORT | FILTER_DPORT,
							   .port_lo = 1,
							   .port_hi = 65535});
	check_rule(&filter->rules[4],
		   (struct filter_rule){.action = FILTER_DROP,
					.fields = FILTER_SET | FILTER_PROTO | FILTER_PORT,
					.set_fields = XDP_FIELD_DST,
					.proto = IPPROTO_SCTP,
					.set = 1,
					.port_lo = 80,
					.port_hi = 80});
	check_rule(&filter->rules[5], (struct filter_rule){.action = FILTER_PASS});
	assert_int_equal(filter->set_cnt, 2);
	assert_string_equal(filter->sets[0]->name, "lab");
	assert_non_null(set_net_of(filter->sets[0], inside, false, 0));
	assert_null(set_net_of(filter->sets[0], outside, false, 0));
	assert_string_equal(filter->sets[1]->name, "two");
	assert_int_equal(filter->sets[1]->cnt, 0);
}

static void check_full_groups(const struct config *config)
{
	const struct config_group *groups = config->groups;

	assert_int_equal(config->group_cnt, 6);
	assert_string_equal(groups[0].name, "web");
	assert_string_equal(groups[0].spec.when.match, "tcp port 80");
	assert_int_equal(groups[0].spec.steer.method, METHOD_IP_PAIR);
	assert_int_equal(groups[0].members, 64);
	assert_int_equal(groups[0].members_max, CONFIG_JOIN_MAX);
	assert_int_equal(groups[0].run, CONFIG_RUN_WORKER);
	assert_int_equal(groups[0].line, 23);
	assert_null(groups[0].dir);
	assert_string_equal(groups[1].name, "all");
	assert_null(groups[1].spec.when.match);
	assert_int_equal(groups[1].spec.steer.method, METHOD_FLOW);
	assert_int_equal(groups[1].spec.overflow, POLICY_DROP);
	assert_int_equal(groups[1].members, 1);
	assert_int_equal(groups[1].members_max, 4);
	check_access(&groups[1].access, CONFIG_USER_SELF, CONFIG_GROUP_NONE, 0400);
	assert_int_equal(groups[1].sink, CONFIG_SINK_COUNT);
	assert_int_equal(groups[1].run, CONFIG_RUN_THREAD);
	assert_int_equal(groups[1].ring_slots, 1024);
	assert_int_equal(groups[1].line, 24);
	assert_string_equal(groups[2].name, "pcap");
	assert_int_equal(groups[2].spec.steer.method, METHOD_ROUND_ROBIN);
	assert_int_equal(groups[2].sink, CONFIG_SINK_PCAP);
	assert_int_equal(groups[2].ring_slots, 65536);
	assert_string_equal(groups[2].dir, "captures");
	assert_string_equal(groups[3].name, "a.pcap");
	assert_int_equal(groups[3].spec.steer.method, METHOD_BROADCAST);
	assert_int_equal(groups[3].ring_slots, 64);
	assert_string_equal(groups[3].dir, ".");
	assert_int_equal(groups[3].line, 26);
	assert_int_equal(groups[4].members, 0);
	assert_int_equal(groups[4].members_max, 64);
	assert_int_equal(groups[4].spec.overflow, POLICY_SPILL);
	check_access(&groups[4].access, 1000, 0, 0404);
	assert_int_equal(groups[5].members, 1);
	assert_int_equal(groups[5].members_max, 0);
	assert_int_equal(groups[5].spec.overflow, POLICY_DROP);
	check_access(&groups[5].access, CONFIG_USER_SELF, CONFIG_GROUP_NONE, 0400);
}

static void test_full(void **state)
{
	static const uint16_t cpus[] = {0, 2, 4, 5, 6, 7};
	struct config config;

	(void)state;
	read_good(&config, full_text);
	assert_string_equal(config.path, "t.yaml");
	assert_string_equal(config.name, "demo.1");
	assert_int_equal(config.interface_cnt, 4);
	assert_string_equal(config.interfaces[0].name, "eth0");
	assert_int_equal(config.interfaces[0].mode, CONFIG_MODE_AUTO);
	assert_true(config.interfaces[0].promiscuous);
	assert_int_equal(config.interfaces[1].mode, CONFIG_MODE_ZERO_COPY);
	assert_false(config.interfaces[1].promiscuous);
	assert_int_equal(config.interfaces[2].mode, CONFIG_MODE_NATIVE);
	assert_true(config.interfaces[2].promiscuous);
	assert_string_equal(config.interfaces[3].name, "br-lan.100");
	assert_int_equal(config.interfaces[3].mode, CONFIG_MODE_GENERIC);
	assert_int_equal(config.workers.cpu_cnt, 6);
	assert_memory_equal(config.workers.cpus, cpus, sizeof(cpus));
	assert_int_equal(config.workers.idle, CONFIG_IDLE_SPIN);
	assert_int_equal(config.workers.frames, 16384);
	assert_int_equal(config.workers.frame_size, 4096);
	check_full_filter(&config.filter);
	check_full_groups(&config);
	config_destroy(&config);
	assert_memory_equal(&config, &zeroed, sizeof(config));
	config_destroy(&config);
	config_destroy(NULL);
}

static void test_defaults(void **state)
{
	static const char *const texts[] = {
		"{}",
		"groups:\n",
		"# all of it is left empty\ninterfaces:\nworkers:\nfilter:\ngroups: ~\n",
		"filter: { sets: , rules: null }\nworkers: { cpus: auto }\n",
		"---\ninterfaces: []\ngroups: {}\n...\n",
		"\xef\xbb\xbfgroups: {}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct config config;

		read_good(&config, texts[i]);
		assert_string_equal(config.name, "xfq");
		assert_int_equal(config.interface_cnt, 0);
		assert_null(config.workers.cpus);
		assert_int_equal(config.workers.cpu_cnt, 0);
		assert_int_equal(config.workers.frames, 0);
		assert_int_equal(config.workers.frame_size, 0);
		assert_int_equal(config.workers.idle, CONFIG_IDLE_ADAPTIVE);
		assert_int_equal(config.filter.default_action, FILTER_STEER);
		assert_int_equal(config.filter.malformed, XDP_MALFORMED_BY_RULES);
		assert_int_equal(config.filter.rule_cnt, 0);
		assert_int_equal(config.filter.set_cnt, 0);
		assert_int_equal(config.group_cnt, 0);
		config_destroy(&config);
	}
}

static void check_name(const char *text, const char *wanted)
{
	struct config config;

	read_good(&config, text);
	assert_string_equal(config.name, wanted);
	config_destroy(&config);
}

static void test_names(void **state)
{
	(void)state;
	check_name("interfaces: [{ name: eth0 }, { name: eth1 }]", "eth0");
	check_name("interfaces: [{ name: eth0 }]\nname: other", "other");
	check_name("interfaces: [{ name: .v@1.2+ }]", "_v_1.2_");
	check_name("name: abcdefghijklmnopqrstuvwxyz_-.01", "abcdefghijklmnopqrstuvwxyz_-.01");
	check_name("name: 7", "7");
	check_name("%YAML 1.1\n--- # no %TAG\nname: a\n", "a");
}

static void test_cpus(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "workers: { cpus: 3 }");
	assert_int_equal(config.workers.cpu_cnt, 1);
	assert_int_equal(config.workers.cpus[0], 3);
	config_destroy(&config);
	read_good(&config, "workers: { cpus: 0-1023 }");
	assert_int_equal(config.workers.cpu_cnt, 1024);
	assert_int_equal(config.workers.cpus[1023], 1023);
	config_destroy(&config);
	read_good(&config, "workers: { cpus: [7, 5-6, 0] }");
	assert_int_equal(config.workers.cpu_cnt, 4);
	assert_int_equal(config.workers.cpus[0], 7);
	assert_int_equal(config.workers.cpus[3], 0);
	config_destroy(&config);
}

/* The access of a group whose `access` is this text. */
static void test_aliases(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "groups:\n  a: &same { members: 3 }\n  b: *same\n");
	assert_int_equal(config.group_cnt, 2);
	assert_int_equal(config.groups[1].members, 3);
	assert_int_equal(config.groups[1].line, 3);
	config_destroy(&config);
}

/* --- limits ---------------------------------------------------------------------------------- */

/* A text made of a head, a piece many times (with its number for %u), and a tail. */
static char *text_repeat(const char *head, const char *piece, uint32_t cnt, const char *tail)
{
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	fputs(head, file);
	for (uint32_t i = 0; i < cnt; i++) {
		const char *number = strchr(piece, '#');

		if (number)
			fprintf(file, "%.*s%u%s", (int)(number - piece), piece, i, number + 1);
		else
			fputs(piece, file);
	}
	fputs(tail, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void check_repeat(const char *head, const char *piece, uint32_t cnt, const char *tail,
			 const char *line)
{
	char *text = text_repeat(head, piece, cnt, tail);

	check_lines(text, strlen(text), (const char *[]){line, NULL});
	free(text);
}

static void good_repeat(const char *head, const char *piece, uint32_t cnt)
{
	char *text = text_repeat(head, piece, cnt, "");
	struct config config;

	read_good(&config, text);
	config_destroy(&config);
	free(text);
}

static void test_counts(void **state)
{
	(void)state;
	good_repeat("groups:\n", "  g#: {}\n", 64);
	check_repeat("groups:\n", "  g#: {}\n", 66, "", "66: groups: more than 64 groups");
	good_repeat("filter:\n  rules:\n", "  - { action: drop, port: # }\n", 256);
	check_repeat("filter:\n  rules:\n", "  - { action: drop }\n", 300, "",
		     "259: filter.rules: more than 256 rules");
	good_repeat("filter:\n  sets:\n", "    s#: { type: net, entries: [] }\n", 32);
	check_repeat("filter:\n  sets:\n", "    s#: { type: net, entries: [] }\n", 33, "",
		     "35: filter.sets: more than 32 sets");
}

static void test_hostile_documents(void **state)
{
	struct config_errors errors = {0};
	struct config config;
	char *text;

	(void)state;
	check_lines("filter: &f\n  sets: *f\n", 22,
		    (const char *[]){
			    "1: filter.sets.sets.type: is missing",
			    "2: filter.sets.sets.sets: unknown key; did you mean \"hits\"?", NULL});
	check_repeat("x:\n", "- &a# 1\n", 1001, "",
		     "1002: more anchors and aliases than a configuration may have (1000)");
	check_repeat("x: &a 1\ny:\n", "- *a\n", 1000, "",
		     "1002: more anchors and aliases than a configuration may have (1000)");
	check_repeat("x: [\n", "1,", 1u << 20, "]\n",
		     "2: more values than a configuration may have (1048576); long sets belong in "
		     "files of their own");
	check_repeat("x: ", "[", 2u << 20, "",
		     "1: lists and mappings nested more deeply than a configuration may have (64)");
	/* sixty-four rules of a hundred thousand keys each, out of one */
	text = text_repeat("filter:\n  rules:\n  - &r\n", "    k#: 1\n", 100000, "");
	text = realloc(text, strlen(text) + 63 * 8 + 1);
	assert_non_null(text);
	for (int i = 0; i < 63; i++)
		strcat(text + 1000000, "  - *r\n");
	assert_int_equal(config_read_buffer(&config, "t.yaml", ".", text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, CONFIG_ERRORS_MAX);
	assert_non_null(strstr(errors.lines[999].text, "more errors"));
	config_errors_destroy(&errors);
	free(text);
}

static void test_error_cap(void **state)
{
	char *text = text_repeat("workers:\n", "  k#: 1\n", 1500, "");
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	assert_int_equal(config_read_buffer(&config, "t.yaml", ".", text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, 1000);
	assert_string_equal(errors.lines[0].text,
			    "t.yaml:2: workers.k0: unknown key; there is cpus, idle, frames, "
			    "flow_cache, frame_size");
	assert_string_equal(errors.lines[999].text, "t.yaml:1001: and 501 more errors");
	config_errors_destroy(&errors);
	free(text);
}

/* --- files ----------------------------------------------------------------------------------- */

/* config_read() of a file in the folder, and its one error without the folder in front. */
static void check_file(const char *name, int code, const char *line)
{
	struct config_errors errors = {0};
	char wanted[256], path[128];
	struct config config;

	snprintf(path, sizeof(path), "%s", path_of(name));
	assert_int_equal(config_read(&config, path, &errors), code);
	assert_memory_equal(&config, &zeroed, sizeof(config));
	assert_int_equal(errors.cnt, 1);
	snprintf(wanted, sizeof(wanted), "%s:%s", path, line);
	assert_string_equal(errors.lines[0].text, wanted);
	config_errors_destroy(&errors);
}

static void test_files(void **state)
{
	(void)state;
	check_file("nowhere.yaml", -ENOENT, "1: cannot be read: No such file or directory");
	check_file("", -EISDIR, "1: is a directory, not a file");
	file_write("c.yaml", "");
	check_file("c.yaml", -EINVAL,
		   "1: the file is empty; it wants keys such as interfaces: and groups:");
	if (geteuid() != 0) {
		assert_int_equal(chmod(path_of("c.yaml"), 0), 0);
		check_file("c.yaml", -EACCES, "1: cannot be read: Permission denied");
		assert_int_equal(chmod(path_of("c.yaml"), 0600), 0);
	}
	file_write("big.yaml", "");
	assert_int_equal(truncate(path_of("big.yaml"), (16 << 20) + 1), 0);
	check_file("big.yaml", -EFBIG, "1: is larger than the 16 MiB that are read");
	assert_int_equal(truncate(path_of("big.yaml"), 16 << 20), 0);
	check_file("big.yaml", -EINVAL, "1: a NUL byte: this is not a text file in UTF-8");
	unlink(path_of("big.yaml"));
}

static void test_set_file(void **state)
{
	uint8_t inside[4] = {198, 51, 100, 9}, other[4] = {203, 0, 113, 7};
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	file_write("good.txt", "# a comment\n\n198.51.100.0/24 # and one\r\n \t2001:db8::/32 \n"
			       "#192.0.2.0/24\n203.0.113.7");
	file_write("c.yaml", "filter:\n  sets:\n    b: { type: net, file: good.txt, "
			     "entries: [10.0.0.0/8] }\n");
	assert_int_equal(config_read(&config, path_of("c.yaml"), &errors), 0);
	assert_string_equal(config.path, path_of("c.yaml"));
	assert_int_equal(config.sets[0]->cnt, 4);
	assert_non_null(set_net_of(config.sets[0], inside, false, 0));
	assert_non_null(set_net_of(config.sets[0], other, false, 0));
	config_destroy(&config);
}

static void test_set_file_errors(void **state)
{
	char text[512], path[128], wanted[512];
	struct config_errors errors = {0};
	struct config config;
	char *bad = text_repeat("10.0.0.0/8\nexample.org\n10.0.0.0/64 # long\n", "x#\n", 25,
				"192.0.2.1\n");

	(void)state;
	file_write("bad.txt", bad);
	free(bad);
	snprintf(text, sizeof(text),
		 "filter:\n  default: stear\n  sets:\n    b: { type: net, file: bad.txt }\n"
		 "    c: { type: net, file: none.txt }\n    d: { type: net, file: . }\n"
		 "    e: { type: net, file: fifo }\n    f: { type: net, file: %s }\n",
		 "/dev/null");
	file_write("c.yaml", text);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	snprintf(path, sizeof(path), "%s", path_of("c.yaml"));
	assert_int_equal(config_read(&config, path, &errors), -EINVAL);
	assert_int_equal(errors.cnt, 1 + 21 + 4);
	snprintf(wanted, sizeof(wanted),
		 "%s:2: filter.default: \"stear\" is none of steer, pass, drop, claimed", path);
	assert_string_equal(errors.lines[0].text, wanted);
	snprintf(wanted, sizeof(wanted),
		 "%s/bad.txt:2: \"example.org\" is neither an address nor a prefix such as "
		 "192.0.2.0/24 or 2001:db8::/32",
		 folder);
	assert_string_equal(errors.lines[1].text, wanted);
	snprintf(wanted, sizeof(wanted),
		 "%s/bad.txt:3: \"10.0.0.0/64\": the length of an IPv4 prefix is a number from 0 "
		 "to 32",
		 folder);
	assert_string_equal(errors.lines[2].text, wanted);
	snprintf(wanted, sizeof(wanted), "%s/bad.txt:22: and 7 more lines like these", folder);
	assert_string_equal(errors.lines[21].text, wanted);
	snprintf(wanted, sizeof(wanted),
		 "%s:5: filter.sets.c.file: %s/none.txt cannot be read: No such file or directory",
		 path, folder);
	assert_string_equal(errors.lines[22].text, wanted);
	assert_non_null(strstr(errors.lines[23].text, "is a directory, not a file"));
	assert_non_null(strstr(errors.lines[24].text, "fifo is not a regular file"));
	assert_non_null(strstr(errors.lines[25].text, "/dev/null is not a regular file"));
	config_errors_destroy(&errors);
}

static void test_set_text(void **state)
{
	static const char text[] = "10.0.0.1\n10.0.0\0002\n1.2.3.4/8 trailing\n";
	struct config_errors errors = {0};
	struct set set = {.type = SET_NET};

	(void)state;
	assert_int_equal(config_set_parse(&set, "s", text, sizeof(text) - 1, 7, &errors), -EINVAL);
	assert_int_equal(set.cnt, 1);
	assert_int_equal(errors.cnt, 2);
	assert_int_equal(errors.lines[0].at, 7);
	assert_string_equal(errors.lines[0].text, "s:2: a NUL byte: this is not a text file");
	assert_non_null(strstr(errors.lines[1].text, "s:3: \"1.2.3.4/8 trailing\""));
	config_errors_destroy(&errors);
	set_destroy(&set);
}

/* A text without a folder reaches nothing outside of it: neither files, nor users, nor groups. */
static void test_alone(void **state)
{
	static const char text[] = "filter:\n  sets:\n    b: { type: net, file: /etc/hostname }\n"
				   "groups:\n  a: { access: { user: root,\n   group: root } }\n";
	static const char good[] = "groups: { a: { access: { user: 0, group: 0 } } }";
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	assert_int_equal(config_read_buffer(&config, "t", NULL, text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, 3);
	assert_string_equal(errors.lines[0].text,
			    "t:3: filter.sets.b.file: a configuration that is no file cannot name "
			    "files");
	assert_string_equal(errors.lines[1].text,
			    "t:5: groups.a.access.user: a configuration that is no file cannot "
			    "name a user; a number it can");
	assert_string_equal(errors.lines[2].text,
			    "t:6: groups.a.access.group: a configuration that is no file cannot "
			    "name a group; a number it can");
	config_errors_destroy(&errors);
	assert_int_equal(config_read_buffer(&config, "t", NULL, good, strlen(good), &errors), 0);
	check_access(&config.groups[0].access, 0, 0, 0440);
	config_destroy(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_hostile_documents),
		cmocka_unit_test(test_error_cap),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_set_file),
		cmocka_unit_test(test_set_file_errors),
		cmocka_unit_test(test_set_text),
		cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, folder_create, folder_destroy);
}
