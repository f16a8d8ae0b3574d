/* SPDX-License-Identifier: MIT */
/*
 * Every public function that takes a frame, an owner's handle, a segment, a list or a cursor, with a frame in every state, and with
 * pointers that are no slot. A function either accepts the state, and reports nothing; or it refuses: then there is one report, of
 * that public function, with the argument, the frame and its state, and no slot has changed.
 */
#include "unit/fixture.h"

struct note { struct ramka_link link; uint64_t n; };

static void in_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content);

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = RAMKA_TYPE_UNTYPED);
static RAMKA_DEFINE_TYPE(hook_type, struct note, .id = 17, .flags = RAMKA_TYPE_UNTYPED, .on_drop = in_drop);
static RAMKA_DEFINE_TYPE(next_type, struct note, .id = 18);

enum subject {
	HOLE, UNUSED, FREE, CACHED, UNIQUE, LISTED, SHARED, MARKED, TAIL, DEFERRED, BUSY, RESERVED, SATURATED, ISOLATED,
	NR_STATES,
	NOTHING = NR_STATES, MISALIGNED, BEFORE, BEHIND, FOREIGN, NR_SUBJECTS
};

static const enum ramka_state state_of_subject[NR_STATES] = {
	RAMKA_STATE_HOLE,   RAMKA_STATE_UNUSED, RAMKA_STATE_FREE, RAMKA_STATE_CACHED,   RAMKA_STATE_UNIQUE,
	RAMKA_STATE_UNIQUE, RAMKA_STATE_SHARED, RAMKA_STATE_SHARED, RAMKA_STATE_TAIL,   RAMKA_STATE_DEFERRED,
	RAMKA_STATE_BUSY,   RAMKA_STATE_RESERVED, RAMKA_STATE_SATURATED, RAMKA_STATE_ISOLATED,
};

#define S(state) (1u << (state))
#define ALL (S(NR_STATES) - 1)
#define REFERENCES (S(SHARED) | S(MARKED) | S(SATURATED))
#define SHARES (REFERENCES | S(RESERVED))
#define OWNS (S(UNIQUE) | S(LISTED) | SHARES)
#define READS (OWNS | S(DEFERRED))
#define SEES (READS | S(BUSY))

struct scene {
	struct fixture *f, *other;
	struct ramka_frame *frame;   /* the subject */
	ramka_paddr_t pa;
	struct ramka_list list;      /* holds the listed one */
	struct ramka_unique *listed;
	const struct row *row;
	enum subject subject;
	bool ran;
};

struct row {
	const char *name;
	void (*call)(struct scene *s);
	unsigned accept, contracts;  /* states accepted, and in the contract build */
	const char *argument;        /* name in the report */
	bool by_address;             /* pointers that are no slot do not apply */
	bool no_null;                /* nor does NULL, which has a meaning or a code of its own */
	bool no_report;              /* takes no instance: nothing to report to */
};

#define U unique_of(s->frame)
#define CPU s->f->cpu[0]
#define R s->f->r
#define SEG ((struct ramka_segment){ s->pa, PAGE })
#define CALL(name) static void do_##name(struct scene *s)

/* Nothing exactly if the call is to be refused. */
static void gives(const struct scene *s, bool something)
{
	assert_int_equal(something, !s->f->expected);
}

CALL(get) { ramka_frame_get(R, s->frame); }
CALL(put) { ramka_frame_put(CPU, s->frame); }
CALL(put_none) { ramka_frame_put(s->f->none, s->frame); }
CALL(put_bulk) { ramka_frame_put_bulk(CPU, 1, &s->frame); }
CALL(put_rcu) { assert_true(ramka_frame_put_rcu(CPU, s->frame) >= 0 || s->f->expected); }
CALL(assign) { struct ramka_frame *dst = NULL; ramka_frame_assign(CPU, &dst, s->frame); }
CALL(get_n) { gives(s, ramka_frame_get_n(R, s->frame, 3)); }
CALL(put_at) { ramka_frame_put_at(CPU, s->pa); }
CALL(head)
{
	const struct ramka_frame *head = ramka_frame_head(R, s->pa + 77);

	assert_ptr_equal(head, s->subject == TAIL ? s->frame - 5 : SEES >> s->subject & 1 ? s->frame : NULL);
}
CALL(state_at) { assert_int_equal(ramka_frame_state_at(R, s->pa + PAGE - 1), state_of_subject[s->subject]); }
CALL(into_raw) { assert_true(ramka_frame_into_raw(R, s->frame) == (s->f->expected ? 0 : s->pa)); }
CALL(from_raw) { assert_true(ramka_frame_from_raw(R, s->pa) == (s->f->expected ? NULL : s->frame)); }
CALL(borrow) { assert_true(ramka_frame_borrow(R, s->frame).frame == (s->f->expected ? NULL : s->frame)); }
CALL(unborrow) { ramka_frame_unborrow(R, (struct ramka_frame_ref){ s->frame }); }
CALL(paddr) { assert_true(ramka_frame_paddr(R, s->frame) == (s->f->expected ? 0 : s->pa)); }
CALL(index) { assert_true(ramka_frame_index(R, s->frame) == (s->f->expected ? 0 : s->pa / PAGE)); }
CALL(content) { gives(s, ramka_frame_content(R, s->frame)); }
CALL(type) { gives(s, ramka_frame_type(R, s->frame)); }
CALL(meta) { assert_true((ramka_frame_meta(R, s->frame) == NULL) == (s->f->expected || s->subject == RESERVED)); }
CALL(meta_as) { ramka_frame_meta_as(R, s->frame, &note_type); }
CALL(is_untyped) { ramka_frame_is_untyped(R, s->frame); }
CALL(order) { ramka_frame_order(s->frame); }
CALL(size) { ramka_frame_size(s->frame); }
CALL(map_level) { ramka_frame_map_level(s->frame); }
CALL(refcount) { ramka_frame_refcount(s->frame); }
CALL(is_sole) { ramka_frame_is_sole(s->frame); }
CALL(read)
{
	uint64_t word;

	assert_int_equal(ramka_frame_read(R, s->frame, 0, &word, sizeof(word)),
			 s->f->expected || s->subject == RESERVED ? RAMKA_E_INVAL : 0);
}
CALL(write)
{
	uint64_t word = 1;

	assert_int_equal(ramka_frame_write(R, s->frame, 0, &word, sizeof(word)),
			 s->f->expected || s->subject == RESERVED ? RAMKA_E_INVAL : 0);
}
CALL(try_unique) { assert_true((ramka_frame_try_unique(R, s->frame) == NULL) == (s->subject != SHARED)); }
CALL(from_frame) { gives(s, ramka_segment_from_frame(R, s->frame).size); }

