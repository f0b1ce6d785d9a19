/* SPDX-License-Identifier: MIT
 *
 * What the kernel holds for a child: the child puts words into every place that there is, is
 * stopped and read; then it takes them out again itself, and all must be as it was.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pty.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "readers/held.h"

static const struct stop_limits limits = STOP_LIMITS_DEFAULT;

/* Values that stand nowhere else. */
#define WORD(n) (UINT64_C(0x00007a5b3c1d2e00) + (uint64_t)(n))

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

/* What a child does: put() before the look, take() after it. The numbers it tells are descriptors. */
struct scene {
	void (*put)(int *told);
	void (*take)(int *told);
};

struct looked {
	pid_t pid;
	int go; /* closing it makes the child go on */
	int told[8];
	struct held held;
	struct err e;
};

static void run_child(const struct scene *scene, int out, int in)
{
	int told[8] = { 0 };
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	scene->put(told);
	CHECK(write(out, told, sizeof(told)) == sizeof(told));
	while (read(in, &byte, 1) > 0)
		;
	if (scene->take)
		scene->take(told);
	_exit(0);
}

static void read_held(struct looked *l)
{
	struct capture c = { .pid = l->pid, .through = l->pid };

	assert_int_equal(stop_begin(l->pid, &limits, &c.stop, &l->e), 0);
	assert_int_equal(held_read(&c, &l->held, &l->e), 0);
	stop_end(c.stop);
	stop_free(c.stop);
}

static void look(const struct scene *scene, struct looked *l)
{
	int out[2], in[2];

	memset(l, 0, sizeof(*l));
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(in), 0);
	l->pid = fork();
	assert_true(l->pid >= 0);
	if (!l->pid) {
		close(out[0]);
		close(in[1]);
		run_child(scene, out[1], in[0]);
	}
	close(out[1]);
	close(in[0]);
	l->go = in[1];
	assert_int_equal(read(out[0], l->told, sizeof(l->told)), sizeof(l->told));
	close(out[0]);
	while (!child_sleeps(l->pid, SYS_read)) {
		assert_int_equal(waitpid(l->pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	read_held(l);
}

static void finish(struct looked *l)
{
	int status;

	close(l->go);
	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	held_free(&l->held);
}

/* How often a word stands in pieces of this name. */
static size_t count(const struct looked *l, uint64_t word, const char *what, int number)
{
	const struct held *h = &l->held;
	char name[64];
	size_t n = 0;

	snprintf(name, sizeof(name), "%s %d", what, number);
	for (size_t i = 0; i < h->piece_count; i++) {
		const struct held_piece *p = &h->pieces[i];

		assert_true(p->offset + p->count <= h->byte_count);
		for (size_t k = 0; k + sizeof(word) <= p->count; k++)
			n += !memcmp(h->bytes + p->offset + k, &word, sizeof(word)) &&
			     (!what || !strcmp(p->what, number < 0 ? what : name));
	}
	return n;
}

static void check_unread(const struct looked *l, const char *unread)
{
	if (!unread)
		assert_string_equal(l->held.unread, "");
	else if (!strstr(l->held.unread, unread))
		fail_msg("unread is \"%s\" and not \"%s\"", l->held.unread, unread);
}

/* -- epoll, eventfd, timers, signals ---------------------------------------------------------- */

static void put_epoll(int *told)
{
	int fds[2];

	told[0] = epoll_create1(0);
	CHECK(!pipe(fds));
	for (int i = 0; i < 2; i++) {
		struct epoll_event event = { .events = EPOLLERR, .data.u64 = WORD(i) };

		CHECK(!epoll_ctl(told[0], EPOLL_CTL_ADD, fds[i], &event));
	}
	told[1] = eventfd(0, 0);
	CHECK(!eventfd_write(told[1], WORD(2)));
}

static void take_epoll(int *told)
{
	eventfd_t value;

	CHECK(!eventfd_read(told[1], &value) && value == WORD(2));
}

static void test_epoll(void **state)
{
	const struct scene scene = { put_epoll, take_epoll };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(0), "epoll data of descriptor", l.told[0]), 1);
	assert_int_equal(count(&l, WORD(1), "epoll data of descriptor", l.told[0]), 1);
	assert_int_equal(count(&l, WORD(2), "count of eventfd", l.told[1]), 1);
	finish(&l);
}

