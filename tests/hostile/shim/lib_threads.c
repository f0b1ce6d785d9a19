/* SPDX-License-Identifier: MIT
 *
 * A library that is loaded and unloaded: its constructor starts a thread, its destructor joins it,
 * and lib_work() has some more.
 */
#include "prog.h"
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t keeper;
static bool stop;
static int count;

int lib_work(void);

static void *keep(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!stop)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *add(void *arg)
{
	pthread_mutex_lock(&lock);
	count++;
	pthread_mutex_unlock(&lock);
	return arg;
}

static __attribute__((constructor)) void begin(void)
{
	keeper = prog_thread(keep, NULL);
}

static __attribute__((destructor)) void end(void)
{
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(keeper, NULL);
}

int lib_work(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		threads[i] = prog_thread(add, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return count;
}
