/* SPDX-License-Identifier: BSD-2-Clause */
/* Count a group's packets until Ctrl-C: cc count.c $(pkg-config --cflags --libs xfq) -o count */
#include <signal.h>
#include <stdio.h>
#include <xfq/xfq.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

int main(int argc, char **argv)
{
	struct xfq_error error = {0, "usage: count GROUP [INSTANCE]"};
	unsigned long long packets = 0, bytes = 0;
	struct xfq_packet pkts[64];
	struct xfq_member *member;
	struct xfq *xfq;
	int cnt = 0;

	if (argc < 2 || xfq_open(&xfq, argc > 2 ? argv[2] : NULL, &error) ||
	    xfq_join(&member, xfq, argv[1], NULL, &error))
		return fprintf(stderr, "count: %s\n", error.text), 1;
	signal(SIGINT, on_signal);
	while (!stop && cnt >= 0) { /* a wait has an end: the signal may come before it begins */
		cnt = xfq_wait(member, 1000) > 0 ? xfq_peek(member, pkts, 64) : 0;
		for (int i = 0; i < cnt; i++, packets++)
			bytes += pkts[i].meta->wire_len;
		xfq_release(member, cnt > 0 ? (unsigned)cnt : 0);
	}
	printf("%llu packets, %llu bytes\n", packets, bytes);
	if (cnt < 0)
		printf("%s\n", xfq_end(member));
	xfq_leave(member);
	xfq_close(xfq);
	return 0;
}