static void put_timers(int *told)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	(void)told;
	for (int i = 0; i < 3; i++) {
		event.sigev_value.sival_ptr = (void *)WORD(i);
		CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	}
}

static void test_timers(void **state)
{
	const struct scene scene = { put_timers, NULL };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(count(&l, WORD(i), "value of timer", i), 1);
	finish(&l);
}

static void queue_signal(int number, uint64_t word, bool thread)
{
	union sigval value = { .sival_ptr = (void *)word };

	CHECK(!(thread ? pthread_sigqueue(pthread_self(), number, value)
		       : sigqueue(getpid(), number, value)));
}

static void put_signals(int *told)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	queue_signal(SIGUSR1, WORD(0), false);
	for (int i = 1; i < 101; i++)
		queue_signal(SIGRTMIN, WORD(i), false);
	queue_signal(SIGRTMIN, WORD(200), true);
	told[0] = getpid();
}

static void take_signals(int *told)
{
	siginfo_t info;
	sigset_t set;
	int n = 0;

	(void)told;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	while (sigtimedwait(&set, &info, &(struct timespec){ 0, 0 }) > 0)
		n++;
	CHECK(n == 102);
}

static void test_signals(void **state)
{
	const struct scene scene = { put_signals, take_signals };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	for (int i = 0; i < 101; i++)
		assert_int_equal(count(&l, WORD(i), "signals on their way to the process", -1), 1);
	assert_int_equal(count(&l, WORD(200), "signals on their way to thread", l.told[0]), 1);
	finish(&l);
}

/* -- pipes ------------------------------------------------------------------------------------ */

enum { SMALL_WRITES = 40, LARGE_BYTES = 60000 };

static void put_pipes(int *told)
{
	static uint8_t large[LARGE_BYTES];
	uint64_t word = WORD(500);
	int small[2], big[2], idle[2];

	CHECK(!pipe(small) && !pipe(big) && !pipe2(idle, O_DIRECT));
	for (int i = 0; i < SMALL_WRITES; i++) {
		word = WORD(i);
		CHECK(write(small[1], &word, sizeof(word)) == sizeof(word));
	}
	word = WORD(500);
	memcpy(large + LARGE_BYTES - 11, &word, sizeof(word));
	CHECK(write(big[1], large, LARGE_BYTES) == LARGE_BYTES);
	for (int i = 0; i < 10; i++) { /* a slot for each */
		word = WORD(600 + i);
		CHECK(write(idle[1], &word, sizeof(word)) == sizeof(word));
	}
	told[0] = small[0];
	told[1] = big[0];
	told[2] = dup(small[0]); /* counted once */
	told[3] = idle[0];
}

static void take_pipes(int *told)
{
	static uint8_t large[LARGE_BYTES + 1];
	uint64_t words[SMALL_WRITES];
	int bytes;

	CHECK(!ioctl(told[0], FIONREAD, &bytes) && bytes == (int)sizeof(words));
	CHECK(read(told[0], words, sizeof(words)) == sizeof(words));
	for (int i = 0; i < SMALL_WRITES; i++)
		CHECK(words[i] == WORD(i));
	CHECK(read(told[1], large, sizeof(large)) == LARGE_BYTES);
	CHECK(!(fcntl(told[0], F_GETFL) & O_NONBLOCK));
	for (int i = 0; i < 10; i++)
		CHECK(read(told[3], words, sizeof(words)) == 8 && words[0] == WORD(600 + i));
}

static void test_pipes(void **state)
{
	const struct scene scene = { put_pipes, take_pipes };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	for (int i = 0; i < SMALL_WRITES; i++) {
		assert_int_equal(count(&l, WORD(i), "unread bytes of pipe", l.told[0]), 1);
		assert_int_equal(count(&l, WORD(i), NULL, 0), 1);
	}
	assert_int_equal(count(&l, WORD(500), "unread bytes of pipe", l.told[1]), 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(count(&l, WORD(600 + i), "unread bytes of pipe", l.told[3]), 1);
	finish(&l);
}

static char fifo[] = "/tmp/strand-held-XXXXXX";

static int foreign[2]; /* the test keeps the end to be read from */

static void put_fifo(int *told)
{
	uint64_t word = WORD(1);

	CHECK(!mkfifo(fifo, 0600));
	told[0] = open(fifo, O_RDWR);
	CHECK(told[0] >= 0 && write(told[0], &word, sizeof(word)) == sizeof(word));
	/* What others are to read does not come back. */
	word = WORD(2);
	CHECK(write(foreign[1], &word, sizeof(word)) == sizeof(word));
	close(foreign[0]);
}

static void test_fifo(void **state)
{
	const struct scene scene = { put_fifo, NULL };
	struct looked l;

	(void)state;
	assert_int_equal(pipe(foreign), 0);
	look(&scene, &l);
	close(foreign[0]);
	close(foreign[1]);
	unlink(fifo);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(1), "unread bytes of pipe", l.told[0]), 1);
	assert_int_equal(count(&l, WORD(2), NULL, 0), 0);
	finish(&l);
}

