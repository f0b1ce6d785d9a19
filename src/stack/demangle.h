/* SPDX-License-Identifier: MIT
 *
 * Symbol names as people write them: C++ and Rust (legacy and v0) through libiberty.
 */
#ifndef STRAND_STACK_DEMANGLE_H
#define STRAND_STACK_DEMANGLE_H

/* The readable form of `name` (parameters of C++ functions left out, Rust hashes removed), a
 * copy of `name` if it is not mangled. malloc'd, the caller's; NULL if out of memory. */
char *demangle_name(const char *name);

#endif
