/* SPDX-License-Identifier: MIT
 *
 * 28 threads, each blocked in one of 28 system calls, all of which ptrace can disturb: eight of
 * them return EINTR after a mere stop unless the stop is undone with care. Nothing here may be
 * noticed by the program while it is looked at. See calls.h for how it ends and what it prints.
 */
#include "calls.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

static bool block_read(struct call *call)
{
	char byte = 0;

	return read(call->fd, &byte, 1) == 1 && byte == '!';
}

static bool block_recv(struct call *call)
{
	char byte = 0;

	return recv(call->fd, &byte, 1, 0) == 1 && byte == '!';
}

static bool block_accept(struct call *call)
{
	return accept(call->fd, NULL, NULL) >= 0;
}

/* Waits for many descriptors. */

static void open_epoll(struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = MAGIC };

	open_eventfd(call);
	call->peer = epoll_create1(0);
	PROG_CHECK(epoll_ctl(call->peer, EPOLL_CTL_ADD, call->fd, &event) == 0);
}

static bool block_epoll_wait(struct call *call)
{
	struct epoll_event event[4];

	return epoll_wait(call->peer, event, 4, -1) == 1 && event[0].data.u64 == MAGIC;
}

static bool block_epoll_wait_timed(struct call *call)
{
	struct epoll_event event[4];

	return epoll_wait(call->peer, event, 4, LONG_S * 100) == 1 && event[0].data.u64 == MAGIC;
}

static bool block_epoll_pwait(struct call *call)
{
	struct epoll_event event[4];
	sigset_t all;

	sigfillset(&all);
	return epoll_pwait(call->peer, event, 4, -1, &all) == 1 && event[0].data.u64 == MAGIC;
}

static bool block_poll(struct call *call)
{
	struct pollfd fd = { call->fd, POLLIN, 0 };

	return poll(&fd, 1, -1) == 1 && fd.revents == POLLIN;
}

static bool block_ppoll(struct call *call)
{
	struct pollfd fd = { call->fd, POLLIN, 0 };

	return ppoll(&fd, 1, &long_time, NULL) == 1 && fd.revents == POLLIN;
}

static bool block_select(struct call *call)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(call->fd, &set);
	return select(call->fd + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(call->fd, &set);
}

static bool block_pselect(struct call *call)
{
	sigset_t all;
	fd_set set;

	sigfillset(&all);
	FD_ZERO(&set);
	FD_SET(call->fd, &set);
	return pselect(call->fd + 1, &set, NULL, NULL, &long_time, &all) == 1 &&
	       FD_ISSET(call->fd, &set);
}

/* Signals. Each thread blocks all of them but where it says otherwise. */

static bool wait_for_signal(const struct timespec *limit)
{
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	return (limit ? sigtimedwait(&set, &info, limit) : sigwaitinfo(&set, &info)) ==
		       WAKE_SIGNAL &&
	       info.si_value.sival_int == MAGIC;
}

static bool block_sigwaitinfo(struct call *call)
{
	(void)call;
	return wait_for_signal(NULL);
}

static bool block_sigtimedwait(struct call *call)
{
	(void)call;
	return wait_for_signal(&long_time);
}

static bool block_pause(struct call *call)
{
	sigset_t set;

	(void)call;
	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return pause() == -1 && errno == EINTR && handled == WAKE_SIGNAL;
}

static bool block_sigsuspend(struct call *call)
{
	sigset_t none;

	(void)call;
	sigemptyset(&none);
	return sigsuspend(&none) == -1 && errno == EINTR && handled == WAKE_SIGNAL;
}

/* Time: these are not released, they sleep on and on and must be neither short nor long. */

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static bool slept(double begin, double length)
{
	double took = now_s() - begin;

	return took >= length && took < length + 5;
}

static bool block_nanosleep(struct call *call)
{
	while (!call->released) {
		struct timespec nap = { 0, 400000000 };
		double begin = now_s();

		if (nanosleep(&nap, NULL) != 0 || !slept(begin, 0.4))
			return false;
	}
	return true;
}

static bool block_clock_nanosleep(struct call *call)
{
	while (!call->released) {
		double begin = now_s();
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		if (errno != 0 || !slept(begin, 0.99))
			return false;
	}
	return true;
}

/* System V and POSIX queues and semaphores, files, processes. */

static void open_semop(struct call *call)
{
	call->fd = semget(IPC_PRIVATE, 1, 0600);
	PROG_CHECK(call->fd >= 0);
}

static bool block_semop(struct call *call)
{
	struct sembuf take = { 0, -1, 0 };

	return semop(call->fd, &take, 1) == 0;
}

static void release_semop(struct call *call)
{
	struct sembuf give = { 0, 1, 0 };

	PROG_CHECK(semop(call->fd, &give, 1) == 0);
}

struct message {
	long type;
	char text[8];
};

static void open_msgrcv(struct call *call)
{
	call->fd = msgget(IPC_PRIVATE, 0600);
	PROG_CHECK(call->fd >= 0);
}

static bool block_msgrcv(struct call *call)
{
	struct message message = { 0 };

	return msgrcv(call->fd, &message, sizeof(message.text), 0, 0) == sizeof(message.text) &&
	       message.type == MAGIC && strcmp(message.text, "message") == 0;
}

static void release_msgrcv(struct call *call)
{
	struct message message = { MAGIC, "message" };

	PROG_CHECK(msgsnd(call->fd, &message, sizeof(message.text), 0) == 0);
}

static void open_mq(struct call *call)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];

	snprintf(name, sizeof(name), "/strand-eintr-%d", (int)getpid());
	call->fd = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	PROG_CHECK(call->fd >= 0 && mq_unlink(name) == 0);
}

