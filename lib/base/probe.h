/* SPDX-License-Identifier: MIT */
/*
 * Probes for tracers (bpftrace, SystemTap, gdb), with -DRAMKA_USDT where sys/sdt.h is installed: one no-op
 * instruction and a note each. Without it they expand to nothing. None lies on the way of a cache hit;
 * tools/ramka.bt lists them and their arguments. May use nothing of lib/.
 */
#ifndef RAMKA_LIB_BASE_PROBE_H
#define RAMKA_LIB_BASE_PROBE_H

#ifdef RAMKA_USDT
# include <sys/sdt.h>
# define probe(name, a, b) DTRACE_PROBE2(ramka, name, a, b)
#else
# define probe(name, a, b) ((void)(a), (void)(b))
#endif

#endif
