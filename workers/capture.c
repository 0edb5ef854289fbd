/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/capture.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

/* Refuse what open() accepts and libpcap explains badly. */
static int check_stream(FILE *stream, const char *name, struct xfq_error *error)
{
	struct stat status;
	int fd = fileno(stream);

	if (fd < 0 || fstat(fd, &status) < 0) /* a stream without a file */
		return 0;
	if (S_ISDIR(status.st_mode))
		return xfq_error_set(error, -EISDIR, "%s: a directory, not a capture file", name);
	if (S_ISREG(status.st_mode) && status.st_size == 0)
		return xfq_error_set(error, -EINVAL,
				     "%s: empty; a pcap or pcapng file has at least a header",
				     name);
	return 0;
}

static int check_link_type(const struct capture *capture, struct xfq_error *error)
{
	int type = pcap_datalink(capture->pcap);
	const char *name = pcap_datalink_val_to_name(type);
	char unnamed[32];

	if (type == DLT_EN10MB)
		return 0;
	snprintf(unnamed, sizeof(unnamed), "DLT %d", type);
	return xfq_error_set(error, -EPROTONOSUPPORT,
			     "%s: link type %s%s%s%s, but only Ethernet (EN10MB) can be read; "
			     "capture on an Ethernet interface, or convert the file, for instance "
			     "by `tcprewrite --dlt=enet`",
			     capture->name, name ? name : unnamed, name ? " (" : "",
			     name ? pcap_datalink_val_to_description(type) : "", name ? ")" : "");
}

int capture_open_stream(struct capture *capture, FILE *stream, const char *name,
			struct xfq_error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int err, snaplen;

	*capture = (struct capture){.name = strdup(name)};
	err = check_stream(stream, name, error);
	if (!err && !capture->name)
		err = xfq_error_set(error, -ENOMEM, "%s: no memory to read it", name);
	if (err)
		goto fail;
	capture->pcap =
		pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!capture->pcap) {
		err = xfq_error_set(error, ferror(stream) ? -EIO : -EINVAL,
				    "%s: cannot be read as a pcap or pcapng file: %s", name, text);
		goto fail;
	}
	stream = NULL; /* libpcap's now */
	err = check_link_type(capture, error);
	if (err)
		goto fail;
	snaplen = pcap_snapshot(capture->pcap);
	capture->snaplen = snaplen > 0 && (uint32_t)snaplen < CAPTURE_SNAPLEN_MAX
				   ? (uint32_t)snaplen
				   : CAPTURE_SNAPLEN_MAX;
	return 0;
fail:
	if (stream && stream != stdin)
		fclose(stream);
	capture_close(capture);
	return err;
}

/* Wait for bytes, or for a word to stop; the cookie's read function. */
static ssize_t pipe_read(void *cookie, char *bytes, size_t size)
{
	struct capture_pipe *pipe = cookie;
	struct pollfd fds[1 + CAPTURE_STOPS] = {{.fd = pipe->fd, .events = POLLIN}};
	ssize_t got;

	for (int i = 0; i < CAPTURE_STOPS; i++)
		fds[1 + i] = (struct pollfd){.fd = pipe->stop_fds[i], .events = POLLIN};
	while (!pipe->stopped) {
		if (poll(fds, 1 + CAPTURE_STOPS, -1) < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < CAPTURE_STOPS; i++)
			if (fds[1 + i].revents)
				pipe->stopped = 1;
		if (pipe->stopped || !fds[0].revents)
			continue;
		got = read(pipe->fd, bytes, size);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			return got;
	}
	return 0;
}

static int pipe_close(void *cookie)
{
	struct capture_pipe *pipe = cookie;

	return pipe->fd == STDIN_FILENO ? 0 : close(pipe->fd);
}

/* A stream over an open file; where that may wait, *pipe is what waits, and the caller's. */
static FILE *stream_open(int fd, const int *stop_fds, struct capture_pipe **pipe)
{
	const cookie_io_functions_t functions = {.read = pipe_read, .close = pipe_close};
	struct stat status;

	if (fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
		return fd == STDIN_FILENO ? stdin : fdopen(fd, "rb");
	*pipe = calloc(1, sizeof(**pipe));
	if (!*pipe)
		return NULL;
	(*pipe)->fd = fd;
	for (int i = 0; i < CAPTURE_STOPS; i++)
		(*pipe)->stop_fds[i] = stop_fds ? stop_fds[i] : -1;
	return fopencookie(*pipe, "rb", functions);
}

int capture_open_waiting(struct capture *capture, const char *path, const int *stop_fds,
			 struct xfq_error *error)
{
	bool from_stdin = strcmp(path, "-") == 0;
	struct capture_pipe *pipe = NULL;
	FILE *stream = NULL;
	int fd = STDIN_FILENO, err;

	*capture = (struct capture){0};
	/* a FIFO is opened without waiting for its writer: reading waits */
	if (!from_stdin)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		stream = stream_open(fd, stop_fds, &pipe);
	if (!stream) {
		err = errno;
		free(pipe);
		if (fd > STDIN_FILENO)
			close(fd);
		return xfq_error_set(error, -err, "%s: cannot open the capture file: %s", path,
				     strerror(err));
	}
	err = capture_open_stream(capture, stream, from_stdin ? "standard input" : path, error);
	if (err && pipe && pipe->stopped)
		err = xfq_error_set(error, -EINTR, "%s: ended before the file began", path);
	if (err)
		free(pipe);
	else
		capture->pipe = pipe;
	return err;
}

int capture_open(struct capture *capture, const char *path, struct xfq_error *error)
{
	return capture_open_waiting(capture, path, NULL, error);
}

void capture_close(struct capture *capture)
{
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture->name);
	free(capture->pipe);
	*capture = (struct capture){0};
}

uint32_t capture_snaplen(const struct capture *capture)
{
	return capture->snaplen;
}

/* Both parts are the file's word: seconds of any sign, and "nanoseconds" of any size. */
static uint64_t timestamp_ns(const struct timeval *ts)
{
	uint64_t ns;

	if (ts->tv_sec < 0)
		return 0;
	if (__builtin_mul_overflow((uint64_t)ts->tv_sec, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, ts->tv_usec > 0 ? (uint64_t)ts->tv_usec : 0, &ns))
		return UINT64_MAX;
	return ns;
}

static int end_broken(struct capture *capture, struct xfq_error *error)
{
	FILE *stream = pcap_file(capture->pcap);

	capture->ended = stream && ferror(stream) ? -EIO : -EINVAL;
	return xfq_error_set(error, capture->ended, "%s: after %" PRIu64 " packets: %s",
			     capture->name, capture->packet_cnt, pcap_geterr(capture->pcap));
}

int capture_next(struct capture *capture, struct capture_packet *packet, struct xfq_error *error)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int result;

	if (capture->ended == 1)
		return 0;
	if (capture->ended < 0)
		return end_broken(capture, error);
	result = pcap_next_ex(capture->pcap, &header, &data);
	if (result == PCAP_ERROR_BREAK ||
	    (result != 1 && capture->pipe && capture->pipe->stopped)) {
		capture->ended = 1;
		return 0;
	}
	if (result != 1)
		return end_broken(capture, error);
	packet->data = data;
	packet->len = header->caplen < capture->snaplen ? header->caplen : capture->snaplen;
	packet->wire_len = header->len > header->caplen ? header->len : header->caplen;
	packet->ts_ns = timestamp_ns(&header->ts);
	capture->packet_cnt++;
	return 1;
}
