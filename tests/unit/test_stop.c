/* SPDX-License-Identifier: MIT
 *
 * Stop and go on real processes: children of the test with threads in every awkward state. After
 * each stop the child must go on as if nothing had been.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/stop.h"
#include "target/target.h"

static const struct stop_limits limits = STOP_LIMITS_DEFAULT;
/* Where every thread has to stop, however busy the machine is. */
static const struct stop_limits patient = { 20000000000, 2000000000, 3, 0 };

struct child {
	pid_t pid;
	int from; /* what the child writes */
	int to;	  /* what ends it */
};

/* Run `body` in a child, which tells by a byte that it is ready and whose status is body's. */
static struct child start(int (*body)(int out, int in))
{
	struct child c;
	int out[2], in[2];
	char byte;

	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(in), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		close(out[0]);
		close(in[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must leave nothing behind */
		_exit(body(out[1], in[0]));
	}
	close(out[1]);
	close(in[0]);
	c.from = out[0];
	c.to = in[1];
	assert_int_equal(read(c.from, &byte, 1), 1);
	return c;
}

/* Ask the child to end and take its status. */
static int finish(struct child *c)
{
	int status;

	close(c->to);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->from);
	return status;
}

static void nap(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* The state letter of a thread, after it has been the same for a moment. */
static char settled_state(pid_t pid, pid_t tid)
{
	struct target_thread info = { 0 };

	for (int i = 0; i < 100; i++) {
		if (target_read_thread(pid, tid, &info) ||
		    (info.state != 'R' && info.state != 'D')) /* D: on its way to its end, say */
			break;
		nap(10);
	}
	return info.state;
}

static void wait_for_end_of_input(int in)
{
	char byte;

	while (read(in, &byte, 1) > 0)
		;
}

static void *sleep_forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int body_threads(int out, int in)
{
	pthread_t t;

	for (int i = 0; i < 20; i++)
		if (pthread_create(&t, NULL, sleep_forever, NULL))
			return 1;
	if (write(out, "r", 1) != 1)
		return 1;
	wait_for_end_of_input(in);
	return 7;
}

static void test_all_threads_stop_and_go(void **state)
{
	struct child c = start(body_threads);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(stop_begin(c.pid, &patient, &s, &e), 0);
		assert_int_equal(stop_count(s), 21);
		for (size_t k = 0; k < stop_count(s); k++) {
			assert_int_equal(stop_thread(s, k)->state, STOP_THREAD_STOPPED);
			assert_true(arch_is_64bit(&stop_thread(s, k)->regs));
			assert_int_equal(settled_state(c.pid, stop_thread(s, k)->tid), 't');
		}
		assert_true(stop_end(s) > 0);
		assert_int_equal(settled_state(c.pid, c.pid), 'S');
		stop_free(s);
	}
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

static void test_vector_registers(void **state)
{
	struct child c = start(body_threads);
	static uint8_t area[16384];
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stop_begin(c.pid, &patient, &s, &e), 0);
	/* The legacy area and the header of XSAVE (Intel SDM 1, 13.4) are always there. */
	assert_true(stop_read_vector(s, 0, area, sizeof(area)) >= 576);
	stop_end(s);
	assert_int_equal(stop_read_vector(s, 0, area, sizeof(area)), 0);
	stop_free(s);
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

static int body_epoll(int out, int in)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0), rc;

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev) || write(out, "r", 1) != 1)
		return 1;
	rc = epoll_wait(ep, &ev, 1, -1);
	return rc == 1 ? 7 : errno;
}

static void test_no_eintr_is_seen(void **state)
{
	struct child c = start(body_epoll);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(settled_state(c.pid, c.pid), 'S');
		assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
		assert_int_equal(arch_syscall_number(&stop_thread(s, 0)->regs), SYS_epoll_wait);
		stop_free(s);
	}
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

static volatile sig_atomic_t handled, tell;

static void count_signal(int number)
{
	handled += number == SIGUSR1 && write(tell, "h", 1) == 1;
}

static int body_signals(int out, int in)
{
	struct sigaction sa = { .sa_handler = count_signal };

	tell = out;
	sigaction(SIGUSR1, &sa, NULL);
	if (write(out, "r", 1) != 1)
		return 1;
	for (;;) {
		char byte;

		if (read(in, &byte, 1) == 0)
			return handled;
	}
}

/* A signal that comes while the process is stopped, or stops it on its way, is delivered once. */
static void test_signals_are_delivered_once(void **state)
{
	struct child c = start(body_signals);
	struct stop *s;
	struct err e = { 0 };
	char byte;

	(void)state;
	for (int i = 0; i < 20; i++) {
		if (i % 2)
			kill(c.pid, SIGUSR1);
		assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
		if (i % 2 == 0)
			kill(c.pid, SIGUSR1);
		stop_free(s);
		assert_int_equal(read(c.from, &byte, 1), 1);
	}
	assert_int_equal(WEXITSTATUS(finish(&c)), 20);
}

