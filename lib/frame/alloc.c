/* SPDX-License-Identifier: MIT */
/* The birth of a frame: from a FREE slot of the allocator to a handle. See alloc.h. */
#include "../base/clear.h"
#include "../base/mem.h"
#include "../base/why.h"

#include "alloc.h"
#include "contracts.h"
#include "defer.h"
#include "drop.h"

#define BULK_CHUNK 8u     /* frames that a bulk call collects at a time, on the stack */
#define SHRINK_ROUNDS 4u  /* calls of cfg.shrink for one request, as config.h says */

void frame_build(const struct ramka *r, struct ramka_frame *f, const struct type_entry *e, const void *meta,
		 unsigned order, unsigned flags, bool zero, const char *operation)
{
	if (zero)
		clear_content(slot_content(r, f), order);
	if (entry_type(e)->meta_size) {
		if (meta)
			memcpy(slot_meta(r, f), meta, entry_type(e)->meta_size);
		else
			memset(slot_meta(r, f), 0, entry_type(e)->meta_size);
	}
	slot_set_info(f, e->info | (uint64_t)order << INFO_ORDER_SHIFT | flags);
	if (CONTRACTS && !contract_stored_ensures(r, f, entry_type(e), meta))
		instance_bug(r, operation, "ensures contract_stored_ensures", f, slot_ref(f));
}

/* A request that a cache may serve: {0} but for these flags. Compared as one word. */
static bool is_plain(struct ramka_request req)
{
	static const struct ramka_request zero;

	req.flags &= (uint16_t)~REQUEST_PLAIN;
	return !memcmp(&req, &zero, sizeof(req));
}

bool request_valid(const struct ramka *r, struct ramka_request req)
{
	unsigned lifetime = req.flags & REQUEST_LIFETIMES;

	return req.order <= RAMKA_MAX_ORDER && !req.reserved && !(lifetime & (lifetime - 1)) &&
	       !(req.flags & ~REQUEST_FLAGS) &&
	       (req.flags & RAMKA_ALLOC_UNINIT || !(r->flags & RAMKA_NO_DIRECT_MAP));
}

static struct ramka_frame *ask(struct ramka_cpu *cpu, uint64_t range, struct ramka_request req)
{
	return range ? cpu_alloc_range(cpu, range, req) : cpu_alloc_slow(cpu, req);
}

/* Asks until it helps, or no deferred frame is ripe. */
static noinline struct ramka_frame *ask_all(struct ramka_cpu *cpu, uint64_t range, struct ramka_request req)
{
	struct ramka_frame *f = ask(cpu, range, req);
	struct defer_try t = { 0 };

	while (!f && defer_more(cpu, &t, req.flags & RAMKA_ALLOC_WAIT))
		f = ask(cpu, range, req);
	return f;
}

/*
 * Lets the embedder free what it can do without; false if that was nothing. It never runs on top of itself:
 * a request of cfg.shrink, or of a handler on top of it, does without. The users of the cache-less handle
 * have one at a time together.
 */
static noinline bool shrink(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req)
{
	struct ramka *r = cpu->r;
	uint64_t freed;

	if (!r->shrink || !request_possible(cpu, &req, nr) ||
	    ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))
		return false;
	freed = r->shrink(r->ctx, nr);
	probe(shrink, nr, freed);
	ramka_store(&cpu->shrinking, 0, relaxed, low.telling);
	return freed != 0;
}

struct ramka_frame *frame_take_slow(struct ramka_cpu *cpu, uint64_t range, struct ramka_request req)
{
	uint64_t nr = range ? range : (uint64_t)1 << req.order;
	struct ramka_frame *f = ask_all(cpu, range, req);

	for (unsigned i = 0; !f && i < SHRINK_ROUNDS && shrink(cpu, nr, req); i++)
		f = ask_all(cpu, range, req);
	if (!f) {
		unsigned order = range ? order_of(range) : req.order;

		ramka_add(&cpu->r->failures[order > RAMKA_MAX_ORDER ? RAMKA_MAX_ORDER : order], 1, relaxed,
			  stat);
		probe(no_memory, cpu->id, order);
	}
	return f;
}

