/* SPDX-License-Identifier: MIT
 *
 * One function for each way to wait for something outside the program, or to run: none of them
 * returns within a test. A thread in any of them is live, so whatever it holds or could post
 * is not lost. live_wait() calls the one with the given name. No handler is installed.
 *
 * System V objects live in an IPC namespace of the process's own where that is allowed, else
 * under one fixed key, so that a killed program leaves at most one of each behind.
 */
#ifndef LIVE_WAITS_H
#define LIVE_WAITS_H

#include "prog.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { LIVE_IPC_KEY = 0x7374726e };

/* A descriptor that never becomes readable; its other end stays open. */
static int live_quiet_socket(void)
{
	int end[2];

	PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	return end[0];
}

static int live_quiet_pipe(void)
{
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	return end[0];
}

static sigset_t live_blocked(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	return set;
}

/* A process that sleeps as long as its parent lives; it takes the lock first if there is one. */
static pid_t live_sleeping_child(int lock_fd)
{
	int ready[2];
	char byte;
	pid_t child;

	PROG_CHECK(pipe(ready) == 0);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0) {
		struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(PROG_LIFETIME_S);
		if (lock_fd >= 0)
			PROG_CHECK(fcntl(lock_fd, F_SETLKW, &whole) == 0);
		PROG_CHECK(write(ready[1], "", 1) == 1);
		prog_sleep_long();
		_exit(0);
	}
	PROG_CHECK(read(ready[0], &byte, 1) == 1);
	return child;
}

static int live_temporary_file(void)
{
	int fd = memfd_create("lock", 0);

	PROG_CHECK(fd >= 0);
	return fd;
}

static void live_nanosleep(void)
{
	prog_sleep_long();
}

static void live_clock_nanosleep(void)
{
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &far, NULL);
}

static void live_pause(void)
{
	pause();
}

static void live_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigsuspend(&none);
}

static void live_sigwait(void)
{
	sigset_t set = live_blocked(SIGUSR2);

	while (sigwaitinfo(&set, NULL) < 0)
		;
}

static void live_sigtimedwait(void)
{
	sigset_t set = live_blocked(SIGUSR2);
	struct timespec limit = { PROG_LIFETIME_S, 0 };

	while (sigtimedwait(&set, NULL, &limit) < 0)
		;
}

static void live_poll(void)
{
	struct pollfd fd = { live_quiet_socket(), POLLIN, 0 };

	poll(&fd, 1, -1);
}

static void live_poll_timed(void)
{
	poll(NULL, 0, PROG_LIFETIME_S * 1000);
}

static void live_ppoll(void)
{
	struct pollfd fd = { live_quiet_socket(), POLLIN, 0 };

	ppoll(&fd, 1, NULL, NULL);
}

static void live_select(void)
{
	int fd = live_quiet_socket();
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	select(fd + 1, &set, NULL, NULL, NULL);
}

static void live_pselect(void)
{
	struct timespec limit = { PROG_LIFETIME_S, 0 };

	pselect(0, NULL, NULL, NULL, &limit, NULL);
}

static void live_epoll(void)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	PROG_CHECK(fd >= 0);
	while (epoll_wait(fd, &event, 1, -1) < 0)
		;
}

static void live_epoll_pwait(void)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	PROG_CHECK(fd >= 0);
	while (epoll_pwait(fd, &event, 1, PROG_LIFETIME_S * 1000, NULL) < 0)
		;
}

static void live_pipe_read(void)
{
	char byte;

	PROG_CHECK(read(live_quiet_pipe(), &byte, 1) == 1);
}

static void live_pipe_write(void)
{
	static char zeros[65536];
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	for (;;)
		PROG_CHECK(write(end[1], zeros, sizeof(zeros)) > 0);
}

static void live_recv(void)
{
	char byte;

	PROG_CHECK(recv(live_quiet_socket(), &byte, 1, 0) == 1);
}

static void live_recv_timeout(void)
{
	struct timeval limit = { PROG_LIFETIME_S, 0 };
	int fd = live_quiet_socket();
	char byte;

	PROG_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	while (recv(fd, &byte, 1, 0) < 0)
		;
}

static void live_recvmsg(void)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	PROG_CHECK(recvmsg(live_quiet_socket(), &header, 0) == 1);
}

static void live_accept(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	PROG_CHECK(bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)) == 0);
	PROG_CHECK(listen(fd, 1) == 0);
	PROG_CHECK(accept(fd, NULL, NULL) >= 0);
}

static void live_eventfd(void)
{
	uint64_t count;

	PROG_CHECK(read(eventfd(0, 0), &count, sizeof(count)) == sizeof(count));
}

