/* SPDX-License-Identifier: MIT
 *
 * Everything that is recorded changes all the time: births, ends, joins, waits, holds, names, forks
 * with threads. It goes on until it is killed.
 */
#include "work.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void *hold_and_end(void *arg)
{
	pthread_rwlock_t *lock = (pthread_rwlock_t *)arg;

	pthread_setname_np(pthread_self(), "holder");
	pthread_rwlock_rdlock(lock);
	return arg;
}

static void *churn(void *arg)
{
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

	for (;;) {
		pthread_join(prog_thread(hold_and_end, &lock), NULL);
		pthread_rwlock_unlock(&lock);
		pthread_detach(prog_thread(hold_and_end, &work_table));
		pthread_rwlock_unlock(&work_table);
	}
	return arg;
}

static void *fork_on(void *arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pthread_mutex_init(&work_lock, NULL); /* its holder was not forked along */
			pthread_cond_init(&work_changed, NULL);
			pthread_rwlock_init(&work_table, NULL);
			work(65536);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return arg;
}

int main(int argc, char **argv)
{
	prog_thread(churn, NULL);
	prog_thread(churn, NULL);
	if (argc > 1 && strcmp(argv[1], "forks") == 0)
		prog_thread(fork_on, NULL);
	prog_ready();
	for (;;)
		work(65536);
	return 0;
}
