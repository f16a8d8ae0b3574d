/* SPDX-License-Identifier: MIT */
/*
 * ramka_host_create and ramka_host_destroy: options, the memory map, what is said about bugs and about what
 * is left.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ramka/host.h>

#include "host_test.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

static struct ramka_request order(unsigned n)
{
	return (struct ramka_request){ .order = (uint8_t)n, .flags = RAMKA_ALLOC_UNINIT };
}

static struct ramka_frame *alloc(struct ramka_host *h, unsigned n)
{
	return ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, order(n));
}

static uint64_t total(struct ramka_host *h)
{
	struct ramka_stats s;

	ramka_stats_read(ramka_host_ramka(h), &s);
	return s.total;
}

/* ---- what is built ---- */

static void defaults(void)
{
	struct ramka_host_options none = { 0 };
	struct ramka_host *h;

	ramka_host_destroy(NULL);
	CHECK(ramka_host_create(NULL, &h) == 0);
	CHECK(total(h) == GIB / RAMKA_PAGE_SIZE);
	CHECK(ramka_check(ramka_host_ramka(h), NULL) == 0);
	ramka_host_destroy(h);
	CHECK(ramka_host_create(&none, &h) == 0);
	CHECK(total(h) == GIB / RAMKA_PAGE_SIZE);
	ramka_host_destroy(h);
}

/* One GiB is one frame of the largest order, and its bytes lie as it does. */
static void largest_frame(void)
{
	struct ramka_host *h;
	struct ramka_frame *f, *g;
	struct ramka *r;
	unsigned char *p;

	CHECK(ramka_host_create(NULL, &h) == 0);
	r = ramka_host_ramka(h);
	f = alloc(h, RAMKA_MAX_ORDER);
	CHECK(f);
	CHECK(ramka_frame_paddr(r, f) != 0 && ramka_frame_paddr(r, f) % GIB == 0);
	p = ramka_frame_content(r, f);
	CHECK((uintptr_t)p % GIB == 0);
	p[0] = 1;
	p[GIB - 1] = 2;
	CHECK(p[0] == 1 && p[GIB - 1] == 2);
	CHECK(!alloc(h, 0));
	ramka_frame_put(ramka_host_cpu(h), f);
	for (unsigned n = 0; n <= 9; n++) {
		f = alloc(h, n);
		g = alloc(h, n);
		CHECK(f && g);
		CHECK((uintptr_t)ramka_frame_content(r, f) % ramka_frame_size(f) == 0);
		CHECK((uintptr_t)ramka_frame_content(r, g) - (uintptr_t)ramka_frame_content(r, f) ==
		      ramka_frame_paddr(r, g) - ramka_frame_paddr(r, f));
		ramka_frame_put(ramka_host_cpu(h), f);
		ramka_frame_put(ramka_host_cpu(h), g);
	}
	ramka_host_destroy(h);
}

static void sizes(void)
{
	static const uint64_t asked[] = { 1, 4096, 2 * MIB, 2 * MIB + 1, 3 * GIB + 5 };
	static const uint64_t got[] = { 2 * MIB, 2 * MIB, 2 * MIB, 4 * MIB, 3 * GIB + 2 * MIB };
	struct ramka_host *h;

	for (unsigned i = 0; i < 5; i++) {
		struct ramka_host_options opt = {
			.memory = asked[i],
			.nr_cpus = i + 1,
			.meta_size = i % 2 ? 16 : RAMKA_META_NONE,
		};
		struct ramka *r;

		CHECK(ramka_host_create(&opt, &h) == 0);
		r = ramka_host_ramka(h);
		CHECK(total(h) == got[i] / RAMKA_PAGE_SIZE);
		CHECK(ramka_cpu_at(r, i) && !ramka_cpu_at(r, i + 1));
		CHECK(ramka_of(ramka_host_cpu(h)) == r);
		ramka_host_destroy(h);
	}
}

static struct ramka_host *const untouched = (struct ramka_host *)&(char){ 0 };

