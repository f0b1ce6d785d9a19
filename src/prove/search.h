/* SPDX-License-Identifier: MIT
 *
 * Who can reach the objects that tasks wait for, found backwards: which words point to the block that
 * holds an object, in whose memory do they lie, who points there, and so on until everything found is
 * reached by somebody who is certainly live, or nobody more refers to it.
 *
 * Each round goes once through all memory that can hold pointers, in several threads. Nothing of it is
 * kept but the graph. Works on a copy, on a core file, or on the process itself while it is stopped.
 */
#ifndef STRAND_PROVE_SEARCH_H
#define STRAND_PROVE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "heap/heap.h"
#include "prove/reach.h"
#include "readers/areas.h"

/* Bytes that are no memory of the process's but may hold pointers. */
struct search_piece {
	enum place_kind kind; /* PLACE_REGISTERS or PLACE_KERNEL */
	uint32_t thread;      /* index; AREA_NO_THREAD */
	const char *name;     /* NULL: none */
	const uint8_t *bytes;
	size_t count;
};

struct search_input {
	struct memory_source memory;
	const struct extent *pages; /* what of the memory holds anything, ascending */
	size_t page_count;
	const struct areas *areas;
	const struct heap *heap; /* NULL: nothing is resolved */
	const struct search_piece *pieces;
	size_t piece_count;
	const struct reach_thread *threads; /* by index in the stop, ascending by tid */
	size_t thread_count;
	const uint64_t *objects; /* addresses waited for */
	size_t object_count;
	const uint64_t *handles; /* thread pointers of threads that somebody may cancel */
	size_t handle_count;
	bool (*expired)(void *ctx); /* NULL: takes as long as it takes */
	void *expired_ctx;
	size_t limit_bytes; /* of the graph */
	unsigned helpers;   /* threads to search with, at least 1 */
};

/* *out is the caller's (reach_free()). Fails for lack of memory only; a search that was not finished
 * gives a graph that says so. */
int search_run(const struct search_input *in, struct reach **out, struct err *e);

#endif
