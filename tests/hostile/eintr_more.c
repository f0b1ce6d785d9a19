/* SPDX-License-Identifier: MIT
 *
 * More calls that a look must not disturb, beyond those of eintr.c: relatives of the ones that give
 * EINTR; transfers that have moved a part of their bytes already and would return a short count;
 * and the other ways to wait that servers use. See calls.h for how it ends and what it prints.
 */
#include "calls.h"
#include "../programs/uring.h"
#include <mqueue.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

enum { BULK_BYTES = 1 << 20, CALL_EPOLL_PWAIT2 = 441, CALL_FUTEX_WAITV = 449 };

static char bulk[BULK_BYTES];

/* Transfers that block when they are half done: the release takes out all that was put in. */

static void release_drain(struct call *call)
{
	static char sink[65536];
	struct pollfd fd = { call->fd, POLLIN, 0 };
	ssize_t total = 0, got;

	while (total < BULK_BYTES && poll(&fd, 1, 3000) == 1) {
		got = read(call->fd, sink, sizeof(sink));
		PROG_CHECK(got > 0);
		total += got;
	}
}

static void open_socketpair_send_timed(struct call *call)
{
	struct timeval limit = { LONG_S, 0 };

	open_socketpair(call);
	PROG_CHECK(setsockopt(call->peer, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
}

static bool block_write(struct call *call)
{
	return write(call->peer, bulk, BULK_BYTES) == BULK_BYTES;
}

static bool block_writev(struct call *call)
{
	struct iovec part[2] = { { bulk, BULK_BYTES / 4 }, { bulk, BULK_BYTES / 4 * 3 } };

	return writev(call->peer, part, 2) == BULK_BYTES;
}

static bool block_send(struct call *call)
{
	return send(call->peer, bulk, BULK_BYTES, 0) == BULK_BYTES;
}

static bool block_sendmsg(struct call *call)
{
	struct iovec part = { bulk, BULK_BYTES };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	return sendmsg(call->peer, &header, 0) == BULK_BYTES;
}

/* Half of what the receiver wants is there. */
static void open_half(struct call *call)
{
	open_socketpair(call);
	PROG_CHECK(write(call->peer, "half", 4) == 4);
}

static void release_half(struct call *call)
{
	PROG_CHECK(write(call->peer, "rest", 4) == 4);
}

static bool block_recv_all(struct call *call)
{
	char text[9] = "";

	return recv(call->fd, text, 8, MSG_WAITALL) == 8 && strcmp(text, "halfrest") == 0;
}

static bool block_splice(struct call *call)
{
	int end[2];

	PROG_CHECK(pipe(end) == 0);
	return splice(call->fd, NULL, end[1], NULL, 1, 0) == 1;
}

/* Receivers with a deadline, and in numbers. */

static bool block_read_byte(struct call *call)
{
	char byte = 0;

	return read(call->fd, &byte, 1) == 1 && byte == '!';
}

static bool block_recvmsg(struct call *call)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	return recvmsg(call->fd, &header, 0) == 1 && byte == '!';
}

static bool block_recvmmsg(struct call *call)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct mmsghdr header = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

	return recvmmsg(call->fd, &header, 1, 0, NULL) == 1 && byte == '!';
}

static bool block_accept4(struct call *call)
{
	return accept4(call->fd, NULL, NULL, SOCK_CLOEXEC) >= 0;
}

/* The queue of the listener is full until the release accepts one. */
static void open_full_listener(struct call *call)
{
	int fd;

	open_listener(call);
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd, (struct sockaddr *)&call->address, call->address_length) != 0)
			break;
	}
	PROG_CHECK(errno == EAGAIN);
	close(fd);
}

