/* SPDX-License-Identifier: MIT
 *
 * Names of functions in DWARF: the mangled one where there is one, else the plain one and the
 * namespaces and classes around it.
 */
#ifndef STRAND_STACK_DWARF_NAMES_H
#define STRAND_STACK_DWARF_NAMES_H

#include <elfutils/libdw.h>

struct dwarf_frame;
struct dwarf_names;

struct dwarf_names *dwarf_names_create(void);
void dwarf_names_free(struct dwarf_names *n);

/* Set linkage, name and scope of `out` for a function or inlined call. Scopes are remembered. */
void dwarf_names_find(struct dwarf_names *n, Dwarf_Die *die, struct dwarf_frame *out);

#endif
