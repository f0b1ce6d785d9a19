/* SPDX-License-Identifier: MIT
 *
 * Reading a process's memory in pieces that are worth a call: forwards, with windows that grow as
 * long as nothing is skipped, and here and there, with a few pages kept. What never held
 * anything is not read. Single-threaded.
 */
#ifndef STRAND_HEAP_WINDOW_H
#define STRAND_HEAP_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "target/source.h"

#define WINDOW_MAX   (256u << 10)
#define WINDOW_LINES 64u
#define WINDOW_LINE  4096u

struct window_line {
	uint64_t at;
	size_t have; /* bytes of it that could be read; 0: nothing is here */
};

struct window {
	struct memory_source memory;
	const struct extent *pages; /* NULL: not known, all may be read */
	size_t page_count;
	uint8_t *bytes; /* WINDOW_MAX */
	uint64_t at;
	size_t have;
	size_t ahead;	     /* how much to read next */
	uint8_t *line_bytes; /* WINDOW_LINES pages */
	struct window_line lines[WINDOW_LINES];
	size_t line_reads; /* lines read so far */
};

/* 0 or ERR_NOMEM. `pages` stays the caller's. */
int window_init(struct window *w, const struct memory_source *memory, const struct extent *pages,
		size_t page_count);
void window_free(struct window *w);

/* window_forward() when the bytes are not there yet. */
const uint8_t *window_fill(struct window *w, uint64_t address, size_t bytes, size_t *have);

/* At least `bytes` (at most a page) at `address`, for reading with growing addresses; *have is how many
 * there are (may be more). NULL if they cannot be had. Valid until the next call. */
static inline const uint8_t *window_forward(struct window *w, uint64_t address, size_t bytes,
					    size_t *have)
{
	uint64_t offset = address - w->at;

	if (offset > w->have || w->have - offset < bytes)
		return window_fill(w, address, bytes, have);
	*have = w->have - (size_t)offset;
	return w->bytes + offset;
}

/* The word at `address` (a multiple of 8), for reading here and there. False if it cannot be had. */
_Bool window_word(struct window *w, uint64_t address, uint64_t *out);

#endif
