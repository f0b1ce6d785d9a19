/* SPDX-License-Identifier: MIT
 *
 * In words: where an object lies, who refers to it, and by which way somebody reaches it. Where nobody
 * looked for that, nothing is added.
 */
#ifndef STRAND_PROVE_PLACES_H
#define STRAND_PROVE_PLACES_H

#include <stdbool.h>

#include "model/model.h"
#include "prove/words.h"

/* "no live task can reach the cond: only T3 itself refers to it": for a task that waits for an object
 * that nobody live reaches. */
void places_describe_unreached(const struct task *t, struct words *w);

/* "it lies 40 bytes into a heap block of 128 at 0x55…, `struct pool`: member `changed`". */
void places_describe_home(const struct object *o, struct words *w);

/* Is it a task's own: its registers, its stack, what is local to it? */
bool places_is_own(const struct place *p);

/* How somebody live reaches it, seen from whoever that is: "its stack points to it", "static data
 * `the_pool` leads to it through 2 heap blocks". */
void places_describe_reached(const struct object *o, struct words *w);

/* One step of the way to an object, place i of its path: "static `the_pool` at 0x55…", "heap block of
 * 24 at 0x55…, `struct pool`, +8: member `queue`". */
void places_describe_step(const struct object *o, size_t i, struct words *w);

#endif
