/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What the embedder tells ramka at set-up: the memory map, the CPUs, and a handful of callbacks.
 */
#ifndef RAMKA_CONFIG_H
#define RAMKA_CONFIG_H

#include <ramka/types.h>

/**
 * Kind of a region. Where regions overlap the more restrictive kind wins, in the order MMIO, BAD, KERNEL,
 * RESERVED, RECLAIMABLE, DETACHED, USABLE. A partly covered frame belongs to the more restrictive side; at a hole
 * USABLE, DETACHED and RECLAIMABLE round inward, the others outward.
 */
enum ramka_region_kind {
	RAMKA_USABLE,      /**< FREE: handed out by alloc */
	RAMKA_DETACHED,    /**< UNUSED: claimable by address only, never handed out by alloc */
	RAMKA_RECLAIMABLE, /**< as reserved, until ramka_add_memory makes it usable */
	RAMKA_RESERVED,    /**< SHARED(1) of ramka_type_reserved: IN_USE; far from all memory: no frames, see ramka_metadata_size */
	RAMKA_BAD,         /**< SHARED(1) of ramka_type_unusable; the same */
	RAMKA_KERNEL,      /**< SHARED(1) of ramka_type_kernel; the same */
	RAMKA_MMIO         /**< no frames here: OUT_OF_BOUND, as holes are */
};

struct ramka_region {
	ramka_paddr_t base; /**< bytes; need not be aligned */
	uint64_t size;      /**< bytes; a region of 0 bytes is ignored, whatever its other fields say */
	enum ramka_region_kind kind;
	uint32_t node;      /**< NUMA node, 0..65534; two usable regions of different nodes must not overlap */
};

/**
 * Grace periods, by polling. Linux: get_state_synchronize_rcu / poll_state_synchronize_rcu. See rcu.h for a
 * freestanding backend and for an adapter to `call_rcu`.
 */
struct ramka_rcu_ops {
	uint64_t (*snapshot)(void *ctx);                 /**< cookie of a grace period that starts after this call; any context */
	/** Has it ended? Never blocks; any context. Once a cookie has elapsed, all that were taken before it have. */
	bool (*elapsed)(void *ctx, uint64_t cookie);
	void (*wait)(void *ctx, uint64_t cookie);        /**< until it has; NULL where waiting is never allowed */
	void (*expedite)(void *ctx);                     /**< please hurry; optional */
	void *ctx;
	/**
	 * Waits for a while only (the backend decides: milliseconds), then says whether it has ended. Used by
	 * RAMKA_ALLOC_WAIT, which must answer even if a reader never ends. NULL: RAMKA_ALLOC_WAIT calls `wait`, and answers
	 * when the readers have ended; without `wait` too it asks `elapsed` a few hundred times.
	 */
	bool (*wait_bounded)(void *ctx, uint64_t cookie);
	/**
	 * The caller of ramka_reclaim(cpu, true) or of a request with RAMKA_ALLOC_WAIT uses CPU `cpu` (ramka_cpu_at) and is
	 * about to wait; it holds no reference to a deferred frame. For sources that count CPUs: they need not wait for this
	 * one. `nr_cpus` is the number of CPUs of the instance: a source whose readers are other things than these CPUs, or more of
	 * them, must not take the number for one of its own. Never called for ramka_cpu_none. Optional.
	 */
	void (*quiescent)(void *ctx, unsigned cpu, unsigned nr_cpus);
};

/* ramka_config.flags */
#define RAMKA_NO_DIRECT_MAP 1u    /**< contents cannot be reached: requests must be RAMKA_ALLOC_UNINIT */
/** The metadata memory is all zeroes already, that of holes too once it is backed: slots that nobody uses stay untouched. */
#define RAMKA_METADATA_ZEROED 2u
#define RAMKA_REF_SATURATE 4u     /**< a reference count at its top saturates silently instead of reporting a bug */
#define RAMKA_SHUFFLE 8u          /**< hand out frames of a block in random order, see seed (hardening; costs locality) */

/*
 * Diagnosis, see docs/looking.md for what each costs. They cost nothing when they are off. With one of the first three the caches
 * are used but no call is served by the inlined paths.
 */
