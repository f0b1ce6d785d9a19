/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 *
 * What it is: two mutexes locked in opposite order, each at the very beginning of a mapping of
 * its own, with nothing mapped before it.
 */
#include "prog.h"
#include <sys/mman.h>

static pthread_mutex_t *first, *second;
static pthread_barrier_t both_hold;

static pthread_mutex_t *map_mutex(void)
{
	/* The page before is unmapped again, so that nothing lies there. */
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_t *mutex;

	PROG_CHECK(pages != MAP_FAILED && munmap(pages, 4096) == 0);
	mutex = (pthread_mutex_t *)(pages + 4096);
	PROG_CHECK(pthread_mutex_init(mutex, NULL) == 0);
	return mutex;
}

static void *first_then_second(void *arg)
{
	pthread_mutex_lock(first);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(second);
	return arg;
}

static void *second_then_first(void *arg)
{
	pthread_mutex_lock(second);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(first);
	return arg;
}

int main(void)
{
	pthread_t waiter;

	first = map_mutex();
	second = map_mutex();
	pthread_barrier_init(&both_hold, NULL, 2);
	waiter = prog_thread(first_then_second, NULL);
	prog_thread(second_then_first, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