CALL(free) { ramka_unique_free(CPU, U); }
CALL(free_bulk) { struct ramka_unique *u = U; ramka_unique_free_bulk(CPU, 1, &u); }
CALL(split_in_place) { assert_int_equal(ramka_unique_split_in_place(R, U, 0), s->f->expected ? RAMKA_E_INVAL : 0); }
CALL(join) { assert_int_equal(ramka_unique_join(R, U, 0), s->f->expected ? RAMKA_E_INVAL : 0); }
CALL(part) { assert_ptr_equal(ramka_unique_part(R, U, 0), s->f->expected ? NULL : U); }
CALL(unique_meta) { gives(s, ramka_unique_meta(R, U)); }
CALL(share) { gives(s, ramka_unique_share(R, U)); }
CALL(repurpose) { assert_int_equal(ramka_unique_repurpose(CPU, U, &next_type, NULL), s->f->expected ? RAMKA_E_INVAL : 0); }
CALL(split) { struct ramka_unique *part; assert_int_equal(ramka_unique_split(R, U, 0, &part), s->f->expected ? RAMKA_E_INVAL : 0); }
CALL(unique_into_raw) { assert_true(ramka_unique_into_raw(R, U) == (s->f->expected ? 0 : s->pa)); }
CALL(unique_from_raw) { assert_true(ramka_unique_from_raw(R, s->pa) == (s->f->expected ? NULL : U)); }
CALL(unique_paddr) { assert_true(ramka_unique_paddr(R, U) == (s->f->expected ? 0 : s->pa)); }

CALL(push_front) { ramka_list_push_front(&s->list, U); }
CALL(push_back) { ramka_list_push_back(&s->list, U); }
CALL(pop_front) { s->list.front = U; gives(s, ramka_list_pop_front(&s->list)); }
CALL(pop_back) { s->list.back = U; gives(s, ramka_list_pop_back(&s->list)); }
CALL(fini) { s->list.front = U; ramka_list_fini(CPU, &s->list); }
#define CURSOR struct ramka_cursor c = { &s->list, U }
CALL(cursor_next) { CURSOR; ramka_cursor_next(&c); assert_true((c.at == U) == s->f->expected); }
CALL(cursor_prev) { CURSOR; ramka_cursor_prev(&c); assert_true((c.at == U) == s->f->expected); }
CALL(cursor_meta) { CURSOR; gives(s, ramka_cursor_meta(&c)); }
CALL(cursor_take) { CURSOR; gives(s, ramka_cursor_take(&c)); }
CALL(insert) { struct ramka_cursor c = ramka_list_cursor_front(&s->list); ramka_cursor_insert_before(&c, U); }
CALL(contains) { assert_int_equal(ramka_list_contains(&s->list, s->pa), s->subject == LISTED); }
CALL(cursor_at) { struct ramka_cursor c; assert_int_equal(ramka_list_cursor_at(&s->list, s->pa, &c), s->subject == LISTED); }

