/* SPDX-License-Identifier: MIT
 *
 * Threads in calls with a deadline that is near, again and again: each call has to end by its
 * deadline, neither early nor much late, however often it is looked at. A call that a look starts
 * anew with its full time would never end while looks follow each other closely.
 *
 * At a byte on standard input (or its end) it prints `ok`, or what was wrong, and exits with 0 or 1.
 */
#include "calls.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { LIMIT_MS = 300, LATE_MS = 1500, CALL_EPOLL_PWAIT2 = 441 };

struct wait {
	const char *name;
	bool (*timed_out)(void); /* waits once; true if the result is that of a deadline */
	atomic_long turns, early, late, wrong;
	atomic_long longest_ms;
	pthread_t thread;
};

static const struct timespec limit = { 0, LIMIT_MS * 1000000 };
static atomic_bool stop;

static struct timespec deadline(clockid_t clock)
{
	struct timespec when;

	clock_gettime(clock, &when);
	when.tv_nsec += limit.tv_nsec;
	when.tv_sec += when.tv_nsec / 1000000000;
	when.tv_nsec %= 1000000000;
	return when;
}

static int quiet_fd(void)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = eventfd(0, EFD_NONBLOCK);
	return fd;
}

static int quiet_socket(void)
{
	static __thread int end[2] = { -1, -1 };
	struct timeval time = { 0, LIMIT_MS * 1000 };

	if (end[0] < 0) {
		PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, end) == 0);
		PROG_CHECK(setsockopt(end[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0);
	}
	return end[0];
}

static int epoll_fd(void)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = epoll_create1(0);
	return fd;
}

static bool epoll_wait_out(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_fd(), &event, 1, LIMIT_MS) == 0;
}

static bool epoll_pwait_out(void)
{
	struct epoll_event event;
	sigset_t all;

	sigfillset(&all);
	return epoll_pwait(epoll_fd(), &event, 1, LIMIT_MS, &all) == 0;
}

static bool epoll_pwait2_out(void)
{
	struct epoll_event event;

	return syscall(CALL_EPOLL_PWAIT2, epoll_fd(), &event, 1, &limit, NULL, 8) == 0;
}

static bool poll_out(void)
{
	struct pollfd fd = { quiet_fd(), POLLIN, 0 };

	return poll(&fd, 1, LIMIT_MS) == 0;
}

static bool ppoll_out(void)
{
	struct pollfd fd = { quiet_fd(), POLLIN, 0 };

	return ppoll(&fd, 1, &limit, NULL) == 0;
}

static bool select_out(void)
{
	struct timeval time = { 0, LIMIT_MS * 1000 };

	return select(0, NULL, NULL, NULL, &time) == 0;
}

static bool pselect_out(void)
{
	return pselect(0, NULL, NULL, NULL, &limit, NULL) == 0;
}

static bool nanosleep_out(void)
{
	return nanosleep(&limit, NULL) == 0;
}

static bool clock_nanosleep_out(void)
{
	struct timespec until = deadline(CLOCK_REALTIME);

	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0;
}

static bool sigtimedwait_out(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	return sigtimedwait(&set, NULL, &limit) == -1 && errno == EAGAIN;
}

static bool recv_out(void)
{
	char byte;

	return recv(quiet_socket(), &byte, 1, 0) == -1 && errno == EAGAIN;
}

static bool accept_out(void)
{
	static __thread struct call listener = { .fd = -1 };
	struct timeval time = { 0, LIMIT_MS * 1000 };

	if (listener.fd < 0) {
		open_listener(&listener);
		PROG_CHECK(setsockopt(listener.fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) ==
			   0);
	}
	return accept(listener.fd, NULL, NULL) == -1 && errno == EAGAIN;
}

static bool semtimedop_out(void)
{
	static __thread int set = -1;
	struct sembuf take = { 0, -1, 0 };

	if (set < 0)
		set = semget(IPC_PRIVATE, 1, 0600);
	return semtimedop(set, &take, 1, &limit) == -1 && errno == EAGAIN;
}

