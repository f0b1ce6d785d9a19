/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * variants: -O0 -O2
 *
 * What it is: a home-made lock whose word is the number of its owner, the main thread, which has
 * ended; another thread is live and could free it. To the kernel the wait looks like a join of
 * the main thread, but of that no word is left to wait for.
 */
#include "prog.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static int word;

static void *wait_for_word(void *arg)
{
	int owner;

	while ((owner = __atomic_load_n(&word, __ATOMIC_ACQUIRE)))
		syscall(SYS_futex, &word, FUTEX_WAIT, owner, NULL, NULL, 0);
	return arg;
}

static void *go_on(void *arg)
{
	prog_nap_ms(300); /* until main has ended */
	prog_ready();
	prog_sleep_long();
	return arg;
}

int main(void)
{
	word = getpid();
	prog_thread(wait_for_word, NULL);
	prog_thread(go_on, NULL);
	pthread_exit(NULL);
}