CALL(segment_put) { ramka_segment_put(CPU, SEG); }
CALL(segment_get) { gives(s, ramka_segment_get(R, SEG).size); }
CALL(slice)
{
	struct ramka_segment out;

	assert_int_equal(ramka_segment_slice(R, SEG, 0, PAGE, &out), s->f->expected ? RAMKA_E_INVAL : 0);
}
CALL(segment_split)
{
	struct ramka_segment a, b;

	assert_int_equal(ramka_segment_split(R, (struct ramka_segment){ s->pa, 2 * PAGE }, PAGE, &a, &b), RAMKA_E_INVAL);
}
CALL(next) { struct ramka_segment g = SEG; gives(s, ramka_segment_next(R, &g)); }
CALL(is) { ramka_segment_is(R, SEG, &note_type); }
CALL(segment_read)
{
	uint64_t word;

	assert_int_equal(ramka_segment_read(R, SEG, 0, &word, sizeof(word)),
			 s->f->expected || s->subject == RESERVED ? RAMKA_E_INVAL : 0);
}
CALL(segment_write)
{
	uint64_t word = 1;

	assert_int_equal(ramka_segment_write(R, SEG, 0, &word, sizeof(word)),
			 s->f->expected || s->subject == RESERVED ? RAMKA_E_INVAL : 0);
}
CALL(forget) { ramka_segment_forget(R, SEG); }
CALL(restore) { ramka_segment_restore(R, SEG); }

CALL(pt_level) { ramka_pt_level(R, s->frame); }
CALL(pt_node) { ramka_pt_node(R, s->frame); }

/* What is answered with a code, and never reported. */
static void code(struct scene *s, int rc, const int *want)
{
	assert_int_equal(rc, want[s->subject]);
}
static const int claim_codes[NR_STATES] = {
	RAMKA_E_OUT_OF_BOUND, 0, 0, 0, RAMKA_E_UNIQUE, RAMKA_E_UNIQUE, RAMKA_E_IN_USE, RAMKA_E_IN_USE, RAMKA_E_IN_USE,
	RAMKA_E_BUSY, RAMKA_E_BUSY, RAMKA_E_IN_USE, RAMKA_E_IN_USE, 0,
};
static const int lookup_codes[NR_STATES] = {
	RAMKA_E_OUT_OF_BOUND, RAMKA_E_UNUSED, RAMKA_E_UNUSED, RAMKA_E_UNUSED, RAMKA_E_UNIQUE, RAMKA_E_UNIQUE, 0, 0, RAMKA_E_UNUSED,
	RAMKA_E_BUSY, RAMKA_E_BUSY, 0, 0, RAMKA_E_UNUSED,
};
static const int bad_codes[NR_STATES] = {
	RAMKA_E_OUT_OF_BOUND, 0, 0, 0, RAMKA_LATER, RAMKA_LATER, RAMKA_LATER, RAMKA_LATER, RAMKA_LATER,
	RAMKA_LATER, RAMKA_E_BUSY, RAMKA_E_UNSUPPORTED, RAMKA_LATER, 0,
};
CALL(from_in_use) { struct ramka_frame *g; code(s, ramka_frame_from_in_use(R, s->pa, &g), lookup_codes); }
CALL(from_unused) { struct ramka_frame *g; code(s, ramka_frame_from_unused(CPU, s->pa, &note_type, NULL, &g), claim_codes); }
CALL(unique_from_unused)
{
	struct ramka_unique *g;

	code(s, ramka_unique_from_unused(CPU, s->pa, &note_type, NULL, &g), claim_codes);
}
CALL(segment_from_unused)
{
	struct ramka_segment g;

	code(s, ramka_segment_from_unused(CPU, s->pa, PAGE, &note_type, NULL, NULL, &g), claim_codes);
}
CALL(frame_claim)
{
	struct ramka_frame *g;
	struct ramka_why why;

	code(s, ramka_frame_claim(CPU, s->pa, 0, &note_type, NULL, &g, &why), claim_codes);
	assert_int_equal(why.error, claim_codes[s->subject]);
}
CALL(unique_claim) { struct ramka_unique *g; code(s, ramka_unique_claim(CPU, s->pa, 0, &note_type, NULL, &g, NULL), claim_codes); }
CALL(set_bad) { code(s, ramka_frame_set_bad(CPU, s->pa), bad_codes); }
CALL(history) { struct ramka_history h; assert_false(ramka_frame_history(R, s->pa, &h)); }
CALL(at) { assert_true((ramka_frame_at(R, s->pa).frame == NULL) == (s->subject == HOLE)); }

#define ROW(name_, call_, ...) { .name = #name_, .call = do_##call_, __VA_ARGS__ }
#define BOTH(set) .accept = (set), .contracts = (set)

