/* SPDX-License-Identifier: MIT */
/*
 * Intrusive lists of unique frames. The link lies at the start of the owner metadata; membership is the list
 * id in the slot's info word. Only the holder of the list writes that id, and only into frames that the list
 * owns. So `contains` is one relaxed load: a stale or foreign value only compares unequal. A list takes its
 * id at init (0 = in no list), and clears it in a frame before the frame leaves. May use alloc.h, argument.h,
 * contracts.h.
 */
#include "alloc.h"
#include "argument.h"
#include "contracts.h"

#define INFO_LIST_MASK ((uint64_t)UINT32_MAX << INFO_LIST_SHIFT)

static struct ramka_link *link_of(const struct ramka_list *l, const struct ramka_unique *u)
{
	return slot_meta(l->r, slot_of(u));
}

static void set_list(struct ramka_unique *u, uint32_t id)
{
	slot_change_info(slot_of(u), slot_info(slot_of(u)) & INFO_LIST_MASK, (uint64_t)id << INFO_LIST_SHIFT);
}

int ramka_list_init(struct ramka *r, struct ramka_list *l)
{
	uint32_t id;

	if (!r || !l)
		return RAMKA_E_INVAL;
	if (r->meta_size < sizeof(struct ramka_link) || r->meta_size % RAMKA_ALIGNOF(struct ramka_link))
		return RAMKA_E_UNSUPPORTED;
	id = ramka_load(&r->list_ids, relaxed, list.id);
	do
		if (id == UINT32_MAX)
			return RAMKA_E_NOMEM;
	while (!ramka_cas(&r->list_ids, &id, id + 1, relaxed, list.id));
	*l = (struct ramka_list){ .r = r, .id = id + 1 };
	return 0;
}

size_t ramka_list_size(const struct ramka_list *l)
{
	return l->size;
}

/* Is it a list? Id 0 says that it was never initialised, or that it ended. Else reports. */
static bool list_ok(const struct ramka_list *l, const char *operation)
{
	if (likely(l->id))
		return true;
	if (!l->r) /* no instance to report to */
		__builtin_trap();
	instance_bug_argument(l->r, operation, "list is not initialised", "l", (uintptr_t)l, 0);
	return false;
}

/*
 * Is u marked as one of this list? Else reports: its frame left the list, or the list's own words were
 * overwritten.
 */
static bool listed(const struct ramka_list *l, const struct ramka_unique *u, const char *operation)
{
	const struct ramka_frame *f = slot_of(u);

	if (!frame_pointer_ok(l->r, f, operation))
		return false;
	if (likely(slot_ref(f) == REF_UNIQUE && info_list(slot_info(f)) == l->id))
		return true;
	instance_bug(l->r, operation, "frame is not in its list", f, slot_ref(f));
	return false;
}

/*
 * Are prev and next, either of which may be NULL for the end, neighbours in the list? Else reports: an
 * insertion would write into the metadata of another owner's frame.
 */
static bool neighbours(const struct ramka_list *l, const struct ramka_unique *prev,
		       const struct ramka_unique *next, const char *operation)
{
	if ((prev && !listed(l, prev, operation)) || (next && !listed(l, next, operation)))
		return false;
	if (likely((prev ? link_of(l, prev)->next : l->front) == next) &&
	    likely((next ? link_of(l, next)->prev : l->back) == prev))
		return true;
	instance_bug_argument(l->r, operation, "the list or a link in it was overwritten", "l", (uintptr_t)l,
			      0);
	return false;
}

/* May u be inserted into l, between these two? Else reports. */
static bool insertable(const struct ramka_list *l, const struct ramka_unique *u,
		       const struct ramka_unique *prev, const struct ramka_unique *next,
		       const char *operation)
{
	const struct ramka_frame *f = slot_of(u);
	const struct ramka_type *type;

	if (!list_ok(l, operation) || !unique_argument_ok(l->r, u, false, operation))
		return false;
	type = type_by_id(l->r, info_type(slot_info(f)));
	if (!type || type->meta_size < sizeof(struct ramka_link)) {
		instance_bug_of(l->r, operation, "frame's type has no room for a link", "u", f, slot_ref(f));
		return false;
	}
	return neighbours(l, prev, next, operation) &&
	       contract_begin(l->r, f, STEP_LIST, operation); /* insert commits */
}

/* Between prev and next, either of which may be NULL: the end. */
static void insert(struct ramka_list *l, struct ramka_unique *u, struct ramka_unique *prev,
		   struct ramka_unique *next, const char *operation)
{
	*link_of(l, u) = (struct ramka_link){ .next = next, .prev = prev };
	if (prev)
		link_of(l, prev)->next = u;
	else
		l->front = u;
	if (next)
		link_of(l, next)->prev = u;
	else
		l->back = u;
	l->size++;
	set_list(u, l->id);
	contract_commit(l->r, slot_of(u), STEP_LIST, operation);
}

/* Do both neighbours agree with the link of u? Owner metadata is the embedder's to write, also by mistake. */
static bool linked(const struct ramka_list *l, const struct ramka_unique *u, const struct ramka_link *link)
{
	if (link->prev ? !slot_valid(l->r, slot_of(link->prev)) || link_of(l, link->prev)->next != u :
			 l->front != u)
		return false;
	return link->next ? slot_valid(l->r, slot_of(link->next)) && link_of(l, link->next)->prev == u :
			    l->back == u;
}