static bool io_getevents_out(void)
{
	static __thread aio_context_t context;
	struct timespec time = limit;
	struct io_event event;

	if (context == 0)
		PROG_CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	return syscall(SYS_io_getevents, context, 1L, 1L, &event, &time) == 0;
}

static bool futex_out(void)
{
	static uint32_t word;

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) == -1 &&
	       errno == ETIMEDOUT;
}

static bool sem_timedwait_out(void)
{
	static sem_t sem;
	struct timespec until = deadline(CLOCK_REALTIME);

	return sem_timedwait(&sem, &until) == -1 && errno == ETIMEDOUT;
}

static bool cond_timedwait_out(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec until = deadline(CLOCK_REALTIME);
	int rc;

	pthread_mutex_lock(&mutex);
	rc = pthread_cond_timedwait(&cond, &mutex, &until);
	pthread_mutex_unlock(&mutex);
	return rc == ETIMEDOUT;
}

static bool mq_timedreceive_out(void)
{
	static __thread mqd_t queue = -1;
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct timespec until = deadline(CLOCK_REALTIME);
	char name[64], text[8];

	if (queue == -1) {
		snprintf(name, sizeof(name), "/strand-deadlines-%d", (int)getpid());
		queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
		PROG_CHECK(queue != -1 && mq_unlink(name) == 0);
	}
	return mq_timedreceive(queue, text, sizeof(text), NULL, &until) == -1 && errno == ETIMEDOUT;
}

#define WAIT(n, f)                        \
	{                                 \
		.name = n, .timed_out = f \
	}

static struct wait waits[] = {
	WAIT("epoll_wait", epoll_wait_out),
	WAIT("epoll_pwait", epoll_pwait_out),
	WAIT("epoll_pwait2", epoll_pwait2_out),
	WAIT("poll", poll_out),
	WAIT("ppoll", ppoll_out),
	WAIT("select", select_out),
	WAIT("pselect", pselect_out),
	WAIT("nanosleep", nanosleep_out),
	WAIT("clock_nanosleep", clock_nanosleep_out),
	WAIT("sigtimedwait", sigtimedwait_out),
	WAIT("recv, SO_RCVTIMEO", recv_out),
	WAIT("accept, SO_RCVTIMEO", accept_out),
	WAIT("semtimedop", semtimedop_out),
	WAIT("io_getevents", io_getevents_out),
	WAIT("futex", futex_out),
	WAIT("sem_timedwait", sem_timedwait_out),
	WAIT("pthread_cond_timedwait", cond_timedwait_out),
	WAIT("mq_timedreceive", mq_timedreceive_out),
};

enum { WAITS = sizeof(waits) / sizeof(*waits) };

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *wait_on(void *arg)
{
	struct wait *wait = arg;

	while (!atomic_load(&stop)) {
		long begin = now_ms(), took;

		if (!wait->timed_out())
			atomic_fetch_add(&wait->wrong, 1);
		took = now_ms() - begin;
		atomic_fetch_add(&wait->turns, 1);
		atomic_fetch_add(&wait->early, took < LIMIT_MS - 2);
		atomic_fetch_add(&wait->late, took > LIMIT_MS + LATE_MS);
		if (took > wait->longest_ms)
			atomic_store(&wait->longest_ms, took);
	}
	return NULL;
}

int main(void)
{
	bool held = true;
	sigset_t all;

	alarm(PROG_LIFETIME_S);
	(void)!unshare(CLONE_NEWIPC);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	for (int i = 0; i < WAITS; i++)
		waits[i].thread = prog_thread(wait_on, &waits[i]);
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(20);
	atomic_store(&stop, true);
	for (int i = 0; i < WAITS; i++) {
		struct wait *wait = &waits[i];

		pthread_join(wait->thread, NULL);
		if (wait->wrong == 0 && wait->early == 0 && wait->late == 0)
			continue;
		held = false;
		printf("%s: of %ld waits %ld gave a wrong result, %ld were early, %ld late; the longest "
		       "took %ld ms\n",
		       wait->name, (long)wait->turns, (long)wait->wrong, (long)wait->early,
		       (long)wait->late, (long)wait->longest_ms);
	}
	fflush(stdout);
	prog_end(held);
}