/* Everything but a cache hit. NULL: all that may be tried has failed. */
static noinline struct ramka_frame *take_missed(struct ramka_cpu *cpu, struct ramka_request req)
{
	if (!request_valid(cpu->r, req))
		return NULL;
	if (is_plain(req)) {
		struct ramka_frame *f;

		if (cpu->r->has_rcu)
			defer_poll(cpu);
		f = cpu_alloc_refill(cpu);
		if (f)
			return f;
	}
	return frame_take_slow(cpu, 0, req);
}

noinline void frame_changed(const struct ramka *r, const struct ramka_frame *f, uint64_t ref,
			    const char *operation)
{
	if (ref == REF_FREE)
		instance_bug_content(r, operation, "a free frame's content was changed: leaked", f,
				     watch_changed(r, f, info_order(slot_info(f))));
	else
		instance_bug(r, operation, "a free frame's state word was changed: leaked", f, ref);
}

/* A FREE frame, now the caller's. */
static struct ramka_frame *take(struct ramka_cpu *cpu, struct ramka_request req, const char *operation)
{
	for (;;) {
		struct ramka_frame *f;

		if (!is_plain(req) || !cpu_alloc(cpu, &f)) {
			f = take_missed(cpu, req);
			if (!f)
				return NULL;
		}
		if (likely(frame_intact(cpu->r, f, req.order)))
			return f;
		frame_changed(cpu->r, f, frame_leak(f, req.order), operation);
	}
}

bool frame_publish(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t ref, const char *operation)
{
	enum contract_step step = ref == REF_UNIQUE ? STEP_ALLOC_UNIQUE : STEP_ALLOC;
	struct ramka *r = cpu->r;

	if (!contract_check_meta(r, f)) {
		frame_take_back(cpu, f, slot_info(f), operation);
		instance_bug(r, operation, CONTRACT_BAD_META, f, slot_ref(f));
		return false;
	}
	if (!contract_begin(r, f, step, operation)) {
		ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
		return false;
	}
	ramka_store(&f->ref, ref, release, slot.publish);
	contract_commit(r, f, step, operation);
	return true;
}

static always_inline struct ramka_frame *make_frame(struct ramka_cpu *cpu, const struct type_entry *e,
						    const void *meta, struct ramka_request req, uint64_t ref,
						    const char *operation)
{
	struct ramka *r = cpu->r;
	struct ramka_frame *f;

	if (unlikely(!(req.flags & RAMKA_ALLOC_UNINIT) && r->flags & RAMKA_NO_DIRECT_MAP))
		return NULL;
	if (!entry_type(e)->meta_size && likely(!r->watched) && !cpu->cacheless && !r->this_cpu)
		set_plain_entry(cpu, e);
	f = take(cpu, req, operation);
	if (unlikely(!f))
		return NULL;
	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT), operation);
	return frame_publish(cpu, f, ref, operation) ? f : NULL;
}

noinline struct ramka_frame *frame_new(struct ramka_cpu *cpu, const struct ramka_type *type, const void *meta,
				       struct ramka_request req, uint64_t ref, const char *operation)
{
	const struct type_entry *e = type_argument(cpu->r, type, operation);

	return likely(e) && cpu_argument_ok(cpu, operation) ? make_frame(cpu, e, meta, req, ref, operation) :
							      NULL;
}

struct ramka_frame *frame_make(struct ramka_cpu *cpu, const struct type_entry *e, const void *meta,
			       struct ramka_request req, uint64_t ref, const char *operation)
{
	return cpu_argument_ok(cpu, operation) ? make_frame(cpu, e, meta, req, ref, operation) : NULL;
}

