/* SPDX-License-Identifier: MIT
 *
 * Conditions: always recorded, for who waits for one blocks. The mutex is given up and locked again
 * inside the C library; during the latter the record still says "cond", with the mutex beside it.
 *
 * Six of the functions exist twice, for objects of two sizes. Programs older than 2003 are bound to
 * the first version, and would have memory behind their objects overwritten by the second: they get
 * what they mean, without a record. All six must be exported for that, wait or not.
 */
#include "capture.h"
#include "real.h"

#define NEW_VERSION(name) __asm__(".symver " #name ", " #name "@@@GLIBC_2.3.2")

CAPTURE(int, cond_wait, (pthread_cond_t *, pthread_mutex_t *),
	(pthread_cond_t *, pthread_mutex_t *, const struct wire_context *));
CAPTURE(int, cond_timedwait, (pthread_cond_t *, pthread_mutex_t *, const struct timespec *),
	(pthread_cond_t *, pthread_mutex_t *, const struct timespec *,
	 const struct wire_context *));
CAPTURE(int, cond_clockwait,
	(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *),
	(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *,
	 const struct wire_context *));
CAPTURE(int, cnd_wait, (cnd_t *, mtx_t *), (cnd_t *, mtx_t *, const struct wire_context *));
CAPTURE(int, cnd_timedwait, (cnd_t *, mtx_t *, const struct timespec *),
	(cnd_t *, mtx_t *, const struct timespec *, const struct wire_context *));

#define OLD_FUNCTION(result, name, parameters, arguments, version)       \
	WRAPPER result name##_old parameters;                            \
	__asm__(".symver " #name "_old, " #name "@" version ", remove"); \
                                                                         \
	WRAPPER result name##_old parameters                             \
	{                                                                \
		return real.name##_old arguments;                        \
	}
#include "functions.def"

NEW_VERSION(pthread_cond_init);
WRAPPER int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	return real.pthread_cond_init(cond, attr);
}

NEW_VERSION(pthread_cond_destroy);
WRAPPER int pthread_cond_destroy(pthread_cond_t *cond)
{
	return real.pthread_cond_destroy(cond);
}

NEW_VERSION(pthread_cond_signal);
WRAPPER int pthread_cond_signal(pthread_cond_t *cond)
{
	return real.pthread_cond_signal(cond);
}

NEW_VERSION(pthread_cond_broadcast);
WRAPPER int pthread_cond_broadcast(pthread_cond_t *cond)
{
	return real.pthread_cond_broadcast(cond);
}

int wait_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct wire_context *context)
{
	return RECORDED(COND_WAIT, cond, mutex, deadline_none, context,
			real.pthread_cond_wait(cond, mutex));
}

NEW_VERSION(pthread_cond_wait);
WRAPPER int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return capture_cond_wait(cond, mutex);
}

/* Which clock was chosen when the condition was made stands in it, but not always in one place. */
int wait_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			const struct timespec *deadline, const struct wire_context *context)
{
	return RECORDED(COND_WAIT, cond, mutex, deadline_at_either(deadline), context,
			real.pthread_cond_timedwait(cond, mutex, deadline));
}

NEW_VERSION(pthread_cond_timedwait);
WRAPPER int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				   const struct timespec *deadline)
{
	return capture_cond_timedwait(cond, mutex, deadline);
}

int wait_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
			const struct timespec *deadline, const struct wire_context *context)
{
	return RECORDED(COND_WAIT, cond, mutex, deadline_at(clock, deadline), context,
			real.pthread_cond_clockwait(cond, mutex, clock, deadline));
}

WRAPPER int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
				   const struct timespec *deadline)
{
	return capture_cond_clockwait(cond, mutex, clock, deadline);
}

int wait_cnd_wait(cnd_t *cond, mtx_t *mutex, const struct wire_context *context)
{
	return RECORDED(COND_WAIT, cond, mutex, deadline_none, context, real.cnd_wait(cond, mutex));
}

WRAPPER int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return capture_cnd_wait(cond, mutex);
}

int wait_cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *deadline,
		       const struct wire_context *context)
{
	return RECORDED(COND_WAIT, cond, mutex, deadline_at(CLOCK_REALTIME, deadline), context,
			real.cnd_timedwait(cond, mutex, deadline));
}

WRAPPER int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *deadline)
{
	return capture_cnd_timedwait(cond, mutex, deadline);
}