/* It answers this code, which host.h lists, says why, and leaves the result alone. */
static void answers(int error, const struct ramka_host_options *opt, const char *field)
{
	struct ramka_host *h = untouched;
	struct ramka_why why;

	CHECK(ramka_host_create(opt, &h) == error && h == untouched);
	CHECK(ramka_host_create_why(opt, &h, &why) == error && h == untouched);
	CHECK(why.error == error && why.what && why.field && strcmp(why.field, field) == 0);
}

#define OPTIONS(...) &(struct ramka_host_options){ __VA_ARGS__ }

static void refused(void)
{
	CHECK(ramka_host_create(NULL, NULL) == RAMKA_E_INVAL);
	answers(RAMKA_E_INVAL, OPTIONS(.rcu = "memb2"), "rcu");
	answers(RAMKA_E_INVAL, OPTIONS(.rcu = ""), "rcu");
	answers(RAMKA_E_INVAL, OPTIONS(.meta_size = 241), "meta_size");
	answers(RAMKA_E_INVAL, OPTIONS(.flags = 1u << 31), "flags");
	answers(RAMKA_E_INVAL, OPTIONS(.nr_cpus = UINT32_MAX), "nr_cpus");
	for (unsigned i = 12; i < 64; i++) { /* whatever it is that does not fit */
		struct ramka_host_options opt = { .memory = (uint64_t)1 << i, .flags = i % 2 ? RAMKA_NO_DIRECT_MAP : 0 };
		struct ramka_host *h = untouched;
		int error = ramka_host_create(&opt, &h);

		CHECK(error == 0 || error == RAMKA_E_NOMEM || error == RAMKA_E_INVAL);
		CHECK((error == 0) == (h != untouched));
		if (!error)
			ramka_host_destroy(h);
	}
	answers(RAMKA_E_NOMEM, OPTIONS(.memory = UINT64_MAX), "memory");
	answers(RAMKA_E_NOMEM, OPTIONS(.memory = (uint64_t)1 << 50), "memory");
}

/* ---- memory of one's own ---- */

#define SIZE (5 * MIB + 3 * 4096)

/* All of it can be had and nothing else; an address is as aligned as its frame; the offset says where it lies. */
static void use_all(struct ramka_host *h, unsigned char *bytes)
{
	static struct ramka_frame *all[SIZE / 4096 + 1];
	struct ramka *r = ramka_host_ramka(h);
	unsigned n = 0;

	for (; (all[n] = alloc(h, 0)); n++) {
		struct ramka_frame *f = all[n];
		unsigned char *content;

		CHECK(n < SIZE / 4096);
		content = ramka_frame_content(r, f);
		CHECK(ramka_host_offset(h, ramka_frame_paddr(r, f)) < SIZE);
		memset(content, 0xa5, 4096);
		if (bytes)
			CHECK(bytes[ramka_host_offset(h, ramka_frame_paddr(r, f)) + 4095] == 0xa5);
		CHECK((uintptr_t)content % GIB == ramka_frame_paddr(r, f) % GIB);
	}
	CHECK(n == SIZE / 4096);
	ramka_frame_put_bulk(ramka_host_cpu(h), n, all);
}

static void callers_memory(void)
{
	unsigned char *all = aligned_alloc(4096, SIZE + 3 * 4096), *bytes = all + 4096;
	struct ramka_host_memory where = { .base = bytes };
	struct ramka_host_options opt = { .memory = SIZE, .where = &where };
	struct ramka_host *h;

	CHECK(all);
	memset(all, 0x11, SIZE + 3 * 4096);
	CHECK(ramka_host_create(&opt, &h) == 0);
	CHECK(total(h) == SIZE / 4096);
	use_all(h, bytes);
	CHECK(all[4095] == 0x11 && all[4096] == 0xa5 && bytes[SIZE - 1] == 0xa5 && bytes[SIZE] == 0x11);
	ramka_host_destroy(h);
	CHECK(bytes[0] == 0xa5); /* still the caller's */
	where.base = bytes + 8;
	answers(RAMKA_E_NOT_ALIGNED, &opt, "where.base");
	where.base = bytes;
	opt.memory = SIZE - 8;
	answers(RAMKA_E_NOT_ALIGNED, &opt, "memory");
	opt.memory = 0;
	answers(RAMKA_E_INVAL, &opt, "memory");
	opt.memory = (uint64_t)0 - 4096;
	answers(RAMKA_E_INVAL, &opt, "memory");
	opt.memory = SIZE;
	opt.flags = RAMKA_NO_DIRECT_MAP;
	answers(RAMKA_E_INVAL, &opt, "flags");
	free(all);
}

