/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What the embedder tells ramka at set-up: the memory map, the CPUs and the callbacks.
 */
#ifndef RAMKA_CONFIG_H
#define RAMKA_CONFIG_H

#include <ramka/types.h>

/**
 * Kind of a region. Where regions overlap, the more restrictive kind wins, in the order MMIO, BAD, KERNEL,
 * RESERVED, RECLAIMABLE, DETACHED, USABLE. A frame that two regions share belongs to the more restrictive
 * one. At a hole USABLE, DETACHED and RECLAIMABLE regions shrink to whole frames; the others grow.
 */
enum ramka_region_kind {
	RAMKA_USABLE,      /**< FREE: handed out by alloc */
	RAMKA_DETACHED,    /**< UNUSED: claimable by address only, never handed out by alloc */
	RAMKA_RECLAIMABLE, /**< as reserved, until ramka_add_memory makes it usable */
	/**
	 * SHARED(1) of ramka_type_reserved: IN_USE; far from all memory: no frames, see ramka_metadata_size
	 */
	RAMKA_RESERVED,
	RAMKA_BAD,         /**< SHARED(1) of ramka_type_unusable; the same */
	RAMKA_KERNEL,      /**< SHARED(1) of ramka_type_kernel; the same */
	RAMKA_MMIO         /**< no frames here: OUT_OF_BOUND, as holes are */
};

struct ramka_region {
	ramka_paddr_t base; /**< bytes; need not be aligned */
	uint64_t size;      /**< bytes; a region of 0 bytes is ignored, whatever its other fields say */
	enum ramka_region_kind kind;
	/** NUMA node, 0..65534; two usable regions of different nodes must not overlap */
	uint32_t node;
};

/**
 * Grace periods, by polling. Linux: get_state_synchronize_rcu / poll_state_synchronize_rcu. See rcu.h for a
 * freestanding backend and for an adapter to `call_rcu`.
 */
struct ramka_rcu_ops {
	/** Gives the cookie of a grace period that starts after this call. Any context. */
	uint64_t (*snapshot)(void *ctx);
	/**
	 * Has the grace period ended? Never blocks; any context. Once a cookie has elapsed, all cookies that
	 * were taken before it have elapsed.
	 */
	bool (*elapsed)(void *ctx, uint64_t cookie);
	/** Waits until it has ended. NULL where waiting is never allowed. */
	void (*wait)(void *ctx, uint64_t cookie);
	void (*expedite)(void *ctx);                     /**< asks for an early end; may be NULL */
	/** Given to each call. What comes after it came later: initialisers by position stay right. */
	void *ctx;
	/**
	 * Waits for some milliseconds at most, as the source decides, then says whether the grace period has
	 * ended. RAMKA_ALLOC_WAIT uses it, since a request must be answered even if a reader never ends.
	 * NULL: RAMKA_ALLOC_WAIT calls `wait`, and the request is answered when the readers have ended. If
	 * `wait` is NULL as well, it asks `elapsed` a few hundred times.
	 */
	bool (*wait_bounded)(void *ctx, uint64_t cookie);
	/**
	 * Tells a source that counts CPUs that it need not wait for CPU `cpu` (ramka_cpu_at). The caller of
	 * ramka_reclaim(cpu, true), or of a request with RAMKA_ALLOC_WAIT, is about to wait on that CPU and
	 * holds no reference to a deferred frame. `nr_cpus` is the number of CPUs of the instance. A source
	 * whose readers are not these CPUs must not take `cpu` for one of its own readers. Never called for
	 * ramka_cpu_none. May be NULL.
	 */
	void (*quiescent)(void *ctx, unsigned cpu, unsigned nr_cpus);
};

/* ramka_config.flags */
#define RAMKA_NO_DIRECT_MAP 1u    /**< the core cannot reach contents; requests must be RAMKA_ALLOC_UNINIT */
/**
 * The metadata memory is all zeroes already, and that of holes is once it is backed. Unused slots then stay
 * untouched.
 */
#define RAMKA_METADATA_ZEROED 2u
/** a reference count at its top saturates silently instead of reporting a bug */
#define RAMKA_REF_SATURATE 4u
/** hands out the frames of a block in random order, see seed; for hardening, at the cost of locality */
#define RAMKA_SHUFFLE 8u
/**
 * Caches every freed base frame, wherever it lies: for pools and VMMs that want frames fast and no
 * contiguity. Free memory waits in magazines, 5 bytes of metadata for each frame of the usable and
 * reclaimable regions. Memory that is added to holes later may exceed these; the rest goes to the zones.
 * ramka_stats.cached is then most of ramka_stats.free. A request for a larger frame that the zones cannot
 * serve drains all of it.
 */
#define RAMKA_CACHE_ALL 16u

/*
 * Diagnosis, see docs/looking.md for what each costs. They cost nothing when they are off. With one of the
 * first three the caches are used but no call is served by the inlined paths.
 */
/**
 * Remember for each base frame who allocated it and who freed it: ramka_frame_history, ramka_bug.history. 16
 * bytes a base frame.
 */
#define RAMKA_TRACE 0x100u
/**
 * Fill freed frames with 0xd7; a frame that changed while it was free is reported when it is allocated, and
 * leaked.
 */
#define RAMKA_POISON 0x200u
/** Clear frames when they are freed. With RAMKA_POISON they are poisoned instead. */
#define RAMKA_INIT_ON_FREE 0x400u
/** Each freed frame waits for a grace period before it is reused, first in, first out: needs `rcu`. */
#define RAMKA_QUARANTINE 0x800u
/**
 * A child that is a page-table node must be of the level below its parent and of the same configuration. Else
 * it is reported when the parent is freed, and leaked. Not for trees of another shape, whose decoders give
 * nodes as children of level 1.
 */
