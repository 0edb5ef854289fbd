/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inner packets, held against tshark packet by packet: on every capture, and on made-up packets of
 * every encapsulation. The innermost one must be, by its kind, addresses and ports, what tshark has
 * found.
 *
 * Where the two differ on purpose is in `purposes`; docs/decisions/inner-packets.md says why.
 */
#include "steering/flow.h"
#include "tests/tunnel_wraps.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED     7
#define PATH     512
#define LINE     8192
#define VIEW     160
#define FIELDS   12
#define LINKTYPE DLT_EN10MB

/* Where the two differ on purpose: part of tshark's list of protocols, or of what it complains of;
 * and of the name of the packet. */
static const struct {
	const char *part, *name, *why;
} purposes[] = {
	{":gre:ppp", "", "PPP in GRE (PPTP) is not looked into"},
	{":gre:data", "GRE, VLAN", "tags in GRE are not looked into by tshark"},
	{"total length exceeds packet length", ".pcap", "an inner packet that lies is not taken"},
};
#define PURPOSE_CNT (sizeof(purposes) / sizeof(purposes[0]))

static char dir[64], merged[PATH];
static pcap_t *pcap_dead;

static int dir_create(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/xfq-tunnel-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(merged, sizeof(merged), "%s/merged.pcap", dir);
	pcap_dead = pcap_open_dead(LINKTYPE, 262144);
	return pcap_dead ? 0 : -1;
}

static int dir_destroy(void **state)
{
	(void)state;
	pcap_close(pcap_dead);
	unlink(merged);
	snprintf(merged, sizeof(merged), "%s/errors", dir);
	unlink(merged);
	return rmdir(dir);
}

/* --- what is seen here -------------------------------------------------------------------------
 */

static void view_ports(char *text, const struct packet *pkt)
{
	const uint8_t *p = pkt->data + pkt->meta->l4_off;
	uint8_t proto = pkt->meta->l4_proto;

	if ((proto != 6 && proto != 17) || !(pkt->meta->flags & XFQ_META_PORTS))
		return;
	sprintf(text, " %u %u", parse_be16(p), parse_be16(p + 2));
}

static void view_here(char *text, const struct packet *pkt)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off, *d = pkt->data;
	bool v6 = pkt->meta->flags & XFQ_META_IPV6;
	char src[64], dst[64];

	if (pkt->meta->l3_off) {
		inet_ntop(v6 ? AF_INET6 : AF_INET, l3 + (v6 ? 8 : 12), src, sizeof(src));
		inet_ntop(v6 ? AF_INET6 : AF_INET, l3 + (v6 ? 24 : 16), dst, sizeof(dst));
		view_ports(text + sprintf(text, "ip %s %s", src, dst), pkt);
	} else {
		sprintf(text, "eth %02x:%02x:%02x:%02x:%02x:%02x %02x:%02x:%02x:%02x:%02x:%02x",
			d[6], d[7], d[8], d[9], d[10], d[11], d[0], d[1], d[2], d[3], d[4], d[5]);
	}
}

/* --- what tshark sees --------------------------------------------------------------------------
 */

enum field {
	PROTOCOLS,
	ETH_SRC,
	ETH_DST,
	IP_SRC,
	IP_DST,
	IP6_SRC,
	IP6_DST,
	TCP_S,
	TCP_D,
	UDP_S,
	UDP_D,
	COMPLAINTS
};

#define TSHARK_FIELDS                                                                              \
	"-e frame.protocols -e eth.src -e eth.dst -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst "    \
	"-e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport -e _ws.expert.message"

/* Value `n` of a list with commas, into `text`; nothing where there is none. */
static void list_value(char *text, size_t bytes, const char *list, uint32_t n)
{
	while (n-- > 0) {
		list = strchr(list, ',');
		if (!list++)
			list = "";
	}
	snprintf(text, bytes, "%.*s", (int)strcspn(list, ","), list);
}

/* The innermost packet by the list of protocols; each field has one value for each time that its
 * protocol is on the list. What ICMP cites is not in a tunnel. */
