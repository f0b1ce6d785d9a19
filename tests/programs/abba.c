/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: orders_lock users_lock
 * frame: place_order
 * frame: update_user
 * variants: -O0 -O2 pidns chroot deleted static static-pie no-pie stripped no-cfi clang
 *
 * What it is: two threads take two mutexes in opposite order; main joins the first.
 */
#include "prog.h"

static pthread_mutex_t orders_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *place_order(void *arg)
{
	pthread_mutex_lock(&orders_lock);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&users_lock);
	return arg;
}

static void *update_user(void *arg)
{
	pthread_mutex_lock(&users_lock);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&orders_lock);
	return arg;
}

int main(void)
{
	pthread_t first;

	pthread_barrier_init(&both, NULL, 2);
	first = prog_thread(place_order, NULL);
	prog_thread(update_user, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
