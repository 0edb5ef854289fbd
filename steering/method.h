/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steering methods: how a packet finds its member in a group.
 *
 * Most make a number of the packet, the number finds a bucket and the bucket a member, as RSS does
 * (roster.h says who has which bucket, by weight). Equal bytes make equal numbers, so what a method
 * looks at stays together; docs/steering.md says of each what that is, for IPv4 and for IPv6, and
 * which packets it does not apply to. Those go by their flow hash, or, where the group says
 * `else: drop`, to nobody.
 *
 *	flow         addresses, ports and protocol, both directions alike; fragments
 *	             follow their flow; not IP: MAC pair and ethertype. Every packet
 *	ip-pair      both addresses, in any order
 *	src, dst     one address; a host has one member by `src` and by `dst`
 *	double       to the member of its source and to that of its destination
 *	link         both MAC addresses, in any order
 *	local-link   the MAC address that is not the gateway's; where neither is,
 *	             both as `double`
 *	vlan         the outermost VLAN id
 *	queue        the queue it came by: queue i to member i modulo members
 *	rss-hash     the Toeplitz hash of addresses and ports, as NICs have it
 *	round-robin  one member after the other, counted per worker
 *	random       any member, by weight
 *	to           member number N
 *	local-ip     the address that lies in given prefixes; both, where both do
 *	local-net    the network that it lies in: a prefix, or a part of one
 *	field        bytes at an offset; symmetric: of two places, in any order;
 *	             each: to the member of either
 *	key          any set of named header fields
 *	broadcast    every member
 *	sticky       the first member with room, and then that one (sticky.h)
 *	plugin       a function of the user's (xfq/plugin.h)
 *
 * Broadcasts concern everyone: by link and local-link what is from or to the MAC address of all
 * ones goes to all members; by double, local-ip and local-net what is from or to 255.255.255.255
 * or ff02::1.
 *
 * Of a group with `inner: true` the packet is the innermost one.
 */
#ifndef STEERING_METHOD_H
#define STEERING_METHOD_H

#include "steering/flow.h"
#include "steering/packet.h"
#include "steering/roster.h"
#include <stdbool.h>
#include <string.h>

enum method {
	METHOD_FLOW = 0,
	METHOD_IP_PAIR,
	METHOD_SRC,
	METHOD_DST,
	METHOD_DOUBLE,
	METHOD_LINK,
	METHOD_LOCAL_LINK,
	METHOD_VLAN,
	METHOD_QUEUE,
	METHOD_RSS_HASH,
	METHOD_ROUND_ROBIN,
	METHOD_RANDOM,
	METHOD_TO,
	METHOD_LOCAL_IP,
	METHOD_LOCAL_NET,
	METHOD_FIELD,
	METHOD_KEY,
	METHOD_BROADCAST,
	METHOD_STICKY,
	METHOD_PLUGIN,
	METHOD_CNT
};

/* What becomes of packets that a method does not apply to. */
enum method_else { METHOD_ELSE_FLOW = 0, METHOD_ELSE_DROP };

/* Fields of METHOD_KEY. */
enum method_field {
	METHOD_KEY_SRC = 0x001, /* addresses, of IP */
	METHOD_KEY_DST = 0x002,
	METHOD_KEY_SPORT = 0x004, /* ports; of a fragmented datagram they are not looked at */
	METHOD_KEY_DPORT = 0x008,
	METHOD_KEY_PROTO = 0x010,
	METHOD_KEY_VLAN = 0x020, /* outermost VLAN id; 0: no tag */
	METHOD_KEY_SRC_MAC = 0x040,
	METHOD_KEY_DST_MAC = 0x080,
	METHOD_KEY_ETHERTYPE = 0x100,
	METHOD_KEY_TOS = 0x200,        /* TOS byte, or traffic class */
	METHOD_KEY_FLOW_LABEL = 0x400, /* IPv6; of IPv4 0 */
	METHOD_KEY_DSCP = 0x800,       /* the upper six bits of the TOS byte, and */
	METHOD_KEY_ECN = 0x1000,       /* the lower two */
	METHOD_KEY_ICMP_TYPE = 0x2000, /* of ICMP and ICMPv6; of others 0 */
	METHOD_KEY_ICMP_CODE = 0x4000
};

#define METHOD_KEY_FIELDS 15

/* Network byte order, IPv4 in addr[0..3]; host bits are 0. */
struct method_net {
	uint8_t addr[16];
	uint8_t len; /* bits */
	uint8_t v6;
	uint8_t sub; /* METHOD_LOCAL_NET: so many bits of an address are its network; 0: `len` */
};

#define METHOD_NETS_MAX  64
#define METHOD_FIELD_MAX 64 /* bytes */
#define METHOD_REACH_L4  512

/* What a method is to do. Plain data but for `nets`, which its owner frees (method_spec_destroy).
 */
