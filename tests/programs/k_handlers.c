/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * load: yes
 * looks: 25
 * looks@locals: 200
 * ends: quit
 * args: locals | own_data | global | locals_restart | in_signal_stack
 * variants: -O2
 * long: -O0
 *
 * What it is: a thread waits for a semaphore in a block that its own signal handler will post: the
 * handler finds it by a thread-local of that blocked thread, by its thread-specific data, by a
 * global, or in a word at the beginning of its signal stack. What a careless prover gets wrong: the
 * waiter is blocked, so it takes nothing of what the waiter has for a root, but a handler runs
 * with all of it; with SA_RESTART the wait does not even end by the signal.
 */
#include "reach.h"
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>

enum { SIGNAL = SIGUSR1, STACK_BYTES = 65536 };

static __thread sem_t *local;
static sem_t *global;
static pthread_key_t key;
static sem_t *volatile box;
static volatile pid_t waiter;
static volatile bool handled;
static const char *how;

static bool is(const char *name)
{
	return strcmp(how, name) == 0;
}

/* Thread-specific data of the first keys is read without a lock. */
static sem_t *find(void)
{
	stack_t stack;

	if (is("global"))
		return global;
	if (is("own_data"))
		return pthread_getspecific(key);
	if (!is("in_signal_stack"))
		return local;
	sigaltstack(NULL, &stack);
	return *(sem_t **)stack.ss_sp;
}

static void post(int signal)
{
	(void)signal;
	handled = true;
	sem_post(find());
}

static REACH_APART void use_signal_stack(sem_t *sem)
{
	stack_t stack = { .ss_sp = calloc(1, STACK_BYTES), .ss_size = STACK_BYTES };

	PROG_CHECK(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	*(sem_t **)stack.ss_sp = sem;
}

static REACH_APART sem_t *hide(void)
{
	sem_t *sem = box;

	box = NULL;
	if (is("global"))
		global = sem;
	else if (is("own_data"))
		PROG_CHECK(pthread_setspecific(key, sem) == 0);
	else if (is("in_signal_stack"))
		use_signal_stack(sem);
	else
		local = sem;
	return sem;
}

static REACH_APART void wait_for_post(sem_t *sem)
{
	while (sem_wait(sem) != 0 && errno == EINTR)
		;
}

static void *wait_for_signal(void *arg)
{
	struct sigaction action = { .sa_handler = post, .sa_flags = SA_ONSTACK };
	sem_t *sem = hide();

	if (is("locals_restart"))
		action.sa_flags |= SA_RESTART;
	PROG_CHECK(sigaction(SIGNAL, &action, NULL) == 0);
	waiter = (pid_t)syscall(SYS_gettid);
	wait_for_post(sem);
	return arg;
}

static REACH_APART void set_up(void)
{
	sem_t *sem = malloc(sizeof(*sem));

	PROG_CHECK(sem && sem_init(sem, 0, 0) == 0);
	PROG_CHECK(pthread_key_create(&key, NULL) == 0);
	box = sem;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	PROG_CHECK(argc == 2);
	how = argv[1];
	set_up();
	thread = prog_thread(wait_for_signal, NULL);
	while (!waiter)
		prog_nap_ms(1);
	reach_forget();
	prog_ready();
	reach_wait_for_quit();
	PROG_CHECK(syscall(SYS_tgkill, getpid(), waiter, SIGNAL) == 0);
	PROG_CHECK(pthread_join(thread, NULL) == 0);
	prog_end(handled);
}
