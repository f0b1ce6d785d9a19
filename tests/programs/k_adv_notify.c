/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a function to be called by a thread of its own once a message comes to a queue; what it is
 * called with, all there is of what a worker waits for, is kept by the kernel as a sequence of bytes.
 */
#include "k_adv.h"
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>

static mqd_t messages;

static void put(union sigval value)
{
	queue_put(value.sival_ptr);
}

static __attribute__((noinline)) pthread_t start(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = put };
	char name[64];
	pthread_t worker;

	snprintf(name, sizeof(name), "/k_adv_notify.%d", (int)getpid());
	messages = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (messages == (mqd_t)-1)
		exit(77);
	mq_unlink(name);
	event.sigev_value.sival_ptr = queue_new();
	worker = prog_thread(queue_work, event.sigev_value.sival_ptr);
	PROG_CHECK(!mq_notify(messages, &event));
	memset(&event, 0, sizeof(event));
	__asm__ volatile("" : : "r"(&event) : "memory");
	return worker;
}

int main(void)
{
	pthread_t worker = start();

	scrub();
	prog_ready();
	wait_for_stop();
	PROG_CHECK(!mq_send(messages, "go", 2, 0));
	pthread_join(worker, NULL);
	prog_end(true);
}
