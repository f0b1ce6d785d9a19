/* SPDX-License-Identifier: MIT
 *
 * A program of another C library, into which the environment brings libstrand.so: it runs as without.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;

static void *wait_for_all(void *p)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	sem_wait(&sem);
	return p;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int status;
	pid_t pid;

	if (argc > 1)
		return 7;
	sem_init(&sem, 0, 0);
	signal(SIGALRM, SIG_IGN);
	pthread_mutex_lock(&mutex);
	pthread_create(&thread, NULL, wait_for_all, NULL);
	usleep(20000);
	pthread_mutex_unlock(&mutex);
	sem_post(&sem);
	pthread_join(thread, NULL);
	pid = fork();
	if (pid == 0) {
		execl(argv[0], argv[0], "again", NULL);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
		return 1;
	puts("ok");
	return 12;
}
