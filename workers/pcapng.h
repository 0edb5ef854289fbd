/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write a pcapng file, block by block as draft-ietf-opsawg-pcapng lays them out: one section in the
 * host's byte order, one Ethernet interface with nanosecond time stamps, a block per packet, and at
 * the end a block with the interface's statistics. libpcap reads pcapng, but cannot write it.
 *
 *	section header | interface description | packet | packet | ... | interface statistics
 *
 * Packets are gathered in a buffer, so that a system call serves many and none of them allocates.
 * The first write that fails (disk full, reader gone) is remembered, and nothing is written any
 * more; a regular file is cut after the last packet that is whole, so that it stays readable. Later
 * packets are counted as lost, and pcapng_close() says so.
 *
 * Writing to a pipe whose reader has gone raises SIGPIPE: a program that writes there ignores it.
 *
 * Threads: one at a time for each writer.
 */
#ifndef WORKERS_PCAPNG_H
#define WORKERS_PCAPNG_H

#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define PCAPNG_SNAPLEN_MAX  262144u       /* what readers allow for Ethernet */
#define PCAPNG_BUFFER_BYTES (512u * 1024) /* one packet of the highest length fits, with room */

/* An open file. Private, but for reading the counters. */
struct pcapng {
	int fd;
	bool borrowed;        /* fd is standard output, and stays open */
	bool regular;         /* a write waits for nobody */
	bool begun;           /* its first blocks are written */
	int stop_fds[2];      /* the caller's, who may set them after pcapng_open(); -1: unused */
	int failed;           /* -errno of the write that failed; 0: none */
	char *name;           /* owned; for sentences */
	uint8_t *buffer;      /* owned; NULL: closed */
	uint32_t used;        /* bytes of it */
	uint32_t pending_cnt; /* packets in it */
	uint32_t snaplen;
	uint64_t written_bytes; /* handed to the kernel, in whole blocks */
	uint64_t packet_cnt;    /* packets handed to the kernel */
	uint64_t lost_cnt;      /* packets given, but not written, because a write had failed */
	uint64_t ts_ns;         /* latest time stamp */
};

/*
 * Create or truncate `path` (mode 0640 less the umask: captures are private), "-" for standard
 * output, and write the first two blocks. `interface` is the name that readers show; NULL or empty:
 * none. Packets are cut to `snaplen` bytes; 0, or more than PCAPNG_SNAPLEN_MAX, means
 * PCAPNG_SNAPLEN_MAX. Returns 0, or -errno with a sentence that names the file; nothing is left
 * open then. The caller owns what pcapng_close() frees.
 */
int pcapng_create(struct pcapng *pcapng, const char *path, const char *interface, uint32_t snaplen,
		  struct xfq_error *error);

/*
 * The same in two steps, for who opens several things before it is sure to write: pcapng_open()
 * creates the file if there is none, and locks it against other writers (-EBUSY), but changes
 * nothing in it; pcapng_begin() truncates it and writes the first blocks. A file that was opened
 * and never begun is left by pcapng_close() as it was found.
 *
 * Between the two, pcapng_set_interface() gives another name to the interface, and stop_fds may be
 * set: once one of them is readable, a pipe whose reader has taken nothing for a second is given up
 * (-ECANCELED), where the write would wait for ever.
 */
int pcapng_open(struct pcapng *pcapng, const char *path, const char *interface, uint32_t snaplen,
		struct xfq_error *error);
void pcapng_set_interface(struct pcapng *pcapng, const char *interface);
int pcapng_begin(struct pcapng *pcapng, struct xfq_error *error);

/*
 * Add a packet of `len` bytes at `data`, copied before this returns; `wire_len` is how long it was
 * (at least len is stored) and `ts_ns` its time in ns since 1970. Returns 0, or the -errno of the
 * failed write, now or earlier, and then counts the packet as lost. A packet that was gathered (0)
 * may still be lost later: only packet_cnt are in the file. Neither allocates nor locks; a write()
 * when the buffer is full, which may block.
 */
int pcapng_write(struct pcapng *pcapng, const uint8_t *data, uint32_t len, uint32_t wire_len,
		 uint64_t ts_ns);

/* Hand what is gathered to the kernel, so that a reader of the pipe or file sees it. Returns as
 * pcapng_write() does. For idle moments, not for every packet. */
int pcapng_flush(struct pcapng *pcapng);

/*
 * Write the statistics, that `received` packets came to the interface or group and `dropped` were
 * lost before they came here, and close the file. Standard output is flushed, and stays open.
 * Returns 0, or the -errno of the first write that failed, with a sentence that names the file and
 * how many packets are in it. In every case all is freed, and the counters can still be
 * read. After a failed create, twice, or on zeroed memory it does nothing.
 */
int pcapng_close(struct pcapng *pcapng, uint64_t received, uint64_t dropped,
		 struct xfq_error *error);

#endif
