/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 100
 * args: timer | timer_short | aio | aio_notify | mq_notify
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: everybody the program started is asleep on a semaphore or in aio_suspend; a helper
 * thread of the C library's own (for timers with SIGEV_THREAD, asynchronous I/O, message queues)
 * will wake it. Main waits until the semaphore was posted, then stops at the harness's word.
 */
#include "prog.h"
#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>

static sem_t posted;
static int quiet_pipe[2];
static char byte;
static mqd_t queue;

static void post(union sigval value)
{
	(void)value;
	sem_post(&posted);
}

static void start_timer(long first_ms, long then_ms)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = post };
	struct itimerspec when = {
		.it_interval = { 0, then_ms * 1000000 },
		.it_value = { first_ms / 1000, first_ms % 1000 * 1000000 },
	};
	timer_t timer;

	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	PROG_CHECK(timer_settime(timer, 0, &when, NULL) == 0);
}

/* A read of the standard input: it is over when the harness says so. */
static struct aiocb *start_read(int notify)
{
	static struct aiocb request;

	request.aio_fildes = STDIN_FILENO;
	request.aio_buf = &byte;
	request.aio_nbytes = 1;
	request.aio_sigevent.sigev_notify = notify;
	request.aio_sigevent.sigev_notify_function = post;
	PROG_CHECK(aio_read(&request) == 0);
	return &request;
}

static void *send_on_input(void *arg)
{
	PROG_CHECK(read(STDIN_FILENO, &byte, 1) == 1);
	PROG_CHECK(mq_send(queue, "m", 1, 0) == 0);
	return arg;
}

static void notify_by_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = post };
	char name[64];

	snprintf(name, sizeof(name), "/strand-notify-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	PROG_CHECK(queue != (mqd_t)-1 && mq_unlink(name) == 0);
	PROG_CHECK(mq_notify(queue, &event) == 0);
	prog_thread(send_on_input, NULL);
}

static void wait_posted(void)
{
	while (sem_wait(&posted) != 0)
		;
}

int main(int argc, char **argv)
{
	const char *how = argc == 2 ? argv[1] : "";
	const struct aiocb *list[1] = { NULL };

	sem_init(&posted, 0, 0);
	PROG_CHECK(pipe(quiet_pipe) == 0);
	if (strcmp(how, "timer") == 0)
		start_timer(2000, 100);
	else if (strcmp(how, "timer_short") == 0)
		start_timer(1, 1);
	else if (strcmp(how, "aio") == 0)
		list[0] = start_read(SIGEV_NONE);
	else if (strcmp(how, "aio_notify") == 0)
		start_read(SIGEV_THREAD);
	else
		notify_by_queue();
	prog_ready();
	if (list[0] != NULL)
		PROG_CHECK(aio_suspend(list, 1, NULL) == 0);
	else
		do
			wait_posted();
		while (!prog_stop() && strncmp(how, "timer", 5) == 0);
	prog_end(true);
}