static const struct row rows[] = {
	ROW(ramka_frame_get, get, BOTH(SHARES), .argument = "f"),
	ROW(ramka_frame_get_n, get_n, BOTH(SHARES), .argument = "f"),
	ROW(ramka_frame_put_at, put_at, .accept = REFERENCES, .contracts = S(SATURATED), .by_address = true),
	ROW(ramka_frame_head, head, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_state_at, state_at, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_put, put, BOTH(REFERENCES), .argument = "f"),
	ROW(ramka_frame_put, put_none, BOTH(REFERENCES), .argument = "f"),
	ROW(ramka_frame_put_bulk, put_bulk, BOTH(REFERENCES), .argument = "f"),
	ROW(ramka_frame_put_rcu, put_rcu, BOTH(REFERENCES), .argument = "f"),
	ROW(ramka_frame_assign, assign, BOTH(SHARES), .argument = "f", .no_null = true),
	ROW(ramka_frame_into_raw, into_raw, .accept = SHARES, .contracts = REFERENCES, .argument = "f"),
	ROW(ramka_frame_from_raw, from_raw, .accept = SHARES, .contracts = S(SATURATED), .by_address = true),
	ROW(ramka_frame_borrow, borrow, BOTH(OWNS), .argument = "f"),
	ROW(ramka_frame_unborrow, unborrow, .accept = ALL, .contracts = S(SATURATED), .no_null = true, .by_address = true),
	ROW(ramka_frame_paddr, paddr, BOTH(ALL), .argument = "f"),
	ROW(ramka_frame_index, index, BOTH(ALL), .argument = "f"),
	ROW(ramka_frame_content, content, BOTH(ALL), .argument = "f"),
	ROW(ramka_frame_type, type, BOTH(SEES), .argument = "f"),
	ROW(ramka_frame_meta, meta, BOTH(SEES), .argument = "f"),
	ROW(ramka_frame_meta_as, meta_as, BOTH(SEES), .argument = "f"),
	ROW(ramka_frame_is_untyped, is_untyped, BOTH(SEES), .argument = "f"),
	ROW(ramka_frame_order, order, BOTH(ALL), .no_report = true),
	ROW(ramka_frame_size, size, BOTH(ALL), .no_report = true),
	ROW(ramka_frame_map_level, map_level, BOTH(ALL), .no_report = true),
	ROW(ramka_frame_refcount, refcount, BOTH(ALL), .no_report = true),
	ROW(ramka_frame_is_sole, is_sole, BOTH(ALL), .no_report = true),
	ROW(ramka_frame_read, read, BOTH(READS), .argument = "f", .no_null = true),
	ROW(ramka_frame_write, write, BOTH(OWNS), .argument = "f", .no_null = true),
	ROW(ramka_frame_try_unique, try_unique, BOTH(SHARES), .argument = "f"),
	ROW(ramka_segment_from_frame, from_frame, .accept = SHARES, .contracts = REFERENCES, .argument = "f"),

	ROW(ramka_unique_free, free, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_free_bulk, free_bulk, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_split_in_place, split_in_place, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_join, join, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_part, part, BOTH(S(UNIQUE) | S(LISTED)), .argument = "u"),
	ROW(ramka_unique_meta, unique_meta, BOTH(S(UNIQUE) | S(LISTED)), .argument = "u"),
	ROW(ramka_unique_share, share, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_repurpose, repurpose, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_split, split, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_unique_into_raw, unique_into_raw, .accept = S(UNIQUE) | S(LISTED), .contracts = S(UNIQUE), .argument = "u"),
	ROW(ramka_unique_from_raw, unique_from_raw, .accept = S(UNIQUE) | S(LISTED), .contracts = 0, .by_address = true),
	ROW(ramka_unique_paddr, unique_paddr, BOTH(ALL), .argument = "u"),

	ROW(ramka_list_push_front, push_front, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_list_push_back, push_back, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_list_pop_front, pop_front, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_list_pop_back, pop_back, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_list_fini, fini, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_cursor_next, cursor_next, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_cursor_prev, cursor_prev, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_cursor_meta, cursor_meta, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_cursor_take, cursor_take, BOTH(S(LISTED)), .argument = "f", .no_null = true),
	ROW(ramka_cursor_insert_before, insert, BOTH(S(UNIQUE)), .argument = "u"),
	ROW(ramka_list_contains, contains, BOTH(ALL), .by_address = true),
	ROW(ramka_list_cursor_at, cursor_at, BOTH(ALL), .by_address = true),

	ROW(ramka_segment_put, segment_put, .accept = REFERENCES, .contracts = S(SATURATED), .by_address = true),
	ROW(ramka_segment_get, segment_get, BOTH(SHARES), .by_address = true),
	ROW(ramka_segment_slice, slice, BOTH(SHARES), .by_address = true),
	ROW(ramka_segment_next, next, .accept = SHARES, .contracts = S(SATURATED), .by_address = true),
	ROW(ramka_segment_is, is, BOTH(SEES), .by_address = true),
	ROW(ramka_segment_read, segment_read, BOTH(READS), .by_address = true),
	ROW(ramka_segment_write, segment_write, BOTH(OWNS), .by_address = true),
	ROW(ramka_segment_forget, forget, .accept = SHARES, .contracts = S(SATURATED), .by_address = true),
	ROW(ramka_segment_restore, restore, .accept = SHARES, .contracts = S(SATURATED), .by_address = true),

	ROW(ramka_pt_level, pt_level, BOTH(SEES), .argument = "f"),
	ROW(ramka_pt_node, pt_node, BOTH(SEES), .argument = "f"),

	ROW(ramka_frame_from_in_use, from_in_use, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_from_unused, from_unused, BOTH(ALL), .by_address = true),
	ROW(ramka_unique_from_unused, unique_from_unused, BOTH(ALL), .by_address = true),
	ROW(ramka_segment_from_unused, segment_from_unused, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_claim, frame_claim, BOTH(ALL), .by_address = true),
	ROW(ramka_unique_claim, unique_claim, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_set_bad, set_bad, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_history, history, BOTH(ALL), .by_address = true),
	ROW(ramka_frame_at, at, BOTH(ALL), .by_address = true),
};
/* its second frame is whatever lies behind the subject: only refusals can be told */
static const struct row split_row = ROW(ramka_segment_split, segment_split, .accept = 0, .contracts = 0, .by_address = true);

