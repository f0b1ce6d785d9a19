/* SPDX-License-Identifier: MIT
 *
 * Children that sleep in a system call, stopped and described as a look does it.
 */
#include "child.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/procfs.h"

/* Is the child asleep in call `number`? */
bool child_sleeps(pid_t pid, long number)
{
	char path[64];
	char text[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	return procfs_read_into(path, text, sizeof(text)) > 0 && text[0] >= '0' && text[0] <= '9' &&
	       strtol(text, NULL, 10) == number;
}

void child_start(struct child *c, void (*block)(void), long number)
{
	int i;

	memset(c, 0, sizeof(*c));
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		block();
		_exit(1);
	}
	for (i = 0; i < 5000 && !child_sleeps(c->pid, number); i++)
		usleep(1000);
	assert_true(i < 5000);
	assert_int_equal(io_names_create(c->pid, &c->names), 0);
	assert_int_equal(snapshot_create(c->pid, &c->snap, NULL), 0);
}

/* Stop it, copy what is wanted, let it go, describe. */
void child_look(struct child *c, long number)
{
	struct iovec iov = { &c->regs, sizeof(c->regs) };
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, c->pid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, c->pid, 0, 0), 0);
	assert_int_equal(waitpid(c->pid, &status, __WALL), c->pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_GETREGSET, c->pid, 1, &iov), 0);
	if (arch_undo_interrupt(&c->regs))
		assert_int_equal(ptrace(PTRACE_SETREGSET, c->pid, 1, &iov), 0);
	assert_int_equal(io_want_memory(&c->regs, c->snap), 0);
	assert_int_equal(snapshot_fetch(c->snap, NULL), 0);
	assert_int_equal(snapshot_unread_pieces(c->snap), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, c->pid, 0, 0), 0);
	io_describe(c->names, number, &c->regs, c->snap, &c->wait);
}

void child_end(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	io_names_free(c->names);
	snapshot_free(c->snap);
}

/* The whole of it for one wait; what was found stays in *w. */
void child_describe(void (*block)(void), long number, struct io_wait *w)
{
	struct child c;

	child_start(&c, block, number);
	child_look(&c, number);
	*w = c.wait;
	child_end(&c);
}

void wait_check(const struct io_wait *w, enum wait_op op, enum object_kind kind, const char *fmt,
		...)
{
	char expected[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(expected, sizeof(expected), fmt, ap);
	va_end(ap);
	assert_string_equal(w->text, expected);
	assert_int_equal(w->op, op);
	assert_int_equal(w->kind, kind);
}

void wait_check_no_deadline(const struct io_wait *w)
{
	assert_false(w->has_deadline);
	assert_true(w->deadline_left_ns == TIME_UNKNOWN && w->duration_ns == TIME_UNKNOWN);
}

/* A deadline a bit less than `left` away; 0: not known. The same for the duration, exactly. */
void wait_check_deadline(const struct io_wait *w, int64_t left, int64_t duration)
{
	assert_true(w->has_deadline);
	assert_int_equal(w->duration_ns, duration ? duration : TIME_UNKNOWN);
	if (!left)
		assert_int_equal(w->deadline_left_ns, TIME_UNKNOWN);
	else if (w->deadline_left_ns > left || w->deadline_left_ns < left - 30 * SECOND)
		fail_msg("%lld ns left", (long long)w->deadline_left_ns);
}

const char *link_of(int fd)
{
	static char to[256];
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, to, sizeof(to) - 1);
	assert_true(n > 0);
	to[n] = '\0';
	return to;
}
