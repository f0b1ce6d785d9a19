/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: timedlock
 * args: clocklock
 * args: retry
 * variants: -O0 -O2 pidns
 *
 * What it is: a cycle of two mutexes in which one of the two has a deadline; when it passes, all
 * goes on. "retry" gives up after 5 ms, lets go, and tries again, as careful programs do.
 */
#include "prog.h"

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *patient(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	for (;;) {
		pthread_mutex_lock(&right);
		pthread_mutex_unlock(&right);
		pthread_mutex_unlock(&left);
		pthread_mutex_lock(&left);
	}
	return arg;
}

static void retry(void)
{
	struct timespec soon;

	for (;;) {
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 5000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		if (pthread_mutex_timedlock(&left, &soon) == 0)
			pthread_mutex_unlock(&left);
		pthread_mutex_unlock(&right);
		pthread_mutex_lock(&right);
	}
}

static void *impatient(void *how)
{
	struct timespec far;

	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	if (strcmp(how, "retry") == 0)
		retry();
	if (strcmp(how, "clocklock") == 0) {
		far = prog_far(CLOCK_MONOTONIC);
		pthread_mutex_clocklock(&left, CLOCK_MONOTONIC, &far);
	} else {
		far = prog_far(CLOCK_REALTIME);
		pthread_mutex_timedlock(&left, &far);
	}
	return how;
}

int main(int argc, char **argv)
{
	pthread_t first;

	PROG_CHECK(argc == 2);
	pthread_barrier_init(&both, NULL, 2);
	first = prog_thread(patient, NULL);
	prog_thread(impatient, argv[1]);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
