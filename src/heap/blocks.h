/* SPDX-License-Identifier: MIT
 *
 * A stretch of memory cut into chunks that follow each other, kept small: a bit per 16 bytes tells
 * that a chunk begins there, another that this chunk is free, and for the first byte of every
 * page it is noted which chunk holds it, so that no search is longer than a page. That is 1.8 %
 * of what is described, less where chunks are so big that parts of the bitmaps stay untouched.
 *
 * Chunks are added in the order of their addresses. Finding changes nothing, and may be done by several
 * threads at once.
 */
#ifndef STRAND_HEAP_BLOCKS_H
#define STRAND_HEAP_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/source.h"

#define BLOCKS_GRAIN UINT64_C(16) /* chunks begin and end at multiples of it */
#define BLOCKS_PAGE  UINT64_C(4096)

/* Which chunk holds the first byte of a page; in grains from `base`. */
struct blocks_cover {
	uint32_t start, end;
};

struct blocks {
	uint64_t base;	 /* what bit 0 stands for: `first`, rounded down to a page */
	uint64_t first;	 /* where the first chunk begins */
	uint64_t filled; /* where the last chunk that was added ends */
	uint64_t *begins, *idle;
	struct blocks_cover *cover;
	size_t words, pages;
};

/* For chunks between `first` and `end`. Returns 0 or an enum err_code: ERR_NOMEM, or ERR_BAD_FORMAT if
 * it cannot be described. */
int blocks_init(struct blocks *b, uint64_t first, uint64_t end);
void blocks_free(struct blocks *b);

/* Add the chunk at b->filled. Nothing happens if it does not fit. */
void blocks_add(struct blocks *b, uint64_t size, bool idle);

/* The chunk that holds `address`; false if none does. */
bool blocks_find(const struct blocks *b, uint64_t address, struct extent *chunk, bool *idle);

/* The chunk that begins exactly there; false if none does. */
bool blocks_at(const struct blocks *b, uint64_t address, struct extent *chunk, bool *idle);

/* The chunk that begins at `address` (there is one) is free after all. */
void blocks_set_idle(struct blocks *b, uint64_t address);

/* Bytes of strand's memory. */
size_t blocks_cost(const struct blocks *b);

#endif
