/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: gate
 * variants: -O0 -O2
 *
 * What it is: two threads in a raw futex wait without a deadline, one with the private flag and
 * one by FUTEX_WAIT_BITSET; nobody is left to wake them.
 */
#include "prog.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static int gate = 7;

static void *wait_private(void *arg)
{
	while (__atomic_load_n(&gate, __ATOMIC_ACQUIRE) == 7)
		syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0);
	return arg;
}

static void *wait_bitset(void *arg)
{
	while (__atomic_load_n(&gate, __ATOMIC_ACQUIRE) == 7)
		syscall(SYS_futex, &gate, FUTEX_WAIT_BITSET_PRIVATE, 7, NULL, NULL, 1u);
	return arg;
}

int main(void)
{
	pthread_t first = prog_thread(wait_private, NULL);

	prog_thread(wait_bitset, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
