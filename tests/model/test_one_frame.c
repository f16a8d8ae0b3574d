/* SPDX-License-Identifier: MIT */
/*
 * All sequences of up to six out of eight calls on one frame, legal or not, against its state machine: 262,144 of them
 * for each kind of frame and handle. A call that is not legal in a state reports exactly one bug and changes nothing.
 */
#include "unit/fixture.h"

enum call { ALLOC, GET, PUT, PUT_RCU, FROM_UNUSED, FROM_IN_USE, TURN, FREE_UNIQUE, NR_CALLS };
#define LENGTH 6u

static const char *const names[NR_CALLS] = { "alloc", "get", "put", "put_rcu", "from_unused", "from_in_use", "share/try_unique",
					     "unique_free" };

struct machine {
	enum ramka_state state;   /* FREE or UNUSED at rest */
	enum ramka_state rest;
	uint64_t refs;
	bool marked;
	unsigned drops, bugs;
};

static unsigned drops;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)paddr, (void)content;
	drops++;
}

static RAMKA_DEFINE_TYPE(type, uint64_t, .id = 16, .flags = 0, .on_drop = on_drop);

/* ---- the state machine ---- */

static void last_reference(struct machine *m)
{
	m->refs = 0;
	if (m->marked) {
		m->state = RAMKA_STATE_DEFERRED;
		return;
	}
	m->state = m->rest;
	m->drops++;
}

/* Claims by address and by nobody. */
static int born(struct machine *m)
{
	m->state = RAMKA_STATE_SHARED;
	m->refs = 1;
	m->marked = false;
	return 0;
}

/* What the call answers: 0 or an error; 1 is a handle or "done", -1 none. */
static int expect(struct machine *m, enum call call)
{
	bool shared = m->state == RAMKA_STATE_SHARED, unique = m->state == RAMKA_STATE_UNIQUE;

	switch (call) {
	case ALLOC:
		return m->state == RAMKA_STATE_FREE ? born(m) + 1 : -1;
	case FROM_UNUSED:
		return m->state == m->rest ? born(m) : shared ? RAMKA_E_IN_USE : unique ? RAMKA_E_UNIQUE : RAMKA_E_BUSY;
	case FROM_IN_USE:
		if (shared)
			m->refs++;
		return shared ? 0 : m->state == m->rest ? RAMKA_E_UNUSED : unique ? RAMKA_E_UNIQUE : RAMKA_E_BUSY;
	case TURN:
		if (unique) {
			m->state = RAMKA_STATE_SHARED;
			m->refs = 1;
			return 1;
		}
		m->bugs += !shared;
		if (!shared || m->refs > 1 || m->marked)
			return -1;
		m->state = RAMKA_STATE_UNIQUE;
		m->refs = 0;
		return 1;
	case FREE_UNIQUE:
		m->bugs += !unique;
		if (unique)
			last_reference(m);
		return 1;
	case GET:
	case PUT:
	case PUT_RCU:
	case NR_CALLS:
		break;
	}
	if (!shared) {
		m->bugs++;
		return call == PUT_RCU ? RAMKA_E_INVAL : call == GET ? -1 : 1;
	}
	if (call == GET) {
		m->refs++;
		return 1;
	}
	m->marked |= call == PUT_RCU;
	if (!--m->refs)
		last_reference(m);
	return call == PUT_RCU ? 0 : 1;
}

/* ---- the library ---- */

