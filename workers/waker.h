/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waking the members that sleep: a message to each, sent without waiting.
 *
 * No member can make that block, but what it costs is in the member's hands: the kernel calls all
 * that watch the other end of the connection in the sender's time, and a member can lay ten
 * thousands of watches on it (bench_wake: 60 ns for each). So what a wake-up costs beyond a fair
 * price becomes a debt, and a debtor is woken late:
 *
 *	  fair, or dear for the first time	dear once more
 *	+------------+   price		+------------+   paid to the rest	+------------+
 *	|  wake now  | ----------------> | in debt    | ---------------------> | wake now   |
 *	+------------+			+------------+				+------------+
 *					 wanted meanwhile: woken then
 *
 * Time pays: a WAKER_SHARE-th of it for all debts together, in equal parts. More than that dear
 * members do not take of a worker, however many they are, and one whose wake-ups are cheap never
 * notices. After the first dear one a member's wake-ups are timed by what the thread itself has
 * run, as others may have run in between; that is not done for all, as it takes system calls.
 *
 * Thread: the worker's only.
 */
#ifndef WORKERS_WAKER_H
#define WORKERS_WAKER_H

#include <stdbool.h>
#include <stdint.h>

#define WAKER_FAIR_NS  30000   /* three times what waking a thread costs in a VM: bench_wake */
#define WAKER_GRACE_NS 2000000 /* a debt up to this is none: interrupts may have been charged */
#define WAKER_SHARE    16

struct waker_member {
	int fd;     /* a socket; -1: nobody */
	bool timed; /* has had a dear wake-up */
	bool late;  /* is to be woken when its debt is paid */
	uint64_t debt_ns;
};

struct waker {
	struct waker_member *members; /* by outlet; owned */
	uint16_t *debtors;            /* those with a debt; owned, room for all */
	uint32_t debtor_cnt;
	uint64_t paid_at_ns; /* when debts were last paid */
};

/* For outlets below `cnt`, with nobody to wake. 0 or -ENOMEM; the caller owes a waker_destroy(). */
int waker_create(struct waker *waker, uint32_t cnt);

/* Safe on zeroed memory. */
void waker_destroy(struct waker *waker);

/* The member of an outlet is woken at the socket `fd` from now on, which stays the caller's; -1: it
 * is not woken any more. */
void waker_set(struct waker *waker, uint32_t outlet, int fd);

/* Wake a member, now or when it has paid. */
void waker_wake(struct waker *waker, uint32_t outlet);

/* Let time pay, and wake those who have paid; to be called often while there are debtors. */
void waker_pay(struct waker *waker);

#endif
