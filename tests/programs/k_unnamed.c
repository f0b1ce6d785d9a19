/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * load: yes
 * looks: 25
 * looks@static_sem: 200
 * ends: quit
 * args: static_sem | main_sem | static_barrier | static_lock | local_sem
 * variants: -O2
 * long: -O0
 *
 * What it is: no word anywhere points to the object that a thread waits for, but live code uses it
 * by its place: it is static, or lies in main's frame, or in main's thread-locals. What a careless
 * prover gets wrong: it wants a pointer.
 */
#include "reach.h"
#include <semaphore.h>

static sem_t static_sem;
static pthread_barrier_t static_barrier;
static pthread_rwlock_t static_lock = PTHREAD_RWLOCK_INITIALIZER;
static __thread sem_t local_sem;

static void *wait_sem(void *sem)
{
	while (sem_wait(sem) != 0)
		;
	return NULL;
}

static void *wait_static_sem(void *arg)
{
	wait_sem(&static_sem);
	return arg;
}

static void *wait_barrier(void *arg)
{
	pthread_barrier_wait(&static_barrier);
	return arg;
}

static void *write_lock(void *arg)
{
	PROG_CHECK(pthread_rwlock_wrlock(&static_lock) == 0);
	return arg;
}

static pthread_t thread;

static REACH_APART void set_up(const char *how, sem_t *main_sem)
{
	sem_init(&static_sem, 0, 0);
	sem_init(main_sem, 0, 0);
	sem_init(&local_sem, 0, 0);
	pthread_barrier_init(&static_barrier, NULL, 2);
	pthread_rwlock_rdlock(&static_lock);
	if (strcmp(how, "static_sem") == 0)
		thread = prog_thread(wait_static_sem, NULL);
	else if (strcmp(how, "main_sem") == 0)
		thread = prog_thread(wait_sem, main_sem);
	else if (strcmp(how, "local_sem") == 0)
		thread = prog_thread(wait_sem, &local_sem);
	else if (strcmp(how, "static_barrier") == 0)
		thread = prog_thread(wait_barrier, NULL);
	else
		thread = prog_thread(write_lock, NULL);
}

int main(int argc, char **argv)
{
	sem_t main_sem;

	PROG_CHECK(argc == 2);
	set_up(argv[1], &main_sem);
	reach_forget();
	prog_ready();
	reach_wait_for_quit();
	sem_post(&static_sem);
	sem_post(&main_sem);
	sem_post(&local_sem);
	pthread_rwlock_unlock(&static_lock);
	if (strcmp(argv[1], "static_barrier") == 0)
		pthread_barrier_wait(&static_barrier);
	PROG_CHECK(pthread_join(thread, NULL) == 0);
	prog_end(true);
}