static int perform(struct fixture *f, struct ramka_cpu *cpu, struct ramka_frame *frame, enum call call)
{
	struct ramka_frame *ret = NULL;
	int rc;

	switch (call) {
	case ALLOC:
		ret = ramka_frame_alloc(cpu, &type, NULL, UNINIT);
		return !ret ? -1 : ret == frame ? 1 : -99;
	case GET:
		ret = ramka_frame_get(f->r, frame);
		return !ret ? -1 : ret == frame ? 1 : -99;
	case PUT:
		ramka_frame_put(cpu, frame);
		return 1;
	case PUT_RCU:
		return ramka_frame_put_rcu(cpu, frame);
	case FROM_UNUSED:
		rc = ramka_frame_from_unused(cpu, BASE, &type, NULL, &ret);
		return (ret == frame) == !rc ? rc : -99;
	case FROM_IN_USE:
		rc = ramka_frame_from_in_use(f->r, BASE, &ret);
		return (ret == frame) == !rc ? rc : -99;
	case TURN:
		if (ref_tag(slot_ref(frame)) == TAG_UNIQUE)
			return ramka_unique_share(f->r, unique_of(frame)) == frame ? 1 : -1;
		return ramka_frame_try_unique(f->r, frame) ? 1 : -1;
	case FREE_UNIQUE:
		ramka_unique_free(cpu, unique_of(frame));
		return 1;
	case NR_CALLS:
		break;
	}
	return -99;
}

/* Back to where it began. */
static void rest(struct ramka_cpu *cpu, struct ramka_frame *frame, struct machine *m)
{
	while (m->state == RAMKA_STATE_SHARED) {
		expect(m, PUT);
		ramka_frame_put(cpu, frame);
	}
	if (m->state == RAMKA_STATE_UNIQUE)
		ramka_unique_free(cpu, unique_of(frame));
	if (m->state == RAMKA_STATE_DEFERRED)
		ramka_reclaim(cpu, true);
}

static void play(struct fixture *f, struct ramka_cpu *cpu, struct ramka_frame *frame, enum ramka_state start, uint32_t sequence)
{
	struct machine m = { .state = start, .rest = start };

	drops = f->bugs = 0;
	for (unsigned i = 0; i < LENGTH; i++) {
		enum call call = (enum call)(sequence >> 3 * i & 7);
		int want = expect(&m, call), got = perform(f, cpu, frame, call);

		if (got == want && f->bugs == m.bugs && drops == m.drops && ramka_frame_refcount(frame) == m.refs &&
		    slot_state(slot_ref(frame), slot_info(frame)) == m.state)
			continue;
		for (unsigned j = 0; j <= i; j++)
			print_error("%s, ", names[sequence >> 3 * j & 7]);
		fail_msg("answers %d instead of %d; %u bugs instead of %u; %u drops instead of %u; ref %#llx instead of state %d, count %llu",
			 got, want, f->bugs, m.bugs, drops, m.drops, (unsigned long long)slot_ref(frame), (int)m.state,
			 (unsigned long long)m.refs);
	}
	rest(cpu, frame, &m);
}

static void all_of(enum ramka_region_kind kind, bool cacheless)
{
	const struct ramka_region g = { BASE, PAGE, kind, 0 };
	struct fixture *f = fixture_open((struct spec){ .regions = &g, .nr_regions = 1, .nr_cpus = 1, .rcu = true, .high_water = 100 });
	enum ramka_state start = kind == RAMKA_USABLE ? RAMKA_STATE_FREE : RAMKA_STATE_UNUSED;

	assert_int_equal(ramka_type_register(f->r, &type), 0);
	f->expected = 1;
	for (uint32_t sequence = 0; sequence < 1u << 3 * LENGTH; sequence++) {
		play(f, cacheless ? f->none : f->cpu[0], slot_at(f, BASE), start, sequence);
		if (sequence % 4096 == 0)
			AUDIT(f);
	}
	CLOSE(f);
}

static void a_cached_frame(void **state)
{
	(void)state;
	all_of(RAMKA_USABLE, false);
}

static void a_frame_without_caches(void **state)
{
	(void)state;
	all_of(RAMKA_USABLE, true);
}

static void a_detached_frame(void **state)
{
	(void)state;
	all_of(RAMKA_DETACHED, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cached_frame),
		cmocka_unit_test(a_frame_without_caches),
		cmocka_unit_test(a_detached_frame),
	};

	return cmocka_run_group_tests_name("one frame", tests, NULL, NULL);
}