static void callers_file(void)
{
	int fd = memfd_create("ramka", 0);
	struct ramka_host_memory where = { .fd = fd, .offset = 4096 };
	struct ramka_host_options opt = { .memory = SIZE, .where = &where };
	unsigned char byte[2] = { 0 };
	struct ramka_host *h;

	CHECK(fd >= 0 && ftruncate(fd, 4096 + SIZE) == 0);
	CHECK(ramka_host_create(&opt, &h) == 0);
	CHECK(total(h) == SIZE / 4096);
	use_all(h, NULL);
	CHECK(pread(fd, byte, 2, 4095) == 2 && byte[0] == 0 && byte[1] == 0xa5);
	CHECK(pread(fd, byte, 2, 4096 + SIZE - 1) == 1 && byte[0] == 0xa5);
	ramka_host_destroy(h);
	where.offset = 4097;
	answers(RAMKA_E_NOT_ALIGNED, &opt, "where.offset");
	where.offset = 8192;
	answers(RAMKA_E_INVAL, &opt, "memory");
	where.offset = 4096;
	close(fd);
	answers(RAMKA_E_INVAL, &opt, "where.fd");
}

static unsigned long resident_pages(void)
{
	unsigned long size, resident;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f && fscanf(f, "%lu %lu", &size, &resident) == 2);
	fclose(f);
	return resident;
}

/* A large span costs what is used of it. */
static void span(uint64_t bytes)
{
	struct ramka_host_options opt = { .memory = bytes, .nr_cpus = 2 };
	struct ramka_host *h;
	unsigned long before = resident_pages(), after;
	int error = ramka_host_create(&opt, &h);

#ifdef SLOW_BUILD
	if (error == RAMKA_E_NOMEM) {
		skip_reason = "the sanitizer leaves no room for it";
		return;
	}
#endif
	CHECK(error == 0);
	CHECK(total(h) == opt.memory / RAMKA_PAGE_SIZE);
	for (unsigned i = 0; i < 1000; i++) {
		struct ramka_frame *f = alloc(h, i % 10);

		CHECK(f);
		ramka_frame_put(ramka_host_cpu(h), f);
	}
	after = resident_pages();
	/* the bitmap is a bit a frame; slots and contents are not touched */
	CHECK(after - before < (opt.memory / RAMKA_PAGE_SIZE / 8 + 128 * MIB) / 4096);
	ramka_host_destroy(h);
}

static void no_direct_map(void)
{
	struct ramka_host_options opt = { .memory = 64 * MIB, .flags = RAMKA_NO_DIRECT_MAP };
	struct ramka_host *h;
	struct ramka_frame *f;

	CHECK(ramka_host_create(&opt, &h) == 0);
	f = alloc(h, 3);
	CHECK(f && !ramka_frame_content(ramka_host_ramka(h), f));
	CHECK(!ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, (struct ramka_request){ 0 }));
	ramka_frame_put(ramka_host_cpu(h), f);
	ramka_host_destroy(h);
}

/* Nothing stays mapped. */
static void again_and_again(void)
{
	unsigned long size = 0, first = 0;

	for (unsigned i = 0; i < 40; i++) {
		struct ramka_host *h;
		FILE *f = fopen("/proc/self/statm", "r");

		CHECK(f && fscanf(f, "%lu", &size) == 1);
		fclose(f);
		if (i == 5)
			first = size;
		CHECK(ramka_host_create(NULL, &h) == 0);
		ramka_frame_put(ramka_host_cpu(h), alloc(h, 0));
		ramka_host_destroy(h);
	}
	CHECK(size < first + 4 * GIB / 4096);
}

