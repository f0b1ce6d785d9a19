/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * args: join | tryjoin | timedjoin | clockjoin | joined_by_another | unseen
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: all threads are joined, in every way there is; also past every interposer.
 */
#include "prog.h"
#include <dlfcn.h>

static const char *how;

static void *work(void *arg)
{
	prog_nap_ms(20);
	return arg;
}

static void join_unseen(pthread_t thread)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	int (*join)(pthread_t, void **);

	PROG_CHECK(libc);
	join = (int (*)(pthread_t, void **))dlsym(libc, "pthread_join");
	PROG_CHECK(join && join(thread, NULL) == 0);
}

static void join_by(pthread_t thread)
{
	struct timespec real = prog_far(CLOCK_REALTIME), monotonic = prog_far(CLOCK_MONOTONIC);

	if (strcmp(how, "tryjoin") == 0)
		while (pthread_tryjoin_np(thread, NULL) == EBUSY)
			prog_nap_ms(1);
	else if (strcmp(how, "timedjoin") == 0)
		PROG_CHECK(pthread_timedjoin_np(thread, NULL, &real) == 0);
	else if (strcmp(how, "clockjoin") == 0)
		PROG_CHECK(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &monotonic) == 0);
	else if (strcmp(how, "unseen") == 0)
		join_unseen(thread);
	else
		PROG_CHECK(pthread_join(thread, NULL) == 0);
}

static void *join_the_other(void *arg)
{
	join_by(*(pthread_t *)arg);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];

	PROG_CHECK(argc == 2);
	how = argv[1];
	prog_ready();
	for (int i = 0; i < 4; i++)
		threads[i] = prog_thread(work, NULL);
	for (int i = 0; i < 4; i++) {
		if (strcmp(how, "joined_by_another") == 0)
			PROG_CHECK(pthread_join(prog_thread(join_the_other, &threads[i]), NULL) ==
				   0);
		else
			join_by(threads[i]);
	}
	return 0;
}
