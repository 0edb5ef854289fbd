/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring protocol: one worker, two members, frames that may be in both rings at once. Names are
 * those of steering/ring.h, steering/frame.h and steering/fanout.c.
 *
 *	worker	takes free frames, writes them, publishes each to any of the members, settles;
 *		takes back what was released; detaches whose cons is out of range
 *	member	peeks, reads any of it as often as it likes, releases in order; may stop at any
 *		time, and may die, upon which the worker detaches it
 *
 * A free frame, and a slot that was taken back, may be written at any moment. So they are poison
 * from that moment on, which is stricter than to wait until somebody does write. What must hold:
 *
 *	- a member never finds poison in what lies between its cons and prod
 *	- nothing is written over a slot that is not poison
 *	- no reference is dropped that is not there, no frame is freed twice, the census adds up
 *	- each reference is one slot in use; a frame without references is free between bursts
 *	- no ring has more slots in use than its quota
 *	- a member that keeps to the protocol is not found faulty
 *
 * HOSTILE: whenever the worker looks, member 1 may have stored any value in its cons; the rest must
 * hold all the same, for member 0.
 *
 * BROKEN_*: one mistake each, which must be found; run.sh lists them.
 *
 * A step is private work and at most one look at what another process writes. Others see the steps
 * of a process in their order: this is what each pair of release and acquire promises. Where a
 * mistake stands for a missing one, two steps are swapped.
 */
#define MEMBERS 2
#define FRAMES 3
#define SLOTS 2
#define BURST 2
#define NONE FRAMES

/* Free-running indices count modulo this instead of 2^32, so that they wrap all the time. A liar
 * has more values out of range than in it. */
#ifdef HOSTILE
#define SPAN 8
#define HONEST(m) ((m) == 0)
#else
#define SPAN 4
#define HONEST(m) true
#endif

#define INDEX(value) ((value) & (SPAN - 1))
#define SLOT(m, index) ((m) * SLOTS + ((index) & (SLOTS - 1)))

/* What members see. */
bool whole[FRAMES];         /* the frame holds a packet; false: poison */
byte desc[MEMBERS * SLOTS]; /* the frame; NONE: poison */
byte prod[MEMBERS];
byte cons[MEMBERS]; /* what the members write */

/* The worker's private memory. */
byte frames[MEMBERS * SLOTS]; /* of each slot */
byte quotas[MEMBERS];
byte reclaimed[MEMBERS];
bool attached[MEMBERS];
byte refs[FRAMES];
bool is_free[FRAMES];
byte free_cnt, worker_cnt, held_cnt;

#define USED(m) INDEX(prod[m] - reclaimed[m])
#if defined(BROKEN_NO_ROOM)
#define ROOM(m) (attached[m] -> BURST : 0)
#elif defined(BROKEN_NO_QUOTA)
#define ROOM(m) (attached[m] -> SLOTS - USED(m) : 0)
#else
#define ROOM(m) (attached[m] -> quotas[m] - USED(m) : 0)
#endif

/* --- frames ----------------------------------------------------------------------------------- */

inline census_check()
{
	assert(free_cnt + worker_cnt + held_cnt == FRAMES)
}

/* Which one does not matter: those that are free are all alike. */
inline frame_take(f)
{
	f = (is_free[0] -> 0 : (is_free[1] -> 1 : 2));
	assert(is_free[f]);
	is_free[f] = false;
	free_cnt--;
	worker_cnt++;
	census_check()
}

inline frame_free(f)
{
	assert(!is_free[f]);
	is_free[f] = true;
	whole[f] = false;
	free_cnt++;
	census_check()
}

inline frame_settle(f)
{
#ifndef BROKEN_SETTLE_KEEPS
	worker_cnt--;
#endif
	if
	:: refs[f] > 0 ->
		held_cnt++;
		census_check()
	:: else -> frame_free(f)
	fi
}

inline frame_drop(f)
{
	assert(refs[f] > 0);
	refs[f]--;
	if
#ifdef BROKEN_NO_REFCOUNT
	:: !is_free[f] -> /* the first ring that lets go frees it, whoever else has it */
#else
	:: refs[f] == 0 ->
#endif
		assert(held_cnt > 0);
		held_cnt--;
		frame_free(f)
	:: else
	fi
}

