/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * object: orders_lock users_lock
 * frame: place_order
 * frame: update_user
 * variants: -O0 -O2
 *
 * What it is: the program that `sh bootstrap.sh demo` looks at. A small shop: one worker books
 * orders and touches the user, the other updates users and touches their orders, so they take
 * the two locks in opposite order. A third, healthy worker waits for customers on a socket.
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t orders_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static int orders, logins;
static int door[2];

static void place_order(void)
{
	pthread_mutex_lock(&orders_lock);
	usleep(50000); /* check the stock */
	pthread_mutex_lock(&users_lock);
	orders++;
	pthread_mutex_unlock(&users_lock);
	pthread_mutex_unlock(&orders_lock);
}

static void update_user(void)
{
	pthread_mutex_lock(&users_lock);
	usleep(50000); /* read the profile */
	pthread_mutex_lock(&orders_lock);
	logins++;
	pthread_mutex_unlock(&orders_lock);
	pthread_mutex_unlock(&users_lock);
}

static void *order_worker(void *arg)
{
	pthread_setname_np(pthread_self(), "orders");
	for (;;)
		place_order();
	return arg;
}

static void *user_worker(void *arg)
{
	pthread_setname_np(pthread_self(), "users");
	for (;;)
		update_user();
	return arg;
}

static void *greet_customers(void *arg)
{
	char customer;

	pthread_setname_np(pthread_self(), "door");
	while (recv(door[0], &customer, 1, 0) == 1)
		;
	return arg;
}

int main(void)
{
	pthread_t order_thread, user_thread, door_thread;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, door) != 0)
		return 1;
	alarm(1800); /* a forgotten demo ends by itself */
	pthread_create(&door_thread, NULL, greet_customers, NULL);
	pthread_create(&order_thread, NULL, order_worker, NULL);
	pthread_create(&user_thread, NULL, user_worker, NULL);
	puts("ready");
	fflush(stdout);
	pthread_join(order_thread, NULL);
	pthread_join(user_thread, NULL);
	return 0;
}
