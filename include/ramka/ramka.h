/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The umbrella header: everything but the hosted layer (ramka/host.h).
 */
#ifndef RAMKA_RAMKA_H
#define RAMKA_RAMKA_H

#include <ramka/types.h>
#include <ramka/version.h>
#include <ramka/error.h>
#include <ramka/atomic.h>
#include <ramka/config.h>
#include <ramka/init.h>
#include <ramka/early.h>
#include <ramka/memory.h>
#include <ramka/type.h>
#include <ramka/frame.h>
#include <ramka/unique.h>
#include <ramka/segment.h>
#include <ramka/list.h>
#include <ramka/pt.h>
#include <ramka/rcu.h>
#include <ramka/stats.h>
#include <ramka/walk.h>
#include <ramka/dump.h>
#include <ramka/check.h>
#include <ramka/contracts.h>

#endif
