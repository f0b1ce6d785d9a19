/* SPDX-License-Identifier: MIT
 *
 * The inside of a look, for look.c, look_core.c and look_reach.c.
 */
#ifndef STRAND_LOOK_PRIVATE_H
#define STRAND_LOOK_PRIVATE_H

#include "look.h"
#include "prove/reach.h"
#include "readers/capture.h"
#include "readers/io.h"
#include "readers/libc.h"
#include "readers/threads.h"
#include "stack/stacks.h"
#include "stack/symbols.h"
#include "stack/unwind.h"
#include "target/core.h"
#include "target/modules.h"
#include "target/target.h"

/* Everything a look needs and the model does not: freed at its end. */
struct look {
	struct table_copy *copy; /* of a process that is no more */
	struct core *core;	 /* NULL: a process */
	struct target *target;
	struct capture *capture; /* the last one */
	struct modules *modules;
	struct libc *libc;
	struct unwinder *unwinder; /* reads the memory of `capture` */
	struct io_names *io_names;
	struct stacks *stacks;
	struct symbols *symbols;
	struct model *model;
	struct reach *reach;	      /* NULL: nobody looked for references */
	int64_t pause_ns, stopped_ns; /* the longest stop, and all together */
	unsigned stops;
};

/* The process has stood still for that long. */
void look_note_stop(struct look *l, int64_t ns);
/* … and now the model knows of it. */
void look_describe_stops(const struct look *l);

/* All that follows when l->target and l->capture are there, and l->model, empty. */
int look_finish(struct look *l, const struct look_options *o, const struct stop_limits *limits,
		struct model **out, struct err *e);
void look_free(struct look *l);

/* From l->capture to l->model, which is empty yet. */
int look_read(struct look *l, const struct look_options *o, struct err *e);

/* Somebody in l->model may be stuck if nobody live refers to what it waits for (t->candidate is set):
 * look again, this time at all memory. On success l->capture and l->model are new and l->reach is set,
 * or they are as they were and a note in the model says why. */
int look_for_references(struct look *l, const struct look_options *o,
			const struct stop_limits *limits, struct err *e);

/* What the blocks are in which tasks wait for something, and those on the way there, by debug
 * information; after the proof. What cannot be told is left out. */
void look_name_types(struct look *l);

#endif
