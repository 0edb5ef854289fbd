/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the explanation share among themselves. */
#ifndef APPS_EXPLAIN_PARTS_H
#define APPS_EXPLAIN_PARTS_H

#include "apps/explain.h"
#include "steering/tunnel.h"
#include "workers/engine.h"
#include <jansson.h>

/* What is asked about: packets of a capture file. */
struct explain_input {
	char path[4096];
	uint64_t first, last; /* packets, from 1 */
	bool several;         /* it was a range */
	int fd;               /* of a file that was made for it; -1: none */
};

/* Understand WHAT. 0 or -errno with a sentence; the caller owes an explain_close_input(). */
int explain_open_input(struct explain_input *input, const char *what, struct xfq_error *error);
void explain_close_input(struct explain_input *input);

/* explain_flow.c: a small packet of a flow, such as "tcp 192.0.2.1:1234 198.51.100.2:80 syn".
 * Returns its length, or 0 where `text` begins with no name of a protocol and is no flow, or -errno
 * with a sentence. `frame` has room for EXPLAIN_FLOW_MAX bytes, which are 0. */
#define EXPLAIN_FLOW_MAX 128
int explain_make_flow(uint8_t *frame, const char *text, struct xfq_error *error);

struct explain {
	const struct config *config;
	struct engine *engine;   /* owned */
	struct tunnels *tunnels; /* owned; to show inner packets */
	struct packet pkt;       /* as a worker has it, in `room` */
	struct packet inner;     /* its innermost one; the same where it is in no tunnel */
	uint8_t *room;           /* owned */
};

/* explain_packet.c: what a packet is, and its innermost one where that is another. */
json_t *explain_packet(const struct packet *pkt);
json_t *explain_tunnel(const struct explain *explain);

/* Whether the flow cache is asked of the packets of the policy. */
static inline bool explain_asks_cache(const struct classify *classify)
{
	return classify->worth_asking && classify->cache.entries;
}

/* explain_group.c: have the packet go through all groups; what becomes of it in each is appended to
 * `groups`, NULL: in silence. */
void explain_groups(struct explain *explain, json_t *groups);

/* explain_method.c: how packet `seen` was given to members, by a method of the group. */
struct explain_steer {
	const struct method_spec *spec;
	const struct method_context *context;
	struct method_state *state;
	const struct roster *roster;
	const struct packet *seen;
	uint64_t missed; /* bit 0: the method does not apply */
};
json_t *explain_method(const struct explain *explain, const struct explain_steer *steer);

/* explain_text.c: all that is said of a packet, for reading; and what holds of all of them. */
void explain_print(const json_t *all);
void explain_print_note(const struct config *config);

#endif
