/* SPDX-License-Identifier: MIT
 *
 * Blocking calls with the registers of their caller. A wrapper that is about to block jumps (a tail
 * call: the caller's registers and return address are as they were) to capture_X, which lies in
 * capture_<processor>.S: it stores them and calls wait_X with what it was given itself and, as last
 * argument, where they are. wait_X records the wait and makes the real call.
 *
 * Where a compiler made no jump of it the registers are the wrapper's, a frame of the shim more.
 *
 * Unwinding (cancellation, pthread_exit in a signal handler) passes capture_X's frame, whose
 * personality routine ends the recorded wait. Neither libgcc nor a cleanup list of the thread's is
 * needed for that, and nothing is left behind by a longjmp out of a handler.
 */
#ifndef STRAND_PRELOAD_CAPTURE_H
#define STRAND_PRELOAD_CAPTURE_H

#include "record.h"

#define CAPTURE_HIDDEN __attribute__((visibility("hidden")))

/* Both halves; `parameters` and `with_context` as in a prototype. The name is also in the list in
 * capture_<processor>.S. */
#define CAPTURE(result, name, parameters, with_context)  \
	CAPTURE_HIDDEN result capture_##name parameters; \
	CAPTURE_HIDDEN __attribute__((used)) result wait_##name with_context

/* Until when a wait lasts at most, as flags and time of the record. */
struct deadline {
	uint16_t flags;
	uint64_t ns;
};

static const struct deadline deadline_none;
static const struct deadline deadline_unknown = { .flags = WIRE_WAIT_DEADLINE };

struct timespec;
/* An absolute time of CLOCK_REALTIME or CLOCK_MONOTONIC; of another clock it is not known. NULL: the
 * wait has no end. */
CAPTURE_HIDDEN struct deadline deadline_at(int clock, const struct timespec *time);
/* … of one of the two, which the object knows, not its caller. */
CAPTURE_HIDDEN struct deadline deadline_at_either(const struct timespec *time);

/* The value of `call`, with the wait for its time in the record. */
#define RECORDED(op, object, second, until, context, call)                                    \
	({                                                                                    \
		struct deadline until_ = (until);                                             \
		struct record_wait wait_;                                                     \
		__typeof__(call) result_;                                                     \
                                                                                              \
		record_wait_begin(&wait_, WIRE_OP_##op, until_.flags | WIRE_WAIT_CALLEE_REGS, \
				  object, second, until_.ns, context);                        \
		result_ = (call);                                                             \
		record_wait_end(&wait_);                                                      \
		result_;                                                                      \
	})

#endif
