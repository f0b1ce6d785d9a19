/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * check: ends
 * status: KILL
 * moment: killed
 * variants: -O2
 *
 * What it is: killed long after all of it had come to rest: what was proved then stays proved.
 */
#include "prog.h"
#include <signal.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold;

static void *lock_a_b(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&b);
	return arg;
}

static void *lock_b_a(void *arg)
{
	pthread_mutex_lock(&b);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&a);
	return arg;
}

int main(void)
{
	pthread_barrier_init(&both_hold, NULL, 2);
	prog_ready();
	prog_thread(lock_a_b, NULL);
	prog_thread(lock_b_a, NULL);
	prog_nap_ms(6000);
	raise(SIGKILL);
	return 0;
}