static bool connect_with(struct call *call, time_t limit_s)
{
	struct timeval limit = { limit_s, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	PROG_CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
	return connect(fd, (struct sockaddr *)&call->address, call->address_length) == 0;
}

static bool block_connect(struct call *call)
{
	return connect_with(call, 0);
}

static bool block_connect_timed(struct call *call)
{
	return connect_with(call, LONG_S);
}

static void release_accept(struct call *call)
{
	PROG_CHECK(accept(call->fd, NULL, NULL) >= 0);
}

/* Many descriptors. */

static bool block_epoll_pwait2(struct call *call)
{
	struct epoll_event event[4];

	return syscall(CALL_EPOLL_PWAIT2, call->peer, event, 4, &long_time, NULL, 8) == 1 &&
	       event[0].data.u64 == MAGIC;
}

static void open_epoll(struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = MAGIC };

	open_eventfd(call);
	call->peer = epoll_create1(0);
	PROG_CHECK(epoll_ctl(call->peer, EPOLL_CTL_ADD, call->fd, &event) == 0);
}

static bool block_ppoll_masked(struct call *call)
{
	struct pollfd fd = { call->fd, POLLIN, 0 };
	sigset_t all;

	sigfillset(&all);
	return ppoll(&fd, 1, NULL, &all) == 1 && fd.revents == POLLIN;
}

static bool block_select_timed(struct call *call)
{
	struct timeval limit = { LONG_S, 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(call->fd, &set);
	return select(call->fd + 1, &set, NULL, NULL, &limit) == 1 && FD_ISSET(call->fd, &set) &&
	       limit.tv_sec <= LONG_S && limit.tv_sec > LONG_S - PROG_LIFETIME_S;
}

/* Descriptors of the kernel's own kinds. */

static bool block_eventfd(struct call *call)
{
	uint64_t count = 0;

	return read(call->fd, &count, sizeof(count)) == sizeof(count) && count == 1;
}

static void open_timerfd(struct call *call)
{
	struct itimerspec far = { .it_value = { LONG_S, 0 } };

	call->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	PROG_CHECK(timerfd_settime(call->fd, 0, &far, NULL) == 0);
}

static void release_timerfd(struct call *call)
{
	struct itimerspec soon = { .it_value = { 0, 1000000 } };

	PROG_CHECK(timerfd_settime(call->fd, 0, &soon, NULL) == 0);
}

static void open_signalfd(struct call *call)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	call->fd = signalfd(-1, &set, 0);
	PROG_CHECK(call->fd >= 0);
}

static bool block_signalfd(struct call *call)
{
	struct signalfd_siginfo info = { 0 };

	return read(call->fd, &info, sizeof(info)) == sizeof(info) && info.ssi_int == MAGIC;
}

static void open_inotify(struct call *call)
{
	char path[] = "/tmp/strand-eintr-XXXXXX";

	call->peer = mkstemp(path);
	call->fd = inotify_init1(0);
	PROG_CHECK(inotify_add_watch(call->fd, path, IN_MODIFY) >= 0 && unlink(path) == 0);
}

static bool block_inotify(struct call *call)
{
	struct inotify_event event = { 0 };

	return read(call->fd, &event, sizeof(event)) == sizeof(event) && event.mask == IN_MODIFY;
}

static void open_fifo(struct call *call)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/strand-eintr-%d", (int)getpid());
	PROG_CHECK(mkfifo(name, 0600) == 0);
	call->fd = open(name, O_PATH);
	PROG_CHECK(call->fd >= 0 && unlink(name) == 0);
}

static int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

static bool block_fifo_open(struct call *call)
{
	return open_again(call->fd, O_RDONLY) >= 0;
}

static void release_fifo_open(struct call *call)
{
	PROG_CHECK(open_again(call->fd, O_WRONLY | O_NONBLOCK) >= 0);
}

/* Queues and semaphores that are full, or have a deadline. */

static void open_semtimedop(struct call *call)
{
	call->fd = semget(IPC_PRIVATE, 1, 0600);
	PROG_CHECK(call->fd >= 0);
}

static bool block_semtimedop(struct call *call)
{
	struct sembuf take = { 0, -1, 0 };

	return semtimedop(call->fd, &take, 1, &long_time) == 0;
}

