/* SPDX-License-Identifier: MIT
 *
 * Where a thread's own memory lies: its stack, its thread-locals module by module, its descriptor
 * (struct pthread), and the argument of a start routine that has not been entered. What is not
 * certain is left out, and the memory concerned counts as anybody's.
 *
 * Layouts are glibc's (2.31 to 2.41); none is used before it was checked against the process.
 */
#ifndef STRAND_READERS_THREAD_MEMORY_H
#define STRAND_READERS_THREAD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "readers/threads.h"
#include "stack/unwind.h"
#include "target/source.h"

/* The thread-locals that one module has in one thread. */
struct thread_locals {
	struct extent at;
	const struct module *module; /* NULL: not known whose */
};

struct thread_memory {
	size_t index;	     /* in the stop */
	struct extent stack; /* the whole of it as it was given, with what glibc keeps at its top;
			      * 0, 0: not known for certain */
	bool used_below;     /* of its stack what lies below sp may be in use nevertheless */
	struct extent tls;   /* static thread-locals; ends at the descriptor; 0, 0: not known */
	struct thread_locals *locals; /* within `tls`, ascending, no overlaps; what lies between
				       * them belongs to nobody known */
	size_t local_count;
	struct extent error_number; /* its errno; 0, 0: not known */
	struct extent descriptor;   /* struct pthread; 0, 0: not known */
	struct extent links[2];	    /* within it, what leads nowhere for anybody: the list of
				     * threads; start routine and argument once `begun` */
	size_t link_count;
	bool begun;	   /* its start routine has been entered */
	uint64_t argument; /* of a start routine that has not been entered, which the
				* recording side keeps; 0: none, or in the descriptor */
	uint64_t *frames;  /* where its frames end, outwards: frame i is [frames[i - 1],
				* frames[i]), the first begins at sp; only if asked for */
	size_t frame_count;
};

struct thread_memories {
	struct thread_memory *v; /* one for each thread of the stop that is not ended, by index */
	size_t n;
	struct extent *cached; /* stacks of threads that have ended, which glibc keeps for new
				* ones, or without their descriptors until they are joined:
				* nobody's memory. Ascending */
	size_t cached_count;
	struct extent lists[4]; /* glibc's own heads of its lists of threads and stacks */
	size_t list_count;
};

/* Read it all through `memory` (of the same moment as in->capture). `with_frames` says by index in the
 * stop whose frames are wanted (unwinding costs). Fails for lack of memory only; the caller frees with
 * thread_memories_free(), also after an error. */
int thread_memories_read(const struct threads_input *in, const struct memory_source *memory,
			 const bool *with_frames, struct thread_memories *out, struct err *e);
void thread_memories_free(struct thread_memories *t);

#endif