/* -- sockets ---------------------------------------------------------------------------------- */

static void put_stream(int *told)
{
	uint64_t word = WORD(3);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[0] = fds[0];
	/* Two messages' worth of queue with one message in it, and an empty pair. */
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	word = WORD(4);
	CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[1] = fds[0];
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
}

static void take_stream(int *told)
{
	uint8_t bytes[32];
	uint64_t word = WORD(3);

	CHECK(read(told[0], bytes, sizeof(bytes)) == 9 && !memcmp(bytes + 1, &word, sizeof(word)));
	CHECK(read(told[1], bytes, sizeof(bytes)) == 8);
}

static void test_sockets(void **state)
{
	const struct scene scene = { put_stream, take_stream };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(3), "unread bytes of socket", l.told[0]), 1);
	assert_int_equal(count(&l, WORD(4), "message at socket", l.told[1]), 1);
	finish(&l);
}

static void put_messages_of(int type, int *told)
{
	uint64_t word = WORD(5);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, type, 0, fds));
	for (int i = 0; i < 2; i++)
		CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[0] = fds[0];
}

static void take_messages(int *told)
{
	uint64_t word;

	for (int i = 0; i < 2; i++)
		CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 8);
	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) < 0);
}

static void put_seqpacket(int *told)
{
	put_messages_of(SOCK_SEQPACKET, told);
}

static void put_datagrams(int *told)
{
	put_messages_of(SOCK_DGRAM, told);
}

/* The first message is empty: nothing is counted. */
static void put_empty_message(int *told)
{
	uint64_t word = WORD(6);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	CHECK(send(fds[1], &word, 0, 0) == 0);
	CHECK(send(fds[1], &word, sizeof(word), 0) == sizeof(word));
	told[0] = fds[0];
}

static void take_empty_message(int *told)
{
	uint64_t word;

	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 0);
	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 8);
}

static void put_udp(int *told)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(in);
	uint64_t word = WORD(7);

	told[0] = socket(AF_INET, SOCK_DGRAM, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(told[0], (void *)&in, sizeof(in)));
	CHECK(!getsockname(told[0], (void *)&in, &bytes));
	for (int i = 0; i < 2; i++)
		CHECK(sendto(told[0], &word, sizeof(word), 0, (void *)&in, sizeof(in)) == 8);
}

/* A descriptor on its way: what it is cannot be seen. */
static void put_descriptor(int *told)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	struct iovec iov = { told, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), &fds[0], sizeof(int));
	CHECK(sendmsg(fds[1], &message, 0) == 1);
	told[0] = fds[0];
}

/* The offset of peeking is the program's. */
static void put_peek_offset(int *told)
{
	int zero = 0;

	put_stream(told);
	CHECK(!setsockopt(told[0], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)));
}

