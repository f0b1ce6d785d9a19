/* SPDX-License-Identifier: MIT
 *
 * The address space of a process cut into areas: for each address, whose memory it is and what a
 * pointer to it leads to. Every mapping is in it; what nobody is known to own is one area for each
 * run of mappings that touch.
 *
 * Invariant: sorted by address, no overlaps.
 */
#ifndef STRAND_READERS_AREAS_H
#define STRAND_READERS_AREAS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "heap/heap.h"
#include "readers/thread_memory.h"

enum area_kind {
	AREA_DEAD,   /* nobody's: leads nowhere, is no root */
	AREA_STATIC, /* data of a module: reached by everybody, a root */
	AREA_BLOCKS, /* ask the heap */
	AREA_WHOLE,  /* one block */
	AREA_STACK,  /* a frame, or a stack, of `thread`: one block, and a root if that is live */
	AREA_LOCALS, /* thread-locals: likewise */
	AREA_DESCRIPTOR, /* a root if `thread` is live; a pointer to it leads nowhere */
	AREA_MAIN_FRAME, /* the frame that main had when it returned */
};

#define AREA_NO_THREAD UINT32_MAX

struct area {
	uint64_t start, end;
	enum area_kind kind;
	uint32_t thread; /* index in the stop; AREA_NO_THREAD */
	uint32_t same;	 /* the first area that holds the same memory (mapped more than once), or
			  * its own number */
};

struct areas {
	struct area *v;
	size_t n;
};

struct areas_input {
	const struct maps *maps;
	const struct modules *modules;
	const struct heap *heap; /* NULL: nothing is resolved */
	const struct thread_memories *threads;
	const uint64_t *sp; /* by index in the stop: below it less the red zone the stack is dead;
			     * 0: it is on another stack, its own counts as a whole */
	size_t sp_count;
	struct extent main_frame; /* 0, 0: none */
};

/* The caller frees it with areas_free(), also after an error (lack of memory only). */
int areas_make(const struct areas_input *in, struct areas *out, struct err *e);
void areas_free(struct areas *a);

/* The area that holds `address`, or NULL. */
const struct area *areas_find(const struct areas *a, uint64_t address);

/* The data of all modules as their files describe it, ascending; what was mapped of one whose file
 * cannot be read. malloc'd, NULL if out of memory. */
struct extent *areas_list_static(const struct maps *maps, const struct modules *modules, size_t *n);

#endif
