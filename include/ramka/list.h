/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Intrusive lists of unique frames. The owner metadata of a listed frame begins with a struct ramka_link. A
 * list owns its frames. One thread at a time uses one list; `contains` alone may race with other lists.
 * All operations O(1) but fini. Not for interrupts that share the list.
 */
#ifndef RAMKA_LIST_H
#define RAMKA_LIST_H

#include <ramka/unique.h>

RAMKA_BEGIN_DECLS

struct ramka_link { struct ramka_unique *next, *prev; };

/**
 * The struct is complete, so that the caller can have one; its fields are private. It must not be copied
 * while in use.
 */
struct ramka_list {
	struct ramka *r;
	struct ramka_unique *front, *back;
	size_t size;
	uint32_t id; /**< never 0, never used twice */
};

/** A position: a frame, or the one ghost position between back and front. */
struct ramka_cursor {
	struct ramka_list *list;
	struct ramka_unique *at; /**< NULL at the ghost */
};

/**
 * Takes an id. @return 0; RAMKA_E_INVAL: NULL; RAMKA_E_NOMEM: ids used up (2^32 - 1 per instance);
 * RAMKA_E_UNSUPPORTED: no room for a link in cfg.meta_size.
 */
RAMKA_API int ramka_list_init(struct ramka *r, struct ramka_list *l);
/**
 * Frees the frames that it holds. The list may be initialised again; any other use of it, or of a cursor that
 * is still at it, is a programmer error from now on: panic.
 */
RAMKA_API void ramka_list_fini(struct ramka_cpu *cpu, struct ramka_list *l);
RAMKA_API size_t ramka_list_size(const struct ramka_list *l);

/**
 * The list owns u afterwards. A frame that is not unique, in a list already, or whose type has no room for a
 * link: panic, u stays the caller's.
 */
RAMKA_API void ramka_list_push_front(struct ramka_list *l, struct ramka_unique *u);
RAMKA_API void ramka_list_push_back(struct ramka_list *l, struct ramka_unique *u);
/** The caller owns the result; NULL when empty. */
RAMKA_API struct ramka_unique *ramka_list_pop_front(struct ramka_list *l);
RAMKA_API struct ramka_unique *ramka_list_pop_back(struct ramka_list *l);

/** Is the frame at `pa` in this list? One relaxed load of its marker; false on a bad address. */
RAMKA_API bool ramka_list_contains(const struct ramka_list *l, ramka_paddr_t pa);
/** A cursor at the frame at `pa`; false, *ret_c untouched, if it is not in this list. */
RAMKA_API bool ramka_list_cursor_at(struct ramka_list *l, ramka_paddr_t pa, struct ramka_cursor *ret_c);
RAMKA_API struct ramka_cursor ramka_list_cursor_front(struct ramka_list *l);
RAMKA_API struct ramka_cursor ramka_list_cursor_back(struct ramka_list *l);

RAMKA_API void ramka_cursor_next(struct ramka_cursor *c);
RAMKA_API void ramka_cursor_prev(struct ramka_cursor *c);
/** The owner's metadata after the link; NULL at the ghost. */
RAMKA_API void *ramka_cursor_meta(struct ramka_cursor *c);
/** Removes the frame and moves to the next; the caller owns it. NULL at the ghost. */
RAMKA_API struct ramka_unique *ramka_cursor_take(struct ramka_cursor *c);
/** Before the cursor's frame; at the ghost: push back. The list owns u afterwards. */
RAMKA_API void ramka_cursor_insert_before(struct ramka_cursor *c, struct ramka_unique *u);

RAMKA_END_DECLS

#endif
