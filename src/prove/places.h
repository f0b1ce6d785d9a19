/* SPDX-License-Identifier: MIT
 *
 * In words: where an object lies, who refers to it, and by which way somebody reaches it.
 */
#ifndef STRAND_PROVE_PLACES_H
#define STRAND_PROVE_PLACES_H

#include <stddef.h>

#include "model/model.h"
#include "prove/words.h"

/* "no live task can reach the cond: only T3 itself refers to it": for a task that waits for an object
 * that nobody live reaches. */
void places_describe_unreached(const struct task *t, struct words *w);

/* "it lies 40 bytes into a block of 128 at 0x55…, a `struct pool`"; nothing if that is not known. */
void places_describe_home(const struct object *o, struct words *w);

/* "T1 reaches it: its stack leads there", "everybody does: it is in the data of …"; nothing if nobody
 * looked. */
void places_describe_reached(const struct object *o, struct words *w);

/* One step of the way to an object, place i of its path: "static `pools` at 0x…, in libx.so", "block
 * 0x… of 128 bytes, at +40". */
void places_describe_step(const struct object *o, size_t i, struct words *w);

#endif
