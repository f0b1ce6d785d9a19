/* SPDX-License-Identifier: MIT
 *
 * From a stopped thread's registers and copied memory to the model's wait and object: what it is
 * blocked in, who owns that, and what else could end the wait.
 */
#ifndef STRAND_READERS_WAITS_H
#define STRAND_READERS_WAITS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "readers/threads.h"

/* The thread tasks by what locks know of them. */
struct waits_owner {
	pid_t tid_ns;
	pid_t lock_tid; /* what it writes into locks: its tid_ns, but for odd threads; 0 unknown */
	uint64_t thread_pointer;
	struct task *task;
};

struct waits_context {
	const struct threads_input *in;
	struct model *model;
	const struct waits_owner *owners; /* ascending by tid_ns */
	size_t owner_count;
	struct task *heir;     /* main, if the process was forked: see struct object; else NULL */
	bool numbers_borrowed; /* some thread's lock_tid is not its own */
	bool tids_known; /* the list of threads is complete, with every tid_ns: an owner that is not
			  * in it has ended */
};

/* Fill state and wait of `task` from its registers `t` and stack `pcs` (innermost first, return
 * addresses minus 1). Returns a negative code only for lack of memory. */
int waits_read(const struct waits_context *c, const struct stop_thread *t, const uint64_t *pcs,
	       size_t n, struct task *task);

/* The tid that the descriptor of thread `t` holds where the C library says it does; 0 if it
 * cannot be read. */
pid_t waits_read_lock_tid(const struct threads_input *in, const struct stop_thread *t);

#endif
