/* SPDX-License-Identifier: MIT */
/* What the files of the module share. */
#ifndef MODULE_H
#define MODULE_H

#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <ramka/ramka.h>

extern struct ramka *ramka_instance;
extern unsigned long ramka_span_first, ramka_span_frames; /* frame numbers of the span */

/* This CPU's handle. Preemption stays off until put_handle. */
static inline struct ramka_cpu *get_handle(void)
{
	return ramka_cpu_at(ramka_instance, get_cpu());
}

static inline void put_handle(void)
{
	put_cpu();
}

/* Runs fn(arg) on a kthread bound to each of the first n CPUs, all released together; when all are back, the worst result. */
int run_on_cpus(unsigned n, int (*fn)(unsigned cpu, void *arg), void *arg);

int stress_run(unsigned seconds, bool plant); /* 0 or 1; prints its own lines. plant: a fault that it must see */
int bench_run(unsigned rounds, unsigned pairs); /* 0; 1 if a contest could not be run; prints the table */

#endif
