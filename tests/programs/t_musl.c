/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: musl musl-static
 * needs: musl-gcc
 *
 * What it is: a program of another C library: an idle pool waits on a global condition and for
 * a mutex whose holder, main, sleeps. Words and offsets are not glibc's.
 */
#include "prog.h"

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *wait_cond(void *arg)
{
	pthread_mutex_lock(&idle_lock);
	for (;;)
		pthread_cond_wait(&changed, &idle_lock);
	return arg;
}

static void *wait_mutex(void *arg)
{
	pthread_mutex_lock(&held);
	return arg;
}

int main(void)
{
	pthread_mutex_lock(&held);
	for (int i = 0; i < 3; i++)
		prog_thread(wait_cond, NULL);
	prog_thread(wait_mutex, NULL);
	prog_ready();
	prog_sleep_long();
	return 0;
}
