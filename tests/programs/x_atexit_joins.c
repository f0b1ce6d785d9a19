/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * args: atexit | destructor | on_exit
 * status: 5
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: a thread that has finished, and one that waits, are joined by a handler of exit or by
 * a destructor of the program.
 */
#include "settle.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t finished, waiting;
static bool stop, by_destructor;

static void *finish(void *arg)
{
	return arg;
}

static void *wait_for_stop(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!stop)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void join_all(void)
{
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	PROG_CHECK(pthread_join(finished, NULL) == 0);
	PROG_CHECK(pthread_join(waiting, NULL) == 0);
	prog_say("all joined\n");
}

static void join_on_exit(int status, void *arg)
{
	PROG_CHECK(status == 5 && arg == &stop);
	join_all();
}

static __attribute__((destructor)) void join_at_last(void)
{
	if (by_destructor)
		join_all();
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	prog_ready();
	by_destructor = strcmp(argv[1], "destructor") == 0;
	if (strcmp(argv[1], "atexit") == 0)
		PROG_CHECK(atexit(join_all) == 0);
	else if (!by_destructor)
		PROG_CHECK(on_exit(join_on_exit, &stop) == 0);
	finished = prog_thread(finish, NULL);
	waiting = prog_thread(wait_for_stop, NULL);
	settle(1);
	return 5;
}
