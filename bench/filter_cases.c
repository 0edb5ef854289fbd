/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/filter_cases.h"
#include "bare.skel.h"
#include "front.skel.h"
#include "tests/packet_builder.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILTER_SOURCE   0xc6120001u /* 198.18.0.1, of all IPv4 packets; IPv6: 2001:db8::1 */
#define FILTER_LONG_SET 100000      /* prefixes of each family */
#define FILTER_SEED     20u

/* --- packets ---------------------------------------------------------------------------------- */

static void filter_packet_take(struct filter_packet *packet, const char *name,
			       struct packet_builder *builder)
{
	packet_payload(builder, 90 - builder->len);
	packet_finish(builder);
	packet->name = name;
	packet->len = builder->len;
	memcpy(packet->data, builder->bytes, builder->len);
}

void filter_packets_make(struct filter_packet packets[FILTER_PACKET_CNT])
{
	struct packet_builder b;

	packet_start(&b);
	packet_ipv4(&b, FILTER_SOURCE, 0xc6130001u, 0);
	packet_udp(&b, 40000, 53);
	filter_packet_take(&packets[FILTER_PACKET_UDP4], "IPv4 UDP", &b);
	packet_start(&b);
	packet_ipv6(&b, 1, 2);
	packet_udp(&b, 40000, 53);
	filter_packet_take(&packets[FILTER_PACKET_UDP6], "IPv6 UDP", &b);
	packet_start(&b);
	packet_vlan(&b, 0x8100, 5);
	packet_ipv4(&b, FILTER_SOURCE, 0xc6130001u, 0);
	packet_tcp(&b, 40000, 443, 0);
	filter_packet_take(&packets[FILTER_PACKET_VLAN], "VLAN IPv4 TCP", &b);
	packet_start(&b);
	packet_ipv4(&b, FILTER_SOURCE, 0xc6130001u, 0);
	packet_fragment4(&b, 185, true);
	b.bytes[b.next_at] = 17;
	filter_packet_take(&packets[FILTER_PACKET_FRAGMENT], "IPv4 fragment", &b);
}

/* --- programs of XFQ -------------------------------------------------------------------------- */

enum { FILTER_SET_BLOCK = 0, FILTER_SET_OTHER, FILTER_SET_CNT };

struct filter_xfq {
	bool shunts; /* a flow is to be in the shunt table */
	struct filter filter;
	struct loader loader;
	struct set sets[FILTER_SET_CNT];
	const struct set *set_list[FILTER_SET_CNT];
	struct setmaps maps;
	struct front_bpf *front;
	int socket;
};

/* SplitMix64, Steele, Lea, Flood 2014. */
static uint64_t filter_random(uint64_t *state)
{
	uint64_t value = *state += 0x9e3779b97f4a7c15u;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static int filter_set_text(struct set *set, const char *text, struct xfq_error *error)
{
	struct set_member member;
	int code = set_parse_member(SET_NET, &member, text, error);

	if (code == 0 && set_add(set, &member) < 0)
		code = xfq_error_set(error, -ENOMEM, "no memory for a set");
	return code;
}

/* Prefixes of both families, none of which has a packet's address: half are single addresses (of
 * IPv6: networks of 64 bits), half networks of 24 bits (48). */
static int filter_set_random(struct set *set, uint32_t cnt, struct xfq_error *error)
{
	uint64_t state = FILTER_SEED;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < cnt; i++) {
		struct set_member members[2] = {{.expires_ns = SET_FOREVER},
						{.expires_ns = SET_FOREVER}};
		struct set_net *four = &members[0].key.net, *six = &members[1].key.net;
		uint64_t bits = filter_random(&state);

		four->len = i % 2 ? 32 : 24;
		six->len = i % 2 ? 64 : 48;
		six->v6 = 1;
		memcpy(four->addr, &bits, 4);
		if (i % 2 == 0)
			four->addr[3] = 0;
		six->addr[0] = 0x2a; /* and so not 2001:db8::/32 */
		memcpy(six->addr + 1, (const uint8_t *)&bits, 7);
		if (i % 2 == 0)
			six->addr[6] = six->addr[7] = 0;
		if (four->addr[0] != 198 && set_add(set, &members[0]) < 0)
			code = -ENOMEM;
		if (set_add(set, &members[1]) < 0)
			code = -ENOMEM;
	}
	return code ? xfq_error_set(error, code, "no memory for a set") : 0;
}

