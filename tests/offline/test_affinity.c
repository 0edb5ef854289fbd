/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the members of a group write, held against the file they were dealt from: together they have
 * every packet once, byte for byte, in order and with its time; both directions of a flow, all
 * fragments of a datagram, and with ip-pair all that two hosts say to each other, are in one.
 *
 * The packets are read by libpcap, and a parser of the test's own (belongs.h) says what belongs
 * together.
 */
#include "tests/offline/belongs.h"
#include <dirent.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FLOWS   64 /* of each kind that is made up */
#define PATH    512
#define MEMBERS 8

#define FORGOTTEN_NS 30000000000ULL /* FRAGMENT_LIFETIME_NS */

struct packet_list {
	struct packet_copy *packets;
	size_t cnt, next; /* next: of the walk through a member's packets */
};

static const struct {
	const char *name, *steer, *match, *run;
	uint32_t members;
} groups[] = {
	{"flow", "flow", "", "thread", 4},        {"flow7", "flow", "", "worker", 7},
	{"ip", "flow", "ip or ip6", "thread", 3}, {"pair", "ip-pair", "", "thread", 5},
	{"turn", "round-robin", "", "worker", 3}, {"each", "broadcast", "", "thread", 2},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static char dir[64];
static uint64_t packet_cnt, flow_cnt, two_way_cnt, datagram_cnt, pair_cnt; /* over all captures */
static uint64_t followed_cnt; /* datagrams that were held against their flows */

/* --- files ----------------------------------------------------------------------------------- */

static void list_free(struct packet_list *list)
{
	for (size_t i = 0; i < list->cnt; i++)
		free(list->packets[i].data);
	free(list->packets);
	memset(list, 0, sizeof(*list));
}

/* Read an Ethernet capture, or of those only the packets that match. False: it is none. */
static bool list_read(struct packet_list *list, const char *path, const char *match)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	struct bpf_program program;
	struct pcap_pkthdr *header;
	const u_char *data;
	size_t room = 0;

	memset(list, 0, sizeof(*list));
	if (!pcap)
		return false;
	if (pcap_datalink(pcap) != DLT_EN10MB) {
		pcap_close(pcap);
		return false;
	}
	assert_int_equal(pcap_compile(pcap, &program, match, 1, 0), 0);
	while (pcap_next_ex(pcap, &header, &data) == 1) {
		struct packet_copy *copy;

		if (!pcap_offline_filter(&program, header, data))
			continue;
		if (list->cnt == room) {
			room = room ? room * 2 : 256;
			list->packets = reallocarray(list->packets, room, sizeof(*copy));
			assert_non_null(list->packets);
		}
		copy = &list->packets[list->cnt++];
		copy->ts_ns =
			(uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec;
		copy->len = header->caplen;
		copy->wire_len = header->len;
		copy->data = malloc(header->caplen + 1);
		assert_non_null(copy->data);
		memcpy(copy->data, data, header->caplen);
	}
	pcap_freecode(&program);
	pcap_close(pcap);
	return true;
}

static bool packet_same(const struct packet_copy *a, const struct packet_copy *b)
{
	return a->ts_ns == b->ts_ns && a->len == b->len && a->wire_len == b->wire_len &&
	       memcmp(a->data, b->data, a->len) == 0;
}

static void member_path(char path[PATH], size_t group, uint32_t member)
{
	snprintf(path, PATH, "%s/out/%s.%u.pcapng", dir, groups[group].name, member);
}

static void config_write(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("groups:\n", file);
	for (size_t i = 0; i < GROUPS; i++) {
		fprintf(file, "  %s: { steer: %s, members: %u, run: %s, ring: 64", groups[i].name,
			groups[i].steer, groups[i].members, groups[i].run);
		if (groups[i].match[0])
			fprintf(file, ", match: \"%s\"", groups[i].match);
		fputs(" }\n", file);
	}
	assert_int_equal(fclose(file), 0);
}

/* `xfq run CONFIG --read CAPTURE --write DIR/out` */
static void run_xfq(const char *capture)
{
	const char *program = getenv("XFQ_BIN");
	char config[PATH], out[PATH];
	int status;
	pid_t pid;

	assert_non_null(program);
	snprintf(config, sizeof(config), "%s/config.yaml", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	config_write(config);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		alarm(60); /* goes with it through exec: one that hangs is ended */
		execl(program, program, "run", config, "--read", capture, "--write", out, "--json",
		      (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("xfq run --read %s: status %x", capture, (unsigned)status);
}

/* --- what belongs together ------------------------------------------------------------------- */

/* Where each key was seen. */
struct owner {
	struct key key;
	uint32_t member;
	bool ways[2];
	bool first;     /* of a datagram: its first fragment was seen */
	uint64_t ts_ns; /* when that was noted */
};

struct owners {
	struct owner *owners;
	size_t cnt, room;
};

static bool key_same(const struct key *a, const struct key *b)
{
	return memcmp(a->low, b->low, sizeof(a->low)) == 0 &&
	       memcmp(a->high, b->high, sizeof(a->high)) == 0 && a->id == b->id && a->v6 == b->v6 &&
	       a->proto == b->proto && a->direction == b->direction;
}

static struct owner *owners_find(const struct owners *owners, const struct key *key)
{
	for (size_t i = owners->cnt; i-- > 0;)
		if (key_same(&owners->owners[i].key, key))
			return &owners->owners[i];
	return NULL;
}

/* Note that `member` has a packet of `key`; false where another one has had one. */
static bool owners_note(struct owners *owners, const struct key *key, uint32_t member)
{
	struct owner *owner = owners_find(owners, key);

	if (owner) {
		owner->ways[key->swapped] = true;
		return owner->member == member;
	}
	if (owners->cnt == owners->room) {
		owners->room = owners->room ? owners->room * 2 : 64;
		owners->owners =
			reallocarray(owners->owners, owners->room, sizeof(*owners->owners));
		assert_non_null(owners->owners);
	}
	owner = &owners->owners[owners->cnt++];
	*owner = (struct owner){.key = *key, .member = member};
	owner->ways[key->swapped] = true;
	return true;
}

/* --- checks ---------------------------------------------------------------------------------- */

/* Whether the next packet of a member's file is this one. */
static bool is_next(const struct packet_list *member, const struct packet_copy *packet)
{
	return member->next < member->cnt && packet_same(&member->packets[member->next], packet);
}

/*
 * Which member has each packet of `all`: a member's file is in the order of the original, so one of
 * their next packets must be the one that is looked for. Afterwards nothing may be left. Of packets
 * that are the same in all, it may be any: first that whose turn it would be.
 */
static void deal(const struct packet_list *all, struct packet_list *members, uint32_t cnt,
		 uint8_t *of, const char *what)
{
	for (size_t i = 0; i < all->cnt; i++) {
		uint32_t tried = 0, m = (uint32_t)(i % cnt);

		while (tried < cnt && !is_next(&members[m], &all->packets[i])) {
			m = m + 1 < cnt ? m + 1 : 0;
			tried++;
		}
		if (tried == cnt)
			fail_msg("%s: packet %zu is in no member's file, or out of order", what, i);
		members[m].next++;
		of[i] = (uint8_t)m;
	}
	for (uint32_t m = 0; m < cnt; m++)
		if (members[m].next != members[m].cnt)
			fail_msg("%s, member %u: a packet too many", what, m);
}

/* Everything with the same key is with the same member. */
static void check_together(const struct packet_list *all, const uint8_t *of,
			   bool (*make)(struct key *, const struct parsed *), const char *what,
			   uint64_t *things, uint64_t *two_way)
{
	struct owners owners = {0};

	for (size_t i = 0; i < all->cnt; i++) {
		struct parsed parsed;
		struct key key;

		if (!parse(&all->packets[i], &parsed) || !make(&key, &parsed))
			continue;
		if (!owners_note(&owners, &key, of[i]))
			fail_msg("%s: packet %zu went to member %u, others of its kind elsewhere",
				 what, i, of[i]);
	}
	*things += owners.cnt;
	for (size_t i = 0; i < owners.cnt && two_way; i++)
		*two_way += owners.owners[i].ways[0] && owners.owners[i].ways[1];
	free(owners.owners);
}

/*
 * All fragments of a datagram are with the same member; and where the first one was there first,
 * with that of its flow. Senders use the names of datagrams again: another first fragment is
 * another datagram's, and after half a minute what was seen of one is forgotten.
 */
static void check_datagrams(const struct packet_list *all, const uint8_t *of, const char *what)
{
	struct owners datagrams = {0}, flows = {0};

	for (size_t i = 0; i < all->cnt; i++) {
		const struct packet_copy *packet = &all->packets[i];
		struct parsed parsed;
		struct owner *owner;
		struct key key;
		bool known;

		if (!parse(packet, &parsed))
			continue;
		if (key_flow(&key, &parsed) && !owners_note(&flows, &key, of[i]))
			fail_msg("%s: packet %zu is not with its flow", what, i);
		if (!key_datagram(&key, &parsed))
			continue;
		owner = owners_find(&datagrams, &key);
		if (owner && packet->ts_ns > owner->ts_ns + FORGOTTEN_NS)
			owner->first = false;
		known = owner && (owner->first || packet->ts_ns <= owner->ts_ns + FORGOTTEN_NS);
		if (known && !(parsed.first && owner->first) && owner->member != of[i])
			fail_msg("%s: packet %zu is not with its datagram", what, i);
		if (!owner) {
			owners_note(&datagrams, &key, of[i]);
			owner = owners_find(&datagrams, &key);
			datagram_cnt++;
		}
		/* where nothing of it came before, or only what belonged to another one */
		if (parsed.first && (!known || owner->first) && key_first(&key, &parsed)) {
			if (!owners_note(&flows, &key, of[i]))
				fail_msg("%s: first fragment %zu is not with its flow", what, i);
			followed_cnt++;
		}
		if (parsed.first || !known) {
			owner->first = parsed.first;
			owner->member = of[i];
			owner->ts_ns = packet->ts_ns;
		}
	}
	free(datagrams.owners);
	free(flows.owners);
}

static void check_method(size_t group, const struct packet_list *all, const uint8_t *of,
			 const char *what)
{
	if (strcmp(groups[group].steer, "flow") == 0) {
		check_together(all, of, key_flow, what, &flow_cnt, &two_way_cnt);
		check_datagrams(all, of, what);
	} else if (strcmp(groups[group].steer, "ip-pair") == 0) {
		check_together(all, of, key_pair, what, &pair_cnt, NULL);
	} else {
		for (size_t i = 0; i < all->cnt; i++)
			assert_int_equal(of[i], i % groups[group].members);
	}
}

/* Returns to how many members of the group packets went. */
static uint32_t check_group(size_t group, const char *capture)
{
	struct packet_list all, members[MEMBERS];
	char path[PATH], what[2 * PATH];
	uint32_t used = 0;
	uint8_t *of;

	snprintf(what, sizeof(what), "%s, group %s", capture, groups[group].name);
	assert_true(list_read(&all, capture, groups[group].match));
	for (uint32_t m = 0; m < groups[group].members; m++) {
		member_path(path, group, m);
		if (!list_read(&members[m], path, ""))
			fail_msg("%s: cannot be read", path);
		unlink(path);
		used += members[m].cnt > 0;
	}
	of = calloc(all.cnt + 1, 1);
	assert_non_null(of);
	if (strcmp(groups[group].steer, "broadcast") == 0) {
		for (uint32_t m = 0; m < groups[group].members; m++)
			deal(&all, &members[m], 1, of, what);
	} else {
		deal(&all, members, groups[group].members, of, what);
		check_method(group, &all, of, what);
	}
	packet_cnt += all.cnt;
	for (uint32_t m = 0; m < groups[group].members; m++)
		list_free(&members[m]);
	list_free(&all);
	free(of);
	return used;
}

/* --- made-up traffic ------------------------------------------------------------------------- */

static void put(pcap_dumper_t *dumper, const uint8_t *data, uint32_t len)
{
	static uint32_t ticks;
	struct pcap_pkthdr header = {.caplen = len, .len = len};

	header.ts.tv_sec = 1700000000;
	header.ts.tv_usec = 123456789 + ticks++ * 7; /* ns */
	pcap_dump((u_char *)dumper, &header, data);
}

/* Addresses of flow `i`: 10.0.i.1 and 10.1.i.2, or 2001:db8::i:1 and 2001:db8::i:2. */
static void put_addresses(uint8_t *p, uint32_t i, bool v6, bool back)
{
	for (uint32_t end = 0; end < 2; end++) {
		uint8_t *addr = p + (end ^ back) * (v6 ? 16u : 4u);

		if (v6) {
			memcpy(addr, "\x20\x01\x0d\xb8", 4);
			addr[13] = (uint8_t)i;
			addr[15] = (uint8_t)(end + 1);
		} else {
			addr[0] = 10;
			addr[1] = (uint8_t)end;
			addr[2] = (uint8_t)i;
			addr[3] = (uint8_t)(end + 1);
		}
	}
}

/* A UDP packet of flow `i`; `fragment`: 0 none, 1 the first, 2 in the middle, 3 the last. */
static void put_udp(pcap_dumper_t *dumper, uint32_t i, bool v6, bool back, bool tagged,
		    uint32_t fragment)
{
	static const uint16_t offset[] = {0, 0, 8, 16}; /* bytes */
	uint8_t data[128] = "\x02\0\0\0\0\x01\x02\0\0\0\0\x02";
	uint32_t at = 12, l4, more = fragment == 1 || fragment == 2;
	uint8_t *p;

	if (tagged) {
		memcpy(data + at, "\x81\x00\x00\x64", 4);
		at += 4;
	}
	memcpy(data + at, v6 ? "\x86\xdd" : "\x08\x00", 2);
	p = data + at + 2;
	l4 = at + 2 + (v6 ? 40 : 20);
	put_addresses(p + (v6 ? 8 : 12), i, v6, back);
	if (v6) {
		p[0] = 0x60;
		p[5] = fragment ? 16 : 8;
		p[6] = fragment ? 44 : 17;
		if (fragment) {
			data[l4] = 17;
			data[l4 + 3] = (uint8_t)(offset[fragment] | more);
			data[l4 + 7] = (uint8_t)i;
			l4 += 8;
		}
	} else {
		p[0] = 0x45;
		p[3] = 28;
		p[5] = (uint8_t)i;
		p[6] = more ? 0x20 : 0;
		p[7] = (uint8_t)(offset[fragment] / 8);
		p[9] = 17;
	}
	if (fragment < 2) {
		data[l4] = data[l4 + 2] = 4;
		data[l4 + (back ? 2 : 0)] = (uint8_t)(4 + i);
		data[l4 + 5] = fragment ? 24 : 8;
	}
	put(dumper, data, l4 + 8);
}

static void capture_make(const char *path)
{
	pcap_t *pcap =
		pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
	pcap_dumper_t *dumper;

	assert_non_null(pcap);
	dumper = pcap_dump_open(pcap, path);
	assert_non_null(dumper);
	/* fragments of many datagrams at once, in any order; then flows, both ways, some tagged */
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 2 * FLOWS; i++)
			put_udp(dumper, i / 2, i % 2, false, false, 1 + (round + i) % 3);
	for (uint32_t round = 0; round < 4; round++)
		for (uint32_t i = 0; i < 4 * FLOWS; i++)
			put_udp(dumper, i / 4, i % 2, (round + i / 2) % 2, round == 3, 0);
	pcap_dump_close(dumper);
	pcap_close(pcap);
}

/* --- tests ----------------------------------------------------------------------------------- */

static int dir_create(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/xfq-affinity-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int dir_destroy(void **state)
{
	char path[PATH];

	(void)state;
	snprintf(path, sizeof(path), "%s/config.yaml", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/made.pcap", dir);
	unlink(path);
	for (size_t i = 0; i < GROUPS; i++)
		for (uint32_t m = 0; m < groups[i].members; m++) {
			member_path(path, i, m);
			unlink(path);
		}
	snprintf(path, sizeof(path), "%s/out", dir);
	rmdir(path);
	return rmdir(dir);
}

static void test_made(void **state)
{
	char path[PATH];

	(void)state;
	snprintf(path, sizeof(path), "%s/made.pcap", dir);
	capture_make(path);
	run_xfq(path);
	flow_cnt = two_way_cnt = datagram_cnt = followed_cnt = 0;
	for (size_t i = 0; i < GROUPS; i++)
		assert_int_equal(check_group(i, path), groups[i].members);
	/* three groups steer by flow */
	assert_int_equal(flow_cnt, 3 * 2 * FLOWS);
	assert_int_equal(two_way_cnt, 3 * 2 * FLOWS);
	assert_int_equal(datagram_cnt, 3 * 2 * FLOWS);
	/* of those in three parts, each of which came before the others in a third of them */
	assert_in_range(followed_cnt, 2 * FLOWS - 3, 2 * FLOWS + 3);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void test_captures(void **state)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct dirent **entries = NULL;
	struct packet_list list;
	uint32_t captures = 0;
	char path[PATH];
	int cnt;

	(void)state;
	snprintf(path, sizeof(path), "%s/data/pcaps", shared ? shared : ".");
	cnt = scandir(path, &entries, is_visible, alphasort);
	if (cnt <= 0) {
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	packet_cnt = flow_cnt = two_way_cnt = datagram_cnt = pair_cnt = 0;
	for (int i = 0; i < cnt; i++) {
		snprintf(path, sizeof(path), "%s/data/pcaps/%.200s", shared, entries[i]->d_name);
		free(entries[i]);
		if (!list_read(&list, path, ""))
			continue;
		list_free(&list);
		run_xfq(path);
		for (size_t group = 0; group < GROUPS; group++)
			check_group(group, path);
		captures++;
	}
	free(entries);
	assert_true(two_way_cnt > 0 && datagram_cnt > 0 && pair_cnt > 0);
	print_message("%u captures, %zu groups: %llu packets, %llu flows (%llu both ways), "
		      "%llu datagrams in fragments, %llu pairs of hosts\n",
		      captures, GROUPS, (unsigned long long)packet_cnt,
		      (unsigned long long)flow_cnt, (unsigned long long)two_way_cnt,
		      (unsigned long long)datagram_cnt, (unsigned long long)pair_cnt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_captures),
	};

	return cmocka_run_group_tests(tests, dir_create, dir_destroy);
}
