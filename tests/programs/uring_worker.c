/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * object: left right
 * variants: -O0 -O2
 *
 * What it is: a cycle of two mutexes in a process that also has a worker of the kernel's for
 * io_uring, which stands among its threads but can be neither traced nor stopped.
 */
#include "uring.h"

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *left_then_right(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *right_then_left(void *arg)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

/* A read that has to block, in a worker, for the pipe stays empty. */
static void start_kernel_worker(void)
{
	static char byte;
	struct io_uring_sqe entry = { .opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .len = 1 };
	struct uring uring;
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	uring_open(&uring);
	entry.fd = end[0];
	entry.addr = (unsigned long)&byte;
	PROG_CHECK(uring_submit(&uring, &entry, 1));
}

int main(void)
{
	pthread_t first;

	start_kernel_worker();
	pthread_barrier_init(&both, NULL, 2);
	first = prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
