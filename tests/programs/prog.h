/* SPDX-License-Identifier: MIT
 *
 * What every test program here needs, and no more: include it first.
 *
 * A program says "ready" on standard output once every thread has been started and is past the
 * last step that the program itself can order; the harness then waits until the threads sleep.
 * A program that works (rather than hangs) watches its standard input with prog_stop() and ends
 * with prog_end(). No handler is installed and no thread is started by these helpers, for both
 * would change what can be proved. An alarm nobody catches ends a forgotten program.
 */
#ifndef PROG_H
#define PROG_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROG_LIFETIME_S = 1800 };

/* For steps without which the program would test something else than it says. */
#define PROG_CHECK(condition)                                                              \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                          \
			_exit(99);                                                         \
		}                                                                          \
	} while (0)

static inline void prog_say(const char *line)
{
	PROG_CHECK(write(STDOUT_FILENO, line, strlen(line)) == (ssize_t)strlen(line));
}

static inline void prog_ready(void)
{
	alarm(PROG_LIFETIME_S);
	prog_say("ready\n");
}

/* Another process than the one that was started is the one to look at. */
static inline void prog_look_at(pid_t pid)
{
	char line[32];

	snprintf(line, sizeof(line), "pid %d\n", (int)pid);
	prog_say(line);
}

static inline pthread_t prog_thread(void *(*start)(void *), void *arg)
{
	pthread_t thread;

	PROG_CHECK(pthread_create(&thread, NULL, start, arg) == 0);
	return thread;
}

/* True once the harness has written to, or closed, the standard input. */
static inline bool prog_stop(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	return poll(&input, 1, 0) != 0;
}

/* Ends the program: "ok" and 0 if what it checked of itself held, else 1. */
static inline void prog_end(bool held)
{
	prog_say(held ? "ok\n" : "wrong\n");
	exit(held ? 0 : 1);
}

static inline void prog_nap_ms(long ms)
{
	struct timespec nap = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&nap, &nap) != 0 && errno == EINTR)
		;
}

static inline void prog_sleep_long(void)
{
	prog_nap_ms(PROG_LIFETIME_S * 1000L);
}

/* An absolute time on clock so far away that no run of the tests sees it pass. */
static inline struct timespec prog_far(clockid_t clock)
{
	struct timespec now;

	PROG_CHECK(clock_gettime(clock, &now) == 0);
	now.tv_sec += PROG_LIFETIME_S;
	return now;
}

#endif
