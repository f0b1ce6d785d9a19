/* SPDX-License-Identifier: MIT
 *
 * The stacks of a look: equal ones are kept once, and named once, however many tasks have them.
 * The frames belong to the model they were made for; the struct stacks is only needed to make
 * and name them.
 */
#ifndef STRAND_STACK_STACKS_H
#define STRAND_STACK_STACKS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"
#include "stack/symbols.h"
#include "stack/unwind.h"
#include "target/modules.h"

struct stacks;

/* `m` and `mods` must outlive it. */
int stacks_create(struct model *m, const struct modules *mods, struct stacks **out);
void stacks_free(struct stacks *s);

/* The stack with these frames: the one that is there, or a new one whose frames have addresses
 * and modules, but no names yet. NULL if out of memory. */
struct stack *stacks_intern(struct stacks *s, const struct unwind_frame *frames, size_t n,
			    bool complete);

/* Is that code of libstrand.so, which stands between the program and the C library? */
bool stacks_is_shim(const struct stacks *s, uint64_t pc);

/* Leave such frames out, in place; returns how many frames are left. */
size_t stacks_drop_shim(const struct stacks *s, struct unwind_frame *frames, size_t n);

/* Name the frames of all stacks: functions, files, lines, inlined frames (which are inserted).
 * Stacks keep their addresses in memory; their frames are replaced. */
int stacks_name(struct stacks *s, struct symbols *symbols);

#endif
