/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instance inside the program: a callback counts web traffic in the worker, a thread counts
 * everything else; of a capture file, or of an interface until Ctrl-C.
 *	cc embedded.c $(pkg-config --cflags --libs xfq) -pthread -o embedded
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <xfq/xfq.h>

/* Called in the workers, by several at the same time. */
static void on_web(void *context, const struct xfq_packet *pkts, uint32_t cnt)
{
	(void)pkts;
	atomic_fetch_add((atomic_ulong *)context, cnt);
}

/* Takes packets until the instance has ended and everything was read. */
static void *read_rest(void *argument)
{
	struct xfq_member *member = argument;
	unsigned long packets = 0, bytes = 0;
	struct xfq_packet pkts[64];
	int cnt;

	while ((cnt = xfq_peek(member, pkts, 64)) > 0) {
		for (int i = 0; i < cnt; i++)
			bytes += pkts[i].meta->wire_len;
		packets += (unsigned long)cnt;
		xfq_release(member, (uint32_t)cnt);
	}
	printf("rest: %lu packets, %lu bytes; %s\n", packets, bytes, xfq_end(member));
	return NULL;
}

int main(int argc, char **argv)
{
	const char *source = argc == 2 ? argv[1] : "";
	const struct xfq_group_options web = {.match = "tcp port 80 or tcp port 443"};
	const struct xfq_group_options rest = {.match = "not (tcp port 80 or tcp port 443)"};
	struct xfq_instance_options options = {.read_path = access(source, F_OK) ? NULL : source};
	const struct timespec moment = {.tv_nsec = 200000000};
	struct xfq_error error = {0, "usage: embedded FILE|INTERFACE"};
	struct xfq_config *config = xfq_config_create();
	struct xfq_instance *instance;
	struct xfq_member *member;
	atomic_ulong cnt = 0;
	pthread_t thread;
	struct xfq *xfq;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (argc != 2 || !config ||
	    (!options.read_path && xfq_config_interface(config, source, NULL, &error)) ||
	    xfq_config_group(config, "web", &web, &error) ||
	    xfq_config_group(config, "rest", &rest, &error) ||
	    xfq_instance_create(&instance, config, &options, &error) ||
	    xfq_instance_callback(instance, "web", on_web, &cnt, &error) ||
	    xfq_instance_connect(&xfq, instance, &error) ||
	    xfq_join(&member, xfq, "rest", NULL, &error) || xfq_instance_start(instance, &error))
		return fprintf(stderr, "embedded: %s\n", error.text), 1;
	pthread_create(&thread, NULL, read_rest, member);
	while (xfq_instance_wait(instance, 0) == 0 && sigtimedwait(&signals, NULL, &moment) < 0)
		;
	if (xfq_instance_stop(instance, &error))
		fprintf(stderr, "embedded: %s\n", error.text);
	pthread_join(thread, NULL);
	printf("web: %lu packets\n", atomic_load(&cnt));
	xfq_leave(member);
	xfq_close(xfq);
	xfq_instance_destroy(instance);
	xfq_config_destroy(config);
	return 0;
}
