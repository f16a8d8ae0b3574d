/* SPDX-License-Identifier: MIT */
/*
 * Segments. A segment is a value; each frame it covers has order 0 and a count of its own, so everything here is a
 * loop over frames. While a segment is built its frames are BUSY; they are published together at the end.
 * Offsets are compared with the size before anything is added to them.
 */
#include "../base/mem.h"

#include "../cpu/take_back.h"
#include "alloc.h"
#include "contracts.h"
#include "drop.h"

static const struct ramka_segment empty;

static bool aligned(uint64_t bytes)
{
	return !(bytes & (RAMKA_PAGE_SIZE - 1));
}

/* The slots of a segment that lies in this instance; else reports. An empty one lies everywhere and has none. */
static struct ramka_frame *slots_of(const struct ramka *r, struct ramka_segment s, const char *operation)
{
	uint64_t first = frame_of(s.base), nr = frame_of(s.size);

	if (!s.size)
		return r->slots;
	if (aligned(s.base) && aligned(s.size) && first >= r->first && first - r->first <= r->nr_slots &&
	    nr <= r->nr_slots - (first - r->first))
		return &r->slots[first - r->first];
	instance_bug(r, operation, "not a segment of this instance", NULL, s.base);
	return NULL;
}

/* The contract build gives them back if the metadata of one is invalid. */
static bool metadata_ok(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr)
{
	struct ramka_frame *bad = NULL;

	for (uint64_t i = 0; CONTRACTS && i < nr; i++)
		if (!contract_check_meta(cpu->r, f + i))
			bad = f + i;
	if (!bad)
		return true;
	for (uint64_t i = 0; i < nr; i++)
		frame_take_back(cpu, f + i, slot_info(f + i));
	instance_bug(cpu->r, "ramka_segment", CONTRACT_BAD_META, bad, slot_ref(bad));
	return false;
}

static bool publish(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr, ramka_meta_fn init, void *ctx)
{
	struct ramka *r = cpu->r;

	for (uint64_t i = 0; init && i < nr; i++)
		init(ctx, slot_paddr(r, f + i), slot_meta(r, f + i));
	if (!metadata_ok(cpu, f, nr))
		return false;
	for (uint64_t i = 0; i < nr; i++) {
		if (!contract_begin(r, f + i, STEP_ALLOC_COVER, "ramka_segment"))
			continue;
		ramka_store(&f[i].ref, REF_SHARED(1), release, slot.publish);
		contract_commit(r, f + i, STEP_ALLOC_COVER, "ramka_segment");
	}
	return true;
}

/* FREE frames out of the allocator; one that was written to after it was freed is leaked and makes the rest go back. */
static bool all_free(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr)
{
	const struct ramka_frame *bad = NULL;
	uint64_t ref = 0;

	for (uint64_t i = 0; i < nr; i++)
		if (slot_ref(f + i) != REF_FREE) {
			bad = f + i;
			ref = frame_leak(f + i, 0);
		}
	if (!bad)
		return true;
	for (uint64_t i = 0; i < nr; i++)
		if (slot_ref(f + i) == REF_FREE)
			cpu_take_back(cpu, f + i, 0);
	frame_changed(cpu->r, bad, ref);
	return false;
}

static struct ramka_frame *take(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req)
{
	struct ramka_frame *f = frame_take_slow(cpu, nr, req);

	return f && all_free(cpu, f, nr) ? f : NULL;
}

