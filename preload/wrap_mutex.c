/* SPDX-License-Identifier: MIT
 *
 * Mutexes. A lock word of 0 is a free mutex of every kind: a test and a jump, no shared store, no
 * clock, and a caller who stays in the C library's own fast path. A mutex that is taken between the
 * test and the call is waited for without a record; it is found from outside all the same. So are
 * owners, which stand in the mutex: unlocking is not our business.
 */
#include <errno.h>

#include "capture.h"
#include "real.h"

#define KIND_MASK 3 /* beside it: robust, inheriting, protected, shared … */

CAPTURE(int, mutex_lock, (pthread_mutex_t *), (pthread_mutex_t *, const struct wire_context *));
CAPTURE(int, mutex_timedlock, (pthread_mutex_t *, const struct timespec *),
	(pthread_mutex_t *, const struct timespec *, const struct wire_context *));
CAPTURE(int, mutex_clocklock, (pthread_mutex_t *, clockid_t, const struct timespec *),
	(pthread_mutex_t *, clockid_t, const struct timespec *, const struct wire_context *));
CAPTURE(int, mtx_lock, (mtx_t *), (mtx_t *, const struct wire_context *));
CAPTURE(int, mtx_timedlock, (mtx_t *, const struct timespec *),
	(mtx_t *, const struct timespec *, const struct wire_context *));

static inline bool is_free(const pthread_mutex_t *mutex)
{
	return __atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) == 0;
}

/* In the C library both are one. */
static inline pthread_mutex_t *of_c11(mtx_t *mutex)
{
	return (pthread_mutex_t *)mutex;
}

/* Its owner may lock a recursive mutex again as often as a free one: as cheap, too. */
static bool is_recursive(const pthread_mutex_t *mutex)
{
	return (mutex->__data.__kind & KIND_MASK) == PTHREAD_MUTEX_RECURSIVE_NP;
}

static bool lock_again(pthread_mutex_t *mutex, int *result)
{
	if (!is_recursive(mutex))
		return false;
	*result = real.pthread_mutex_trylock(mutex);
	return *result != EBUSY;
}

int wait_mutex_lock(pthread_mutex_t *mutex, const struct wire_context *context)
{
	int result;

	if (lock_again(mutex, &result))
		return result;
	return RECORDED(MUTEX_LOCK, mutex, NULL, deadline_none, context,
			real.pthread_mutex_lock(mutex));
}

WRAPPER int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (__builtin_expect(is_free(mutex), 1))
		return real.pthread_mutex_lock(mutex);
	return capture_mutex_lock(mutex);
}

int wait_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline,
			 const struct wire_context *context)
{
	int result;

	if (lock_again(mutex, &result))
		return result;
	return RECORDED(MUTEX_LOCK, mutex, NULL, deadline_at(CLOCK_REALTIME, deadline), context,
			real.pthread_mutex_timedlock(mutex, deadline));
}

WRAPPER int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline)
{
	if (is_free(mutex))
		return real.pthread_mutex_timedlock(mutex, deadline);
	return capture_mutex_timedlock(mutex, deadline);
}

int wait_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *deadline,
			 const struct wire_context *context)
{
	return RECORDED(MUTEX_LOCK, mutex, NULL, deadline_at(clock, deadline), context,
			real.pthread_mutex_clocklock(mutex, clock, deadline));
}

WRAPPER int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
				    const struct timespec *deadline)
{
	if (is_free(mutex))
		return real.pthread_mutex_clocklock(mutex, clock, deadline);
	return capture_mutex_clocklock(mutex, clock, deadline);
}

int wait_mtx_lock(mtx_t *mutex, const struct wire_context *context)
{
	int result;

	if (lock_again(of_c11(mutex), &result) && !result)
		return thrd_success;
	return RECORDED(MUTEX_LOCK, mutex, NULL, deadline_none, context, real.mtx_lock(mutex));
}

WRAPPER int mtx_lock(mtx_t *mutex)
{
	if (is_free(of_c11(mutex)))
		return real.mtx_lock(mutex);
	return capture_mtx_lock(mutex);
}

int wait_mtx_timedlock(mtx_t *mutex, const struct timespec *deadline,
		       const struct wire_context *context)
{
	return RECORDED(MUTEX_LOCK, mutex, NULL, deadline_at(CLOCK_REALTIME, deadline), context,
			real.mtx_timedlock(mutex, deadline));
}

WRAPPER int mtx_timedlock(mtx_t *mutex, const struct timespec *deadline)
{
	if (is_free(of_c11(mutex)))
		return real.mtx_timedlock(mutex, deadline);
	return capture_mtx_timedlock(mutex, deadline);
}
