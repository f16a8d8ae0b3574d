/* SPDX-License-Identifier: MIT */
/*
 * Segments. A segment is a value; each frame it covers has order 0 and a count of its own, so everything here
 * is a loop over frames. While a segment is built its frames are BUSY; they are published together at the
 * end. Offsets are compared with the size before anything is added to them. May use alloc.h, argument.h,
 * contracts.h, drop.h.
 */
#include "../base/mem.h"

#include "../cpu/take_back.h"
#include "alloc.h"
#include "argument.h"
#include "contracts.h"
#include "drop.h"

static const struct ramka_segment empty;

static bool aligned(uint64_t bytes)
{
	return !(bytes & (RAMKA_PAGE_SIZE - 1));
}

/*
 * The slots of a segment that lies in this instance and has no hole in it, whose metadata must not be
 * touched; else reports. An empty one lies everywhere and has none.
 */
static struct ramka_frame *slots_of(const struct ramka *r, struct ramka_segment s, const char *operation)
{
	uint64_t first = frame_of(s.base), nr = frame_of(s.size), hole;

	if (!s.size)
		return r->slots;
	if (!aligned(s.base) || !aligned(s.size) || first < r->first || first - r->first > r->nr_slots ||
	    nr > r->nr_slots - (first - r->first)) {
		instance_bug_argument(r, operation, "not a segment of this instance", "s", s.base, 0);
		return NULL;
	}
	hole = instance_hole(r, first, first + nr);
	if (likely(hole == first + nr))
		return &r->slots[first - r->first];
	instance_bug_of(r, operation, "no frame at this address", "s", &r->slots[hole - r->first], 0);
	return NULL;
}

/* The same, and every frame in one of these states; the first that is not is reported. */
static struct ramka_frame *slots_in(const struct ramka *r, struct ramka_segment s, unsigned accept,
				    const char *operation)
{
	struct ramka_frame *f = slots_of(r, s, operation);

	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
		if (!frame_argument_ok(r, f + i, accept, operation))
			return NULL;
	return f;
}

/* The contract build gives them back if the metadata of one is invalid. */
static bool metadata_ok(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr, const char *operation)
{
	struct ramka_frame *bad = NULL;

	for (uint64_t i = 0; CONTRACTS && i < nr; i++)
		if (!contract_check_meta(cpu->r, f + i))
			bad = f + i;
	if (!bad)
		return true;
	for (uint64_t i = 0; i < nr; i++)
		frame_take_back(cpu, f + i, slot_info(f + i), operation);
	instance_bug(cpu->r, operation, CONTRACT_BAD_META, bad, slot_ref(bad));
	return false;
}

static bool publish(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr, const struct ramka_type *type,
		    ramka_meta_fn init, void *ctx, const char *operation)
{
	struct ramka *r = cpu->r;

	for (uint64_t i = 0; init && i < nr; i++)
		init(ctx, slot_paddr(r, f + i), type->meta_size ? slot_meta(r, f + i) : NULL);
	if (!metadata_ok(cpu, f, nr, operation))
		return false;
	for (uint64_t i = 0; i < nr; i++) {
		if (!contract_begin(r, f + i, STEP_ALLOC_COVER, operation))
			continue;
		ramka_store(&f[i].ref, REF_SHARED(1), release, slot.publish);
		contract_commit(r, f + i, STEP_ALLOC_COVER, operation);
	}
	return true;
}

/*
 * Takes FREE frames out of the allocator. A frame whose word was changed after it was freed is leaked, and
 * the rest goes back.
 */
static bool all_free(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr, const char *operation)
{
	const struct ramka_frame *bad = NULL;
	uint64_t ref = 0;

	for (uint64_t i = 0; i < nr; i++)
		if (!frame_intact(cpu->r, f + i, 0)) {
			bad = f + i;
			ref = frame_leak(f + i, 0);
		}
	if (!bad)
		return true;
	for (uint64_t i = 0; i < nr; i++)
		if (slot_ref(f + i) == REF_FREE)
			frame_to_allocator(cpu, f + i, 0, operation);
	frame_changed(cpu->r, bad, ref, operation);
	return false;
}

static struct ramka_frame *take_range(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req,
				      const char *operation)
{
	struct ramka_frame *f = frame_take_slow(cpu, nr, req);

	return f && all_free(cpu, f, nr, operation) ? f : NULL;
}