/* Between bursts. */
inline references_check()
{
	do
	:: f < FRAMES ->
		do
		:: m < MEMBERS ->
			i = reclaimed[m];
			do
			:: i != prod[m] ->
				n = n + (frames[SLOT(m, i)] == f -> 1 : 0);
				i = INDEX(i + 1)
			:: else -> break
			od;
			m++
		:: else -> break
		od;
		assert(refs[f] == n);
#ifndef BROKEN_NO_REFCOUNT /* let it be found by who reads the frame */
		assert(is_free[f] == (n == 0));
#endif
		n = 0;
		m = 0;
		f++
	:: else -> break
	od;
	f = 0;
	i = 0
}

/* --- the worker's side of a ring -------------------------------------------------------------- */

inline ring_reclaim_to(m, index)
{
	do
	:: reclaimed[m] != index ->
		i = SLOT(m, reclaimed[m]);
		f = frames[i];
		frame_drop(f);
		frames[i] = 0;
		desc[i] = NONE;
		reclaimed[m] = INDEX(reclaimed[m] + 1)
	:: else -> break
	od;
	i = 0;
	f = 0
}

inline ring_detach(m)
{
#ifndef BROKEN_DETACH_FORGETS
	ring_reclaim_to(m, prod[m]);
#endif
	attached[m] = false;
	/* never looked at again; one value for all means fewer states */
	reclaimed[m] = 0;
	prod[m] = 0;
	cons[m] = 0
}

inline cons_load(m)
{
	if
	:: HONEST(m) -> seen = cons[m]
	:: !HONEST(m) -> seen = 0
	:: !HONEST(m) -> seen = 1
	:: !HONEST(m) -> seen = 2
	:: !HONEST(m) -> seen = 3
	:: !HONEST(m) -> seen = 4
	:: !HONEST(m) -> seen = 5
	:: !HONEST(m) -> seen = 6
	:: !HONEST(m) -> seen = 7
	fi
}

/* Within an atomic step: cons is loaded once, and what was checked is what is used. */
inline ring_reclaim(m)
{
	cons_load(m);
#ifdef BROKEN_RECLAIM_EARLY
	seen = prod[m];
#endif
	faulty = INDEX(seen - reclaimed[m]) > USED(m);
#ifdef BROKEN_NO_RANGE_CHECK
	faulty = false;
#endif
#ifdef BROKEN_RANGE_TOO_NARROW
	faulty = INDEX(seen - reclaimed[m]) >= USED(m);
#endif
#ifdef BROKEN_CONS_LOADED_TWICE
	cons_load(m);
#endif
	d_step {
		if
		:: faulty ->
			assert(!HONEST(m));
			ring_detach(m)
		:: else -> ring_reclaim_to(m, seen)
		fi;
		seen = 0;
		faulty = false
	}
}

/* The first n of the burst's packets that are staged for the member. */
inline ring_write(m)
{
	at = prod[m];
	do
	:: n > 0 ->
		if
		:: (staged[m] >> k) & 1 ->
			i = SLOT(m, at);
			assert(desc[i] == NONE);
			frames[i] = burst[k];
			desc[i] = burst[k];
			refs[burst[k]]++;
			at = INDEX(at + 1);
			n--
		:: else
		fi;
		k++
	:: else -> break
	od;
	i = 0;
	k = 0
}

#define STAGED(m) ((staged[m] & 1) + (staged[m] >> 1))

