/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/pcapng.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Numbers of the specification; in brackets the section of draft-ietf-opsawg-pcapng. */
#define BLOCK_SECTION     0x0a0d0d0au /* [4.1] */
#define BLOCK_INTERFACE   1u          /* [4.2] */
#define BLOCK_PACKET      6u          /* [4.3] enhanced packet block */
#define BLOCK_STATISTICS  5u          /* [4.6] */
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u

#define OPTION_END        0u
#define OPTION_USER_APPL  4u /* of the section */
#define OPTION_IF_NAME    2u
#define OPTION_IF_TSRESOL 9u
#define OPTION_IF_RECV    4u /* of the statistics */
#define OPTION_IF_DROP    5u

#define TSRESOL_NS     9 /* 10^-9 s */
#define NAME_BYTES_MAX 255u
#define STOPPED_MS     1000 /* without progress, once a stop descriptor is readable */

/* Fixed parts; each block ends with its length once more. */
struct block_section {
	uint32_t type, bytes, magic;
	uint16_t major, minor;
	uint64_t section_bytes;
};

struct block_interface {
	uint32_t type, bytes;
	uint16_t link_type, reserved;
	uint32_t snaplen;
};

struct block_packet {
	uint32_t type, bytes, interface, ts_high, ts_low, len, wire_len;
};

struct block_statistics {
	uint32_t type, bytes, interface, ts_high, ts_low;
};

struct block_option {
	uint16_t code, bytes;
};

static_assert(sizeof(struct block_section) == 24, "section header block");
static_assert(sizeof(struct block_interface) == 16, "interface description block");
static_assert(sizeof(struct block_packet) == 28, "enhanced packet block");
static_assert(sizeof(struct block_statistics) == 20, "interface statistics block");
static_assert(sizeof(struct block_packet) + PCAPNG_SNAPLEN_MAX + 8 <= PCAPNG_BUFFER_BYTES,
	      "a packet fits the buffer");

static uint32_t padded(uint32_t bytes)
{
	return (bytes + 3) & ~3u;
}

/* Append bytes and zeroes up to a multiple of 4; the caller knows that they fit. */
static void buffer_add(struct pcapng *pcapng, const void *data, uint32_t bytes)
{
	uint8_t *end = pcapng->buffer + pcapng->used;

	if (bytes)
		memcpy(end, data, bytes);
	memset(end + bytes, 0, padded(bytes) - bytes);
	pcapng->used += padded(bytes);
}

static void buffer_add_option(struct pcapng *pcapng, uint32_t code, const void *data, size_t bytes)
{
	struct block_option option = {(uint16_t)code, (uint16_t)bytes};

	buffer_add(pcapng, &option, sizeof(option));
	buffer_add(pcapng, data, (uint32_t)bytes);
}

/* End a block that began at `start`: no more options, and its length at both ends. */
static void buffer_end_options(struct pcapng *pcapng, uint32_t start)
{
	uint32_t bytes;

	buffer_add_option(pcapng, OPTION_END, NULL, 0);
	bytes = pcapng->used - start + (uint32_t)sizeof(bytes);
	memcpy(pcapng->buffer + start + sizeof(uint32_t), &bytes, sizeof(bytes));
	buffer_add(pcapng, &bytes, sizeof(bytes));
}

static void buffer_add_headers(struct pcapng *pcapng, const char *interface)
{
	static const char application[] = "xfq " XFQ_VERSION;
	static const uint8_t resolution = TSRESOL_NS;
	struct block_section section = {.type = BLOCK_SECTION,
					.magic = BYTE_ORDER_MAGIC,
					.major = 1,
					.section_bytes = UINT64_MAX}; /* not known */
	struct block_interface description = {.type = BLOCK_INTERFACE,
					      .link_type = LINKTYPE_ETHERNET,
					      .snaplen = pcapng->snaplen};
	uint32_t start = pcapng->used;

	buffer_add(pcapng, &section, sizeof(section));
	buffer_add_option(pcapng, OPTION_USER_APPL, application, sizeof(application) - 1);
	buffer_end_options(pcapng, start);
	start = pcapng->used;
	buffer_add(pcapng, &description, sizeof(description));
	if (interface && *interface)
		buffer_add_option(pcapng, OPTION_IF_NAME, interface,
				  strnlen(interface, NAME_BYTES_MAX));
	buffer_add_option(pcapng, OPTION_IF_TSRESOL, &resolution, sizeof(resolution));
	buffer_end_options(pcapng, start);
}

