/* SPDX-License-Identifier: MIT */
/*
 * P-1: the section of a CPU cache against interrupt handlers and remote drainers (docs/design.md, "The section").
 *
 *   enter   active is 1: nested, take the cache-less path. Else active = 1, compiler barrier, load revoked;
 *           if set: active = 0, cache-less path.                       leave   active = 0
 *   drain   CAS revoked 0 -> 1; asymmetric barrier; active still 1, or the barrier declined: leave it alone.
 *           Else take the cache. In every case revoked = 0.
 *
 * Memory is TSO: what a CPU stores waits in a FIFO (sb) until the process `memory` lets it out, its own loads
 * see it, a read-modify-write waits for the FIFO to be empty. That is what the barrier is there for; without
 * the FIFO the model would pass without the barrier. (A store to the cache that has nothing before it in the
 * FIFO goes to memory at once: up to the store of active that follows it the CPU does nothing that others see
 * but read-modify-writes, so to delay it is the same as to run the CPU later.) The barrier empties the FIFOs of
 * all CPUs, one by one. A handler runs on its CPU (same FIFO) and to its end before the CPU goes on.
 *
 * Bounds: NCPU CPUs, each alloc + free ROUNDS times (all but the first stop at alloc unless ALL_FREE); a handler
 * on each of the first NIRQ of them (one alloc or one free, at any point, or none); NDRAIN drainers that go over
 * all CPUs once; NF frames. A cache has two places.
 *
 * Checked: no frame is handed out twice (claim), none is freed by others (release), at the end every frame is
 * in exactly one place, no CPU is left revoked (it would have no cache for ever), and nobody is stuck.
 *
 * Must fail: BUG_NO_BARRIER, BUG_NO_RESET, BUG_NO_NESTED_TEST, BUG_NO_REVOKED_TEST, BUG_PLAIN_REVOKE (test and
 * store in place of the CAS), BUG_DECLINED (a barrier that declined counts as done).
 */
#ifndef NCPU
#define NCPU 2
#endif
#ifndef NIRQ
#define NIRQ 1
#endif
#ifndef NDRAIN
#define NDRAIN 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef NF
#define NF 2
#endif
#ifndef ALL_FREE
#define ALL_FREE 0
#endif
#define ALL ((1 << NF) - 1)
#define NONE 255

#define ACTIVE 0                        /* what an entry of a FIFO is for *
 * mirrors: section_enter sha256:708e372d
 * mirrors: section_leave sha256:8e994d75
 * mirrors: cpu_for_each_stopped sha256:986100f9
 * mirrors: take_cache sha256:2042a7b5
 */
#define CACHE 1
#define DEPTH 3                         /* of a FIFO: a section stores three times */

byte pool = ALL;                        /* depot and zones: a set of frames, each move one atomic step */
byte cache[NCPU];                       /* the set in memory */
bit act[NCPU];
bit revoked[NCPU];

chan sb[NCPU] = [DEPTH] of { bit, byte };   /* stores under way */
bit own_active[NCPU];                   /* newest own store: what the CPU itself would load */
byte own_cache[NCPU];
byte own_cache_pending[NCPU];

bit irq[NCPU];                          /* a handler runs: its CPU stands still */
byte owner[NF];                         /* 0, or who has the frame */
byte done;                              /* processes that came to their end */

#define store_active(c, v) atomic { sb[c]!ACTIVE, v; own_active[c] = v }
#define store_cache(c, v) atomic { \
	if :: len(sb[c]) == 0 -> cache[c] = v \
	   :: len(sb[c]) > 0 && len(sb[c]) < DEPTH -> sb[c]!CACHE, v; own_cache[c] = v; own_cache_pending[c]++ fi }
#define cache_seen(c) (own_cache_pending[c] > 0 -> own_cache[c] : cache[c])
#define lowest(set) ((set) & 1 -> 0 : ((set) & 2 -> 1 : 2))
#define two_or_more(set) (((set) & ((set) - 1)) != 0)

inline claim(f, who)
{
	assert(owner[f] == 0);
	owner[f] = who
}

/* a read-modify-write of the shared part, hence empty(sb) */
inline pool_pop(c, f)
{
	if
	:: pool != 0 -> f = lowest(pool); pool = pool & ~(1 << f)
	:: else -> f = NONE
	fi
}

inline enter(c, in)
{
	in = 0;
	if
#ifndef BUG_NO_NESTED_TEST
	:: own_active[c] -> skip
#endif
	:: else -> store_active(c, 1);
#ifdef BUG_NO_REVOKED_TEST
		in = 1
#else
		if
		:: !revoked[c] -> in = 1
		:: else -> store_active(c, 0)
		fi
#endif
	fi
}

inline leave(c, in)
{
	if
	:: in -> store_active(c, 0); in = 0
	:: else
	fi
}

