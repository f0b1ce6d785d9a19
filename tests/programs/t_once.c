/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2
 *
 * What it is: threads wait in pthread_once and call_once for an initialiser that sleeps; who runs
 * it is recorded nowhere, so even with all others asleep nothing can be said.
 */
#include "prog.h"
#include <threads.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static once_flag flag = ONCE_FLAG_INIT;
static pthread_barrier_t running;

static void initialise_slowly(void)
{
	pthread_barrier_wait(&running);
	prog_sleep_long();
}

static void *run_once(void *arg)
{
	pthread_once(&once, initialise_slowly);
	return arg;
}

static void *run_flag(void *arg)
{
	call_once(&flag, initialise_slowly);
	return arg;
}

int main(void)
{
	pthread_t waiter;

	pthread_barrier_init(&running, NULL, 3);
	prog_thread(run_once, NULL);
	prog_thread(run_flag, NULL);
	pthread_barrier_wait(&running);
	waiter = prog_thread(run_once, NULL);
	prog_thread(run_flag, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
