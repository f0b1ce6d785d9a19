/* SPDX-License-Identifier: MIT
 *
 * 64 threads that are all busy in different ways and depend on each other: they pass tokens round
 * by semaphores, take mutexes and rwlocks, wait on conditions with and without deadlines, write
 * and read pipes, poll, nap and compute. If one of them is left stopped, others follow.
 *
 * At a `p` on standard input the program prints `moved N`: how many of its threads have done
 * something since the last `p`. At a `q`, or the end of input, it prints `ok` and exits with 0.
 */
#include "../programs/prog.h"
#include <semaphore.h>
#include <stdatomic.h>

enum { THREADS = 64, KINDS = 8 };

static atomic_long steps[THREADS];
static sem_t token[THREADS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static int pipe_of[THREADS][2];
static long protected_count;

/* Thread numbers n, n + KINDS, n + 2 KINDS ... do the same; the last hands on to the first. */
static int next_of(int self)
{
	return self + KINDS < THREADS ? self + KINDS : self % KINDS;
}

static void pass_token(int self)
{
	while (sem_wait(&token[self]) != 0)
		;
	usleep(500);
	sem_post(&token[next_of(self)]);
}

static void pass_byte(int self)
{
	char byte;

	PROG_CHECK(read(pipe_of[self][0], &byte, 1) == 1);
	usleep(500);
	PROG_CHECK(write(pipe_of[next_of(self)][1], &byte, 1) == 1);
}

static void lock_mutex(int self)
{
	(void)self;
	pthread_mutex_lock(&mutex);
	protected_count++;
	usleep(300);
	pthread_mutex_unlock(&mutex);
	usleep(2000);
}

static void lock_rwlock(int self)
{
	if (self < KINDS)
		pthread_rwlock_wrlock(&rwlock);
	else
		pthread_rwlock_rdlock(&rwlock);
	usleep(300);
	pthread_rwlock_unlock(&rwlock);
	usleep(3000);
}

static void wait_for_change(int self)
{
	struct timespec limit;

	if (self < KINDS) {
		usleep(5000);
		pthread_cond_broadcast(&changed);
		return;
	}
	pthread_mutex_lock(&changing);
	if (self % (2 * KINDS) < KINDS) {
		pthread_cond_wait(&changed, &changing);
	} else {
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec++;
		pthread_cond_timedwait(&changed, &changing, &limit);
	}
	pthread_mutex_unlock(&changing);
}

static void poll_a_while(int self)
{
	struct pollfd fd = { pipe_of[self][0], POLLIN, 0 };

	PROG_CHECK(poll(&fd, 1, 5) == 0);
}

static void nap(int self)
{
	(void)self;
	prog_nap_ms(5);
}

static void compute(int self)
{
	volatile double sum = self;

	for (int i = 0; i < 20000; i++)
		sum = sum * 0.5 + i;
	usleep(10000);
}

static void (*const work_of[KINDS])(int self) = { pass_token,  pass_byte,	lock_mutex,
						  lock_rwlock, wait_for_change, poll_a_while,
						  nap,	       compute };

static void *work(void *arg)
{
	int self = (int)(long)arg;

	for (;;) {
		work_of[self % KINDS](self);
		atomic_fetch_add(&steps[self], 1);
	}
	return NULL;
}

static void print_moved(void)
{
	static long before[THREADS];
	char line[32];
	int moved = 0;

	for (int i = 0; i < THREADS; i++) {
		long now = atomic_load(&steps[i]);

		moved += now != before[i];
		before[i] = now;
	}
	snprintf(line, sizeof(line), "moved %d\n", moved);
	prog_say(line);
}

int main(void)
{
	char order;

	for (long i = 0; i < THREADS; i++) {
		PROG_CHECK(sem_init(&token[i], 0, i < KINDS) == 0);
		PROG_CHECK(pipe(pipe_of[i]) == 0);
	}
	PROG_CHECK(write(pipe_of[1][1], "!", 1) == 1);
	for (long i = 0; i < THREADS; i++)
		prog_thread(work, (void *)i);
	prog_ready();
	while (read(STDIN_FILENO, &order, 1) == 1 && order == 'p')
		print_moved();
	prog_end(true);
}
