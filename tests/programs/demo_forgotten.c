/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait unreachable 2
 * kind: cond
 * frame: pool_next
 * creator: stuck pool_start service_reload main
 * variants: -O0 -O2
 *
 * What it is: a service that reads its configuration anew: it makes a new pool of workers and
 * forgets to end the old one. The old pool's workers wait for jobs that nobody can give them any
 * more; those of the new one are idle, and the service itself waits for customers.
 */
#include "forget.h"

enum { WORKERS = 2 };

struct job {
	struct job *next;
	int number;
};

struct pool {
	const char *name;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first;
};

static struct {
	int reloads;
	int door[2]; /* customers write to it */
	struct pool *pool;
} service;

static REACH_APART struct job *pool_next(struct pool *pool)
{
	struct job *job;

	pthread_mutex_lock(&pool->lock);
	while (!pool->first)
		pthread_cond_wait(&pool->changed, &pool->lock);
	job = pool->first;
	pool->first = job->next;
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static REACH_APART void pool_add(struct pool *pool, struct job *job)
{
	pthread_mutex_lock(&pool->lock);
	job->next = pool->first;
	pool->first = job;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *arg)
{
	struct pool *pool = arg;

	pthread_setname_np(pthread_self(), pool->name);
	for (;;)
		free(pool_next(pool));
	return NULL;
}

static REACH_APART struct pool *pool_start(const char *name)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	pthread_t thread;

	PROG_CHECK(pool);
	pool->name = name;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	for (int i = 0; i < WORKERS; i++)
		PROG_CHECK(!pthread_create(&thread, NULL, worker, pool));
	return pool;
}

static REACH_APART void service_reload(const char *name)
{
	service.pool = pool_start(name); /* and the one before? */
	service.reloads++;
}

static REACH_APART void service_serve(void)
{
	struct job *job;
	char customer;

	while (read(service.door[0], &customer, 1) == 1 && (job = malloc(sizeof(*job)))) {
		job->number = customer;
		pool_add(service.pool, job);
	}
}

int main(void)
{
	PROG_CHECK(!pipe(service.door));
	service_reload("monday");
	usleep(50000);
	service_reload("tuesday");
	reach_forget();
	prog_ready();
	service_serve();
	return 0;
}
