/* SPDX-License-Identifier: MIT
 *
 * The proof: which blocked tasks have no possible waker. A fixed point over the model: what runs
 * or waits for something outside is live; a waiter on an owned object is live iff its owner is;
 * a waiter on a shared object iff somebody live reaches it. What is left is stuck.
 *
 * Pure: reads and writes the model only. Soundness before detection: whatever is not known
 * makes a task live.
 */
#ifndef STRAND_PROVE_PROVE_H
#define STRAND_PROVE_PROVE_H

#include "model/model.h"
#include "prove/reach.h"

/* Which blocked tasks would be stuck if live ones reached nothing but what everybody reaches? Sets
 * `candidate` of every task; *any: knowing who refers to what could make some of them stuck. */
int prove_find_candidates(struct model *m, bool *any);

/* Set live, verdict, reason, group and chain_next of every task, and the model's proof. Without a graph
 * of references (NULL) everybody live is taken to reach everything. With one, the model also learns how
 * the objects waited for are reached. */
int prove_tasks(struct model *m, struct reach *graph);

/* The same for a process of which nothing can be proved (it is no more): nobody is live or stuck. */
void prove_nothing(struct model *m);

#endif
