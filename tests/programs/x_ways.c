/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: alive sleep - 1
 * expect: unjoined - - 1
 * check: ends
 * args: return | exit | exit_in_handler | exit_in_thread | _exit | _exit_in_thread | _Exit
 * args: quick_exit | quick_exit_in_thread | exec | exec_in_thread
 * status: 7
 * creator: stuck start_all main
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: every way out of a process that has two threads in a deadlock, one that sleeps and
 * one that has finished. What exec makes of it, `sh`, has no second thread.
 */
#include "settle.h"
#include <signal.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold;
static const char *way;

static void *lock_a_b(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&b);
	return arg;
}

static void *lock_b_a(void *arg)
{
	pthread_mutex_lock(&b);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&a);
	return arg;
}

static void *sleep_long(void *arg)
{
	prog_sleep_long();
	return arg;
}

static void *finish(void *arg)
{
	return arg;
}

static __attribute__((noipa)) void start_all(void)
{
	prog_thread(lock_a_b, NULL);
	prog_thread(lock_b_a, NULL);
	prog_thread(sleep_long, NULL);
	prog_thread(finish, NULL);
}

static void exit_now(int number)
{
	exit(number == SIGUSR1 ? 7 : 8);
}

static void go(const char *how)
{
	if (strcmp(how, "exit") == 0)
		exit(7);
	if (strcmp(how, "exit_in_handler") == 0) {
		signal(SIGUSR1, exit_now);
		raise(SIGUSR1);
	}
	if (strcmp(how, "_exit") == 0)
		_exit(7);
	if (strcmp(how, "_Exit") == 0)
		_Exit(7);
	if (strcmp(how, "quick_exit") == 0)
		quick_exit(7);
	if (strcmp(how, "exec") == 0)
		execl("/bin/sh", "sh", "-c", "echo in the next image; exit 7", NULL);
	PROG_CHECK(!"there is such a way");
}

/* The thread that ends the process is detached: it is neither alive nor unjoined anyway. */
static void *go_in_thread(void *arg)
{
	char how[32] = "";

	pthread_detach(pthread_self());
	memcpy(how, way, (size_t)(strstr(way, "_in_thread") - way));
	go(how);
	return arg;
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	way = argv[1];
	pthread_barrier_init(&both_hold, NULL, 2);
	prog_ready();
	start_all();
	settle(3);
	if (strcmp(way, "return") == 0)
		return 7;
	if (!strstr(way, "_in_thread"))
		go(way);
	prog_thread(go_in_thread, NULL);
	prog_sleep_long();
	return 0;
}
