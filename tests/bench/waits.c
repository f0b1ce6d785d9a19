/* SPDX-License-Identifier: MIT
 *
 * What one operation costs, in ns: tests/bench/waits OPERATION REPETITIONS. Run bare and under a
 * tool by turns, it gives the ratios of tests/bench/shim. Ping-pongs are pinned to one processor:
 * how two of them wake each other is the machine's affair.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t conds[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static sem_t sems[2];
static int turn;
static long repetitions;

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

static void second_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleep_on, NULL);
}

static void lock_mutexes(void)
{
	for (long i = 0; i < repetitions; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

static void lock_for_reading(void)
{
	for (long i = 0; i < repetitions; i++) {
		pthread_rwlock_rdlock(&rwlock);
		pthread_rwlock_unlock(&rwlock);
	}
}

static void take_and_post(void)
{
	for (long i = 0; i < repetitions; i++) {
		sem_post(&sems[0]);
		sem_wait(&sems[0]);
	}
}

static void cond_side(int own)
{
	pthread_mutex_lock(&mutex);
	for (long i = 0; i < repetitions; i++) {
		while (turn != own)
			pthread_cond_wait(&conds[own], &mutex);
		turn = !own;
		pthread_cond_signal(&conds[!own]);
	}
	pthread_mutex_unlock(&mutex);
}

static void *other_cond_side(void *unused)
{
	cond_side(1);
	return unused;
}

static void sem_side(int own)
{
	for (long i = 0; i < repetitions; i++) {
		sem_wait(&sems[own]);
		sem_post(&sems[!own]);
	}
}

static void *other_sem_side(void *unused)
{
	sem_side(1);
	return unused;
}

static void pingpong(void *(*other)(void *), void (*side)(int))
{
	pthread_t thread;

	pthread_create(&thread, NULL, other, NULL);
	side(0);
	pthread_join(thread, NULL);
}

static void cond_pingpong(void)
{
	pingpong(other_cond_side, cond_side);
}

static void sem_pingpong(void)
{
	sem_post(&sems[0]);
	pingpong(other_sem_side, sem_side);
}

static const struct operation {
	const char *name;
	void (*prepare)(void);
	void (*run)(void);
} operations[] = {
	{ "mutex", second_thread, lock_mutexes },      { "mutex-single", NULL, lock_mutexes },
	{ "rwlock", second_thread, lock_for_reading }, { "rwlock-single", NULL, lock_for_reading },
	{ "sem", second_thread, take_and_post },       { "cond-pingpong", NULL, cond_pingpong },
	{ "sem-pingpong", NULL, sem_pingpong },
};

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void measure(const struct operation *o)
{
	cpu_set_t one;
	long long begin;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	sem_init(&sems[0], 0, 0);
	sem_init(&sems[1], 0, 0);
	if (o->prepare)
		o->prepare();
	begin = now();
	o->run();
	printf("%.3f\n", (double)(now() - begin) / (double)repetitions);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	repetitions = atol(argv[2]);
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (!strcmp(operations[i].name, argv[1]))
			measure(&operations[i]);
	return 2;
}
