/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * load: yes
 * looks: 25
 * looks@epoll: 200
 * looks@timer_signal: 200
 * looks@pipe: 200
 * looks@stream: 200
 * ends: quit
 * args: epoll | timer_signal | timer_thread | pipe | pipe_split | fifo | stream | datagrams | passed
 * args: tcp | udp | terminal | eventfd | signal | signal_of_thread | queue | system_v
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate is with the kernel, which will give it back. What a
 * careless prover gets wrong: it searches memory only; it peeks at the first datagram alone; it
 * looks for words at multiples of eight bytes from the first unread one, or in each page of a pipe
 * by itself; it forgets signals that wait for one thread, or kinds of descriptors that hold
 * bytes, too, and does not say that it cannot tell.
 */
#include "keep.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

enum { PIPE_PAGE = 4096, SIGNAL = SIGUSR2, SYSTEM_V_KEY = 0x7374726f };

static int fds[2]; /* read from the first, write to the second */

static void write_all(const void *bytes, size_t n)
{
	PROG_CHECK(write(fds[1], bytes, n) == (ssize_t)n);
}

static void write_pointer(struct gate *gate)
{
	write_all(&gate, sizeof(gate));
}

static void skip(size_t n)
{
	char byte;

	while (n--)
		PROG_CHECK(read(fds[0], &byte, 1) == 1);
}

static struct gate *read_pointer(void)
{
	struct gate *gate;

	PROG_CHECK(read(fds[0], &gate, sizeof(gate)) == sizeof(gate));
	return gate;
}

/* epoll: the data of an entry whose descriptor never becomes ready by itself */

static int poll_fd, poll_thing;

static void keep_epoll(struct gate *gate)
{
	struct epoll_event entry = { .events = EPOLLIN, .data.ptr = gate };

	poll_fd = epoll_create1(0);
	poll_thing = eventfd(0, 0);
	PROG_CHECK(poll_fd >= 0 && poll_thing >= 0);
	PROG_CHECK(epoll_ctl(poll_fd, EPOLL_CTL_ADD, poll_thing, &entry) == 0);
}

static struct gate *give_epoll(void)
{
	struct epoll_event entry;

	PROG_CHECK(eventfd_write(poll_thing, 1) == 0);
	PROG_CHECK(epoll_wait(poll_fd, &entry, 1, -1) == 1);
	PROG_CHECK(epoll_ctl(poll_fd, EPOLL_CTL_DEL, poll_thing, NULL) == 0);
	return entry.data.ptr;
}

/* Timers; they go off when they are told to, for these are tests that wait for nothing */

static timer_t timer;
static const struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };

static void block_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

static struct gate *take_signal(void)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	while (sigwaitinfo(&set, &info) != SIGNAL)
		;
	return info.si_value.sival_ptr;
}

static void keep_timer_signal(struct gate *gate)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL };

	event.sigev_value.sival_ptr = gate;
	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
}

static struct gate *give_timer_signal(void)
{
	struct gate *gate;

	PROG_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	gate = take_signal();
	PROG_CHECK(timer_delete(timer) == 0);
	return gate;
}

static pthread_barrier_t gone_off;

static void take_from_timer(union sigval value)
{
	keep_box = value.sival_ptr;
	pthread_barrier_wait(&gone_off);
}

static void keep_timer_thread(struct gate *gate)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };

	pthread_barrier_init(&gone_off, NULL, 2);
	event.sigev_notify_function = take_from_timer;
	event.sigev_value.sival_ptr = gate;
	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
}

static struct gate *give_timer_thread(void)
{
	PROG_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	pthread_barrier_wait(&gone_off);
	PROG_CHECK(timer_delete(timer) == 0);
	return keep_take();
}

/* Unread bytes */

static void keep_pipe(struct gate *gate)
{
	PROG_CHECK(pipe(fds) == 0);
	write_all("odd", 3);
	write_pointer(gate);
	write_all("tail", 4);
}

static struct gate *give_odd(void)
{
	struct gate *gate;

	skip(3);
	gate = read_pointer();
	skip(4);
	return gate;
}

/* The pointer's bytes come by two writes, and lie in two of the pipe's pages. */
static void keep_pipe_split(struct gate *gate)
{
	char zeros[PIPE_PAGE - 3] = { 0 };

	PROG_CHECK(pipe(fds) == 0);
	write_all(zeros, sizeof(zeros));
	write_all(&gate, 3);
	write_all((char *)&gate + 3, sizeof(gate) - 3);
}

static struct gate *give_pipe_split(void)
{
	skip(PIPE_PAGE - 3);
	return read_pointer();
}

static void keep_fifo(struct gate *gate)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/strand-keep-%d", (int)getpid());
	PROG_CHECK(mkfifo(name, 0600) == 0);
	fds[0] = fds[1] = open(name, O_RDWR);
	PROG_CHECK(fds[0] >= 0 && unlink(name) == 0);
	write_pointer(gate);
}

static void keep_stream(struct gate *gate)
{
	PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	write_all("odd", 3);
	write_pointer(gate);
	write_all("tail", 4);
}

static void keep_datagrams(struct gate *gate)
{
	PROG_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
	write_all("first", 5);
	write_all("second", 6);
	write_pointer(gate);
}

static struct gate *give_datagrams(void)
{
	char other[16];

	PROG_CHECK(read(fds[0], other, sizeof(other)) == 5);
	PROG_CHECK(read(fds[0], other, sizeof(other)) == 6);
	return read_pointer();
}

