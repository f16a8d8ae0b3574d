/* SPDX-License-Identifier: MIT */
/*
 * P-4: when may an allocation answer no-memory? (docs/design.md, "No memory")
 *
 *   Every CPU counts, in a line of its own and inside its section, each free and each movement of frames,
 *   before and after it; the cache-less handle counts in a shared counter. The caller collects all counters,
 *   drains the caches, passes over the block words, collects again. Equal, and no CPU was skipped because it
 *   was in its section: no-memory. Else another pass, a bounded number of times.
 *
 * Here: a zone of two block words with a frame each, and a frame in use by a cache-less caller. CPUs allocate
 * (an empty cache refills from both words, that is by up to two) and free, to the cache or to the zone. The
 * cache-less caller frees its frame and allocates one. Another CPU drains all caches (ramka_drain). Meanwhile
 * the asker looks for one frame. A drain of one cache by the asker is one step (drain.pml has the inside).
 * Memory is sequentially consistent.
 *
 * Exact means: at one instant within the call every free frame is held by a call in progress: it is in
 * transit, or in the cache of a CPU that is in its section, or was put into the zone by a call that has not
 * ended (`fresh`). That instant is the end of the pass, before the second collect; the ghost `visible` says
 * then whether any other free frame exists. An answer after the last pass is not exact; some other call must
 * have been in progress during this one (`disturbed`).
 *
 * Bounds: CPUS CPUs that go on until the asker is done, three frames. Only whether a counter moved between the
 * two collects matters, so a bit stands for it. One pass: another would start from a state that the first may
 * start from as well.
 * Must fail: BUG_FREES_ONLY (refills and drains are not counted), BUG_DRAIN_UNCOUNTED, BUG_FORGET_SKIPPED,
 * BUG_COUNT_BEFORE_ONLY, BUG_ONE_COLLECT (the pass alone decides).
 * Not claimed: that to count after each movement only would fail. It passes: what a call has not counted yet
 * it still holds, in the sense above. Counting before tells the asker one pass earlier.
 */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef PASSES
#define PASSES 1
#endif
#define NONE 2                          /* counter of the cache-less handle *
 * mirrors: last_resort sha256:fd7e9a6a
 * mirrors: account_transfers sha256:b0d30912
 * mirrors: account_moves sha256:39f57df6
 * mirrors: cpu_drain_all sha256:b362ff80
 * mirrors: drain_shard sha256:6e25fb26
 * mirrors: cpu_alloc_refill sha256:c0ec31d6
 * mirrors: cpu_free_slow sha256:e7f75ec5
 * mirrors: count_move sha256:b257c604
 */
#define DRAIN 3                         /* counter of the CPU that drains */
#define COUNTERS 4

byte zone[2] = 1;                       /* block words: free frames */
byte fresh;                             /* of them: put there by calls in progress */
byte cache[2];
byte none_used = 1;                     /* frames in use by the cache-less caller */
byte used[2];                           /* frames in use by the callers of a CPU */
bit busy[COUNTERS];                     /* a call in progress; for CPUs: in the section */
bit counted[COUNTERS];                 /* the counter has moved since the first collect read it */
bit asking, disturbed, visible, finished;

#ifdef BUG_COUNT_BEFORE_ONLY
#define counted_after(i) skip
#else
#define counted_after(i) counted[i] = asking
#endif
#ifdef BUG_FREES_ONLY
#define moving(i) skip
#define moved(i) skip
#else
#define moving(i) counted[i] = asking
#define moved(i) counted_after(i)
#endif
#ifdef BUG_DRAIN_UNCOUNTED
#define draining(i) skip
#define drained(i) skip
#else
#define draining(i) moving(i)
#define drained(i) moved(i)
#endif

