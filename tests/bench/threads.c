/* SPDX-License-Identifier: MIT
 *
 * The program that is measured: threads N starts N threads that sleep for ever, each kind in
 * another way and at another depth, as the workers, the timers and the connections of a service
 * do. Says "ready" when all of them are on their way to sleep. Nobody is ever proved stuck: main
 * could wake them. Ends with its parent.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)64 << 10)
#define KINDS	    6

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static sem_t tokens;
static int channel[2];
static atomic_int on_their_way;

static void wait_for_work(void)
{
	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&work, &lock);
}

static void wait_for_token(void)
{
	for (;;)
		sem_wait(&tokens);
}

static void wait_for_lock(void)
{
	pthread_mutex_lock(&held);
}

static void wait_for_input(void)
{
	char c;

	for (;;)
		(void)!read(channel[0], &c, 1);
}

static void wait_for_event(void)
{
	struct pollfd p = { .fd = channel[0], .events = POLLIN };

	for (;;)
		poll(&p, 1, -1);
}

static void wait_for_time(void)
{
	struct timespec hour = { 3600, 0 };

	for (;;)
		nanosleep(&hour, NULL);
}

static void (*const kinds[KINDS])(void) = {
	wait_for_work, wait_for_token, wait_for_lock, wait_for_input, wait_for_event, wait_for_time,
};

/* A frame more on the stack for each level; inlined once, so that the names have to be found. */
static inline void step(int kind, int depth);

static __attribute__((noinline)) int descend(int kind, int depth)
{
	step(kind, depth);
	return depth + kind;
}

static inline void step(int kind, int depth)
{
	if (depth)
		depth = descend(kind, depth - 1);
	else
		kinds[kind]();
	__asm__ volatile("" : : "r"(depth)); /* no tail calls */
}

static void *run(void *arg)
{
	int number = (int)(long)arg;

	on_their_way++;
	descend(number % KINDS, 2 + number % 4 * 3);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10;
	pthread_attr_t attr;
	int i, error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_mutex_lock(&held);
	sem_init(&tokens, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pipe(channel) != 0)
		return 1;
	for (i = 1; i < n; i++) { /* main is one of them */
		pthread_t t;

		error = pthread_create(&t, &attr, run, (void *)(long)i);
		if (error) {
			fprintf(stderr, "%d threads: %s\n", i, strerror(error));
			return 77;
		}
	}
	while (on_their_way < n - 1)
		usleep(1000);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
