/* SPDX-License-Identifier: MIT
 *
 * Creator stacks: captured at births, each kept once. No system calls, no locks.
 */
#ifndef STRAND_PRELOAD_STACKS_H
#define STRAND_PRELOAD_STACKS_H

#include <stdint.h>

#include "record.h"

/* The id of the calling thread's stack, without the shim's frames; 0: there was no room. `caller` is
 * where the wrapper returns to: the one frame where there is nothing to walk by. */
RECORD_HIDDEN uint32_t stacks_capture(uintptr_t caller);

/* For a new table. */
RECORD_HIDDEN void stacks_prepare(void);

#endif
