/* SPDX-License-Identifier: MIT
 *
 * How much of the stack a function's frame takes, from its code alone: an upper bound, for a frame
 * that is no more and of which nothing but the place is known.
 */
#ifndef STRAND_STACK_FRAME_SIZE_H
#define STRAND_STACK_FRAME_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "target/modules.h"

/* At most so many bytes below its caller's stack pointer (as it is after the return) belong to the
 * frame of the function at `entry`. False if that cannot be said: it has no unwind description, takes
 * what it needs as it goes (alloca), or aligns. */
bool frame_size_bound(const struct modules *mods, uint64_t entry, uint64_t *bytes);

#endif
