/* SPDX-License-Identifier: MIT
 *
 * The frame of the programs that notice what a look does to a blocked call: a table of calls, each
 * with a thread of its own that is blocked in it, and with a release that belongs to it. A call
 * that returns before its release is recorded with its result. At a byte on standard input (or its
 * end) every call is released and has to return what its release gives: a wake-up that was lost
 * or a register that was damaged shows there.
 *
 * run_calls() prints `eintr: none`, or one line for each call that saw something, and gives the exit
 * status, 0 or 1.
 */
#ifndef CALLS_H
#define CALLS_H

#include "../programs/prog.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { LONG_S = 7200, MAGIC = 0x5eed, RELEASE_S = 10 };
enum { WAKE_SIGNAL = 12 /* SIGUSR2 */ };

struct call {
	const char *name;
	void (*open)(struct call *call);    /* in main, before the thread */
	bool (*block)(struct call *call);   /* true if the result is that of a release */
	void (*release)(struct call *call); /* in main, at the end */
	int fd, peer;			    /* what the three share */
	union {
		sem_t sem;
		uint32_t word;
		pid_t child;
		aio_context_t aio;
		struct sockaddr_un address;
	};
	socklen_t address_length;
	pthread_t thread;
	atomic_bool released;
	atomic_long early; /* returns before the release */
	atomic_int early_errno;
	bool right; /* the result after the release */
};

static const struct timespec long_time __attribute__((unused)) = { LONG_S, 0 };

#define CALL(n, o, b, r)                                       \
	{                                                      \
		.name = n, .open = o, .block = b, .release = r \
	}

/* Some calls return only after a handler has run, and then with EINTR. */
static __thread volatile sig_atomic_t handled;

static inline void on_wake_signal(int signal)
{
	handled = signal;
}

static inline void release_queued_signal(struct call *call)
{
	union sigval value = { .sival_int = MAGIC };

	PROG_CHECK(pthread_sigqueue(call->thread, WAKE_SIGNAL, value) == 0);
}

/* Descriptors that become readable: an eventfd, a pair of sockets, a pipe. */

static inline void open_eventfd(struct call *call)
{
	call->fd = eventfd(0, 0);
	PROG_CHECK(call->fd >= 0);
}

static inline void release_eventfd(struct call *call)
{
	uint64_t one = 1;

	PROG_CHECK(write(call->fd, &one, sizeof(one)) == sizeof(one));
}

static inline void open_socketpair(struct call *call)
{
	int end[2];

	PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
	call->fd = end[0];
	call->peer = end[1];
}

static inline void set_receive_timeout(int fd)
{
	struct timeval limit = { LONG_S, 0 };

	PROG_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
}

static inline void open_socketpair_timed(struct call *call)
{
	open_socketpair(call);
	set_receive_timeout(call->fd);
}

static inline void open_pipe(struct call *call)
{
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	call->fd = end[0];
	call->peer = end[1];
}

static inline void release_byte(struct call *call)
{
	PROG_CHECK(write(call->peer, "!", 1) == 1);
}

static inline void open_listener(struct call *call)
{
	call->address.sun_family = AF_UNIX; /* the kernel chooses a name */
	call->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	PROG_CHECK(bind(call->fd, (struct sockaddr *)&call->address, sizeof(sa_family_t)) == 0);
	PROG_CHECK(listen(call->fd, 1) == 0);
	call->address_length = sizeof(call->address);
	PROG_CHECK(getsockname(call->fd, (struct sockaddr *)&call->address,
			       &call->address_length) == 0);
}

static inline void open_listener_timed(struct call *call)
{
	open_listener(call);
	set_receive_timeout(call->fd);
}

static inline void release_connect(struct call *call)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	PROG_CHECK(connect(fd, (struct sockaddr *)&call->address, call->address_length) == 0);
}

static inline void release_nothing(struct call *call)
{
	(void)call;
}

static inline void open_nothing(struct call *call)
{
	(void)call;
}

static void *run_call(void *arg)
{
	struct call *call = arg;

	for (;;) {
		bool right;

		errno = 0;
		right = call->block(call);
		if (atomic_load(&call->released)) {
			call->right = right;
			return NULL;
		}
		atomic_store(&call->early_errno, errno);
		atomic_fetch_add(&call->early, 1);
		usleep(1000);
	}
}

static inline bool release_and_judge(struct call *call)
{
	struct timespec limit;

	atomic_store(&call->released, true);
	call->release(call);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += RELEASE_S;
	if (pthread_timedjoin_np(call->thread, NULL, &limit) != 0) {
		printf("%s: did not return when it was released\n", call->name);
		return false;
	}
	if (call->early != 0) {
		printf("%s: returned %ld times before its release, last with errno %d (%s)\n",
		       call->name, (long)call->early, call->early_errno,
		       strerror(call->early_errno));
		return false;
	}
	if (!call->right)
		printf("%s: another result than its release gives\n", call->name);
	return call->right;
}

static inline int run_calls(struct call *calls, int n)
{
	struct sigaction action = { .sa_handler = on_wake_signal };
	sigset_t all;
	int bad = 0;

	alarm(PROG_LIFETIME_S);
	(void)!unshare(CLONE_NEWIPC); /* so that nothing outlives the program, if it is allowed */
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	PROG_CHECK(sigaction(WAKE_SIGNAL, &action, NULL) == 0);
	for (int i = 0; i < n; i++)
		calls[i].open(&calls[i]);
	for (int i = 0; i < n; i++)
		calls[i].thread = prog_thread(run_call, &calls[i]);
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(50);
	for (int i = 0; i < n; i++)
		bad += !release_and_judge(&calls[i]);
	if (bad == 0)
		printf("eintr: none\n");
	return bad != 0;
}

#endif
