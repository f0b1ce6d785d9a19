/* SPDX-License-Identifier: MIT
 *
 * The guard sleeps nearly all the time: every tick it asks whether the same seize is still under
 * way. If so, it collects what threads of the process have died traced: only those, only by
 * their ids, and never the main thread, which exec itself replaces and whose end is its parent's
 * to see. A collected thread is gone from /proc, and the next wait for it says so: it has ended.
 *
 * Invariant: `seizes` is odd while a seize is under way.
 */
#include "target/seize_guard.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "target/target.h"

#define GUARD_TICK_NS 10000000

struct seize_guard {
	pid_t pid;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool end;
	atomic_uint seizes;
};

static void guard_collect_dead(pid_t pid)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		pid_t tid = (pid_t)atoi(d->d_name);
		struct target_thread info;

		if (tid > 0 && tid != pid && !target_read_thread(pid, tid, &info) &&
		    info.state == 'Z')
			waitpid(tid, NULL, __WALL | WNOHANG);
	}
	if (dir)
		closedir(dir);
}

/* Sleep for a tick; true if the guard is to end. Called with the lock held. */
static bool guard_wait(struct seize_guard *g)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GUARD_TICK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!g->end && pthread_cond_clockwait(&g->ended, &g->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	return g->end;
}

static void *guard_run(void *arg)
{
	struct seize_guard *g = arg;
	unsigned before = 0, now;

	pthread_mutex_lock(&g->lock);
	for (; !guard_wait(g); before = now) {
		now = atomic_load(&g->seizes);
		if (now % 2 && now == before)
			guard_collect_dead(g->pid);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

struct seize_guard *seize_guard_start(pid_t pid)
{
	struct seize_guard *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->pid = pid;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->ended, NULL);
	if (pthread_create(&g->thread, NULL, guard_run, g) == 0)
		return g;
	free(g);
	return NULL;
}

int seize_guard_seize(struct seize_guard *g, pid_t tid)
{
	int rc;

	if (g)
		atomic_fetch_add(&g->seizes, 1);
	rc = (int)ptrace(PTRACE_SEIZE, tid, NULL, NULL);
	if (g)
		atomic_fetch_add(&g->seizes, 1);
	return rc;
}

void seize_guard_end(struct seize_guard *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->end = true;
	pthread_cond_signal(&g->ended);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	pthread_cond_destroy(&g->ended);
	pthread_mutex_destroy(&g->lock);
	free(g);
}
