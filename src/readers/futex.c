/* SPDX-License-Identifier: MIT
 *
 * The table of glibc's waits (2.31 to 2.41, nptl/ and sysdeps/nptl/), told by operation, value
 * and frames:
 *
 *   lock                     call                     value        word lies at
 *   mutex                    WAIT                     2            lock + 0
 *   mutex, robust            WAIT shared              tid|WAITERS  lock + 0
 *   mutex, priority inherit. LOCK_PI                  -            lock + 0
 *   cond                     WAIT_BITSET              0 (≤ 2.40)   cond + 40 or 44
 *   cond without deadline    WAIT (≤ 2.32)            0            cond + 40 or 44
 *   semaphore                WAIT_BITSET              0            sem + 0
 *   barrier                  WAIT                     round        barrier + 4
 *   rwlock, wait for writer  WAIT_BITSET              ≤ 3          lock + 8 (word % 8 == 0)
 *   rwlock, wait for turn    WAIT_BITSET              3            lock + 12 (word % 8 == 4)
 *   rwlock, writers first    WAIT_BITSET              > 3          lock + 0
 *   join                     WAIT_BITSET shared       tid          pthread + tid offset
 */
#include "readers/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>

/* Frames of glibc between the system call and the function that names the wait, at most. */
#define LIBC_DEPTH_MAX 6

#define MUTEX_VALUE_CONTENDED 2

bool futex_decode(const struct arch_regs *regs, long number, struct futex_call *out)
{
	uint64_t op = arch_syscall_argument(regs, 1);

	if (number != SYS_futex)
		return false;
	out->command = (int)(op & FUTEX_CMD_MASK);
	out->is_private = op & FUTEX_PRIVATE_FLAG;
	out->is_realtime = op & FUTEX_CLOCK_REALTIME || out->command == FUTEX_LOCK_PI;
	out->is_absolute = out->command != FUTEX_WAIT;
	out->word = arch_syscall_argument(regs, 0);
	out->value = (uint32_t)arch_syscall_argument(regs, 2);
	out->timeout = arch_syscall_argument(regs, 3);
	switch (out->command) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return true;
	default:
		return false; /* wakes, requeues: those who do that are running */
	}
}

static bool futex_is_pi(const struct futex_call *call)
{
	return call->command == FUTEX_LOCK_PI || call->command == FUTEX_LOCK_PI2;
}

bool futex_is_asleep(const struct arch_regs *regs, const struct futex_call *call, uint32_t word)
{
	if (!arch_syscall_restarts(regs))
		return false;
	if (futex_is_pi(call))
		return word & FUTEX_WAITERS && word & FUTEX_TID_MASK;
	return word == call->value;
}

/* The innermost frame whose function is known; *depth is how many frames of glibc lie inside of
 * it. The search ends where the program's own code begins. */
static enum libc_function futex_find_function(const struct libc *libc, const uint64_t *pcs,
					      size_t n, size_t *depth)
{
	for (size_t i = 0; i < n && i < LIBC_DEPTH_MAX; i++) {
		enum libc_function f = libc_function_at(libc, pcs[i]);

		*depth = i;
		if (f != LIBC_FUNCTION_NONE && f != LIBC_FUNCTION_INTERNAL)
			return f;
		/* Beyond may be a lock that a signal handler, the program's own code, interrupts. */
		if (!libc_has_code(libc, pcs[i]))
			break;
	}
	return LIBC_FUNCTION_NONE;
}

bool futex_names_owner(const struct futex_call *call)
{
	return futex_is_pi(call) || (call->value & FUTEX_WAITERS && call->value & FUTEX_TID_MASK);
}

static bool futex_is_mutex_value(const struct futex_call *call)
{
	return futex_names_owner(call) || call->value == MUTEX_VALUE_CONTENDED;
}

static void futex_mean(struct futex_meaning *out, enum futex_meaning_kind kind, uint64_t object)
{
	out->kind = kind;
	out->object = object;
}

static uint64_t futex_rwlock_of_word(const struct futex_call *call)
{
	if ((call->word & 7) == 4)
		return call->word - 12;
	return call->value <= 3 ? call->word - 8 : call->word;
}

/* Inside a cond function: the group's signals, or the re-lock of the mutex (two frames of glibc
 * that are not exported lie between: the slow path and __pthread_mutex_cond_lock), or the cond's
 * own internal lock. */
