/* SPDX-License-Identifier: MIT
 *
 * What the files of the glibc walk share. The order: arenas (glibc_arena.c), their heaps chunk by
 * chunk (glibc_chunks.c), what is free though it looks used (glibc_lists.c), chunks with mappings of their
 * own (glibc_mapped.c). Functions return 0 or ERR_NOMEM: whatever else goes wrong is a trouble of the
 * region concerned, which then is not described.
 */
#ifndef STRAND_HEAP_GLIBC_PRIVATE_H
#define STRAND_HEAP_GLIBC_PRIVATE_H

#include "heap/glibc_layout.h"
#include "heap/heap_private.h"
#include "heap/window.h"

struct arena {
	uint64_t at;
	uint64_t top, next;
	uint64_t fast[ARENA_FAST_COUNT];
	uint32_t mutex;
	bool main;
};

/* What is wanted of malloc's parameters. */
struct params {
	uint64_t at; /* 0: not found */
	int32_t mmaps;
	uint64_t mapped;
	uint64_t base; /* first address had from sbrk, 0: none yet */
};

struct glibc {
	const struct heap_input *in;
	const struct glibc_layout *layout;
	struct heap *heap;
	struct window window;
	struct arena *arenas; /* the main one first; none: malloc was not used yet */
	size_t arena_count;
	struct params params;
};

int glibc_find_arenas(struct glibc *g);
void glibc_find_params(struct glibc *g);

int glibc_walk_main(struct glibc *g, const struct arena *a);
int glibc_walk_heaps(struct glibc *g, const struct arena *a);

/* Regions must be sorted for these two. */
int glibc_walk_fast(struct glibc *g, const struct arena *a);
int glibc_walk_caches(struct glibc *g);

int glibc_walk_mapped(struct glibc *g);

/* Where private anonymous memory that holds `address` ends, over as many mappings as follow each
 * other; 0 if it is not such memory. */
uint64_t glibc_private_end(const struct glibc *g, uint64_t address);

/* Whether mapping `m` is private memory with no file behind it that may be read and written. */
bool glibc_is_private(const struct mapping *m);

#endif
