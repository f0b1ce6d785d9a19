/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 50
 * args: nanosleep | clock_nanosleep | pause | sigsuspend | sigwait | sigtimedwait | poll
 * args: poll_timed | ppoll | select | pselect | epoll | epoll_pwait | pipe_read | pipe_write
 * args: recv | recv_timeout | recvmsg | accept | eventfd | timerfd | signalfd | inotify
 * args: fifo_open | flock | fcntl_lock | waitpid | waitid | msgrcv | semop | mq_receive
 * args: io_getevents | futex_timed | futex_waitv | sem_timed | spin | duty
 * variants: -O2
 *
 * What it is: everybody asleep but one: on a global condition, semaphore, barrier and futex, and
 * in a join behind one of them; the last thread waits for something outside, or runs, and could
 * wake them all. A second set hangs on locks that the live thread holds.
 */
#include "live_waits.h"

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t never_full, live_holds;
static sem_t items;
static int gate;

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t held_rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *on_cond(void *arg)
{
	pthread_mutex_lock(&idle_lock);
	for (;;)
		pthread_cond_wait(&changed, &idle_lock);
	return arg;
}

static void *on_sem(void *arg)
{
	while (sem_wait(&items) != 0)
		;
	return arg;
}

static void *on_barrier(void *arg)
{
	pthread_barrier_wait(&never_full);
	return arg;
}

static void *on_futex(void *arg)
{
	for (;;)
		syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return arg;
}

static void *on_mutex(void *arg)
{
	pthread_mutex_lock(&held_mutex);
	return arg;
}

static void *on_rdlock(void *arg)
{
	pthread_rwlock_rdlock(&held_rwlock);
	return arg;
}

static void *on_wrlock(void *arg)
{
	pthread_rwlock_wrlock(&held_rwlock);
	return arg;
}

static void *live_thread(void *name)
{
	pthread_mutex_lock(&held_mutex);
	pthread_rwlock_wrlock(&held_rwlock);
	pthread_barrier_wait(&live_holds);
	live_wait(name);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t first;

	PROG_CHECK(argc == 2);
	sem_init(&items, 0, 0);
	pthread_barrier_init(&never_full, NULL, 2);
	pthread_barrier_init(&live_holds, NULL, 2);
	prog_thread(live_thread, argv[1]);
	pthread_barrier_wait(&live_holds);
	first = prog_thread(on_cond, NULL);
	prog_thread(on_sem, NULL);
	prog_thread(on_barrier, NULL);
	prog_thread(on_futex, NULL);
	prog_thread(on_mutex, NULL);
	prog_thread(on_rdlock, NULL);
	prog_thread(on_wrlock, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
