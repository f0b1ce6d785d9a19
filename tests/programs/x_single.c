/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * quiet: yes
 * args: return | exit | _exit | quick_exit | failed_create
 * status: 4
 * variants: -O0 -O2
 *
 * What it is: no second thread ever: nothing is said, whatever it has locked.
 */
#include "prog.h"
#include <limits.h>
#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *never(void *arg)
{
	return arg;
}

static void fail_to_create(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	PROG_CHECK(pthread_attr_setstacksize(&attr, (size_t)1 << 46) == 0);
	PROG_CHECK(pthread_create(&thread, &attr, never, NULL) == EAGAIN);
	pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	prog_ready();
	pthread_mutex_lock(&lock);
	if (strcmp(argv[1], "exit") == 0)
		exit(4);
	if (strcmp(argv[1], "_exit") == 0)
		_exit(4);
	if (strcmp(argv[1], "quick_exit") == 0)
		quick_exit(4);
	if (strcmp(argv[1], "failed_create") == 0)
		fail_to_create();
	return 4;
}
