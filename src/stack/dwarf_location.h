/* SPDX-License-Identifier: MIT
 *
 * Where a variable is, by its DWARF location: the few operations that compilers use for what is in
 * memory or in a register.
 */
#ifndef STRAND_STACK_DWARF_LOCATION_H
#define STRAND_STACK_DWARF_LOCATION_H

#include "stack/dwarf_types.h"

enum dwarf_place {
	DWARF_NOWHERE, /* optimised out, in pieces, or beyond what is evaluated */
	DWARF_MEMORY,  /* at address *value */
	DWARF_VALUE,   /* it is *value */
};

/* Of the variable `die` in function `function` (NULL: it is in none). */
enum dwarf_place dwarf_location_find(Dwarf_Die *die, Dwarf_Die *function,
				     const struct dwarf_frame_context *c, uint64_t *value);

/* The virtual address of a static variable; false if it has none. */
bool dwarf_location_is_static(Dwarf_Die *die, uint64_t *vaddr);

#endif
