/* SPDX-License-Identifier: MIT
 *
 * Joining and detaching. A pthread_t means nothing once its thread was joined: whose record it is
 * must be found out before, and said after. A thread that is detached may be gone at once, so that
 * is said before.
 */
#include "capture.h"
#include "real.h"

CAPTURE(int, join, (pthread_t, void **), (pthread_t, void **, const struct wire_context *));
CAPTURE(int, timedjoin, (pthread_t, void **, const struct timespec *),
	(pthread_t, void **, const struct timespec *, const struct wire_context *));
CAPTURE(int, clockjoin, (pthread_t, void **, clockid_t, const struct timespec *),
	(pthread_t, void **, clockid_t, const struct timespec *, const struct wire_context *));
CAPTURE(int, thrd_join, (thrd_t, int *), (thrd_t, int *, const struct wire_context *));

/* What the real function gave; 0: it is joined. */
static int joined(struct wire_task *task, pthread_t thread, int result)
{
	if (!result)
		record_thread_joined(task, thread);
	return result;
}

int wait_join(pthread_t thread, void **value, const struct wire_context *context)
{
	struct wire_task *task = record_thread_find(thread);

	return joined(task, thread,
		      RECORDED(JOIN, (void *)thread, NULL, deadline_none, context,
			       real.pthread_join(thread, value)));
}

WRAPPER int pthread_join(pthread_t thread, void **value)
{
	return capture_join(thread, value);
}

WRAPPER int pthread_tryjoin_np(pthread_t thread, void **value)
{
	struct wire_task *task = record_thread_find(thread);

	return joined(task, thread, real.pthread_tryjoin_np(thread, value));
}

int wait_timedjoin(pthread_t thread, void **value, const struct timespec *deadline,
		   const struct wire_context *context)
{
	struct wire_task *task = record_thread_find(thread);

	return joined(task, thread,
		      RECORDED(JOIN, (void *)thread, NULL, deadline_at(CLOCK_REALTIME, deadline),
			       context, real.pthread_timedjoin_np(thread, value, deadline)));
}

WRAPPER int pthread_timedjoin_np(pthread_t thread, void **value, const struct timespec *deadline)
{
	return capture_timedjoin(thread, value, deadline);
}

int wait_clockjoin(pthread_t thread, void **value, clockid_t clock, const struct timespec *deadline,
		   const struct wire_context *context)
{
	struct wire_task *task = record_thread_find(thread);

	return joined(task, thread,
		      RECORDED(JOIN, (void *)thread, NULL, deadline_at(clock, deadline), context,
			       real.pthread_clockjoin_np(thread, value, clock, deadline)));
}

WRAPPER int pthread_clockjoin_np(pthread_t thread, void **value, clockid_t clock,
				 const struct timespec *deadline)
{
	return capture_clockjoin(thread, value, clock, deadline);
}

int wait_thrd_join(thrd_t thread, int *value, const struct wire_context *context)
{
	struct wire_task *task = record_thread_find(thread);

	return joined(task, thread,
		      RECORDED(JOIN, (void *)thread, NULL, deadline_none, context,
			       real.thrd_join(thread, value)));
}

WRAPPER int thrd_join(thrd_t thread, int *value)
{
	return capture_thrd_join(thread, value);
}

WRAPPER int pthread_detach(pthread_t thread)
{
	record_thread_detached(thread);
	return real.pthread_detach(thread);
}

WRAPPER int thrd_detach(thrd_t thread)
{
	record_thread_detached(thread);
	return real.thrd_detach(thread);
}
