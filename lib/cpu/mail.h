/* SPDX-License-Identifier: MIT */
/*
 * Mail: frames that a CPU frees and that lie in another CPU's territory. May use account.h, depot.h,
 * row.h, gate.h.
 *
 * A free into another CPU's territory would change a bitmap word and a block entry that the owner changes all
 * the time. So the frame waits in the outbox of the CPU that frees it, in a list for its owner. A list of 64
 * goes to the owner as one magazine, by one CAS into the owner's mailbox. The owner opens its mailbox when it
 * refills its cache, and whenever it sends mail itself, and puts each frame through its gate. So both CPUs
 * change only lines of their own. Between them only the frame's slot and a few lines for each 64 frames move.
 *
 * States of a frame on its way: in an outbox (private to the CPU that freed it, and drained with its cache),
 * in a mailed magazine (depot.h), in the owner's cache or rows. All of these are CACHED for the rest of the
 * library.
 *
 * Bounds (setup/tune.c). An outbox holds at most 1024 frames, fewer where memory is small. When it is full,
 * its longest list is sent. A mailbox has up to 16 magazines. When it is full, the next longest lists have
 * their turn, and after four of them the sender frees the frames into the bitmap itself. So an owner that is
 * idle or stopped strands at most a mailbox.
 */
#ifndef RAMKA_LIB_CPU_MAIL_H
#define RAMKA_LIB_CPU_MAIL_H

#include "account.h"
#include "depot.h"

#define OUTBOX_MAX 1024u
#define NO_LETTER 0xffffu

/* Frames for one owner: a list through `next`. */
struct letters {
	uint16_t head, count;
};

/*
 * Private to its CPU, like its cache. `letters` has an entry for each CPU; `next` and `frames` follow behind
 * it.
 */
struct outbox {
	struct ramka_atomic_u32 count; /* frames in all lists */
	uint32_t size, room;           /* places in use and in all; 0: nothing is mailed */
	uint16_t spare;                /* head of the list of places that are not used */
	uint32_t likely;               /* whose list is likely to go next */
	uint32_t away;                 /* frames that came by mail and that no refill took since, about */
	uint16_t *next;
	uint32_t *frames;
	struct letters letters[];
};

/* Mailboxes among so many CPUs; the places of an outbox, and its bytes, whole cache lines. */
unsigned mailboxes(unsigned nr_cpus);
uint32_t outbox_size(unsigned nr_cpus);
size_t outbox_bytes(unsigned nr_cpus);
void outbox_init(struct outbox *o, unsigned nr_cpus);
/* Lets the outbox grow to the bound that follows from the memory; inside the section. */
void mail_grow(struct ramka_cpu *cpu);

static inline uint32_t mail_count(const struct ramka_cpu *cpu)
{
	return cpu->outbox ? ramka_load(&cpu->outbox->count, relaxed, section.own) : 0;
}

/*
 * Frame n goes to CPU `owner`. Inside the section; the caller counts the push. False: this CPU sends no mail.
 */
bool mail_put(struct ramka_cpu *cpu, uint32_t owner, uint32_t n);
/*
 * All lists go to the zone; inside the section or while the CPU is stopped. The caller counts the movement.
 */
void mail_flush(struct ramka_cpu *cpu);
/*
 * A refill takes n frames. Are their slots likely to lie at other CPUs, which freed the frames? That is so of
 * as many frames as came by mail.
 */
static inline bool mail_slots_away(struct ramka_cpu *cpu, uint32_t n)
{
	uint32_t away = cpu->outbox->away;

	if (likely(!away))
		return false;
	cpu->outbox->away = away - (away < n ? away : n);
	return true;
}

/*
 * Takes a magazine out of the mailbox: frames that pass the gate go to the cache while it has room, others to
 * rows. Inside the section; the caller counts the movement, and afterwards the frames: the result is how many
 * they are. 0: there is no magazine.
 */
uint32_t mail_open(struct ramka_cpu *cpu, uint32_t *count);

#endif
