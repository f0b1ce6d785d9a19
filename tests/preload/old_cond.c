/* SPDX-License-Identifier: MIT
 *
 * A program as it would have been linked in 2002: its conditions are eight bytes, and it is bound to
 * the functions of that time. Nothing behind the objects may be written, and they must work.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "trace.h"

#define OLD(name) __asm__(".symver " #name ", " #name "@GLIBC_2.2.5")

OLD(pthread_cond_init);
OLD(pthread_cond_destroy);
OLD(pthread_cond_wait);
OLD(pthread_cond_timedwait);
OLD(pthread_cond_signal);
OLD(pthread_cond_broadcast);

static struct {
	void *cond;
	unsigned char canary[64];
} object;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int turn;

static pthread_cond_t *cond(void)
{
	return (pthread_cond_t *)(void *)&object;
}

static void *worker(void *unused)
{
	pthread_mutex_lock(&mutex);
	turn = 1;
	pthread_cond_signal(cond());
	while (turn != 2)
		pthread_cond_wait(cond(), &mutex);
	turn = 3;
	pthread_cond_broadcast(cond());
	pthread_mutex_unlock(&mutex);
	return unused;
}

int main(void)
{
	struct timespec soon;
	pthread_t thread;

	memset(object.canary, 0x5a, sizeof(object.canary));
	CHECK(!pthread_cond_init(cond(), NULL));
	pthread_mutex_lock(&mutex);
	clock_gettime(CLOCK_REALTIME, &soon);
	CHECK(pthread_cond_timedwait(cond(), &mutex, &soon) == ETIMEDOUT);
	CHECK(!pthread_create(&thread, NULL, worker, NULL));
	while (turn != 1)
		pthread_cond_wait(cond(), &mutex);
	turn = 2;
	pthread_cond_broadcast(cond());
	while (turn != 3)
		pthread_cond_wait(cond(), &mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	CHECK(!pthread_cond_destroy(cond()));
	for (size_t i = 0; i < sizeof(object.canary); i++)
		CHECK(object.canary[i] == 0x5a);
	puts("ok");
	return 0;
}
