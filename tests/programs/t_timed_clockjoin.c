/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: clockjoin
 * args: timedjoin
 * args: short
 * variants: -O0 -O2 pidns
 *
 * What it is: main waits with a deadline for a thread that waits forever for a mutex held by main,
 * a cycle but for the deadline. "short" renews a deadline of 2 ms for ever.
 */
#include "prog.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *need_lock(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

static int join_short(pthread_t thread)
{
	struct timespec soon;

	do {
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 2000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(thread, NULL, &soon) == ETIMEDOUT);
	return 0;
}

int main(int argc, char **argv)
{
	struct timespec far;
	pthread_t thread;

	PROG_CHECK(argc == 2);
	pthread_mutex_lock(&lock);
	thread = prog_thread(need_lock, NULL);
	prog_ready();
	if (strcmp(argv[1], "short") == 0)
		return join_short(thread);
	if (strcmp(argv[1], "clockjoin") == 0) {
		far = prog_far(CLOCK_MONOTONIC);
		return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &far);
	}
	far = prog_far(CLOCK_REALTIME);
	return pthread_timedjoin_np(thread, NULL, &far);
}
