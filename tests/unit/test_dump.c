/* SPDX-License-Identifier: MIT */
/* The dump: what its map lines say, read back, is what the walk says; its lines are short and whole. */
#include "fixture.h"

#define MAX_LINES 4096u
#define MAX_FRAMES 8192u

struct note { uint64_t n; };
static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16);
static const struct ramka_type odd_type = {
	.name = "a name\nof two lines that is much longer than any name has to be, so that it is cut somewhere", .meta_align = 1, .id = 255 };

struct seen {
	char letter;
	const struct ramka_type *type;
	unsigned order, node;
};

struct text {
	char *line[MAX_LINES];
	size_t nr;
};

static struct text text;

static void take_line(void *ctx, const char *line)
{
	struct text *t = ctx;
	size_t n = strlen(line);

	assert_true(t->nr < MAX_LINES);
	assert_true(n > 0 && n <= 111 && line[n - 1] == '\n' && !memchr(line, '\n', n - 1));
	t->line[t->nr++] = strdup(line);
}

static void forget(struct text *t)
{
	while (t->nr)
		free(t->line[--t->nr]);
}

static void dump(const struct fixture *f)
{
	forget(&text);
	ramka_dump(f->r, take_line, &text);
	assert_string_equal(text.line[text.nr - 1], "ramka-map: end\n");
}

static bool has_line(const char *line)
{
	for (size_t i = 0; i < text.nr; i++)
		if (!strcmp(text.line[i], line))
			return true;
	return false;
}

static unsigned long number_after(const char **p, char mark)
{
	char *end;
	unsigned long n;

	if (**p != mark)
		return mark == ':';
	n = strtoul(*p + 1, &end, 10);
	*p = end;
	return n;
}

/* Reads the map lines; how many frames they cover. */
static size_t parse(const struct fixture *f, struct seen *seen)
{
	size_t at = 0;

	for (size_t i = 0; i < text.nr; i++) {
		const char *p = text.line[i];
		char *end;

		if (strncmp(p, "ramka-map: at ", 14))
			continue;
		assert_int_equal(strtoul(p + 14, &end, 16), f->r->first + at);
		for (p = end; *p == ' ';) {
			struct seen s = { .letter = p[1] };
			unsigned long id, n;

			p += 2;
			id = strtoul(p, &end, 10);
			s.type = end == p ? NULL : type_by_id(f->r, (unsigned)id);
			p = end;
			s.order = (unsigned)number_after(&p, '/');
			s.node = (unsigned)number_after(&p, '@');
			for (n = number_after(&p, ':'); n; n--) {
				assert_true(at < MAX_FRAMES);
				seen[at++] = s;
			}
		}
		assert_int_equal(*p, '\n');
	}
	return at;
}

/* The same from the walk. */
struct expected {
	const struct fixture *f;
	struct seen seen[MAX_FRAMES];
	size_t nr;
};

static bool expect_run(void *ctx, const struct ramka_run *run)
{
	struct expected *e = ctx;
	struct seen s = { "_-.cUStdbR!"[run->state], run->type, run->order, run->node };

	for (uint64_t i = 0; i < run->frames; i++) {
		assert_true(e->nr < MAX_FRAMES);
		e->seen[e->nr] = run->state == RAMKA_STATE_TAIL ? e->seen[e->nr - 1] : s;
		e->nr++;
	}
	return true;
}

static void compare(const struct fixture *f)
{
	static struct expected e;
	static struct seen seen[MAX_FRAMES];

	e = (struct expected){ .f = f };
	dump(f);
	ramka_walk(f->r, expect_run, &e);
	assert_int_equal(parse(f, seen), e.nr);
	for (size_t i = 0; i < e.nr; i++)
		assert_true(seen[i].letter == e.seen[i].letter && seen[i].type == e.seen[i].type && seen[i].order == e.seen[i].order &&
			    seen[i].node == e.seen[i].node);
}

static void every_state(void **state)
{
	static const struct ramka_region g[] = {
		{ BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 }, { BASE + 6 * MIB, MIB, RAMKA_RESERVED, 0 },
		{ BASE + 7 * MIB, 4 * MIB, RAMKA_USABLE, 1 }, { BASE + 11 * MIB, MIB, RAMKA_KERNEL, 0 },
	};
	static const uint32_t nodes[] = { 0, 1 };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g), .cpu_node = nodes, .rcu = true });
	struct ramka_frame *shared, *late;
	struct ramka_unique *u, *remote;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &odd_type), 0);
	shared = ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	u = ramka_unique_alloc(f->cpu[0], &odd_type, NULL, order_req(5));
	remote = ramka_unique_alloc(f->cpu[1], &note_type, NULL, order_req(9));
	late = ramka_frame_alloc(f->cpu[0], &note_type, NULL, order_req(2));
	assert_true(shared && u && remote && late);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], late), 0);
	compare(f);
	for (const char *c = "_-.cUSdR"; *c; c++) {
		char mark[] = { ' ', *c, 0 };
		bool found = false;

		for (size_t i = 0; i < text.nr; i++)
			found |= !strncmp(text.line[i], "ramka-map: at ", 14) && strstr(text.line[i], mark);
		assert_true(found);
	}
	assert_true(has_line("ramka-map: type 16 note_type\n"));
	assert_true(has_line("ramka-map: type 255 a name?of two lines that is much longer than any name has to\n"));
	assert_true(has_line("ramka-map: 1 4000000 3072\n"));
	assert_true(has_line("ramka: type note_type: 517 frames, 2 MiB\n")); /* with tails, and a deferred one of order 2 */
	assert_true(has_line("ramka: type a name?of two lines that is much longer than any name has to: 32 frames, 128 KiB\n"));
	assert_true(has_line("ramka: type kernel: 256 frames, 1 MiB\n"));
	assert_true(has_line("ramka: type untyped: 0 frames, 0 KiB\n") == false);
	assert_true(has_line("ramka: node 1: 1024 usable frames, 512 free in the zone, whole 2 MiB blocks: 0\n"));
	assert_true(has_line("ramka: node 1, free in the zone, by order: 8:2\n")); /* the whole block is in use */
	ramka_frame_put(f->cpu[0], shared);
	ramka_unique_free(f->cpu[0], u);
	ramka_unique_free(f->cpu[1], remote);
	f->grace.at_once = true;
	ramka_reclaim(f->cpu[0], true);
	compare(f);
	forget(&text);
	CLOSE(f);
}

