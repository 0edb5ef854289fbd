/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `shunter INSTANCE GROUP`: takes the packets of a group; as soon as there is one, has the whole
 * flow of it dropped for a second. Says as JSON what came before that, in the second, and after it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xfq/xfq.h>

#define SECOND 1000000000ULL
#define FOR    1.0

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Take packets until a time: how many came; of the last one, its flow. */
static unsigned take(struct xfq_member *member, uint64_t until_ns, bool one, struct xfq_flow *flow)
{
	struct xfq_packet pkts[64];
	unsigned total = 0;

	while (now_ns() < until_ns && !(one && total)) {
		int cnt = xfq_peek(member, pkts, 64);

		if (cnt == 0)
			xfq_wait(member, 10);
		if (cnt <= 0)
			continue;
		if (xfq_packet_flow(&pkts[0], flow))
			fprintf(stderr, "shunter: a packet without a flow\n");
		total += (unsigned)cnt;
		xfq_release(member, (uint32_t)cnt);
	}
	return total;
}

int main(int argc, char **argv)
{
	struct xfq_join_options join = {.wait = XFQ_WAIT_POLL};
	struct xfq_shunt_options options = {.action = XFQ_SHUNT_DROP, .seconds = FOR};
	struct xfq_member *member = NULL;
	struct xfq_error error = {0};
	struct xfq_flow flow = {0};
	struct xfq *xfq = NULL;
	unsigned before, during, after;
	uint64_t start;
	int code;

	if (argc != 3 || xfq_open(&xfq, argv[1], &error) ||
	    xfq_join(&member, xfq, argv[2], &join, &error)) {
		fprintf(stderr, "shunter: %s\n", error.text);
		return 1;
	}
	before = take(member, now_ns() + 10 * SECOND, true, &flow);
	code = xfq_shunt_flow(xfq, &flow, &options, &error);
	if (code) {
		printf("{\"before\": %u, \"code\": %d}\n", before, code);
		fprintf(stderr, "shunter: %s\n", error.text);
		xfq_leave(member);
		xfq_close(xfq);
		return code == -EACCES ? 3 : 1;
	}
	start = now_ns();
	take(member, start + SECOND / 10, false, &flow); /* what was under way */
	during = take(member, start + SECOND * 8 / 10, false, &flow);
	take(member, start + SECOND * 11 / 10, false, &flow);
	after = take(member, start + 2 * SECOND, false, &flow);
	code = xfq_unshunt_flow(xfq, &flow, &error);
	printf("{\"before\": %u, \"during\": %u, \"after\": %u, \"undo\": %d}\n", before, during,
	       after, code);
	xfq_leave(member);
	xfq_close(xfq);
	return 0;
}
