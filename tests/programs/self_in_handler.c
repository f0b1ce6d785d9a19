/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * check: deadlock
 * object: log_lock
 * frame: on_signal
 * frame: write_log
 * variants: -O0 -O2
 *
 * What it is: a signal arrives while its thread holds a mutex, and the handler locks the same one.
 * The stack goes on below the handler, through the frame that the kernel made.
 */
#include "prog.h"
#include <signal.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int lines;

static void on_signal(int signal)
{
	pthread_mutex_lock(&log_lock);
	lines += signal;
	pthread_mutex_unlock(&log_lock);
}

static __attribute__((noipa)) void write_log(void)
{
	pthread_mutex_lock(&log_lock);
	lines++;
	raise(SIGUSR1);
	lines++;
	pthread_mutex_unlock(&log_lock);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	prog_ready();
	write_log();
	return lines;
}
