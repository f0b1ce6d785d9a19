/* SPDX-License-Identifier: MIT
 *
 * expect: stuck sem-wait all-asleep 2
 * check: deadlock
 * object: slots done
 * frame: take_slot
 * variants: -O0 -O2
 *
 * What it is: a worker waits for a semaphore that only main posts, and main waits for one that
 * only the worker posts.
 */
#include "prog.h"
#include <semaphore.h>

static sem_t slots, done;

static __attribute__((noipa)) int take_slot(void)
{
	return sem_wait(&slots) + 1;
}

static void *worker(void *arg)
{
	take_slot();
	sem_post(&done);
	return arg;
}

int main(void)
{
	sem_init(&slots, 0, 0);
	sem_init(&done, 0, 0);
	prog_thread(worker, NULL);
	prog_ready();
	while (sem_wait(&done) != 0)
		;
	sem_post(&slots);
	return 0;
}
