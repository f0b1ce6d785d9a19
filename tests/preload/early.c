/* SPDX-License-Identifier: MIT
 *
 * A library whose constructor runs before the shim's, and its destructor after: locks, waits, threads
 * and a fork all work there. Preloaded behind the shim, into any program.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;

static void *worker(void *unused)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	sem_post(&sem);
	return unused;
}

static void use_all(void)
{
	struct timespec past = { 1, 0 };
	pthread_t thread;
	int status;
	pid_t pid;

	errno = 4711;
	CHECK(!pthread_mutex_lock(&mutex));
	CHECK(!pthread_create(&thread, NULL, worker, NULL));
	CHECK(!pthread_cond_wait(&cond, &mutex));
	CHECK(pthread_cond_timedwait(&cond, &mutex, &past) == ETIMEDOUT);
	CHECK(!pthread_mutex_unlock(&mutex));
	CHECK(!pthread_rwlock_rdlock(&rwlock) && !pthread_rwlock_unlock(&rwlock));
	CHECK(errno == 4711);
	CHECK(!sem_wait(&sem));
	CHECK(!pthread_join(thread, NULL));
	CHECK(syscall(SYS_getpid) == getpid());
	pid = fork();
	if (!pid)
		_exit(5);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
}

__attribute__((constructor)) static void begin(void)
{
	sem_init(&sem, 0, 0);
	use_all();
	if (getenv("EARLY_TELLS"))
		fprintf(stderr, "early: begun\n");
}

__attribute__((destructor)) static void end(void)
{
	use_all();
	if (getenv("EARLY_TELLS"))
		fprintf(stderr, "early: ended\n");
}
