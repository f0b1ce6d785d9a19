/* SPDX-License-Identifier: MIT
 *
 * Constructors, destructors and handlers of exit that lock, wait and start threads, here and in
 * lib_early.c. Arguments: return, exit, or quick.
 */
#include "prog.h"
#include <semaphore.h>

int lib_early_turns(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t turn;

static void *post(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	sem_post(&turn);
	return arg;
}

static void work(const char *line)
{
	pthread_t thread;

	pthread_mutex_lock(&lock);
	thread = prog_thread(post, NULL);
	pthread_mutex_unlock(&lock);
	sem_wait(&turn);
	pthread_join(thread, NULL);
	prog_say(line);
}

static __attribute__((constructor)) void begin(void)
{
	sem_init(&turn, 0, 0);
	work("constructor\n");
}

static __attribute__((destructor)) void end(void)
{
	work("destructor\n");
}

static void at_exit(void)
{
	work("handler of exit\n");
}

static void at_quick_exit_too(void)
{
	work("handler of quick_exit\n");
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2 && atexit(at_exit) == 0 && at_quick_exit(at_quick_exit_too) == 0);
	PROG_CHECK(lib_early_turns() == 2);
	if (strcmp(argv[1], "exit") == 0)
		exit(3);
	if (strcmp(argv[1], "quick") == 0)
		quick_exit(3);
	return 3;
}
