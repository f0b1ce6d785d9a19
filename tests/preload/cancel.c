/* SPDX-License-Identifier: MIT
 *
 * Cancellation in every call that is a cancellation point, and pthread_exit() in a handler that
 * interrupted one: the wrapper's wait is over before the program's own cleanup runs, the cleanups run
 * innermost first, and the thread is gone as it should be. pthread_mutex_lock() is none.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem, started;
static pthread_t sleeper;
static struct timespec realtime, monotonic;
static char order[16];
static pid_t tid;

static void wait_cond(void)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_wait(&cond, &mutex);
}

static void wait_cond_timed(void)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&cond, &mutex, &realtime);
}

static void wait_cond_clock(void)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &monotonic);
}

static void wait_sem(void)
{
	sem_wait(&sem);
}

static void wait_sem_timed(void)
{
	sem_timedwait(&sem, &realtime);
}

static void wait_sem_clock(void)
{
	sem_clockwait(&sem, CLOCK_MONOTONIC, &monotonic);
}

static void wait_join(void)
{
	pthread_join(sleeper, NULL);
}

static void wait_join_timed(void)
{
	pthread_timedjoin_np(sleeper, NULL, &realtime);
}

static void wait_join_clock(void)
{
	pthread_clockjoin_np(sleeper, NULL, CLOCK_MONOTONIC, &monotonic);
}

static const struct {
	void (*wait)(void);
	int has_mutex;
} waits[] = {
	{ wait_cond, 1 }, { wait_cond_timed, 1 }, { wait_cond_clock, 1 },
	{ wait_sem, 0 },  { wait_sem_timed, 0 },  { wait_sem_clock, 0 },
	{ wait_join, 0 }, { wait_join_timed, 0 }, { wait_join_clock, 0 },
};

static void note(void *letter)
{
	CHECK_TRACE(trace()->begun >= 1 && trace()->open == 0);
	strncat(order, letter, 1);
}

static void unlock(void *unused)
{
	(void)unused;
	note("u");
	CHECK(!pthread_mutex_unlock(&mutex));
}

static void *waiter(void *of)
{
	size_t i = (size_t)of;

	pthread_cleanup_push(note, "a");
	pthread_cleanup_push(note, "b");
	tid = gettid();
	sem_post(&started);
	if (waits[i].has_mutex) {
		pthread_cleanup_push(unlock, NULL);
		waits[i].wait();
		pthread_cleanup_pop(0);
	} else {
		waits[i].wait();
	}
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

static void leave(int signal)
{
	(void)signal;
	pthread_exit((void *)5);
}

static void start(size_t i, pthread_t *thread)
{
	order[0] = '\0';
	clock_gettime(CLOCK_REALTIME, &realtime);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	realtime.tv_sec += 60;
	monotonic.tv_sec += 60;
	CHECK(!pthread_create(thread, NULL, waiter, (void *)i));
	while (sem_wait(&started))
		;
	wait_until_asleep(tid);
}

static void end(size_t i, pthread_t thread, void *expected)
{
	void *value;

	CHECK(!pthread_join(thread, &value));
	CHECK(value == expected);
	CHECK(!strcmp(order, waits[i].has_mutex ? "uba" : "ba"));
}

/* The mutex is waited for, taken, and the cancellation acted on only after. */
static void *lock_then_test(void *unused)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	order[0] = 'l';
	pthread_testcancel();
	order[0] = 'x';
	return unused;
}

static void check_mutex(void)
{
	pthread_t thread;
	void *value;

	memset(order, 0, sizeof(order));
	pthread_mutex_lock(&mutex);
	CHECK(!pthread_create(&thread, NULL, lock_then_test, NULL));
	usleep(20000);
	pthread_cancel(thread);
	usleep(20000);
	CHECK(!order[0]);
	pthread_mutex_unlock(&mutex);
	CHECK(!pthread_join(thread, &value) && value == PTHREAD_CANCELED && order[0] == 'l');
}

int main(void)
{
	pthread_t thread;
	size_t i;

	sem_init(&sem, 0, 0);
	sem_init(&started, 0, 0);
	signal(SIGUSR1, leave);
	CHECK(!pthread_create(&sleeper, NULL, sleep_on, NULL));
	for (i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		start(i, &thread);
		CHECK(!pthread_cancel(thread));
		end(i, thread, PTHREAD_CANCELED);
	}
	/* Not in a wait for a condition: who has its mutex in a handler is not said. */
	for (i = 3; i < sizeof(waits) / sizeof(*waits); i++) {
		start(i, &thread);
		CHECK(!pthread_kill(thread, SIGUSR1));
		end(i, thread, (void *)5);
	}
	check_mutex();
	puts("ok");
	return 0;
}
