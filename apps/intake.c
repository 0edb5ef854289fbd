/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/intake.h"
#include "apps/commands.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTAKE_BURST    64
#define INTAKE_LOOK_NS  10000000   /* between two looks at signals and timers, under load */
#define INTAKE_FLUSH_NS 1000000000 /* between two flushes, under load */

static uint64_t intake_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void intake_refresh(struct intake *intake)
{
	intake->now_ns = intake_clock(CLOCK_MONOTONIC);
	if (intake->member)
		xfq_member_stats(intake->member, &intake->stats);
}

static void intake_end(struct intake *intake, enum intake_end end, const char *why)
{
	if (intake->end != INTAKE_GOES_ON)
		return;
	intake->end = end;
	snprintf(intake->why, sizeof(intake->why), "%s", why);
}

/* --- the file -------------------------------------------------------------------------------- */

/* What a write to the file has returned. */
static void intake_written(struct intake *intake, int code)
{
	if (code == -EPIPE)
		intake_end(intake, INTAKE_READER, "the reader of the capture has gone");
	else if (code)
		intake_end(intake, INTAKE_FILE, "the capture file could not be written");
}

static void intake_flush(struct intake *intake)
{
	if (intake->options.path)
		intake_written(intake, pcapng_flush(&intake->pcapng));
}

/* --- packets --------------------------------------------------------------------------------- */

static void intake_count_mark(struct intake *intake, uint32_t mark)
{
	uint32_t i = 0;

	while (i < intake->mark_cnt && intake->marks[i].mark != mark)
		i++;
	if (i == INTAKE_MARKS_MAX) {
		intake->other_marks++;
		return;
	}
	if (i == intake->mark_cnt) {
		intake->marks[i] = (struct intake_mark){.mark = mark};
		intake->mark_cnt++;
	}
	intake->marks[i].packets++;
}

/* Take a burst. Returns its size, or what xfq_peek() has returned instead. */
static int intake_take(struct intake *intake)
{
	uint64_t wanted = intake->options.packet_max;
	uint32_t max = INTAKE_BURST;
	struct xfq_packet pkts[INTAKE_BURST];
	int cnt, code = 0;

	if (wanted && wanted - intake->packets < max)
		max = (uint32_t)(wanted - intake->packets);
	cnt = xfq_peek(intake->member, pkts, max);
	if (cnt <= 0)
		return cnt;
	for (int i = 0; i < cnt; i++) {
		const struct xfq_packet *pkt = &pkts[i];

		intake->bytes += pkt->meta->wire_len;
		if (pkt->mark)
			intake_count_mark(intake, pkt->mark);
		if (intake->options.path)
			code = pcapng_write(&intake->pcapng, pkt->data, pkt->len,
					    pkt->meta->wire_len, pkt->meta->ts_ns);
	}
	xfq_release(intake->member, (uint32_t)cnt);
	intake->packets += (uint32_t)cnt;
	intake_written(intake, code);
	if (intake->packets == wanted)
		intake_end(intake, INTAKE_COUNT, "as many packets as were wanted");
	return cnt;
}

/* xfq_peek() has nothing more to show, and says why. */
static void intake_ended(struct intake *intake, int code)
{
	const char *why = xfq_end(intake->member);

	intake_end(intake,
		   code == -EPIPE          ? INTAKE_INSTANCE
		   : code == -ECONNRESET   ? INTAKE_KILLED
		   : code == -ECONNABORTED ? INTAKE_DETACHED
					   : INTAKE_SYSTEM,
		   why ? why : strerror(-code));
}

/* --- everything else ------------------------------------------------------------------------- */

static void intake_tick(struct intake *intake)
{
	uint64_t fired;

	if (read(intake->tick_fd, &fired, sizeof(fired)) != sizeof(fired))
		return;
	intake_refresh(intake);
	intake->live(intake);
}

/* Look at what may end it and at the timer, or sleep until there is one of them, or packets. What
 * has fired is not read: the file looks at the same descriptors. */
