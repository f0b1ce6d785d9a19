/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 100
 * args: mutex | robust | pi | rwlock | rwlock_reader | cond | sem | barrier | futex
 * ends: quit
 * variants: -O2 pidns
 *
 * What it is: an object in memory shared by two processes. Here nobody is live, the waiters and a
 * joining main; who holds or posts it lives in the other process, of whose thread numbers this one
 * has none. The other process ends the wait when it is told to.
 */
#include "prog.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct shared {
	pthread_mutex_t mutex, cond_mutex;
	pthread_rwlock_t rwlock;
	pthread_cond_t cond;
	pthread_barrier_t barrier, held;
	sem_t sem;
	int futex, ready;
};

static struct shared *shared;
static const char *what;

static bool is(const char *name)
{
	return strcmp(what, name) == 0;
}

static void make_mutexes(void)
{
	pthread_mutexattr_t attr;

	PROG_CHECK(pthread_mutexattr_init(&attr) == 0);
	PROG_CHECK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
	PROG_CHECK(pthread_mutex_init(&shared->cond_mutex, &attr) == 0);
	if (is("robust"))
		PROG_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	if (is("pi"))
		PROG_CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
	PROG_CHECK(pthread_mutex_init(&shared->mutex, &attr) == 0);
}

static void make(void)
{
	pthread_rwlockattr_t rwlock;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	PROG_CHECK(shared != MAP_FAILED);
	make_mutexes();
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&shared->rwlock, &rwlock);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->cond, &cond);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &barrier, 3);
	pthread_barrier_init(&shared->held, &barrier, 2);
	sem_init(&shared->sem, 1, 0);
}

static void other_process(void)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_mutex_lock(&shared->mutex);
	if (is("rwlock"))
		pthread_rwlock_wrlock(&shared->rwlock);
	if (is("rwlock_reader"))
		pthread_rwlock_rdlock(&shared->rwlock);
	pthread_barrier_wait(&shared->held);
	(void)!read(STDIN_FILENO, &byte, 1);
	pthread_mutex_unlock(&shared->mutex);
	if (is("rwlock") || is("rwlock_reader"))
		pthread_rwlock_unlock(&shared->rwlock);
	pthread_mutex_lock(&shared->cond_mutex);
	shared->ready = 1;
	pthread_cond_broadcast(&shared->cond);
	pthread_mutex_unlock(&shared->cond_mutex);
	sem_post(&shared->sem);
	sem_post(&shared->sem);
	__atomic_store_n(&shared->futex, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &shared->futex, FUTEX_WAKE, 9, NULL, NULL, 0);
	if (is("barrier"))
		pthread_barrier_wait(&shared->barrier);
	_exit(0);
}

static void *wait_here(void *arg)
{
	if (is("rwlock") || is("rwlock_reader")) {
		pthread_rwlock_wrlock(&shared->rwlock);
		pthread_rwlock_unlock(&shared->rwlock);
	} else if (is("cond")) {
		pthread_mutex_lock(&shared->cond_mutex);
		while (!shared->ready)
			pthread_cond_wait(&shared->cond, &shared->cond_mutex);
		pthread_mutex_unlock(&shared->cond_mutex);
	} else if (is("sem")) {
		while (sem_wait(&shared->sem) != 0)
			;
	} else if (is("barrier")) {
		pthread_barrier_wait(&shared->barrier);
	} else if (is("futex")) {
		while (__atomic_load_n(&shared->futex, __ATOMIC_ACQUIRE) == 0)
			syscall(SYS_futex, &shared->futex, FUTEX_WAIT, 0, NULL, NULL, 0);
	} else {
		pthread_mutex_lock(&shared->mutex);
		pthread_mutex_unlock(&shared->mutex);
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	pid_t child;
	int status;

	PROG_CHECK(argc == 2);
	what = argv[1];
	make();
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0)
		other_process();
	pthread_barrier_wait(&shared->held);
	for (int i = 0; i < 2; i++)
		thread[i] = prog_thread(wait_here, NULL);
	prog_ready();
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	PROG_CHECK(waitpid(child, &status, 0) == child);
	prog_end(status == 0);
}