static const struct ramka_region map[] = {
	{ BASE, 2 * MIB, RAMKA_USABLE, 0 },
	/* a hole of 1 MiB */
	{ BASE + 3 * MIB, MIB / 2, RAMKA_DETACHED, 0 },
	{ BASE + 3 * MIB + MIB / 2, MIB / 2, RAMKA_KERNEL, 0 },
};

static void scene_open(struct scene *s, const struct row *row, enum subject subject)
{
	struct ramka_frame *one;

	*s = (struct scene){ .row = row, .subject = subject };
	s->f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map), .rcu = true, .high_water = 1000,
					      .flags = RAMKA_METADATA_ZEROED }); /* the slots of the hole too */
	s->other = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB });
	assert_int_equal(ramka_type_register(R, &note_type), 0);
	assert_int_equal(ramka_type_register(R, &hook_type), 0);
	assert_int_equal(ramka_type_register(R, &next_type), 0);
	assert_int_equal(ramka_list_init(R, &s->list), 0);
	s->listed = ramka_unique_alloc(CPU, &note_type, NULL, ZEROED);
	ramka_list_push_back(&s->list, s->listed);
	one = ramka_frame_alloc(CPU, subject == BUSY ? &hook_type : &note_type, NULL, ZEROED);
	s->frame = one;
	switch (subject) {
	case HOLE:
		s->frame = &R->slots[(2 * MIB + MIB / 2) / PAGE];
		break;
	case UNUSED:
		s->frame = slot_at(s->f, BASE + 3 * MIB);
		break;
	case FREE:
		s->frame = slot_at(s->f, BASE + 2 * MIB - 2 * PAGE);
		assert_int_equal(state_at(s->f, BASE + 2 * MIB - 2 * PAGE), RAMKA_STATE_FREE);
		break;
	case CACHED:
		ramka_frame_put(CPU, one);
		break;
	case UNIQUE:
		s->frame = slot_of(ramka_frame_try_unique(R, one));
		break;
	case LISTED:
		s->frame = slot_of(s->listed);
		break;
	case SHARED:
	case BUSY: /* by on_drop */
		break;
	case MARKED:
		ramka_frame_get(R, one);
		assert_int_equal(ramka_frame_put_rcu(CPU, one), 0);
		break;
	case TAIL:
		s->frame = ramka_frame_alloc(CPU, &note_type, NULL, order_req(3)) + 5;
		break;
	case DEFERRED:
		assert_int_equal(ramka_frame_put_rcu(CPU, one), 0);
		break;
	case RESERVED:
		s->frame = slot_at(s->f, BASE + 3 * MIB + MIB / 2);
		break;
	case ISOLATED:
		s->frame = slot_at(s->f, BASE + 2 * MIB - 2 * PAGE);
		assert_int_equal(ramka_isolate(CPU, BASE, 2 * MIB), 0);
		break;
	case SATURATED:
		ramka_store(&one->ref, REF_SATURATED, relaxed, slot.undo);
		break;
	case NOTHING:
		s->frame = NULL;
		break;
	case MISALIGNED:
		s->frame = (struct ramka_frame *)(void *)((uint8_t *)one + 8);
		break;
	case BEFORE:
		s->frame = R->slots - 1;
		break;
	case BEHIND:
		s->frame = R->slots + R->nr_slots;
		break;
	case FOREIGN:
	default:
		s->frame = must_alloc(s->other->cpu[0], UNINIT);
		break;
	}
	s->pa = subject < NR_STATES ? slot_paddr(R, s->frame) : 0;
}

static bool accepted(const struct row *row, enum subject subject)
{
	return subject < NR_STATES && (CONTRACTS ? row->contracts : row->accept) >> subject & 1;
}

/* The cell itself, with the subject in place. */
static void play(struct scene *s)
{
	struct image { uint64_t ref, info; } *before;
	const struct ramka_bug *bug = &s->f->bug;
	unsigned bugs = s->f->bugs;

	s->ran = true;
	if (accepted(s->row, s->subject)) {
		s->row->call(s);
		return;
	}
	before = malloc(R->nr_slots * sizeof(*before));
	for (uint64_t i = 0; i < R->nr_slots; i++)
		before[i] = (struct image){ slot_ref(&R->slots[i]), slot_info(&R->slots[i]) };
	s->f->expected = 1;
	s->row->call(s);
	s->f->expected = 0;
	if (s->f->bugs != bugs + 1)
		fail_msg("%s of subject %u: %u reports", s->row->name, s->subject, s->f->bugs - bugs);
	if (strcmp(bug->operation, s->row->name))
		fail_msg("%s of subject %u is reported as %s", s->row->name, s->subject, bug->operation);
	if (s->row->argument) {
		/* the clauses of the contract build are about the slot, whatever the handle is called */
		if (!bug->argument || (strcmp(bug->argument, s->row->argument) && !(CONTRACTS && !strcmp(bug->argument, "f"))))
			fail_msg("%s of subject %u: argument %s", s->row->name, s->subject, bug->argument ? bug->argument : "-");
		assert_int_equal(bug->value, (uintptr_t)s->frame);
	}
	if (s->subject < NR_STATES) {
		assert_int_equal(bug->paddr, s->pa);
		if (bug->state != state_of_subject[s->subject])
			fail_msg("%s of subject %u: state %d", s->row->name, s->subject, (int)bug->state);
		assert_int_equal(bug->ref, s->row->by_address && s->subject == HOLE ? 0 : before[slot_index(R, s->frame)].ref);
	} else {
		assert_true(!bug->paddr && !bug->ref && !bug->type && bug->state == RAMKA_STATE_HOLE);
	}
	for (uint64_t i = 0; i < R->nr_slots; i++)
		if (before[i].ref != slot_ref(&R->slots[i]) || before[i].info != slot_info(&R->slots[i]))
			fail_msg("%s of subject %u changed slot %llu", s->row->name, s->subject, (unsigned long long)i);
	free(before);
}

