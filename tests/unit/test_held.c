/* SPDX-License-Identifier: MIT
 *
 * What the kernel holds for a child, but for pipes and sockets: epoll, timers, signals, terminals,
 * messages, memory by descriptor.
 */
#include "scene.h"

#include <mqueue.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>

#include "unit.h"

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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(0), "epoll data of descriptor", l.told[0]), 1);
	assert_int_equal(scene_count(&l, WORD(1), "epoll data of descriptor", l.told[0]), 1);
	assert_int_equal(scene_count(&l, WORD(2), "count of eventfd", l.told[1]), 1);
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(scene_count(&l, WORD(i), "value of timer", i), 1);
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	for (int i = 0; i < 101; i++)
		assert_int_equal(
			scene_count(&l, WORD(i), "signals on their way to the process", -1), 1);
	assert_int_equal(scene_count(&l, WORD(200), "signals on their way to thread", l.told[0]),
			 1);
	scene_finish(&l);
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
	scene_look(&idle, &l);
	scene_check_unread(&l, NULL);
	scene_finish(&l);
	scene_look(&bytes, &l);
	scene_check_unread(&l, "through terminal");
	scene_finish(&l);
	scene_look(&line, &l);
	scene_check_unread(&l, "through terminal");
	scene_finish(&l);
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

		scene_look(&cases[i].scene, &l);
		scene_check_unread(&l, cases[i].unread);
		scene_finish(&l);
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
	scene_look(&scene, &l);
	if (l.held.unread[0]) /* a kernel without MSG_COPY */
		scene_check_unread(&l, "messages of queue");
	else
		for (int i = 0; i < 3; i++)
			assert_int_equal(scene_count(&l, WORD(i), "message of queue", l.told[0]),
					 1);
	scene_finish(&l);
	if (geteuid())
		return;
	scene_look(&elsewhere, &l);
	if (l.held.unread[0])
		scene_check_unread(&l, "messages of queue");
	else
		assert_int_equal(scene_count(&l, WORD(2), "message of queue", l.told[0]), 1);
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(11), "content of memory file", l.told[0]), 1);
	assert_int_equal(scene_count(&l, WORD(11), NULL, 0), 1);
	scene_finish(&l);
	id = shmget(IPC_PRIVATE, 8192, 0600);
	if (id < 0)
		return;
	shmctl(id, IPC_RMID, NULL);
	scene_look(&segment, &l);
	scene_check_unread(&l, "not attached");
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(9), "epoll data of descriptor", l.told[0]), 1);
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, "is closed");
	scene_finish(&l);
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
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	scene_finish(&l);
}

/* Out of time: said, and not an error. */
static void test_expired(void **state)
{
	const struct scene scene = { put_epoll, take_epoll };
	struct stop_limits hurried = STOP_LIMITS_DEFAULT;
	struct looked l;

	(void)state;
	scene_look(&scene, &l);
	held_free(&l.held);
	hurried.max_pause_ns = 30000000;
	scene_read(&l, &hurried, 40000);
	scene_check_unread(&l, "longer");
	scene_finish(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoll),	     cmocka_unit_test(test_timers),
		cmocka_unit_test(test_signals),	     cmocka_unit_test(test_terminals),
		cmocka_unit_test(test_posix_queues), cmocka_unit_test(test_system_v),
		cmocka_unit_test(test_memory),	     cmocka_unit_test(test_own_table),
		cmocka_unit_test(test_closed_epoll), cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
