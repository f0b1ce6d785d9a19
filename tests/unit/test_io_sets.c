/* SPDX-License-Identifier: MIT
 *
 * Waits on sets of descriptors, and sleeps: what the set holds, and the deadline as far as the
 * kernel lets it be known, also for calls that were stopped once before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "target/procfs.h"

/* What children read their arguments from: at the same address in parent and child. */
static struct {
	int fd;
	int other_fd;
	struct timespec request, rest;
	struct timeval tv;
	struct pollfd polled[12];
	nfds_t polled_count;
	fd_set reads, writes;
	char path[108];
	int ms;
} arg;

static char directory[] = "/tmp/strand-io-XXXXXX";

/* Sets of descriptors. */

static void block_in_poll(void)
{
	syscall(SYS_poll, arg.polled_count ? arg.polled : NULL, arg.polled_count, arg.ms);
}

static void block_in_ppoll(void)
{
	syscall(SYS_ppoll, arg.polled, arg.polled_count, &arg.request, NULL, 8);
}

static void test_poll(void **state)
{
	struct io_wait w;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	arg.polled[0] = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	arg.polled[1] = (struct pollfd){ .fd = -1, .events = POLLIN };
	arg.polled_count = 2;
	arg.ms = -1;
	child_describe(block_in_poll, SYS_poll, &w);
	wait_check(&w, OP_IO, OBJECT_PIPE, "poll(%d) %s", fd[0], link_of(fd[0]));
	wait_check_no_deadline(&w);
	arg.polled[1].fd = eventfd(0, 0);
	arg.ms = 700000;
	child_describe(block_in_poll, SYS_poll, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "poll(2 descriptors: %d %s, %d eventfd)", fd[0],
		   link_of(fd[0]), arg.polled[1].fd);
	wait_check_deadline(&w, 0, 700 * SECOND);
	arg.request = (struct timespec){ 800, 0 };
	child_describe(block_in_ppoll, SYS_ppoll, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "ppoll(2 descriptors: %d %s, %d eventfd)", fd[0],
		   link_of(fd[0]), arg.polled[1].fd);
	wait_check_deadline(&w, 800 * SECOND, 0);
	arg.polled_count = 0;
	child_describe(block_in_poll, SYS_poll, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "poll(no descriptors)");
	wait_check_deadline(&w, 0, 700 * SECOND);
	close(arg.polled[1].fd);
	close(fd[0]);
	close(fd[1]);
}

/* More than a line holds, and more than are looked at. */
static void test_poll_many(void **state)
{
	char expected[200];
	struct io_wait w;
	int i;

	(void)state;
	for (i = 0; i < 12; i++)
		arg.polled[i] = (struct pollfd){ .fd = eventfd(0, 0), .events = POLLIN };
	arg.polled_count = 12;
	arg.ms = -1;
	child_describe(block_in_poll, SYS_poll, &w);
	snprintf(expected, sizeof(expected), "poll(12 descriptors: %d eventfd, %d eventfd, ",
		 arg.polled[0].fd, arg.polled[1].fd);
	assert_memory_equal(w.text, expected, strlen(expected));
	assert_string_equal(strrchr(w.text, ','), ", and 4 more)");
	for (i = 0; i < 12; i++)
		close(arg.polled[i].fd);
	snprintf(arg.path, sizeof(arg.path), "%s/a-name-that-takes-some-room-in-the-line-%d",
		 directory, 1);
	assert_int_equal(mkfifo(arg.path, 0600), 0);
	for (i = 0; i < 4; i++)
		arg.polled[i].fd = open(arg.path, O_RDWR);
	arg.polled_count = 4;
	child_describe(block_in_poll, SYS_poll, &w);
	assert_true(strlen(w.text) < sizeof(w.text));
	assert_string_equal(strrchr(w.text, ','), ", and 3 more)");
	for (i = 0; i < 4; i++)
		close(arg.polled[i].fd);
	unlink(arg.path);
}