static void release_semtimedop(struct call *call)
{
	struct sembuf give = { 0, 1, 0 };

	PROG_CHECK(semop(call->fd, &give, 1) == 0);
}

struct message {
	long type;
	char text[4096];
};

static const struct message message = { 1, "message" };

static void open_full_msg(struct call *call)
{
	call->fd = msgget(IPC_PRIVATE, 0600);
	while (msgsnd(call->fd, &message, sizeof(message.text), IPC_NOWAIT) == 0)
		;
	PROG_CHECK(errno == EAGAIN);
}

static bool block_msgsnd(struct call *call)
{
	return msgsnd(call->fd, &message, sizeof(message.text), 0) == 0;
}

static void release_msgrcv(struct call *call)
{
	struct message first;

	PROG_CHECK(msgrcv(call->fd, &first, sizeof(first.text), 0, 0) > 0);
}

static void open_mq(struct call *call)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];

	snprintf(name, sizeof(name), "/strand-eintr-more-%d", (int)getpid());
	call->fd = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	PROG_CHECK(call->fd >= 0 && mq_unlink(name) == 0);
}

static void open_full_mq(struct call *call)
{
	open_mq(call);
	PROG_CHECK(mq_send(call->fd, "first", 6, 0) == 0);
}

static bool block_mq_timedsend(struct call *call)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	return mq_timedsend(call->fd, "second", 7, 0, &far) == 0;
}

static void release_mq_receive(struct call *call)
{
	char text[8];

	PROG_CHECK(mq_receive(call->fd, text, sizeof(text), NULL) > 0);
}

static bool block_mq_timedreceive(struct call *call)
{
	struct timespec far = prog_far(CLOCK_REALTIME);
	char text[8] = "";

	return mq_timedreceive(call->fd, text, sizeof(text), NULL, &far) == 8 &&
	       strcmp(text, "message") == 0;
}

static void release_mq_send(struct call *call)
{
	PROG_CHECK(mq_send(call->fd, "message", 8, 0) == 0);
}

/* Processes and the locks that they hold. */

static void open_child(struct call *call)
{
	int lock = memfd_create("lock", 0);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char byte;

	open_socketpair(call);
	call->child = fork();
	PROG_CHECK(call->child >= 0);
	if (call->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		PROG_CHECK(fcntl(lock, F_SETLK, &whole) == 0);
		PROG_CHECK(write(call->fd, "l", 1) == 1);
		_exit(read(call->fd, &byte, 1) == 1 ? 7 : 1);
	}
	PROG_CHECK(read(call->peer, &byte, 1) == 1);
	call->fd = lock;
}

static bool block_waitid(struct call *call)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, call->child, &info, WEXITED) == 0 && info.si_status == 7;
}

static bool block_fcntl(struct call *call)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(call->fd, F_SETLKW, &whole) == 0;
}

/* Futexes of other kinds, and asynchronous I/O. */

static bool block_futex_waitv(struct call *call)
{
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter = { 0, (uintptr_t)&call->word, 2 | FUTEX_PRIVATE_FLAG, 0 };

	return syscall(CALL_FUTEX_WAITV, &waiter, 1, 0, NULL, 0) == 0 &&
	       __atomic_load_n(&call->word, __ATOMIC_ACQUIRE) == 1;
}

