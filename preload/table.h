/* SPDX-License-Identifier: MIT
 *
 * The table: the file, its records and stacks. Lock-free; from any thread and signal handler. What
 * makes system calls says so.
 */
#ifndef STRAND_PRELOAD_TABLE_H
#define STRAND_PRELOAD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

/* Make a table in `directory` (which is there) and fill its header; 0, or minus an error number.
 * What was mapped of the parent's is zeros. One thread only, by system calls. */
RECORD_HIDDEN int table_make(const char *directory, uint32_t flags, uint64_t control_id,
			     struct wire_table **out);

RECORD_HIDDEN const char *table_path(void);
/* Take its name away: the mapping stays, but it does not grow any more. A system call. */
RECORD_HIDDEN void table_remove(void);

/* Make room for births to come, if there is little left: by system calls, at births only. */
RECORD_HIDDEN void table_grow(void);

/* A record for a new task: CLAIMED, numbered, otherwise empty. NULL: no room. */
RECORD_HIDDEN struct wire_task *table_claim(void);
/* It is free to be used again. Whoever calls this has seen to it that nobody else does. */
RECORD_HIDDEN void table_release(struct wire_task *task);

/* Is this one of the table's records? Then it may be read. */
RECORD_HIDDEN bool table_has(const struct wire_task *task);
/* The i-th record ever used, NULL behind the last. */
RECORD_HIDDEN struct wire_task *table_at(uint32_t i);

/* The id of a stack; 0: no room. */
RECORD_HIDDEN uint32_t table_intern(const uint64_t *pcs, uint16_t count, uint16_t flags);

/* The segment of modules, WIRE_MODULES_BYTES. */
RECORD_HIDDEN void *table_modules(void);

/* -- the first word of a record: state, kind and flags change together -------------------------- */

#define TASK_WORD(state, flags) \
	((uint64_t)(state) | (uint64_t)WIRE_KIND_THREAD << 32 | (uint64_t)(flags) << 48)
#define TASK_STATE(word) ((uint32_t)(word))
#define TASK_FLAGS(word) ((uint16_t)((word) >> 48))

typedef uint64_t __attribute__((may_alias)) task_word;

static inline uint64_t task_load(const struct wire_task *task)
{
	return __atomic_load_n((const task_word *)task, __ATOMIC_ACQUIRE);
}

static inline void task_store(struct wire_task *task, uint64_t word)
{
	__atomic_store_n((task_word *)task, word, __ATOMIC_RELEASE);
}

static inline bool task_change(struct wire_task *task, uint64_t *from, uint64_t to)
{
	return __atomic_compare_exchange_n((task_word *)task, from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

#endif