static void block_in_select(void)
{
	syscall(SYS_select, arg.other_fd + 1, &arg.reads, &arg.writes, NULL,
		arg.tv.tv_sec ? &arg.tv : NULL);
}

static void block_in_pselect(void)
{
	syscall(SYS_pselect6, arg.other_fd + 1, &arg.reads, NULL, NULL, &arg.request, NULL);
}

static void test_select(void **state)
{
	struct io_wait w;

	(void)state;
	arg.fd = eventfd(0, 0);
	arg.other_fd = dup2(arg.fd, 100);
	FD_ZERO(&arg.reads);
	FD_ZERO(&arg.writes);
	FD_SET(arg.fd, &arg.reads);
	arg.tv = (struct timeval){ 0, 0 };
	child_describe(block_in_select, SYS_select, &w);
	wait_check(&w, OP_IO, OBJECT_EVENTFD, "select(%d) eventfd", arg.fd);
	wait_check_no_deadline(&w);
	FD_SET(arg.other_fd, &arg.reads);
	arg.tv.tv_sec = 600;
	child_describe(block_in_select, SYS_select, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "select(2 descriptors: %d eventfd, 100 eventfd)",
		   arg.fd);
	wait_check_deadline(&w, 600 * SECOND, 0);
	arg.request = (struct timespec){ 400, 0 };
	child_describe(block_in_pselect, SYS_pselect6, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "pselect6(2 descriptors: %d eventfd, 100 eventfd)",
		   arg.fd);
	wait_check_deadline(&w, 400 * SECOND, 0);
	close(arg.fd);
	close(arg.other_fd);
}

static void block_in_epoll(void)
{
	struct epoll_event e;

	epoll_wait(arg.fd, &e, 1, arg.ms);
}

static void block_in_epoll_pwait2(void)
{
	struct epoll_event e;

	syscall(SYS_epoll_pwait2, arg.fd, &e, 1, &arg.request, NULL, 8);
}

static void test_epoll(void **state)
{
	struct epoll_event in = { .events = EPOLLIN };
	struct io_wait w;
	int v[6];
	int i;

	(void)state;
	arg.fd = epoll_create1(0);
	arg.ms = -1;
	child_describe(block_in_epoll, SYS_epoll_wait, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "epoll_wait(%d) no descriptors", arg.fd);
	wait_check_no_deadline(&w);
	for (i = 0; i < 6; i++) {
		v[i] = eventfd(0, 0);
		assert_int_equal(epoll_ctl(arg.fd, EPOLL_CTL_ADD, v[i], &in), 0);
		if (i)
			continue;
		child_describe(block_in_epoll, SYS_epoll_wait, &w);
		wait_check(&w, OP_IO, OBJECT_OTHER, "epoll_wait(%d) 1 descriptor: %d eventfd",
			   arg.fd, v[0]);
	}
	arg.ms = 5000000;
	child_describe(block_in_epoll, SYS_epoll_wait, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER,
		   "epoll_wait(%d) 6 descriptors: %d eventfd, %d eventfd, %d eventfd, %d eventfd, "
		   "and 2 more",
		   arg.fd, v[0], v[1], v[2], v[3]);
	wait_check_deadline(&w, 0, 5000 * SECOND);
	arg.request = (struct timespec){ 300, 500 };
	child_describe(block_in_epoll_pwait2, SYS_epoll_pwait2, &w);
	wait_check_deadline(&w, 0, 300 * SECOND + 500);
	for (i = 0; i < 6; i++)
		close(v[i]);
	close(arg.fd);
}

/* Sleeps. */

static void block_in_nanosleep(void)
{
	syscall(SYS_nanosleep, &arg.request, &arg.rest);
}

static void block_in_nanosleep_without_rest(void)
{
	syscall(SYS_nanosleep, &arg.request, NULL);
}

static void block_in_sleep(void)
{
	sleep(3600);
}

