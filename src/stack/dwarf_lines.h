/* SPDX-License-Identifier: MIT
 *
 * What DWARF says of a code address: the function, the functions inlined into it, files and
 * lines. Indexed once: which compilation unit covers an address, and per unit, when first asked,
 * which function. Works without .debug_aranges; does not read split DWARF (.dwo), whose
 * skeletons still give lines.
 */
#ifndef STRAND_STACK_DWARF_LINES_H
#define STRAND_STACK_DWARF_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/elf_file.h"

struct dwarf_lines;

/* The index of `f`; NULL if it has no (usable) DWARF. Files that it shares
 * information with are looked for in the root of `pid` too. */
struct dwarf_lines *dwarf_lines_open(const struct elf_file *f, pid_t pid);
void dwarf_lines_close(struct dwarf_lines *d);

/* One frame; strings belong to the struct dwarf_lines. */
struct dwarf_frame {
	const char *linkage;   /* mangled name, NULL: none */
	const char *name;      /* plain name, NULL: none */
	const char *scope;     /* "orders::detail" for names without a mangled one; NULL: none */
	const char *file;      /* NULL: unknown */
	const char *directory; /* to be put before `file` if that is relative; NULL: unknown */
	int line, function_line;
	uint64_t function_start; /* of the function that all of it was inlined into; 0: unknown */
};

#define DWARF_FRAMES_MAX 64

/* The frames at `vaddr`, innermost first; returns their number, 0 if nothing is known. */
size_t dwarf_lines_find(struct dwarf_lines *d, uint64_t vaddr, struct dwarf_frame *v);

#endif
