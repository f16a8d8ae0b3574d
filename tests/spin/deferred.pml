/* SPDX-License-Identifier: MIT */
/*
 * P-3: deferred reclaim: bags with a grace-period cookie, the shared stack, the high-water mark and their
 * liveness (docs/design.md, "Deferred frames").
 *
 * A CPU and a cache-less caller each replace the frame in a slot of their own for ever: allocate, publish,
 * put_rcu the old one. Readers enter a section, load a slot, look at the frame, leave.
 *
 *   put_rcu   CPU: into the open bag; a full one is sealed (cookie = snapshot) when one of the NBAGS places is
 *             free, else it grows. Before that the oldest bag is polled. Cache-less: onto the shared stack.
 *   alloc     none free: take all of the shared stack, then the snapshot of its bag; seal the open bag; poll; try again,
 *             then answer no-memory.
 *   pressure  with HIGH frames deferred by this CPU, put_rcu tells its caller. One who may wait (MAY_WAIT)
 *             reclaims with waiting before it goes on, so the backlog is at most HIGH; one who may not goes on.
 *
 * The grace period is exact here: a cookie is the set of readers that were in a section at the snapshot, and
 * has elapsed when each of them left once (tests/litmus/bags.c has the counters of the qsbr backend).
 * STUCK: reader 0 never leaves its first section.
 *
 * Checked, safety: no frame is freed while a reader looks at it; the cap; no frame in two places; an allocation
 * ends within STEPS polls. Liveness, under weak fairness (-f), as long as the CPU goes on allocating:
 *   freed      every deferred frame becomes free                        (not with STUCK)
 *   answers    every allocation answers
 *   no_memory  with STUCK, the CPU comes to answer no-memory for good
 * Must fail: BUG_NO_POLL, BUG_NO_SEAL (with BAG=3: an open bag that is not full is never sealed), BUG_EARLY_REAP,
 * BUG_SNAPSHOT_EARLY (cookie of the bag's first frame), BUG_SHARED_SNAPSHOT (before the exchange), BUG_NO_CAP
 * (with NF=5), BUG_WAIT (an allocation that waits for the grace period without bound, with STUCK).
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef NF
#define NF 4
#endif
#ifndef BAG
#define BAG 2
#endif
#ifndef HIGH
#define HIGH 2
#endif
#define STEPS 2
#ifndef FRAME
#define FRAME 0                         /* the one that `freed` follows *
 * mirrors: defer_frame sha256:9a6265f8
 * mirrors: seal_open sha256:b681e222
 * mirrors: take_ripe sha256:1a9f55d6
 * mirrors: seal_pile sha256:299a9cf7
 * mirrors: share sha256:b7c733d5
 * mirrors: defer_more sha256:0e25277e
 * mirrors: ramka_reclaim sha256:93f86cc1
 * mirrors: wait_for_all sha256:57e3ebe2
 */
#endif
#ifdef ALONE                            /* no cache-less caller */
#define FIRST_READER 1
#else
#define FIRST_READER 2
#endif
#define ALL ((1 << NF) - 1)
#define NONE 15
#define bit_of(f) (1 << (f))
#define lowest(s) ((s) & 1 -> 0 : ((s) & 2 -> 1 : ((s) & 4 -> 2 : ((s) & 8 -> 3 : 4))))
#define size(s) (((s) & 1) + (((s) >> 1) & 1) + (((s) >> 2) & 1) + (((s) >> 3) & 1) + (((s) >> 4) & 1))

byte free_set = ALL & ~3;               /* frames 0 and 1 are published at first */
byte slot[2] = { 0, 1 };
byte open, bag0, bag1;                  /* sets of frames; bag0 is the older */
byte shared;                            /* stack of the cache-less callers */
byte taken;                             /* taken from it, not yet in a bag */
byte in_section;                        /* set of readers */
byte wait0, wait1, wait_open;           /* cookies */
byte reading[READERS] = NONE;
bit allocating;
bit no_memory;                          /* the CPU's last answer */

#define DEFERRED (open | bag0 | bag1 | shared | taken)

ltl freed { [] ((DEFERRED & bit_of(FRAME)) -> <> (free_set & bit_of(FRAME))) }
ltl answers { [] (allocating -> <> !allocating) }
ltl no_memory_for_good { <> [] (allocating || no_memory) }

inline give_back(set)
{
	assert((free_set & set) == 0);
#if READERS == 2
	assert(reading[1] == NONE || (set & bit_of(reading[1])) == 0);
#endif
	assert(reading[0] == NONE || (set & bit_of(reading[0])) == 0);
	free_set = free_set | set
}

