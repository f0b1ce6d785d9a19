/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: plain | sized | deep
 * ends: quit
 * variants: -O0 -O2 no-cfi
 *
 * What it is: a worker that waits for something in its own frame, which begins with much else; the main
 * thread has a pointer to the beginning alone. Functions may lack what tells where frames end.
 */
#include "k_adv.h"

struct waiter {
	long before[700];
	struct queue own;
	long behind[300];
};

static struct waiter *volatile waiter;
static volatile int sizes[2] = { 100, 3000 };

static __attribute__((noinline)) void wait_here(struct waiter *w)
{
	queue_init(&w->own);
	waiter = w;
	queue_work(&w->own);
	waiter = NULL;
}

static void *work_plain(void *arg)
{
	struct waiter w;

	memset(&w, 0, sizeof(w));
	wait_here(&w);
	return arg;
}

/* Arrays of sizes not known beforehand, on both sides. */
static void *work_sized(void *arg)
{
	char one[sizes[0]];
	struct waiter w;
	char two[sizes[1]];

	memset(one, 1, (size_t)sizes[0]);
	memset(two, 2, (size_t)sizes[1]);
	memset(&w, 0, sizeof(w));
	wait_here(&w);
	__asm__ volatile("" : : "r"(one), "r"(two) : "memory");
	return arg;
}

static __attribute__((noinline)) void deeper(struct waiter *w, int n)
{
	char frame[sizes[0] + n];

	memset(frame, 3, sizeof(frame));
	if (n)
		deeper(w, n - 1);
	else
		wait_here(w);
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void *work_deep(void *arg)
{
	struct waiter w;

	memset(&w, 0, sizeof(w));
	deeper(&w, 20);
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "plain";
	pthread_t worker = prog_thread(!strcmp(how, "sized")  ? work_sized
				       : !strcmp(how, "deep") ? work_deep
							      : work_plain,
				       NULL);

	while (!waiter)
		prog_nap_ms(1);
	scrub();
	prog_ready();
	wait_for_stop();
	queue_put(&waiter->own);
	pthread_join(worker, NULL);
	prog_end(true);
}
