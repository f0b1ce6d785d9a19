/* SPDX-License-Identifier: MIT
 *
 * The conditions of a program that was linked in 2001: a pointer's room, followed by what must not
 * be written over, by functions of version GLIBC_2.2.5; beside conditions of today.
 */
#include "prog.h"

struct old_cond {
	void *room;
	unsigned char canary[64];
};

int old_init(struct old_cond *, const pthread_condattr_t *);
int old_wait(struct old_cond *, pthread_mutex_t *);
int old_timedwait(struct old_cond *, pthread_mutex_t *, const struct timespec *);
int old_signal(struct old_cond *);
int old_broadcast(struct old_cond *);
int old_destroy(struct old_cond *);
__asm__(".symver old_init, pthread_cond_init@GLIBC_2.2.5\n"
	".symver old_wait, pthread_cond_wait@GLIBC_2.2.5\n"
	".symver old_timedwait, pthread_cond_timedwait@GLIBC_2.2.5\n"
	".symver old_signal, pthread_cond_signal@GLIBC_2.2.5\n"
	".symver old_broadcast, pthread_cond_broadcast@GLIBC_2.2.5\n"
	".symver old_destroy, pthread_cond_destroy@GLIBC_2.2.5\n");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t modern = PTHREAD_COND_INITIALIZER;
static struct old_cond old;
static int turn;

static void *answer(void *arg)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < 200; i++) {
		while (turn != 1)
			old_wait(&old, &lock);
		turn = 0;
		if (i % 2)
			pthread_cond_signal(&modern);
		else
			pthread_cond_broadcast(&modern);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	struct timespec past = { 1, 0 };
	bool whole = true;
	pthread_t thread;

	memset(&old.canary, 0xa5, sizeof(old.canary));
	PROG_CHECK(old_init(&old, NULL) == 0);
	thread = prog_thread(answer, NULL);
	pthread_mutex_lock(&lock);
	PROG_CHECK(old_timedwait(&old, &lock, &past) == ETIMEDOUT);
	for (int i = 0; i < 200; i++) {
		turn = 1;
		if (i % 2)
			old_signal(&old);
		else
			old_broadcast(&old);
		while (turn != 0)
			pthread_cond_wait(&modern, &lock);
	}
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	old_destroy(&old);
	for (size_t i = 0; i < sizeof(old.canary); i++)
		whole = whole && old.canary[i] == 0xa5;
	prog_end(whole);
}
