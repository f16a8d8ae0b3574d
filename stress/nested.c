/* SPDX-License-Identifier: MIT */
/*
 * Nested: signals, at any instruction, whose handler allocates and frees on the interrupted thread's own CPU handle;
 * in a build with points, nested operations at the points as well. What runs below does everything that may be
 * interrupted: plain and typed frames, larger orders, deferral, drains.
 *
 * Each worker sets a timer for itself, to go off within a few microseconds, as soon as the last one has; so signals
 * come while it runs, and as often as they can be handled. Other signals come from the main thread.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#ifndef sigev_notify_thread_id
# define sigev_notify_thread_id _sigev_un._tid
#endif

#define HANDLER_HOLDS 40u
#define SOON_NS	      20000u

static _Thread_local struct {
	timer_t timer;
	bool there;
	volatile sig_atomic_t set;
} alarm_clock __attribute__((tls_model("initial-exec")));

static void put_one(struct worker *w, struct pile *p)
{
	struct held h = pile_take(p, rng_below(&w->rng, p->n));

	if (!is_raw(h.type) && !h.unique && rng_one_in(&w->rng, 2)) {
		giving(w, &h);
		CHECK(ramka_frame_put_rcu(w->cpu, h.frame) >= 0, "ramka_frame_put_rcu failed");
		calling(w, 0);
	} else {
		give(w, w->cpu, &h);
	}
}

static void act(struct worker *w, unsigned max, unsigned max_order)
{
	static const struct ramka_type *const types[] = { &raw_type, &raw_type, &raw_type, &tagged_type,
							  &rcu_type };
	struct pile *p = &w->pile;
	struct held h;

	if (p->n && (p->n >= max || rng_one_in(&w->rng, 2))) {
		put_one(w, p);
	} else if (take(w, w->cpu, types[rng_below(&w->rng, 5)],
			rng_one_in(&w->rng, 8) ? rng_below(&w->rng, max_order + 1) : 0,
			rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, &h)) {
		pile_add(p, &h);
	}
}

/* In a handler: what it frees now and then is what an earlier one took. */
static void nest(struct worker *handler)
{
	alarm_clock.set = 0;
	act(handler, HANDLER_HOLDS, 3);
	if (rng_one_in(&handler->rng, 64))
		ramka_reclaim(handler->cpu, false);
	if (rng_one_in(&handler->rng, 256))
		ramka_drain(world.r);
}

static void set_alarm(struct worker *w)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 + rng_below(&w->rng, SOON_NS) };

	if (!alarm_clock.there) {
		struct sigevent to_me = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };

		to_me.sigev_notify_thread_id = gettid();
		CHECK(!timer_create(CLOCK_MONOTONIC, &to_me, &alarm_clock.timer), "no timer");
		alarm_clock.there = true;
	}
	alarm_clock.set = 1;
	CHECK(!timer_settime(alarm_clock.timer, 0, &soon, NULL), "the timer cannot be set");
}

static void step(struct worker *w)
{
	if (!alarm_clock.set)
		set_alarm(w);
	act(w, 400, 9);
	if (rng_one_in(&w->rng, 256))
		ramka_reclaim(w->cpu, false);
	if (rng_one_in(&w->rng, 1024))
		ramka_drain(world.r);
	if (rng_one_in(&w->rng, 4096))
		ramka_cpu_offline(w->cpu);
}

static void tick(void)
{
	struct timespec t = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < world.nr_workers; i++)
		worker_signal(i);
	nanosleep(&t, NULL);
}

static bool enough(void)
{
	return atomic_load(&world.signals) >= world.opt.signals;
}

static void release(struct worker *w)
{
	if (alarm_clock.there)
		timer_delete(alarm_clock.timer);
	alarm_clock.there = false;
	pile_release(w, &w->pile);
	for (struct worker *h = w->handler; h; h = h->handler)
		pile_release(h, &h->pile);
}

const struct scenario nested = {
	.name = "nested",
	.about = "signal handlers that allocate and free on the interrupted CPU",
	.flags = WORLD_SIGNALS | WORLD_SMALL,
	.step = step,
	.nest = nest,
	.tick = tick,
	.enough = enough,
	.release = release,
};
