/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * load: yes
 * looks: 25
 * ends: quit
 * args: cond | sem | block | other_thread
 * variants: -O2
 * long: -O0
 *
 * What it is: nobody can reach the condition or semaphore that a thread waits for, but main, or
 * another live thread, has the thread's handle, in a global, in a block or on its stack, and
 * at the end cancels it. What a careless prover gets wrong: it leaves thread descriptors out of the
 * graph, as it must for what they keep alive, and so does not see who can reach one.
 */
#include "reach.h"
#include <semaphore.h>

static pthread_t global;
static pthread_t *in_block;
static int ends[2];

static void unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

static void *wait_cond(void *arg)
{
	struct gate *gate = arg;

	pthread_mutex_lock(&gate->lock);
	pthread_cleanup_push(unlock, &gate->lock);
	for (;;)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_cleanup_pop(1);
	return NULL;
}

static void *wait_sem(void *arg)
{
	for (;;)
		sem_wait(arg);
	return NULL;
}

static void cancel(pthread_t thread)
{
	void *result;

	PROG_CHECK(pthread_cancel(thread) == 0);
	PROG_CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
}

static REACH_APART void cancel_later(void)
{
	volatile pthread_t here = global;
	char byte;

	global = 0;
	PROG_CHECK(read(ends[0], &byte, 1) == 1);
	cancel(here);
}

static void *cancel_when_told(void *arg)
{
	cancel_later();
	return arg;
}

static REACH_APART pthread_t set_up(const char *how)
{
	sem_t *sem = malloc(sizeof(*sem));
	pthread_t canceller = 0;

	PROG_CHECK(sem && sem_init(sem, 0, 0) == 0);
	if (strcmp(how, "sem") == 0)
		global = prog_thread(wait_sem, sem);
	else
		global = prog_thread(wait_cond, gate_new());
	if (strcmp(how, "block") == 0) {
		in_block = malloc(sizeof(*in_block));
		PROG_CHECK(in_block);
		*in_block = global;
		global = 0;
	} else if (strcmp(how, "other_thread") == 0) {
		PROG_CHECK(pipe(ends) == 0);
		canceller = prog_thread(cancel_when_told, NULL);
		while (__atomic_load_n(&global, __ATOMIC_SEQ_CST))
			prog_nap_ms(1);
	}
	return canceller;
}

int main(int argc, char **argv)
{
	pthread_t canceller;

	PROG_CHECK(argc == 2);
	canceller = set_up(argv[1]);
	reach_forget();
	prog_ready();
	reach_wait_for_quit();
	if (canceller) {
		PROG_CHECK(write(ends[1], "", 1) == 1);
		PROG_CHECK(pthread_join(canceller, NULL) == 0);
	} else {
		cancel(in_block ? *in_block : global);
	}
	prog_end(true);
}