/* snapshot and the bag's place in the queue: own to the CPU, so one step */
inline seal()
{
	atomic {
		if
		:: open != 0 && bag0 == 0 -> bag0 = open; open = 0;
#ifdef BUG_SNAPSHOT_EARLY
			wait0 = wait_open
#else
			wait0 = in_section
#endif
		:: open != 0 && bag0 != 0 && bag1 == 0 -> bag1 = open; open = 0;
#ifdef BUG_SNAPSHOT_EARLY
			wait1 = wait_open
#else
			wait1 = in_section
#endif
		:: else                         /* nothing to seal, or the open one grows */
		fi
	}
}

#ifdef BUG_EARLY_REAP
#define ELAPSED 1
#else
#define ELAPSED (wait0 == 0)
#endif

/* the oldest bag, if its grace period has ended */
inline poll()
{
	atomic {
#ifndef BUG_NO_POLL
		if
		:: bag0 != 0 && ELAPSED -> give_back(bag0); bag0 = bag1; wait0 = wait1; bag1 = 0; wait1 = 0
		:: else
		fi
#else
		skip
#endif
	}
}

/* what the cache-less callers left: all by exchange if there is a place for a bag, whose snapshot is still to come */
inline take_shared()
{
#ifdef BUG_SHARED_SNAPSHOT
	wait_open = in_section;
	atomic { taken = shared; shared = 0 };
	atomic {
		if
		:: taken != 0 && bag0 == 0 -> bag0 = taken; taken = 0; wait0 = wait_open
		:: taken != 0 && bag0 != 0 && bag1 == 0 -> bag1 = taken; taken = 0; wait1 = wait_open
		:: else -> open = open | taken; taken = 0
		fi
	}
#else
	if
	:: atomic { shared != 0 && bag1 == 0 -> taken = shared; shared = 0 };
		atomic {                        /* places are own to the CPU here: the one that was free still is */
			if
			:: bag0 == 0 -> bag0 = taken; wait0 = in_section
			:: else -> bag1 = taken; wait1 = in_section
			fi;
			taken = 0
		}
	:: else
	fi
#endif
}

inline take_free(f)
{
	atomic {
		if
		:: free_set != 0 -> f = lowest(free_set); free_set = free_set & ~bit_of(f)
		:: else -> f = NONE
		fi
	}
}

active proctype cpu()
{
	byte f = NONE, old, tries;

	do
	:: allocating = 1;
		do
		:: take_free(f);
			if
			:: f != NONE || tries == STEPS -> break
			:: else
			fi;
			take_shared();
#ifndef BUG_NO_SEAL
			seal();
#endif
			poll();
#ifndef BUG_WAIT
			tries++
#endif
		od;
		atomic { assert(tries <= STEPS); tries = 0; no_memory = (f == NONE); allocating = 0 };
		if
		:: f == NONE
		:: else ->
			atomic { old = slot[0]; slot[0] = f; f = NONE };        /* unlinked here */
			poll();
			atomic {
				if
				:: open == 0 -> wait_open = in_section
				:: else
				fi;
				open = open | bit_of(old); old = 0;
#ifdef MAY_WAIT
				assert(size(open | bag0 | bag1) <= HIGH)
#endif
			};
			if
			:: size(open) >= BAG -> seal()
			:: else
			fi;
#if defined(MAY_WAIT) && !defined(BUG_NO_CAP)
			if
			:: size(open | bag0 | bag1) >= HIGH ->
				do
				:: (open | bag0 | bag1) != 0 -> seal(); poll()
				:: else -> break
				od
			:: else
			fi
#endif
		fi
	od
}

#ifndef ALONE
active proctype cacheless()
{
	byte f = NONE, old;

	do
	:: take_free(f);
		if
		:: f == NONE
		:: else ->
			atomic { old = slot[1]; slot[1] = f; f = NONE };
			atomic { shared = shared | bit_of(old); old = 0 }
		fi
	od
}
#endif

active [READERS] proctype reader()
{
	byte me, s;

	me = _pid - FIRST_READER;
end:	do
	:: atomic { in_section = in_section | bit_of(me);
			if
			:: s = 0
#ifndef ALONE
			:: s = 1
#endif
			fi };
		atomic { reading[me] = slot[s]; s = 0 };
#ifdef STUCK
		if
		:: me == 0 -> break
		:: else
		fi;
#endif
		atomic { reading[me] = NONE; in_section = in_section & ~bit_of(me);
			wait0 = wait0 & ~bit_of(me); wait1 = wait1 & ~bit_of(me); wait_open = wait_open & ~bit_of(me) }
	od
}