inline alloc(c, who, f, in, set)
{
	f = NONE;
	enter(c, in);
	if
	:: in -> set = cache_seen(c);
		if
		:: set != 0 -> f = lowest(set); store_cache(c, set & ~(1 << f))
		:: else -> /* refill: one for the caller, one for the cache */
			atomic { empty(sb[c]) -> pool_pop(c, f); set = 0;
				if
				:: pool != 0 -> set = 1 << lowest(pool); pool = pool & ~set
				:: else
				fi };
			if
			:: set != 0 -> store_cache(c, set)
			:: else
			fi
		fi
	:: else -> atomic { empty(sb[c]) -> pool_pop(c, f) }
	fi;
	atomic { if
	:: f != NONE -> claim(f, who)
	:: else
	fi };
	leave(c, in);
	set = 0
}

inline free(c, who, f, in, set)
{
	atomic { assert(owner[f] == who); owner[f] = 0 };
	enter(c, in);
	if
	:: in -> set = cache_seen(c);
		if
		:: two_or_more(set) -> atomic { empty(sb[c]) -> pool = pool | (1 << f) }
		:: else -> store_cache(c, set | (1 << f))
		fi
	:: else -> atomic { empty(sb[c]) -> pool = pool | (1 << f) }
	fi;
	leave(c, in);
	atomic { set = 0; f = NONE }
}

active [NCPU] proctype cpu() provided (!irq[_pid])
{
	byte f = NONE, set, round;
	bit in;

	do
	:: round < ROUNDS -> round++;
		alloc(_pid, _pid + 1, f, in, set);
		if
		:: f == NONE
		:: f != NONE && (_pid == 0 || ALL_FREE) -> free(_pid, _pid + 1, f, in, set)
		:: f != NONE && !(_pid == 0 || ALL_FREE) -> break
		fi
	:: else -> break
	od;
	done++
}

proctype handler(byte c)
{
	byte f = NONE, set;
	bit in;

	if
	:: atomic { !irq[c] -> irq[c] = 1 };
		alloc(c, NCPU + 1 + c, f, in, set);
		atomic { f = NONE; irq[c] = 0 }         /* keeps the frame */
	:: atomic { !irq[c] && pool != 0 && empty(sb[c]) -> irq[c] = 1;
			pool_pop(c, f); claim(f, NCPU + 1 + c) };       /* had it */
		free(c, NCPU + 1 + c, f, in, set);
		irq[c] = 0
	:: skip                         /* no interrupt */
	fi;
	done++
}

proctype memory(byte c)
{
	byte v;

end:	do
	:: atomic { sb[c]?ACTIVE, v -> act[c] = v;
		do
		:: sb[c]?[CACHE, v] -> sb[c]?CACHE, v; cache[c] = v; own_cache_pending[c]--
		:: else -> break
		od;
		v = 0 }
	od
}

proctype drainer()
{
	byte c, set;
	bit mine, barrier;

	do
	:: c < NCPU ->
#ifdef BUG_PLAIN_REVOKE
		if
		:: !revoked[c] -> revoked[c] = 1; mine = 1
		:: else -> mine = 0
		fi;
#else
		atomic { mine = !revoked[c]; revoked[c] = 1 };
#endif
		if
		:: mine ->
#ifdef BUG_NO_BARRIER
			barrier = 1;
#else
			if
			:: empty(sb[0]); if :: NCPU == 1 || empty(sb[NCPU - 1]) fi; barrier = 1
			:: barrier = 0                  /* declined, as with interrupts off */
			fi;
#endif
#ifdef BUG_DECLINED
			barrier = 1;
#endif
			if
			:: !barrier || act[c] ->
#ifndef BUG_NO_RESET
				revoked[c] = 0
#else
				skip
#endif
			:: else ->
				set = cache[c];
				cache[c] = 0;
				pool = pool | set;
				revoked[c] = 0
			fi
		:: else
		fi;
		atomic { c++; set = 0; mine = 0; barrier = 0 }
	:: else -> break
	od;
	done++
}

init
{
	byte i;

	atomic {
		for (i : 0 .. NCPU - 1) { run memory(i) };
#if NIRQ
		for (i : 1 .. NIRQ) { run handler(i - 1) };
#endif
		for (i : 1 .. NDRAIN) { run drainer() };
		i = 0
	};
	(done == NCPU + NIRQ + NDRAIN && empty(sb[0]) && empty(sb[NCPU - 1]));
	d_step {
		byte all = pool;
		for (i : 0 .. NF - 1) {
			if
			:: owner[i] -> assert((all & (1 << i)) == 0); all = all | (1 << i)
			:: else
			fi
		};
		for (i : 0 .. NCPU - 1) {
			assert(!act[i] && !revoked[i]);
			assert((all & cache[i]) == 0);          /* twice */
			all = all | cache[i]
		};
		assert(all == ALL)                              /* lost */
	}
}
