/* SPDX-License-Identifier: MIT
 *
 * Who refers to whom, as far as it matters for the objects that tasks wait for: a graph of the places
 * from which an object can be reached, found backwards by the search (prove/search.h), walked forwards
 * by the prover.
 *
 * Sound by construction: a place is only left out of the graph if everything it refers to is reached
 * anyhow, by somebody who is certainly live. What the graph does not know is reached by everybody.
 */
#ifndef STRAND_PROVE_REACH_H
#define STRAND_PROVE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/model.h"

struct reach;

#define REACH_NONE UINT32_MAX

/* A thread as the graph knows it. */
struct reach_thread {
	pid_t tid;
	bool certain; /* counts as live whatever it waits for: nobody looked for what it alone
		       * would not reach */
	bool handles; /* a signal handler may run in it: its thread-locals are roots */
};

/* -- for the search --------------------------------------------------------------------------- */

/* Takes a copy of `threads` (ascending by tid). NULL if out of memory. */
struct reach *reach_create(const struct reach_thread *threads, size_t n, size_t limit_bytes);
void reach_free(struct reach *r);

/* The node of this kind that begins at `start`, made if it is new (key: kind of address space and
 * start; `end` and `thread` as given the first time). REACH_NONE if out of memory. */
uint32_t reach_node(struct reach *r, enum place_kind kind, uint64_t start, uint64_t end,
		    uint32_t thread);
/* A node that is no memory: registers of a thread, something the kernel holds (`name` is copied). */
uint32_t reach_root_node(struct reach *r, enum place_kind kind, uint32_t thread, const char *name);

/* The word at `at`, in `from`, points to `to`. */
int reach_edge(struct reach *r, uint32_t from, uint32_t to, uint64_t at);

/* What is waited for at `address` lies in `node`; REACH_NONE: everybody reaches it. */
int reach_object(struct reach *r, uint64_t address, uint32_t node);

/* Nobody looked further, and why ("the stop reached its bound"; static): everybody reaches everything
 * from now on. */
void reach_give_up(struct reach *r, const char *why);

size_t reach_node_count(const struct reach *r);
void reach_node_extent(const struct reach *r, uint32_t node, enum place_kind *kind, uint64_t *start,
		       uint64_t *end);
bool reach_node_is_reached(const struct reach *r, uint32_t node);

/* Mark from all that is certain. */
void reach_mark_certain(struct reach *r);

/* -- for the prover --------------------------------------------------------------------------- */

/* NULL if the graph is whole. */
const char *reach_given_up(const struct reach *r);

/* Begin anew: nobody is live. Whether the frame that main has left counts. */
void reach_begin(struct reach *r, bool with_main_frame);
/* Somebody is live: what everybody reaches is a root. */
void reach_add_everybody(struct reach *r);
/* The thread `tid` is live (0: one without memory of its own). */
void reach_add_thread(struct reach *r, pid_t tid);
/* A handler may run in thread `tid`. */
void reach_add_handler(struct reach *r, pid_t tid);
bool reach_is_certain(const struct reach *r, pid_t tid);

/* Is what lies at `address` reached by those who were added? True for what is not known. */
bool reach_has(const struct reach *r, uint64_t address);
/* … and is it known that everybody reaches it, without any pointer? */
bool reach_is_everybodys(const struct reach *r, uint64_t address);

/* Tell the model where the objects waited for lie, how they are reached, and who refers to those
 * that are not. After the proof. */
int reach_describe(const struct reach *r, struct model *m);

#endif
