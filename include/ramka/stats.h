/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Statistics. Per-CPU counters summed on read: nothing shared is written on a fast path.
 */
#ifndef RAMKA_STATS_H
#define RAMKA_STATS_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/**
 * All in base frames unless said otherwise. Always total = free + in_use + deferred + reserved + unused;
 * cached and isolated are parts of free.
 */
struct ramka_stats {
	uint64_t total;      /**< all managed frames; holes and MMIO are none */
	uint64_t free;       /**< includes cached */
	uint64_t cached;     /**< in CPU caches and the depot, or with ramka_report_free */
	uint64_t in_use;
	uint64_t deferred;
	uint64_t reserved;
	uint64_t unused;
	uint64_t free_huge;  /**< wholly free 2 MiB blocks in the zones */
	/** largest aligned free frames in the zones, as a buddy allocator counts */
	uint64_t free_by_order[RAMKA_MAX_ORDER + 1];
	/**
	 * Frames handed out, of any order, and frames given back: last references and unique frees. At
	 * quiescence allocs - puts is the number of frames in use or deferred, whatever their order, without
	 * detached ones, which count in neither. Each frame of a segment counts, and so does each part of a
	 * frame that was split; frames that were joined are given back but for one. A broken frame is given
	 * back when it leaves; one that was free then counts in both. What a misuse leaks may count in any
	 * way.
	 */
	uint64_t allocs, puts;
	uint64_t refills, flushes; /**< batches of frames from a zone into a cache, and back */
	uint64_t steals;     /**< magazines taken from another CPU's shard */
	uint64_t failures[RAMKA_MAX_ORDER + 1]; /**< requests answered with no memory */
	/**
	 * The most frames in use at once. If one CPU made all calls, it is never too low, and too high by at
	 * most the 1088 frames that wait in rows. Else it is the highest of samples, in which cached frames
	 * count as in use. Deferred frames count as in use, detached ones do not.
	 */
	uint64_t peak_in_use;
	uint64_t deferred_peak;  /**< most frames deferred at once on one CPU */
	/** grace periods that the oldest sealed bag has waited, in seals of its CPU */
	uint64_t deferred_age;
	/** free, and handed out by address only, since it is isolated (memory.h); part of free */
	uint64_t isolated;
	/** in wholly free 2 MiB blocks that ramka_report_free told of (memory.h); part of free */
	uint64_t reported;
	/** broken: RAMKA_BAD regions, and ramka_frame_set_bad once the frame has left; part of reserved */
	uint64_t bad;
};

/**
 * Exact at quiescence. Beside other calls it is a snapshot: each figure may be old, and a frame on its way
 * from one place to the next counts in one of them. `allocs` leaves out what a call in progress may have
 * moved half-way, so it may be too low by some hundreds, and is never more than there were. Counts of a CPU's
 * cache are right if the CPU refills or flushes once in 2^48 puts. Reads the block entries, and the bitmap of
 * partly used blocks; the time depends on the memory and not on its holes. Any context, wait-free.
 */
RAMKA_API void ramka_stats_read(const struct ramka *r, struct ramka_stats *ret_s);

RAMKA_END_DECLS

#endif
