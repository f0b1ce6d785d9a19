/* SPDX-License-Identifier: MIT
 *
 * A program that ends, or hangs, in the way its first argument says; the second is a number for
 * some of them. Run by tests/cli/runs.py.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER, right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *lock_left_first(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *lock_right_first(void *arg)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

static void *return_at_once(void *arg)
{
	return arg;
}

static void *sleep_long(void *arg)
{
	sleep(1000);
	return arg;
}

static pthread_t start(void *(*routine)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, routine, NULL))
		_exit(99);
	return t;
}

/* Two threads in a deadlock; returns when they are in it. */
static pthread_t start_deadlock(void)
{
	pthread_t t;

	pthread_barrier_init(&both, NULL, 3);
	t = start(lock_left_first);
	start(lock_right_first);
	pthread_barrier_wait(&both);
	usleep(100000);
	return t;
}

static void on_term(int number)
{
	static const char text[] = "TERM came\n";

	(void)number;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(98);
}

/* A TERM that comes before the waiting for it does not get lost. */
static void block_term(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
}

static void wait_for_term(void)
{
	sigset_t nothing;

	sigemptyset(&nothing);
	sigsuspend(&nothing);
}

/* What a program can find out about how it was started. */
static void show_start(char **argv)
{
	struct rlimit files;
	struct sigaction action;
	sigset_t mask;
	struct stat st;
	mode_t mode;

	getrlimit(RLIMIT_NOFILE, &files);
	printf("files %llu %llu\n", (unsigned long long)files.rlim_cur,
	       (unsigned long long)files.rlim_max);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int i = 1; i < SIGRTMIN; i++) {
		if (sigaction(i, NULL, &action))
			continue;
		if (sigismember(&mask, i) || action.sa_handler != SIG_DFL)
			printf("signal %d %d %d\n", i, sigismember(&mask, i),
			       action.sa_handler == SIG_IGN);
	}
	for (int fd = 0; fd < 100; fd++)
		if (!fstat(fd, &st))
			printf("open %d\n", fd);
	mode = umask(0);
	printf("umask %o, own group %d, own session %d\n", (unsigned)mode, getpgrp() == getpid(),
	       getsid(0) == getpid());
	for (char **a = argv; *a; a++)
		printf("arg %s\n", *a);
}

/* A child that leaves a deadlock behind, or hangs in it. */
static void run_child(bool hangs)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		pthread_t t = start_deadlock();

		if (hangs)
			pthread_join(t, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 0;

	if (!strcmp(word, "single"))
		return number;
	if (!strcmp(word, "start")) {
		show_start(argv);
		return 0;
	}
	if (!strcmp(word, "sleep")) {
		puts("ready");
		fflush(stdout);
		sleep((unsigned)number);
		return 0;
	}
	if (!strcmp(word, "child") || !strcmp(word, "child-hangs")) {
		run_child(!strcmp(word, "child-hangs"));
		return number;
	}
	pthread_join(start(return_at_once), NULL);
	if (!strcmp(word, "clean"))
		return number;
	if (!strcmp(word, "alive"))
		start(sleep_long);
	if (!strcmp(word, "unjoined"))
		start(return_at_once);
	if (!strcmp(word, "stuck") || !strcmp(word, "stuck-kill"))
		start_deadlock();
	if (!strcmp(word, "hang"))
		pthread_join(start_deadlock(), NULL);
	if (!strcmp(word, "half-hang")) {
		start(sleep_long);
		pthread_join(start_deadlock(), NULL);
	}
	if (!strcmp(word, "kill") || !strcmp(word, "stuck-kill"))
		kill(getpid(), number);
	if (!strcmp(word, "catch") || !strcmp(word, "sleepers") || !strcmp(word, "deaf")) {
		if (!strcmp(word, "catch"))
			signal(SIGTERM, on_term);
		if (!strcmp(word, "deaf"))
			signal(SIGTERM, SIG_IGN);
		if (!strcmp(word, "catch"))
			block_term(); /* in the other thread, too, which would take it */
		start(sleep_long);
		puts("ready");
		fflush(stdout);
		while (strcmp(word, "catch") != 0)
			pause();
		wait_for_term();
	}
	usleep(50000);
	return number;
}