int ramka_segment_alloc(struct ramka_cpu *cpu, uint64_t nr_frames, const struct ramka_type *type,
			ramka_meta_fn init, void *ctx, struct ramka_request req, struct ramka_segment *ret_s)
{
	static const char operation[] = "ramka_segment_alloc";
	struct ramka *r = cpu->r;
	const struct type_entry *e = type_argument(r, type, operation);
	struct ramka_frame *f;

	if (!e || !cpu_argument_ok(cpu, operation))
		return RAMKA_E_INVAL;
	if (!nr_frames || nr_frames > UINT64_MAX / RAMKA_PAGE_SIZE || !ret_s)
		return RAMKA_E_INVAL;
	if (!request_valid(r, req)) {
		req.flags |= RAMKA_ALLOC_UNINIT;
		return request_valid(r, req) ? RAMKA_E_UNSUPPORTED : RAMKA_E_INVAL;
	}
	f = nr_frames <= r->nr_slots ? take_range(cpu, nr_frames, req, operation) : NULL;
	if (!f)
		return RAMKA_E_NOMEM;
	for (uint64_t i = 0; i < nr_frames; i++) {
		ramka_store(&f[i].ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
		frame_build(r, f + i, e, NULL, 0, 0, !(req.flags & RAMKA_ALLOC_UNINIT), operation);
	}
	if (!publish(cpu, f, nr_frames, type, init, ctx, operation))
		return RAMKA_E_INVAL;
	*ret_s = (struct ramka_segment){ slot_paddr(r, f), nr_frames * RAMKA_PAGE_SIZE };
	note_allocated(cpu, f, nr_frames, CALLER);
	return 0;
}

/* Claims frames one by one; on an error gives back those it has. */
static int claim_all(struct ramka_cpu *cpu, struct ramka_frame *f, ramka_paddr_t base, uint64_t nr,
		     const char *operation)
{
	int rc = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct ramka_frame *slot;
		unsigned flags;

		rc = instance_slot(cpu->r, base + i * RAMKA_PAGE_SIZE, &slot);
		if (!rc)
			rc = frame_claim(cpu, slot, &flags, operation);
		if (!rc) {
			slot_set_info(slot, flags);
			ramka_store(&slot->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
			continue;
		}
		while (i--)
			frame_take_back(cpu, f + i, slot_info(f + i), operation);
		break;
	}
	return rc;
}

int ramka_segment_from_unused(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
			      const struct ramka_type *type, ramka_meta_fn init, void *ctx,
			      struct ramka_segment *ret_s)
{
	static const char operation[] = "ramka_segment_from_unused";
	struct ramka *r = cpu->r;
	const struct type_entry *e = type_argument(r, type, operation);
	uint64_t first = frame_of(base), nr = frame_of(size);
	struct ramka_frame *f;
	int rc;

	if (!e || !cpu_argument_ok(cpu, operation))
		return RAMKA_E_INVAL;
	if (!aligned(base) || !aligned(size))
		return RAMKA_E_NOT_ALIGNED;
	if (!size || !ret_s)
		return RAMKA_E_INVAL;
	if (first < r->first || first - r->first >= r->nr_slots || nr > r->nr_slots - (first - r->first))
		return RAMKA_E_OUT_OF_BOUND;
	f = &r->slots[first - r->first];
	rc = claim_all(cpu, f, base, nr, operation);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < nr; i++)
		frame_build(r, f + i, e, NULL, 0, (unsigned)slot_info(f + i) & INFO_DETACHED, false,
			    operation);
	if (!publish(cpu, f, nr, type, init, ctx, operation))
		return RAMKA_E_INVAL;
	*ret_s = (struct ramka_segment){ base, size };
	note_allocated(cpu, f, nr, CALLER);
	return 0;
}

static void put_all(struct ramka_cpu *cpu, struct ramka_segment s, const char *operation, uintptr_t caller)
{
	struct ramka_frame *f = slots_of(cpu->r, s, operation);

	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
		if (contract_move(cpu->r, f + i, STEP_UNCOVER, operation))
			frame_put(cpu, f + i, operation, caller);
}

void ramka_segment_put(struct ramka_cpu *cpu, struct ramka_segment s)
{
	if (cpu_argument_ok(cpu, "ramka_segment_put"))
		put_all(cpu, s, "ramka_segment_put", CALLER);
}

static struct ramka_segment get_all(struct ramka *r, struct ramka_segment s, const char *operation)
{
	struct ramka_frame *f = slots_of(r, s, operation);

	if (!f)
		return empty;
	for (uint64_t i = 0; i < frame_of(s.size); i++) {
		if (frame_get(r, f + i, operation)) {
			contract_move(r, f + i, STEP_COVER, operation);
			continue;
		}
		put_all(ramka_cpu_none(r), (struct ramka_segment){ s.base, i * RAMKA_PAGE_SIZE }, operation,
			CALLER);
		return empty;
	}
	return s;
}

struct ramka_segment ramka_segment_get(struct ramka *r, struct ramka_segment s)
{
	return get_all(r, s, "ramka_segment_get");
}

int ramka_segment_split(struct ramka *r, struct ramka_segment s, uint64_t off, struct ramka_segment *ret_a,
			struct ramka_segment *ret_b)
{
	static const char operation[] = "ramka_segment_split";
	const struct ramka_frame *f;

	if (!aligned(off))
		return RAMKA_E_NOT_ALIGNED;
	if (!off || off >= s.size)
		return RAMKA_E_OUT_OF_BOUND;
	f = ret_a && ret_b ? slots_of(r, s, operation) : NULL;
	/*
	 * the first frame of each part stands for the part: no other call that takes time of one frame looks
	 * at all of them
	 */
	if (!f || !frame_argument_ok(r, f, ACCEPT_SHARED, operation) ||
	    !frame_argument_ok(r, f + frame_of(off), ACCEPT_SHARED, operation))
		return RAMKA_E_INVAL;
	*ret_a = (struct ramka_segment){ s.base, off };
	*ret_b = (struct ramka_segment){ s.base + off, s.size - off };
	return 0;
}

