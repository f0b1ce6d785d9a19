/* SPDX-License-Identifier: MIT
 *
 * What allocators and heap.c share: regions under construction. An allocator adds the regions that
 * it could resolve, and a trouble for each that it could not; heap.c sorts them, cuts away what
 * is taken by others, and finds.
 */
#ifndef STRAND_HEAP_HEAP_PRIVATE_H
#define STRAND_HEAP_HEAP_PRIVATE_H

#include "heap/blocks.h"
#include "heap/heap.h"

enum region_kind {
	REGION_RECORDS, /* the allocator's own, whole */
	REGION_CHUNKS,	/* records up to blocks.first, then chunks */
	REGION_MAPPED,	/* chunks with mappings of their own, side by side */
};

struct region {
	enum region_kind kind;
	struct extent at;
	uint64_t arena; /* REGION_CHUNKS: to whom it belongs */
	struct blocks blocks;
	struct extent *chunks; /* REGION_MAPPED: ascending */
	size_t chunk_count;
};

/* A part of a region that heap_regions() names. */
struct piece {
	struct extent at;
	size_t region;
};

struct heap {
	struct region *regions;
	size_t count;
	struct extent *shown; /* the same extents as in `pieces`, for heap_regions() */
	struct piece *pieces;
	size_t piece_count;
	char **troubles;
	size_t trouble_count;
	bool busy;
};

struct heap_allocator {
	const char *name;
	/* Add regions and troubles to `h`. Fails for lack of memory only. */
	int (*walk)(const struct heap_input *in, struct heap *h);
};

extern const struct heap_allocator heap_glibc;

/* Take over `r` (with all that it points to, also on failure). */
int heap_add_region(struct heap *h, struct region *r);
void region_free(struct region *r);

/* In the order of addresses, from now on. */
void heap_sort(struct heap *h);

/* Forget the regions that belong to `arena`. */
void heap_drop(struct heap *h, uint64_t arena);

/* The region of chunks that holds `address`, or NULL. Regions must be sorted. */
struct region *heap_chunks_at(struct heap *h, uint64_t address);

int heap_add_trouble(struct heap *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