/* A set of about `cnt` prefixes of each family that has the packets' sources, or has them not. */
static int filter_block(struct filter_xfq *xfq, uint32_t cnt, bool hit, struct xfq_error *error)
{
	struct set *set = &xfq->sets[FILTER_SET_BLOCK];
	struct filter_rule *rule = filter_add(&xfq->filter, FILTER_DROP);
	int code = filter_set_random(set, cnt - 1, error);

	if (code == 0)
		code = filter_set_text(set, hit ? "198.18.0.1" : "203.0.113.0/24", error);
	if (code == 0)
		code = filter_set_text(set, hit ? "2001:db8::1" : "2a01:db8:7::/48", error);
	rule->fields = FILTER_SET;
	rule->set = FILTER_SET_BLOCK;
	rule->set_fields = XDP_FIELD_SRC;
	return code;
}

static int filter_fill_plain(struct filter_xfq *xfq, struct xfq_error *error)
{
	(void)xfq;
	(void)error;
	return 0;
}

static void filter_port(struct filter_xfq *xfq, uint8_t proto, uint16_t port)
{
	struct filter_rule *rule = filter_add(&xfq->filter, FILTER_DROP);

	rule->fields = FILTER_PROTO | FILTER_PORT;
	rule->proto = proto;
	rule->port_lo = rule->port_hi = port;
}

static int filter_fill_port(struct filter_xfq *xfq, struct xfq_error *error)
{
	(void)error;
	xfq->filter.default_action = FILTER_PASS;
	filter_port(xfq, 17, 53);
	return 0;
}

static int filter_expression(struct filter_xfq *xfq, enum filter_action action, const char *text,
			     struct xfq_error *error)
{
	struct filter_rule *rule = filter_add(&xfq->filter, action);

	rule->fields = FILTER_MATCH;
	return filter_rule_match(rule, text, error);
}

static int filter_fill_port_text(struct filter_xfq *xfq, struct xfq_error *error)
{
	xfq->filter.default_action = FILTER_PASS;
	return filter_expression(xfq, FILTER_DROP, "udp port 53", error);
}

static int filter_fill_block_1_miss(struct filter_xfq *xfq, struct xfq_error *error)
{
	return filter_block(xfq, 1, false, error);
}

static int filter_fill_block_1_hit(struct filter_xfq *xfq, struct xfq_error *error)
{
	return filter_block(xfq, 1, true, error);
}

static int filter_fill_block_long_miss(struct filter_xfq *xfq, struct xfq_error *error)
{
	return filter_block(xfq, FILTER_LONG_SET, false, error);
}

static int filter_fill_block_long_hit(struct filter_xfq *xfq, struct xfq_error *error)
{
	return filter_block(xfq, FILTER_LONG_SET, true, error);
}

/* What somebody might want to be rid of; none matches a packet here. */
static int filter_expressions(struct filter_xfq *xfq, struct xfq_error *error)
{
	static const char *const texts[] = {
		"tcp dst port 23 or tcp dst port 2323",
		"udp src port 1900",
		"udp src port 11211 and greater 500",
		"icmp[icmptype] == icmp-echo and greater 1000",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) == (tcp-syn|tcp-fin)",
		"src net 10.0.0.0/8 or src net 172.16.0.0/12 or src net 192.168.0.0/16",
		"host 203.0.113.7 and tcp portrange 8000-8100",
		"ip6 and udp dst port 547",
		"ip proto 47 or ip proto 50",
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		code = filter_expression(xfq, FILTER_DROP, texts[i], error);
	return code;
}

