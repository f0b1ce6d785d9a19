/* SPDX-License-Identifier: MIT
 *
 * Where memory blocks begin and end: what an allocator handed out, seen from outside.
 *
 * An allocator is a struct heap_allocator; what none of them resolves is coarse: its mapping is one
 * block. Walking never trusts what it reads: any inconsistency makes that region coarse, which is
 * always sound (fewer proofs). Single-threaded use for the walk; heap_find() may be called by several
 * threads at once afterwards.
 */
#ifndef STRAND_HEAP_HEAP_H
#define STRAND_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "target/maps.h"
#include "target/source.h"

struct heap_input {
	struct memory_source memory;
	const struct maps *maps;
	const struct extent *pages; /* what of it holds anything (target/pages.h), ascending;
				     * NULL: not known, all may be read */
	size_t page_count;
	int glibc_minor;    /* 36 for 2.36; 0: another library, or not known: all is coarse */
	struct extent data; /* writable data of the C library (static program: of the program) */
	uint64_t brk_start; /* where [heap] begins (/proc/PID/stat, field 47); 0: not known */
	const struct extent *tls; /* each thread's static thread-locals, up to its descriptor */
	size_t tls_count;
	const struct extent *taken; /* memory known to be something else (stacks with their
				     * descriptors, main's thread-locals): no blocks there.
				     * Ascending; may overlap */
	size_t taken_count;
};

enum heap_place {
	HEAP_NOWHERE, /* in no resolved region: the caller takes the mapping as one block */
	HEAP_BLOCK,   /* in a block that is handed out */
	HEAP_FREE,    /* in one that is free, or in the part that was never handed out */
	HEAP_OWN,     /* in the allocator's own records: no root, leads nowhere */
};

struct heap;

/* Walk the allocator's memory. *out also if nothing was resolved. Fails for lack of memory only. */
int heap_walk(const struct heap_input *in, struct heap **out, struct err *e);
void heap_free(struct heap *h);

/* Was a lock of the allocator held, so that what was seen may be half a change? The regions concerned
 * are coarse; letting go and trying again may help. */
bool heap_is_busy(const struct heap *h);

/* A line for each region that had to be taken as a whole though it is the allocator's own, and why
 * ("the heap of arena 0x7f…: a size that does not fit"); n of them. */
const char *const *heap_troubles(const struct heap *h, size_t *n);

/* The regions resolved into blocks, free blocks and records: ascending, no overlaps. Whatever lies
 * in one is found by heap_find(). */
const struct extent *heap_regions(const struct heap *h, size_t *n);

/* What `address` lies in, and that thing's usable bytes: *out is set for HEAP_BLOCK and HEAP_FREE. A block
 * is found by any address from its first usable byte to one past its last; but where a region
 * ends with a block (only one that has its own mapping does), one past it is outside the region,
 * perhaps in another mapping: who has a pointer there asks for `address - 1`, too.
 *
 * An aligned block with its own mapping is found with what lies before it in that mapping. */
enum heap_place heap_find(const struct heap *h, uint64_t address, struct extent *out);

/* Bytes of strand's own memory that `h` takes, and bytes of the process's that it describes. */
size_t heap_cost(const struct heap *h);
uint64_t heap_covers(const struct heap *h);

#endif
