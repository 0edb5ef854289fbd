/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every structure that the XDP program and user space share, apart from the packet's metadata
 * (include/xfq/packet.h). Compiles for BPF and for user space; no pointers, fixed-width fields.
 */
#ifndef XDP_ABI_H
#define XDP_ABI_H

#include <linux/types.h>

#define XDP_RULES_MAX      64  /* rules of a policy, without the default */
#define XDP_SETS_MAX       32  /* named sets of a policy */
#define XDP_INTERFACES_MAX 8   /* interfaces one program serves */
#define XDP_QUEUES_MAX     128 /* queues of one interface */
#define XDP_XSKS_MAX       (XDP_INTERFACES_MAX * XDP_QUEUES_MAX)

/* What becomes of a packet: an index into xdp_counters.verdicts. Every packet is counted under
 * exactly one. The order is part of the ABI. */
enum xdp_verdict {
	XDP_VERDICT_STEER = 0, /* to the AF_XDP socket of its queue */
	XDP_VERDICT_PASS,      /* to the kernel's stack */
	XDP_VERDICT_DROP,
	XDP_VERDICT_TX,        /* back out of the same port */
	XDP_VERDICT_LIMITED,   /* dropped by a rate limit */
	XDP_VERDICT_SHUNTED,   /* handled by the shunt table */
	XDP_VERDICT_MALFORMED, /* taken out by `malformed: drop` or `malformed: pass` */
	XDP_VERDICT_CNT
};

/* xdp_rule.fields: what a rule compares; all that are set must match */
#define XDP_RULE_SET_SRC 0x01 /* source address is in the set */
#define XDP_RULE_SET_DST 0x02 /* destination address is in the set; with SET_SRC: either one */
#define XDP_RULE_PROTO   0x04 /* IP protocol equals proto */
#define XDP_RULE_SPORT   0x08 /* source port in [sport_lo, sport_hi] */
#define XDP_RULE_DPORT   0x10 /* destination port in [dport_lo, dport_hi] */
#define XDP_RULE_PORT    0x20 /* source or destination port in [port_lo, port_hi] */

/* A rule. Ports in host byte order, ranges inclusive. A rule without fields matches everything;
 * one with a port matches only packets whose ports are there (XFQ_META_PORTS). */
struct xdp_rule {
	__u8 action; /* XDP_VERDICT_STEER, _PASS or _DROP */
	__u8 fields; /* XDP_RULE_* */
	__u8 proto;
	__u8 set; /* index of the set */
	__u16 port_lo, port_hi;
	__u16 sport_lo, sport_hi;
	__u16 dport_lo, dport_hi;
};

/* What xdp_policy.malformed says of a packet whose headers lie. */
enum xdp_malformed {
	XDP_MALFORMED_BY_RULES = 0, /* flagged, and judged by the rules like any other */
	XDP_MALFORMED_DROP,
	XDP_MALFORMED_PASS
};

/* The whole first pass: constant in the loaded program, a plain structure in user space. */
struct xdp_policy {
	__u64 hash_seed;
	__u32 rule_cnt;
	__u8 default_verdict; /* XDP_VERDICT_STEER, _PASS or _DROP */
	__u8 malformed;       /* enum xdp_malformed */
	__u8 reserved[2];
	struct xdp_rule rules[XDP_RULES_MAX];
};

struct xdp_counter {
	__u64 packets;
	__u64 bytes; /* on the wire, without the frame check sequence */
};

/* One per CPU; the program writes, user space sums. rules[XDP_RULES_MAX] is the default. */
struct xdp_counters {
	struct xdp_counter verdicts[XDP_VERDICT_CNT];
	struct xdp_counter rules[XDP_RULES_MAX + 1];
	__u64 malformed; /* packets whose headers lie, whatever their verdict */
	__u64 fragments; /* fragments of IP datagrams, whatever their verdict */
	__u64 no_socket; /* to be steered, but no socket on the queue: counted under PASS */
	__u64 too_long;  /* to be steered, but longer than a frame: counted under PASS */
	__u64 no_meta;   /* steered, but the driver had no room for metadata: the worker parses */
};

/* Keys of the sets: prefix length in bits, then the address in network byte order. */
struct xdp_net4_key {
	__u32 prefix_len;
	__u8 addr[4];
};

struct xdp_net6_key {
	__u32 prefix_len;
	__u8 addr[16];
};

_Static_assert(sizeof(struct xdp_rule) == 16, "a rule is 16 bytes");
_Static_assert(sizeof(struct xdp_policy) == 16 + 16 * XDP_RULES_MAX, "policy without holes");
_Static_assert(sizeof(struct xdp_net4_key) == 8, "key without holes");
_Static_assert(sizeof(struct xdp_net6_key) == 20, "key without holes");

#endif
