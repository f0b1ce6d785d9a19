/* SPDX-License-Identifier: MIT
 *
 * Cancellation at every point where a thread can wait, with cleanup handlers that lock. Argument:
 * where the thread is when it is cancelled.
 */
#include "prog.h"
#include "settle.h"
#include <semaphore.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t sleeper;
static sem_t never;
static atomic_int cleaned;
static const char *where;

static bool at(const char *place)
{
	return strcmp(where, place) == 0;
}

static void unlock(void *arg)
{
	pthread_mutex_lock(&other);
	pthread_mutex_unlock(&other);
	PROG_CHECK(pthread_mutex_unlock(arg) == 0);
	cleaned++;
}

static void *sleep_long(void *arg)
{
	prog_sleep_long();
	return arg;
}

static void wait_here(void)
{
	struct timespec real = prog_far(CLOCK_REALTIME), monotonic = prog_far(CLOCK_MONOTONIC);

	if (at("cond"))
		pthread_cond_wait(&changed, &lock);
	else if (at("cond_timed"))
		pthread_cond_timedwait(&changed, &lock, &real);
	else if (at("cond_clock"))
		pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &monotonic);
	else if (at("sem"))
		sem_wait(&never);
	else if (at("sem_timed"))
		sem_timedwait(&never, &real);
	else if (at("sem_clock"))
		sem_clockwait(&never, CLOCK_MONOTONIC, &monotonic);
	else if (at("join"))
		pthread_join(sleeper, NULL);
	else if (at("join_timed"))
		pthread_timedjoin_np(sleeper, NULL, &real);
	else if (at("asynchronous"))
		for (;;)
			;
	else
		prog_sleep_long();
}

static void *wait_to_be_cancelled(void *arg)
{
	errno = 77;
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	if (at("asynchronous"))
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	wait_here();
	pthread_cleanup_pop(1);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *result;

	PROG_CHECK(argc == 2);
	where = argv[1];
	sem_init(&never, 0, 0);
	sleeper = prog_thread(sleep_long, NULL);
	for (int i = 0; i < 20; i++) {
		thread = prog_thread(wait_to_be_cancelled, NULL);
		if (i % 2 == 0 && !at("asynchronous"))
			settle(2);
		else if (at("asynchronous"))
			prog_nap_ms(5);
		PROG_CHECK(pthread_cancel(thread) == 0);
		PROG_CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
		PROG_CHECK(pthread_mutex_trylock(&lock) == 0);
		pthread_mutex_unlock(&lock);
	}
	pthread_cancel(sleeper);
	PROG_CHECK(pthread_join(sleeper, &result) == 0 && result == PTHREAD_CANCELED);
	prog_say(cleaned <= 20 ? "all cancelled\n" : "wrong\n");
	return at("asynchronous") || cleaned >= 10 ? 0 : 1;
}
