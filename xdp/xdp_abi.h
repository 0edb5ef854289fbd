/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every structure that the programs in the kernel and user space share, apart from the packet's
 * metadata (include/xfq/packet.h). Compiles for BPF and for user space; no pointers, fixed-width
 * fields.
 */
#ifndef XDP_ABI_H
#define XDP_ABI_H

#include "steering/parse.h"
#include <linux/types.h>

#define XDP_RULES_MAX      256 /* rules of a filter, without the default */
#define XDP_LIMITS_MAX     32  /* of them, those that limit */
#define XDP_SETS_MAX       32  /* named sets */
#define XDP_NAME_BYTES     32  /* of a set, with the terminator */
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

/* What XDP_VERDICT_TX swaps on the way back; checksums stay right, as sums do not know an order. */
#define XDP_SWAP_MAC       0x01 /* source and destination MAC address */
#define XDP_SWAP_ADDRESSES 0x02 /* source and destination IP address */
#define XDP_SWAP_PORTS     0x04 /* source and destination port */

/* What is done with packets whose headers lie. */
enum xdp_malformed {
	XDP_MALFORMED_BY_RULES = 0, /* flagged, and judged by the rules like any other */
	XDP_MALFORMED_DROP,
	XDP_MALFORMED_PASS
};

/* What is done with a fragment whose datagram's first fragment was not seen, or was forgotten: it
 * has no ports, and its flow is not known. */
enum xdp_orphan {
	XDP_ORPHAN_BY_RULES = 0, /* judged by the rules, with a hash over its addresses alone */
	XDP_ORPHAN_DROP,
	XDP_ORPHAN_PASS
};

/* Constants of a program: what is not asked of it is not in its code. */
struct xdp_settings {
	__u64 hash_seed;
	__u8 rules;           /* 1: decide() is called; 0: default_verdict decides */
	__u8 default_verdict; /* XDP_VERDICT_STEER, _PASS or _DROP */
	__u8 malformed;       /* enum xdp_malformed */
	__u8 orphans;         /* enum xdp_orphan */
	__u8 fragments;       /* 1: later fragments take the hash of their first one */
	__u8 shunt;           /* 1: the shunt table is looked up, while it has entries */
	__u8 test_clock;      /* 1: the time is what `test_now` says, not the kernel's: test runs */
	__u8 generation;      /* written into the metadata; 0: none */
	__u32 packet_max;     /* bytes of the longest packet that is steered; 0: no limit */
	__u32 interface_cnt;
	__u32 interfaces[XDP_INTERFACES_MAX]; /* ifindex; its place is its share of xsks */
};

/* What a rule that limits says, as constants; limit.h has the units. */
struct xdp_limit {
	__u64 cost;      /* time of one packet or byte */
	__u64 allowance; /* what may be missing of a full bucket */
	__u8 per;        /* enum filter_per */
	__u8 bytes;      /* 1: bytes are counted; 0: packets */
	__u8 reserved[6];
};

struct xdp_counter {
	__u64 packets;
	__u64 bytes; /* on the wire, without the frame check sequence */
};

/* One per CPU; the program writes, user space sums. rules[XDP_RULES_MAX] is the default. A rule
 * that limits counts what it dropped. */
struct xdp_counters {
	struct xdp_counter verdicts[XDP_VERDICT_CNT];
	struct xdp_counter rules[XDP_RULES_MAX + 1];
	__u64 malformed; /* packets whose headers lie, whatever their verdict */
	__u64 fragments; /* fragments of IP datagrams, whatever their verdict */
	__u64 orphans;   /* later fragments whose first one was not seen */
	__u64 no_socket; /* to be steered, but no socket on the queue: counted under PASS */
	__u64 too_long;  /* to be steered, but longer than a frame: counted under PASS */
	__u64 no_meta;   /* steered, but the driver had no room for metadata: the worker parses */
};

/* What decide() is given, and what the functions it calls read: the packet as it was parsed. */
struct xdp_judged {
	struct xfq_meta meta;
	struct parse_key key;
	__u64 now_ns; /* CLOCK_MONOTONIC, where a function has asked for it; else 0 */
};

/* decide()'s answer in one word. */
#define XDP_DECISION(rule, verdict, swap)                                                          \
	((__u64)(__u16)(rule) | (__u64)(verdict) << 16 | (__u64)(swap) << 24)
#define XDP_DECISION_RULE(decision)    ((__u16)(decision))
#define XDP_DECISION_VERDICT(decision) ((__u8)((decision) >> 16))
#define XDP_DECISION_SWAP(decision)    ((__u8)((decision) >> 24))

/* judged_load()'s answer: the value in host byte order, or this where a byte is missing. */
#define XDP_LOAD_FAILED (1ULL << 32)

/* Which of a packet's fields is looked up in a set. Addresses: SRC, DST or both (either one); so
 * with ports and MAC addresses. */
#define XDP_FIELD_SRC 0x01
#define XDP_FIELD_DST 0x02

_Static_assert(sizeof(struct xdp_judged) == 80, "judged without holes");
_Static_assert(__builtin_offsetof(struct xdp_judged, key) == 32, "key at 32");
_Static_assert(__builtin_offsetof(struct xdp_judged, now_ns) == 72, "time at 72");
_Static_assert(sizeof(struct xdp_limit) == 24, "a limit has no holes");
_Static_assert(sizeof(struct xdp_settings) == 56, "settings without holes");

#endif