static void take_peek_offset(int *told)
{
	socklen_t bytes = sizeof(int);
	int offset = -1;

	CHECK(!getsockopt(told[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &bytes) && offset == 0);
	take_stream(told);
}

static void test_unread_sockets(void **state)
{
	static const struct {
		struct scene scene;
		const char *unread;
	} cases[] = {
		{ { put_seqpacket, take_messages }, "messages that wait at socket" },
		{ { put_datagrams, take_messages }, "messages that wait at socket" },
		{ { put_empty_message, take_empty_message }, "what waits at socket" },
		{ { put_udp, take_messages }, "messages that wait at socket" },
		{ { put_descriptor, NULL }, "descriptors on their way" },
		{ { put_peek_offset, take_peek_offset }, "unread bytes of socket" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct looked l;

		look(&cases[i].scene, &l);
		check_unread(&l, cases[i].unread);
		finish(&l);
	}
}

/* -- TCP -------------------------------------------------------------------------------------- */

static int listen_somewhere(struct sockaddr_in *in)
{
	socklen_t bytes = sizeof(*in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*in = (struct sockaddr_in){ .sin_family = AF_INET };
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(fd, (void *)in, sizeof(*in)) && !listen(fd, 5));
	CHECK(!getsockname(fd, (void *)in, &bytes));
	return fd;
}

static void put_tcp_unaccepted(int *told)
{
	struct sockaddr_in in;
	uint64_t word = WORD(8);

	told[0] = listen_somewhere(&in);
	told[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(told[1], (void *)&in, sizeof(in)));
	CHECK(write(told[1], &word, sizeof(word)) == sizeof(word));
}

static void put_tcp(int *told)
{
	int unsent = 1;

	put_tcp_unaccepted(told);
	told[2] = accept(told[0], NULL, NULL);
	CHECK(told[2] >= 0);
	for (int i = 0; i < 1000 && unsent; i++) { /* until it is acknowledged */
		CHECK(!ioctl(told[1], TIOCOUTQ, &unsent));
		usleep(1000);
	}
}

static void take_tcp(int *told)
{
	uint64_t word;

	CHECK(read(told[2], &word, sizeof(word)) == sizeof(word) && word == WORD(8));
}

/* More than the other end takes. */
static void put_tcp_unsent(int *told)
{
	static char bytes[1 << 16];

	put_tcp(told);
	fcntl(told[1], F_SETFL, O_NONBLOCK);
	while (write(told[1], bytes, sizeof(bytes)) > 0)
		;
}

static void put_unix_unaccepted(int *told)
{
	struct sockaddr address = { .sa_family = AF_UNIX };
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);

	told[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(told[0], &address, sizeof(sa_family_t)) && !listen(told[0], 5));
	CHECK(!getsockname(told[0], (void *)&name, &bytes));
	told[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!connect(told[1], (void *)&name, bytes));
}

static void test_tcp(void **state)
{
	static const struct scene whole = { put_tcp, take_tcp };
	static const struct scene unaccepted = { put_tcp_unaccepted, NULL };
	static const struct scene unsent = { put_tcp_unsent, NULL };
	static const struct scene unix_unaccepted = { put_unix_unaccepted, NULL };
	struct looked l;

	(void)state;
	look(&whole, &l);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(8), "unread bytes of socket", l.told[2]), 1);
	finish(&l);
	look(&unaccepted, &l);
	check_unread(&l, "between own sockets");
	finish(&l);
	look(&unsent, &l);
	check_unread(&l, "between own sockets");
	finish(&l);
	look(&unix_unaccepted, &l);
	check_unread(&l, "connections that wait");
	finish(&l);
}

/* -- terminals -------------------------------------------------------------------------------- */

static void put_terminal(int *told)
{
	struct termios raw;

	CHECK(!openpty(&told[1], &told[0], NULL, NULL, NULL));
	CHECK(!tcgetattr(told[0], &raw));
	cfmakeraw(&raw);
	CHECK(!tcsetattr(told[0], TCSANOW, &raw));
}

static void put_terminal_bytes(int *told)
{
	uint64_t word = WORD(10);
	int there = 0;

	put_terminal(told);
	CHECK(write(told[1], &word, sizeof(word)) == sizeof(word));
	for (int i = 0; i < 1000 && !there; i++) { /* they come by a worker of the kernel's */
		CHECK(!ioctl(told[0], FIONREAD, &there));
		usleep(1000);
	}
}

static void take_terminal_bytes(int *told)
{
	uint64_t word;

	CHECK(read(told[0], &word, sizeof(word)) == sizeof(word) && word == WORD(10));
}

static void put_terminal_line(int *told)
{
	CHECK(!openpty(&told[1], &told[0], NULL, NULL, NULL));
}

static void test_terminals(void **state)
{
	static const struct scene idle = { put_terminal, NULL };
	static const struct scene bytes = { put_terminal_bytes, take_terminal_bytes };
	static const struct scene line = { put_terminal_line, NULL };
	struct looked l;
	int fds[2];

	(void)state;
	if (openpty(&fds[0], &fds[1], NULL, NULL, NULL))
		skip();
	close(fds[0]);
	close(fds[1]);
	look(&idle, &l);
	check_unread(&l, NULL);
	finish(&l);
	look(&bytes, &l);
	check_unread(&l, "through terminal");
	finish(&l);
	look(&line, &l);
	check_unread(&l, "through terminal");
	finish(&l);
}

