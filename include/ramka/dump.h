/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A picture of the whole memory as text: for a kernel's console, and for the tool ramka-map.
 */
#ifndef RAMKA_DUMP_H
#define RAMKA_DUMP_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/**
 * Calls `print` with one line after the other. A line ends with a newline and a NUL and has at most 110
 * characters. It lies on the stack, so `print` must copy what it keeps. `print` must not change the instance.
 *
 * First, for people, lines that begin with "ramka: ": totals, free frames by order, each node, each type that
 * has frames, each CPU that holds frames. The text of these lines may change. Then, for tools, lines that
 * begin with "ramka-map: ", whatever a console puts before that:
 *
 *     ramka-map: 1 BASE FRAMES      version, first address in hexadecimal digits, base frames of the span
 *     ramka-map: type ID NAME      each registered type
 *     ramka-map: at FRAME RUN...   number of the first frame, in hexadecimal digits; the runs follow
 *     ramka-map: end
 *
 * RUN is a letter, then `TYPE` (its id, where there is one), `/ORDER` (above 0), `@NODE` (above 0) and
 * `:FRAMES` (above 1), all in decimal digits. With RAMKA_TRACE frames in use end in `~CPU.CALLER`, who
 * allocated them: the CPU in decimal digits, none without a CPU's handle, and the return address in
 * hexadecimal ones. A run is frames of one state, type, order, node and owner, their tails included. The
 * letters: `.` free, `c` cached, `U` unique, `S` shared, `d` deferred, `b` busy, `R` reserved,
 * `X` broken, `-` unused, `_` hole, `!` saturated, `i` isolated,
 * `t` a tail whose head is not there.
 *
 * Exact at quiescence, a snapshot otherwise. Any context, wait-free; linear in frames. About 8 bytes of text
 * a run.
 */
RAMKA_API void ramka_dump(const struct ramka *r, void (*print)(void *ctx, const char *line), void *ctx);

RAMKA_END_DECLS

#endif
