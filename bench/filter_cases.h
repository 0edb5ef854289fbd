/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What bench_filter measures: the packets, and the programs that they are run through, each ready
 * to be test-run. Programs of XFQ are loaded as an instance loads them, a socket in their XSKMAP.
 */
#ifndef BENCH_FILTER_CASES_H
#define BENCH_FILTER_CASES_H

#include "xdp/loader.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define FILTER_PACKET_BYTES 128

enum filter_packet_kind {
	FILTER_PACKET_UDP4 = 0, /* to port 53 */
	FILTER_PACKET_UDP6,     /* to port 53 */
	FILTER_PACKET_VLAN,     /* IPv4 TCP behind a tag, to port 443 */
	FILTER_PACKET_FRAGMENT, /* a later one, of IPv4 */
	FILTER_PACKET_CNT
};

struct filter_packet {
	const char *name;
	uint8_t data[FILTER_PACKET_BYTES];
	uint32_t len;
};

/* A program, and what it must answer. */
struct filter_case {
	const char *name;
	const char *of;                      /* in words */
	int fd;                              /* to be test-run; -1: not there */
	bool attached;                       /* to a device already */
	uint8_t expected[FILTER_PACKET_CNT]; /* XDP_DROP, XDP_PASS or XDP_REDIRECT */
	void *owned;                         /* of the case's own */
};

/* The four of them. */
void filter_packets_make(struct filter_packet packets[FILTER_PACKET_CNT]);

/*
 * Build the case `index`, counted from 0. 0, or -ENOENT where there are no more, or -errno with a
 * sentence where this one cannot be had here: with the name, but fd is -1.
 */
int filter_case_create(struct filter_case *of, uint32_t index, struct xfq_error *error);

/* The number of cases, and the name of one of them. */
uint32_t filter_case_cnt(void);
const char *filter_case_name(uint32_t index);

/* Take another's program as a case: attached already, its descriptor closed with the case.
 * `answers` has a letter for each packet: d for one that it drops, p for one that it passes. 0 or
 * -EINVAL. */
int filter_case_take(struct filter_case *of, const char *name, int fd, const char *answers);

/* Safe on zeroed memory. */
void filter_case_destroy(struct filter_case *of);

#endif
