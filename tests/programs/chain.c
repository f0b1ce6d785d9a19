/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * expect: stuck mutex-lock owner-stuck 3
 * expect: stuck rwlock-rdlock owner-stuck 1
 * expect: stuck join owner-stuck 2
 * check: deadlock
 * object: first second third table
 * variants: -O0 -O2
 *
 * What it is: a thread stuck on itself holds what others need: one waits for its mutex, holding
 * the next, and so on; two wait for the same lock; a reader waits behind the last of the chain;
 * a thread joins the one that is stuck, and main joins that one.
 */
#include "prog.h"

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t third = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t all_hold;
static pthread_t culprit;

static void *lock_twice(void *arg)
{
	pthread_mutex_lock(&first);
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&first);
	return arg;
}

static void *wait_for_first(void *arg)
{
	pthread_mutex_lock(&second);
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&first);
	return arg;
}

static void *wait_for_second(void *arg)
{
	pthread_mutex_lock(&third);
	pthread_rwlock_wrlock(&table);
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&second);
	return arg;
}

static void *wait_for_third(void *arg)
{
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&third);
	return arg;
}

static void *read_table(void *arg)
{
	pthread_barrier_wait(&all_hold);
	pthread_rwlock_rdlock(&table);
	return arg;
}

static void *join_culprit(void *arg)
{
	pthread_barrier_wait(&all_hold);
	pthread_join(culprit, NULL);
	return arg;
}

int main(void)
{
	pthread_t joiner;

	pthread_barrier_init(&all_hold, NULL, 7);
	culprit = prog_thread(lock_twice, NULL);
	prog_thread(wait_for_first, NULL);
	prog_thread(wait_for_second, NULL);
	prog_thread(wait_for_third, NULL);
	prog_thread(read_table, NULL);
	joiner = prog_thread(join_culprit, NULL);
	pthread_barrier_wait(&all_hold);
	prog_ready();
	pthread_join(joiner, NULL);
	return 0;
}