#define RAMKA_CHECK_LEVELS 0x1000u

/**
 * The flags that find misuse or hinder an attack and together cost at most a tenth of a free and an
 * allocation. A build with -Dhardened=true (-DRAMKA_HARDENED) has them in every instance. docs/looking.md has
 * the cost of each flag, and says which were left out.
 */
#define RAMKA_HARDENING (RAMKA_SHUFFLE | RAMKA_CHECK_LEVELS)

struct ramka_early;

/**
 * Told about each frame, as a memory checker wants to be: kasan, AddressSanitizer, valgrind. Called in the
 * context of the call.
 */
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
	/** node of each CPU, 0..65534; NULL: all on node 0; read during init only */
	const uint32_t *cpu_node;
	/** owner metadata per base frame, bytes, 0..240; 0 = default, RAMKA_META_NONE = none */
	uint32_t meta_size;
	/** virtual address = direct_map + paddr; ignored with RAMKA_NO_DIRECT_MAP */
	uintptr_t direct_map;
	uint32_t flags;
	const struct ramka_rcu_ops *rcu;    /**< copied; NULL: put_rcu answers UNSUPPORTED */
	/**
	 * An asymmetric barrier: membarrier(2), or an IPI to all CPUs. Returns true once every CPU has
	 * executed a full memory barrier since the call began. Returns false where the context cannot do
	 * that, for example with interrupts off; other CPUs' caches are then left alone. Called outside any
	 * CPU section, perhaps by several CPUs at once. NULL: other CPUs are never drained.
	 */
	bool (*barrier_all_cpus)(void *ctx);
	/**
	 * Called for each programmer error, outside any CPU section. It may return, halt, or longjmp, but not
	 * longjmp out of an on_drop, since the drops that wait for their turn would never run. If it returns,
	 * the operation has no lasting effect, and a frame that can no longer be trusted is leaked. NULL: a
	 * trap instruction.
	 */
	void (*panic)(void *ctx, const struct ramka_bug *bug);
	/**
	 * Called when free memory fell below low_watermark, by the allocating call, outside its section. It
	 * may allocate and free, and it must return. Until it returns it is not called again, on any CPU;
	 * after that only once free memory rose above high_watermark and fell again. With several nodes
	 * each node has its part of the watermarks, and is told of as well. May be NULL.
	 */
	void (*low_memory)(void *ctx, uint64_t free_frames);
	/** Base frames. 0 = 1/128 of the memory, and 5/4 of min_watermark at least. */
	uint64_t low_watermark;
	/** base frames that may be deferred on each CPU; 0 = frames / 64 / nr_cpus, 16 to 4096; see rcu.h */
	uint64_t high_water;
	void *ctx;                          /**< first argument of the callbacks */
	/** The early allocator (early.h). ramka_init takes over what it handed out. NULL: there is none. */
	struct ramka_early *early;
	/**
	 * With RAMKA_SHUFFLE the order of the frames is derived from this value, for instance 64 bits of the
	 * machine's entropy. 0: from the address of the metadata, which is the same at each boot on many
	 * machines.
	 */
	uint64_t seed;
	/**
	 * A check for bring-up that finds the commonest mistake: a handle that another CPU, or two threads,
	 * use. It returns the id of the CPU that the caller is on. `used` is the id of the handle; return
	 * that where any caller may use the handle. A call with the handle of another CPU reports it and does
	 * nothing; ramka_bug.value is then the handle's id, and `expected` the caller's. ramka_cpu_offline
	 * does not ask: any thread may call it for a CPU that no thread uses. NULL: no check and no cost.
	 * With a check no call takes the inlined paths, and freed frames go past the cache, which is a few
	 * times slower.
	 */
	unsigned (*this_cpu)(void *ctx, unsigned used);
	const struct ramka_watch *watch;    /**< copied; NULL: no checker, at no cost */
	/**
	 * The reserve, in base frames. With no more than these free in the zones, only requests with
	 * RAMKA_ALLOC_RESERVE take any. Frames that CPUs have in their caches serve every request. How
	 * exact it is: docs/contexts.md. 0: no reserve.
	 */
	uint64_t min_watermark;
	/** Base frames. Above it memory is no longer low. 0 = low_watermark and half of it. */
	uint64_t high_watermark;
	/**
	 * Called when free memory rose above high_watermark after a call of low_memory, by the call that
	 * frees or allocates. What holds for low_memory holds here. May be NULL.
	 */
	void (*enough_memory)(void *ctx, uint64_t free_frames);
	/**
	 * Called when a request for `wanted` base frames is about to fail, outside any section, in the
	 * context of the request. It frees what the embedder can do without and returns how many base
	 * frames that were, those put by ramka_frame_put_rcu included; 0: none. Called up to four times for
	 * a request. A request that it makes on the same CPU does not call it again. It must return. May be
	 * NULL.
	 */
	uint64_t (*shrink)(void *ctx, uint64_t wanted);
	/**
	 * The most base frames that a CPU keeps back from the zones, in its caches, its part of the depot and
	 * its mail. They count as free, and a request that would fail finds them. 0: the bound follows the
	 * memory. It is about an eighth of the CPU's share of it while only base frames are used, and at most
	 * half with all orders; on large memory it is some 4,000 base frames and 17,000 in all. Less than 256
	 * means 256. A small bound costs speed where CPUs free many frames in a row, or free what others
	 * allocated. Deferred frames are bounded by high_water.
	 */
	uint64_t cache_frames;
};

#endif
