/* SPDX-License-Identifier: MIT
 *
 * expect@return: alive cond-wait main-returned 1
 * expect@exit: alive cond-wait - 1
 * check: ends
 * args: return | exit
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: a thread waits for a condition that lies in main's frame. When main has returned
 * nobody can use it any more, though it is still there; when main calls exit it may be used.
 */
#include "settle.h"

struct state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_barrier_t begun;
};

static void *wait_for_change(void *arg)
{
	struct state *state = arg;

	pthread_mutex_lock(&state->lock);
	pthread_barrier_wait(&state->begun);
	for (;;)
		pthread_cond_wait(&state->changed, &state->lock);
	return NULL;
}

int main(int argc, char **argv)
{
	struct state state = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, { { 0 } } };

	PROG_CHECK(argc == 2);
	prog_ready();
	pthread_barrier_init(&state.begun, NULL, 2);
	prog_thread(wait_for_change, &state);
	pthread_barrier_wait(&state.begun);
	pthread_mutex_lock(&state.lock); /* it waits by now */
	pthread_mutex_unlock(&state.lock);
	settle(1);
	if (strcmp(argv[1], "exit") == 0)
		exit(0);
	return 0;
}
