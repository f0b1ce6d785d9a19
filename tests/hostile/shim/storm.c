/* SPDX-License-Identifier: MIT
 *
 * A storm of signals whose handler locks, posts and checks errno, while the threads lock, wait,
 * start and join: in each of their steps they are interrupted sooner or later.
 */
#include "prog.h"
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { ROUNDS = 1500 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t handlers_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static sem_t posted, ping;
static atomic_int interrupted;
static int turn;

static void handle(int number)
{
	int saved = errno;

	(void)number;
	if (pthread_mutex_trylock(&handlers_lock) == 0) {
		interrupted++;
		pthread_mutex_unlock(&handlers_lock);
	}
	sem_post(&posted);
	if (sem_trywait(&posted) != 0)
		PROG_CHECK(errno == EAGAIN);
	errno = saved;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *take_turns(void *arg)
{
	int mine = (int)(size_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		while (turn != mine)
			pthread_cond_wait(&changed, &lock);
		turn = !mine;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		pthread_rwlock_rdlock(&table);
		pthread_rwlock_unlock(&table);
		if (i % 50 == 0) {
			pthread_rwlock_wrlock(&table);
			pthread_rwlock_unlock(&table);
			pthread_join(prog_thread(nothing, NULL), NULL);
		}
		sem_post(&ping);
		while (sem_wait(&ping) != 0)
			PROG_CHECK(errno == EINTR);
	}
	return NULL;
}

int main(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
	pthread_t threads[2];

	sem_init(&posted, 0, 0);
	sem_init(&ping, 0, 0);
	PROG_CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	PROG_CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 2; i++)
		threads[i] = prog_thread(take_turns, (void *)(size_t)i);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	PROG_CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	prog_end(interrupted > 0);
}
