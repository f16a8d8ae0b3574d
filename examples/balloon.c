/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine gives memory back to its host, in the two ways that virtio-balloon has. Guest memory is a memfd; threads
 * play the guest: they allocate, write, look at what they wrote, and free. Meanwhile the main thread
 *
 *	inflates   takes whole 2 MiB frames in bulk, most of the memory, and punches each out of the file
 *	deflates   gives them back in bulk
 *	reports    punches out what is free and was not reported yet
 *
 * and prints the CPU time that each frame costs, without the punching. Nothing that the guest wrote may be gone before it is
 * freed, and when all is free the file must be empty.
 *
 *	balloon [MiB of memory, 256] [guest threads, 2]       8 GiB: balloon 8192
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <ramka/host.h>

#define HUGE ((uint64_t)2 << 20)
#define HUGE_ORDER 9u
#define ROUNDS 5u        /* the first one touches the metadata of most frames for the first time, and is not counted */
#define BATCH 64u        /* 2 MiB frames of one call */
#define HELD 64u         /* frames of one guest thread */
#define MAX_GUESTS 64u

static struct ramka_host *host;
static struct ramka *r;
static int fd;
static atomic_bool stop;
static atomic_ullong guest_frames;

static void fail(const char *what)
{
	fprintf(stderr, "balloon: %s\n", what);
	exit(1);
}

/* CPU time of this thread: other programs do not count. */
static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the host ---- */

static uint64_t discarding; /* ns */

static void discard(ramka_paddr_t pa, uint64_t size)
{
	uint64_t start = now();

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)ramka_host_offset(host, pa), (off_t)size))
		fail("cannot punch a hole");
	discarding += now() - start;
}

static uint64_t host_bytes(void)
{
	struct stat s;

	if (fstat(fd, &s))
		fail("fstat");
	return (uint64_t)s.st_blocks * 512;
}

/* ---- the guest ---- */

static const unsigned orders[] = { 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 4, 0, HUGE_ORDER };

/* The first and the last word of a frame say whose it is. */
static uint64_t *word(struct ramka_unique *u, bool last)
{
	struct ramka_frame_ref f = ramka_frame_at(r, ramka_unique_paddr(r, u));
	char *content = ramka_frame_content(r, f.frame);

	return (uint64_t *)(content + (last ? ramka_frame_size(f.frame) - sizeof(uint64_t) : 0));
}

static void *guest(void *arg)
{
	struct ramka_unique *held[HELD] = { NULL };
	struct ramka_cpu *cpu = ramka_host_cpu(host);
	uint64_t x = (uintptr_t)arg, n = 0;

	while (!atomic_load(&stop) || n < 1000) {
		unsigned i;

		x = x * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
		i = (unsigned)(x >> 32) % HELD;
		if (held[i]) {
			if (*word(held[i], false) != (uintptr_t)held[i] || *word(held[i], true) != (uintptr_t)&held[i])
				fail("the guest's memory was discarded");
			ramka_unique_free(cpu, held[i]);
		}
		held[i] = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL,
					     (struct ramka_request){ .order = (uint8_t)orders[x >> 60], .flags = RAMKA_ALLOC_UNINIT });
		if (held[i]) {
			*word(held[i], false) = (uintptr_t)held[i];
			*word(held[i], true) = (uintptr_t)&held[i];
			n++;
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i])
			ramka_unique_free(cpu, held[i]);
	atomic_fetch_add(&guest_frames, n);
	return NULL;
}

/* ---- the balloon ---- */

static struct ramka_unique **balloon;

/* Takes up to `want` frames; how many. The balloon needs no memory of its own but for the handles. */
static uint64_t inflate(struct ramka_cpu *cpu, uint64_t want, uint64_t *ns)
{
	uint64_t have = 0;

	while (have < want) {
		uint64_t start = now(), n = want - have < BATCH ? want - have : BATCH;

		n = ramka_unique_alloc_bulk(cpu, &ramka_type_untyped,
					    (struct ramka_request){ .order = HUGE_ORDER, .flags = RAMKA_ALLOC_UNINIT }, n, balloon + have);
		*ns += now() - start;
		for (uint64_t i = have; i < have + n; i++)
			discard(ramka_unique_paddr(r, balloon[i]), HUGE);
		if (!n)
			break;
		have += n;
	}
	return have;
}

static void deflate(struct ramka_cpu *cpu, uint64_t have, uint64_t *ns)
{
	uint64_t start = now();

	ramka_unique_free_bulk(cpu, have, balloon);
	*ns += now() - start;
}

static bool reported(void *ctx, ramka_paddr_t base, uint64_t size)
{
	(void)ctx;
	discard(base, size);
	return true;
}

/* All there is. */
static uint64_t report(struct ramka_cpu *cpu, uint64_t *ns)
{
	uint64_t start = now(), before = discarding, n;

	if (ramka_report_free(cpu, UINT64_MAX, reported, NULL, &n))
		fail("report");
	*ns += now() - start - (discarding - before);
	return n;
}

static double each(uint64_t ns, uint64_t n)
{
	return n ? (double)ns / (double)n : 0;
}

int main(int argc, char **argv)
{
	uint64_t memory = (argc > 1 ? strtoull(argv[1], NULL, 0) : 256) << 20, taken = 0, told = 0, take = 0, give = 0, tell = 0, cold = 0;
	unsigned guests = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 2;
	struct ramka_host_memory where = { .fd = memfd_create("guest", 0) };
	struct ramka_host_options options = { .memory = memory, .where = &where };
	pthread_t threads[MAX_GUESTS];
	struct ramka_cpu *cpu;
	struct ramka_stats s;

	fd = where.fd;
	if (memory < 64 * HUGE || guests > MAX_GUESTS || fd < 0 || ftruncate(fd, (off_t)memory) || ramka_host_create(&options, &host))
		fail("cannot begin: at least 128 MiB, at most 64 threads");
	balloon = calloc(memory / HUGE, sizeof(*balloon));
	if (!balloon)
		fail("calloc");
	r = ramka_host_ramka(host);
	cpu = ramka_host_cpu(host);
	for (unsigned i = 0; i < guests; i++)
		if (pthread_create(&threads[i], NULL, guest, (void *)(uintptr_t)(i + 1)))
			fail("pthread_create");
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t n = inflate(cpu, memory / HUGE * 3 / 4, &take);

		taken += n;
		told += report(cpu, &tell); /* of the rest */
		deflate(cpu, n, &give);
		told += report(cpu, &tell); /* the balloon's: its frames were taken since they were reported */
		if (!round) {
			cold = n ? take / n : 0;
			taken = told = take = give = tell = discarding = 0;
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < guests; i++)
		pthread_join(threads[i], NULL);

	ramka_drain(r);
	report(cpu, &(uint64_t){ 0 });
	ramka_stats_read(r, &s);
	printf("%llu frames of 2 MiB taken and given back, %llu reported; the guest allocated %llu frames meanwhile\n",
	       (unsigned long long)taken, (unsigned long long)told, (unsigned long long)guest_frames);
	printf("ns of CPU a 2 MiB frame: take %.0f (%llu with the page faults of the metadata), give %.0f, report %.0f; the host's discards %.0f\n",
	       each(take, taken), (unsigned long long)cold, each(give, taken), each(tell, told), each(discarding, taken + told));
	printf("left of %llu MiB on the host: %llu KiB\n", (unsigned long long)(memory >> 20), (unsigned long long)(host_bytes() >> 10));
	if (!taken || !told || s.in_use || s.reported != s.free || host_bytes())
		fail("not all came back");
	ramka_host_destroy(host);
	free(balloon);
	return 0;
}
