/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `xfq join` does: be a member of a group, count its packets, write them to a capture file.
 *
 *	intake_open    open the file, join, write the file's first blocks
 *	intake_run     take packets until one of enum intake_end
 *	intake_close   leave, write the file's statistics
 *
 * Packets go to the file's reader whenever the rings are empty, before it sleeps, and at least once
 * a second; it sleeps in poll() and wakes for nothing but packets, the end, and the live line.
 *
 * A reader of the file that goes away (a pipe's, `| head`) ends it as well as a signal does, and at
 * once, not only at the next packet. One that does not read holds it up, and what comes meanwhile
 * is lost in the ring and counted; told to end then, it waits a second for that reader, no longer.
 *
 * Threads: one.
 */
#ifndef APPS_INTAKE_H
#define APPS_INTAKE_H

#include "workers/pcapng.h"
#include <xfq/xfq.h>

enum intake_end {
	INTAKE_GOES_ON = 0,
	INTAKE_COUNT,    /* as many packets as were wanted */
	INTAKE_TIME,     /* --for */
	INTAKE_SIGNAL,   /* told to end */
	INTAKE_READER,   /* the file's reader has gone */
	INTAKE_INSTANCE, /* the instance has ended */
	INTAKE_KILLED,   /* it was killed or has crashed: failed */
	INTAKE_DETACHED, /* the instance has detached the member: failed */
	INTAKE_FILE,     /* the file cannot be written: failed */
	INTAKE_SYSTEM    /* a system call failed: failed */
};

/* Packets of a mark that cases have set. */
#define INTAKE_MARKS_MAX 16
struct intake_mark {
	uint32_t mark;
	uint64_t packets;
};

struct intake_options {
	const char *group;
	const char *path;             /* of the capture file; "-": standard output; NULL: none */
	uint64_t packet_max;          /* 0: any number */
	double seconds;               /* 0: any time */
	double live_seconds;          /* between two live lines; 0: none */
	struct xfq_join_options join; /* but for `wait`, which is set here */
};

struct intake {
	struct intake_options options;
	struct xfq_member *member;
	struct xfq_member_info info;
	struct pcapng pcapng; /* where options.path is given */
	int signal_fd, end_fd, tick_fd;

	uint64_t packets, bytes;                    /* taken; bytes of the wire */
	struct intake_mark marks[INTAKE_MARKS_MAX]; /* the first that came, in that order */
	uint32_t mark_cnt;
	uint64_t other_marks;          /* packets of all others but 0 */
	struct xfq_member_stats stats; /* as of intake_refresh() */
	uint64_t begin_ns, now_ns;     /* CLOCK_MONOTONIC; now: as of intake_refresh() */
	uint64_t looked_ns, flushed_ns;

	enum intake_end end;
	char why[XFQ_ERROR_TEXT_BYTES]; /* a sentence, where it ended by itself */

	void (*live)(struct intake *intake); /* draws the line; counters are fresh */
	uint64_t drawn_ns, drawn_packets;    /* its own */
};

/*
 * Join a group of `xfq`. Signals that end a command are blocked from then on. The file is opened
 * before the group is joined, and changed only after. 0, or -errno with a sentence; in both cases
 * the caller owes an intake_close().
 */
int intake_open(struct intake *intake, struct xfq *xfq, const struct intake_options *options,
		struct xfq_error *error);

/* Take packets until `end` is not INTAKE_GOES_ON. */
void intake_run(struct intake *intake);

/*
 * Leave the group and close the file; what it counted, `end` and `info` can still be read. 0, or
 * -errno with a sentence where the file is not whole, its reader having gone being no error. A
 * second call, or one on zeroed memory, does nothing.
 */
int intake_close(struct intake *intake, struct xfq_error *error);

/* Read the clock and the member's counters. */
void intake_refresh(struct intake *intake);

#endif
