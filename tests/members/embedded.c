/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instance inside an application, live: its members are callbacks and threads of its own, and
 * whoever joins through its socket. Says "up" when packets flow. The first SIGTERM: stop, and print
 * a row of JSON, what the members have counted beside the instance's counters. The second: end.
 *
 *	calls   two callbacks
 *	threads two threads, which spill
 *	mixed   broadcast, to a callback and a thread
 *	open    for other processes
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <xfq/xfq.h>

#define EMBEDDED_THREADS 3
#define EMBEDDED_BURST   64

struct embedded_thread {
	pthread_t thread;
	struct xfq_member *member;
	uint64_t packets, bytes;
	int code;
};

struct embedded {
	struct xfq_instance *instance;
	uint64_t calls, mixed_calls; /* packets; several workers count at the same time */
	struct embedded_thread threads[EMBEDDED_THREADS];
};

static void embedded_called(void *context, const struct xfq_packet *pkts, uint32_t cnt)
{
	uint64_t *packets = context, good = 0;

	for (uint32_t i = 0; i < cnt; i++)
		good += pkts[i].meta->magic == XFQ_META_CHECKED &&
			pkts[i].len == pkts[i].meta->wire_len;
	__atomic_fetch_add(packets, good, __ATOMIC_RELAXED);
}

static void *embedded_run(void *argument)
{
	struct embedded_thread *thread = argument;
	struct xfq_packet pkts[EMBEDDED_BURST];
	int cnt;

	while ((cnt = xfq_peek(thread->member, pkts, EMBEDDED_BURST)) >= 0 || cnt == -EINTR) {
		for (int i = 0; i < cnt; i++)
			thread->bytes += pkts[i].meta->wire_len;
		if (cnt <= 0)
			continue;
		thread->packets += (uint32_t)cnt;
		xfq_release(thread->member, (uint32_t)cnt);
	}
	thread->code = cnt;
	return NULL;
}

static int embedded_create(struct embedded *embedded, const char *interface,
			   struct xfq_error *error)
{
	static const struct xfq_group_options threads = {.spill = true, .ring_slots = 256};
	static const struct xfq_group_options mixed = {.steer = "broadcast"};
	static const struct xfq_instance_options options = {.socket = true};
	struct xfq_config *config = xfq_config_create();
	int code = config ? xfq_config_interface(config, interface, NULL, error) : -ENOMEM;

	if (code == 0)
		code = xfq_config_group(config, "calls", NULL, error);
	if (code == 0)
		code = xfq_config_group(config, "threads", &threads, error);
	if (code == 0)
		code = xfq_config_group(config, "mixed", &mixed, error);
	if (code == 0)
		code = xfq_config_group(config, "open", NULL, error);
	if (code == 0)
		code = xfq_instance_create(&embedded->instance, config, &options, error);
	xfq_config_destroy(config);
	return code;
}

static int embedded_join(struct embedded *embedded, struct xfq_error *error)
{
	static const char *const groups[EMBEDDED_THREADS] = {"threads", "threads", "mixed"};
	struct xfq *xfq = NULL;
	int code = xfq_instance_callback(embedded->instance, "calls", embedded_called,
					 &embedded->calls, error);

	if (code == 0)
		code = xfq_instance_callback(embedded->instance, "calls", embedded_called,
					     &embedded->calls, error);
	if (code == 0)
		code = xfq_instance_callback(embedded->instance, "mixed", embedded_called,
					     &embedded->mixed_calls, error);
	if (code == 0)
		code = xfq_instance_connect(&xfq, embedded->instance, error);
	for (int i = 0; i < EMBEDDED_THREADS && code == 0; i++) {
		struct embedded_thread *thread = &embedded->threads[i];

		code = xfq_join(&thread->member, xfq, groups[i], NULL, error);
		if (code == 0)
			code = -pthread_create(&thread->thread, NULL, embedded_run, thread);
	}
	xfq_close(xfq);
	return code;
}

/* Everybody has read to the end, and knows that it is one. */
static bool embedded_print(struct embedded *embedded, struct xfq_error *error)
{
	const struct embedded_thread *threads = embedded->threads;
	bool ended = true;
	char *json;

	for (int i = 0; i < EMBEDDED_THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		ended &= threads[i].code == -EPIPE && xfq_end(threads[i].member);
		xfq_leave(threads[i].member);
	}
	if (xfq_instance_status(embedded->instance, &json, error))
		return false;
	printf("{\"calls\": %llu, \"threads\": %llu, \"mixed_calls\": %llu, \"mixed_threads\": "
	       "%llu, \"ended\": %s, \"status\": %s}\n",
	       (unsigned long long)embedded->calls,
	       (unsigned long long)(threads[0].packets + threads[1].packets),
	       (unsigned long long)embedded->mixed_calls, (unsigned long long)threads[2].packets,
	       ended ? "true" : "false", json);
	free(json);
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	struct xfq_error error = {0, "usage: embedded INTERFACE"};
	static struct embedded embedded;
	bool done = false;
	sigset_t signals;
	int number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (argc == 2 && embedded_create(&embedded, argv[1], &error) == 0 &&
	    embedded_join(&embedded, &error) == 0 &&
	    xfq_instance_start(embedded.instance, &error) == 0) {
		fprintf(stderr, "up\n");
		sigwait(&signals, &number);
		done = xfq_instance_stop(embedded.instance, &error) == 0 &&
		       embedded_print(&embedded, &error);
		sigwait(&signals, &number);
	}
	if (!done)
		fprintf(stderr, "embedded: %s\n", error.text);
	xfq_instance_destroy(embedded.instance);
	return done ? 0 : 1;
}
