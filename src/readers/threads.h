/* SPDX-License-Identifier: MIT
 *
 * The thread reader: any process, with or without help from inside. From what was copied while
 * the process stood still it makes the model's tasks, their waits and the objects waited for,
 * and everything that makes a verdict milder.
 */
#ifndef STRAND_READERS_THREADS_H
#define STRAND_READERS_THREADS_H

#include "err.h"
#include "model/model.h"
#include "readers/capture.h"
#include "readers/io.h"
#include "readers/libc.h"
#include "stack/stacks.h"
#include "stack/unwind.h"
#include "target/modules.h"
#include "target/target.h"

/* What the reader works with; all of it outlives the call and is the caller's. */
struct threads_input {
	const struct target *target;
	const struct capture *capture;
	const struct modules *modules;
	struct libc *libc; /* distrusted if it does not fit the process */
	struct unwinder *unwinder;
	struct stacks *stacks;
	struct io_names *io_names;
};

/* Add the threads to `m`, numbered by birth. */
int threads_read(const struct threads_input *in, struct model *m, struct err *e);

#endif
