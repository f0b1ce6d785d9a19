/* SPDX-License-Identifier: MIT
 *
 * Five locks, one wait, two names: behind.c counts them.
 */
#include <pthread.h>

#include "trace.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

/* It gets the mutex when main waits. */
static void *worker(void *unused)
{
	CHECK(!pthread_mutex_lock(&mutex));
	CHECK(!pthread_cond_signal(&cond));
	CHECK(!pthread_mutex_unlock(&mutex));
	return unused;
}

int main(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++) {
		CHECK(!pthread_mutex_lock(&mutex));
		CHECK(!pthread_mutex_unlock(&mutex));
	}
	CHECK(!pthread_mutex_lock(&mutex));
	CHECK(!pthread_create(&thread, NULL, worker, NULL));
	CHECK(!pthread_cond_wait(&cond, &mutex));
	CHECK(!pthread_mutex_unlock(&mutex));
	CHECK(!pthread_setname_np(pthread_self(), "worker"));
	CHECK(!pthread_setname_np(pthread_self(), "main"));
	CHECK(!pthread_join(thread, NULL));
	puts("ok");
	return 0;
}