static int filter_fill_texts(struct filter_xfq *xfq, struct xfq_error *error)
{
	int code = filter_expressions(xfq, error);

	return code ? code : filter_expression(xfq, FILTER_DROP, "arp or rarp", error);
}

static int filter_fill_texts_last(struct filter_xfq *xfq, struct xfq_error *error)
{
	int code = filter_expressions(xfq, error);

	return code ? code : filter_expression(xfq, FILTER_DROP, "ip or ip6 or vlan", error);
}

/* A filter with something of everything, which steers all packets here. */
static int filter_fill_all(struct filter_xfq *xfq, struct xfq_error *error)
{
	struct filter_rule *rule;
	int code = filter_block(xfq, FILTER_LONG_SET, false, error);

	if (code == 0)
		code = filter_expressions(xfq, error);
	filter_port(xfq, 17, 123);
	rule = filter_add(&xfq->filter, FILTER_LIMIT);
	rule->limit = (struct filter_limit){
		.per = FILTER_PER_SRC, .rate = 1000000000, .burst = 1000000000, .max_keys = 65536};
	xfq->shunts = true;
	return code;
}

#define FILTER_ALL(action)                                                                         \
	{                                                                                          \
		action, action, action, action                                                     \
	}
#define FILTER_UDP                                                                                 \
	{                                                                                          \
		XDP_DROP, XDP_DROP, XDP_PASS, XDP_PASS                                             \
	}

/* A rule that drops leaves what it does not drop to the stack where xdp-filter does so, and
 * elsewhere to the socket, as an instance has it. */
static const struct filter_kind {
	const char *name, *of;
	int (*fill)(struct filter_xfq *xfq, struct xfq_error *error);
	uint8_t expected[FILTER_PACKET_CNT];
} filter_kinds[] = {
	{"xfq", "nothing configured: every packet to the socket", filter_fill_plain,
	 FILTER_ALL(XDP_REDIRECT)},
	{"xfq_port", "drops UDP port 53, by fields", filter_fill_port, FILTER_UDP},
	{"xfq_port_text", "drops UDP port 53, by expression", filter_fill_port_text, FILTER_UDP},
	{"xfq_block_1_miss", "drops a list of 1 prefix of each family; to the socket",
	 filter_fill_block_1_miss, FILTER_ALL(XDP_REDIRECT)},
	{"xfq_block_1_hit", "the same, of the packet's source", filter_fill_block_1_hit,
	 FILTER_ALL(XDP_DROP)},
	{"xfq_block_100000_miss", "drops a list of 100000 prefixes of each family; to the socket",
	 filter_fill_block_long_miss, FILTER_ALL(XDP_REDIRECT)},
	{"xfq_block_100000_hit", "the same, with the packet's source", filter_fill_block_long_hit,
	 FILTER_ALL(XDP_DROP)},
	{"xfq_10_miss", "drops 10 expressions; to the socket", filter_fill_texts,
	 FILTER_ALL(XDP_REDIRECT)},
	{"xfq_10_last", "the same, and the last one matches", filter_fill_texts_last,
	 FILTER_ALL(XDP_DROP)},
	{"xfq_all", "sets, expressions, ports, a limit, a shunt table in use; to the socket",
	 filter_fill_all, FILTER_ALL(XDP_REDIRECT)},
};

/* A socket with a receive ring; it need not be bound for a test run to redirect to it. */
static int filter_socket_open(void)
{
	struct xdp_umem_reg reg = {.len = 16 * 4096, .chunk_size = 4096};
	int slots = 64, fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *area = NULL;

	if (fd < 0)
		return -errno;
	if (posix_memalign(&area, 4096, reg.len)) {
		close(fd);
		return -ENOMEM;
	}
	reg.addr = (uint64_t)(uintptr_t)area;
	/* the kernel pins the pages, so that the memory itself may go */
	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &slots, sizeof(slots)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &slots, sizeof(slots)) ||
	    setsockopt(fd, SOL_XDP, XDP_RX_RING, &slots, sizeof(slots))) {
		int code = -errno;

		close(fd);
		fd = code;
	}
	free(area);
	return fd;
}