/* With RAMKA_TRACE each frame in use has its owner, and only those do. */
static void owners(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .flags = RAMKA_TRACE });
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT), *b = must_alloc(f->cpu[0], UNINIT), *c = must_alloc(f->cpu[1], order_req(2));
	unsigned found = 0;

	(void)state;
	ramka_frame_put(f->cpu[0], b);
	dump(f);
	for (size_t i = 0; i < text.nr; i++) {
		char *word = strncmp(text.line[i], "ramka-map: at ", 14) ? NULL : strtok(text.line[i] + 14, " \n");

		for (; word; word = strtok(NULL, " \n")) {
			const char *owner = strchr(word, '~');

			assert_int_equal(owner != NULL, *word == 'S');
			if (!owner)
				continue;
			found++;
			assert_memory_equal(owner, strstr(word, "/2:4") ? "~1." : "~0.", 3);
			assert_true(strtoull(owner + 3, NULL, 16) > RAMKA_PAGE_SIZE);
		}
	}
	assert_int_equal(found, 2);
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_put(f->cpu[1], c);
	forget(&text);
	CLOSE(f);
}

/* Every second frame: as many runs as there can be, each line full. */
static void fragmented(void **state)
{
	struct fixture *f = fixture_open((struct spec){ 0 });
	static struct ramka_unique *u[2048];
	size_t n = 0;

	(void)state;
	while (n < NELEMS(u) && (u[n] = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT)))
		n++;
	assert_true(n > 1000);
	for (size_t i = 0; i < n; i += 2)
		ramka_unique_free(f->cpu[0], u[i]);
	compare(f);
	for (size_t i = 1; i < n; i += 2)
		ramka_unique_free(f->cpu[0], u[i]);
	ramka_drain(f->r);
	compare(f);
	assert_true(text.nr < 20);
	forget(&text);
	CLOSE(f);
}

/* The lines for people. */
static void summary(void **state)
{
	struct fixture *f = fixture_open((struct spec){ 0 });
	struct ramka_unique *u;
	size_t cpus = 0;

	(void)state;
	dump(f);
	assert_true(has_line("ramka: 2048 frames: 2048 free (0 cached), 0 in use, 0 deferred, 0 reserved, 0 unused\n"));
	assert_true(has_line("ramka: free in the zones, by order: 11:1\n"));
	assert_true(has_line("ramka: requests without memory, by order: none\n"));
	assert_true(has_line("ramka: 8 MiB: free 8 MiB, in use 0 KiB, deferred 0 KiB, reserved 0 KiB, unused 0 KiB\n"));
	assert_true(has_line("ramka: node 0: 2048 usable frames, 2048 free in the zone, whole 2 MiB blocks: 4\n"));
	for (size_t i = 0; i < text.nr; i++) /* nothing is of a type, and the only node has no orders of its own */
		assert_true(!strstr(text.line[i], "ramka: type") && !strstr(text.line[i], "node 0, free"));
	for (size_t i = 0; i < text.nr; i++)
		cpus += !strncmp(text.line[i], "ramka: CPU", 10);
	assert_int_equal(cpus, 0);
	u = ramka_unique_alloc(f->cpu[1], &ramka_type_untyped, NULL, UNINIT);
	assert_null(ramka_unique_alloc(f->cpu[1], &ramka_type_untyped, NULL, order_req(15)));
	dump(f);
	assert_true(has_line("ramka: requests without memory, by order: 15:1\n"));
	assert_true(has_line("ramka: type untyped: 1 frames, 4 KiB\n"));
	assert_true(has_line("ramka: 8 MiB: free 7.9 MiB, in use 4 KiB, deferred 0 KiB, reserved 0 KiB, unused 0 KiB\n"));
	ramka_unique_free(f->cpu[1], u);
	dump(f);
	assert_true(!has_line("ramka: free in the zones, by order: 11:1\n")); /* a CPU keeps some back */
	for (size_t i = 0; i < text.nr; i++)
		cpus += !strncmp(text.line[i], "ramka: CPU 1, node 0: ", 22);
	assert_int_equal(cpus, 1);
	forget(&text);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state),
		cmocka_unit_test(owners),
		cmocka_unit_test(fragmented),
		cmocka_unit_test(summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
