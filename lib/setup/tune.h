/* SPDX-License-Identifier: MIT */
/*
 * Sizes that follow from how much memory there is, at set-up and whenever memory is added. Called by init.c
 * and late.c.
 */
#ifndef RAMKA_LIB_SETUP_TUNE_H
#define RAMKA_LIB_SETUP_TUNE_H

#include "../base/instance.h"

void tune(struct ramka *r);

#endif