static void filter_xfq_destroy(struct filter_xfq *xfq)
{
	front_bpf__destroy(xfq->front);
	loader_destroy(&xfq->loader);
	setmaps_destroy(&xfq->maps);
	filter_destroy(&xfq->filter);
	for (uint32_t i = 0; i < FILTER_SET_CNT; i++)
		set_destroy(&xfq->sets[i]);
	if (xfq->socket > 0)
		close(xfq->socket);
	free(xfq);
}

/* The loader's program behind one that makes it see the same packet each time. */
static int filter_xfq_front(struct filter_xfq *xfq, struct xfq_error *error)
{
	int program = loader_program_fd(&xfq->loader);
	__u32 slot = 0;

	xfq->front = front_bpf__open_and_load();
	if (!xfq->front ||
	    bpf_map_update_elem(bpf_map__fd(xfq->front->maps.target), &slot, &program, BPF_ANY))
		return xfq_error_set(error, -errno, "the program in front: %s", strerror(errno));
	return bpf_program__fd(xfq->front->progs.front);
}

/* A flow in the shunt table that no packet here is of: an empty table would not be looked up. */
static int filter_shunt(struct filter_xfq *xfq, struct xfq_error *error)
{
	const struct shunt_order order = {.action = SHUNT_DROP};
	const struct xdp_flow_key key = {.ip = 4, .proto = 17, .addr = {{1}, {2}}};
	struct shunt shunt;
	int code = 0;

	if (xfq->shunts)
		code = loader_shunt(&xfq->loader, &shunt, error);
	if (xfq->shunts && code == 0)
		code = shunt_add(&shunt, &key, &order, 1, error);
	return code;
}

/* Load the program of a filter. Its descriptor, or -errno with a sentence. */
static int filter_xfq_load(struct filter_xfq *xfq, struct xfq_error *error)
{
	uint32_t loopback = if_nametoindex("lo"); /* where test runs come from */
	const struct loader_options options = {.filter = &xfq->filter,
					       .sets = &xfq->maps,
					       .hash_seed = FILTER_SEED,
					       .packet_max = 3392,
					       .ifindex = &loopback,
					       .interface_cnt = 1};
	int code = setmaps_create(&xfq->maps, xfq->set_list, xfq->filter.set_cnt, error);

	if (code == 0)
		code = loader_load(&xfq->loader, &options, error);
	if (code)
		return code;
	xfq->socket = filter_socket_open();
	if (xfq->socket < 0)
		return xfq_error_set(error, xfq->socket, "an AF_XDP socket: %s",
				     strerror(-xfq->socket));
	code = loader_socket(&xfq->loader, 0, 0, xfq->socket, error);
	if (code == 0)
		code = filter_shunt(xfq, error);
	return code ? code : filter_xfq_front(xfq, error);
}

static int filter_xfq_create(struct filter_case *of, const struct filter_kind *kind,
			     struct xfq_error *error)
{
	struct filter_xfq *xfq = calloc(1, sizeof(*xfq));
	int code;

	if (!xfq)
		return xfq_error_set(error, -ENOMEM, "no memory for a filter");
	filter_init(&xfq->filter);
	for (uint32_t i = 0; i < FILTER_SET_CNT; i++) {
		snprintf(xfq->sets[i].name, sizeof(xfq->sets[i].name), "set%u", i);
		xfq->set_list[i] = &xfq->sets[i];
	}
	code = kind->fill(xfq, error);
	xfq->filter.sets = xfq->set_list;
	xfq->filter.set_cnt = FILTER_SET_CNT;
	if (code == 0)
		code = filter_xfq_load(xfq, error);
	if (code < 0) {
		filter_xfq_destroy(xfq);
		return code;
	}
	of->fd = code;
	of->owned = xfq;
	return 0;
}

