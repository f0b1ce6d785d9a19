/* SPDX-License-Identifier: MIT
 *
 * A child that builds a heap, writes down what it has from malloc, and stands still; and its heap
 * walked from here. What is read may be changed on the way, as if the child's memory were damaged.
 */
#ifndef STRAND_TESTS_UNIT_HEAP_CHILD_H
#define STRAND_TESTS_UNIT_HEAP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/heap.h"

#define NOTES_MOST   400000u
#define THREADS_MOST 16u
#define PATCHES_MOST 16u

struct note {
	uint64_t address;
	uint64_t usable; /* malloc_usable_size(); 0: it was freed */
};

/* Shared with the child. */
struct notebook {
	volatile uint32_t ready; /* the child's main thread has come to its end */
	uint32_t note_count, thread_count, taken_count;
	struct note notes[NOTES_MOST];
	struct extent tls[THREADS_MOST];
	struct extent taken[THREADS_MOST];
};

struct patch {
	uint64_t address, word;
};

struct heap_child {
	pid_t pid;
	struct notebook *book;
	struct maps maps;
	struct extent *pages; /* of /proc/PID/pagemap */
	size_t page_count;
	struct patch patches[PATCHES_MOST];
	unsigned patch_count;
	struct heap_input in;
	struct heap *heap; /* the last walk */
};

/* For the child's functions. */
void *note_malloc(struct notebook *b, size_t bytes);
uint32_t note_add(struct notebook *b, void *p);
void note_free(struct notebook *b, uint32_t i);
/* The thread that calls is there to stay: its thread-locals and its stack. */
void note_thread(struct notebook *b);

/* Start a child that runs build(), and wait until it is done and stopped. */
void heap_child_start(struct heap_child *c, void (*build)(struct notebook *b));
void heap_child_end(struct heap_child *c);

/* Let it run for a moment if it can, stop it again, and take its map anew. Pages are not known then. */
void heap_child_run(struct heap_child *c, unsigned microseconds);

/* Walk its heap, with what has been patched; the walk before is forgotten. */
void heap_child_walk(struct heap_child *c);

/* From now on `word` is read at `address`; returns what is there. */
uint64_t heap_child_patch(struct heap_child *c, uint64_t address, uint64_t word);
uint64_t heap_child_word(struct heap_child *c, uint64_t address);

/* Fail if anything is in disorder that must be right whatever is read. */
void heap_child_check_order(struct heap_child *c);

/* Compare all notes with what heap_find() says. Returns how many of those in use are found as
 * blocks; the others must be nowhere. */
uint32_t heap_child_check_notes(struct heap_child *c);

/* While threads go on: notes whose address is 0 do not count. Returns how many are found. */
uint32_t heap_child_check_moving(struct heap_child *c);

/* How many are in use. */
uint32_t heap_child_in_use(struct heap_child *c);

void heap_child_expect_trouble(struct heap_child *c, const char *part);
void heap_child_expect_no_trouble(struct heap_child *c);

#endif