static struct scene *dropping;

static void in_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)content;
	if (dropping && paddr == dropping->pa)
		play(dropping);
}

static void cell(const struct row *row, enum subject subject)
{
	static struct scene s;

	scene_open(&s, row, subject);
	if (subject == BUSY) {
		dropping = &s;
		ramka_frame_put(s.f->cpu[1], s.frame);
		dropping = NULL;
	} else {
		play(&s);
	}
	assert_true(s.ran);
	if (!accepted(row, subject) && subject != SATURATED && row->call != do_fini && row->call != do_pop_front &&
	    row->call != do_pop_back) /* which had to be given a list that is no list */
		AUDIT(s.f);
	fixture_unmap(s.f);
	fixture_unmap(s.other);
}

static void every_function_with_every_state(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NELEMS(rows); i++)
		for (unsigned subject = 0; subject < NR_STATES; subject++)
			cell(&rows[i], (enum subject)subject);
	for (unsigned subject = 0; subject < NR_STATES; subject++)
		if (!(SHARES >> subject & 1))
			cell(&split_row, (enum subject)subject);
}

static void every_function_with_what_is_no_slot(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NELEMS(rows); i++)
		for (unsigned subject = NOTHING; subject < NR_SUBJECTS; subject++)
			if (!rows[i].by_address && !rows[i].no_report && !(subject == NOTHING && rows[i].no_null))
				cell(&rows[i], (enum subject)subject);
}

/* A report of an address names it, whether it is unaligned, in a hole or beyond everything. */
static void bad_addresses(void **state)
{
	static const ramka_paddr_t bad[] = { 0, 1, BASE + 1, BASE + 2 * MIB, UINT64_MAX, UINT64_MAX - 4095, BASE - PAGE };
	struct fixture *f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map) });

	(void)state;
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		EXPECT_BUG(f, "ramka_frame_from_raw", assert_null(ramka_frame_from_raw(f->r, bad[i])));
		assert_true(f->bug.paddr == bad[i] && f->bug.value == bad[i] && !f->bug.ref && f->bug.state == RAMKA_STATE_HOLE);
		assert_string_equal(f->bug.argument, "pa");
		assert_int_equal(bad[i] % PAGE != 0, !strcmp(f->bug.what, "the address is not that of a page"));
		EXPECT_BUG(f, "ramka_unique_from_raw", assert_null(ramka_unique_from_raw(f->r, bad[i])));
		assert_true(f->bug.paddr == bad[i] && f->bug.value == bad[i]);
	}
	CLOSE(f);
}

/* Each call that takes a type, with those that are the library's own. */
static void types_that_are_the_library_s(void **state)
{
	static const struct ramka_type *const own[] = { &ramka_type_reserved, &ramka_type_unusable, &ramka_type_kernel,
							&ramka_type_metadata, &ramka_type_page_table };
	struct fixture *f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map), .rcu = true });
	struct ramka_cpu *cpu = f->cpu[0];
	static struct ramka_frame *frame;
	static struct ramka_unique *unique, *u;
	static struct ramka_segment seg;

	(void)state;
	u = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, UNINIT);
	for (unsigned i = 0; i < NELEMS(own); i++) {
		EXPECT_BUG(f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(cpu, own[i], NULL, UNINIT)));
		assert_string_equal(f->bug.argument, "type");
		assert_int_equal(f->bug.value, (uintptr_t)own[i]);
		EXPECT_BUG(f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(f->none, own[i], NULL, order_req(2))));
		EXPECT_BUG(f, "ramka_unique_alloc", assert_null(ramka_unique_alloc(cpu, own[i], NULL, ZEROED)));
		EXPECT_BUG(f, "ramka_frame_alloc_bulk", assert_int_equal(ramka_frame_alloc_bulk(cpu, own[i], UNINIT, 1, &frame), 0));
		EXPECT_BUG(f, "ramka_frame_from_unused",
			   assert_int_equal(ramka_frame_from_unused(cpu, BASE + 3 * MIB, own[i], NULL, &frame), RAMKA_E_INVAL));
		EXPECT_BUG(f, "ramka_unique_from_unused",
			   assert_int_equal(ramka_unique_from_unused(cpu, BASE + 3 * MIB, own[i], NULL, &unique), RAMKA_E_INVAL));
		EXPECT_BUG(f, "ramka_segment_alloc",
			   assert_int_equal(ramka_segment_alloc(cpu, 1, own[i], NULL, NULL, UNINIT, &seg), RAMKA_E_INVAL));
		EXPECT_BUG(f, "ramka_segment_from_unused",
			   assert_int_equal(ramka_segment_from_unused(cpu, BASE + 3 * MIB, PAGE, own[i], NULL, NULL, &seg), RAMKA_E_INVAL));
		EXPECT_BUG(f, "ramka_unique_repurpose",
			   assert_int_equal(ramka_unique_repurpose(cpu, u, own[i], NULL), RAMKA_E_INVAL));
	}
	assert_true(!frame && !unique && !seg.size);
	ramka_unique_free(cpu, u);
	CLOSE(f);
}

