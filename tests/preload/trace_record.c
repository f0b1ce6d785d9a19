/* SPDX-License-Identifier: MIT
 *
 * record.h for libtrace.so: keeps, for each thread, what the wrappers say of it. It disturbs what a
 * wrapper must not rely on: errno is left alone (that is promised), registers are not.
 */
#include "record.h"
#include "real.h"
#include "trace.h"

#include <string.h>

static __thread struct trace mine;

WRAPPER struct trace *strand_trace(void)
{
	return &mine;
}

__attribute__((constructor)) static void begin(void)
{
	real_resolve();
}

void record_wait_begin(struct record_wait *w, enum wire_op op, uint16_t flags,
		       const volatile void *object, const volatile void *second,
		       uint64_t deadline_ns, const struct wire_context *context)
{
	w->outer = mine.last;
	w->outer.sequence = mine.open;
	mine.last = (struct wire_wait){ .op = (uint16_t)op,
					.flags = flags,
					.object = (uintptr_t)object,
					.second = (uintptr_t)second,
					.deadline_ns = deadline_ns };
	mine.begun++;
	mine.open++;
	if (!context)
		return;
	mine.last.context = *context;
	if (context->sp - (uintptr_t)__builtin_frame_address(0) > mine.stack_bytes)
		mine.stack_bytes = (unsigned)(context->sp - (uintptr_t)__builtin_frame_address(0));
}

void record_wait_end(struct record_wait *w)
{
	mine.ended++;
	mine.open = w->outer.sequence;
}

void record_hold_add(const void *rwlock)
{
	(void)rwlock;
	mine.holds_added++;
}

void record_hold_remove(const void *rwlock)
{
	(void)rwlock;
	mine.holds_removed++;
}

void record_hold_forget(const void *rwlock)
{
	(void)rwlock;
	mine.holds_forgotten++;
}

struct wire_task *record_thread_find(uintptr_t handle)
{
	mine.finds++;
	mine.handle = handle;
	return NULL;
}

void record_thread_joined(struct wire_task *task, uintptr_t handle)
{
	(void)task;
	mine.joins++;
	mine.handle = handle;
}

void record_thread_detached(uintptr_t handle)
{
	mine.detaches++;
	mine.handle = handle;
}

void record_thread_named(uintptr_t handle, const char *name)
{
	mine.handle = handle;
	strncpy(mine.name, name, sizeof(mine.name) - 1);
}

void record_handler(int signal, bool restarts)
{
	mine.handlers++;
	mine.handler_signal = signal;
	mine.handler_restarts = restarts;
}

void record_sandboxed(void)
{
	mine.sandboxed++;
}
