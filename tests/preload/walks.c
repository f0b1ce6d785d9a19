/* SPDX-License-Identifier: MIT
 *
 * Threads created at the end of all kinds of stacks. For each the C library's own backtrace() at the
 * same place is said: "NUMBER COMPLETE ADDRESS…", from the creating function's caller outward.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static int created = 1;
static int complete = 1;
static sem_t never;

static void *stay(void *p)
{
	sem_wait(&never);
	return p;
}

__attribute__((noinline)) static int create(void)
{
	void *frames[100];
	pthread_t thread;
	int i, n;

	if (pthread_create(&thread, NULL, stay, NULL))
		abort();
	n = backtrace(frames, 100);
	printf("%d %d", ++created, complete);
	for (i = 1; i < n; i++)
		printf(" %p", frames[i]);
	putchar('\n');
	return n;
}

__attribute__((noinline)) static int recurse(int depth)
{
	return depth ? recurse(depth - 1) + 1 : create();
}

/* A frame of a size that is not known before, with locals that use up the registers. */
__attribute__((noinline)) static int varying(int n)
{
	volatile char *room = alloca((size_t)n * 100);
	int a = n * 3, b = n * 5, c = n * 7, d = n * 11, e = n * 13;

	memset((char *)room, n, (size_t)n * 100);
	if (n > 1)
		return varying(n - 1) + room[n] + a + b + c + d + e;
	return create() + room[0] + a + b + c + d + e;
}

/* The stack is aligned for it: the frame's address is in the frame. */
__attribute__((noinline)) static int aligned(int n)
{
	volatile char room[128] __attribute__((aligned(128)));

	room[n] = (char)n;
	return (n ? aligned(n - 1) : create()) + room[n];
}

__attribute__((noinline)) static int both(int n)
{
	volatile char room[64] __attribute__((aligned(64)));
	volatile char *more = alloca((size_t)n + 1);

	room[n] = (char)n;
	more[n] = 1;
	return (n ? both(n - 1) : create()) + room[n] + more[n];
}

static int compare(const void *a, const void *b)
{
	static int once;

	if (!once++)
		create();
	return *(const int *)a - *(const int *)b;
}

static void sort(void)
{
	int numbers[] = { 3, 1, 2 };

	qsort(numbers, 3, sizeof(numbers[0]), compare);
}

static void *in_thread(void *p)
{
	recurse(3);
	return p;
}

static void handle(int signal)
{
	(void)signal;
	complete = 0;
	recurse(2);
	complete = 1;
}

static ucontext_t main_context, coroutine;

static void run_coroutine(void)
{
	recurse(4);
}

static void switch_stacks(void)
{
	static char room[65536];

	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = room;
	coroutine.uc_stack.ss_size = sizeof(room);
	coroutine.uc_link = &main_context;
	makecontext(&coroutine, run_coroutine, 0);
	complete = 0;
	swapcontext(&main_context, &coroutine);
	complete = 1;
}

int main(void)
{
	stack_t other = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_handler = handle };
	pthread_t thread;
	int i;

	sem_init(&never, 0, 0);
	for (i = 0; i < 3; i++)
		recurse(i * 20);
	varying(3);
	aligned(3);
	both(3);
	sort();
	created++;
	pthread_create(&thread, NULL, in_thread, NULL);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sigaltstack(&other, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	switch_stacks();
	puts("ready");
	fflush(stdout);
	getchar();
	return 0;
}