static void futex_classify_cond(const struct libc *libc, const struct futex_call *call,
				size_t depth, struct futex_meaning *out)
{
	uint64_t cond = libc_cond_of_futex(libc, call->word);

	if (futex_is_mutex_value(call) && depth >= 2)
		futex_mean(out, FUTEX_MEANS_MUTEX, call->word);
	else if (cond && (call->command == FUTEX_WAIT_BITSET ||
			  (libc_cond_waits_plainly(libc) && call->value == 0)))
		futex_mean(out, FUTEX_MEANS_COND, cond);
	else
		futex_mean(out, FUTEX_MEANS_LIBC_LOCK, call->word);
}

/* No function known: the timed and the semaphore functions, and pthread_mutex_lock() for robust
 * and priority-inheriting mutexes, jump to a slow path that is not exported, which leaves no
 * frame of their own. */
static void futex_classify_nameless(const struct futex_call *call, struct futex_meaning *out)
{
	if (call->command == FUTEX_WAIT_BITSET && call->value == 0)
		futex_mean(out, FUTEX_MEANS_SEMAPHORE, call->word);
	else if (futex_names_owner(call) || (futex_is_mutex_value(call) && call->timeout))
		futex_mean(out, FUTEX_MEANS_MUTEX, call->word);
	else
		futex_mean(out, FUTEX_MEANS_UNKNOWN, call->word);
}

static void futex_classify_named(const struct libc *libc, const struct futex_call *call,
				 enum libc_function function, size_t depth,
				 struct futex_meaning *out)
{
	switch (function) {
	case LIBC_FUNCTION_MUTEX_LOCK:
		/* glibc parks a thread for good on a word of its stack when the kernel finds
		 * that a priority-inheritance lock would deadlock: value 0, no lock to name. */
		futex_mean(out,
			   futex_is_mutex_value(call) ? FUTEX_MEANS_MUTEX : FUTEX_MEANS_UNKNOWN,
			   call->word);
		return;
	case LIBC_FUNCTION_COND_WAIT:
		futex_classify_cond(libc, call, depth, out);
		return;
	case LIBC_FUNCTION_RWLOCK_RDLOCK:
		futex_mean(out, FUTEX_MEANS_RWLOCK_READ, futex_rwlock_of_word(call));
		return;
	case LIBC_FUNCTION_RWLOCK_WRLOCK:
		futex_mean(out, FUTEX_MEANS_RWLOCK_WRITE, futex_rwlock_of_word(call));
		return;
	case LIBC_FUNCTION_SEM_WAIT:
		futex_mean(out, call->value ? FUTEX_MEANS_UNKNOWN : FUTEX_MEANS_SEMAPHORE,
			   call->word);
		return;
	case LIBC_FUNCTION_BARRIER_WAIT:
		futex_mean(out, (call->word & 7) == 4 ? FUTEX_MEANS_BARRIER : FUTEX_MEANS_LIBC_LOCK,
			   call->word - 4);
		return;
	case LIBC_FUNCTION_ONCE:
		futex_mean(out, FUTEX_MEANS_ONCE, call->word);
		return;
	case LIBC_FUNCTION_SYSCALL:
		futex_mean(out, FUTEX_MEANS_RAW, call->word);
		return;
	case LIBC_FUNCTION_LIBC_LOCK:
		futex_mean(out, FUTEX_MEANS_LIBC_LOCK, call->word);
		return;
	default: /* JOIN, but the word is no thread's: it is ending */
		futex_mean(out, FUTEX_MEANS_UNKNOWN, call->word);
	}
}

void futex_classify(const struct libc *libc, const struct futex_call *call, const uint64_t *pcs,
		    size_t n, bool joins, struct futex_meaning *out)
{
	enum libc_function function;
	size_t depth = 0;

	futex_mean(out, FUTEX_MEANS_RAW, call->word);
	if (libc_kind(libc) != LIBC_GLIBC || !n)
		return;
	if (!libc_has_code(libc, pcs[0]))
		return;
	if (joins && !call->is_private) {
		futex_mean(out, FUTEX_MEANS_JOIN, call->word);
		return;
	}
	function = futex_find_function(libc, pcs, n, &depth);
	if (function != LIBC_FUNCTION_NONE)
		futex_classify_named(libc, call, function, depth, out);
	else if (!libc_is_static(libc))
		futex_classify_nameless(call, out);
}
