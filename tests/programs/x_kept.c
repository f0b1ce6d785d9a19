/* SPDX-License-Identifier: MIT
 *
 * expect: alive cond-wait - 1
 * check: ends
 * args: own_data | locals | caller | exit_list | frame_of_main
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: the program ends, and what its end may still run can reach the gate that a thread waits
 * at: by thread-specific data or thread-locals of main, from whose function exit was not called;
 * by a frame above the call of exit; by the list of what is to be done at exit; by
 * main's frame, as another thread ends the program. What a careless prover gets wrong:
 * main has returned or will not go on, so nothing of what it had counts.
 */
#include "reach.h"
#include "settle.h"

static pthread_key_t key;
static __thread struct gate *volatile local; /* never read here */

static REACH_APART struct gate *start_waiter(void)
{
	struct gate *gate = gate_new();

	prog_thread(gate_waiter, gate);
	return gate;
}

static void keep(int status, void *gate)
{
	(void)status;
	(void)gate;
}

static REACH_APART void keep_in_own_data(void)
{
	PROG_CHECK(pthread_key_create(&key, NULL) == 0);
	PROG_CHECK(pthread_setspecific(key, start_waiter()) == 0);
}

static REACH_APART void keep_for_exit(void)
{
	PROG_CHECK(on_exit(keep, start_waiter()) == 0);
}

static REACH_APART void exit_below(int threads)
{
	settle(threads);
	reach_forget();
	exit(0);
}

static REACH_APART void keep_in_caller(void)
{
	struct gate *volatile here = start_waiter();

	exit_below(1);
	PROG_CHECK(here);
}

static void *end(void *arg)
{
	exit_below(2);
	return arg;
}

int main(int argc, char **argv)
{
	struct gate *volatile here = NULL;

	PROG_CHECK(argc == 2);
	prog_ready();
	if (strcmp(argv[1], "own_data") == 0) {
		keep_in_own_data();
	} else if (strcmp(argv[1], "locals") == 0) {
		local = start_waiter();
	} else if (strcmp(argv[1], "exit_list") == 0) {
		keep_for_exit();
	} else if (strcmp(argv[1], "caller") == 0) {
		keep_in_caller();
	} else {
		here = start_waiter();
		prog_thread(end, NULL);
		prog_sleep_long();
	}
	PROG_CHECK(!here);
	settle(1);
	reach_forget();
	return 0;
}