/* -- message queues --------------------------------------------------------------------------- */

static char queue[64];

static void put_queue(int *told)
{
	told[0] = mq_open(queue, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
	CHECK(told[0] >= 0);
	mq_unlink(queue);
}

static void put_full_queue(int *told)
{
	put_queue(told);
	CHECK(!mq_send(told[0], "x", 1, 0));
}

static void put_notified_queue(int *told)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };

	put_queue(told);
	CHECK(!mq_notify(told[0], &event));
}

static void test_posix_queues(void **state)
{
	static const struct {
		struct scene scene;
		const char *unread;
	} cases[] = {
		{ { put_queue, NULL }, NULL },
		{ { put_full_queue, NULL }, "messages of the queue" },
		{ { put_notified_queue, NULL }, "the notification of the queue" },
	};
	mqd_t fd;

	(void)state;
	snprintf(queue, sizeof(queue), "/strand-held-%d", (int)getpid());
	fd = mq_open(queue, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
	if (fd < 0)
		skip();
	mq_close(fd);
	mq_unlink(queue);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct looked l;

		look(&cases[i].scene, &l);
		check_unread(&l, cases[i].unread);
		finish(&l);
	}
}

struct message {
	long type;
	uint64_t word;
};

static void put_system_v(int *told)
{
	struct message m = { .type = 5 };

	told[0] = msgget(IPC_PRIVATE, 0600);
	CHECK(told[0] >= 0);
	for (int i = 0; i < 3; i++) {
		m.word = WORD(i);
		CHECK(!msgsnd(told[0], &m, sizeof(m.word), IPC_NOWAIT));
	}
}

static void take_system_v(int *told)
{
	struct message m;

	for (int i = 0; i < 3; i++)
		CHECK(msgrcv(told[0], &m, sizeof(m.word), 0, IPC_NOWAIT) == sizeof(m.word) &&
		      m.word == WORD(i));
	CHECK(!msgctl(told[0], IPC_RMID, NULL));
}

static void put_system_v_elsewhere(int *told)
{
	CHECK(!unshare(CLONE_NEWIPC));
	put_system_v(told);
}

static void test_system_v(void **state)
{
	const struct scene scene = { put_system_v, take_system_v };
	const struct scene elsewhere = { put_system_v_elsewhere, take_system_v };
	int id = msgget(IPC_PRIVATE, 0600);
	struct looked l;

	(void)state;
	if (id < 0)
		skip();
	msgctl(id, IPC_RMID, NULL);
	look(&scene, &l);
	if (l.held.unread[0]) /* a kernel without MSG_COPY */
		check_unread(&l, "messages of queue");
	else
		for (int i = 0; i < 3; i++)
			assert_int_equal(count(&l, WORD(i), "message of queue", l.told[0]), 1);
	finish(&l);
	if (geteuid())
		return;
	look(&elsewhere, &l);
	if (l.held.unread[0])
		check_unread(&l, "messages of queue");
	else
		assert_int_equal(count(&l, WORD(2), "message of queue", l.told[0]), 1);
	finish(&l);
}

static void put_segment(int *told)
{
	void *at;

	told[0] = shmget(IPC_PRIVATE, 8192, 0600);
	CHECK(told[0] >= 0);
	at = shmat(told[0], NULL, 0);
	CHECK(at != (void *)-1);
	*(char *)at = 1;
	CHECK(!shmdt(at));
}

static void take_segment(int *told)
{
	CHECK(!shmctl(told[0], IPC_RMID, NULL));
}

/* -- files ------------------------------------------------------------------------------------ */

static void put_memory(int *told)
{
	uint64_t word = WORD(11);
	int empty = memfd_create("empty", 0);

	CHECK(empty >= 0 && !ftruncate(empty, 1 << 20));
	told[0] = memfd_create("memory", 0);
	CHECK(told[0] >= 0 && !ftruncate(told[0], (off_t)1 << 40));
	CHECK(pwrite(told[0], &word, sizeof(word), ((off_t)1 << 39) + 4093) == sizeof(word));
	CHECK(lseek(told[0], 77, SEEK_SET) == 77);
	CHECK(dup(told[0]) >= 0);
}