#define begin(i) atomic { !finished -> busy[i] = 1; disturbed = disturbed | asking }
#define end(i, put) atomic { busy[i] = 0; fresh = fresh - put; put = 0 }
#define take(b, n) atomic { if :: zone[b] > 0 -> zone[b]--; n++ :: else fi }
#define give(b, n, put) atomic { n > 0 -> zone[b]++; n--; fresh++; put++ }
#define hidden_in_cache(c) (busy[c] || cache[c] == 0)

proctype cpu(byte c)
{
	byte n, put;

end:	do
	:: begin(c);
		if
		:: atomic { cache[c] > 0 -> cache[c]--; used[c]++ }
		:: cache[c] == 0 ->                             /* refill */
			moving(c);
			take(0, n);
			take(1, n);
			atomic {
				if
				:: n > 0 -> used[c]++; cache[c] = n - 1; n = 0
				:: else
				fi };
			moved(c)
		:: used[c] > 0 ->                               /* free to the cache */
			counted[c] = asking;
			atomic { used[c]--; cache[c]++ };
			counted_after(c)
		:: atomic { used[c] > 0 -> used[c]--; n = 1 };  /* free to the zone */
			counted[c] = asking;
			if
			:: give(0, n, put)
			:: give(1, n, put)
			fi;
			counted_after(c)
		fi;
		end(c, put)
	od
}

proctype cacheless()
{
	byte n, put;

end:	do
	:: begin(NONE);
		if
		:: none_used > 0 ->                             /* free */
			counted[NONE] = asking;
			atomic { none_used--; n++ };
			if
			:: give(0, n, put)
			:: give(1, n, put)
			fi;
			counted_after(NONE)
		:: none_used == 0 ->                            /* allocate: no movement, not counted */
			take(0, n);
			if
			:: n == 0 -> take(1, n)
			:: else
			fi;
			atomic { none_used = n; n = 0 }
		fi;
		end(NONE, put)
	od
}

proctype drainer()
{
	byte c, n, put;

end:	do
	:: begin(DRAIN);
		draining(DRAIN);
		atomic {
			if
			:: !busy[c] -> n = cache[c]; cache[c] = 0
			:: else
			fi };
		do
		:: give(0, n, put)
		:: give(1, n, put)
		:: n == 0 -> break
		od;
		drained(DRAIN);
		atomic { end(DRAIN, put); c = (c + 1) % CPUS }
	od
}

active proctype asker()
{
	byte i, n, pass;
	bit same, skipped;

	atomic { asking = 1; disturbed = busy[0] | busy[1] | busy[NONE] | busy[DRAIN] };
	do
	:: pass < PASSES -> pass++;
		for (i : 0 .. COUNTERS - 1) { counted[i] = 0 };
		skipped = 0;
		for (i : 0 .. CPUS - 1) {
			atomic {
				if
				:: !busy[i] -> zone[0] = zone[0] + cache[i]; cache[i] = 0
				:: else -> skipped = 1
				fi }
		};
		take(0, n);
		if
		:: n == 0 -> take(1, n)
		:: else
		fi;
		if
		:: n > 0 -> break
		:: else
		fi;
		visible = zone[0] + zone[1] > fresh || !hidden_in_cache(0) || !hidden_in_cache(1);
		same = 1;
#ifndef BUG_ONE_COLLECT
		for (i : 0 .. COUNTERS - 1) { same = same && !counted[i] };
#endif
#ifndef BUG_FORGET_SKIPPED
		same = same && !skipped;
#endif
		if
		:: same -> assert(!visible); break              /* no-memory, exact */
		:: else
		fi
	:: else -> assert(disturbed); break                     /* no-memory, up to calls in progress */
	od;
	atomic { asking = 0; finished = 1; n = 0; i = 0; pass = 0 }
}

init
{
	byte i;

	atomic {
		for (i : 1 .. CPUS) { run cpu(i - 1) };
#ifdef CACHELESS
		run cacheless();
#endif
#ifdef DRAINER
		run drainer();
#endif
		i = 0
	}
}
