/* SPDX-License-Identifier: MIT
 *
 * What DWARF says of variables and types, as far as it tells what a block of memory is: which variable
 * of a frame points to it, which static variable lies at an address, and what a type has at an offset.
 *
 * Names only: nothing here is part of a proof. Locations that need more than memory, the frame's
 * registers and simple arithmetic are not evaluated. Time is bounded by a number of entries that one
 * struct dwarf_types looks at in all its life.
 */
#ifndef STRAND_STACK_DWARF_TYPES_H
#define STRAND_STACK_DWARF_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <elfutils/libdw.h>

#include "stack/unwind.h"
#include "target/elf_file.h"

struct dwarf_types;

/* Of one module's file or its separate debug file; NULL if it has no (usable) DWARF. */
struct dwarf_types *dwarf_types_open(const struct elf_file *f, pid_t pid);
void dwarf_types_close(struct dwarf_types *t);

/* A type; belongs to the struct dwarf_types that gave it. */
struct dwarf_type {
	struct dwarf_types *types; /* NULL: not known */
	Dwarf_Die die;
};

/* Where a variable is looked for. */
struct dwarf_frame_context {
	uint64_t vaddr; /* of the code, inside the call: a virtual address of the file */
	uint64_t bias;	/* of the module */
	uint64_t cfa;	/* the stack pointer of the caller after return; 0: not known */
	const struct unwind_registers *registers;
	unwind_read_fn *read;
	void *read_ctx;
};

/* What a variable in scope points to (itself, or from within, as smart pointers do), if that is a
 * record between `start` and `end` that has `inside` in it: the largest one. *base is where it begins. */
bool dwarf_types_find_pointer(struct dwarf_types *t, const struct dwarf_frame_context *c,
			      uint64_t start, uint64_t end, uint64_t inside, struct dwarf_type *out,
			      uint64_t *base);

/* The variable in scope that lies at `address`. The name belongs to `t`. */
bool dwarf_types_find_local(struct dwarf_types *t, const struct dwarf_frame_context *c,
			    uint64_t address, const char **name, struct dwarf_type *out,
			    uint64_t *offset);

/* The static variable that lies at `vaddr`. */
bool dwarf_types_find_static(struct dwarf_types *t, uint64_t vaddr, struct dwarf_type *out,
			     uint64_t *offset);

/* "struct pool", "shop::Queue<int>"; "" if it has no name. */
void dwarf_type_name(const struct dwarf_type *type, char *buf, size_t size);

/* Its size in bytes, 0 if that is not known. */
uint64_t dwarf_type_bytes(const struct dwarf_type *type);

/* What lies `offset` bytes into it: the member's name ("shards[2].lock", "" if there is none), and, if
 * that is a pointer to a record, its type in *target. In a block of `bytes` with more than one of the
 * type, or with an array at its end, the offset may be beyond the type's size; false if it is beyond
 * what there can be. */
bool dwarf_type_find_member(const struct dwarf_type *type, uint64_t offset, uint64_t bytes,
			    char *buf, size_t size, struct dwarf_type *target);

#endif
