/* SPDX-License-Identifier: MIT */
/* Mail between CPUs. Purpose, states and bounds: mail.h. */
#include "../base/mem.h"

#include "gate.h"
#include "mail.h"
#include "row.h"

#define NO_MAIL_BELOW 2u      /* CPUs */
#define MAIL_AT_SENDING 2u /* magazines opened for each one sent */
#define SEND_TRIES 4u      /* mailboxes tried before a list goes to the zone */
/* so many frees before a list goes, the heads of the two mailboxes are fetched; then the magazines */
#define FETCH_HEADS 2u
#define FETCH_MAGAZINES 1u

/* ---- set-up ---- */

unsigned mailboxes(unsigned nr_cpus)
{
	return nr_cpus < NO_MAIL_BELOW ? 0 : nr_cpus;
}

uint32_t outbox_size(unsigned nr_cpus)
{
	uint64_t n = mailboxes(nr_cpus) ? (uint64_t)(nr_cpus - 1) * MAGAZINE_SIZE : 0;

	return n < OUTBOX_MAX ? (uint32_t)n : OUTBOX_MAX;
}

size_t outbox_bytes(unsigned nr_cpus)
{
	uint32_t n = outbox_size(nr_cpus);

	return (size_t)align_up(sizeof(struct outbox) + (n ? nr_cpus * sizeof(struct letters) : 0) +
				n * (sizeof(uint32_t) + sizeof(uint16_t)), LINE_BYTES);
}

void outbox_init(struct outbox *o, unsigned nr_cpus)
{
	o->frames = (uint32_t *)(void *)(o->letters + (outbox_size(nr_cpus) ? nr_cpus : 0));
	o->next = (uint16_t *)(void *)(o->frames + outbox_size(nr_cpus));
	o->spare = NO_LETTER;
	o->room = outbox_size(nr_cpus);
	for (unsigned i = 0; o->room && i < nr_cpus; i++)
		o->letters[i].head = NO_LETTER;
}

void mail_grow(struct ramka_cpu *cpu)
{
	uint32_t bound = ramka_load(&cpu->r->mail_max, relaxed, stat);
	struct outbox *o = cpu->outbox;

	for (; o->size < bound && o->size < o->room; o->size++) {
		o->next[o->size] = o->spare;
		o->spare = (uint16_t)o->size;
	}
}

/* ---- sending ---- */

/* Takes the first frame off a list. */
static uint32_t take_letter(struct outbox *o, struct letters *l)
{
	uint16_t at = l->head;

	l->head = o->next[at];
	l->count--;
	o->next[at] = o->spare;
	o->spare = at;
	return o->frames[at];
}

/* Up to `most` frames of a list leave the outbox; how many. */
static uint32_t take_letters(struct ramka_cpu *cpu, struct letters *l, uint32_t most, uint32_t *ret_frames)
{
	struct outbox *o = cpu->outbox;
	uint32_t n = l->count < most ? l->count : most;

	for (uint32_t i = 0; i < n; i++)
		ret_frames[i] = take_letter(o, l);
	own_add(&cpu->moved_out, n);
	ramka_store(&o->count, ramka_load(&o->count, relaxed, section.own) - n, release, stat.held);
	return n;
}

/* The list goes to its owner. False, and nothing done: the owner's mailbox is full. */
static bool send(struct ramka_cpu *cpu, uint32_t owner)
{
	struct magazine *m = depot_get_empty(cpu->r->mail, owner);

	if (!m)
		return false;
	m->count = take_letters(cpu, &cpu->outbox->letters[owner], MAGAZINE_SIZE, m->frames);
	depot_push(cpu->r->mail, m);
	return true;
}

/*
 * The list goes to the zone, a quarter of a magazine at a time, which keeps the stack small. Not inlined, so
 * that the array does not lie there when mail is opened.
 */
static noinline void give_letters(struct ramka_cpu *cpu, uint32_t owner)
{
	struct letters *l = &cpu->outbox->letters[owner];
	uint32_t frames[MAGAZINE_SIZE / 4], n;

	while (l->count) {
		n = take_letters(cpu, l, MAGAZINE_SIZE / 4, frames);
		free_frames(cpu, cpu->zone, frames, n, true);
	}
}

/*
 * The longest list. Of equal ones the first behind the sender's own: CPUs that free the same mixture, as
 * exiting processes do, then do not meet at one mailbox. `last`: only what comes behind this one, in that
 * order; the sender's own list, which is empty, for all.
 */
static uint32_t longest_list(const struct ramka_cpu *cpu, uint32_t last)
{
	const struct letters *l = cpu->outbox->letters;
	uint32_t longest = cpu->id, nr = cpu->r->nr_cpus, most = last == cpu->id ? UINT32_MAX : l[last].count;
	bool behind = false;

	for (uint32_t i = 1, at = cpu->id; i < nr; i++) {
		at = at + 1 < nr ? at + 1 : 0;
		if (l[at].count > l[longest].count && (l[at].count < most || (l[at].count == most && behind)))
			longest = at;
		behind |= at == last;
	}
	return longest;
}

