/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * check: deadlock
 * object: left right
 * variants: -O0 -O2 pidns
 *
 * What it is: main ended with pthread_exit while the process goes on; two detached threads are in
 * a cycle. The thread that gives the process its number is a zombie without memory of its own.
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
	pthread_detach(prog_thread(left_then_right, NULL));
	pthread_detach(prog_thread(right_then_left, NULL));
	prog_ready();
	pthread_exit(NULL);
}
