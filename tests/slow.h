/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SLOW_H
#define TESTS_SLOW_H

/* Sanitizers make a test's loops ten times as long, and so does an emulated machine: a tenth of the rounds there. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !__STDC_HOSTED__
# define SLOW_BUILD 1
#elif defined(__has_feature)
# if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#  define SLOW_BUILD 1
# endif
#endif
#ifdef SLOW_BUILD
# define TIMES(n) ((n) / 10)
#else
# define TIMES(n) (n)
#endif

#endif