/* The order of a request that says nothing else but RAMKA_ALLOC_UNINIT; else a number above all orders. */
static always_inline uint64_t uninit_order(struct ramka_request req)
{
	static const struct ramka_request uninit = { .flags = RAMKA_ALLOC_UNINIT };
	uint64_t asked, plain;

	_Static_assert(sizeof(req) == sizeof(asked) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		       "the order is the lowest byte");
	memcpy(&asked, &req, sizeof(req));
	memcpy(&plain, &uninit, sizeof(req));
	return asked - plain;
}

/* As frame_hit, for a frame of order 1 to 10. */
static always_inline bool run_hit(struct ramka_cpu *cpu, const struct ramka_type *type,
				  struct ramka_request req, uint64_t ref, struct ramka_frame **ret_f)
{
	const struct type_entry *e = plain_entry(cpu);
	uint64_t order = uninit_order(req);
	struct ramka_frame *f;

	if (CONTRACTS || order - 1 >= TOP_ORDER || e->same != type ||
	    unlikely(!order_pop(cpu, (unsigned)order, &f)))
		return false;
	slot_set_info(f, e->info | order << INFO_ORDER_SHIFT);
	ramka_store(&f->ref, ref, release, slot.publish);
	*ret_f = f;
	return true;
}

/* Everything but what the caches have; for the function that makes handles of this kind. */
static noinline struct ramka_frame *alloc_slow(struct ramka_cpu *cpu, const struct ramka_type *type,
					       const void *meta, struct ramka_request req, uint64_t ref,
					       uintptr_t caller)
{
	struct ramka_frame *f = frame_new(cpu, type, meta, req, ref,
					  ref == REF_UNIQUE ? "ramka_unique_alloc" : "ramka_frame_alloc");

	note_allocated_one(cpu, f, req.order, caller);
	return f;
}

noinline struct ramka_frame *frame_alloc_missed(struct ramka_cpu *cpu, const struct ramka_type *type,
						const void *meta, struct ramka_request req, uint64_t ref,
						uintptr_t caller)
{
	struct ramka_frame *f;

	if (run_hit(cpu, type, req, ref, &f))
		return f;
	return alloc_slow(cpu, type, meta, req, ref, caller);
}

struct ramka_frame *ramka_frame_alloc(struct ramka_cpu *cpu, const struct ramka_type *type, const void *meta,
				      struct ramka_request req)
{
	struct ramka_frame *f;

	if (likely(frame_hit(cpu, type, req, REF_SHARED(1), &f)))
		return f;
	return frame_alloc_missed(cpu, type, meta, req, REF_SHARED(1), CALLER);
}

/* Up to BULK_CHUNK frames. */
struct bulk {
	/* first `bad` frames, whose word was changed while they were free, then `nr` that are handed out */
	struct ramka_frame *frames[BULK_CHUNK];
	size_t nr, bad;
	bool more; /* the next chunk may have some */
};

/* May a CPU's caches serve the request? */
static bool is_cached(struct ramka_request req)
{
	bool order_cached = req.order <= TOP_ORDER;

	req.order = 0;
	return order_cached && is_plain(req);
}

/*
 * Hands out what a CPU's caches have of bare frames with this info, up to BULK_SECTION in one section; how
 * many. One of ret_frames and ret_u is NULL. It ends before a frame that is not FREE; take_bulk takes that
 * one.
 */
static always_inline size_t hand_out(struct ramka_cpu *cpu, uint64_t info, uint64_t ref, size_t want,
				     struct ramka_frame **ret_frames, struct ramka_unique **ret_u)
{
	unsigned order = info_order(info);
	const uint32_t *top;
	size_t held, i = 0;
	uint64_t hot;

