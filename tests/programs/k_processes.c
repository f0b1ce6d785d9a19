/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * lost@clone_vm: no
 * lost@bare_thread: no
 * lost@child_alone: no
 * load: yes
 * looks: 25
 * looks@vfork: 200
 * ends: quit
 * args: vfork | clone_vm | bare_thread | child_alone
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate is not with a thread that the C library knows: with a
 * child of vfork that has not executed anything yet, with a process that shares the memory, with a
 * thread made by the kernel's call alone; or the gate is shared with a child, and only the child
 * still knows it. What a careless prover gets wrong: it searches this process's tasks only, or
 * finds threads by the C library's list, and stacks by the threads' descriptors.
 */
#include "keep.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { STACK_BYTES = 262144 };

/* Both run on with the parent's memory, and must not leave it by exit handlers. */
static REACH_APART void stay_and_answer(void)
{
	struct gate *volatile here = keep_take();

	keep_wait();
	keep_box = here;
	here = NULL;
}

static void *hold_in_vfork(void *arg)
{
	pid_t child = vfork();
	int status;

	if (child == 0) {
		stay_and_answer();
		_exit(0);
	}
	PROG_CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	keep_wait();
	return arg;
}

static void keep_vfork(struct gate *gate)
{
	keep_holder(hold_in_vfork, gate, NULL);
}

static int hold_beside(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	stay_and_answer();
	PROG_CHECK(write(keep_answers[1], "", 1) == 1);
	return 0;
}

/* It exits by the system call: the C library would end the whole process's business. */
static int hold_as_thread(void *arg)
{
	(void)arg;
	stay_and_answer();
	(void)!syscall(SYS_write, keep_answers[1], "", 1);
	syscall(SYS_exit, 0);
	return 0;
}

static void keep_by_clone(int (*run)(void *), int flags, struct gate *gate)
{
	char *stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	PROG_CHECK(stack != MAP_FAILED);
	PROG_CHECK(pipe(keep_orders) == 0 && pipe(keep_answers) == 0);
	keep_box = gate;
	PROG_CHECK(clone(run, stack + STACK_BYTES, CLONE_VM | CLONE_FS | CLONE_FILES | flags,
			 NULL) > 0);
	keep_expect_answer();
}

static void keep_clone_vm(struct gate *gate)
{
	keep_by_clone(hold_beside, SIGCHLD, gate);
}

static void keep_bare_thread(struct gate *gate)
{
	keep_by_clone(hold_as_thread, CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, gate);
}

/* The gate is shared; the child has opened it when it answers. */

static struct gate *make_shared(void)
{
	pthread_mutexattr_t lock;
	pthread_condattr_t changed;
	struct gate *gate = mmap(NULL, sizeof(*gate), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	PROG_CHECK(gate != MAP_FAILED);
	PROG_CHECK(pthread_mutexattr_init(&lock) == 0 && pthread_condattr_init(&changed) == 0);
	PROG_CHECK(pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED) == 0);
	PROG_CHECK(pthread_condattr_setpshared(&changed, PTHREAD_PROCESS_SHARED) == 0);
	pthread_mutex_init(&gate->lock, &lock);
	pthread_cond_init(&gate->changed, &changed);
	return gate;
}

static void keep_child_alone(struct gate *gate)
{
	pid_t child;

	PROG_CHECK(pipe(keep_orders) == 0 && pipe(keep_answers) == 0);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		keep_wait();
		gate_open(gate);
		PROG_CHECK(write(keep_answers[1], &gate, sizeof(gate)) == sizeof(gate));
		_exit(0);
	}
	keep_expect_answer();
}

static struct gate *give_child_alone(void)
{
	struct gate *gate;

	PROG_CHECK(write(keep_orders[1], "", 1) == 1);
	PROG_CHECK(read(keep_answers[0], &gate, sizeof(gate)) == sizeof(gate));
	return gate;
}

static const struct place places[] = {
	{ "vfork", keep_vfork, keep_ask_holder, NULL },
	{ "clone_vm", keep_clone_vm, keep_ask_holder, NULL },
	{ "bare_thread", keep_bare_thread, keep_ask_holder, NULL },
	{ "child_alone", keep_child_alone, give_child_alone, make_shared },
};

KEEP_MAIN(places)
