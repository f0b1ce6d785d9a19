/* SPDX-License-Identifier: MIT
 *
 * How much more stack a blocking call takes with the shim than without: programs run threads with
 * 16 KiB. Both are called over painted stack, the one without by way of dlopen(), which leads past
 * the shim. Every call has a deadline that has passed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define LIMIT 512

/* How many bytes below its own frame `function` touches, of 16384. */
long stack_used(void *function, void *arguments[4]);

__asm__(".globl stack_used\n"
	"stack_used:\n"
	"	push %rbx; push %rbp; mov %rsp, %rbx\n"
	"	mov %rdi, %rdx; mov %rsi, %r10\n"
	"	lea -16384(%rsp), %rdi; mov %rdi, %rbp\n"
	"	mov $2048, %ecx; mov $0x5a5a5a5a5a5a5a5a, %rax; cld; rep stosq\n"
	"	mov %rdx, %rax\n"
	"	mov (%r10), %rdi; mov 8(%r10), %rsi; mov 16(%r10), %rdx; mov 24(%r10), %rcx\n"
	"	sub $8, %rsp; call *%rax; mov %rbx, %rsp\n"
	"	mov $0x5a5a5a5a5a5a5a5a, %rcx\n"
	"1:	cmp %rcx, (%rbp); jne 2f; add $8, %rbp; cmp %rbx, %rbp; jb 1b\n"
	"2:	mov %rbx, %rax; sub %rbp, %rax\n"
	"	pop %rbp; pop %rbx; ret\n");

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static struct timespec past = { 1, 0 };
static long no_word;

static void check(const char *name, void *wrapped, void *libc, void *a, void *b, void *c, void *d)
{
	void *arguments[] = { a, b, c, d };
	void *bare = dlsym(libc, name);
	long with, without;

	CHECK(bare);
	stack_used(wrapped, arguments);
	stack_used(bare, arguments);
	with = stack_used(wrapped, arguments);
	without = stack_used(bare, arguments);
	printf("%-28s %5ld %5ld\n", name, without, with);
	CHECK(with - without <= LIMIT);
}

#define CHECK_STACK(name, a, b, c, d) check(#name, (void *)(name), libc, a, b, c, d)

static void *other(void *libc)
{
	CHECK_STACK(pthread_mutex_timedlock, &mutex, &past, NULL, NULL);
	CHECK_STACK(pthread_mutex_clocklock, &mutex, (void *)CLOCK_MONOTONIC, &past, NULL);
	CHECK_STACK(pthread_rwlock_timedrdlock, &rwlock, &past, NULL, NULL);
	CHECK_STACK(pthread_rwlock_timedwrlock, &rwlock, &past, NULL, NULL);
	CHECK_STACK(sem_timedwait, &sem, &past, NULL, NULL);
	CHECK_STACK(sem_clockwait, &sem, (void *)CLOCK_MONOTONIC, &past, NULL);
	CHECK_STACK(syscall, (void *)202, &no_word, NULL, (void *)1);
	return NULL;
}

int main(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;

	CHECK(libc);
	sem_init(&sem, 0, 0);
	pthread_mutex_lock(&own);
	CHECK_STACK(pthread_cond_timedwait, &cond, &own, &past, NULL);
	CHECK_STACK(pthread_cond_clockwait, &cond, &own, (void *)CLOCK_MONOTONIC, &past);
	CHECK_STACK(pthread_timedjoin_np, (void *)pthread_self(), NULL, &past, NULL);
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	CHECK(!pthread_create(&thread, NULL, other, libc));
	pthread_join(thread, NULL);
	puts("ok");
	return 0;
}
