/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/consumer.h"
#include "workers/thread.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Empty rounds before a member goes to sleep: a few microseconds, so that a steady stream does not
 * pay for being woken, and threads that outnumber the cores do not burn them. */
#define CONSUMER_SPINS 64

/* Take one burst from one ring. Returns its size. */
static uint32_t consumer_consume(struct consumer *consumer, struct xfq_ring *ring,
				 const uint8_t *index)
{
	struct packet pkts[PACKET_BURST];
	uint32_t marks[PACKET_BURST];
	uint32_t cnt = xfq_ring_peek(ring, PACKET_BURST);

	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(ring, i);
		uint8_t *data = (uint8_t *)(uintptr_t)xfq_ring_packet(ring, desc);

		pkts[i].data = data;
		pkts[i].meta = (struct xfq_meta *)(void *)(data - XFQ_META_BYTES);
		pkts[i].len = desc->len;
		pkts[i].frame = 0;
		marks[i] = desc->mark;
	}
	if (cnt == 0)
		return 0;
	sink_consume(&consumer->sink, pkts, marks, index, cnt);
	xfq_ring_release(ring, cnt);
	return cnt;
}

static void consumer_set_waiting(struct consumer *consumer, uint32_t waiting)
{
	for (uint32_t i = 0; i < consumer->ring_cnt; i++)
		xfq_ring_set_waiting(&consumer->rings[i], waiting);
}

/* Sleep until a worker publishes. It looks again after having said that it sleeps: either it sees
 * the worker's prod, or the worker sees its `waiting`. */
static void consumer_sleep(struct consumer *consumer)
{
	struct pollfd poll_fd = {.fd = consumer->wake_fd, .events = POLLIN};
	char message[8];
	bool empty = true;

	consumer_set_waiting(consumer, 1);
	for (uint32_t i = 0; i < consumer->ring_cnt; i++)
		if (xfq_ring_ready(&consumer->rings[i]))
			empty = false;
	if (empty && !__atomic_load_n(&consumer->draining, __ATOMIC_SEQ_CST))
		poll(&poll_fd, 1, -1);
	consumer_set_waiting(consumer, 0);
	/* each worker may have sent one; none, where the rings were not empty after all */
	while (recv(consumer->wake_fd, message, sizeof(message), MSG_DONTWAIT) > 0)
		;
}

static void *consumer_run(void *argument)
{
	struct consumer *consumer = argument;
	uint8_t index[PACKET_BURST];
	uint32_t idle = 0;

	pthread_setname_np(pthread_self(), consumer->name);
	if (consumer->bare)
		thread_drop_capabilities();
	for (uint32_t i = 0; i < PACKET_BURST; i++)
		index[i] = (uint8_t)i;
	for (;;) {
		/* read before the rings: what was published before it was set is then seen */
		bool draining = __atomic_load_n(&consumer->draining, __ATOMIC_ACQUIRE);
		uint32_t cnt = 0;

		for (uint32_t i = 0; i < consumer->ring_cnt; i++)
			cnt += consumer_consume(consumer, &consumer->rings[i], index);
		if (cnt > 0) {
			idle = 0;
			continue;
		}
		if (draining)
			return NULL;
		if (++idle >= CONSUMER_SPINS) {
			consumer_sleep(consumer);
			idle = 0;
		}
	}
}

int consumer_start(struct consumer *consumer, struct xfq_error *error)
{
	int code = thread_start(&consumer->thread, -1, consumer_run, consumer);

	if (code)
		return xfq_error_set(error, code, "%s: starting a thread: %s", consumer->name,
				     strerror(-code));
	consumer->started = true;
	return 0;
}

void consumer_finish(struct consumer *consumer, int waker)
{
	if (!consumer->started)
		return;
	__atomic_store_n(&consumer->draining, true, __ATOMIC_SEQ_CST);
	/* refused only where there are messages already, and then it is awake */
	(void)!send(waker, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_join(consumer->thread, NULL);
	consumer->started = false;
}
