/* SPDX-License-Identifier: MIT
 *
 * expect: stuck barrier-wait all-asleep 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: phase_done
 * variants: -O0 -O2
 *
 * What it is: a global barrier for three of whom two came; main joins instead of taking part.
 */
#include "prog.h"

static pthread_barrier_t phase_done;

static void *run_phase(void *arg)
{
	pthread_barrier_wait(&phase_done);
	return arg;
}

int main(void)
{
	pthread_t first;

	pthread_barrier_init(&phase_done, NULL, 3);
	first = prog_thread(run_phase, NULL);
	prog_thread(run_phase, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