	if (unlikely(!section_enter(cpu)))
		return 0;
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	held = order ? order_count(cpu, order) : HOT_COUNT(hot);
	top = (order ? cache_of(cpu)->larger_frames + order_at(order) : cache_of(cpu)->frames) + held;
	want = want < held ? want : held;
	want = want < BULK_SECTION ? want : BULK_SECTION;
	for (; i < want && i < PREFETCH_AHEAD; i++)
		__builtin_prefetch(cpu_slot(cpu, top[-1 - (ptrdiff_t)i]), 1);
	for (i = 0; i < want; i++) {
		struct ramka_frame *f = cpu_slot(cpu, *--top);

		if (i + PREFETCH_AHEAD < want)
			__builtin_prefetch(cpu_slot(cpu, top[-(ptrdiff_t)PREFETCH_AHEAD]), 1);
		if (unlikely(slot_ref(f) != REF_FREE))
			break;
		slot_set_info(f, info);
		ramka_store(&f->ref, ref, release, slot.publish);
		if (ret_u)
			ret_u[i] = unique_of(f);
		else
			ret_frames[i] = f;
	}
	if (order)
		ramka_store(&cache_of(cpu)->larger[order], (uint32_t)(held - i), relaxed, section.own);
	else
		ramka_store(&cpu->hot, hot - i, relaxed, section.own);
	section_leave(cpu);
	return i;
}

/* Takes what a CPU has of these frames in its caches; how many. The caller checks that they are FREE. */
static size_t take_cached(struct ramka_cpu *cpu, struct ramka_request req, size_t want,
			  struct ramka_frame **ret_frames)
{
	if (!is_cached(req))
		return 0;
	if (req.order)
		return order_pop_many(cpu, req.order, want, ret_frames);
	return cpu_alloc_many(cpu, want, ret_frames);
}

/* Takes frames from wherever there are some; how many. Their slots are on their way into the data cache. */
static size_t take_many(struct ramka_cpu *cpu, struct ramka_request req, size_t want,
			struct ramka_frame **ret_frames)
{
	size_t have = 0;

	while (have < want) {
		size_t n = take_cached(cpu, req, want - have, ret_frames + have);
		struct ramka_frame *f = n ? NULL : take_missed(cpu, req);

		if (f) {
			__builtin_prefetch(f, 1);
			ret_frames[have] = f;
			n = 1;
		}
		if (!n)
			break;
		have += n;
	}
	return have;
}

static void take_bulk(struct ramka_cpu *cpu, const struct type_entry *e, struct ramka_request req,
		      size_t want, uint64_t ref, const char *operation, struct bulk *b)
{
	bool zero = !(req.flags & RAMKA_ALLOC_UNINIT);
	bool bare = !CONTRACTS && !zero && !entry_type(e)->meta_size;
	uint64_t info = e->info | (uint64_t)req.order << INFO_ORDER_SHIFT;
	size_t have;

	want = want < BULK_CHUNK ? want : BULK_CHUNK;
	have = take_many(cpu, req, want, b->frames);
	b->nr = b->bad = 0;
	b->more = have == want;
	for (size_t i = 0; i < have; i++) {
		struct ramka_frame *f = b->frames[i];

		if (unlikely(!frame_intact(cpu->r, f, req.order))) {
			b->frames[b->bad + b->nr] = b->frames[b->bad]; /* a frame in front makes room */
			b->frames[b->bad++] = f;
		} else if (bare) {
			slot_set_info(f, info);
			ramka_store(&f->ref, ref, release, slot.publish);
			b->frames[b->bad + b->nr++] = f;
		} else {
			frame_build(cpu->r, f, e, NULL, req.order, 0, zero, operation);
			if (frame_publish(cpu, f, ref, operation))
				b->frames[b->bad + b->nr++] = f;
			else if (CONTRACTS)
				b->more = false; /* the next one would be refused too */
		}
	}
}

/* Reports the bad frames, after the others are the caller's, since panic may jump. */
static noinline void bulk_changed(struct ramka_cpu *cpu, const struct bulk *b, unsigned order,
				  const char *operation)
{
	for (size_t i = 0; i < b->bad; i++)
		frame_changed(cpu->r, b->frames[i], frame_leak(b->frames[i], order), operation);
}