/*
 * Makes room in the outbox. A CPU whose mailbox is full may be about to open it, so another list goes
 * meanwhile: a frame that goes to the zone moves four lines.
 */
static void send_longest(struct ramka_cpu *cpu)
{
	uint32_t longest = cpu->outbox->likely, owner;

	if (!cpu->outbox->letters[longest].count)
		longest = longest_list(cpu, cpu->id);
	owner = longest;
	for (unsigned i = 0; i < SEND_TRIES && owner != cpu->id; i++) {
		if (send(cpu, owner))
			return;
		owner = longest_list(cpu, owner);
	}
	give_letters(cpu, longest);
}

/* A full list goes; of an outbox without room the longest one. */
static void send_some(struct ramka_cpu *cpu, uint32_t owner)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	if (cpu->outbox->letters[owner].count < MAGAZINE_SIZE)
		send_longest(cpu);
	else if (!send(cpu, owner))
		give_letters(cpu, owner);
	count_move(cpu, true);
}

/*
 * Up to two magazines of the own mailbox for each one sent. A CPU that only frees keeps its own mailbox empty
 * too, even where more of them come for a while than it sends.
 */
static void answer(struct ramka_cpu *cpu)
{
	uint32_t count = cpu_count(cpu), in = 0, more = 1;

	if (!depot_has_full(cpu->r->mail, cpu->id))
		return;
	cpu_settle(cpu);
	count_move(cpu, true);
	for (unsigned i = 0; i < MAIL_AT_SENDING && more; i++)
		in += more = mail_open(cpu, &count);
	set_count(cpu, count);
	own_count_in(&cpu->moved_in, in);
	count_move(cpu, true);
}

/*
 * A list goes soon, after `left` more frees: to `owner`, or the longest one. What the CPU then reads of that
 * mailbox, and of its own, lies at other CPUs. The fetches overlap with the frees until then.
 */
static void fetch_ahead(struct ramka_cpu *cpu, uint32_t owner, uint32_t left)
{
	const struct depot *d = cpu->r->mail;
	struct outbox *o = cpu->outbox;

	if (left == FETCH_HEADS) {
		o->likely = o->letters[owner].count == MAGAZINE_SIZE - FETCH_HEADS ?
				    owner :
				    longest_list(cpu, cpu->id);
		__builtin_prefetch(&d->shards[o->likely].empty, 1);
		__builtin_prefetch(&d->shards[o->likely].full, 1);
		__builtin_prefetch(&d->shards[cpu->id].full, 1);
	} else if (left == FETCH_MAGAZINES) {
		depot_fetch(d, depot_first_empty(d, o->likely), o->letters[o->likely].count);
		depot_fetch(d, depot_first(d, cpu->id), o->letters[o->likely].count);
	}
}

bool mail_put(struct ramka_cpu *cpu, uint32_t owner, uint32_t n)
{
	struct outbox *o = cpu->outbox;
	uint32_t count, left;
	struct letters *l;
	uint16_t at;

	if (!o || !o->size)
		return false;
	l = &o->letters[owner];
	if (l->count == MAGAZINE_SIZE || o->spare == NO_LETTER) {
		send_some(cpu, owner);
		answer(cpu);
	}
	at = o->spare;
	o->spare = o->next[at];
	o->frames[at] = n;
	o->next[at] = l->head;
	l->head = at;
	l->count++;
	count = ramka_load(&o->count, relaxed, section.own) + 1;
	ramka_store(&o->count, count, relaxed, section.own);
	left = o->size - count < MAGAZINE_SIZE - l->count ? o->size - count : MAGAZINE_SIZE - l->count;
	if (unlikely(left == FETCH_HEADS || left == FETCH_MAGAZINES))
		fetch_ahead(cpu, owner, left);
	return true;
}

void mail_flush(struct ramka_cpu *cpu)
{
	for (unsigned i = 0; mail_count(cpu) && i < cpu->r->nr_cpus; i++)
		give_letters(cpu, i);
}

/* ---- receiving ---- */

uint32_t mail_open(struct ramka_cpu *cpu, uint32_t *count)
{
	struct magazine *m = cpu->outbox->room ? depot_pop(cpu->r->mail, cpu->id) : NULL;
	uint32_t in;

	if (!m)
		return 0;
	in = m->count;
	cpu->outbox->away += in;
	depot_fetch(cpu->r->mail, depot_first(cpu->r->mail, cpu->id), in); /* the next one */
	for (uint32_t i = 0; i < in; i++) {
		uint32_t n = m->frames[i], bit = bit_of(cpu, n);

		if (*count < cpu->most && gate_passes(cpu, n, cpu->block, &cpu->current))
			cache_of(cpu)->frames[(*count)++] = n;
		else
			put_into_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
	}
	depot_put_empty(cpu->r->mail, m);
	return in;
}
