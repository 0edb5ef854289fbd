/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/tunnel_note.h"
#include "steering/flow.h"
#include <errno.h>
#include <stdlib.h>

int tunnel_notes_create(struct tunnel_notes *notes, uint32_t max)
{
	*notes = (struct tunnel_notes){.mask = max - 1, .max = max};
	notes->notes = calloc(max, sizeof(*notes->notes));
	notes->buckets = malloc(max * sizeof(*notes->buckets));
	if (!notes->notes || !notes->buckets) {
		tunnel_notes_destroy(notes);
		return -ENOMEM;
	}
	memset(notes->buckets, 0xff, max * sizeof(*notes->buckets));
	return 0;
}

void tunnel_notes_destroy(struct tunnel_notes *notes)
{
	free(notes->notes);
	free(notes->buckets);
	memset(notes, 0, sizeof(*notes));
}

void tunnel_name_make(struct tunnel_name *name, const struct xfq_meta *meta,
		      const struct parse_key *key, bool inside)
{
	bool v6 = meta->flags & XFQ_META_IPV6;

	memset(name, 0, sizeof(*name));
	memcpy(name->src, key->src, sizeof(name->src));
	memcpy(name->dst, key->dst, sizeof(name->dst));
	name->id = key->fragment_id;
	name->proto = v6 ? 0 : meta->l4_proto;
	name->ip = v6 ? 6 : 4;
	name->inside = inside;
}

static uint32_t name_bucket(const struct tunnel_notes *notes, const struct tunnel_name *name,
			    uint64_t seed)
{
	uint64_t hash = seed, word;

	for (size_t i = 0; i < sizeof(*name); i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)name + i, sizeof(word));
		hash = flow_mix(hash ^ word) + i;
	}
	return (uint32_t)(hash >> 32) & notes->mask;
}

static uint32_t note_place(const struct tunnel_notes *notes, const struct tunnel_name *name,
			   uint32_t bucket)
{
	uint32_t at = notes->buckets[bucket];

	while (at != TUNNEL_NOTE_NONE && memcmp(&notes->notes[at].name, name, sizeof(*name)) != 0)
		at = notes->notes[at].next;
	return at;
}

const struct tunnel_note *tunnel_note_find(const struct tunnel_notes *notes,
					   const struct tunnel_name *name, uint64_t now_ns,
					   uint64_t seed)
{
	uint32_t at = note_place(notes, name, name_bucket(notes, name, seed));
	const struct tunnel_note *note;

	if (at == TUNNEL_NOTE_NONE)
		return NULL;
	note = &notes->notes[at];
	/* one that is a little newer than the packet is believed as well */
	if ((int64_t)(now_ns - note->seen_ns) > (int64_t)TUNNEL_NOTE_LIFETIME_NS)
		return NULL;
	return note;
}

static void note_unhang(struct tunnel_notes *notes, uint32_t at)
{
	uint32_t *link = &notes->buckets[notes->notes[at].bucket];

	while (*link != at)
		link = &notes->notes[*link].next;
	*link = notes->notes[at].next;
}

void tunnel_note_put(struct tunnel_notes *notes, const struct tunnel_name *name, uint64_t now_ns,
		     uint64_t seed, uint32_t hash, bool first)
{
	uint32_t bucket = name_bucket(notes, name, seed);
	uint32_t at = note_place(notes, name, bucket);
	struct tunnel_note *note;

	if (at == TUNNEL_NOTE_NONE) {
		at = notes->next;
		notes->next = (at + 1) & notes->mask;
		if (notes->used == notes->max)
			note_unhang(notes, at);
		else
			notes->used++;
		note = &notes->notes[at];
		note->name = *name;
		note->bucket = bucket;
		note->next = notes->buckets[bucket];
		notes->buckets[bucket] = at;
	}
	note = &notes->notes[at];
	note->seen_ns = now_ns;
	note->hash = hash;
	note->first = first;
}