static void view_tshark(char *text, char *fields[FIELDS])
{
	uint32_t cnt[FIELDS] = {0};
	enum field last = ETH_SRC, before = ETH_SRC, ports = PROTOCOLS;
	char *save = NULL, values[4][64], list[LINE];

	snprintf(list, sizeof(list), "%s", fields[PROTOCOLS]);
	for (char *p = strtok_r(list, ":", &save); p; p = strtok_r(NULL, ":", &save)) {
		if (strcmp(p, "icmp") == 0 || strcmp(p, "icmpv6") == 0)
			break;
		if (strcmp(p, "tcp") == 0 || strcmp(p, "udp") == 0) {
			ports = *p == 't' ? TCP_S : UDP_S;
			cnt[ports]++;
			continue;
		}
		if (strcmp(p, "eth") == 0)
			last = ETH_SRC;
		else if (strcmp(p, "ip") == 0)
			last = IP_SRC;
		else if (strcmp(p, "ipv6") == 0)
			last = IP6_SRC;
		else
			continue;
		list_value(values[0], 64, fields[last], cnt[last]++);
		/* a header without addresses is one that it finds broken */
		last = values[0][0] ? last : before;
		before = last;
		ports = PROTOCOLS;
	}
	list_value(values[0], 64, fields[last], cnt[last] - 1);
	list_value(values[1], 64, fields[last + 1], cnt[last] - 1);
	text += sprintf(text, "%s %s %s", last == ETH_SRC ? "eth" : "ip", values[0], values[1]);
	if (ports == PROTOCOLS)
		return;
	list_value(values[2], 64, fields[ports], cnt[ports] - 1);
	list_value(values[3], 64, fields[ports + 1], cnt[ports] - 1);
	sprintf(text, " %s %s", values[2], values[3]);
}

/* Split a line at its bars; false: it is none of tshark's. */
static bool fields_split(char *line, char *fields[FIELDS])
{
	uint32_t cnt = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *p = line; p && cnt < FIELDS; cnt++) {
		fields[cnt] = p;
		p = strchr(p, '|');
		if (p)
			*p++ = '\0';
	}
	return cnt == FIELDS;
}

static FILE *tshark_open(void)
{
	char command[3 * PATH];

	snprintf(
		command, sizeof(command),
		"tshark -n -r %s -o ip.defragment:FALSE -o ipv6.defragment:FALSE "
		"-d udp.port==8472,vxlan -T fields -E occurrence=a -E 'separator=|' %s 2>%s/errors",
		merged, TSHARK_FIELDS, dir);
	return popen(command, "r");
}

/* --- all packets -------------------------------------------------------------------------------
 */

struct view {
	char text[VIEW];
	char name[64]; /* of the capture */
	uint32_t number;
	bool inner;
};

static struct view *views;
static uint32_t view_cnt, view_room;
static struct tunnels *tunnels;
static pcap_dumper_t *dumper;

