/* SPDX-License-Identifier: MIT
 *
 * Works for half a second and says so; a thread of it sleeps on, so that there is something to look
 * at when it ends.
 */
#include "work.h"

static void *nap(void *arg)
{
	prog_sleep_long();
	return arg;
}

int main(void)
{
	struct timespec begin, now;
	long ms = 0;

	prog_thread(nap, NULL);
	prog_say("ready\n");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (ms < 500) {
		PROG_CHECK(work(65536) == 600);
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000;
	}
	prog_say("done\n");
	return 6;
}