static void take_memory(int *told)
{
	struct stat st;

	CHECK(lseek(told[0], 0, SEEK_CUR) == 77);
	CHECK(!fstat(told[0], &st) && st.st_blocks == 16);
}

static void test_memory(void **state)
{
	const struct scene scene = { put_memory, take_memory };
	const struct scene segment = { put_segment, take_segment };
	struct looked l;
	int id;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(11), "content of memory file", l.told[0]), 1);
	assert_int_equal(count(&l, WORD(11), NULL, 0), 1);
	finish(&l);
	id = shmget(IPC_PRIVATE, 8192, 0600);
	if (id < 0)
		return;
	shmctl(id, IPC_RMID, NULL);
	look(&segment, &l);
	check_unread(&l, "not attached");
	finish(&l);
}

/* -- tables ----------------------------------------------------------------------------------- */

static int thread_told;

static void *keep_own_table(void *arg)
{
	struct epoll_event event = { .events = EPOLLERR, .data.u64 = WORD(9) };
	int fds[2];

	CHECK(!unshare(CLONE_FILES) && !pipe(fds));
	thread_told = epoll_create1(0);
	CHECK(!epoll_ctl(thread_told, EPOLL_CTL_ADD, fds[0], &event));
	pthread_barrier_wait(arg);
	pause();
	return NULL;
}

static void put_own_table(int *told)
{
	static pthread_barrier_t ready;
	pthread_t thread;

	CHECK(!pthread_barrier_init(&ready, NULL, 2));
	CHECK(!pthread_create(&thread, NULL, keep_own_table, &ready));
	pthread_barrier_wait(&ready);
	told[0] = thread_told;
}

static void test_own_table(void **state)
{
	const struct scene scene = { put_own_table, NULL };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	assert_int_equal(count(&l, WORD(9), "epoll data of descriptor", l.told[0]), 1);
	finish(&l);
}

static void *wait_for_events(void *arg)
{
	struct epoll_event event;

	epoll_wait(*(int *)arg, &event, 1, -1);
	return NULL;
}

static void put_closed_epoll(int *told)
{
	static int epoll;
	pthread_t thread;

	epoll = epoll_create1(0);
	CHECK(!pthread_create(&thread, NULL, wait_for_events, &epoll));
	usleep(100000);
	close(epoll);
	told[0] = epoll;
}

static void test_closed_epoll(void **state)
{
	const struct scene scene = { put_closed_epoll, NULL };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, "is closed");
	finish(&l);
}

static void put_nothing(int *told)
{
	(void)told;
}

static void test_nothing(void **state)
{
	const struct scene scene = { put_nothing, NULL };
	struct looked l;

	(void)state;
	look(&scene, &l);
	check_unread(&l, NULL);
	finish(&l);
}

/* Out of time: said, and not an error. */
static void test_expired(void **state)
{
	const struct scene scene = { put_epoll, take_epoll };
	struct stop_limits hurried = STOP_LIMITS_DEFAULT;
	struct capture c = { 0 };
	struct looked l;

	(void)state;
	look(&scene, &l);
	held_free(&l.held);
	hurried.max_pause_ns = 30000000;
	c.pid = c.through = l.pid;
	assert_int_equal(stop_begin(l.pid, &hurried, &c.stop, &l.e), 0);
	usleep(40000);
	assert_int_equal(held_read(&c, &l.held, &l.e), 0);
	stop_end(c.stop);
	stop_free(c.stop);
	check_unread(&l, "longer");
	finish(&l);
}

static int name_fifo(void **state)
{
	int fd = mkstemp(fifo);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0 || unlink(fifo) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoll),	       cmocka_unit_test(test_timers),
		cmocka_unit_test(test_signals),	       cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_fifo),	       cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_unread_sockets), cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_terminals),      cmocka_unit_test(test_posix_queues),
		cmocka_unit_test(test_system_v),       cmocka_unit_test(test_memory),
		cmocka_unit_test(test_own_table),      cmocka_unit_test(test_closed_epoll),
		cmocka_unit_test(test_nothing),	       cmocka_unit_test(test_expired),
	};

	return cmocka_run_group_tests(tests, name_fifo, NULL);
}