static void test_nanosleep(void **state)
{
	struct io_wait w;

	(void)state;
	arg.request = (struct timespec){ 1000, 500000000 };
	child_describe(block_in_nanosleep, SYS_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "nanosleep 1000.5 s");
	wait_check_deadline(&w, 1000 * SECOND + SECOND / 2, 1000 * SECOND + SECOND / 2);
	child_describe(block_in_nanosleep_without_rest, SYS_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "nanosleep 1000.5 s");
	wait_check_deadline(&w, 0, 1000 * SECOND + SECOND / 2);
	child_describe(block_in_sleep, SYS_clock_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "clock_nanosleep");
	wait_check_deadline(&w, 3600 * SECOND, 0);
}

static void block_in_clock_nanosleep(void)
{
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &arg.request, &arg.rest);
}

static void block_until(void)
{
	syscall(SYS_clock_nanosleep, arg.ms, TIMER_ABSTIME, &arg.request, NULL);
}

static void test_clock_nanosleep(void **state)
{
	static const char *const names[] = { "CLOCK_REALTIME", "CLOCK_MONOTONIC" };
	struct io_wait w;

	(void)state;
	arg.request = (struct timespec){ 250, 0 };
	child_describe(block_in_clock_nanosleep, SYS_clock_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "clock_nanosleep 250 s");
	wait_check_deadline(&w, 250 * SECOND, 250 * SECOND);
	for (arg.ms = CLOCK_REALTIME; arg.ms <= CLOCK_MONOTONIC; arg.ms++) {
		clock_gettime(arg.ms, &arg.request);
		arg.request.tv_sec += 777;
		child_describe(block_until, SYS_clock_nanosleep, &w);
		wait_check(&w, OP_SLEEP, OBJECT_NONE, "clock_nanosleep(%s)", names[arg.ms]);
		wait_check_deadline(&w, 777 * SECOND, 0);
	}
}

/* What a second look sees: restart_syscall, with the arguments of the first. */
static void look_twice(void (*block)(void), long number, struct io_wait *w)
{
	struct child c;
	int i;

	child_start(&c, block, number);
	child_look(&c, number);
	for (i = 0; i < 5000 && !child_sleeps(c.pid, SYS_restart_syscall); i++)
		usleep(1000);
	snapshot_free(c.snap);
	assert_int_equal(snapshot_create(c.pid, &c.snap, NULL), 0);
	child_look(&c, number);
	assert_int_equal(arch_syscall_number(&c.regs), SYS_restart_syscall);
	*w = c.wait;
	child_end(&c);
}

static void test_restarted_calls(void **state)
{
	struct io_wait w;

	(void)state;
	arg.request = (struct timespec){ 1000, 0 };
	look_twice(block_in_nanosleep, SYS_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "nanosleep 1000 s");
	wait_check_deadline(&w, 1000 * SECOND, 1000 * SECOND);
	look_twice(block_in_nanosleep_without_rest, SYS_nanosleep, &w);
	wait_check_deadline(&w, 0, 1000 * SECOND);
	look_twice(block_in_sleep, SYS_clock_nanosleep, &w);
	wait_check_deadline(&w, 3600 * SECOND, 0);
	look_twice(block_in_clock_nanosleep, SYS_clock_nanosleep, &w);
	wait_check(&w, OP_SLEEP, OBJECT_NONE, "clock_nanosleep 1000 s");
	arg.polled[0] = (struct pollfd){ .fd = eventfd(0, 0), .events = POLLIN };
	arg.polled_count = 1;
	arg.ms = 900000;
	look_twice(block_in_poll, SYS_poll, &w);
	wait_check(&w, OP_IO, OBJECT_EVENTFD, "poll(%d) eventfd", arg.polled[0].fd);
	wait_check_deadline(&w, 0, 900 * SECOND);
	arg.polled_count = 0; /* poll(NULL, 0, …): nothing of it may be taken for an address */
	look_twice(block_in_poll, SYS_poll, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "poll(no descriptors)");
	close(arg.polled[0].fd);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_poll_many),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_epoll),
		cmocka_unit_test(test_nanosleep),
		cmocka_unit_test(test_clock_nanosleep),
		cmocka_unit_test(test_restarted_calls),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