/* Allocates handles of one kind: one of ret_frames and ret_u is NULL. */
static size_t alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type, struct ramka_request req,
			 size_t n, struct ramka_frame **ret_frames, struct ramka_unique **ret_u,
			 uintptr_t caller)
{
	const char *operation = ret_u ? "ramka_unique_alloc_bulk" : "ramka_frame_alloc_bulk";
	const struct type_entry *e = type_argument(cpu->r, type, operation);
	struct bulk b = { .more = true };
	size_t done = 0;
	uint64_t info;
	bool bare;

	if (!e || !(ret_u || ret_frames) || !request_valid(cpu->r, req) || !cpu_argument_ok(cpu, operation))
		return 0;
	info = e->info | (uint64_t)req.order << INFO_ORDER_SHIFT;
	bare = !CONTRACTS && req.flags & RAMKA_ALLOC_UNINIT && !entry_type(e)->meta_size &&
	       likely(!cpu->r->watched) && is_cached(req) &&
	       req.order <= WORD_ORDER; /* of larger ones a refill brings too few */
	while (done < n && b.more) {
		size_t got = !bare ? 0 :
			     ret_u ? hand_out(cpu, info, REF_UNIQUE, n - done, NULL, ret_u + done) :
				     hand_out(cpu, info, REF_SHARED(1), n - done, ret_frames + done, NULL);

		done += got;
		if (got)
			continue;
		/* one frame, and the caches are full again */
		take_bulk(cpu, e, req, bare ? 1 : n - done, ret_u ? REF_UNIQUE : REF_SHARED(1), operation,
			  &b);
		for (size_t i = 0; i < b.nr; i++, done++) {
			struct ramka_frame *f = b.frames[b.bad + i];

			if (ret_u)
				ret_u[done] = unique_of(f);
			else
				ret_frames[done] = f;
			note_allocated_one(cpu, f, req.order, caller);
		}
		if (unlikely(b.bad))
			bulk_changed(cpu, &b, req.order, operation);
	}
	return done;
}

size_t ramka_frame_alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type, struct ramka_request req,
			      size_t n, struct ramka_frame **ret_frames)
{
	return alloc_bulk(cpu, type, req, n, ret_frames, NULL, CALLER);
}

size_t ramka_unique_alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type, struct ramka_request req,
			       size_t n, struct ramka_unique **ret_u)
{
	return alloc_bulk(cpu, type, req, n, NULL, ret_u, CALLER);
}

/* Why a frame with this word cannot be claimed. */
static int claim_refused(uint64_t ref)
{
	switch ((enum ref_tag)ref_tag(ref)) {
	case TAG_UNIQUE:
		return RAMKA_E_UNIQUE;
	case TAG_SHARED:
		return ref_others(ref) < REF_MAX ? RAMKA_E_IN_USE : RAMKA_E_BUSY;
	case TAG_FREE: /* a tail */
	case TAG_SATURATED:
		return RAMKA_E_IN_USE;
	case TAG_UNUSED:
		return RAMKA_E_UNSUPPORTED;
	case TAG_DEFERRED:
	case TAG_BUSY:
	case TAG_NONE:
		break;
	}
	return RAMKA_E_BUSY;
}

int frame_claim(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned *ret_flags, const char *operation)
{
	struct ramka_frame *used = NULL;
	uint64_t ref = slot_ref(f);
	int rc;

	*ret_flags = 0;
	if (ref_tag(ref) == TAG_UNUSED) {
		if (!ramka_cas(&f->ref, &ref, REF_BUSY((uint64_t)0), acquire, slot.claim))
			return RAMKA_E_BUSY;
		ramka_sub(&cpu->r->unused, 1, relaxed, stat);
		*ret_flags = INFO_DETACHED;
		return 0;
	}
	if (ref_tag(ref) != TAG_FREE)
		return claim_refused(ref);
	rc = cpu_claim(cpu, f, 0, &used);
	if (!rc && unlikely(cpu->r->watched) && !watch_taken(cpu->r, f, 0)) {
		frame_changed(cpu->r, f, frame_leak(f, 0), operation);
		return RAMKA_E_IN_USE;
	}
	return rc == RAMKA_E_IN_USE ? claim_refused(slot_ref(used)) : rc;
}

