/* SPDX-License-Identifier: MIT
 *
 * Waits in system calls: for each kind a child sleeps in the call, is stopped as a look would stop
 * it, and its text and kind are compared with what the call was made to wait for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "target/procfs.h"

/* What children read their arguments from: at the same address in parent and child. */
static struct {
	int fd;
	pid_t pid;
	struct timespec request;
	sigset_t signals;
	char path[108];
	int kind;
} arg;

static char directory[] = "/tmp/strand-io-XXXXXX";

/* Pipes, files and what the kernel makes. */

static void block_in_read(void)
{
	uint64_t value; /* what eventfd and timerfd give */

	(void)!read(arg.fd, &value, sizeof(value));
}

static void block_in_write(void)
{
	static char page[4096];

	for (;;)
		(void)!write(arg.fd, page, sizeof(page));
}

static void test_pipe(void **state)
{
	struct io_wait w;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	arg.fd = fd[0];
	child_describe(block_in_read, SYS_read, &w);
	wait_check(&w, OP_IO, OBJECT_PIPE, "read(%d) %s", fd[0], link_of(fd[0]));
	wait_check_no_deadline(&w);
	arg.fd = fd[1];
	child_describe(block_in_write, SYS_write, &w);
	wait_check(&w, OP_IO, OBJECT_PIPE, "write(%d) %s", fd[1], link_of(fd[1]));
	close(fd[0]);
	close(fd[1]);
}

static void block_in_open(void)
{
	open(arg.path, O_RDONLY);
}

static void test_fifo(void **state)
{
	struct io_wait w;

	(void)state;
	snprintf(arg.path, sizeof(arg.path), "%s/fi\tfo", directory);
	assert_int_equal(mkfifo(arg.path, 0600), 0);
	child_describe(block_in_open, SYS_openat, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "openat %s/fi?fo", directory);
	wait_check_no_deadline(&w);
	arg.fd = open(arg.path, O_RDWR);
	child_describe(block_in_read, SYS_read, &w);
	wait_check(&w, OP_IO, OBJECT_PIPE, "read(%d) fifo %s/fi?fo", arg.fd, directory);
	close(arg.fd);
	unlink(arg.path);
}

static void test_eventfd(void **state)
{
	struct io_wait w;

	(void)state;
	arg.fd = eventfd(0, 0);
	child_describe(block_in_read, SYS_read, &w);
	wait_check(&w, OP_IO, OBJECT_EVENTFD, "read(%d) eventfd", arg.fd);
	wait_check_no_deadline(&w);
	close(arg.fd);
}

static void test_timerfd(void **state)
{
	struct itimerspec in_500s = { .it_value = { 500, 0 } };
	struct io_wait w;

	(void)state;
	arg.fd = timerfd_create(CLOCK_MONOTONIC, 0);
	child_describe(block_in_read, SYS_read, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "read(%d) timerfd", arg.fd);
	wait_check_no_deadline(&w);
	assert_int_equal(timerfd_settime(arg.fd, 0, &in_500s, NULL), 0);
	child_describe(block_in_read, SYS_read, &w);
	wait_check_deadline(&w, 500 * SECOND, 0);
	close(arg.fd);
}

static void block_in_flock(void)
{
	flock(open(arg.path, O_RDWR), LOCK_EX);
}

static void block_in_fcntl(void)
{
	struct flock whole = { .l_type = F_WRLCK };

	fcntl(arg.fd, F_SETLKW, &whole);
}

