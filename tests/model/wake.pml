/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a member sleeps and is woken: workers with a ring each, and the member that reads them all.
 * Names are those of steering/ring.h, workers/worker.c and workers/member.c.
 *
 *	worker	publishes, fence; looks at `waiting`, then at cons; wakes or not, as in
 *		ring_wants_wake(); may stop for ever after any burst
 *	member	reads; where there was nothing: says that it waits, looks at prod again, and
 *		sleeps until there is a message; then takes all messages
 *	memory	shows a store to the other side some time later, except where a fence or the order
 *		of two releases forbids it: the protocol rests on nothing else
 *
 * A wake is a message in a queue that has an end, as a socket's or an eventfd's: where it is full,
 * one is pending already. What must hold: no wake-up is lost. Once all workers have stopped, the
 * member sleeps on empty rings only; all else is an invalid end state.
 *
 * CLAIMER: the member always claims to wait, and releases what it likes. What must hold: it is not
 * woken again before it has released all that it was woken for.
 *
 * TWO_WORKERS: both wake through the one queue. Here stores are seen at once: how late they may be
 * is a matter between the member and one worker.
 *
 * BROKEN_*: one mistake each, which must be found; run.sh lists them.
 */
#define SLOTS 2
#define MESSAGES 2

/* Free-running indices count modulo SPAN instead of 2^32, so that they wrap all the time. */
#ifdef TWO_WORKERS
#define WORKERS 2
#define SPAN 4
#else
#define WORKERS 1
#define SPAN 8
#endif
#define INDEX(value) ((value) & (SPAN - 1))

/* Shared memory: what the other side sees, and what its writer has stored. */
byte prod[WORKERS];
byte cons[WORKERS];
bool waiting[WORKERS];
#ifdef TWO_WORKERS
#define prod_stored prod
#define cons_stored cons
#define waiting_stored waiting
#else
byte prod_stored[WORKERS];
byte cons_stored[WORKERS];
bool waiting_stored[WORKERS];
#endif

chan wakes = [MESSAGES] of { bit };
byte running = WORKERS;
byte owed[WORKERS]; /* of what the claimer was woken for: slots that it has not released */

/* --- memory ----------------------------------------------------------------------------------- */

/* A member sets `waiting` after all that it has released: who sees the one sees the other. */
#ifdef BROKEN_WAITING_FIRST
#define WAITING_IN_ORDER(w) true
#else
#define WAITING_IN_ORDER(w) (!waiting_stored[w] || cons[w] == cons_stored[w])
#endif
/* The two fences between a store and a look at what the other side stores. */
#ifdef BROKEN_NO_MEMBER_FENCE
#define MEMBER_FENCE(w) true
#else
#define MEMBER_FENCE(w) (waiting[w] == waiting_stored[w] && WAITING_IN_ORDER(w))
#endif
#ifdef BROKEN_NO_FENCE
#define WORKER_FENCE(w) true
#else
#define WORKER_FENCE(w) (prod[w] == prod_stored[w])
#endif

proctype memory(byte w)
{
end:
	do
	:: atomic {
			prod[w] != prod_stored[w];
			prod[w] = INDEX(prod[w] + 1)
		}
	:: atomic {
			cons[w] != cons_stored[w];
			cons[w] = INDEX(cons[w] + 1);
			owed[w] = (owed[w] > 0 -> owed[w] - 1 : 0)
		}
	:: atomic {
			waiting[w] != waiting_stored[w] && WAITING_IN_ORDER(w);
			waiting[w] = waiting_stored[w]
		}
	od
}

/* --- the worker ------------------------------------------------------------------------------- */

/* The cons by which it judges. */
#ifdef BROKEN_CONS_BEFORE_FENCE
#define CONS(w) cons_seen
#else
#define CONS(w) cons[w]
#endif

/* Whether the member was woken and has not released all that it was woken for. */
#ifdef BROKEN_WAKE_ALWAYS
#define WOKEN_BEFORE(w) false
#elif defined(BROKEN_WAKE_ONCE)
#define WOKEN_BEFORE(w) woken
#else
#define WOKEN_BEFORE(w)                                                                            \
	(woken && INDEX(prod_stored[w] - woken_at) < INDEX(prod_stored[w] - CONS(w)))