/* ---- the barrier ---- */

static struct ramka_host *shared_host;
static atomic_int cached, go_on;

static void *caches(void *arg)
{
	struct ramka_frame *f[50];

	for (unsigned i = 0; i < 50; i++)
		CHECK((f[i] = alloc(shared_host, 0)) != NULL);
	for (unsigned i = 0; i < 50; i++)
		ramka_frame_put(ramka_host_cpu(shared_host), f[i]);
	atomic_store(&cached, 1);
	await(&go_on, 1);
	return arg;
}

/* A live thread's cache is reached from here. */
static void remote_drain(void)
{
	struct ramka_stats s;
	pthread_t t;

	CHECK(ramka_host_create(NULL, &shared_host) == 0);
	t = spawn(caches, NULL);
	await(&cached, 1);
	ramka_stats_read(ramka_host_ramka(shared_host), &s);
	CHECK(s.cached > 0);
	ramka_drain(ramka_host_ramka(shared_host));
	ramka_stats_read(ramka_host_ramka(shared_host), &s);
	CHECK(s.cached == 0);
	atomic_store(&go_on, 1);
	join(t);
	ramka_host_destroy(shared_host);
}

/* ---- what is said on stderr, in a process of its own ---- */

static char said[8192];

static int child(void (*what)(void))
{
	return child_says(what, said, sizeof(said));
}

static unsigned lines(void)
{
	unsigned n = 0;

	for (const char *p = said; *p; p++)
		n += *p == '\n';
	return n;
}

static void double_put(void)
{
	struct ramka_host *h;
	struct ramka_frame *f;

	signal(SIGABRT, SIG_DFL);
	CHECK(ramka_host_create(NULL, &h) == 0);
	f = alloc(h, 0);
	ramka_frame_put(ramka_host_cpu(h), f);
	ramka_frame_put(ramka_host_cpu(h), f);
	ramka_host_destroy(h);
}

static void panic_by_default(void)
{
	int status = child(double_put);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(lines() == 1);
	CHECK(strstr(said, "ramka_frame_put") && strstr(said, "frame at 0x") && strstr(said, "state ") &&
	      strstr(said, "word 0x") && strstr(said, "type "));
}

static void *lend(void *arg)
{
	CHECK(ramka_host_cpu(arg));
	for (;;)
		pause_us(1000);
	return NULL;
}

static void two_threads_on_one_cpu(void)
{
	struct ramka_host_options opt = { .memory = 4 * MIB, .checks = RAMKA_HOST_CHECK_THREADS };
	struct ramka_host *h;

	signal(SIGABRT, SIG_DFL);
	CHECK(ramka_host_create(&opt, &h) == 0);
	spawn(lend, h);
	while (ramka_host_owner(h, 0) == 0)
		pause_us(100);
	ramka_frame_alloc(ramka_cpu_at(ramka_host_ramka(h), 0), &ramka_type_untyped, NULL, order(0));
}

static void both_threads_are_named(void)
{
	int status = child(two_threads_on_one_cpu);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(lines() == 1);
	CHECK(strstr(said, "ramka_frame_alloc") && strstr(said, "CPU 0 is thread ") && strstr(said, "the caller is thread "));
}

static void note(void *ctx, const struct ramka_bug *bug)
{
	CHECK(strcmp(bug->operation, "ramka_frame_put") == 0);
	++*(unsigned *)ctx;
}

static void panic_of_ones_own(void)
{
	unsigned bugs = 0;
	struct ramka_host_options opt = { .memory = 4 * MIB, .panic = note, .ctx = &bugs };
	struct ramka_host *h;

	CHECK(ramka_host_create(&opt, &h) == 0);
	ramka_frame_put(ramka_host_cpu(h), NULL);
	CHECK(bugs == 1);
	ramka_host_destroy(h);
}

RAMKA_DEFINE_TYPE_PLAIN(left_over, .id = RAMKA_TYPE_ID_USER);