/** Remember for each base frame who allocated it and who freed it: ramka_frame_history, ramka_bug.history. 16 bytes a base frame. */
#define RAMKA_TRACE 0x100u
/** Fill freed frames with 0xd7; a frame that changed while it was free is reported when it is allocated, and leaked. */
#define RAMKA_POISON 0x200u
/** Clear frames when they are freed. With RAMKA_POISON they are poisoned instead. */
#define RAMKA_INIT_ON_FREE 0x400u
/** Each freed frame waits for a grace period before it is reused, first in, first out: needs `rcu`. */
#define RAMKA_QUARANTINE 0x800u
/**
 * A child that is a page-table node must be of the level below its parent and of the same configuration. Else it is reported when
 * the parent is freed, and leaked. Not for trees of another shape, whose decoders give nodes as children of level 1.
 */
#define RAMKA_CHECK_LEVELS 0x1000u

struct ramka_early;

/** Told about each frame, as a memory checker wants to be: kasan, AddressSanitizer, valgrind. Called in the context of the call. */
struct ramka_watch {
	/** The frame is being handed out; the library touches its content only after this. Optional. */
	void (*allocated)(void *ctx, ramka_paddr_t pa, unsigned order);
	/** The frame is free; the library touches its content no more. Optional. */
	void (*freed)(void *ctx, ramka_paddr_t pa, unsigned order);
};

struct ramka_config {
	const struct ramka_region *regions; /**< any order, overlaps allowed; read during init only */
	size_t nr_regions;
	unsigned nr_cpus;
	const uint32_t *cpu_node;           /**< node of each CPU, 0..65534; NULL: all on node 0; read during init only */
	uint32_t meta_size;                 /**< owner metadata per base frame, bytes, 0..240; 0 = default, RAMKA_META_NONE = none */
	uintptr_t direct_map;               /**< virtual address = direct_map + paddr; ignored with RAMKA_NO_DIRECT_MAP */
	uint32_t flags;
	const struct ramka_rcu_ops *rcu;    /**< copied; NULL: put_rcu answers UNSUPPORTED */
	/**
	 * Asymmetric barrier: membarrier(2) or an IPI to all CPUs. True once every CPU has executed a full memory
	 * barrier since the call began; false where this context cannot (interrupts off): other CPUs' caches are
	 * then left alone. Called outside any CPU section, possibly by several CPUs at once. NULL: no remote drain.
	 */
	bool (*barrier_all_cpus)(void *ctx);
	/**
	 * Told about programmer errors. May return, not return, or longjmp: it is called outside any CPU section. Not longjmp out
	 * of an on_drop: what waits for its turn behind it would wait for ever.
	 * If it returns, the operation has no lasting effect and a frame that can no longer be trusted is leaked.
	 * NULL: trap.
	 */
	void (*panic)(void *ctx, const struct ramka_bug *bug);
	/**
	 * Free memory fell below low_watermark: called by the allocating call, outside its section. May allocate and free: what it
	 * does is told to nobody until it returns, nor what other CPUs allocate meanwhile. Must return. Optional.
	 */
	void (*low_memory)(void *ctx, uint64_t free_frames);
	uint64_t low_watermark;             /**< base frames */
	uint64_t high_water;                /**< deferred base frames per CPU; 0 = frames / 64 / nr_cpus, 16 to 4096. See rcu.h */
	void *ctx;                          /**< first argument of the callbacks */
	/** What was handed out before ramka_init, which takes it over (early.h). NULL: nothing. */
	struct ramka_early *early;
	/**
	 * RAMKA_SHUFFLE: what the order of the frames is derived from, for instance 64 bits of the machine's entropy. 0: the address of
	 * the metadata, which many machines have the same at each boot.
	 */
	uint64_t seed;
	/**
	 * A check for bring-up, of the commonest mistake: a handle that another CPU, or two threads, use. Says which CPU the caller is on,
	 * by its id; `used` is that of the handle, to be returned where any caller may use it. Calls that are given a handle of
	 * another CPU then report it (ramka_bug.value is the handle's id, `expected` the caller's) and do nothing. NULL: no check and no
	 * cost; else nothing is served by the inlined paths and freed frames go past the cache: a few times slower.
	 */
	unsigned (*this_cpu)(void *ctx, unsigned used);
	const struct ramka_watch *watch;    /**< copied; NULL: no checker, at no cost */
};

#endif
