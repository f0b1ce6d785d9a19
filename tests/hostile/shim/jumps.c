/* SPDX-License-Identifier: MIT
 *
 * Control that leaves a blocked call by another way than its return: siglongjmp out of a handler
 * that interrupts a wait, swapcontext between coroutines that lock, errno afterwards. Argument: how.
 */
#include "prog.h"
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

enum { ROUNDS = 50 };

static sigjmp_buf back;
static sem_t never, turn;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static ucontext_t main_context, coroutine;
static const char *how;

static void leave(int number)
{
	siglongjmp(back, number);
}

static void post(int number)
{
	(void)number;
	sem_post(&turn);
}

static void arm(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 2000 } };

	PROG_CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void wait_until_left(void)
{
	arm();
	if (strcmp(how, "sem") == 0)
		sem_wait(&never);
	else if (strcmp(how, "mutex") == 0)
		pthread_mutex_lock(&lock);
	else if (strcmp(how, "rwlock") == 0)
		pthread_rwlock_wrlock(&table);
	prog_sleep_long();
}

static void *hold(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_mutex_lock(&lock);
	pthread_rwlock_rdlock(&table);
	sem_post(&turn);
	sem_wait(arg);
	pthread_rwlock_unlock(&table);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void jump(void)
{
	volatile int left = 0;
	pthread_t holder;
	sem_t release;

	signal(SIGALRM, leave);
	sem_init(&release, 0, 0);
	holder = prog_thread(hold, &release);
	sem_wait(&turn);
	for (volatile int i = 0; i < ROUNDS; i++) {
		if (sigsetjmp(back, 1) == 0)
			wait_until_left();
		left++;
	}
	/* waits after all that are as ever */
	signal(SIGALRM, post);
	arm();
	while (sem_wait(&turn) != 0)
		PROG_CHECK(errno == EINTR);
	sem_post(&release);
	pthread_join(holder, NULL);
	prog_end(left == ROUNDS);
}

static void *post_later(void *arg)
{
	prog_nap_ms(1);
	sem_post(arg);
	return NULL;
}

static void run_waiting_coroutine(void)
{
	for (;;) {
		pthread_t thread = prog_thread(post_later, &never);

		sem_wait(&never);
		pthread_join(thread, NULL);
		swapcontext(&coroutine, &main_context);
	}
}

static void swap(void)
{
	static char stack[65536];

	PROG_CHECK(getcontext(&coroutine) == 0);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = sizeof(stack);
	makecontext(&coroutine, run_waiting_coroutine, 0);
	for (int i = 0; i < ROUNDS; i++)
		PROG_CHECK(swapcontext(&main_context, &coroutine) == 0);
	prog_end(true);
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	how = argv[1];
	sem_init(&never, 0, 0);
	sem_init(&turn, 0, 0);
	if (strcmp(how, "swapcontext") == 0)
		swap();
	else
		jump();
	return 0;
}