static void leak_three(void)
{
	struct ramka_host *h;

	CHECK(ramka_host_create(NULL, &h) == 0);
	CHECK(ramka_type_register(ramka_host_ramka(h), &left_over) == 0);
	CHECK(ramka_frame_alloc(ramka_host_cpu(h), &left_over, NULL, order(0)));
	CHECK(ramka_unique_alloc(ramka_host_cpu(h), &left_over, NULL, order(9)));
	ramka_frame_put(ramka_host_cpu(h), alloc(h, 0));
	ramka_host_destroy(h);
}

static void leak_many(void)
{
	struct ramka_host *h;

	CHECK(ramka_host_create(NULL, &h) == 0);
	for (unsigned i = 0; i < 40; i++)
		CHECK(alloc(h, 1 + i % 5));
	ramka_host_destroy(h);
}

static void leak_nothing(void)
{
	struct ramka_host *h;

	CHECK(ramka_host_create(NULL, &h) == 0);
	for (unsigned i = 0; i < 1000; i++)
		CHECK(ramka_frame_put_rcu(ramka_host_cpu(h), alloc(h, 0)) >= 0);
	ramka_host_destroy(h);
}

static void inside(void)
{
	struct ramka_host *h;

	signal(SIGABRT, SIG_DFL);
	CHECK(ramka_host_create(NULL, &h) == 0);
	ramka_host_rcu_read_lock(h);
	ramka_host_destroy(h);
}

static unsigned refused_inside;

static const char *inside_call = "ramka_host_destroy";

static void note_inside(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	CHECK(strcmp(bug->operation, inside_call) == 0 && strstr(bug->what, "inside a read section"));
	refused_inside++;
}

/* A host with a read section of this thread open, and nothing refused so far; NULL: its source is not built in. */
static struct ramka_host *enter(const struct ramka_host_options *opt)
{
	struct ramka_host *h;
	int error = ramka_host_create(opt, &h);

	if (error == RAMKA_E_UNSUPPORTED) {
		skip_reason = "not built in";
		return NULL;
	}
	CHECK(error == 0);
	refused_inside = 0;
	ramka_host_rcu_read_lock(h);
	return h;
}

/*
 * With bags whose grace periods this reader holds up, which a helper may be waiting for. Nothing of the host is lost by the
 * attempt.
 */
static void *destroy_inside(void *arg)
{
	struct ramka_host_options opt = { .memory = 16 * MIB, .rcu = arg, .panic = note_inside };
	struct ramka_host *h = enter(&opt);

	if (!h)
		return NULL;
	for (unsigned i = 0; i < 300; i++)
		CHECK(ramka_frame_put_rcu(ramka_host_cpu(h), alloc(h, 0)) >= 0);
	usleep(1000); /* a helper begins to wait */
	ramka_host_destroy(h);
	CHECK(refused_inside == 1);
	ramka_frame_put(ramka_host_cpu(h), alloc(h, 0));
	ramka_host_rcu_read_lock(h); /* the section goes on, and nests */
	ramka_host_destroy(h);
	CHECK(refused_inside == 2);
	ramka_host_rcu_read_unlock(h);
	ramka_host_rcu_read_unlock(h);
	ramka_reclaim(ramka_host_cpu(h), true);
	ramka_host_destroy(h);
	CHECK(refused_inside == 2);
	return NULL;
}