static void test_file_locks(void **state)
{
	struct flock whole = { .l_type = F_WRLCK };
	struct io_wait w;
	int fd;

	(void)state;
	snprintf(arg.path, sizeof(arg.path), "%s/lock", directory);
	fd = open(arg.path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	child_describe(block_in_flock, SYS_flock, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "flock(%d) %s/lock", fd + 1, directory);
	assert_int_equal(fcntl(fd, F_SETLK, &whole), 0);
	arg.fd = fd;
	child_describe(block_in_fcntl, SYS_fcntl, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "fcntl(%d) %s/lock", fd, directory);
	wait_check_no_deadline(&w);
	close(fd);
	unlink(arg.path);
}

/* Children, signals, and the other ways to wait. */

/* A child of the child, which must not outlive it. */
static void fork_sleeper(void)
{
	pid_t parent = getpid();

	arg.pid = fork();
	if (arg.pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	if (getppid() == parent)
		pause();
	_exit(0);
}

static void block_in_wait4(void)
{
	fork_sleeper();
	waitpid(arg.kind ? arg.pid : -1, NULL, 0);
}

static void block_in_waitid(void)
{
	siginfo_t info;

	fork_sleeper();
	if (arg.kind == P_PIDFD)
		arg.pid = (pid_t)syscall(SYS_pidfd_open, arg.pid, 0);
	waitid((idtype_t)arg.kind, arg.kind == P_ALL ? 0 : (id_t)arg.pid, &info, WEXITED);
}

static int child_of(pid_t pid)
{
	char path[64];
	char text[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	assert_true(procfs_read_into(path, text, sizeof(text)) > 0);
	return atoi(text);
}

static void test_wait(void **state)
{
	struct child c;

	(void)state;
	arg.kind = 1;
	child_start(&c, block_in_wait4, SYS_wait4);
	child_look(&c, SYS_wait4);
	wait_check(&c.wait, OP_IO, OBJECT_NONE, "wait4(child %d)", child_of(c.pid));
	wait_check_no_deadline(&c.wait);
	child_end(&c);
	arg.kind = 0;
	child_describe(block_in_wait4, SYS_wait4, &c.wait);
	wait_check(&c.wait, OP_IO, OBJECT_NONE, "wait4(any child)");
	arg.kind = P_PID;
	child_start(&c, block_in_waitid, SYS_waitid);
	child_look(&c, SYS_waitid);
	wait_check(&c.wait, OP_IO, OBJECT_NONE, "waitid(child %d)", child_of(c.pid));
	child_end(&c);
	arg.kind = P_ALL;
	child_describe(block_in_waitid, SYS_waitid, &c.wait);
	wait_check(&c.wait, OP_IO, OBJECT_NONE, "waitid(any child)");
}

static void test_wait_pidfd(void **state)
{
	struct child c;
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	(void)state;
	if (fd < 0)
		skip();
	close(fd);
	arg.kind = P_PIDFD;
	child_start(&c, block_in_waitid, SYS_waitid);
	child_look(&c, SYS_waitid);
	assert_true(!strncmp(c.wait.text, "waitid(", 7) && strstr(c.wait.text, "pidfd"));
	assert_int_equal(c.wait.kind, OBJECT_OTHER);
	child_end(&c);
}

static void block_in_pause(void)
{
	syscall(SYS_pause);
}

static void block_in_sigsuspend(void)
{
	sigsuspend(&arg.signals);
}

static void block_in_sigwait(void)
{
	syscall(SYS_rt_sigtimedwait, &arg.signals, NULL, arg.request.tv_sec ? &arg.request : NULL,
		8);
}

static void test_signals(void **state)
{
	struct io_wait w;

	(void)state;
	sigemptyset(&arg.signals);
	child_describe(block_in_pause, SYS_pause, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "pause");
	wait_check_no_deadline(&w);
	child_describe(block_in_sigsuspend, SYS_rt_sigsuspend, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "rt_sigsuspend");
	sigaddset(&arg.signals, SIGTERM);
	sigaddset(&arg.signals, SIGUSR1);
	sigaddset(&arg.signals, SIGRTMIN + 3);
	arg.request = (struct timespec){ 0, 0 };
	child_describe(block_in_sigwait, SYS_rt_sigtimedwait, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "rt_sigtimedwait(SIGUSR1, SIGTERM, SIGRTMIN+3)");
	wait_check_no_deadline(&w);
	sigfillset(&arg.signals);
	arg.request.tv_sec = 90;
	child_describe(block_in_sigwait, SYS_rt_sigtimedwait, &w);
	assert_non_null(strstr(w.text, " signals)"));
	wait_check_deadline(&w, 0, 90 * SECOND);
}

static void block_in_semop(void)
{
	struct sembuf down = { 0, -1, 0 };

	syscall(SYS_semtimedop, arg.fd, &down, 1, arg.request.tv_sec ? &arg.request : NULL);
}

static void block_in_msgrcv(void)
{
	char message[64];

	msgrcv(arg.fd, message, sizeof(message) - sizeof(long), 0, 0);
}

static void test_system_v(void **state)
{
	struct io_wait w;

	(void)state;
	arg.fd = semget(IPC_PRIVATE, 1, 0600);
	if (arg.fd < 0)
		skip();
	arg.request = (struct timespec){ 0, 0 };
	child_describe(block_in_semop, SYS_semtimedop, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "semtimedop(set %d)", arg.fd);
	wait_check_no_deadline(&w);
	arg.request.tv_sec = 66;
	child_describe(block_in_semop, SYS_semtimedop, &w);
	wait_check_deadline(&w, 0, 66 * SECOND);
	semctl(arg.fd, 0, IPC_RMID);
	arg.fd = msgget(IPC_PRIVATE, 0600);
	child_describe(block_in_msgrcv, SYS_msgrcv, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "msgrcv(queue %d)", arg.fd);
	msgctl(arg.fd, IPC_RMID, NULL);
}

static void block_in_mq(void)
{
	char message[8192];

	syscall(SYS_mq_timedreceive, arg.fd, message, sizeof(message), NULL,
		arg.request.tv_sec ? &arg.request : NULL);
}

static void test_message_queue(void **state)
{
	char name[64];
	struct io_wait w;

	(void)state;
	snprintf(name, sizeof(name), "/strand-test-%d", (int)getpid());
	arg.fd = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
	if (arg.fd < 0)
		skip();
	arg.request = (struct timespec){ 0, 0 };
	child_describe(block_in_mq, SYS_mq_timedreceive, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "mq_timedreceive(%d) %s", arg.fd, name);
	wait_check_no_deadline(&w);
	clock_gettime(CLOCK_REALTIME, &arg.request);
	arg.request.tv_sec += 123;
	child_describe(block_in_mq, SYS_mq_timedreceive, &w);
	wait_check_deadline(&w, 123 * SECOND, 0);
	mq_close(arg.fd);
	mq_unlink(name);
}

static void block_in_io_getevents(void)
{
	static char events[64];
	unsigned long context = 0;

	syscall(SYS_io_setup, 1, &context);
	syscall(SYS_io_getevents, context, 1, 1, events, &arg.request);
}

static void test_io_getevents(void **state)
{
	unsigned long context = 0;
	struct io_wait w;

	(void)state;
	if (syscall(SYS_io_setup, 1, &context) != 0)
		skip();
	syscall(SYS_io_destroy, context);
	arg.request = (struct timespec){ 55, 0 };
	child_describe(block_in_io_getevents, SYS_io_getevents, &w);
	wait_check(&w, OP_IO, OBJECT_NONE, "io_getevents");
	wait_check_deadline(&w, 0, 55 * SECOND);
}

static void block_in_futex_waitv(void)
{
	static uint32_t word;
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} v = { 0, (uintptr_t)&word, 2 | 128, 0 };

	syscall(SYS_futex_waitv, &v, 1, 0, &arg.request, CLOCK_MONOTONIC);
}

static void test_futex_waitv(void **state)
{
	struct io_wait w;

	(void)state;
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		skip();
	clock_gettime(CLOCK_MONOTONIC, &arg.request);
	arg.request.tv_sec += 44;
	child_describe(block_in_futex_waitv, SYS_futex_waitv, &w);
	wait_check(&w, OP_OTHER, OBJECT_NONE, "futex_waitv(1 word)");
	wait_check_deadline(&w, 44 * SECOND, 0);
}

/* No process needed. */

static void test_names(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(io_syscall_name(0, buf, sizeof(buf)), "read");
	assert_string_equal(io_syscall_name(SYS_futex, buf, sizeof(buf)), "futex");
	assert_string_equal(io_syscall_name(SYS_futex_waitv, buf, sizeof(buf)), "futex_waitv");
	assert_string_equal(io_syscall_name(400, buf, sizeof(buf)), "syscall_400");
	assert_string_equal(io_syscall_name(99999, buf, sizeof(buf)), "syscall_99999");
	assert_string_equal(io_syscall_name(-1, buf, sizeof(buf)), "syscall_-1");
}

/* Any registers and no memory: some text, printable, and nothing else happens. */
static void test_garbage(void **state)
{
	static const uint64_t values[] = {
		0,	    1,		3,	    99,	   0x7fffffff,
		1ull << 32, 1ull << 46, 1ull << 63, ~0ull, 0xffffffff00000005ull
	};
	const size_t n = sizeof(values) / sizeof(*values);
	struct io_names *names;
	struct snapshot *snap;
	unsigned seed = 1;
	long number;
	int round;

	(void)state;
	assert_int_equal(io_names_create(getpid(), &names), 0);
	assert_int_equal(snapshot_create(getpid(), &snap, NULL), 0);
	for (number = -1; number < 480; number++)
		for (round = 0; round < 20; round++) {
			struct arch_regs regs = { 0 };
			struct io_wait w;
			size_t i;

			regs.raw.orig_rax = (unsigned long long)number;
			regs.raw.rdi = values[(size_t)rand_r(&seed) % n];
			regs.raw.rsi = values[(size_t)rand_r(&seed) % n];
			regs.raw.rdx = values[(size_t)rand_r(&seed) % n];
			regs.raw.r10 = values[(size_t)rand_r(&seed) % n];
			regs.raw.r8 = values[(size_t)rand_r(&seed) % n];
			regs.raw.rax = (unsigned long long)-(rand_r(&seed) % 520);
			memset(&w, 0xff, sizeof(w));
			assert_int_equal(io_want_memory(&regs, snap), 0);
			io_describe(names, number, &regs, snap, &w);
			assert_non_null(memchr(w.text, '\0', sizeof(w.text)));
			assert_true(w.text[0]);
			for (i = 0; w.text[i]; i++)
				assert_true(w.text[i] >= ' ' && w.text[i] <= '~');
		}
	assert_int_equal(snapshot_fetch(snap, NULL), 0);
	io_names_free(names);
	snapshot_free(snap);
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
		cmocka_unit_test(test_pipe),	     cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_eventfd),	     cmocka_unit_test(test_timerfd),
		cmocka_unit_test(test_file_locks),   cmocka_unit_test(test_wait),
		cmocka_unit_test(test_wait_pidfd),   cmocka_unit_test(test_signals),
		cmocka_unit_test(test_system_v),     cmocka_unit_test(test_message_queue),
		cmocka_unit_test(test_io_getevents), cmocka_unit_test(test_futex_waitv),
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