/* u is in the list: by its place in it and by its marker. */
static struct ramka_unique *list_take(struct ramka_list *l, struct ramka_unique *u, const char *operation)
{
	struct ramka_link *link;

	if (!contract_begin(l->r, slot_of(u), STEP_UNLIST, operation))
		return NULL;
	link = link_of(l, u);
	if (unlikely(!linked(l, u, link))) {
		contract_abort(l->r, slot_of(u));
		instance_bug_of(
			l->r, operation,
			"the link in the frame's metadata was overwritten: the frame stays in the list", "u",
			slot_of(u), slot_ref(slot_of(u)));
		return NULL;
	}
	if (link->prev)
		link_of(l, link->prev)->next = link->next;
	else
		l->front = link->next;
	if (link->next)
		link_of(l, link->next)->prev = link->prev;
	else
		l->back = link->prev;
	*link = (struct ramka_link){ 0 };
	l->size--;
	set_list(u, 0);
	contract_commit(l->r, slot_of(u), STEP_UNLIST, operation);
	return u;
}

void ramka_list_push_front(struct ramka_list *l, struct ramka_unique *u)
{
	static const char operation[] = "ramka_list_push_front";

	if (insertable(l, u, NULL, l->front, operation))
		insert(l, u, NULL, l->front, operation);
}

void ramka_list_push_back(struct ramka_list *l, struct ramka_unique *u)
{
	static const char operation[] = "ramka_list_push_back";

	if (insertable(l, u, l->back, NULL, operation))
		insert(l, u, l->back, NULL, operation);
}

/* The frame at an end of the list, or NULL: empty, no list, or reported since its marker says otherwise. */
static struct ramka_unique *pop_end(struct ramka_list *l, struct ramka_unique *end, const char *operation)
{
	if (!list_ok(l, operation) || !end || !listed(l, end, operation))
		return NULL;
	return list_take(l, end, operation);
}

struct ramka_unique *ramka_list_pop_front(struct ramka_list *l)
{
	return pop_end(l, l->front, "ramka_list_pop_front");
}

struct ramka_unique *ramka_list_pop_back(struct ramka_list *l)
{
	return pop_end(l, l->back, "ramka_list_pop_back");
}

void ramka_list_fini(struct ramka_cpu *cpu, struct ramka_list *l)
{
	static const char operation[] = "ramka_list_fini";
	struct ramka_unique *u;

	if (!list_ok(l, operation) || !cpu_argument_ok(cpu, operation))
		return;
	if (cpu->r != l->r) { /* its frames would leave the list and not be freed */
		instance_bug_argument(l->r, operation, "the handle and the list are of two instances", "cpu",
				      (uintptr_t)cpu, 0);
		return;
	}
	while ((u = pop_end(l, l->front, operation)))
		ramka_unique_free(cpu, u);
	*l = (struct ramka_list){ .r = l->r };
}

bool ramka_list_contains(const struct ramka_list *l, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	return l->id && !instance_slot(l->r, pa, &f) && info_list(slot_info(f)) == l->id;
}

bool ramka_list_cursor_at(struct ramka_list *l, ramka_paddr_t pa, struct ramka_cursor *ret_c)
{
	struct ramka_frame *f;

	if (!list_ok(l, "ramka_list_cursor_at") || !ramka_list_contains(l, pa) || instance_slot(l->r, pa, &f))
		return false;
	*ret_c = (struct ramka_cursor){ l, unique_of(f) };
	return true;
}

struct ramka_cursor ramka_list_cursor_front(struct ramka_list *l)
{
	return (struct ramka_cursor){ l, list_ok(l, "ramka_list_cursor_front") ? l->front : NULL };
}

struct ramka_cursor ramka_list_cursor_back(struct ramka_list *l)
{
	return (struct ramka_cursor){ l, list_ok(l, "ramka_list_cursor_back") ? l->back : NULL };
}

/* A cursor is a programmer error once its frame has left the list, or its list has ended. */
static bool cursor_ok(const struct ramka_cursor *c, const char *operation)
{
	return list_ok(c->list, operation) && (!c->at || listed(c->list, c->at, operation));
}

void ramka_cursor_next(struct ramka_cursor *c)
{
	if (cursor_ok(c, "ramka_cursor_next"))
		c->at = c->at ? link_of(c->list, c->at)->next : c->list->front;
}

void ramka_cursor_prev(struct ramka_cursor *c)
{
	if (cursor_ok(c, "ramka_cursor_prev"))
		c->at = c->at ? link_of(c->list, c->at)->prev : c->list->back;
}

void *ramka_cursor_meta(struct ramka_cursor *c)
{
	if (!cursor_ok(c, "ramka_cursor_meta") || !c->at)
		return NULL;
	return link_of(c->list, c->at) + 1;
}

struct ramka_unique *ramka_cursor_take(struct ramka_cursor *c)
{
	struct ramka_unique *u = c->at, *next;

	if (!cursor_ok(c, "ramka_cursor_take") || !u)
		return NULL;
	next = link_of(c->list, u)->next;
	u = list_take(c->list, u, "ramka_cursor_take");
	if (u)
		c->at = next;
	return u;
}

void ramka_cursor_insert_before(struct ramka_cursor *c, struct ramka_unique *u)
{
	static const char operation[] = "ramka_cursor_insert_before";
	struct ramka_unique *prev;

	if (!cursor_ok(c, operation))
		return;
	prev = c->at ? link_of(c->list, c->at)->prev : c->list->back;
	if (insertable(c->list, u, prev, c->at, operation))
		insert(c->list, u, prev, c->at, operation);
}
