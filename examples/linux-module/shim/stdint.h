/* SPDX-License-Identifier: MIT */
/* What ramka's headers want of <stdint.h>, out of the kernel's types. */
#include <linux/types.h>
#include <linux/limits.h>
#ifndef UINT32_MAX
# define UINT32_MAX U32_MAX
#endif
