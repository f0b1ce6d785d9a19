/* SPDX-License-Identifier: MIT
 *
 * The table reader: what libstrand.so recorded of a process (creators, names, times, read-holders,
 * ended threads). It adds to what the thread reader found, or, of a process that is no more, makes
 * the model alone.
 *
 * Nothing in a table is trusted: a copy is taken (while the process stands still, if it is there)
 * and every field of the copy is checked when it is read.
 */
#ifndef STRAND_READERS_TABLE_H
#define STRAND_READERS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "model/model.h"
#include "stack/stacks.h"
#include "target/modules.h"
#include "wire.h"

/* -- the file --------------------------------------------------------------------------------- */

/* A table open for reading, or with `write` also for the fields of the watcher. */
struct table;

/* Fails in words for what is no table, one of another version, a truncated one. */
int table_open(const char *path, bool write, struct table **out, struct err *e);
void table_close(struct table *t);

/* The live header, always whole in memory. With `write` it changes under the reader's eyes and is
 * to be asked for again before each use (a file that was cut short since gives a dead copy); else it
 * is as of this call. */
volatile struct wire_table *table_header(struct table *t);
const char *table_path(const struct table *t);

/* -- a copy ----------------------------------------------------------------------------------- */

struct table_copy;

/* Copy all of it as it is now: cheap (a memcpy), for use while the process stands still. */
int table_copy_take(struct table *t, struct table_copy **out, struct err *e);
void table_copy_free(struct table_copy *c);

const struct wire_table *table_copy_header(const struct table_copy *c);

/* Records that are in use and not half-written; ascending by number. */
size_t table_copy_count(const struct table_copy *c);
const struct wire_task *table_copy_task(const struct table_copy *c, size_t i);
/* The record of a thread that is there, by its id in its own namespace and its pthread_t (0 if not
 * known); NULL if there is none. */
const struct wire_task *table_copy_find_thread(const struct table_copy *c, pid_t tid_ns,
					       uint64_t handle);
/* The record at that place of the file, if it is of a thread that has not begun yet; else NULL. */
const struct wire_task *table_copy_find_unbegun(const struct table_copy *c, uint64_t offset);

/* The addresses of a stack id (each inside its call); 0 frames if the id is no good. They are good
 * as long as the copy. */
size_t table_copy_stack(const struct table_copy *c, uint32_t id, const uint64_t **pcs,
			bool *complete);

/* The modules that were there when main began, one after the other: *at is 0 at first. False at the
 * end. */
bool table_copy_module(const struct table_copy *c, size_t *at, uint64_t *bias, const char **path);

/* -- into the model --------------------------------------------------------------------------- */

/* Does the table tell of this process image? `start_ticks` as in /proc; `main` is its first thread,
 * with tid_ns and handle where they are known. */
bool table_copy_is_of(const struct table_copy *c, uint64_t start_ticks, const struct task *main);

/* When the threads are in the model and have no numbers yet (or those of records known to be theirs):
 * add numbers, names, creators, births,
 * who ends the process, ended threads that nobody joined, lost records. Numbers the tasks. */
int table_enrich_tasks(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		       struct model *m);

/* When the waits are in it: since when, conds' mutexes, read-holders of rwlocks, which signals
 * interrupt. Only a thread's kernel state makes it blocked: where the record disagrees, the record
 * is not used. */
int table_enrich_waits(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		       struct model *m);

/* Task `t` of the look at the exit, by the time of the copy: what was alive and has finished is
 * unjoined (then *changed), or, joined or detached, no more: false. */
bool table_settle(const struct table_copy *c, struct task *t, bool *changed);

/* Make the tasks of a process that is no more: from the table alone. Nothing is proved. */
int table_read_dead(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		    struct model *m);

#endif