static void live_timerfd(void)
{
	struct itimerspec far = { .it_value = { PROG_LIFETIME_S, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t count;

	PROG_CHECK(timerfd_settime(fd, 0, &far, NULL) == 0);
	PROG_CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
}

static void live_signalfd(void)
{
	sigset_t set = live_blocked(SIGUSR2);
	struct signalfd_siginfo info;

	PROG_CHECK(read(signalfd(-1, &set, 0), &info, sizeof(info)) == sizeof(info));
}

static void live_inotify(void)
{
	char event[512];

	PROG_CHECK(read(inotify_init1(0), event, sizeof(event)) > 0);
}

static void live_fifo_open(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/strand-fifo-%d", (int)getpid());
	unlink(name);
	PROG_CHECK(mkfifo(name, 0600) == 0);
	if (fork() == 0) { /* the name is not needed once the open waits */
		prog_nap_ms(200);
		unlink(name);
		_exit(0);
	}
	PROG_CHECK(open(name, O_RDONLY) >= 0);
}

static void live_flock(void)
{
	char path[64];
	int fd = live_temporary_file();
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	PROG_CHECK(again >= 0 && flock(fd, LOCK_EX) == 0);
	flock(again, LOCK_EX);
}

static void live_fcntl_lock(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = live_temporary_file();

	live_sleeping_child(fd);
	fcntl(fd, F_SETLKW, &whole);
}

static void live_waitpid(void)
{
	waitpid(live_sleeping_child(-1), NULL, 0);
}

static void live_waitid(void)
{
	siginfo_t info;

	waitid(P_PID, live_sleeping_child(-1), &info, WEXITED);
}

static void live_msgrcv(void)
{
	struct {
		long type;
		char text[8];
	} message;
	int queue;

	(void)!unshare(CLONE_NEWIPC);
	queue = msgget(LIVE_IPC_KEY, IPC_CREAT | 0600);
	PROG_CHECK(queue >= 0);
	msgrcv(queue, &message, sizeof(message.text), 0, 0);
}

static void live_semop(void)
{
	struct sembuf take = { 0, -1, 0 };
	int set;

	(void)!unshare(CLONE_NEWIPC);
	set = semget(LIVE_IPC_KEY, 1, IPC_CREAT | 0600);
	PROG_CHECK(set >= 0);
	while (semop(set, &take, 1) != 0)
		;
}

static void live_mq_receive(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64], message[8];
	mqd_t queue;

	snprintf(name, sizeof(name), "/strand-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	PROG_CHECK(queue != (mqd_t)-1 && mq_unlink(name) == 0);
	mq_receive(queue, message, sizeof(message), NULL);
}

static void live_io_getevents(void)
{
	aio_context_t context = 0;
	struct io_event event;

	PROG_CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	while (syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) < 0)
		;
}

static void live_futex_timed(void)
{
	static int word;
	struct timespec limit = { PROG_LIFETIME_S, 0 };

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
}

/* futex_waitv with a deadline; the kernel's header for it is newer than its number. */
static void live_futex_waitv(void)
{
	static int word;
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter = { 0, (uintptr_t)&word, 2 | FUTEX_PRIVATE_FLAG, 0 };
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	syscall(449, &waiter, 1, 0, &far, CLOCK_MONOTONIC);
}

static void live_sem_timed(void)
{
	static sem_t sem;
	struct timespec far = prog_far(CLOCK_REALTIME);

	sem_init(&sem, 0, 0);
	while (sem_timedwait(&sem, &far) != 0 && errno == EINTR)
		;
}

static void live_spin(void)
{
	volatile unsigned long turns = 0;

	(void)!nice(19);
	for (;;)
		turns++;
}

static void live_duty(void)
{
	for (;;) {
		for (int i = 0; i < 1000; i++)
			sched_yield();
		usleep(2000);
	}
}

static inline void live_wait(const char *name)
{
	static const struct {
		const char *name;
		void (*wait)(void);
	} known[] = {
		{ "nanosleep", live_nanosleep },
		{ "clock_nanosleep", live_clock_nanosleep },
		{ "pause", live_pause },
		{ "sigsuspend", live_sigsuspend },
		{ "sigwait", live_sigwait },
		{ "sigtimedwait", live_sigtimedwait },
		{ "poll", live_poll },
		{ "poll_timed", live_poll_timed },
		{ "ppoll", live_ppoll },
		{ "select", live_select },
		{ "pselect", live_pselect },
		{ "epoll", live_epoll },
		{ "epoll_pwait", live_epoll_pwait },
		{ "pipe_read", live_pipe_read },
		{ "pipe_write", live_pipe_write },
		{ "recv", live_recv },
		{ "recv_timeout", live_recv_timeout },
		{ "recvmsg", live_recvmsg },
		{ "accept", live_accept },
		{ "eventfd", live_eventfd },
		{ "timerfd", live_timerfd },
		{ "signalfd", live_signalfd },
		{ "inotify", live_inotify },
		{ "fifo_open", live_fifo_open },
		{ "flock", live_flock },
		{ "fcntl_lock", live_fcntl_lock },
		{ "waitpid", live_waitpid },
		{ "waitid", live_waitid },
		{ "msgrcv", live_msgrcv },
		{ "semop", live_semop },
		{ "mq_receive", live_mq_receive },
		{ "io_getevents", live_io_getevents },
		{ "futex_timed", live_futex_timed },
		{ "futex_waitv", live_futex_waitv },
		{ "sem_timed", live_sem_timed },
		{ "spin", live_spin },
		{ "duty", live_duty },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, name) == 0) {
			known[i].wait();
			return;
		}
	}
	fprintf(stderr, "no such wait: %s\n", name);
	_exit(99);
}

#endif
