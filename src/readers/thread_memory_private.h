/* SPDX-License-Identifier: MIT
 *
 * The inside of thread_memory: what its parts share. thread_memory.c finds descriptors,
 * thread_memory_stacks.c stacks, thread_memory_locals.c the modules' thread-locals,
 * thread_memory_walk.c what the frames tell, thread_memory_lists.c glibc's lists of stacks.
 */
#ifndef STRAND_READERS_THREAD_MEMORY_PRIVATE_H
#define STRAND_READERS_THREAD_MEMORY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "readers/thread_memory.h"

/* Where every thread has the thread-locals of one module. */
struct module_locals {
	const struct module *module;
	uint64_t below; /* the thread pointer: there they begin */
	uint64_t bytes;
};

struct thread_memory_work {
	const struct threads_input *in;
	const struct memory_source *memory;
	struct libc_layout layout;
	struct module_locals *locals; /* the lowest first, no overlaps */
	size_t local_count;
	uint64_t *pointers; /* thread pointers of all that were stopped, ascending */
	size_t pointer_count;
	uint64_t *made; /* descriptors of threads whose stacks glibc made itself, ascending; not
			 * always all of them */
	size_t made_count;
	bool sets_stack_address; /* somebody may have given a stack by its top alone: then glibc
				  * does not know where it begins */
	bool jumps; /* the program uses longjmp(): a stack may have been left for a while with
		     * frames on it, to which a later jump returns */
};

/* What the descriptor at `address` holds; the caller frees it. NULL: it could not be read. */
uint8_t *thread_memory_descriptor(const struct thread_memory_work *w, uint64_t address);
uint64_t thread_memory_word(const uint8_t *descriptor, uint64_t offset);

/* The stack in whose top the descriptor at `address` lies, as glibc was given it: found in the
 * descriptor by what it must be. False if it is not there, or not certain. */
bool thread_memory_stack(const struct thread_memory_work *w, uint64_t address,
			 const uint8_t *descriptor, struct extent *out);

/* The first thread's, which runs at `sp`: its descriptor does not lie in it. */
bool thread_memory_main_stack(const struct thread_memory_work *w, const uint8_t *descriptor,
			      uint64_t sp, struct extent *out);
/* See w->sets_stack_address and w->jumps. */
bool thread_memory_sets_address(const struct threads_input *in);
bool thread_memory_jumps(const struct threads_input *in);
/* Does the stack begin with a guard, so that nothing is kept at its lower end? */
bool thread_memory_has_guard(const struct thread_memory_work *w, const struct extent *stack);
/* Take back the stacks that are not one thread's alone, and what would part a stack whose extent is not
 * known. */
int thread_memory_forget_doubtful(const struct thread_memory_work *w, struct thread_memories *out);

/* Fill w->locals; empty if they are not certain. */
int thread_memory_find_locals(struct thread_memory_work *w);
/* What of it thread `t`, whose thread pointer is `tp`, has. */
int thread_memory_set_locals(const struct thread_memory_work *w, uint64_t tp,
			     struct thread_memory *t);

/* What the frames tell: sets t->begun, takes t->stack back if the frames do not prove that the
 * memory below sp is out of use, and sets t->frames if they are wanted. */
int thread_memory_walk(const struct thread_memory_work *w, const struct stop_thread *thread,
		       bool with_frames, struct thread_memory *t);

/* Fill w->made, at most so many. */
int thread_memory_find_made(struct thread_memory_work *w, size_t threads);
bool thread_memory_is_made(const struct thread_memory_work *w, uint64_t descriptor);

/* Fill the lists and cached stacks of `out`, whose threads are known. */
int thread_memory_find_lists(const struct thread_memory_work *w, struct thread_memories *out);

#endif
