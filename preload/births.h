/* SPDX-License-Identifier: MIT
 *
 * Threads from birth to end, between the files of the shim.
 */
#ifndef STRAND_PRELOAD_BIRTHS_H
#define STRAND_PRELOAD_BIRTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

/* The task begins to end (if `ends`), or gets flags; what is over is given back. True if it was not
 * ending before: the table's tasks_running is the caller's. */
RECORD_HIDDEN bool record_change(struct wire_task *task, bool ends, uint16_t flags);

/* A new table has no holds. */
RECORD_HIDDEN void record_holds_reset(void);

/* T1 of a new table, `was` its record before a fork or NULL. It is the caller's if that is it. */
RECORD_HIDDEN void births_first(const struct wire_task *was);

/* The calling thread has no record: it was not created through the shim. */
RECORD_HIDDEN struct wire_task *births_adopt(void);

/* The calling thread's id; 0 if that would take a system call in a sandbox. Not for a forked child of
 * which the C library knows nothing. */
RECORD_HIDDEN int32_t births_own_tid(void);

/* In the constructor. */
RECORD_HIDDEN void births_prepare(void);

/* The calling thread leaves its start routine; main's is main. */
RECORD_HIDDEN void births_end(void *unused);

#endif