static void buffer_add_statistics(struct pcapng *pcapng, uint64_t received, uint64_t dropped)
{
	struct block_statistics statistics = {.type = BLOCK_STATISTICS,
					      .ts_high = (uint32_t)(pcapng->ts_ns >> 32),
					      .ts_low = (uint32_t)pcapng->ts_ns};
	uint32_t start = pcapng->used;

	buffer_add(pcapng, &statistics, sizeof(statistics));
	buffer_add_option(pcapng, OPTION_IF_RECV, &received, sizeof(received));
	buffer_add_option(pcapng, OPTION_IF_DROP, &dropped, sizeof(dropped));
	buffer_end_options(pcapng, start);
}

/* Wait until something can be written: 0, or -ECANCELED: it is to stop, and nothing can. */
static int wait_writable(const struct pcapng *pcapng)
{
	struct pollfd fds[] = {
		{.fd = pcapng->fd, .events = POLLOUT},
		{.fd = pcapng->stop_fds[0], .events = POLLIN},
		{.fd = pcapng->stop_fds[1], .events = POLLIN},
	};

	while (poll(fds, 3, -1) < 0 && errno == EINTR)
		;
	if (fds[0].revents || (!fds[1].revents && !fds[2].revents))
		return 0;
	return poll(fds, 1, STOPPED_MS) == 0 ? -ECANCELED : 0;
}

