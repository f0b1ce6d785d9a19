/* SPDX-License-Identifier: MIT
 *
 * Where the unwind description (FDE) of an address is in a module's .eh_frame.
 *
 * The binary search table of .eh_frame_hdr is read once per module; where there is none the
 * frames are listed by walking .eh_frame. An FDE is handed out only after it was checked: the
 * unwinding library trusts register numbers, asserts that a CFA is defined and divides in
 * expressions, all of which a damaged file could turn against strand.
 */
#ifndef STRAND_STACK_CFI_H
#define STRAND_STACK_CFI_H

#include <stdbool.h>
#include <stdint.h>

#include "target/elf_file.h"

struct cfi;

/* The table of `f`, which must outlive it. NULL only if out of memory. */
struct cfi *cfi_open(const struct elf_file *f);
void cfi_free(struct cfi *c);

enum cfi_answer {
	CFI_FOUND,
	CFI_NONE, /* nothing describes the address */
	CFI_BAD,  /* what describes it is damaged, or uses what is not supported */
};

struct cfi_entry {
	uint64_t start; /* first address that the FDE covers; all are virtual addresses of f */
	uint64_t end;
	uint64_t fde;
};

enum cfi_answer cfi_find(const struct cfi *c, uint64_t vaddr, struct cfi_entry *out);

#endif