struct method_spec {
	enum method method;
	enum method_else otherwise;
	uint32_t to;           /* METHOD_TO */
	uint32_t offset, size; /* METHOD_FIELD: bytes from the Ethernet header on; size 1 to 64 */
	uint32_t offset2;      /* the other place; of the forms with two */
	bool each;             /* METHOD_FIELD: to the member of each of the two, at most two */
	bool symmetric;        /* METHOD_FIELD: both places, in any order; METHOD_KEY: the ends of
				* the flow in any order; a field of one end stands for that of both */
	uint32_t fields;       /* METHOD_KEY: METHOD_KEY_* */
	uint8_t gateway[6];    /* METHOD_LOCAL_LINK */
	struct method_net
		*nets; /* METHOD_LOCAL_IP, _LOCAL_NET; owned; the longest that fits counts */
	uint32_t net_cnt;
	uint32_t flows;  /* METHOD_STICKY: how many are remembered by each worker */
	uint32_t idle_s; /* and for how many seconds without a packet */
	uint32_t plugin; /* METHOD_PLUGIN: number of the config's plug-in */
};

void method_spec_destroy(struct method_spec *spec);

/* Whether two say the same. */
bool method_spec_same(const struct method_spec *a, const struct method_spec *b);

struct sticky;
struct policy_plugin; /* policy.h */

/* What a method remembers: of each worker, group and case one. Zeroed is new; without a table
 * sticky remembers nothing, and goes by flow. */
struct method_state {
	uint32_t turn;
	uint64_t random;
	uint32_t sampled;      /* packets until the next that a case takes, of one in so many */
	struct sticky *sticky; /* shared with the state of before a reload */
};

/* What a method is told beside the packets. */
struct method_context {
	uint64_t seed;
	uint32_t worker; /* which is the queue of a live interface */
	uint64_t now_ns; /* of the burst, of any clock; METHOD_STICKY */
	/* METHOD_STICKY: for how many packets each member has room, by place on the roster */
	const uint32_t *rooms;
	const struct policy_plugin *plugins; /* METHOD_PLUGIN; by the config's number, and */
	void *const *plugin_states;          /* the worker's state of each */
};

/*
 * The number of each packet pkts[index[0]] ... pkts[index[cnt - 1]], in hashes[0] ... [cnt - 1],
 * for a method that makes one (method_makes_hash). Returns which it does not apply to, bit k for
 * index[k]; their hash is the flow's, as is that of all where the method makes none.
 */
uint64_t method_hashes(const struct method_spec *spec, struct method_state *state,
		       const struct method_context *context, const struct packet *pkts,
		       const uint8_t *index, uint32_t cnt, uint32_t *hashes);
bool method_makes_hash(const struct method_spec *spec);

/*
 * Where packets are to go, by any method: targets[k] has a bit for each member, by its place on the
 * roster, that is to get pkts[index[k]]; 0: nobody. The roster has a member at least; of a method
 * that makes a hash it is the one of that hash (roster_by_hash). At most PACKET_BURST packets.
 * Returns which the method does not apply to, whatever became of them.
 */
uint64_t method_targets(const struct method_spec *spec, struct method_state *state,
			const struct method_context *context, const struct roster *roster,
			const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			uint64_t *targets);

/* How many bytes of a packet a method may look at, from the Ethernet header on; UINT32_MAX: all.
 * Ports that lie beyond METHOD_REACH_L4, behind hundreds of bytes of extension headers, count as
 * none. */
uint32_t method_reach(const struct method_spec *spec);

/* Symmetric hash over the two addresses of a packet whose metadata was checked; of one without, the
 * flow's. */
static inline uint32_t method_hash_ip_pair(const struct packet *pkt, uint64_t seed)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	struct parse_key key = {.sport = 0};

	if (pkt->meta->flags & XFQ_META_IPV4) {
		key.src[0] = parse_raw32(l3 + 12);
		key.dst[0] = parse_raw32(l3 + 16);
	} else if (pkt->meta->flags & XFQ_META_IPV6) {
		memcpy(key.src, l3 + 8, sizeof(key.src));
		memcpy(key.dst, l3 + 24, sizeof(key.dst));
	} else {
		return pkt->meta->flow_hash;
	}
	return flow_hash_ip_pair(&key, seed);
}

/* "flow", "ip-pair" and so on; "unknown". The other way; METHOD_CNT: there is none of that name. */
const char *method_name(enum method method);
enum method method_by_name(const char *name);

/* The same of a field of METHOD_KEY, one bit: "src", "dst", "sport", "dport", "proto", "vlan",
 * "src-mac", "dst-mac", "ethertype", "tos", "flow-label", "dscp", "ecn", "icmp-type", "icmp-code".
 * 0: there is none of that name. */
const char *method_field_name(uint32_t field);
uint32_t method_field_by_name(const char *name);

/* "flow", "to 3", "field 12 4", "key src,dst" and so on, as far as there is room. Returns `text`.
 */
const char *method_spec_text(const struct method_spec *spec, char *text, size_t room);

#endif