int ramka_segment_slice(struct ramka *r, struct ramka_segment s, uint64_t from, uint64_t to,
			struct ramka_segment *ret_s)
{
	struct ramka_segment part;

	if (!aligned(from) || !aligned(to))
		return RAMKA_E_NOT_ALIGNED;
	if (from > to || to > s.size)
		return RAMKA_E_OUT_OF_BOUND;
	if (from == to || !ret_s)
		return RAMKA_E_INVAL;
	part = get_all(r, (struct ramka_segment){ s.base + from, to - from }, "ramka_segment_slice");
	if (!part.size)
		return RAMKA_E_INVAL;
	*ret_s = part;
	return 0;
}

struct ramka_frame *ramka_segment_next(struct ramka *r, struct ramka_segment *s)
{
	static const char operation[] = "ramka_segment_next";
	struct ramka_frame *f;

	if (!s->size)
		return NULL;
	f = slots_of(r, *s, operation);
	if (!f || !frame_argument_ok(r, f, ACCEPT_SHARED, operation) ||
	    !contract_move(r, f, STEP_UNCOVER, operation))
		return NULL;
	s->base += RAMKA_PAGE_SIZE;
	s->size -= RAMKA_PAGE_SIZE;
	return f;
}

struct ramka_segment ramka_segment_from_frame(struct ramka *r, struct ramka_frame *f)
{
	static const char operation[] = "ramka_segment_from_frame";

	if (!frame_argument_ok(r, f, ACCEPT_SHARED, operation))
		return empty;
	if (info_order(slot_info(f))) {
		instance_bug(r, operation, "not a frame of order 0", f, slot_ref(f));
		return empty;
	}
	if (!contract_move(r, f, STEP_COVER, operation))
		return empty;
	return (struct ramka_segment){ slot_paddr(r, f), RAMKA_PAGE_SIZE };
}

bool ramka_segment_is(const struct ramka *r, struct ramka_segment s, const struct ramka_type *type)
{
	const struct ramka_frame *f;

	if (!s.size || !type)
		return false;
	f = slots_in(r, s, ACCEPT_SEEN, "ramka_segment_is");
	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
		if (type_by_id(r, info_type(slot_info(f + i))) != type)
			return false;
	return f != NULL;
}

/* The bytes [off, off + len) of untyped frames; NULL if there are none to copy. */
static int segment_content(const struct ramka *r, struct ramka_segment s, uint64_t off, size_t len,
			   unsigned accept, const char *operation, uint8_t **ret_bytes)
{
	struct ramka_frame *f;

	*ret_bytes = NULL;
	if (off > s.size || len > s.size - off)
		return RAMKA_E_OUT_OF_BOUND;
	if (!len)
		return 0;
	f = slots_of(r, s, operation);
	if (!f)
		return RAMKA_E_INVAL;
	for (uint64_t i = frame_of(off); i <= frame_of(off + len - 1); i++)
		if (!frame_argument_ok(r, f + i, accept, operation) || !frame_has_bytes(r, f + i))
			return RAMKA_E_INVAL;
	if (r->flags & RAMKA_NO_DIRECT_MAP)
		return RAMKA_E_UNSUPPORTED;
	*ret_bytes = (uint8_t *)slot_content(r, f) + off;
	return 0;
}

int ramka_segment_read(const struct ramka *r, struct ramka_segment s, uint64_t off, void *buf, size_t len)
{
	uint8_t *bytes;
	int rc = segment_content(r, s, off, len, ACCEPT_READ, "ramka_segment_read", &bytes);

	if (bytes)
		memcpy(buf, bytes, len);
	return rc;
}

int ramka_segment_write(const struct ramka *r, struct ramka_segment s, uint64_t off, const void *buf,
			size_t len)
{
	uint8_t *bytes;
	int rc = segment_content(r, s, off, len, ACCEPT_OWNED, "ramka_segment_write", &bytes);

	if (bytes)
		memcpy(bytes, buf, len);
	return rc;
}

static void move_all(struct ramka *r, struct ramka_segment s, enum contract_step step, const char *operation)
{
	const struct ramka_frame *f = slots_in(r, s, ACCEPT_SHARED, operation);

	if (!f || !CONTRACTS)
		return;
	for (uint64_t i = 0; i < frame_of(s.size); i++)
		contract_move(r, f + i, step, operation);
}

void ramka_segment_forget(struct ramka *r, struct ramka_segment s)
{
	move_all(r, s, STEP_FORGET, "ramka_segment_forget");
}

void ramka_segment_restore(struct ramka *r, struct ramka_segment s)
{
	move_all(r, s, STEP_RESTORE, "ramka_segment_restore");
}
