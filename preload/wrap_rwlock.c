/* SPDX-License-Identifier: MIT
 *
 * Read-write locks. The lock itself counts its readers but does not know them: each hold for reading
 * is noted, whoever tried it how, and forgotten at its unlock. A writer stands in the lock.
 *
 * The first word of the lock: bit 0 the phase of writers, bit 1 a writer has it or wants it, bit 2
 * readers wait, from bit 3 on how many readers there are.
 */
#include "capture.h"
#include "real.h"

#define WORD_WRITER  2u
#define WORD_READERS (~7u)

#define DEADLINE const struct timespec *

CAPTURE(int, rwlock_rdlock, (pthread_rwlock_t *),
	(pthread_rwlock_t *, const struct wire_context *));
CAPTURE(int, rwlock_timedrdlock, (pthread_rwlock_t *, DEADLINE),
	(pthread_rwlock_t *, DEADLINE, const struct wire_context *));
CAPTURE(int, rwlock_clockrdlock, (pthread_rwlock_t *, clockid_t, DEADLINE),
	(pthread_rwlock_t *, clockid_t, DEADLINE, const struct wire_context *));
CAPTURE(int, rwlock_wrlock, (pthread_rwlock_t *),
	(pthread_rwlock_t *, const struct wire_context *));
CAPTURE(int, rwlock_timedwrlock, (pthread_rwlock_t *, DEADLINE),
	(pthread_rwlock_t *, DEADLINE, const struct wire_context *));
CAPTURE(int, rwlock_clockwrlock, (pthread_rwlock_t *, clockid_t, DEADLINE),
	(pthread_rwlock_t *, clockid_t, DEADLINE, const struct wire_context *));

static inline bool word_has(const pthread_rwlock_t *rwlock, unsigned bits)
{
	return __atomic_load_n(&rwlock->__data.__readers, __ATOMIC_RELAXED) & bits;
}

static inline bool blocks_reader(const pthread_rwlock_t *rwlock)
{
	return word_has(rwlock, WORD_WRITER);
}

static inline bool blocks_writer(const pthread_rwlock_t *rwlock)
{
	return word_has(rwlock, WORD_WRITER | WORD_READERS);
}

/* What locking for reading gave: a hold, if it is 0. */
static inline int held(pthread_rwlock_t *rwlock, int result)
{
	if (!result)
		record_hold_add(rwlock);
	return result;
}

WRAPPER int pthread_rwlock_init(pthread_rwlock_t *rwlock, const pthread_rwlockattr_t *attr)
{
	record_hold_forget(rwlock);
	return real.pthread_rwlock_init(rwlock, attr);
}

WRAPPER int pthread_rwlock_destroy(pthread_rwlock_t *rwlock)
{
	record_hold_forget(rwlock);
	return real.pthread_rwlock_destroy(rwlock);
}

/* A writer that unlocks has no hold. */
WRAPPER int pthread_rwlock_unlock(pthread_rwlock_t *rwlock)
{
	if (!__atomic_load_n(&rwlock->__data.__cur_writer, __ATOMIC_RELAXED))
		record_hold_remove(rwlock);
	return real.pthread_rwlock_unlock(rwlock);
}

/* -- for reading ------------------------------------------------------------------------------ */

int wait_rwlock_rdlock(pthread_rwlock_t *rwlock, const struct wire_context *context)
{
	return held(rwlock, RECORDED(RWLOCK_RDLOCK, rwlock, NULL, deadline_none, context,
				     real.pthread_rwlock_rdlock(rwlock)));
}

WRAPPER int pthread_rwlock_rdlock(pthread_rwlock_t *rwlock)
{
	if (blocks_reader(rwlock))
		return capture_rwlock_rdlock(rwlock);
	return held(rwlock, real.pthread_rwlock_rdlock(rwlock));
}

WRAPPER int pthread_rwlock_tryrdlock(pthread_rwlock_t *rwlock)
{
	return held(rwlock, real.pthread_rwlock_tryrdlock(rwlock));
}

int wait_rwlock_timedrdlock(pthread_rwlock_t *rwlock, DEADLINE deadline,
			    const struct wire_context *context)
{
	return held(rwlock,
		    RECORDED(RWLOCK_RDLOCK, rwlock, NULL, deadline_at(CLOCK_REALTIME, deadline),
			     context, real.pthread_rwlock_timedrdlock(rwlock, deadline)));
}

WRAPPER int pthread_rwlock_timedrdlock(pthread_rwlock_t *rwlock, DEADLINE deadline)
{
	if (blocks_reader(rwlock))
		return capture_rwlock_timedrdlock(rwlock, deadline);
	return held(rwlock, real.pthread_rwlock_timedrdlock(rwlock, deadline));
}

int wait_rwlock_clockrdlock(pthread_rwlock_t *rwlock, clockid_t clock, DEADLINE deadline,
			    const struct wire_context *context)
{
	return held(rwlock,
		    RECORDED(RWLOCK_RDLOCK, rwlock, NULL, deadline_at(clock, deadline), context,
			     real.pthread_rwlock_clockrdlock(rwlock, clock, deadline)));
}

WRAPPER int pthread_rwlock_clockrdlock(pthread_rwlock_t *rwlock, clockid_t clock, DEADLINE deadline)
{
	if (blocks_reader(rwlock))
		return capture_rwlock_clockrdlock(rwlock, clock, deadline);
	return held(rwlock, real.pthread_rwlock_clockrdlock(rwlock, clock, deadline));
}

/* -- for writing ------------------------------------------------------------------------------ */

int wait_rwlock_wrlock(pthread_rwlock_t *rwlock, const struct wire_context *context)
{
	return RECORDED(RWLOCK_WRLOCK, rwlock, NULL, deadline_none, context,
			real.pthread_rwlock_wrlock(rwlock));
}

WRAPPER int pthread_rwlock_wrlock(pthread_rwlock_t *rwlock)
{
	if (blocks_writer(rwlock))
		return capture_rwlock_wrlock(rwlock);
	return real.pthread_rwlock_wrlock(rwlock);
}

int wait_rwlock_timedwrlock(pthread_rwlock_t *rwlock, DEADLINE deadline,
			    const struct wire_context *context)
{
	return RECORDED(RWLOCK_WRLOCK, rwlock, NULL, deadline_at(CLOCK_REALTIME, deadline), context,
			real.pthread_rwlock_timedwrlock(rwlock, deadline));
}

WRAPPER int pthread_rwlock_timedwrlock(pthread_rwlock_t *rwlock, DEADLINE deadline)
{
	if (blocks_writer(rwlock))
		return capture_rwlock_timedwrlock(rwlock, deadline);
	return real.pthread_rwlock_timedwrlock(rwlock, deadline);
}

int wait_rwlock_clockwrlock(pthread_rwlock_t *rwlock, clockid_t clock, DEADLINE deadline,
			    const struct wire_context *context)
{
	return RECORDED(RWLOCK_WRLOCK, rwlock, NULL, deadline_at(clock, deadline), context,
			real.pthread_rwlock_clockwrlock(rwlock, clock, deadline));
}

WRAPPER int pthread_rwlock_clockwrlock(pthread_rwlock_t *rwlock, clockid_t clock, DEADLINE deadline)
{
	if (blocks_writer(rwlock))
		return capture_rwlock_clockwrlock(rwlock, clock, deadline);
	return real.pthread_rwlock_clockwrlock(rwlock, clock, deadline);
}
