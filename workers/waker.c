/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/waker.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define WAKER_PAY_NS 1000000 /* at least between two payments: they look at all debtors */

static uint64_t waker_now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

int waker_create(struct waker *waker, uint32_t cnt)
{
	memset(waker, 0, sizeof(*waker));
	waker->members = calloc(cnt, sizeof(*waker->members));
	waker->debtors = calloc(cnt, sizeof(*waker->debtors));
	if (!waker->members || !waker->debtors) {
		waker_destroy(waker);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cnt; i++)
		waker->members[i].fd = -1;
	return 0;
}

void waker_destroy(struct waker *waker)
{
	free(waker->members);
	free(waker->debtors);
	memset(waker, 0, sizeof(*waker));
}

void waker_set(struct waker *waker, uint32_t outlet, int fd)
{
	for (uint32_t i = 0; i < waker->debtor_cnt; i++)
		if (waker->debtors[i] == outlet) {
			waker->debtors[i] = waker->debtors[--waker->debtor_cnt];
			break;
		}
	waker->members[outlet] = (struct waker_member){.fd = fd};
}

/* A dear wake-up is a debt, but for the first. */
static void waker_owe(struct waker *waker, uint32_t outlet, uint64_t price_ns)
{
	struct waker_member *member = &waker->members[outlet];

	if (!member->timed) {
		member->timed = true;
		return;
	}
	if (waker->debtor_cnt == 0)
		waker->paid_at_ns = waker_now_ns(CLOCK_MONOTONIC);
	if (member->debt_ns == 0)
		waker->debtors[waker->debtor_cnt++] = (uint16_t)outlet;
	member->debt_ns += price_ns;
}

void waker_wake(struct waker *waker, uint32_t outlet)
{
	struct waker_member *member = &waker->members[outlet];
	clockid_t clock = member->timed ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
	uint64_t price_ns;

	if (member->debt_ns > WAKER_GRACE_NS) {
		member->late = true;
		return;
	}
	price_ns = waker_now_ns(clock);
	/* a message that finds no room is one that nobody needs */
	(void)!send(member->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	price_ns = waker_now_ns(clock) - price_ns;
	if (__builtin_expect(price_ns > WAKER_FAIR_NS, 0))
		waker_owe(waker, outlet, price_ns);
}

void waker_pay(struct waker *waker)
{
	uint64_t now_ns = waker_now_ns(CLOCK_MONOTONIC);
	uint64_t paid_ns;

	if (waker->debtor_cnt == 0 || now_ns - waker->paid_at_ns < WAKER_PAY_NS)
		return;
	paid_ns = (now_ns - waker->paid_at_ns) / WAKER_SHARE / waker->debtor_cnt;
	waker->paid_at_ns = now_ns;
	for (uint32_t i = waker->debtor_cnt; i-- > 0;) {
		uint32_t outlet = waker->debtors[i];
		struct waker_member *member = &waker->members[outlet];

		member->debt_ns -= member->debt_ns < paid_ns ? member->debt_ns : paid_ns;
		/* off the list before it is woken, which may put it there again */
		if (member->debt_ns == 0)
			waker->debtors[i] = waker->debtors[--waker->debtor_cnt];
		if (member->late && member->debt_ns <= WAKER_GRACE_NS) {
			member->late = false;
			waker_wake(waker, outlet);
		}
	}
}