static void test_a_pending_signal_is_seen(void **state)
{
	struct child c = start(body_signals);
	bool seen = false;
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	/* Stopped by job control it cannot take the signal before strand comes. */
	kill(c.pid, SIGSTOP);
	assert_int_equal(waitpid(c.pid, NULL, WUNTRACED), c.pid);
	kill(c.pid, SIGUSR1);
	assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
	seen = stop_thread(s, 0)->signal_pending;
	stop_free(s);
	assert_true(seen);
	assert_int_equal(settled_state(c.pid, c.pid), 'T'); /* as it was */
	kill(c.pid, SIGCONT);
	assert_int_equal(WEXITSTATUS(finish(&c)), 1);
}

static int body_main_gone(int out, int in)
{
	pthread_t t;

	(void)in;
	if (pthread_create(&t, NULL, sleep_forever, NULL) || write(out, "r", 1) != 1)
		return 1;
	pthread_exit(NULL);
}

static void test_a_main_thread_that_has_ended(void **state)
{
	struct child c = start(body_main_gone);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(settled_state(c.pid, c.pid), 'Z');
	assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
	assert_int_equal(stop_count(s), 2);
	assert_int_equal(stop_thread(s, 0)->state, STOP_THREAD_ENDED);
	assert_int_equal(stop_thread(s, 1)->state, STOP_THREAD_STOPPED);
	stop_free(s);
	kill(c.pid, SIGKILL);
	assert_int_equal(WTERMSIG(finish(&c)), SIGKILL);
}

static void *write_much(void *arg)
{
	int fd = *(int *)arg;
	size_t bytes = 1 << 20;
	char *buf = calloc(1, bytes);
	ssize_t n = buf ? write(fd, buf, bytes) : -1;

	free(buf);
	return (void *)(intptr_t)(n == (ssize_t)bytes);
}

static int body_writer(int out, int in)
{
	static char buf[65536];
	size_t got = 0;
	void *whole;
	int fds[2];
	pthread_t t;

	if (pipe(fds) || pthread_create(&t, NULL, write_much, &fds[1]) || write(out, "r", 1) != 1)
		return 1;
	wait_for_end_of_input(in);
	while (got < 1 << 20)
		got += (size_t)read(fds[0], buf, sizeof(buf));
	pthread_join(t, &whole);
	return whole ? 7 : 8;
}

static void test_a_write_is_not_cut_short(void **state)
{
	struct child c = start(body_writer);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	nap(100); /* until the pipe is full */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
		assert_int_equal(stop_count(s), 2);
		assert_int_equal(stop_thread(s, 0)->state, STOP_THREAD_STOPPED);
		assert_int_equal(stop_thread(s, 1)->state, STOP_THREAD_ASLEEP);
		assert_int_equal(arch_syscall_number(&stop_thread(s, 1)->regs), SYS_write);
		stop_free(s);
	}
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

static void *vfork_and_wait(void *arg)
{
	if (vfork() == 0) {
		execl("/bin/sleep", "sleep", "0.01", NULL);
		_exit(1);
	}
	return arg;
}

/* vfork's child sleeps before it calls exec: its parent cannot be stopped meanwhile. */
static void *vfork_slowly(void *arg)
{
	if (vfork() == 0) {
		struct timespec ts = { 1, 0 };

		syscall(SYS_nanosleep, &ts, NULL);
		_exit(0);
	}
	return arg;
}

static int body_vfork(int out, int in)
{
	pthread_t t;

	if (pthread_create(&t, NULL, vfork_slowly, NULL))
		return 1;
	nap(100);
	if (write(out, "r", 1) != 1)
		return 1;
	pthread_join(t, NULL);
	if (pthread_create(&t, NULL, vfork_and_wait, NULL))
		return 1;
	pthread_join(t, NULL);
	wait_for_end_of_input(in);
	return 7;
}

static void *stop_once(void *arg)
{
	struct stop *s;
	struct err e = { 0 };
	enum stop_thread_state *state = arg;

	if (stop_begin(*(pid_t *)arg, &limits, &s, &e))
		return NULL;
	*state = stop_thread(s, 1)->state;
	stop_end(s);
	return s;
}