static void packet_add(const char *name, uint32_t number, const struct pcap_pkthdr *header,
		       const uint8_t *data)
{
	struct packet pkt = {.data = malloc(header->caplen + 1u), .len = header->caplen}, shown;
	struct parse_key key;
	struct xfq_meta meta;
	struct view *view;

	assert_non_null(pkt.data);
	memcpy(pkt.data, data, header->caplen);
	parse_packet(NULL, pkt.data, pkt.data + pkt.len, header->len, &meta, &key);
	meta.flow_hash = flow_hash(&meta, &key, pkt.data, pkt.data + pkt.len, SEED);
	meta.magic = XFQ_META_CHECKED;
	meta.ts_ns =
		(uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec * 1000;
	pkt.meta = &meta;
	if (view_cnt == view_room) {
		view_room = view_room ? 2 * view_room : 4096;
		views = reallocarray(views, view_room, sizeof(*views));
		assert_non_null(views);
	}
	view = &views[view_cnt++];
	snprintf(view->name, sizeof(view->name), "%s", name);
	view->number = number;
	view->inner = tunnels_burst(tunnels, SEED, &pkt, 1, &shown) && shown.data != pkt.data;
	view->text[0] = '\0';
	if (shown.len >= 14)
		view_here(view->text, &shown);
	pcap_dump((u_char *)dumper, header, data);
	free(pkt.data);
}

static void capture_add(const char *path, const char *name)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const u_char *data;
	uint32_t number = 0;

	if (pcap && pcap_datalink(pcap) == LINKTYPE)
		while (pcap_next_ex(pcap, &header, &data) == 1)
			packet_add(name, ++number, header, data);
	if (pcap)
		pcap_close(pcap);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static uint32_t captures_add(void)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct dirent **entries = NULL;
	char path[PATH];
	int cnt;

	snprintf(path, sizeof(path), "%s/data/pcaps", shared ? shared : ".");
	cnt = scandir(path, &entries, is_visible, alphasort);
	for (int i = 0; i < cnt; i++) {
		snprintf(path, sizeof(path), "%s/data/pcaps/%.200s", shared, entries[i]->d_name);
		capture_add(path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return cnt > 0 ? (uint32_t)cnt : 0;
}

static void nest_add(const struct nest *n, const char *around, const char *wrap)
{
	static uint32_t number;
	struct pcap_pkthdr header = {.ts.tv_sec = 1700000000, .caplen = n->b.len, .len = n->b.len};
	char name[64];

	snprintf(name, sizeof(name), "%s in %s", wrap, around);
	header.ts.tv_usec = (suseconds_t)++number;
	packet_add(name, number, &header, n->b.bytes);
}

/* Every encapsulation, alone and in another one. */
static void made_add(void)
{
	static struct nest n;

	for (size_t i = 0; i < WRAP_CNT * WRAP_CNT * 8; i++) {
		const struct wrap *around = &wraps[i / 8 / WRAP_CNT];
		const struct wrap *wrap = &wraps[i / 8 % WRAP_CNT];
		uint32_t outer = i & 4 ? 6 : 4, inner = i & 2 ? 6 : 4;

		if (!wrap_takes(wrap, outer, inner))
			continue;
		nest_start(&n);
		/* only what begins with IP goes into anything; Teredo takes no other addresses */
		if (around != wrap && (!(wrap->flags & WRAP_IP) || around->flags & WRAP_TEREDO ||
				       wrap->make == wrap_ipip_tagged))
			continue;
		if (around != wrap)
			around->make(&n, inner, i & 1);
		wrap->make(&n, outer, i & 1);
		nest_inside(&n, inner, wrap->flags & WRAP_TEREDO, i & 1, 20);
		nest_add(&n, around == wrap ? "nothing" : around->name, wrap->name);
	}
}

/* Frames without IP, in all that takes frames. */
static void frames_add(void)
{
	static const uint32_t types[] = {0x0806, 0x88cc, 0x88f7};
	static struct nest n;

	for (size_t i = 0; i < WRAP_CNT * 3; i++) {
		const struct wrap *wrap = &wraps[i / 3];

		nest_start(&n);
		wrap->make(&n, 4, false);
		if (!(wrap->flags & WRAP_IP) || n.packets[n.packet_cnt - 1].ethertype ||
		    n.packet_cnt == 1)
			continue;
		nest_link(&n, types[i % 3], 0);
		nest_bytes(&n, 46);
		nest_finish(&n);
		nest_add(&n, wrap->name, "a frame");
	}
}

/* --- the comparison ----------------------------------------------------------------------------
 */

static uint32_t purpose_cnt[PURPOSE_CNT], inner_cnt, frame_cnt;

static bool on_purpose(const char *name, const char *protocols, const char *complaints)
{
	for (size_t i = 0; i < PURPOSE_CNT; i++) {
		if (!strstr(protocols, purposes[i].part) && !strstr(complaints, purposes[i].part))
			continue;
		if (!strstr(name, purposes[i].name))
			continue;
		purpose_cnt[i]++;
		return true;
	}
	return false;
}

/* Returns how many differ. */
static uint32_t compare(FILE *tshark)
{
	static char line[LINE];
	char *fields[FIELDS], text[VIEW];
	uint32_t differ = 0, at = 0;

	for (; fgets(line, sizeof(line), tshark); at++) {
		const struct view *view = &views[at];

		assert_true(at < view_cnt);
		if (!fields_split(line, fields))
			fail_msg("tshark says: %s", line);
		view_tshark(text, fields);
		inner_cnt += view->inner;
		frame_cnt += view->inner && view->text[0] == 'e';
		if (strcmp(text, view->text) == 0 ||
		    on_purpose(view->name, fields[PROTOCOLS], fields[COMPLAINTS]))
			continue;
		if (differ++ < 40)
			print_message("%s, packet %u: \"%s\", tshark \"%s\" (%s)\n", view->name,
				      view->number, view->text, text, fields[PROTOCOLS]);
	}
	assert_int_equal(at, view_cnt);
	return differ;
}

static void test_tshark(void **state)
{
	uint32_t captures, differ;
	FILE *tshark;

	(void)state;
	if (system("command -v tshark >/dev/null") != 0) {
		print_message("skipped: needs tshark\n");
		skip();
	}
	tunnels = tunnels_create(UINT32_MAX);
	assert_non_null(tunnels);
	dumper = pcap_dump_open(pcap_dead, merged);
	assert_non_null(dumper);
	captures = captures_add();
	if (!captures)
		print_message("no captures in $XFQ_SHARED_DIR/data/pcaps: made-up packets alone\n");
	made_add();
	frames_add();
	pcap_dump_close(dumper);
	tshark = tshark_open();
	assert_non_null(tshark);
	differ = compare(tshark);
	assert_int_equal(pclose(tshark), 0);
	print_message("%u captures, %u packets, %u with another one in it (%u of them without IP): "
		      "%u differ\n",
		      captures, view_cnt, inner_cnt, frame_cnt, differ);
	for (size_t i = 0; i < PURPOSE_CNT; i++)
		print_message("%u on purpose: %s\n", purpose_cnt[i], purposes[i].why);
	assert_int_equal(differ, 0);
	assert_true(inner_cnt > 1000 && frame_cnt > 10);
	tunnels_destroy(tunnels);
	free(views);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tshark),
	};

	return cmocka_run_group_tests(tests, dir_create, dir_destroy);
}
