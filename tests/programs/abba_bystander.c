/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * object: left right
 * variants: -O0 -O2
 *
 * What it is: the same cycle, with a bystander in a sleep whom main joins. Live threads that
 * hold nothing of it do not help the two; main waits for the live one and is not stuck.
 */
#include "prog.h"

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *left_then_right(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *right_then_left(void *arg)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

static void *bystander(void *arg)
{
	prog_sleep_long();
	return arg;
}

int main(void)
{
	pthread_t sleeper;

	pthread_barrier_init(&both, NULL, 2);
	prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	sleeper = prog_thread(bystander, NULL);
	prog_ready();
	pthread_join(sleeper, NULL);
	return 0;
}
