/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plug-ins: predicates and steering functions of one's own. They are in a shared object that the
 * config names,
 *
 *	plugins:
 *	  voip: { file: ./steer_voip.so, args: { port: 5060 } }
 *	groups:
 *	  calls: { match: udp, steer: { by: plugin, name: voip } }
 *	  odd: { plugin: voip }                   # its predicate
 *
 * or in an application, through xfq_config_plugin().
 *
 * The object exports one function, `xfq_plugin`, which returns its struct xfq_plugin. Structure and
 * version stay as they are: what comes later is added behind, and `size` says how much there is.
 *
 * A plug-in runs in the instance's process, in its workers, with all that these may do: it is
 * trusted as XFQ itself is. Its calls take whole bursts and should not block, allocate or make
 * system calls; a crash in one ends the instance. Each worker calls with a state of its own; what
 * several share is for the plug-in to guard. create, create_state and their opposites are called by
 * one thread, which may wait.
 *
 * A reload that names the same object with the same arguments under the same name leaves instance
 * and states as they are; otherwise there is a new instance beside, and the old one ends when no
 * packet is under way to it any more. A file that was replaced under its name is not loaded again.
 *
 * Functions of libxfq are there only for plug-ins that link it: a sentence is written into
 * error->text by whatever else writes text.
 */
#ifndef XFQ_PLUGIN_H
#define XFQ_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XFQ_PLUGIN_VERSION 1
#define XFQ_PLUGIN_SYMBOL  "xfq_plugin"

/* A packet as a plug-in sees it: in a group with `inner: true` the innermost one. */
struct xfq_plugin_packet {
	const uint8_t *data; /* first byte of the Ethernet header; not to be changed */
	const struct xfq_meta *meta;
	uint32_t len; /* bytes at data */
	uint32_t reserved;
};

struct xfq_plugin_burst {
	const struct xfq_plugin_packet *pkts;
	uint32_t cnt;    /* at most 64 */
	uint32_t worker; /* number of the calling worker */
	uint64_t now_ns; /* of the burst's first packet: CLOCK_REALTIME, or the capture's time */
	uint64_t reserved[4];
};

/* Where a packet is to go. */
enum xfq_plugin_target_kind {
	XFQ_TARGET_NONE = 0, /* the plug-in does not say: as the group's `else` */
	XFQ_TARGET_DROP,     /* to nobody */
	XFQ_TARGET_HASH,     /* value: a number; equal numbers meet in one member, by weight */
	XFQ_TARGET_MEMBER,   /* value: place of a member on the roster, modulo how many there are */
	XFQ_TARGET_MEMBERS   /* value: a bit for each place; the packet goes to all of them */
};

struct xfq_plugin_target {
	uint32_t kind;
	uint32_t reserved;
	uint64_t value;
};

/* Arguments from the config, in its order. */
struct xfq_plugin_arg {
	const char *name, *value;
};

struct xfq_plugin {
	uint32_t version; /* XFQ_PLUGIN_VERSION */
	uint32_t size;    /* sizeof(struct xfq_plugin) */
	const char *name; /* for messages */

	/* An instance, with its arguments. 0 and *instance, or -errno with a sentence. May be NULL:
	 * the instance is NULL, and takes no arguments. */
	int (*create)(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
		      struct xfq_error *error);
	void (*destroy)(void *instance); /* may be NULL */

	/* The state of a worker, made before it calls anything. May be NULL: the state is the
	 * instance. */
	int (*create_state)(void *instance, uint32_t worker, void **state, struct xfq_error *error);
	void (*destroy_state)(void *instance, void *state); /* may be NULL */

	/* Which of the packets whose bits are set in `wanted` match, as bits. NULL: it has no
	 * predicate. The answer is not remembered: it is asked of every packet. */
	uint64_t (*match)(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted);

	/* Where each of the packets whose bits are set in `wanted` is to go: targets[i] of packet
	 * i, which are XFQ_TARGET_NONE before. The group has `members` members. NULL: it does not
	 * steer. */
	void (*steer)(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		      uint32_t members, struct xfq_plugin_target *targets);
};

/* What the shared object exports. */
const struct xfq_plugin *xfq_plugin(void);

typedef const struct xfq_plugin *xfq_plugin_function(void);

#ifdef __cplusplus
}
#endif
#endif
