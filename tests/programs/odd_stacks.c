/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck mutex-lock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: left right
 * frame: left_then_right
 * frame: in_context
 * frame: deepest
 * variants: -O0 -O2
 *
 * What it is: a cycle of two threads, one on a stack inside static data, the other on a stack that
 * makecontext was given from a heap block; a third waits behind them at a depth of 5000 calls.
 */
#include "prog.h"
#include <ucontext.h>

enum { STACK_BYTES = 262144, DEPTH = 5000 };

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static char static_stack[STACK_BYTES] __attribute__((aligned(4096)));
static ucontext_t context, back;

static void *left_then_right(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void in_context(void)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	pthread_mutex_unlock(&left);
}

static void *switch_stacks(void *arg)
{
	PROG_CHECK(getcontext(&context) == 0);
	context.uc_stack.ss_sp = malloc(STACK_BYTES);
	context.uc_stack.ss_size = STACK_BYTES;
	context.uc_link = &back;
	PROG_CHECK(context.uc_stack.ss_sp != NULL);
	makecontext(&context, in_context, 0);
	PROG_CHECK(swapcontext(&back, &context) == 0);
	return arg;
}

static __attribute__((noipa)) int deepest(void)
{
	pthread_mutex_lock(&left);
	return pthread_mutex_unlock(&left);
}

static __attribute__((noipa)) int descend(volatile int depth)
{
	return depth == 0 ? deepest() : descend(depth - 1) + depth;
}

static void *wait_deep(void *arg)
{
	pthread_barrier_wait(&both);
	descend(DEPTH);
	return arg;
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t first, deep;

	pthread_barrier_init(&both, NULL, 3);
	PROG_CHECK(pthread_attr_init(&attr) == 0);
	PROG_CHECK(pthread_attr_setstack(&attr, static_stack, STACK_BYTES) == 0);
	PROG_CHECK(pthread_create(&first, &attr, left_then_right, NULL) == 0);
	prog_thread(switch_stacks, NULL);
	deep = prog_thread(wait_deep, NULL);
	prog_ready();
	pthread_join(deep, NULL);
	return 0;
}
