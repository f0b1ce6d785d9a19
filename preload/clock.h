/* SPDX-License-Identifier: MIT
 *
 * The shim's clock: CLOCK_MONOTONIC in ns, from the vDSO, past whatever may stand in front of
 * clock_gettime(). May be called at any time, in any context; changes no errno.
 */
#ifndef STRAND_PRELOAD_CLOCK_H
#define STRAND_PRELOAD_CLOCK_H

#include <stdint.h>

#define CLOCK_HIDDEN __attribute__((visibility("hidden")))

/* As of the last tick: some ms behind, about 3 ns to get. */
CLOCK_HIDDEN uint64_t clock_now_ns(void);
/* To the ns: about 20 ns to get. */
CLOCK_HIDDEN uint64_t clock_fine_ns(void);
/* CLOCK_REALTIME minus CLOCK_MONOTONIC. */
CLOCK_HIDDEN int64_t clock_realtime_offset_ns(void);

/* No system call from now on: what would need one is 0. */
CLOCK_HIDDEN void clock_sandboxed(void);

#endif
