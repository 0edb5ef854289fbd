/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program in the kernel: load, attach, its maps, its counters.
 *
 *	loader_load     program and sets go into the kernel; nothing is attached
 *	loader_replace  other rules, without a gap
 *	loader_socket   a queue's AF_XDP socket goes into the XSKMAP
 *	loader_attach   the program sees an interface's packets from here on
 *	loader_detach   and from here on none; its counters stay readable
 *	loader_destroy
 *
 * How a program is attached, and who else may be there, is attach.h. One thread.
 */
#ifndef XDP_LOADER_H
#define XDP_LOADER_H

#include "xdp/attach.h"
#include "xdp/filter.h"
#include "xdp/limit_map.h"
#include "xdp/setmap.h"
#include "xdp/shunt.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

struct first_pass_bpf;
struct socket_bpf;
struct socket_attached_bpf;

struct loader_generation {
	struct first_pass_bpf *skeleton;
	struct socket_bpf *socket;   /* the same for packet sockets; NULL: none are wanted */
	int quick;                   /* descriptor of the quick program; 0: none */
	const struct filter *filter; /* the caller's */
	struct limit_maps limits;
};

struct loader {
	struct attached_bpf *attached;
	struct loader_generation now;
	struct xdp_counters retired; /* of the generations before, as far as now has their rules */
	uint64_t hash_seed;
	uint32_t packet_max;
	bool test_clock;
	bool shared;
	uint8_t generation; /* of now, as the metadata says it */
	uint32_t interface_cnt;
	uint32_t ifindex[XDP_INTERFACES_MAX];
	struct attach attach[XDP_INTERFACES_MAX];
	struct socket_attached_bpf *socket_hub; /* what packet sockets have; NULL: there are none */
};

/* What loader_load() builds from. */
struct loader_options {
	const struct filter *filter; /* until it is replaced, or the loader destroyed */
	const struct setmaps *sets;  /* of the filter; needed only during the call */
	uint64_t hash_seed;
	uint32_t packet_max; /* longer packets are passed instead of steered; 0: no limit */
	bool shared;         /* to be attached beside others: no packets in several buffers */
	bool test_clock;     /* time is what loader_set_clock() says: for test runs */
	uint8_t generation;  /* mark of what the program judges, in its metadata; 0: none, ever */
	const uint32_t *ifindex; /* of the interfaces it will be attached to; may be none */
	uint32_t interface_cnt;
};

/*
 * Load program and sets. 0, or -errno with a sentence: -EPERM without the privileges (CAP_BPF and
 * CAP_NET_ADMIN), -E2BIG for too many sets or interfaces, otherwise what the kernel said.
 * On success the caller owes a loader_destroy(); on failure nothing is left.
 */
int loader_load(struct loader *loader, const struct loader_options *options,
		struct xfq_error *error);

/*
 * The same in two steps: first all that can fail, then, once everything else is there too, the one
 * write that makes it so. loader_prepare() fills *next, and then the caller owes a loader_commit()
 * or a loader_forget(); loader_commit() leaves nothing owed.
 */
int loader_prepare(const struct loader *loader, struct loader_generation *next,
		   const struct filter *filter, const struct setmaps *sets,
		   struct xfq_error *error);
int loader_commit(struct loader *loader, struct loader_generation *next, struct xfq_error *error);
void loader_forget(struct loader_generation *next);

/*
 * Judge packets by another filter from now on: each is judged by the one before or by this one,
 * none is lost. When this returns no packet is judged by the one before any more, which is the
 * caller's to destroy. Rules that both have keep their counters. 0, or -errno with a sentence, and
 * nothing has changed.
 */
int loader_replace(struct loader *loader, const struct filter *filter, const struct setmaps *sets,
		   struct xfq_error *error);

/* The mark of what the next filter judges: none, or 1 to 255, one after the other. */
static inline uint8_t loader_next_generation(const struct loader *loader)
{
	if (loader->generation == 0)
		return 0;
	return loader->generation < UINT8_MAX ? (uint8_t)(loader->generation + 1) : 1;
}

/* Let queue `queue` of the interface at place `interface` deliver to the AF_XDP socket `fd`. */
int loader_socket(struct loader *loader, uint32_t interface, uint32_t queue, int fd,
		  struct xfq_error *error);

/* Have the program for packet sockets too, in this generation and those after it: while there are
 * the privileges to load it. 0, or -errno with a sentence. A second call does nothing. */
int loader_packet_sockets(struct loader *loader, struct xfq_error *error);

/* Let the packet socket `fd` receive what the filter steers, and after a replacement what the next
 * one does. 0, or -errno with a
 * sentence. */
int loader_packet_socket(struct loader *loader, int fd, struct xfq_error *error);

/* Attach to the interface at place `interface`; what attach_open() returns, and the mode is in
 * loader->attach[interface].mode. */
int loader_attach(struct loader *loader, uint32_t interface, const struct attach_options *options,
		  struct xfq_error *error);

/* Detach from every interface. In native mode the program has run for the last time when this
 * returns, in generic mode a grace period of RCU later. */
void loader_detach(struct loader *loader);

/* Detach from one interface, for instance because it is gone. */
void loader_detach_one(struct loader *loader, uint32_t interface);

/* Sum the counters of all CPUs. 0 or -errno. */
int loader_counters(const struct loader *loader, struct xdp_counters *sum);

/* The shunt table: its descriptors are the loader's, and hold until the next loader_replace(). 0,
 * or -EOPNOTSUPP with a sentence: the filter has none. */
int loader_shunt(const struct loader *loader, struct shunt *shunt, struct xfq_error *error);

/* What the program notes of fragments, for first_pass_parse_noted(): the same map whatever the
 * filter, its descriptor the loader's until the next loader_replace(). */
int loader_notes(const struct loader *loader);

/* Set the time of a program that was loaded with test_clock; it begins with 0. 0 or -errno. */
int loader_set_clock(struct loader *loader, uint64_t now_ns);

/* Where the sets are in what judges now, for struct setmaps_target; descriptors that stay the
 * loader's, until the filter is replaced. False: nothing is loaded. */
bool loader_set_slots(const struct loader *loader, struct setmap_slots *slots);

/* The program's file descriptor, for BPF_PROG_TEST_RUN; it stays the loader's. */
int loader_program_fd(const struct loader *loader);

/* The first pass itself, which that one goes on to, as it is now. */
int loader_judge_fd(const struct loader *loader);

/* Detach and unload; safe on zeroed memory. */
void loader_destroy(struct loader *loader);

#endif