/* Write the buffer out whole; -errno, and what of it went out, where that fails. */
static int write_all(const struct pcapng *pcapng, uint32_t *written)
{
	bool stoppable = !pcapng->regular && (pcapng->stop_fds[0] >= 0 || pcapng->stop_fds[1] >= 0);
	int err;

	*written = 0;
	while (*written < pcapng->used) {
		uint32_t bytes = pcapng->used - *written;
		ssize_t result;

		if (stoppable) {
			err = wait_writable(pcapng);
			if (err)
				return err;
			/* a pipe that poll calls writable takes so much without waiting */
			bytes = bytes < PIPE_BUF ? bytes : PIPE_BUF;
		}
		result = write(pcapng->fd, pcapng->buffer + *written, bytes);
		if (result >= 0)
			*written += (uint32_t)result;
		else if (errno == EAGAIN)
			(void)wait_writable(pcapng); /* a stop is seen in the next round */
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* After a write that failed within the buffer: keep the blocks that went out whole. */
static void keep_whole_blocks(struct pcapng *pcapng, uint32_t written)
{
	uint32_t at = 0;

	while (at < written) {
		uint32_t head[2]; /* type and length */

		memcpy(head, pcapng->buffer + at, sizeof(head));
		if (head[1] > written - at)
			break;
		at += head[1];
		if (head[0] == BLOCK_PACKET) {
			pcapng->packet_cnt++;
			pcapng->pending_cnt--;
		}
	}
	pcapng->written_bytes += at;
	pcapng->lost_cnt += pcapng->pending_cnt;
	/* only what pcapng_begin() truncated starts at 0; standard output may be appended to */
	if (!pcapng->borrowed && pcapng->regular &&
	    ftruncate(pcapng->fd, (off_t)pcapng->written_bytes) < 0)
		return; /* its last block stays cut, which readers report */
}

int pcapng_flush(struct pcapng *pcapng)
{
	uint32_t written;

	if (pcapng->failed || pcapng->used == 0)
		return pcapng->failed;
	pcapng->failed = write_all(pcapng, &written);
	if (pcapng->failed) {
		keep_whole_blocks(pcapng, written);
	} else {
		pcapng->packet_cnt += pcapng->pending_cnt;
		pcapng->written_bytes += pcapng->used;
	}
	pcapng->used = 0;
	pcapng->pending_cnt = 0;
	return pcapng->failed;
}

static const char *failure_text(int err)
{
	return err == -ECANCELED ? "nobody reads it" : strerror(-err);
}

/* Give everything back but the counters; returns what close() said. */
static int pcapng_release(struct pcapng *pcapng)
{
	int err = !pcapng->borrowed && close(pcapng->fd) < 0 ? -errno : 0;

	free(pcapng->buffer);
	free(pcapng->name);
	pcapng->buffer = NULL;
	pcapng->name = NULL;
	pcapng->fd = -1;
	return err;
}

int pcapng_open(struct pcapng *pcapng, const char *path, const char *interface, uint32_t snaplen,
		struct xfq_error *error)
{
	bool borrowed = strcmp(path, "-") == 0;
	const char *name = borrowed ? "standard output" : path;
	int fd = STDOUT_FILENO, err;
	struct stat status;

	if (!borrowed)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
	*pcapng = (struct pcapng){.fd = fd, .borrowed = borrowed, .stop_fds = {-1, -1}};
	if (fd < 0)
		return xfq_error_set(error, -errno, "%s: cannot create the capture file: %s", path,
				     strerror(errno));
	pcapng->regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
	pcapng->snaplen = snaplen && snaplen < PCAPNG_SNAPLEN_MAX ? snaplen : PCAPNG_SNAPLEN_MAX;
	pcapng->name = strdup(name);
	pcapng->buffer = malloc(PCAPNG_BUFFER_BYTES);
	err = pcapng->name && pcapng->buffer ? 0 : -ENOMEM;
	if (!err && !borrowed && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		err = -EBUSY;
	if (!err) {
		buffer_add_headers(pcapng, interface);
		return 0;
	}
	pcapng_release(pcapng);
	if (err == -EBUSY)
		return xfq_error_set(error, err, "%s: another program is writing this capture file",
				     name);
	return xfq_error_set(error, err, "%s: cannot write the capture file: %s", name,
			     strerror(-err));
}

void pcapng_set_interface(struct pcapng *pcapng, const char *interface)
{
	pcapng->used = 0;
	buffer_add_headers(pcapng, interface);
}

int pcapng_begin(struct pcapng *pcapng, struct xfq_error *error)
{
	int err = 0;

	if (!pcapng->borrowed && pcapng->regular && ftruncate(pcapng->fd, 0) < 0)
		err = -errno;
	if (!err)
		err = pcapng_flush(pcapng);
	if (!err) {
		pcapng->begun = true;
		return 0;
	}
	return xfq_error_set(error, err, "%s: cannot write the capture file: %s", pcapng->name,
			     strerror(-err));
}

int pcapng_create(struct pcapng *pcapng, const char *path, const char *interface, uint32_t snaplen,
		  struct xfq_error *error)
{
	int err = pcapng_open(pcapng, path, interface, snaplen, error);

	if (!err)
		err = pcapng_begin(pcapng, error);
	if (err && pcapng->buffer)
		pcapng_release(pcapng);
	return err;
}

/* Close without a word: nothing was written, and nothing of the old file is lost. */
static void pcapng_abandon(struct pcapng *pcapng)
{
	struct stat status;

	/* a file that is empty was made by the open, or there is nothing in it to miss */
	if (!pcapng->borrowed && pcapng->regular && fstat(pcapng->fd, &status) == 0 &&
	    status.st_size == 0)
		unlink(pcapng->name);
	pcapng_release(pcapng);
}

int pcapng_write(struct pcapng *pcapng, const uint8_t *data, uint32_t len, uint32_t wire_len,
		 uint64_t ts_ns)
{
	uint32_t kept = len < pcapng->snaplen ? len : pcapng->snaplen;
	uint32_t bytes = (uint32_t)sizeof(struct block_packet) + padded(kept) + 4;
	struct block_packet packet = {.type = BLOCK_PACKET,
				      .bytes = bytes,
				      .ts_high = (uint32_t)(ts_ns >> 32),
				      .ts_low = (uint32_t)ts_ns,
				      .len = kept,
				      .wire_len = wire_len > len ? wire_len : len};

	if (PCAPNG_BUFFER_BYTES - pcapng->used < bytes)
		pcapng_flush(pcapng);
	if (pcapng->failed) {
		pcapng->lost_cnt++;
		return pcapng->failed;
	}
	buffer_add(pcapng, &packet, sizeof(packet));
	buffer_add(pcapng, data, kept);
	buffer_add(pcapng, &bytes, sizeof(bytes));
	pcapng->pending_cnt++;
	if (ts_ns > pcapng->ts_ns)
		pcapng->ts_ns = ts_ns;
	return 0;
}

int pcapng_close(struct pcapng *pcapng, uint64_t received, uint64_t dropped,
		 struct xfq_error *error)
{
	char name[XFQ_ERROR_TEXT_BYTES];
	int err;

	if (!pcapng->buffer)
		return 0;
	if (!pcapng->begun) {
		pcapng_abandon(pcapng);
		return 0;
	}
	if (pcapng_flush(pcapng) == 0) {
		buffer_add_statistics(pcapng, received, dropped);
		pcapng_flush(pcapng);
	}
	snprintf(name, sizeof(name), "%s", pcapng->name);
	err = pcapng_release(pcapng);
	if (!pcapng->failed) /* some file systems tell only at close() that the disk is full */
		pcapng->failed = err;
	if (!pcapng->failed)
		return 0;
	return xfq_error_set(error, pcapng->failed,
			     "%s: cannot write the capture file: %s; %" PRIu64
			     " packets are in it, %" PRIu64 " were lost",
			     name, failure_text(pcapng->failed), pcapng->packet_cnt,
			     pcapng->lost_cnt);
}