/* In a socket whose descriptor is nowhere but in a message in another socket. */
static void keep_passed(struct gate *gate)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { .iov_base = (char *)"", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int inner[2];

	PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
	PROG_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	PROG_CHECK(write(inner[1], &gate, sizeof(gate)) == sizeof(gate));
	memcpy(CMSG_DATA(&control.header), &inner[0], sizeof(int));
	PROG_CHECK(sendmsg(fds[1], &message, 0) == 1);
	close(inner[0]);
	close(inner[1]);
}

static struct gate *give_passed(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	PROG_CHECK(recvmsg(fds[0], &message, 0) == 1 && message.msg_controllen);
	memcpy(&fds[0], CMSG_DATA(&control.header), sizeof(int));
	return read_pointer();
}

static void keep_in_network(int type, struct gate *gate)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(here);
	int inlet = socket(AF_INET, type, 0);

	PROG_CHECK(inlet >= 0 && bind(inlet, (struct sockaddr *)&here, size) == 0);
	PROG_CHECK(getsockname(inlet, (struct sockaddr *)&here, &size) == 0);
	PROG_CHECK(type == SOCK_DGRAM || listen(inlet, 1) == 0);
	fds[1] = socket(AF_INET, type, 0);
	PROG_CHECK(fds[1] >= 0 && connect(fds[1], (struct sockaddr *)&here, size) == 0);
	fds[0] = type == SOCK_DGRAM ? inlet : accept(inlet, NULL, NULL);
	PROG_CHECK(fds[0] >= 0);
	write_pointer(gate);
}

static void keep_tcp(struct gate *gate)
{
	keep_in_network(SOCK_STREAM, gate);
}

static void keep_udp(struct gate *gate)
{
	keep_in_network(SOCK_DGRAM, gate);
}

static void keep_terminal(struct gate *gate)
{
	struct termios raw;

	if (openpty(&fds[1], &fds[0], NULL, NULL, NULL) != 0)
		_exit(77); /* there are no terminals here */
	PROG_CHECK(tcgetattr(fds[0], &raw) == 0);
	cfmakeraw(&raw);
	PROG_CHECK(tcsetattr(fds[0], TCSANOW, &raw) == 0);
	write_pointer(gate);
}

static struct gate *give_terminal(void)
{
	char bytes[sizeof(struct gate *)];
	struct gate *gate;

	for (size_t got = 0; got < sizeof(bytes); got++)
		PROG_CHECK(read(fds[0], bytes + got, 1) == 1);
	memcpy(&gate, bytes, sizeof(gate));
	return gate;
}

static void keep_eventfd(struct gate *gate)
{
	fds[0] = fds[1] = eventfd(0, 0);
	PROG_CHECK(fds[0] >= 0);
	write_pointer(gate);
}

/* Signals that wait to be taken, for the process and for main */

static void keep_signal(struct gate *gate)
{
	PROG_CHECK(sigqueue(getpid(), SIGNAL, (union sigval){ .sival_ptr = gate }) == 0);
}

static void keep_signal_of_thread(struct gate *gate)
{
	PROG_CHECK(pthread_sigqueue(pthread_self(), SIGNAL, (union sigval){ .sival_ptr = gate }) ==
		   0);
}

/* Queues of messages */

static mqd_t queue;

static void keep_queue(struct gate *gate)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = sizeof(gate) };
	char name[64];

	snprintf(name, sizeof(name), "/strand-keep-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	PROG_CHECK(queue != (mqd_t)-1 && mq_unlink(name) == 0);
	PROG_CHECK(mq_send(queue, (char *)&gate, sizeof(gate), 0) == 0);
}

static struct gate *give_queue(void)
{
	struct gate *gate;

	PROG_CHECK(mq_receive(queue, (char *)&gate, sizeof(gate), NULL) == sizeof(gate));
	return gate;
}

struct message {
	long type;
	struct gate *gate;
};

static int system_v;

static void keep_system_v(struct gate *gate)
{
	struct message message = { 1, gate };

	(void)!unshare(CLONE_NEWIPC);
	system_v = msgget(SYSTEM_V_KEY, IPC_CREAT | 0600);
	PROG_CHECK(system_v >= 0);
	PROG_CHECK(msgsnd(system_v, &message, sizeof(message.gate), 0) == 0);
}

static struct gate *give_system_v(void)
{
	struct message message;

	PROG_CHECK(msgrcv(system_v, &message, sizeof(message.gate), 0, 0) > 0);
	PROG_CHECK(msgctl(system_v, IPC_RMID, NULL) == 0);
	return message.gate;
}

static const struct place places[] = {
	{ "epoll", keep_epoll, give_epoll, NULL },
	{ "timer_signal", keep_timer_signal, give_timer_signal, NULL },
	{ "timer_thread", keep_timer_thread, give_timer_thread, NULL },
	{ "pipe", keep_pipe, give_odd, NULL },
	{ "pipe_split", keep_pipe_split, give_pipe_split, NULL },
	{ "fifo", keep_fifo, read_pointer, NULL },
	{ "stream", keep_stream, give_odd, NULL },
	{ "datagrams", keep_datagrams, give_datagrams, NULL },
	{ "passed", keep_passed, give_passed, NULL },
	{ "tcp", keep_tcp, read_pointer, NULL },
	{ "udp", keep_udp, read_pointer, NULL },
	{ "terminal", keep_terminal, give_terminal, NULL },
	{ "eventfd", keep_eventfd, read_pointer, NULL },
	{ "signal", keep_signal, take_signal, NULL },
	{ "signal_of_thread", keep_signal_of_thread, take_signal, NULL },
	{ "queue", keep_queue, give_queue, NULL },
	{ "system_v", keep_system_v, give_system_v, NULL },
};

int main(int argc, char **argv)
{
	block_signal(); /* by every thread */
	return keep_main(argc, argv, places, sizeof(places) / sizeof(*places));
}