/* Larger frames have a short way of their own. */
static void a_larger_frame_that_is_shared(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = MIB });

	(void)state;
	for (unsigned order = 1; order < 4; order++) {
		struct ramka_frame *one = must_alloc(f->cpu[0], order_req(order));

		EXPECT_BUG(f, "ramka_unique_free", ramka_unique_free(f->cpu[0], (struct ramka_unique *)one));
		assert_int_equal(ramka_frame_refcount(one), 1);
		ramka_frame_put(f->cpu[0], one);
	}
	CLOSE(f);
}

/* A list that ended, and what still points to it. */
static void lists_that_ended(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = MIB });
	struct ramka_cursor at, ghost, out;
	struct ramka_list l;
	struct ramka_unique *u;
	ramka_paddr_t pa;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	pa = ramka_unique_paddr(f->r, u);
	ramka_list_push_back(&l, u);
	at = ramka_list_cursor_front(&l);
	ghost = (struct ramka_cursor){ &l, NULL };
	ramka_list_fini(f->cpu[0], &l);
	u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED); /* another owner's now */
	assert_int_equal(ramka_unique_paddr(f->r, u), pa);
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_cursor *c = i ? &ghost : &at;

		EXPECT_BUG(f, "ramka_cursor_next", ramka_cursor_next(c));
		EXPECT_BUG(f, "ramka_cursor_prev", ramka_cursor_prev(c));
		EXPECT_BUG(f, "ramka_cursor_meta", assert_null(ramka_cursor_meta(c)));
		EXPECT_BUG(f, "ramka_cursor_take", assert_null(ramka_cursor_take(c)));
		EXPECT_BUG(f, "ramka_cursor_insert_before", ramka_cursor_insert_before(c, u));
		assert_string_equal(f->bug.argument, "l");
		assert_int_equal(f->bug.value, (uintptr_t)&l);
	}
	EXPECT_BUG(f, "ramka_list_push_front", ramka_list_push_front(&l, u));
	EXPECT_BUG(f, "ramka_list_push_back", ramka_list_push_back(&l, u));
	EXPECT_BUG(f, "ramka_list_pop_front", assert_null(ramka_list_pop_front(&l)));
	EXPECT_BUG(f, "ramka_list_pop_back", assert_null(ramka_list_pop_back(&l)));
	EXPECT_BUG(f, "ramka_list_cursor_front", assert_null(ramka_list_cursor_front(&l).at));
	EXPECT_BUG(f, "ramka_list_cursor_back", assert_null(ramka_list_cursor_back(&l).at));
	EXPECT_BUG(f, "ramka_list_cursor_at", assert_false(ramka_list_cursor_at(&l, pa, &out)));
	EXPECT_BUG(f, "ramka_list_fini", ramka_list_fini(f->cpu[0], &l));
	assert_false(ramka_list_contains(&l, pa));
	assert_int_equal(ramka_list_size(&l), 0);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* The metadata of a hole may be unbacked. */
static void unback(struct fixture *f, ramka_paddr_t base, uint64_t size)
{
	struct ramka_metadata_part parts[RAMKA_METADATA_PARTS];
	unsigned n = ramka_metadata_of(f->r, base, size, parts);

	for (unsigned i = 0; i < n; i++) {
		uintptr_t first = ((uintptr_t)parts[i].base + PAGE - 1) & ~(PAGE - 1);
		uintptr_t end = ((uintptr_t)parts[i].base + parts[i].size) & ~(PAGE - 1);

		if (first < end)
			assert_int_equal(mprotect((void *)first, end - first, PROT_NONE), 0);
	}
}