static void test_a_thread_in_vfork_runs_on(void **state)
{
	struct child c = start(body_vfork);
	pthread_t tracer;
	void *s;
	union {
		pid_t pid;
		enum stop_thread_state state;
	} arg = { .pid = c.pid };

	(void)state;
	assert_int_equal(pthread_create(&tracer, NULL, stop_once, &arg), 0);
	pthread_join(tracer, &s);
	assert_non_null(s);
	assert_int_equal(arg.state, STOP_THREAD_RUNS);
	stop_free(s);
	/* The tracer's thread has ended: the parent of the vfork must not hang in a late stop. */
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

/* Memory was copied while the thread ran: that it stops afterwards must not count. */
static void test_a_late_stop_is_none(void **state)
{
	struct child c = start(body_vfork);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
	assert_int_equal(stop_thread(s, 1)->state, STOP_THREAD_RUNS);
	stop_end(s);
	nap(1200);
	stop_collect_stragglers(s);
	assert_int_equal(stop_thread(s, 1)->state, STOP_THREAD_RUNS);
	stop_free(s);
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

/* Stops that come between two questions are no ends: nobody here ever ends. */
static void test_nobody_ends_by_being_stopped(void **state)
{
	struct child c = start(body_threads);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
		for (size_t k = 0; k < stop_count(s); k++)
			assert_int_not_equal(stop_thread(s, k)->state, STOP_THREAD_ENDED);
		stop_end(s);
		stop_free(s);
	}
	finish(&c);
}

/* Killed while it was stopped: how it ended is for its parent to read, which may be strand. */
static void test_its_end_is_its_parents(void **state)
{
	struct child c = start(body_threads);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	for (int late = 0; late < 2; late++) {
		assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
		if (late)
			stop_end(s);
		kill(c.pid, SIGKILL);
		nap(100);
		stop_collect_stragglers(s);
		stop_end(s);
		stop_collect_stragglers(s);
		stop_free(s);
		assert_int_equal(WTERMSIG(finish(&c)), SIGKILL);
		if (!late)
			c = start(body_threads);
	}
}

static void *churn(void *arg)
{
	return arg;
}

static int body_churn(int out, int in)
{
	if (fcntl(in, F_SETFL, O_NONBLOCK) || write(out, "r", 1) != 1)
		return 1;
	for (;;) {
		pthread_t t[8];
		char byte;

		for (int i = 0; i < 8; i++)
			if (pthread_create(&t[i], NULL, churn, NULL))
				return 2;
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
		if (read(in, &byte, 1) == 0)
			return 7;
	}
}

static void test_threads_that_come_and_go(void **state)
{
	struct child c = start(body_churn);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		int rc = stop_begin(c.pid, &limits, &s, &e);

		assert_int_equal(rc, 0);
		for (size_t k = 0; k < stop_count(s); k++)
			if (stop_thread(s, k)->state == STOP_THREAD_STOPPED)
				assert_int_equal(settled_state(c.pid, stop_thread(s, k)->tid), 't');
		stop_free(s);
	}
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

/* A tracer that is killed while it holds the process lets it go. */
static void test_a_killed_tracer_lets_go(void **state)
{
	struct child c = start(body_threads);
	int ready[2];
	pid_t tracer;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	tracer = fork();
	assert_true(tracer >= 0);
	if (!tracer) {
		struct stop *s;
		struct err e;

		if (stop_begin(c.pid, &limits, &s, &e) || write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(settled_state(c.pid, c.pid), 't');
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	assert_int_equal(settled_state(c.pid, c.pid), 'S');
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
	close(ready[0]);
	close(ready[1]);
}

static void test_a_second_tracer_is_refused(void **state)
{
	struct child c = start(body_threads);
	struct stop *s;
	struct err e = { 0 };
	int status;
	pid_t other;

	(void)state;
	assert_int_equal(stop_begin(c.pid, &limits, &s, &e), 0);
	other = fork();
	assert_true(other >= 0);
	if (!other) {
		struct stop *mine;

		_exit(stop_begin(c.pid, &limits, &mine, &e) == ERR_TRACED ? 0 : 1);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	stop_free(s);
	assert_int_equal(status, 0);
	assert_int_equal(WEXITSTATUS(finish(&c)), 7);
}

static void test_who_is_not_there(void **state)
{
	struct child c = start(body_threads);
	struct stop *s;
	struct err e = { 0 };

	(void)state;
	finish(&c);
	assert_int_equal(stop_begin(c.pid, &limits, &s, &e), ERR_GONE);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_threads_stop_and_go),
		cmocka_unit_test(test_vector_registers),
		cmocka_unit_test(test_no_eintr_is_seen),
		cmocka_unit_test(test_signals_are_delivered_once),
		cmocka_unit_test(test_a_pending_signal_is_seen),
		cmocka_unit_test(test_a_main_thread_that_has_ended),
		cmocka_unit_test(test_a_write_is_not_cut_short),
		cmocka_unit_test(test_a_thread_in_vfork_runs_on),
		cmocka_unit_test(test_a_late_stop_is_none),
		cmocka_unit_test(test_nobody_ends_by_being_stopped),
		cmocka_unit_test(test_its_end_is_its_parents),
		cmocka_unit_test(test_threads_that_come_and_go),
		cmocka_unit_test(test_a_killed_tracer_lets_go),
		cmocka_unit_test(test_a_second_tracer_is_refused),
		cmocka_unit_test(test_who_is_not_there),
	};

	alarm(60); /* a thread left stopped would make a wait endless */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
