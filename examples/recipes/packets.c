/* SPDX-License-Identifier: MIT */
/*
 * A packet pool. One CPU receives and allocates in bulk, another one consumes and frees in bulk: frames flow back through the
 * depot without a lock. What a driver notes about a packet is the frame's metadata; a packet for two receivers is one frame
 * with two references.
 */
#include "recipe.h"
#include <pthread.h>
#include <stdatomic.h>

#define BURST 32u
#define RING 256u
#define PACKETS 200000u

struct packet { uint32_t number; uint16_t offset, length; };
static RAMKA_DEFINE_TYPE(packet_type, struct packet, .id = RAMKA_TYPE_ID_USER);

/* One producer, one consumer. */
static struct ramka_frame *ring[RING];
static atomic_uint head, tail;

/* ---- the recipe ---- */

/* Up to BURST empty packets. Their content is left as it is: the device overwrites it. */
static size_t receive_burst(struct ramka_cpu *cpu, struct ramka_frame **packets)
{
	return ramka_frame_alloc_bulk(cpu, &packet_type, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, BURST, packets);
}

static void fill(struct ramka_frame *f, uint32_t number)
{
	struct packet *p = ramka_frame_meta(r, f);

	*p = (struct packet){ .number = number, .offset = 128, .length = 4 };
	memcpy((char *)ramka_frame_content(r, f) + p->offset, &number, sizeof(number));
}

/* Each packet's last reference frees it; others only count down. Misses of cold packets overlap. */
static void consume_burst(struct ramka_cpu *cpu, struct ramka_frame **packets, size_t n)
{
	ramka_frame_put_bulk(cpu, n, packets);
}

/* ---- its test ---- */

static void push(struct ramka_frame *f)
{
	unsigned at = atomic_load_explicit(&head, memory_order_relaxed);

	while (at - atomic_load_explicit(&tail, memory_order_acquire) == RING)
		;
	ring[at % RING] = f;
	atomic_store_explicit(&head, at + 1, memory_order_release);
}

static struct ramka_frame *pop(void)
{
	unsigned at = atomic_load_explicit(&tail, memory_order_relaxed);
	struct ramka_frame *f;

	while (at == atomic_load_explicit(&head, memory_order_acquire))
		;
	f = ring[at % RING];
	atomic_store_explicit(&tail, at + 1, memory_order_release);
	return f;
}

static void *receiver(void *arg)
{
	struct ramka_frame *burst[BURST];
	uint32_t number = 0;

	(void)arg;
	while (number < PACKETS) {
		size_t n = receive_burst(ramka_host_cpu(host), burst);

		for (size_t i = 0; i < n; i++, number++) {
			fill(burst[i], number);
			if (number % 3 == 0)
				push(ramka_frame_get(r, burst[i])); /* for a second receiver */
			push(burst[i]);
		}
	}
	push(NULL);
	return NULL;
}

static void consumer(void)
{
	struct ramka_frame *burst[BURST], *f;
	uint32_t sum = 0, n = 0;

	while ((f = pop())) {
		const struct packet *p = ramka_frame_meta_as(r, f, &packet_type);

		CHECK(p && !memcmp((char *)ramka_frame_content(r, f) + p->offset, &p->number, sizeof(p->number)));
		sum++;
		burst[n++] = f;
		if (n == BURST) {
			consume_burst(ramka_host_cpu(host), burst, n);
			n = 0;
		}
	}
	consume_burst(ramka_host_cpu(host), burst, n);
	CHECK(sum >= PACKETS + PACKETS / 3);
}

int main(void)
{
	pthread_t thread;

	recipe_begin(&packet_type);
	CHECK(!pthread_create(&thread, NULL, receiver, NULL));
	consumer();
	CHECK(!pthread_join(thread, NULL));
	recipe_end();
	puts("packets: all came through, all came back");
	return 0;
}
