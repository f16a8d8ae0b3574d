/* SPDX-License-Identifier: MIT */
/*
 * Sizes that follow from how much memory there is, at set-up and whenever memory is added or removed: those
 * of refills, of what a CPU may hold, and the watermarks. Other CPUs read them meanwhile, each on its own,
 * so all are atomic and relaxed. One call at a time: set-up, then the holder of `changing`. May use lower
 * storeys alone.
 */
#ifndef RAMKA_LIB_SETUP_TUNE_H
#define RAMKA_LIB_SETUP_TUNE_H

#include "../base/instance.h"

void tune(struct ramka *r);

#endif
