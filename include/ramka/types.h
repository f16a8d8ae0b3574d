/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Basic types and constants that every other header of ramka uses.
 *
 * A *frame* is 2^order contiguous, naturally aligned base frames of 4 KiB. A `struct ramka_frame *` is a
 * counted handle: a pointer to the metadata slot of the frame's first base frame. A `struct ramka_unique *`
 * points to the same slot but is the only handle there is.
 */
#ifndef RAMKA_TYPES_H
#define RAMKA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 8
# error "ramka needs 64-bit pointers and 64-bit atomic operations"
#endif

#ifdef __cplusplus
# define RAMKA_STATIC_ASSERT(cond, text) static_assert(cond, text)
# define RAMKA_ALIGNOF(type) alignof(type)
# define RAMKA_ALIGNAS(n) alignas(n)
# define RAMKA_BEGIN_DECLS extern "C" {
# define RAMKA_END_DECLS }
#else
# define RAMKA_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
# define RAMKA_ALIGNOF(type) _Alignof(type)
# define RAMKA_ALIGNAS(n) _Alignas(n)
# define RAMKA_BEGIN_DECLS
# define RAMKA_END_DECLS
#endif

/** Marks what the shared library exports. A kernel that compiles the sources may define it empty. */
#ifndef RAMKA_API
# define RAMKA_API __attribute__((visibility("default")))
#endif

/** A physical address, in bytes. */
typedef uint64_t ramka_paddr_t;

#define RAMKA_PAGE_SHIFT 12u
#define RAMKA_PAGE_SIZE 4096u         /**< bytes of a base frame */
#define RAMKA_HUGE_ORDER 9            /**< 2 MiB, one block of the zone bitmap */
#define RAMKA_MAX_ORDER 18            /**< 1 GiB */
#define RAMKA_META_SIZE_DEFAULT 48    /**< owner metadata per base frame, bytes */
#define RAMKA_META_SIZE_MAX 240
#define RAMKA_META_ALIGN_MAX 16
#define RAMKA_META_NONE UINT32_MAX    /**< cfg.meta_size: no owner metadata at all */

struct ramka;        /* an instance */
struct ramka_cpu;    /* one CPU of it */
struct ramka_frame;  /* shared handle */
struct ramka_unique; /* unique handle */
struct ramka_type;   /* kind of a frame, see type.h */

/** What a base frame is at the moment. docs/architecture.md shows how one state becomes another. */
enum ramka_state {
	RAMKA_STATE_HOLE,      /**< no frame here (hole or MMIO) */
	RAMKA_STATE_UNUSED,    /**< no owner; claimable by address only */
	RAMKA_STATE_FREE,      /**< in a zone's bitmap */
	RAMKA_STATE_CACHED,    /**< free, in a CPU's cache or in the depot */
	RAMKA_STATE_UNIQUE,    /**< one owner */
	RAMKA_STATE_SHARED,    /**< counted references */
	RAMKA_STATE_TAIL,      /**< not the first base frame of a frame of order > 0 */
	RAMKA_STATE_DEFERRED,  /**< last reference gone, waits for a grace period */
	RAMKA_STATE_BUSY,      /**< being built or torn down */
	RAMKA_STATE_RESERVED,  /**< boot-time reserved, kernel, bad or metadata */
	RAMKA_STATE_SATURATED, /**< reference count overflowed: never freed again */
	RAMKA_STATE_ISOLATED   /**< free, in memory that is isolated: handed out by address only */
};

#define RAMKA_NO_CPU 0xffffu          /**< ramka_history: a call on the cache-less handle */

/**
 * Who allocated a base frame last and who gave up its last reference, see RAMKA_TRACE. All zeroes: it never
 * happened.
 */
struct ramka_history {
	uintptr_t allocated_by; /**< address to which the allocating function returned */
	uintptr_t freed_by;     /**< the same of the function that gave up the last reference */
	uint16_t allocated_on;  /**< CPU + 1; 0: never; RAMKA_NO_CPU; 0xfffe: CPU 65533 or a higher one */
	uint16_t freed_on;      /**< the same */
};

/** A programmer error, as the panic function gets it. It lies on the caller's stack. */
struct ramka_bug {
	const char *operation;         /**< public function, e.g. "ramka_frame_put" */
	const char *what;              /**< what is wrong, one line */
	/** the frame concerned, or an address without a frame; 0 where there is neither */
	ramka_paddr_t paddr;
	uint64_t ref;                  /**< its raw state word; 0 where there is no frame */
	enum ramka_state state;        /**< its state, decoded; HOLE where there is no frame */
	/** its type, or of a free one the last that it had; NULL where there is no frame */
	const struct ramka_type *type;
	/**
	 * The argument that is wrong, by its name in the header; "f" is also the frame that a list, a cursor,
	 * a segment or an array leads to. NULL: none in particular.
	 */
	const char *argument;
	/** of that argument: an address, a number, or a pointer, also one that is no slot at all */
	uint64_t value;
	/** what the argument should have been, where one value is right; else 0 */
	uint64_t expected;
	struct ramka_history history;  /**< of the frame; all zeroes without RAMKA_TRACE */
};

#endif
