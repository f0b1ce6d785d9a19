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

#include <elfutils/libdw.h>

#include "target/elf_file.h"

struct dwarf_lines;

/* The index of `f`; NULL if it has no (usable) DWARF. Files that it shares
 * information with are looked for in the root of `pid` too. */
struct dwarf_lines *dwarf_lines_open(const struct elf_file *f, pid_t pid);
void dwarf_lines_close(struct dwarf_lines *d);

/* With what tells of variables and their types, too: larger. */
struct dwarf_lines *dwarf_lines_open_whole(const struct elf_file *f, pid_t pid);

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

/* The function at `vaddr` and what it has around it there, outermost first: inlined calls and blocks,
 * each with its own variables. Returns their number, 0 if there is no function. */
#define DWARF_SCOPES_MAX 64
size_t dwarf_lines_find_scopes(struct dwarf_lines *d, uint64_t vaddr, Dwarf_Die *v);

/* The units: DIE `i`, false behind the last. */
bool dwarf_lines_unit(const struct dwarf_lines *d, size_t i, Dwarf_Die *out);

#endif
