/* SPDX-License-Identifier: MIT
 *
 * Semaphores and barriers. A semaphore's value is the low half of its first word: while there is
 * something to take, nobody blocks. At a barrier everybody does.
 */
#include "capture.h"
#include "real.h"

CAPTURE(int, sem_wait, (sem_t *), (sem_t *, const struct wire_context *));
CAPTURE(int, sem_timedwait, (sem_t *, const struct timespec *),
	(sem_t *, const struct timespec *, const struct wire_context *));
CAPTURE(int, sem_clockwait, (sem_t *, clockid_t, const struct timespec *),
	(sem_t *, clockid_t, const struct timespec *, const struct wire_context *));
CAPTURE(int, barrier_wait, (pthread_barrier_t *),
	(pthread_barrier_t *, const struct wire_context *));

static inline bool has_value(const sem_t *sem)
{
	return (uint32_t)__atomic_load_n(&sem->__align, __ATOMIC_RELAXED) != 0;
}

int wait_sem_wait(sem_t *sem, const struct wire_context *context)
{
	return RECORDED(SEM_WAIT, sem, NULL, deadline_none, context, real.sem_wait(sem));
}

WRAPPER int sem_wait(sem_t *sem)
{
	if (has_value(sem))
		return real.sem_wait(sem);
	return capture_sem_wait(sem);
}

int wait_sem_timedwait(sem_t *sem, const struct timespec *deadline,
		       const struct wire_context *context)
{
	return RECORDED(SEM_WAIT, sem, NULL, deadline_at(CLOCK_REALTIME, deadline), context,
			real.sem_timedwait(sem, deadline));
}

WRAPPER int sem_timedwait(sem_t *sem, const struct timespec *deadline)
{
	if (has_value(sem))
		return real.sem_timedwait(sem, deadline);
	return capture_sem_timedwait(sem, deadline);
}

int wait_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *deadline,
		       const struct wire_context *context)
{
	return RECORDED(SEM_WAIT, sem, NULL, deadline_at(clock, deadline), context,
			real.sem_clockwait(sem, clock, deadline));
}

WRAPPER int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *deadline)
{
	if (has_value(sem))
		return real.sem_clockwait(sem, clock, deadline);
	return capture_sem_clockwait(sem, clock, deadline);
}

int wait_barrier_wait(pthread_barrier_t *barrier, const struct wire_context *context)
{
	return RECORDED(BARRIER_WAIT, barrier, NULL, deadline_none, context,
			real.pthread_barrier_wait(barrier));
}

WRAPPER int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	return capture_barrier_wait(barrier);
}
