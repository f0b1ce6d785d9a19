/* SPDX-License-Identifier: MIT
 *
 * What the blocking wrappers share: deadlines, and the end of a wait that is unwound.
 */
#include "capture.h"

#include <time.h>
#include <unwind.h>

#include "clock.h"

#define SECOND_NS 1000000000ll

CAPTURE_HIDDEN _Unwind_Reason_Code capture_personality(int version, _Unwind_Action actions,
						       _Unwind_Exception_Class class,
						       struct _Unwind_Exception *exception,
						       struct _Unwind_Context *context);

/* The C library holds times in signed seconds: what is too far away for ns is the end of time. */
static int64_t time_ns(const struct timespec *time)
{
	int64_t ns;

	if (__builtin_mul_overflow(time->tv_sec, SECOND_NS, &ns) ||
	    __builtin_add_overflow(ns, time->tv_nsec, &ns))
		return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static struct deadline deadline_after(int64_t ns, int64_t offset)
{
	struct deadline d = deadline_unknown;

	if (__builtin_sub_overflow(ns, offset, &ns))
		ns = INT64_MAX;
	d.ns = ns > 0 ? (uint64_t)ns : 1;
	return d;
}

struct deadline deadline_at(int clock, const struct timespec *time)
{
	if (!time)
		return deadline_none;
	if (clock == CLOCK_MONOTONIC)
		return deadline_after(time_ns(time), 0);
	if (clock == CLOCK_REALTIME)
		return deadline_after(time_ns(time), clock_realtime_offset_ns());
	return deadline_unknown;
}

/* The two clocks are decades apart: a time is of the one that it is nearer to. */
struct deadline deadline_at_either(const struct timespec *time)
{
	int64_t offset = clock_realtime_offset_ns();
	int64_t ns = time_ns(time);

	return deadline_after(ns, ns > offset / 2 ? offset : 0);
}

/* Unwinding goes on past our frame. What was recorded last in this thread is over; a wait that it
 * interrupted (we are in a signal handler) will be unwound next, and its end is the same. */
_Unwind_Reason_Code capture_personality(int version, _Unwind_Action actions,
					_Unwind_Exception_Class class,
					struct _Unwind_Exception *exception,
					struct _Unwind_Context *context)
{
	struct record_wait wait;

	(void)class;
	(void)exception;
	(void)context;
	if (version == 1 && (actions & _UA_CLEANUP_PHASE)) {
		record_wait_begin(&wait, WIRE_OP_NONE, 0, NULL, NULL, 0, NULL);
		wait.outer = (struct wire_wait){ .op = WIRE_OP_NONE };
		record_wait_end(&wait);
	}
	return _URC_CONTINUE_UNWIND;
}
