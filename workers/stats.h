/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot of every counter of an instance, as plain numbers for whoever shows them.
 *
 * Sums that hold once the instance has stopped (while it runs they are off by what is in flight):
 *
 *	verdicts of a packet seen        exactly one
 *	steer                          = sum over workers of received + rx_dropped + rx_ring_full
 *	group packets                  = offered + no_member + dropped, where each
 *	                                 goes to one member at most; a packet that
 *	                                 several get is offered once for each
 *	group offered                  = sum over its members, those that left too,
 *	                                 of packets and each kind of loss
 *	member packets                 = consumed + discarded + queued
 *	frames total                   = free + kernel + worker + held + tx; this one always holds
 */
#ifndef WORKERS_STATS_H
#define WORKERS_STATS_H

#include "workers/config.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stdint.h>

#define STATS_LEFT_MAX 16 /* members of a group that left, remembered one by one */

struct stats_interface {
	char name[IF_NAMESIZE];
	char driver[32];
	const char *mode; /* "native", "generic", "af_packet", "none" */
	uint32_t queues;
	bool zero_copy;
	bool gone;
	uint64_t mirror_lost; /* of a mirrored one: copies that the pair had no room for */
};

struct stats_worker {
	int32_t cpu, node;
	bool shared_cpu;
	uint64_t received, bytes, unclaimed;
	uint64_t rx_dropped, rx_ring_full, fill_empty; /* of its ports; see struct port_losses */
	uint64_t cut; /* received, but cut to a frame; of packet sockets */
	uint64_t reparsed, sleeps, faulty;
	uint64_t cache_hits,
		cache_misses; /* of its flow cache, which is not asked of every packet */
};

struct stats_member {
	uint32_t id, weight, ring_slots;
	uint32_t classes; /* a bit for each class of its group */
	const char *kind; /* "worker", "thread", "joining" or "joined"; of who left: why it did */
	bool stand_in;    /* its turn comes when no application is there */
	int32_t pid;      /* of a joined one */
	uint32_t uid;
	char process[16];
	uint64_t packets, bytes, consumed, queued, discarded;
	uint64_t lost_ring, lost_quota, lost_detached, spilled;
	uint64_t unwritten; /* consumed, but its capture file could not be written */
};

struct stats_counter {
	const char *name;
	uint64_t packets, bytes;
};

struct stats_group {
	const char *name, *match, *steer; /* match: "" for every packet */
	const struct group_spec *spec;    /* the names of its classes */
	uint64_t packets, bytes, offered, no_member, dropped;
	bool has_table;
	uint32_t rule_cnt; /* of its rule table */
	uint32_t counter_cnt;
	struct stats_counter counters[GROUP_COUNTERS_MAX]; /* of its cases */
	uint32_t members_max;                              /* that may join */
	uint32_t member_cnt;
	struct stats_member *members; /* in one array for all groups */
	uint32_t left_cnt;            /* that joined and left */
	const struct stats_member *left_sum;
	const struct stats_member *left[STATS_LEFT_MAX]; /* the last, newest first; NULL: none */
};

struct stats_frames {
	uint64_t total, free, kernel, worker, held, tx;
};

struct stats {
	const char *name;   /* of the instance; the config's, as all strings here */
	const char *source; /* path of the capture file; NULL: live */
	uint64_t uptime_ns;
	struct xdp_counters xdp;
	const struct filter *filter;
	struct xdp_counters egress;
	const struct filter *egress_filter; /* NULL: none */
	struct stats_interface interfaces[XDP_INTERFACES_MAX];
	uint32_t interface_cnt;
	struct stats_worker *workers;
	uint32_t worker_cnt;
	struct stats_group groups[CONFIG_GROUPS_MAX];
	uint32_t group_cnt;
	struct stats_member *members;
	struct stats_frames frames;
	bool huge_pages;
};

#endif