inline fanout_publish(m)
{
	atomic {
		if
		:: STAGED(m) > ROOM(m) && USED(m) > 0 -> ring_reclaim(m)
		:: else
		fi;
		n = (STAGED(m) > ROOM(m) -> ROOM(m) : STAGED(m))
	}
#ifdef BROKEN_PUBLISH_FIRST
	prod[m] = INDEX(prod[m] + n);
	d_step {
		prod[m] = INDEX(prod[m] - n);
#else
	d_step {
#endif
		/* one step: who looks only at what is below prod cannot tell */
		ring_write(m);
		prod[m] = at;
#ifndef BROKEN_NO_ROOM /* let it be found by who writes over a slot */
		assert(USED(m) <= quotas[m]);
#endif
		staged[m] = 0;
		at = 0
	}
}

/* One or two frames get packets; each is for any of the members, for both or for none. */
inline burst_receive()
{
	do
	:: free_cnt > 0 && burst_cnt < BURST ->
		d_step {
			frame_take(f);
			whole[f] = true;
			burst[burst_cnt] = f;
			f = 0
		}
		if
		:: staged[0] = staged[0] | (1 << burst_cnt)
		:: skip
		fi;
		if
		:: staged[1] = staged[1] | (1 << burst_cnt)
		:: skip
		fi;
		burst_cnt++
	:: burst_cnt > 0 -> break
	od;
	/* the order of the policy's groups may be either */
	if
	:: first = 0
	:: first = 1
	fi
}

inline fanout_settle()
{
	do
	:: k < burst_cnt ->
		frame_settle(burst[k]);
		burst[k] = 0;
		k++
	:: else -> break
	od;
	k = 0;
	burst_cnt = 0;
	first = 0
}

proctype worker()
{
	byte burst[BURST], burst_cnt;
	byte staged[MEMBERS]; /* a bit for each packet of the burst */
	byte first;           /* the member that gets its packets first */
	byte m, n, f, i, k, at, seen;
	bool faulty;

	do
	:: atomic {
			free_cnt > 0;
			burst_receive()
		}
		fanout_publish(first);
		fanout_publish(1 - first);
#ifdef BROKEN_RECLAIM_IN_BURST
		atomic {
			ring_reclaim(0)
		}
#endif
		d_step {
			fanout_settle();
			references_check()
		}
	:: atomic {
			USED(0) > 0;
			ring_reclaim(0);
			d_step {
				references_check()
			}
		}
	:: atomic {
			USED(1) > 0;
			ring_reclaim(1);
			d_step {
				references_check()
			}
		}
	/* It is dead. For how long it was does not matter: it was as one that stopped. */
	:: d_step {
			attached[0];
			ring_detach(0);
			references_check()
		}
	:: d_step {
			attached[1];
			ring_detach(1);
			references_check()
		}
	od
}

/* --- members ---------------------------------------------------------------------------------- */

#ifdef BROKEN_DETACH_ALIVE
#define DEAD(m) false
#else
#define DEAD(m) (!attached[m])
#endif

/* What is there to be read. A member that peeks less often sees a part of this. */
#define PEEKED(m) INDEX(prod[m] - cons[m])

inline desc_load(i)
{
#ifndef BROKEN_LOAD_BEFORE_PEEK
	PEEKED(m) > i;
#endif
	f = desc[SLOT(m, cons[m] + i)];
	assert(f != NONE)
}

inline ring_release(cnt)
{
	PEEKED(m) >= cnt;
	cons[m] = INDEX(cons[m] + cnt);
#ifndef BROKEN_RELEASE_FIRST
	f = NONE
#endif
}

proctype member(byte m)
{
	byte f = NONE; /* the frame that it reads, any number of times */

end:
	do
	:: atomic {
			desc_load(0)
		}
	:: atomic {
			desc_load(1)
		}
	:: f != NONE -> assert(whole[f])
	:: atomic {
			ring_release(1)
		}
	:: atomic {
			ring_release(2)
		}
	od unless {
		DEAD(m)
	}
}

init {
	byte m;

	atomic {
		do
		:: m < FRAMES ->
			is_free[m] = true;
			free_cnt++;
			m++
		:: else -> break
		od;
		m = 0;
		do
		:: m < MEMBERS ->
			if
			:: quotas[m] = 1
			:: quotas[m] = SLOTS
			fi;
			desc[SLOT(m, 0)] = NONE;
			desc[SLOT(m, 1)] = NONE;
			attached[m] = true;
			if
			:: HONEST(m) -> run member(m)
			:: else
			fi;
			m++
		:: else -> break
		od;
		m = 0;
		run worker()
	}
}