int ramka_segment_alloc(struct ramka_cpu *cpu, uint64_t nr_frames, const struct ramka_type *type, ramka_meta_fn init,
			void *ctx, struct ramka_request req, struct ramka_segment *ret_s)
{
	struct ramka *r = cpu->r;
	const struct type_entry *e = type_entry(r, type);
	struct ramka_frame *f;

	if (!e) {
		instance_bug(r, "ramka_segment_alloc", "type is NULL or not registered", NULL, 0);
		return RAMKA_E_INVAL;
	}
	if (!nr_frames || nr_frames > UINT64_MAX / RAMKA_PAGE_SIZE || !ret_s)
		return RAMKA_E_INVAL;
	if (!request_valid(r, req)) {
		req.flags |= RAMKA_ALLOC_UNINIT;
		return request_valid(r, req) ? RAMKA_E_UNSUPPORTED : RAMKA_E_INVAL;
	}
	f = nr_frames <= r->nr_slots ? take(cpu, nr_frames, req) : NULL;
	if (!f)
		return RAMKA_E_NOMEM;
	for (uint64_t i = 0; i < nr_frames; i++) {
		ramka_store(&f[i].ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
		frame_build(r, f + i, e, NULL, 0, 0, !(req.flags & RAMKA_ALLOC_UNINIT));
	}
	if (!publish(cpu, f, nr_frames, init, ctx))
		return RAMKA_E_INVAL;
	*ret_s = (struct ramka_segment){ slot_paddr(r, f), nr_frames * RAMKA_PAGE_SIZE };
	return 0;
}

/* Claims frames one by one; on an error gives back those it has. */
static int claim_all(struct ramka_cpu *cpu, struct ramka_frame *f, ramka_paddr_t base, uint64_t nr)
{
	int rc = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct ramka_frame *slot;
		unsigned flags;

		rc = instance_slot(cpu->r, base + i * RAMKA_PAGE_SIZE, &slot);
		if (!rc)
			rc = frame_claim(cpu, slot, &flags);
		if (!rc) {
			slot_set_info(slot, flags);
			ramka_store(&slot->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
			continue;
		}
		while (i--)
			frame_take_back(cpu, f + i, slot_info(f + i));
		break;
	}
	return rc;
}

int ramka_segment_from_unused(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size, const struct ramka_type *type,
			      ramka_meta_fn init, void *ctx, struct ramka_segment *ret_s)
{
	struct ramka *r = cpu->r;
	const struct type_entry *e = type_entry(r, type);
	uint64_t first = frame_of(base), nr = frame_of(size);
	struct ramka_frame *f;
	int rc;

	if (!e) {
		instance_bug(r, "ramka_segment_from_unused", "type is NULL or not registered", NULL, 0);
		return RAMKA_E_INVAL;
	}
	if (!aligned(base) || !aligned(size))
		return RAMKA_E_NOT_ALIGNED;
	if (!size || !ret_s)
		return RAMKA_E_INVAL;
	if (first < r->first || first - r->first >= r->nr_slots || nr > r->nr_slots - (first - r->first))
		return RAMKA_E_OUT_OF_BOUND;
	f = &r->slots[first - r->first];
	rc = claim_all(cpu, f, base, nr);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < nr; i++)
		frame_build(r, f + i, e, NULL, 0, (unsigned)slot_info(f + i) & INFO_DETACHED, false);
	if (!publish(cpu, f, nr, init, ctx))
		return RAMKA_E_INVAL;
	*ret_s = (struct ramka_segment){ base, size };
	return 0;
}

void ramka_segment_put(struct ramka_cpu *cpu, struct ramka_segment s)
{
	struct ramka_frame *f = slots_of(cpu->r, s, "ramka_segment_put");

	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
		if (contract_move(cpu->r, f + i, STEP_UNCOVER, "ramka_segment_put"))
			ramka_frame_put(cpu, f + i);
}

struct ramka_segment ramka_segment_get(struct ramka *r, struct ramka_segment s)
{
	struct ramka_frame *f = slots_of(r, s, "ramka_segment_get");

	if (!f)
		return empty;
	for (uint64_t i = 0; i < frame_of(s.size); i++) {
		if (ramka_frame_get(r, f + i)) {
			contract_move(r, f + i, STEP_COVER, "ramka_segment_get");
			continue;
		}
		ramka_segment_put(ramka_cpu_none(r), (struct ramka_segment){ s.base, i * RAMKA_PAGE_SIZE });
		return empty;
	}
	return s;
}