/* Says which frame is in the way, if one is. */
static void name_user(const struct ramka *r, const struct ramka_frame *used, int rc, struct ramka_why *why)
{
	struct ramka_frame *head = used ? ramka_frame_head(r, slot_paddr(r, used)) : NULL;

	refuse_plain(why, rc, ramka_strerror(rc), "pa");
	if (head)
		used = head;
	if (used) {
		why->paddr = slot_paddr(r, used);
		why->type = type_by_id(r, info_type(slot_info(used)));
	}
}

/* A frame of an order above 0: free ones only, since UNUSED memory goes back as base frames. */
static int claim_larger(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation,
			struct ramka_why *why)
{
	struct ramka_frame *used = NULL;
	int rc = cpu_claim(cpu, f, order, &used);

	if (!rc && unlikely(!frame_intact(cpu->r, f, order))) {
		frame_changed(cpu->r, f, frame_leak(f, order), operation);
		rc = RAMKA_E_IN_USE;
		used = f;
	}
	if (rc == RAMKA_E_IN_USE)
		rc = claim_refused(slot_ref(used));
	else
		used = NULL;
	if (rc)
		name_user(cpu->r, used, rc, why);
	return rc;
}

int frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order, const struct ramka_type *type,
		      const void *meta, uint64_t ref, const char *operation, struct ramka_frame **ret_f,
		      struct ramka_why *ret_why)
{
	const struct type_entry *e = type_argument(cpu->r, type, operation);
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka_frame *f;
	unsigned flags = 0;
	int rc;

	*why = (struct ramka_why){ 0 };
	if (!e)
		return refuse_plain(why, RAMKA_E_INVAL, "no type that frames may have", "type");
	if (!cpu_argument_ok(cpu, operation))
		return refuse_plain(why, RAMKA_E_INVAL, "the handle is another CPU's or thread's", "cpu");
	if (!ret_f)
		return refuse_plain(why, RAMKA_E_INVAL, "nowhere to put the result",
				    ref == REF_UNIQUE ? "ret_u" : "ret_frame");
	if (order > RAMKA_MAX_ORDER)
		return refuse(why, RAMKA_E_INVAL, "order too large", "order", RAMKA_NO_INDEX, order,
			      RAMKA_MAX_ORDER);
	rc = pa & (((uint64_t)RAMKA_PAGE_SIZE << order) - 1) ? RAMKA_E_NOT_ALIGNED : instance_slot(cpu->r,
												   pa, &f);
	if (rc)
		name_user(cpu->r, NULL, rc, why);
	else if (order)
		rc = claim_larger(cpu, f, order, operation, why);
	else if ((rc = frame_claim(cpu, f, &flags, operation)))
		name_user(cpu->r, f, rc, why);
	if (rc)
		return rc;
	frame_build(cpu->r, f, e, meta, order, flags, false, operation);
	if (!frame_publish(cpu, f, ref, operation))
		return RAMKA_E_INVAL;
	contract_check_address(cpu->r, f, pa, operation);
	*ret_f = f;
	return 0;
}

int ramka_frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type,
			    const void *meta, struct ramka_frame **ret_frame)
{
	int rc = frame_from_unused(cpu, pa, 0, type, meta, REF_SHARED(1), "ramka_frame_from_unused",
				   ret_frame, NULL);

	if (!rc)
		note_allocated(cpu, *ret_frame, 1, CALLER);
	return rc;
}

int ramka_frame_claim(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order, const struct ramka_type *type,
		      const void *meta,
		      struct ramka_frame **ret_frame, struct ramka_why *ret_why)
{
	int rc = frame_from_unused(cpu, pa, order, type, meta, REF_SHARED(1), "ramka_frame_claim", ret_frame,
				   ret_why);

	if (!rc)
		note_allocated_one(cpu, *ret_frame, order, CALLER);
	return rc;
}
