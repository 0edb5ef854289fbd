/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes of datagrams in fragments: which hash the innermost packet of each has. Only the first
 * fragment shows it; the later ones find it here, under their datagram's name.
 *
 *	tunnel_notes_create, tunnel_notes_destroy
 *	tunnel_note_find	the note under a name, if it is still believed
 *	tunnel_note_put		leave one; the one that was made first gives way to it
 *
 * A note is believed for TUNNEL_NOTE_LIFETIME_NS of packet time: senders use names again. Memory is
 * taken when the table is made. Thread: the worker's only.
 */
#ifndef STEERING_TUNNEL_NOTE_H
#define STEERING_TUNNEL_NOTE_H

#include "steering/parse.h"
#include <stdint.h>

/* As long as Linux waits for the rest of a datagram (net.ipv4.ipfrag_time). */
#define TUNNEL_NOTE_LIFETIME_NS 30000000000ULL

/* The name of a datagram: RFC 791, 3.2, and RFC 8200, 4.5. */
struct tunnel_name {
	uint32_t src[4], dst[4];
	uint32_t id;
	uint8_t proto;  /* IPv4 only: in IPv6 later fragments need not say the same */
	uint8_t ip;     /* 4 or 6 */
	uint8_t inside; /* 1: it came in a tunnel; what comes bare is another one */
	uint8_t reserved;
};

_Static_assert(sizeof(struct tunnel_name) == 40, "a name has no holes");

struct tunnel_note {
	struct tunnel_name name;
	uint64_t seen_ns;
	uint32_t hash;   /* of the innermost packet; 0: the datagram is no tunnel */
	uint32_t bucket; /* that the note hangs in */
	uint32_t next;   /* in it */
	uint32_t first;  /* 1: the first fragment was seen */
};

struct tunnel_notes {
	struct tunnel_note *notes; /* owned */
	uint32_t *buckets;         /* owned; the first note of each, TUNNEL_NOTE_NONE */
	uint32_t mask;             /* of buckets */
	uint32_t max, used;        /* used: of the places, from the first on */
	uint32_t next;             /* place of the next note that is made */
};

#define TUNNEL_NOTE_NONE UINT32_MAX

/* Room for `max` notes, a power of two. 0 or -ENOMEM. */
int tunnel_notes_create(struct tunnel_notes *notes, uint32_t max);

/* Safe on zeroed memory. */
void tunnel_notes_destroy(struct tunnel_notes *notes);

/* The name of the datagram that a fragment is of. */
void tunnel_name_make(struct tunnel_name *name, const struct xfq_meta *meta,
		      const struct parse_key *key, bool inside);

/* NULL: there is none, or it is too old. `seed` keeps senders from choosing names that meet. Holds
 * until the next tunnel_note_put(). */
const struct tunnel_note *tunnel_note_find(const struct tunnel_notes *notes,
					   const struct tunnel_name *name, uint64_t now_ns,
					   uint64_t seed);

/* A note that is there under the name is written anew. */
void tunnel_note_put(struct tunnel_notes *notes, const struct tunnel_name *name, uint64_t now_ns,
		     uint64_t seed, uint32_t hash, bool first);

#endif
