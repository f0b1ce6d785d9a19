/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-wrlock all-asleep 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * checked: stuck rwlock-wrlock self 1
 * checked: stuck join owner-stuck 1
 * object: table_lock
 * variants: -O0 -O2
 *
 * What it is: a thread holds a rwlock for reading and asks for it for writing; main joins it.
 * glibc does not record readers, so only the fact that nobody is live proves it.
 */
#include "prog.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *upgrade(void *arg)
{
	pthread_rwlock_rdlock(&table_lock);
	pthread_rwlock_wrlock(&table_lock);
	return arg;
}

int main(void)
{
	pthread_t writer = prog_thread(upgrade, NULL);

	prog_ready();
	pthread_join(writer, NULL);
	return 0;
}
