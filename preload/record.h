/* SPDX-License-Identifier: MIT
 *
 * What the wrappers tell the table. Everything here may be called at any time and in any thread:
 * before the table exists, in a signal handler, in a forked or vforked child, after destructors;
 * without a table it does nothing. Nothing here fails, allocates with malloc, takes a lock, or
 * changes errno.
 */
#ifndef STRAND_PRELOAD_RECORD_H
#define STRAND_PRELOAD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define RECORD_HIDDEN __attribute__((visibility("hidden")))

/* A wait that is being recorded: lives in the wrapper's frame, over the blocking call. */
struct record_wait {
	struct wire_task *task; /* NULL: nothing is recorded */
	struct wire_wait outer; /* the wait that a signal handler interrupted, if any */
};

/* The calling thread is about to block. `context` may be NULL; deadline_ns 0 with WIRE_WAIT_DEADLINE
 * in `flags` is a deadline that is not known. */
RECORD_HIDDEN void record_wait_begin(struct record_wait *w, enum wire_op op, uint16_t flags,
				     const volatile void *object, const volatile void *second,
				     uint64_t deadline_ns, const struct wire_context *context);
/* It goes on, by return or by unwinding (it has the type of a cleanup handler). */
RECORD_HIDDEN void record_wait_end(struct record_wait *w);

/* The calling thread has locked `rwlock` for reading, or is about to unlock it (whoever holds it
 * how: a hold that is not found means nothing). */
RECORD_HIDDEN void record_hold_add(const void *rwlock);
RECORD_HIDDEN void record_hold_remove(const void *rwlock);
/* `rwlock` was initialised or destroyed: holds of it by threads that have ended are no more. */
RECORD_HIDDEN void record_hold_forget(const void *rwlock);

/* Thread `handle`, a pthread_t that is valid now: its record for record_thread_joined(), which is
 * to be called once it has been joined (the handle is not valid any more then). */
RECORD_HIDDEN struct wire_task *record_thread_find(uintptr_t handle);
RECORD_HIDDEN void record_thread_joined(struct wire_task *task, uintptr_t handle);
RECORD_HIDDEN void record_thread_detached(uintptr_t handle);
RECORD_HIDDEN void record_thread_named(uintptr_t handle, const char *name);

/* A handler was installed for `signal`. */
RECORD_HIDDEN void record_handler(int signal, bool restarts);

/* A seccomp filter is about to come: no system call from now on. */
RECORD_HIDDEN void record_sandboxed(void);

#endif