/* --- all cases -------------------------------------------------------------------------------- */

static const struct {
	const char *name, *of;
	uint8_t expected;
} filter_yardsticks[] = {
	{"bare", "a program that only redirects to a socket", XDP_REDIRECT},
	{"bare_drop", "a program that only drops", XDP_DROP},
	{"front_drop", "the same behind the one that stands before every program of XFQ here",
	 XDP_DROP},
};

#define FILTER_YARDSTICK_CNT (sizeof(filter_yardsticks) / sizeof(filter_yardsticks[0]))
#define FILTER_KIND_CNT      (sizeof(filter_kinds) / sizeof(filter_kinds[0]))

/* Descriptors of both kinds of program stay open with the process. */
static int filter_yardstick_create(struct filter_case *of, uint32_t index, struct xfq_error *error)
{
	struct bare_bpf *bare = index == 0 ? bare_bpf__open_and_load() : NULL;
	struct front_bpf *front = index > 0 ? front_bpf__open_and_load() : NULL;
	int socket = index == 0 ? filter_socket_open() : 0;
	__u32 slot = 0;
	int drop = -1, code = 0;

	if (bare) {
		of->fd = bpf_program__fd(bare->progs.bare);
		code = bpf_map_update_elem(bpf_map__fd(bare->maps.xsks), &slot, &socket, BPF_ANY);
	} else if (front) {
		drop = bpf_program__fd(front->progs.drop);
		of->fd = index == 1 ? drop : bpf_program__fd(front->progs.front);
		code = bpf_map_update_elem(bpf_map__fd(front->maps.target), &slot, &drop, BPF_ANY);
	}
	if ((!bare && !front) || code)
		return xfq_error_set(error, -errno, "loading it: %s", strerror(errno));
	return 0;
}

uint32_t filter_case_cnt(void)
{
	return FILTER_YARDSTICK_CNT + FILTER_KIND_CNT;
}

const char *filter_case_name(uint32_t index)
{
	return index < FILTER_YARDSTICK_CNT ? filter_yardsticks[index].name
					    : filter_kinds[index - FILTER_YARDSTICK_CNT].name;
}

int filter_case_create(struct filter_case *of, uint32_t index, struct xfq_error *error)
{
	const struct filter_kind *kind;

	memset(of, 0, sizeof(*of));
	of->fd = -1;
	if (index < FILTER_YARDSTICK_CNT) {
		of->name = filter_yardsticks[index].name;
		of->of = filter_yardsticks[index].of;
		memset(of->expected, filter_yardsticks[index].expected, sizeof(of->expected));
		return filter_yardstick_create(of, index, error);
	}
	if (index >= filter_case_cnt())
		return -ENOENT;
	kind = &filter_kinds[index - FILTER_YARDSTICK_CNT];
	of->name = kind->name;
	of->of = kind->of;
	memcpy(of->expected, kind->expected, sizeof(of->expected));
	return filter_xfq_create(of, kind, error);
}

int filter_case_take(struct filter_case *of, const char *name, int fd, const char *answers)
{
	*of = (struct filter_case){.name = name, .of = "xdp-filter", .fd = fd, .attached = true};
	if (strlen(answers) != FILTER_PACKET_CNT || strspn(answers, "dp") != FILTER_PACKET_CNT)
		return -EINVAL;
	for (uint32_t i = 0; i < FILTER_PACKET_CNT; i++)
		of->expected[i] = answers[i] == 'd' ? XDP_DROP : XDP_PASS;
	return 0;
}

void filter_case_destroy(struct filter_case *of)
{
	if (of->owned)
		filter_xfq_destroy(of->owned);
	else if (of->attached && of->fd >= 0)
		close(of->fd);
	memset(of, 0, sizeof(*of));
	of->fd = -1;
}
