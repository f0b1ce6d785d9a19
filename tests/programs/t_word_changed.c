/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2
 *
 * What it is: a thread sleeps on a futex word that has since changed, and nobody sent a wake.
 * To one who looks, it cannot be told from a thread that was woken a moment ago and has not run
 * yet: it counts as running, and so main, which joins it, and all that it might wake are not lost.
 */
#include "prog.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int word;

static void *sleep_on_word(void *arg)
{
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return arg;
}

static void *wait_cond(void *arg)
{
	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&changed, &lock);
	return arg;
}

int main(void)
{
	pthread_t sleeper = prog_thread(sleep_on_word, NULL);

	prog_thread(wait_cond, NULL);
	prog_nap_ms(200); /* it has to be asleep before the word changes */
	__atomic_store_n(&word, 1, __ATOMIC_RELEASE);
	prog_ready();
	pthread_join(sleeper, NULL);
	return 0;
}
