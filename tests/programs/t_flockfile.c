/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 100
 * args: sleep | ended
 * variants: -O0 -O2 static stripped static-stripped
 *
 * What it is: threads wait to print to a FILE that another has locked with flockfile. The owner
 * field behind that lock is a pointer, not a thread number, which must never be taken for an
 * owner that has ended. With "ended" the holder did end, and the wait is for ever; still nothing is
 * said of locks inside the C library.
 */
#include "prog.h"

static FILE *file;
static pthread_barrier_t locked;
static const char *how;

static void *lock_file(void *arg)
{
	flockfile(file);
	pthread_barrier_wait(&locked);
	if (strcmp(how, "sleep") == 0)
		prog_sleep_long();
	return arg;
}

static void *print(void *arg)
{
	fprintf(file, "a line\n");
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t printer;

	PROG_CHECK(argc == 2);
	how = argv[1];
	file = fopen("/dev/null", "w");
	PROG_CHECK(file != NULL);
	pthread_barrier_init(&locked, NULL, 2);
	prog_thread(lock_file, NULL);
	pthread_barrier_wait(&locked);
	printer = prog_thread(print, NULL);
	prog_thread(print, NULL);
	prog_ready();
	pthread_join(printer, NULL);
	return 0;
}