int ramka_segment_split(struct ramka *r, struct ramka_segment s, uint64_t off, struct ramka_segment *ret_a,
			struct ramka_segment *ret_b)
{
	(void)r;
	if (!aligned(off))
		return RAMKA_E_NOT_ALIGNED;
	if (!off || off >= s.size)
		return RAMKA_E_OUT_OF_BOUND;
	*ret_a = (struct ramka_segment){ s.base, off };
	*ret_b = (struct ramka_segment){ s.base + off, s.size - off };
	return 0;
}

int ramka_segment_slice(struct ramka *r, struct ramka_segment s, uint64_t from, uint64_t to, struct ramka_segment *ret_s)
{
	struct ramka_segment part;

	if (!aligned(from) || !aligned(to))
		return RAMKA_E_NOT_ALIGNED;
	if (from > to || to > s.size)
		return RAMKA_E_OUT_OF_BOUND;
	if (from == to)
		return RAMKA_E_INVAL;
	part = ramka_segment_get(r, (struct ramka_segment){ s.base + from, to - from });
	if (!part.size)
		return RAMKA_E_INVAL;
	*ret_s = part;
	return 0;
}

struct ramka_frame *ramka_segment_next(struct ramka *r, struct ramka_segment *s)
{
	struct ramka_frame *f;

	if (!s->size)
		return NULL;
	f = slots_of(r, *s, "ramka_segment_next");
	if (!f)
		return NULL;
	s->base += RAMKA_PAGE_SIZE;
	s->size -= RAMKA_PAGE_SIZE;
	return contract_move(r, f, STEP_UNCOVER, "ramka_segment_next") ? f : NULL;
}

struct ramka_segment ramka_segment_from_frame(struct ramka *r, struct ramka_frame *f)
{
	uint64_t ref;

	if (!frame_pointer_ok(r, f, "ramka_segment_from_frame"))
		return empty;
	ref = slot_ref(f);
	if (ref_others(ref) >= REF_MAX || ramka_frame_order(f)) {
		instance_bug(r, "ramka_segment_from_frame", "not a shared frame of order 0", f, ref);
		return empty;
	}
	if (!contract_move(r, f, STEP_COVER, "ramka_segment_from_frame"))
		return empty;
	return (struct ramka_segment){ slot_paddr(r, f), RAMKA_PAGE_SIZE };
}

bool ramka_segment_is(const struct ramka *r, struct ramka_segment s, const struct ramka_type *type)
{
	const struct ramka_frame *f;

	if (!s.size || !type)
		return false;
	f = slots_of(r, s, "ramka_segment_is");
	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
		if (ramka_frame_type(r, f + i) != type)
			return false;
	return f != NULL;
}

/* The bytes [off, off + len) of untyped frames; NULL if there are none to copy. */
static int content_at(const struct ramka *r, struct ramka_segment s, uint64_t off, size_t len, const char *operation,
		      uint8_t **ret_bytes)
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
		if (!ramka_frame_is_untyped(r, f + i))
			return RAMKA_E_INVAL;
	if (r->flags & RAMKA_NO_DIRECT_MAP)
		return RAMKA_E_UNSUPPORTED;
	*ret_bytes = (uint8_t *)slot_content(r, f) + off;
	return 0;
}

int ramka_segment_read(const struct ramka *r, struct ramka_segment s, uint64_t off, void *buf, size_t len)
{
	uint8_t *bytes;
	int rc = content_at(r, s, off, len, "ramka_segment_read", &bytes);

	if (bytes)
		memcpy(buf, bytes, len);
	return rc;
}

int ramka_segment_write(const struct ramka *r, struct ramka_segment s, uint64_t off, const void *buf, size_t len)
{
	uint8_t *bytes;
	int rc = content_at(r, s, off, len, "ramka_segment_write", &bytes);

	if (bytes)
		memcpy(bytes, buf, len);
	return rc;
}

static void move_all(struct ramka *r, struct ramka_segment s, enum contract_step step, const char *operation)
{
	struct ramka_frame *f = CONTRACTS ? slots_of(r, s, operation) : NULL;

	for (uint64_t i = 0; f && i < frame_of(s.size); i++)
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
