/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A named set, in user space: what the config's entries and files put into it, what `xfq set`
 * changes, and what the first pass in user space looks packets up in. The same set in the kernel is
 * setmap.h.
 *
 *	set_parse_member   text to member (set_text.h reads whole files)
 *	set_add, set_del   at any time; in constant time, whatever the size
 *	set_find, set.members[0..cnt-1]
 *	set_destroy
 *
 * Members stand in an array, in no order, with a hash table over it. A set is ready as zeroed
 * memory with its type. One thread changes it, and none reads it at that time.
 */
#ifndef XDP_SET_H
#define XDP_SET_H

#include "xdp/flow_key.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xfq/error.h>

#define SET_MEMBERS_MAX (1u << 24)
#define SET_FOREVER     UINT64_MAX
#define SET_TEXT_BYTES  128 /* of a member, with the terminator */
#define SET_PORTS       65536

enum set_type {
	SET_NET = 0, /* prefixes, IPv4 and IPv6 */
	SET_ADDRESS, /* single addresses, IPv4 and IPv6: prefixes of full length */
	SET_PORT,    /* ports of TCP, UDP and SCTP, and ranges of them */
	SET_FLOW,    /* protocol, two addresses, two ports; both directions are the same flow */
	SET_MAC      /* Ethernet addresses */
};

/* Network byte order, IPv4 in addr[0..3]; host bits are 0. */
struct set_net {
	uint8_t addr[16];
	uint8_t len; /* bits: 0 to 32, or 0 to 128 */
	uint8_t v6;  /* 0 or 1 */
};

/* Inclusive, host byte order. Ranges may overlap; each is a member of its own. */
struct set_ports {
	uint16_t lo, hi;
};

/* Compared byte by byte: what is not used is 0. */
union set_key {
	struct set_net net; /* SET_NET, SET_ADDRESS */
	struct set_ports ports;
	struct xdp_flow_key flow;
	uint8_t mac[6];
	uint64_t words[5];
};

struct set_member {
	union set_key key;
	uint64_t expires_ns; /* CLOCK_MONOTONIC; it is no member from then on. SET_FOREVER: never */
};

struct set {
	char name[XDP_NAME_BYTES];
	enum set_type type;
	bool hits;                  /* the kernel counts the packets of each member */
	bool timed;                 /* some members expire, or have */
	uint32_t max;               /* members; 0: SET_MEMBERS_MAX */
	uint64_t source;            /* set_source() of what the config said */
	struct set_member *members; /* owned */
	uint32_t cnt, room;
	uint32_t *places; /* owned: number of a member + 1, or 0 */
	uint32_t place_cnt;
	uint64_t next_ns;      /* no member expires before this */
	uint32_t sweep_at;     /* set_next_expired() goes on here, */
	uint64_t sweep_ns;     /* and this is when the first of those that it passed expires */
	uint32_t wide_cnt;     /* of SET_PORT: members of more than one port */
	uint32_t len_cnt[162]; /* prefixes of each length: IPv4 0 to 32, then IPv6 0 to 128 */
	uint64_t *ports; /* owned; of SET_PORT: when each of SET_PORTS expires, 0: no member */
};

#define SET_LEN_V6 33 /* first place of IPv6 in len_cnt */

_Static_assert(sizeof(struct set_member) == 48, "a member has no holes");

/*
 * Read a member from text: "192.0.2.0/24", "2001:db8::1", "80", "8000-8100", "tcp 192.0.2.1:80
 * 198.51.100.2:1234", "udp [2001:db8::1]:53 [2001:db8::2]:53", "02:00:00:00:00:01". Host bits
 * beyond a prefix's length are cleared. Returns 0, expires_ns being SET_FOREVER, or -EINVAL with a
 * sentence that quotes the text.
 */
int set_parse_member(enum set_type type, struct set_member *member, const char *text,
		     struct xfq_error *error);

/* A member as text, which set_parse_member() reads. Returns `text`, of SET_TEXT_BYTES. */
const char *set_format_member(enum set_type type, const struct set_member *member, char *text);

/* Add a member, or give the one with its key its time. 1: it is new; 0: it was there; -ENOMEM;
 * -ENOSPC: the set has as many as it may. */
int set_add(struct set *set, const struct set_member *member);

/* Whether it was there. The last member takes its place in the array. */
bool set_del(struct set *set, const union set_key *key);

/* The member with this key, until the next change; NULL: none. */
struct set_member *set_find(const struct set *set, const union set_key *key);

/* Make room for so many members at once. 0 or -ENOMEM. */
int set_reserve(struct set *set, uint32_t cnt);

/* Take out everything; type, name and options stay. */
void set_flush(struct set *set);

/* Exchange the members of two sets of the same type. */
void set_swap(struct set *a, struct set *b);

/* Become another set's equal: type, name, options and members; `set` is empty. 0 or -ENOMEM. */
int set_copy(struct set *set, const struct set *from);

/* A number for what members a set has, whatever their order. */
uint64_t set_source(const struct set *set);

/* A member that has expired at `now_ns`, to be taken out before the next call; NULL: no more. Until
 * then nothing else is changed. Once a second is often enough. */
const struct set_member *set_next_expired(struct set *set, uint64_t now_ns);

/* Whether a parsed packet's `fields` (XDP_FIELD_*, of SET_FLOW not used) are in the set at
 * judged->now_ns. `data` has at least the Ethernet header, if `len` says so. */
bool set_has(const struct set *set, uint8_t fields, const struct xdp_judged *judged,
	     const uint8_t *data, uint32_t len);

/* The longest prefix of a set of SET_NET or SET_ADDRESS that has an address, 4 or 16 bytes in
 * network byte order, and has not expired; NULL: none. */
const struct set_member *set_net_of(const struct set *set, const void *addr, bool v6,
				    uint64_t now_ns);

/* The upper `len` bits of an address of 16 bytes; the others become 0. */
void set_clear_host_bits(uint8_t addr[16], uint32_t len);

/* Word of a type: "net", "address", "port", "flow", "mac". */
const char *set_type_name(enum set_type type);

/* Free what the set owns and zero it; safe on zeroed memory. */
void set_destroy(struct set *set);

#endif