static void release_futex(struct call *call)
{
	__atomic_store_n(&call->word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &call->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Held by main, which is the one to unlock it. */
static void open_lock_pi(struct call *call)
{
	PROG_CHECK(syscall(SYS_futex, &call->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
}

static bool block_lock_pi(struct call *call)
{
	return syscall(SYS_futex, &call->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0;
}

static void release_lock_pi(struct call *call)
{
	PROG_CHECK(syscall(SYS_futex, &call->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
}

static void open_aio(struct call *call)
{
	PROG_CHECK(syscall(SYS_io_setup, 1, &call->aio) == 0);
	call->fd = open("/proc/self/exe", O_RDONLY);
	PROG_CHECK(call->fd >= 0);
}

static bool block_io_pgetevents(struct call *call)
{
	struct io_event event = { 0 };

	return syscall(SYS_io_pgetevents, call->aio, 1L, 1L, &event, &long_time, NULL) == 1 &&
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

static struct uring uring;

static void open_uring(struct call *call)
{
	(void)call;
	uring_open(&uring);
}

static bool block_uring_enter(struct call *call)
{
	(void)call;
	return syscall(SYS_io_uring_enter, uring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 0;
}

static void release_uring(struct call *call)
{
	struct io_uring_sqe nop = { .opcode = IORING_OP_NOP };

	(void)call;
	PROG_CHECK(uring_submit(&uring, &nop, 1));
}

static struct call calls[] = {
	CALL("write of much to a pipe", open_pipe, block_write, release_drain),
	CALL("write of much to a socket", open_socketpair, block_write, release_drain),
	CALL("writev to a pipe", open_pipe, block_writev, release_drain),
	CALL("send of much", open_socketpair, block_send, release_drain),
	CALL("send, SO_SNDTIMEO", open_socketpair_send_timed, block_send, release_drain),
	CALL("sendmsg of much", open_socketpair, block_sendmsg, release_drain),
	CALL("recv, MSG_WAITALL, half there", open_half, block_recv_all, release_half),
	CALL("splice", open_pipe, block_splice, release_byte),
	CALL("recvmsg, SO_RCVTIMEO", open_socketpair_timed, block_recvmsg, release_byte),
	CALL("recvmmsg", open_socketpair, block_recvmmsg, release_byte),
	CALL("recvmmsg, SO_RCVTIMEO", open_socketpair_timed, block_recvmmsg, release_byte),
	CALL("read, SO_RCVTIMEO", open_socketpair_timed, block_read_byte, release_byte),
	CALL("accept4, SO_RCVTIMEO", open_listener_timed, block_accept4, release_connect),
	CALL("connect", open_full_listener, block_connect, release_accept),
	CALL("connect, SO_SNDTIMEO", open_full_listener, block_connect_timed, release_accept),
	CALL("epoll_pwait2, timed", open_epoll, block_epoll_pwait2, release_eventfd),
	CALL("ppoll, masked", open_eventfd, block_ppoll_masked, release_eventfd),
	CALL("select, timed", open_eventfd, block_select_timed, release_eventfd),
	CALL("read of an eventfd", open_eventfd, block_eventfd, release_eventfd),
	CALL("read of a timerfd", open_timerfd, block_eventfd, release_timerfd),
	CALL("read of a signalfd", open_signalfd, block_signalfd, release_queued_signal),
	CALL("read of an inotify", open_inotify, block_inotify, release_byte),
	CALL("open of a fifo", open_fifo, block_fifo_open, release_fifo_open),
	CALL("semtimedop", open_semtimedop, block_semtimedop, release_semtimedop),
	CALL("msgsnd", open_full_msg, block_msgsnd, release_msgrcv),
	CALL("mq_timedsend", open_full_mq, block_mq_timedsend, release_mq_receive),
	CALL("mq_timedreceive", open_mq, block_mq_timedreceive, release_mq_send),
	CALL("waitid", open_child, block_waitid, release_byte),
	CALL("fcntl, F_SETLKW", open_child, block_fcntl, release_byte),
	CALL("futex_waitv", open_nothing, block_futex_waitv, release_futex),
	CALL("futex, FUTEX_LOCK_PI", open_lock_pi, block_lock_pi, release_lock_pi),
	CALL("io_pgetevents, timed", open_aio, block_io_pgetevents, release_aio),
	CALL("io_uring_enter", open_uring, block_uring_enter, release_uring),
};

int main(void)
{
	return run_calls(calls, sizeof(calls) / sizeof(*calls));
}
