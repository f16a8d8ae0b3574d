/* SPDX-License-Identifier: MIT */
/*
 * P-2: a depot shard: the tagged stack of full magazines and the tagged stack of empty descriptors
 * (docs/design.md, "The depot").
 *
 *   head = {tag, index}. Every change of a head is a CAS that takes the old head and puts a tag one higher,
 *   computed anew in every retry. next[] of a descriptor is read before the CAS, so it may be stale: only the
 *   tag tells.
 *
 * A CPU trades: pop a full magazine, use its frame, push the descriptor to the empty stack; then pop an empty
 * descriptor, fill it, push it to the full stack. The drainer pops what is full one by one as long as it sees
 * any, and gives the descriptors to the empty stack. Load of head, load of next, store of next and the CAS are
 * a step each. Memory is sequentially consistent; tests/litmus has the orders.
 *
 * Bounds: CPUS CPUs with ROUNDS rounds, DRAINERS drainers, MAGS magazines of one frame. TAGS values of the tag:
 * the largest number of changes of one head in a run is below 32, so TAGS = 32 stands for a tag that does
 * not wrap while a thread is parked (40 bits wrap after hours at full rate). TAGS = 4 wraps: four changes
 * while one popper is parked between its loads and its CAS bring back the same head above another chain.
 *
 * Checked: a descriptor has one owner (claim), a frame has one owner, at the end all are there once.
 * Must fail: BUG_NO_TAG, BUG_NO_TAG_EMPTY (only the full stack has tags), BUG_STALE_TAG (the tag of the first
 * try is used for all), BUG_DRAIN_STORES (a drainer that takes all and resets the head by a plain store), and
 * TAGS=4 with ROUNDS=3 (which passes with TAGS=32). Not claimed: that both push and pop must bump the tag; either alone would do.
 */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef DRAINERS
#define DRAINERS 1
#endif
#ifndef MAGS
#if ROUNDS > 2                          /* else it takes a minute */
#define MAGS 3
#else
#define MAGS 4
#endif
#endif
#ifndef TAGS
#define TAGS 32
#endif
#define FULL 0                          /* the two stacks *
 * mirrors: pop sha256:a003d43f
 * mirrors: push sha256:162e5cc3
 * mirrors: depot_pop sha256:50a74edb
 * mirrors: depot_push sha256:a2ac7a79
 * mirrors: drain_stack sha256:d1c7dfd0
 */
#define EMPTY 1

#ifdef BUG_NO_TAG
#define BUMP(s, t) (t)
#elif defined(BUG_NO_TAG_EMPTY)
#define BUMP(s, t) ((s) == EMPTY -> (t) : ((t) + 1) % TAGS)
#else
#define BUMP(s, t) (((t) + 1) % TAGS)
#endif

byte head[2];                           /* index, 0 = none */
byte tag[2];
byte next[MAGS + 1];
byte frame[MAGS + 1];                   /* content of a magazine: one frame number, 0 = none */
byte mag_owner[MAGS + 1];               /* 0 = in a stack */
byte frame_owner[MAGS + 1];             /* 0 = in a magazine that is in a stack or being moved */
byte zone;                              /* frames that the drainer gave back */
byte done;

inline claim(m) { assert(mag_owner[m] == 0); mag_owner[m] = 1 }

/* m = 0 when the stack is empty */
inline pop(s, m, t, n, ok)
{
	ok = 0;
	do
	:: atomic { !ok ->
#ifdef BUG_STALE_TAG
			if
			:: m == 0 -> t = tag[s]
			:: else
			fi;
#else
			t = tag[s];
#endif
			m = head[s] };
		if
		:: m == 0 -> break
		:: else
		fi;
		n = next[m];
		atomic {
			if
#ifdef BUG_STALE_TAG
			:: head[s] == m ->
#else
			:: head[s] == m && tag[s] == t ->
#endif
				head[s] = n; tag[s] = BUMP(s, t); ok = 1; claim(m)
			:: else
			fi;
			n = 0 }
	:: ok -> break
	od;
	atomic { t = 0; ok = 0 }
}

inline push(s, m, t, n, ok)
{
	ok = 0;
	do
	:: atomic { !ok -> t = tag[s]; n = head[s] };
		next[m] = n;
		atomic {
			if
			:: head[s] == n && tag[s] == t -> assert(mag_owner[m] == 1); mag_owner[m] = 0;
				head[s] = m; tag[s] = BUMP(s, t); ok = 1
			:: else
			fi;
			n = 0 }
	:: ok -> break
	od;
	atomic { t = 0; ok = 0; m = 0 }
}

proctype cpu()
{
	byte m, t, n, f, round;
	bit ok;

	do
	:: round < ROUNDS -> round++;
		if
		:: f == 0 ->                            /* take a full one */
			pop(FULL, m, t, n, ok);
			if
			:: m != 0 ->
				atomic { f = frame[m]; assert(frame_owner[f] == 0); frame_owner[f] = 1;
					 frame[m] = 0 };
				push(EMPTY, m, t, n, ok)
			:: else
			fi
		:: else ->                              /* give one back */
			pop(EMPTY, m, t, n, ok);
			if
			:: m != 0 ->
				atomic { assert(frame[m] == 0); frame_owner[f] = 0; frame[m] = f; f = 0 };
				push(FULL, m, t, n, ok)
			:: else
			fi
		fi
	:: else -> break
	od;
	done++
}

/* the magazine's frame goes to the zone */
inline empty_it(m, t, n, ok)
{
	atomic { assert(frame[m] != 0 && frame_owner[frame[m]] == 0);
		 assert((zone & (1 << frame[m])) == 0); zone = zone | (1 << frame[m]); frame[m] = 0 };
	push(EMPTY, m, t, n, ok)
}

proctype drainer()
{
	byte m, t, n;
	bit ok;

#ifdef BUG_DRAIN_STORES
	byte chain;

	chain = head[FULL];
	head[FULL] = 0;
	do
	:: chain != 0 -> m = chain;
		atomic { chain = next[m]; claim(m) };
		empty_it(m, t, n, ok)
	:: else -> break
	od;
#else
	do
	:: head[FULL] != 0 ->
		pop(FULL, m, t, n, ok);
		if
		:: m != 0 -> empty_it(m, t, n, ok)
		:: else
		fi
	:: else -> break
	od;
#endif
	done++
}

init
{
	byte i, m, seen, frames;

	atomic {
		for (i : 1 .. MAGS) { frame[i] = i; next[i] = i - 1 };
		head[FULL] = MAGS;
		for (i : 1 .. CPUS) { run cpu() };
#if DRAINERS
		for (i : 1 .. DRAINERS) { run drainer() };
#endif
		i = 0
	};
	(done == CPUS + DRAINERS);
	d_step {
		for (i : 0 .. 1) {
			m = head[i];
			do
			:: m != 0 -> assert((seen & (1 << m)) == 0); seen = seen | (1 << m);
				if
				:: i == FULL -> assert(frame[m] != 0 && (frames & (1 << frame[m])) == 0);
					frames = frames | (1 << frame[m])
				:: else -> assert(frame[m] == 0)
				fi;
				m = next[m]
			:: else -> break
			od
		};
		for (i : 1 .. MAGS) {
			assert(mag_owner[i] == 0);
			if
			:: frame_owner[i] -> assert((frames & (1 << i)) == 0); frames = frames | (1 << i)
			:: else
			fi
		};
		assert((frames & zone) == 0);
		assert((frames | zone) == ((1 << (MAGS + 1)) - 2));
		assert(seen == ((1 << (MAGS + 1)) - 2))
	}
}
