/* SPDX-License-Identifier: MIT
 *
 * One operation of the C library's threads, many times: operations NAME ROUNDS prints the
 * nanoseconds that one round took. Everything runs on one processor, the last one allowed, so that
 * a hand-over between threads costs the same each time; nothing is measured before its memory and
 * its code have been touched.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 12 /* frames below pthread_create */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t ping, pong;
static long turns;
static bool your_turn;

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void begin_thread(pthread_t *thread, void *(*start)(void *), void *arg)
{
	if (pthread_create(thread, NULL, start, arg))
		exit(1);
}

static void have_two_threads(void)
{
	pthread_t thread;

	begin_thread(&thread, sleep_on, NULL);
}

static void lock_pairs(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

static void read_pairs(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		pthread_rwlock_rdlock(&rwlock);
		pthread_rwlock_unlock(&rwlock);
	}
}

/* Half of a ping-pong over a cond: waits until it is its turn, gives the turn back. */
static void take_turns(bool mine)
{
	pthread_mutex_lock(&mutex);
	for (long i = 0; i < turns; i++) {
		while (your_turn != mine)
			pthread_cond_wait(&cond, &mutex);
		your_turn = !mine;
		pthread_cond_signal(&cond);
	}
	pthread_mutex_unlock(&mutex);
}

static void *take_other_turns(void *arg)
{
	take_turns(true);
	return arg;
}

static void cond_turns(long rounds)
{
	pthread_t other;

	turns = rounds;
	begin_thread(&other, take_other_turns, NULL);
	take_turns(false);
	pthread_join(other, NULL);
}

static void *answer(void *arg)
{
	for (long i = 0; i < turns; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return arg;
}

static void sem_turns(long rounds)
{
	pthread_t other;

	turns = rounds;
	begin_thread(&other, answer, NULL);
	for (long i = 0; i < rounds; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	pthread_join(other, NULL);
}

static void *nothing(void *arg)
{
	return arg;
}

static __attribute__((noinline)) void create_below(int depth)
{
	pthread_t thread;

	if (depth > 0) {
		create_below(depth - 1);
		__asm__ volatile(""); /* no tail call: it is the depth that is asked for */
		return;
	}
	begin_thread(&thread, nothing, NULL);
	pthread_join(thread, NULL);
}

static void create_joins(long rounds)
{
	for (long i = 0; i < rounds; i++)
		create_below(DEPTH);
}

/* Every thread creates the next one and joins it: `left` deep. */
static void *create_next(void *left)
{
	pthread_t thread;

	if (left) {
		begin_thread(&thread, create_next, (void *)((uintptr_t)left - 1));
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void create_chains(long rounds)
{
	for (long i = 0; i < rounds; i += 20)
		create_next((void *)(uintptr_t)20);
}

static const struct row {
	const char *name;
	void (*prepare)(void);
	void (*run)(long rounds);
	long warm_up;
} rows[] = {
	{ "lock-alone", NULL, lock_pairs, 1000 },
	{ "lock", have_two_threads, lock_pairs, 1000 },
	{ "rwlock-read", have_two_threads, read_pairs, 1000 },
	{ "cond", NULL, cond_turns, 100 },
	{ "sem", NULL, sem_turns, 100 },
	{ "create", NULL, create_joins, 100 },
	{ "create-chain", NULL, create_chains, 100 },
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void stay_on_one_processor(void)
{
	cpu_set_t allowed, one;
	int last = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &allowed))
			last = i;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* operations hold N: N threads that stay, for what a table costs. */
static int hold(long n)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (long i = 0; i < n; i++)
		if (pthread_create(&thread, &attr, sleep_on, NULL))
			return 1;
	puts("ready");
	fflush(stdout);
	(void)!read(STDIN_FILENO, &attr, 1);
	_exit(0);
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? atol(argv[2]) : 1;
	double begin;

	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	if (argc < 2)
		return 0;
	if (strcmp(argv[1], "hold") == 0)
		return hold(rounds);
	stay_on_one_processor();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, argv[1]))
			continue;
		if (rows[i].prepare)
			rows[i].prepare();
		rows[i].run(rows[i].warm_up);
		begin = now_ns();
		rows[i].run(rounds);
		printf("%.3f\n", (now_ns() - begin) / rounds);
		fflush(stdout);
		_exit(0);
	}
	return 2;
}
