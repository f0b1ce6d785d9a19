/* SPDX-License-Identifier: MIT
 *
 * expect: stuck join cycle 2
 * variants: -O0 -O2
 *
 * What it is: two threads that join each other. glibc answers EDEADLK to the second unless both
 * are past its check at the same moment, so pairs are started until one pair hangs. Main then
 * waits for a signal and is live.
 */
#include "prog.h"
#include <stdatomic.h>

static pthread_t thread[2];
static atomic_int at_start, returned;

static void *join_other(void *arg)
{
	atomic_fetch_add(&at_start, 1);
	while (atomic_load(&at_start) < 3)
		;
	pthread_join(thread[!(long)arg], NULL);
	atomic_fetch_add(&returned, 1);
	return arg;
}

static bool pair_hangs(void)
{
	atomic_store(&at_start, 0);
	atomic_store(&returned, 0);
	for (long i = 0; i < 2; i++)
		thread[i] = prog_thread(join_other, (void *)i);
	atomic_fetch_add(&at_start, 1);
	for (int ms = 0; ms < 100; ms++) {
		if (atomic_load(&returned) == 2)
			return false;
		usleep(ms == 0 ? 100 : 1000);
	}
	return true;
}

int main(void)
{
	long pairs = 1;

	while (!pair_hangs())
		PROG_CHECK(pairs++ < 20000);
	prog_ready();
	pause();
	return 0;
}
