/* SPDX-License-Identifier: MIT
 *
 * For programs in which a worker waits for something on the heap that the main thread gets at by an
 * unusual way: the queue, its worker, and what keeps other ways from being there by accident.
 */
#ifndef K_ADV_H
#define K_ADV_H

#include "prog.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	int jobs;
};

static inline struct queue *queue_init(struct queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	q->jobs = 0;
	return q;
}

static inline struct queue *queue_new(void)
{
	struct queue *q = malloc(sizeof(*q));

	PROG_CHECK(q);
	return queue_init(q);
}

static inline void *queue_work(void *arg)
{
	struct queue *q = arg;

	pthread_mutex_lock(&q->lock);
	while (!q->jobs)
		pthread_cond_wait(&q->filled, &q->lock);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static inline void queue_put(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->jobs = 1;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->lock);
}

/* Whatever calls that have returned left on the stack. */
static __attribute__((noinline, used)) void scrub(void)
{
	char dead[32768];

	memset(dead, 0, sizeof(dead));
	__asm__ volatile("" : : "r"(dead) : "memory");
}

static inline void wait_for_stop(void)
{
	while (!prog_stop())
		prog_nap_ms(20);
}

#endif
