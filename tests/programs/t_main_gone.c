/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2 pidns
 *
 * What it is: main ended with pthread_exit; the detached threads wait on a global condition that
 * one of them, which sleeps, may signal, and for a mutex that it holds.
 */
#include "prog.h"

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t holds;

static void *sleeper(void *arg)
{
	pthread_mutex_lock(&held);
	pthread_barrier_wait(&holds);
	prog_sleep_long();
	return arg;
}

static void *wait_cond(void *arg)
{
	pthread_mutex_lock(&idle_lock);
	for (;;)
		pthread_cond_wait(&changed, &idle_lock);
	return arg;
}

static void *wait_mutex(void *arg)
{
	pthread_barrier_wait(&holds);
	pthread_mutex_lock(&held);
	return arg;
}

int main(void)
{
	pthread_barrier_init(&holds, NULL, 2);
	pthread_detach(prog_thread(sleeper, NULL));
	pthread_detach(prog_thread(wait_cond, NULL));
	pthread_detach(prog_thread(wait_mutex, NULL));
	prog_ready();
	pthread_exit(NULL);
}