#endif

/* Nothing, or as much as it likes of what there is room for: it asks in any case. */
inline ring_publish(w)
{
	cons_seen = cons[w];
	if
	:: skip
	:: INDEX(prod_stored[w] - cons_seen) < SLOTS ->
		prod_stored[w] = INDEX(prod_stored[w] + 1)
	:: INDEX(prod_stored[w] - cons_seen) < SLOTS - 1 ->
		prod_stored[w] = INDEX(prod_stored[w] + 2)
	fi;
#ifndef BROKEN_CONS_BEFORE_FENCE
	cons_seen = 0
#endif
}

proctype worker(byte w)
{
	byte cons_seen, woken_at;
	bool woken;

	do
	:: atomic {
			ring_publish(w)
		}
		WORKER_FENCE(w);
		if
		:: atomic {
				!waiting[w] ->
				woken = false;
				woken_at = 0
			}
		:: waiting[w] ->
			if
			:: WOKEN_BEFORE(w)
			:: atomic {
					!WOKEN_BEFORE(w) ->
					woken = true;
					woken_at = prod_stored[w];
#ifdef CLAIMER
					assert(owed[w] == 0);
					owed[w] = INDEX(prod_stored[w] - cons[w])
#endif
				}
				atomic {
					if
					:: nfull(wakes) -> wakes ! 1
					:: full(wakes)
					fi
				}
			fi
		fi
	:: running--;
		break
	od
}

/* --- the member ------------------------------------------------------------------------------- */

#define EMPTY(w) (prod[w] == cons_stored[w])
#define ALL_READ(w) (prod_stored[w] == cons_stored[w])

inline member_set_waiting(value)
{
	do
	:: w < WORKERS ->
		waiting_stored[w] = value;
		w++
	:: else -> break
	od;
	w = 0
}

/* Some or all of what is in each ring. */
inline member_consume()
{
	do
	:: w < WORKERS ->
		if
		:: EMPTY(w)
		:: atomic {
				!EMPTY(w) ->
				cons_stored[w] = INDEX(cons_stored[w] + 1);
				idle = false
			}
		:: atomic {
				!EMPTY(w) ->
				cons_stored[w] = prod[w];
				idle = false
			}
		fi;
		w++
	:: else -> break
	od;
	w = 0
}

inline member_look_again()
{
	do
	:: w < WORKERS ->
		MEMBER_FENCE(w);
#ifndef BROKEN_NO_RECHECK
		idle = idle && EMPTY(w);
#endif
		w++
	:: else -> break
	od;
	w = 0
}

inline member_drain()
{
	do
	:: wakes ? _
	:: empty(wakes) -> break
	od
}

proctype member()
{
	byte w;
	bool idle;

	do
	:: true ->
		idle = true;
		member_consume();
		if
		:: true /* it looks a few more times before it sleeps */
		:: idle ->
			member_set_waiting(true);
			member_look_again();
#ifdef BROKEN_DRAIN_BEFORE_SLEEP
			member_drain();
#endif
			if
			:: !idle
			:: idle ->
				if
				:: nempty(wakes)
#ifdef TWO_WORKERS
				:: running == 0 && ALL_READ(0) && ALL_READ(1) -> break
#else
				:: running == 0 && ALL_READ(0) -> break
#endif
				fi
			fi;
			member_set_waiting(false);
			member_drain()
		fi
	od
}

proctype claimer()
{
end:
	do
	:: atomic {
			!EMPTY(0);
			cons_stored[0] = INDEX(cons_stored[0] + 1)
		}
	:: wakes ? _
	od
}

init {
	byte w;

	atomic {
		do
		:: w < WORKERS ->
#ifdef CLAIMER
			waiting[w] = true;
			waiting_stored[w] = true;
#endif
#ifndef TWO_WORKERS
			run memory(w);
#endif
			run worker(w);
			w++
		:: else -> break
		od;
		w = 0;
#ifdef CLAIMER
		run claimer()
#else
		run member()
#endif
	}
}
