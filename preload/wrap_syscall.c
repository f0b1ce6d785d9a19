/* SPDX-License-Identifier: MIT
 *
 * System calls made by way of the C library: prctl(), and of syscall() the few numbers that
 * capture_<processor>.S sends here. Locks of C++20, Rust and others are futexes by syscall(). Both
 * functions are variadic; all arguments that there can be are passed on, given or not.
 *
 * Nothing that a futex call points to is read here: an address that is no good is an error for the
 * kernel to report. Deadlines are found from outside.
 */
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "capture.h"
#include "real.h"

/* Not in the headers of older kernels. */
#define CALL_FUTEX_WAITV 449
#define CALL_FUTEX_WAIT	 455
#define COMMAND_LOCK_PI2 13

typedef unsigned long word;

CAPTURE_HIDDEN __attribute__((used)) long wait_syscall(const struct wire_context *context, long a,
						       long b, long c, long d, long e, long f,
						       long number);

/* The calls that wait. */
struct futex_wait {
	const void *object;
	bool has_deadline;
};

static bool is_wait_command(long operation)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI:
	case COMMAND_LOCK_PI2:
		return true;
	default:
		return false;
	}
}

/* Of several futexes at once none is the object. */
static bool is_futex_wait(long number, long a, long b, long d, long e, struct futex_wait *w)
{
	switch (number) {
	case SYS_futex:
		*w = (struct futex_wait){ (const void *)a, d };
		return is_wait_command(b);
	case CALL_FUTEX_WAITV:
		*w = (struct futex_wait){ NULL, d };
		return true;
	case CALL_FUTEX_WAIT:
		*w = (struct futex_wait){ (const void *)a, e };
		return true;
	default:
		return false;
	}
}

/* Without a filter it is a question whether the kernel could. */
static void note_seccomp(bool is_strict, bool is_filter, word filter)
{
	if (is_strict || (is_filter && filter))
		record_sandboxed();
}

static void note_before_prctl(long option, word mode, word filter)
{
	if (option == PR_SET_SECCOMP)
		note_seccomp(mode == SECCOMP_MODE_STRICT, mode == SECCOMP_MODE_FILTER, filter);
}

/* The kernel has read the name: so can we. */
static void note_after_prctl(long option, word name, long result)
{
	if (option == PR_SET_NAME && !result)
		record_thread_named(real.pthread_self(), (const char *)name);
}

/* The header's is variadic. */
WRAPPER int prctl(int option, word a, word b, word c, word d);

WRAPPER int prctl(int option, word a, word b, word c, word d)
{
	int result;

	note_before_prctl(option, a, b);
	result = real.prctl(option, a, b, c, d);
	note_after_prctl(option, a, result);
	return result;
}

static long syscall_prctl(long option, long a, long b, long c, long d, long e)
{
	long result;

	note_before_prctl(option, (word)a, (word)b);
	result = real.syscall(SYS_prctl, option, a, b, c, d, e);
	note_after_prctl(option, (word)a, result);
	return result;
}

long wait_syscall(const struct wire_context *context, long a, long b, long c, long d, long e,
		  long f, long number)
{
	struct futex_wait w;

	if (is_futex_wait(number, a, b, d, e, &w))
		return RECORDED(FUTEX_WAIT, w.object, NULL,
				w.has_deadline ? deadline_unknown : deadline_none, context,
				real.syscall(number, a, b, c, d, e, f));
	if (number == SYS_prctl)
		return syscall_prctl(a, b, c, d, e, f);
	if (number == SYS_seccomp)
		note_seccomp(a == SECCOMP_SET_MODE_STRICT, a == SECCOMP_SET_MODE_FILTER, (word)c);
	return real.syscall(number, a, b, c, d, e, f);
}
