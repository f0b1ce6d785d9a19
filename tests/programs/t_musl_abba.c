/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 50
 * variants: musl musl-static
 * needs: musl-gcc
 *
 * What it is: a cycle of two mutexes in a program of another C library, with a bystander that
 * sleeps. Their owners are not read, so the cycle is not proved; nothing else may be said either.
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

int main(void)
{
	pthread_barrier_init(&both, NULL, 2);
	prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	prog_sleep_long();
	return 0;
}