/* A few frames, and more than the rings have room for: what the section may look at stays, and the call comes back. */
static void *reclaim_inside(void *arg)
{
	struct ramka_host_options opt = { .memory = 32 * MIB, .rcu = arg, .panic = note_inside };

	for (unsigned n = 1; n < 6000; n += 5000) {
		struct ramka_host *h = enter(&opt);
		struct ramka_frame *f;

		if (!h)
			return NULL;
		inside_call = "ramka_reclaim";
		for (unsigned i = 0; i < n; i++) {
			f = alloc(h, 0);
			CHECK(ramka_frame_put_rcu(ramka_host_cpu(h), f) >= 0);
		}
		ramka_reclaim(ramka_host_cpu(h), true);
		CHECK(refused_inside >= 1);
		CHECK(ramka_frame_state_at(ramka_host_ramka(h), ramka_frame_paddr(ramka_host_ramka(h), f)) == RAMKA_STATE_DEFERRED);
		ramka_reclaim(ramka_cpu_none(ramka_host_ramka(h)), true);
		ramka_host_rcu_read_unlock(h);
		refused_inside = 0;
		ramka_reclaim(ramka_host_cpu(h), true);
		CHECK(refused_inside == 0);
		CHECK(ramka_frame_state_at(ramka_host_ramka(h), ramka_frame_paddr(ramka_host_ramka(h), f)) != RAMKA_STATE_DEFERRED);
		inside_call = "ramka_host_destroy";
		ramka_host_destroy(h);
	}
	return NULL;
}

static void leaks(void)
{
	int status;

	CHECK(child(leak_three) == 0);
	CHECK(lines() == 3);
	CHECK(strstr(said, "still in use") && strstr(said, "SHARED") && strstr(said, "UNIQUE"));
	CHECK(strstr(said, "1 frame of order 0, SHARED, type left_over") && strstr(said, "order 9"));
	CHECK(child(leak_many) == 0);
	CHECK(lines() == 18 && strstr(said, "and more"));
	CHECK(child(leak_nothing) == 0);
	CHECK(lines() == 0);
	status = child(inside);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(said, "ramka_host_destroy: called inside a read section"));
}

/* ---- what is deferred at the end is dropped, chains included ---- */

static unsigned drops;

static void drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct ramka_frame **next = meta;

	(void)paddr, (void)content;
	drops++;
	/* on_drop may use the hosted layer */
	CHECK(ramka_of(ramka_host_cpu(shared_host)) == ramka_of(cpu));
	ramka_host_rcu_read_lock(shared_host);
	ramka_host_rcu_read_unlock(shared_host);
	if (*next)
		CHECK(ramka_frame_put_rcu(cpu, *next) >= 0);
}

static RAMKA_DEFINE_TYPE(chained, struct ramka_frame *, .id = RAMKA_TYPE_ID_USER, .flags = 0, .on_drop = drop);

static void *deferred_at_the_end(void *arg)
{
	const char *rcu = arg;
	struct ramka_host_options opt = { .memory = 16 * MIB, .rcu = rcu };
	struct ramka_frame *first = NULL;
	int error = ramka_host_create(&opt, &shared_host);

	if (error == RAMKA_E_UNSUPPORTED) {
		skip_reason = "not built in";
		return NULL;
	}
	CHECK(error == 0);
	CHECK(ramka_type_register(ramka_host_ramka(shared_host), &chained) == 0);
	for (unsigned i = 0; i < 5; i++) {
		first = ramka_frame_alloc(ramka_host_cpu(shared_host), &chained, &first, order(0));
		CHECK(first);
	}
	drops = 0;
	CHECK(ramka_frame_put_rcu(ramka_host_cpu(shared_host), first) >= 0);
	ramka_host_destroy(shared_host);
	CHECK(drops == 5);
	return NULL;
}

int main(void)
{
	static char sources[][8] = { "memb", "qsbr", "mb", "ck", "ramka" };

	CASE(defaults());
	CASE(largest_frame());
	CASE(sizes());
	CASE(refused());
	CASE(callers_memory());
	CASE(callers_file());
	CASE(span(64 * GIB)); /* first, lest a mistake fill the machine's memory */
	CASE(span(4096 * GIB));
	CASE(no_direct_map());
	CASE(again_and_again());
	CASE(remote_drain());
	CASE(panic_by_default());
	CASE(both_threads_are_named());
	CASE(panic_of_ones_own());
	CASE(leaks());
	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		CASE(join(spawn(deferred_at_the_end, sources[i]))); /* it ends after its host, which on_drop used again */
	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		CASE(join(spawn(destroy_inside, sources[i])));
	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		CASE(join(spawn(reclaim_inside, sources[i])));
	return end_of_cases();
}
