/* SPDX-License-Identifier: MIT */
/*
 * Slots, frame numbers and addresses: contracts for the functions of lib/base/instance.h and lib/base/bits.h themselves, which
 * Frama-C's WP proves (tests/proofs/run). A contract stands at a declaration before or after the definition, so the
 * headers need none.
 *
 * Taken as given: memory is flat, that is, a slot's address as an integer grows by 16 a slot and has 64 bits (Flat);
 * and what shifts and masks by constants and the wrap of an unsigned difference mean, which the provers do not know
 * (Words; bits_goals.cc proves the same of 64-bit words).
 * The bounds: 2^52 frame numbers (addresses have 64 bits), 2^48 slots at most.
 */
#include "zone/zones.h"

/*@ axiomatic Words {
      axiom right12: \forall integer x; 0 <= x ==> (x >> 12) == x / 4096;
      axiom left12: \forall integer x; 0 <= x ==> (x << 12) == x * 4096;
      axiom right4: \forall integer x; 0 <= x ==> (x >> 4) == x / 16;
      axiom wrap: \forall integer x; -0x10000000000000000 <= x < 0 ==> (uint64_t)x == x + 0x10000000000000000;
      axiom mask4: \forall integer x; 0 <= x ==> (x & 15) == x % 16;
    }

    axiomatic Flat {
      axiom flat: \forall struct ramka_frame *p, integer n;
        0 <= n && (integer)(uintptr_t)p + 16 * n <= 0xffffffffffffffff ==>
          (integer)(uintptr_t)(p + n) == (integer)(uintptr_t)p + 16 * n;
      axiom range: \forall struct ramka_frame *p; 0 <= (integer)(uintptr_t)p <= 0xffffffffffffffff;
    }

    predicate instance(struct ramka *r) =
      \valid_read(r) && r->nr_slots <= 0x1000000000000 && r->first + r->nr_slots <= 0x10000000000000 &&
      (integer)(uintptr_t)r->slots + 16 * r->nr_slots <= 0xffffffffffffffff;

    predicate slot(struct ramka *r, struct ramka_frame *f, integer i) = 0 <= i < r->nr_slots && f == r->slots + i;

    predicate in_array(integer offset, integer nr) = 0 <= offset < 16 * nr && offset % 16 == 0;

    predicate in_zone(struct ramka *r, struct zone *z, integer i) =
      \valid_read(z) && z->origin <= r->first + i < z->origin + 0x100000000;
*/

/* With -DBROKEN two goals must not be proved: a wrong contract, and a contradiction in what is taken as given. */
#ifdef BROKEN
# define OFF_BY 1
/*@ requires instance(r) && slot(r, f, 1) && in_zone(r, z, 1);
    requires (uintptr_t)g < (uintptr_t)f && ((uintptr_t)f >> 4) > (pa << 12);
    ensures \false; */
void contradiction(const struct ramka *r, const struct zone *z, const struct ramka_frame *f,
		   const struct ramka_frame *g, unsigned pa)
{
}
#else
# define OFF_BY 0
#endif

/*@ assigns \nothing;
    ensures \result == pa / 4096; */
static inline uint64_t frame_of(ramka_paddr_t pa);

/*@ requires frame < 0x10000000000000;
    assigns \nothing;
    ensures \result == frame * 4096; */
static inline ramka_paddr_t paddr_of(uint64_t frame);

/*@ requires instance(r) && \exists integer i; slot(r, f, i);
    assigns \nothing;
    ensures slot(r, f, \result);
    ensures \forall integer i; slot(r, f, i) ==> \result == i + OFF_BY; */
static inline uint64_t slot_index(const struct ramka *r, const struct ramka_frame *f);

/* Any pointer whatever: true exactly for the address of a slot. */
/*@ requires instance(r);
    assigns \nothing;
    ensures \result <==> in_array((uintptr_t)f - (uintptr_t)r->slots, r->nr_slots); */
static inline bool slot_valid(const struct ramka *r, const struct ramka_frame *f);

/*@ requires instance(r) && \exists integer i; slot(r, f, i);
    assigns \nothing;
    ensures \forall integer i; slot(r, f, i) ==> \result == (r->first + i) * 4096; */
static inline ramka_paddr_t slot_paddr(const struct ramka *r, const struct ramka_frame *f);

/*@ requires instance(r) && \exists integer i; slot(r, f, i) && in_zone(r, z, i);
    assigns \nothing;
    ensures \forall integer i; slot(r, f, i) ==> \result == r->first + i - z->origin; */
static inline uint32_t slot_bit(const struct ramka *r, const struct zone *z, const struct ramka_frame *f);

/*@ requires instance(r) && \valid_read(z) && r->first <= z->origin + bit < r->first + r->nr_slots;
    requires z->origin <= 0x10000000000000;
    assigns \nothing;
    ensures slot(r, \result, z->origin + bit - r->first); */
static inline struct ramka_frame *slot_at_bit(const struct ramka *r, const struct zone *z, uint32_t bit);

/* ---- both ways, as the library goes them ---- */

/* slot to address and back, the latter as instance_slot does it */
/*@ requires instance(r) && \exists integer i; slot(r, f, i);
    assigns \nothing;
    ensures \result == f; */
const struct ramka_frame *slot_address_slot(const struct ramka *r, const struct ramka_frame *f)
{
	return &r->slots[frame_of(slot_paddr(r, f)) - r->first];
}

/* address to slot and back */
/*@ requires instance(r) && pa % 4096 == 0 && r->first <= pa / 4096 < r->first + r->nr_slots;
    assigns \nothing;
    ensures \result == pa; */
ramka_paddr_t address_slot_address(const struct ramka *r, ramka_paddr_t pa)
{
	const struct ramka_frame *f = &r->slots[frame_of(pa) - r->first];

	/*@ assert slot(r, f, pa / 4096 - r->first); */
	return slot_paddr(r, f);
}

/* two slots have two addresses */
/*@ requires instance(r) && f != g && (\exists integer i; slot(r, f, i)) && (\exists integer j; slot(r, g, j));
    assigns \nothing;
    ensures \result == 0; */
int addresses_meet(const struct ramka *r, const struct ramka_frame *f, const struct ramka_frame *g)
{
	return slot_paddr(r, f) == slot_paddr(r, g);
}

/* slot to bit and back */
/*@ requires instance(r) && z->origin <= 0x10000000000000 && \exists integer i; slot(r, f, i) && in_zone(r, z, i);
    assigns \nothing;
    ensures \result == f; */
const struct ramka_frame *slot_bit_slot(const struct ramka *r, const struct zone *z, const struct ramka_frame *f)
{
	return slot_at_bit(r, z, slot_bit(r, z, f));
}
