/* SPDX-License-Identifier: MIT
 *
 * A library whose constructor and destructor lock, wait and start threads: loaded before, and
 * unloaded after, anything that the program does, and perhaps anything that an interposer does.
 */
#include "prog.h"
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sem_t done;
static int turns;

int lib_early_turns(void);

static void *take_turn(void *arg)
{
	pthread_mutex_lock(&lock);
	turns++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	sem_post(&done);
	return arg;
}

static void work(void)
{
	pthread_t thread;
	int before;

	pthread_rwlock_rdlock(&table);
	pthread_rwlock_unlock(&table);
	pthread_mutex_lock(&lock);
	before = turns;
	thread = prog_thread(take_turn, NULL);
	while (turns == before)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	sem_wait(&done);
	PROG_CHECK(pthread_join(thread, NULL) == 0);
}

static __attribute__((constructor(101))) void begin(void)
{
	sem_init(&done, 0, 0);
	work();
}

static __attribute__((destructor(101))) void end(void)
{
	work();
	prog_say(turns == 3 ? "library: three turns\n" : "library: wrong\n");
}

int lib_early_turns(void)
{
	work();
	return turns;
}