static void intake_look(struct intake *intake, bool sleep)
{
	struct pollfd fds[] = {
		{.fd = intake->signal_fd, .events = POLLIN},
		{.fd = intake->end_fd, .events = POLLIN},
		/* for no event but that the other end of a pipe was closed */
		{.fd = intake->options.path ? intake->pcapng.fd : -1},
		{.fd = intake->tick_fd, .events = POLLIN},
		{.fd = sleep ? xfq_fd(intake->member) : -1, .events = POLLIN},
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), sleep ? -1 : 0) < 0) {
		if (errno != EINTR)
			intake_end(intake, INTAKE_SYSTEM, strerror(errno));
		return;
	}
	if (fds[0].revents)
		intake_end(intake, INTAKE_SIGNAL, "told to end");
	else if (fds[1].revents)
		intake_end(intake, INTAKE_TIME, "the time is over");
	else if (fds[2].revents)
		intake_written(intake, -EPIPE);
	if (fds[3].revents)
		intake_tick(intake);
}

/* What a stream without a pause must not keep from being done. */
static void intake_keep_up(struct intake *intake)
{
	uint64_t now = intake_clock(CLOCK_MONOTONIC_COARSE);

	if (now - intake->looked_ns >= INTAKE_LOOK_NS) {
		intake_look(intake, false);
		intake->looked_ns = now;
	}
	if (now - intake->flushed_ns >= INTAKE_FLUSH_NS) {
		intake_flush(intake);
		intake->flushed_ns = now;
	}
}

void intake_run(struct intake *intake)
{
	while (intake->end == INTAKE_GOES_ON) {
		int cnt = intake_take(intake);

		if (cnt < 0) {
			intake_ended(intake, cnt);
		} else if (cnt > 0) {
			intake_keep_up(intake);
		} else {
			intake_flush(intake);
			if (intake->end == INTAKE_GOES_ON)
				intake_look(intake, true);
		}
	}
}

/* --- life ------------------------------------------------------------------------------------ */

/* Signals, timers, and the file's first blocks, once it is a member. */
static int intake_begin(struct intake *intake, struct xfq_error *error)
{
	const struct intake_options *options = &intake->options;
	int code;

	intake->signal_fd = command_signals();
	intake->end_fd = command_timer(options->seconds, 0);
	if (options->live_seconds > 0)
		intake->tick_fd = command_timer(options->live_seconds, options->live_seconds);
	if (intake->signal_fd < 0 || intake->end_fd < 0 ||
	    (options->live_seconds > 0 && intake->tick_fd < 0))
		return xfq_error_set(error, -errno, "signals and timers: %s", strerror(errno));
	if (!options->path)
		return 0;
	pcapng_set_interface(&intake->pcapng, intake->info.interfaces);
	intake->pcapng.stop_fds[0] = intake->signal_fd;
	intake->pcapng.stop_fds[1] = intake->end_fd;
	code = pcapng_begin(&intake->pcapng, error);
	if (code == -EPIPE)
		intake_written(intake, code);
	return code == -EPIPE ? 0 : code;
}

int intake_open(struct intake *intake, struct xfq *xfq, const struct intake_options *options,
		struct xfq_error *error)
{
	int code = 0;

	memset(intake, 0, sizeof(*intake));
	intake->options = *options;
	intake->options.join.wait = XFQ_WAIT_POLL;
	intake->signal_fd = intake->end_fd = intake->tick_fd = -1;
	if (options->path)
		code = pcapng_open(&intake->pcapng, options->path, NULL, 0, error);
	if (code)
		return code;
	code = xfq_join(&intake->member, xfq, options->group, &intake->options.join, error);
	if (code)
		return code;
	xfq_member_info(intake->member, &intake->info);
	intake->begin_ns = intake->drawn_ns = intake_clock(CLOCK_MONOTONIC);
	intake->looked_ns = intake->flushed_ns = intake_clock(CLOCK_MONOTONIC_COARSE);
	return intake_begin(intake, error);
}

static void intake_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int intake_close(struct intake *intake, struct xfq_error *error)
{
	uint64_t lost;
	int code;

	if (!intake->member && !intake->pcapng.buffer)
		return 0;
	intake_refresh(intake);
	/* first, so that the group need not wait for the file */
	xfq_leave(intake->member);
	intake->member = NULL;
	lost = intake->stats.lost_ring + intake->stats.lost_quota;
	code = pcapng_close(&intake->pcapng, intake->packets + lost, lost, error);
	intake_close_fd(&intake->signal_fd);
	intake_close_fd(&intake->end_fd);
	intake_close_fd(&intake->tick_fd);
	return code == -EPIPE ? 0 : code;
}
