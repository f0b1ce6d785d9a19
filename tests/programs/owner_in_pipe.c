/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * first20: read pipe log_lock drain
 * variants: -O0 -O2
 *
 * What it is: hung, but not provable: a thread reads from a pipe while it holds a lock for which
 * three others wait, one holding another that a fourth needs. Whoever has the other end may write.
 */
#include "prog.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t index_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t locked, index_locked;
static int from_child;

static __attribute__((noipa)) long drain(void)
{
	char buffer[512];

	return read(from_child, buffer, sizeof(buffer)) + 1;
}

static void *collect(void *arg)
{
	pthread_mutex_lock(&log_lock);
	pthread_barrier_wait(&locked);
	drain();
	pthread_mutex_unlock(&log_lock);
	return arg;
}

static void *write_log(void *arg)
{
	pthread_mutex_lock(&log_lock);
	pthread_mutex_unlock(&log_lock);
	return arg;
}

static void *rebuild_index(void *arg)
{
	pthread_rwlock_wrlock(&index_lock);
	pthread_barrier_wait(&index_locked);
	return write_log(arg);
}

static void *search(void *arg)
{
	pthread_rwlock_rdlock(&index_lock);
	return arg;
}

int main(void)
{
	pthread_t searcher;
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	from_child = end[0];
	pthread_barrier_init(&locked, NULL, 2);
	pthread_barrier_init(&index_locked, NULL, 2);
	prog_thread(collect, NULL);
	pthread_barrier_wait(&locked);
	prog_thread(write_log, NULL);
	prog_thread(write_log, NULL);
	prog_thread(rebuild_index, NULL);
	pthread_barrier_wait(&index_locked);
	searcher = prog_thread(search, NULL);
	prog_ready();
	pthread_join(searcher, NULL);
	return 0;
}
