/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file, read packet by packet through libpcap: pcap of either byte order and resolution,
 * and pcapng. Every byte of the file is taken for hostile: a broken file ends in a sentence.
 */
#ifndef WORKERS_CAPTURE_H
#define WORKERS_CAPTURE_H

#include <stdint.h>
#include <stdio.h>
#include <xfq/error.h>

/* What is at most in one packet: libpcap's limit for Ethernet, whatever a file claims. */
#define CAPTURE_SNAPLEN_MAX 262144u

struct pcap;

/* What may end a read that waits. */
#define CAPTURE_STOPS 3

/* A file whose next bytes may have to be waited for: a pipe, a terminal. */
struct capture_pipe {
	int fd;
	int stop_fds[CAPTURE_STOPS]; /* one that is readable ends the file; -1: unused */
	int stopped;                 /* 1: that is how it ended */
};

/* An open file. Private, but for reading packet_cnt. */
struct capture {
	struct pcap *pcap;         /* owned; NULL: closed */
	char *name;                /* owned; for sentences */
	struct capture_pipe *pipe; /* owned; NULL: a regular file, or a stream */
	uint64_t packet_cnt;       /* read so far */
	uint32_t snaplen;
	int ended; /* 1, or the -errno it ended with; 0: go on */
};

/* One packet, in libpcap's memory. */
struct capture_packet {
	const uint8_t *data; /* the Ethernet header's first byte; valid until the next call */
	uint32_t len;        /* bytes at data; 0 to capture_snaplen() */
	uint32_t wire_len;   /* bytes there were on the wire; never less than len */
	uint64_t ts_ns; /* since 1970; what lies before is 0, beyond 64 bits the highest value */
};

/*
 * Open `path`, "-" for standard input. Returns 0, or -errno with a sentence that names the file:
 * what open() says (-ENOENT, -EACCES ...), -EISDIR, -EINVAL for what is no capture file or ends
 * within its header, -EPROTONOSUPPORT for link types other than Ethernet, named in the sentence.
 * The caller owns what capture_close() frees. One thread at a time, for everything here.
 */
int capture_open(struct capture *capture, const char *path, struct xfq_error *error);

/*
 * The same where nobody may have to wait for ever: `stop_fds` are CAPTURE_STOPS descriptors, or -1,
 * of which one that becomes readable ends the file there, as if it had no more packets; nothing is
 * read from them. While the file is being opened that is an error, -EINTR. Only a pipe or terminal
 * waits, and capture->pipe->stop_fds may be changed between calls.
 */
int capture_open_waiting(struct capture *capture, const char *path, const int *stop_fds,
			 struct xfq_error *error);

/*
 * The same for a stream opened for reading bytes; `name` is for sentences only. The stream is taken
 * over, also if opening fails: it is closed by then, unless it is stdin.
 */
int capture_open_stream(struct capture *capture, FILE *stream, const char *name,
			struct xfq_error *error);

/* Close the file; after a failed open, twice, or on zeroed memory it does nothing. */
void capture_close(struct capture *capture);

/* The limit that no packet's len exceeds, in bytes: what the file says, 1 to CAPTURE_SNAPLEN_MAX.
 */
uint32_t capture_snaplen(const struct capture *capture);

/*
 * Read the next packet. Returns 1 and fills `packet`; 0 at the end of the file; -EINVAL for a file
 * that is broken or cut here, -EIO where reading failed, both with the sentence "FILE: after N
 * packets: " and libpcap's message. After 0 or an error it returns the same again.
 */
int capture_next(struct capture *capture, struct capture_packet *packet, struct xfq_error *error);

#endif