static bool block_mq_receive(struct call *call)
{
	char text[8] = "";

	return mq_receive(call->fd, text, sizeof(text), NULL) == 8 && strcmp(text, "message") == 0;
}

static void release_mq(struct call *call)
{
	PROG_CHECK(mq_send(call->fd, "message", 8, 0) == 0);
}

static void open_flock(struct call *call)
{
	char path[64];

	call->peer = memfd_create("flock", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", call->peer);
	call->fd = open(path, O_RDWR);
	PROG_CHECK(call->fd >= 0 && flock(call->peer, LOCK_EX) == 0);
}

static bool block_flock(struct call *call)
{
	return flock(call->fd, LOCK_EX) == 0;
}

static void release_flock(struct call *call)
{
	PROG_CHECK(flock(call->peer, LOCK_UN) == 0);
}

static void open_child(struct call *call)
{
	open_pipe(call);
	call->child = fork();
	PROG_CHECK(call->child >= 0);
	if (call->child == 0) {
		char byte;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(call->fd, &byte, 1) == 1 ? 7 : 1);
	}
}

static bool block_waitpid(struct call *call)
{
	int status;

	return waitpid(call->child, &status, 0) == call->child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 7;
}

static void open_aio(struct call *call)
{
	PROG_CHECK(syscall(SYS_io_setup, 1, &call->aio) == 0);
	call->fd = open("/proc/self/exe", O_RDONLY);
	PROG_CHECK(call->fd >= 0);
}

static bool block_io_getevents(struct call *call)
{
	struct io_event event = { 0 };

	return syscall(SYS_io_getevents, call->aio, 1L, 1L, &event, NULL) == 1 &&
	       event.data == MAGIC;
}

static void release_aio(struct call *call)
{
	static char buffer[512];
	struct iocb request = { .aio_data = MAGIC,
				.aio_lio_opcode = IOCB_CMD_PREAD,
				.aio_fildes = call->fd,
				.aio_buf = (uintptr_t)buffer,
				.aio_nbytes = sizeof(buffer) };
	struct iocb *list[1] = { &request };

	PROG_CHECK(syscall(SYS_io_submit, call->aio, 1L, list) == 1);
}

/* Futexes. A return that is not the release's, spurious or not, would be ours to explain. */

static bool wait_word(struct call *call, const struct timespec *limit)
{
	return syscall(SYS_futex, &call->word, FUTEX_WAIT_PRIVATE, 0, limit, NULL, 0) == 0 &&
	       __atomic_load_n(&call->word, __ATOMIC_ACQUIRE) == 1;
}

static bool block_futex(struct call *call)
{
	return wait_word(call, NULL);
}

static bool block_futex_timed(struct call *call)
{
	return wait_word(call, &long_time);
}

static void release_futex(struct call *call)
{
	__atomic_store_n(&call->word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &call->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void open_sem(struct call *call)
{
	PROG_CHECK(sem_init(&call->sem, 0, 0) == 0);
}

static bool block_sem_wait(struct call *call)
{
	return sem_wait(&call->sem) == 0;
}

static bool block_sem_timedwait(struct call *call)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	return sem_timedwait(&call->sem, &far) == 0;
}

static void release_sem(struct call *call)
{
	PROG_CHECK(sem_post(&call->sem) == 0);
}

static struct call calls[] = {
	CALL("epoll_wait", open_epoll, block_epoll_wait, release_eventfd),
	CALL("epoll_wait, timed", open_epoll, block_epoll_wait_timed, release_eventfd),
	CALL("epoll_pwait", open_epoll, block_epoll_pwait, release_eventfd),
	CALL("sigwaitinfo", open_nothing, block_sigwaitinfo, release_queued_signal),
	CALL("sigtimedwait", open_nothing, block_sigtimedwait, release_queued_signal),
	CALL("semop", open_semop, block_semop, release_semop),
	CALL("io_getevents", open_aio, block_io_getevents, release_aio),
	CALL("recv, SO_RCVTIMEO", open_socketpair_timed, block_recv, release_byte),
	CALL("accept, SO_RCVTIMEO", open_listener_timed, block_accept, release_connect),
	CALL("poll", open_eventfd, block_poll, release_eventfd),
	CALL("ppoll", open_eventfd, block_ppoll, release_eventfd),
	CALL("select", open_eventfd, block_select, release_eventfd),
	CALL("pselect", open_eventfd, block_pselect, release_eventfd),
	CALL("nanosleep", open_nothing, block_nanosleep, release_nothing),
	CALL("clock_nanosleep, absolute", open_nothing, block_clock_nanosleep, release_nothing),
	CALL("pause", open_nothing, block_pause, release_queued_signal),
	CALL("sigsuspend", open_nothing, block_sigsuspend, release_queued_signal),
	CALL("read of a pipe", open_pipe, block_read, release_byte),
	CALL("recv", open_socketpair, block_recv, release_byte),
	CALL("accept", open_listener, block_accept, release_connect),
	CALL("msgrcv", open_msgrcv, block_msgrcv, release_msgrcv),
	CALL("futex", open_nothing, block_futex, release_futex),
	CALL("futex, timed", open_nothing, block_futex_timed, release_futex),
	CALL("sem_wait", open_sem, block_sem_wait, release_sem),
	CALL("sem_timedwait", open_sem, block_sem_timedwait, release_sem),
	CALL("waitpid", open_child, block_waitpid, release_byte),
	CALL("mq_receive", open_mq, block_mq_receive, release_mq),
	CALL("flock", open_flock, block_flock, release_flock),
};

enum { CALLS = sizeof(calls) / sizeof(*calls) };
_Static_assert(CALLS == 28, "one for each call whose behaviour under ptrace was measured");

int main(void)
{
	return run_calls(calls, CALLS);
}