/* Each function that takes a segment, with one that has a hole in it: the first page of the hole is named. */
static void refuse_segment(struct fixture *f, ramka_paddr_t base, uint64_t size, ramka_paddr_t hole)
{
	struct ramka_segment s = { base, size }, rest = s, a = { 0 }, b = { 0 };
	uint64_t word = 0;

#define REFUSED(name, ...) \
	do { \
		EXPECT_BUG(f, name, __VA_ARGS__); \
		assert_string_equal(f->bug.argument, "s"); \
		assert_true(f->bug.paddr == hole && f->bug.state == RAMKA_STATE_HOLE && !f->bug.ref && !f->bug.type); \
	} while (0)
	REFUSED("ramka_segment_put", ramka_segment_put(f->cpu[0], s));
	REFUSED("ramka_segment_get", assert_int_equal(ramka_segment_get(f->r, s).size, 0));
	REFUSED("ramka_segment_split", assert_int_equal(ramka_segment_split(f->r, s, PAGE, &a, &b), RAMKA_E_INVAL));
	REFUSED("ramka_segment_slice", assert_int_equal(ramka_segment_slice(f->r, s, 0, size, &a), RAMKA_E_INVAL));
	REFUSED("ramka_segment_next", assert_null(ramka_segment_next(f->r, &rest)));
	REFUSED("ramka_segment_is", assert_false(ramka_segment_is(f->r, s, &ramka_type_untyped)));
	REFUSED("ramka_segment_read",
		assert_int_equal(ramka_segment_read(f->r, s, size - PAGE, &word, sizeof(word)), RAMKA_E_INVAL));
	REFUSED("ramka_segment_write",
		assert_int_equal(ramka_segment_write(f->r, s, size - PAGE, &word, sizeof(word)), RAMKA_E_INVAL));
	REFUSED("ramka_segment_forget", ramka_segment_forget(f->r, s));
	REFUSED("ramka_segment_restore", ramka_segment_restore(f->r, s));
	assert_true(!a.size && !b.size && rest.base == base && rest.size == size);
}

static void segments_with_a_hole(void **state)
{
	static const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 60 * MIB, 4 * MIB, RAMKA_USABLE, 0 } };
	const struct ramka_region late = { BASE + 20 * MIB, 4 * MIB, RAMKA_USABLE, 0 };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g), .flags = RAMKA_METADATA_ZEROED });
	struct ramka_segment below, above, added;

	(void)state;
	f->grown = true;
	for (unsigned round = 0; round < 2; round++) { /* then the late memory was removed */
		if (!round)
			assert_int_equal(ramka_add_memory(f->r, &late), 0);
		unback(f, BASE + 4 * MIB, 16 * MIB);
		unback(f, BASE + 24 * MIB, 36 * MIB);
		assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 2 * MIB, 2 * MIB, &ramka_type_untyped, NULL, NULL, &below), 0);
		assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 60 * MIB, 2 * MIB, &ramka_type_untyped, NULL, NULL, &above), 0);
		refuse_segment(f, BASE + 10 * MIB, 2 * PAGE, BASE + 10 * MIB);
		refuse_segment(f, BASE + 3 * MIB, 57 * MIB, BASE + 4 * MIB);
		refuse_segment(f, BASE + 59 * MIB, 2 * MIB, BASE + 59 * MIB);
		if (!round) {
			assert_int_equal(ramka_segment_from_unused(f->cpu[0], late.base, late.size, &ramka_type_untyped, NULL, NULL, &added), 0);
			refuse_segment(f, late.base, late.size + PAGE, late.base + late.size);
			refuse_segment(f, late.base - PAGE, late.size, late.base - PAGE);
			ramka_segment_put(f->cpu[0], added);
			assert_int_equal(ramka_isolate(f->cpu[0], late.base, late.size), 0);
			assert_int_equal(ramka_remove_memory(f->cpu[0], late.base, late.size), 0);
			unback(f, late.base, late.size);
		} else {
			refuse_segment(f, late.base, late.size, late.base);
		}
		ramka_segment_put(f->cpu[0], below);
		ramka_segment_put(f->cpu[0], above);
	}
	AUDIT(f);
	fixture_unmap(f);
}

/* A result that has nowhere to go: nothing is taken. */
static void nowhere_to_put_the_result(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 4 * MIB });
	struct ramka_segment seg;
	struct ramka_why why;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 2, &ramka_type_untyped, NULL, NULL, UNINIT, &seg), 0);
	assert_int_equal(ramka_segment_slice(f->r, seg, 0, PAGE, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_segment_split(f->r, seg, PAGE, NULL, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_from_in_use(f->r, seg.base, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_refcount(slot_at(f, seg.base)), 1);
	ramka_segment_put(f->cpu[0], seg);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 2, &ramka_type_untyped, NULL, NULL, UNINIT, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE, PAGE, &ramka_type_untyped, NULL, NULL, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE, &ramka_type_untyped, NULL, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE, &ramka_type_untyped, NULL, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 3, &ramka_type_untyped, NULL, NULL, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "ret_frame");
	assert_int_equal(ramka_unique_claim(f->cpu[0], BASE, 3, &ramka_type_untyped, NULL, NULL, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "ret_u");
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_with_every_state),
		cmocka_unit_test(every_function_with_what_is_no_slot),
		cmocka_unit_test(bad_addresses),
		cmocka_unit_test(types_that_are_the_library_s),
		cmocka_unit_test(a_larger_frame_that_is_shared),
		cmocka_unit_test(lists_that_ended),
		cmocka_unit_test(segments_with_a_hole),
		cmocka_unit_test(nowhere_to_put_the_result),
	};

	return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
