/* SPDX-License-Identifier: MIT
 *
 * The process of thread_child.h.
 */
#include "thread_child.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES (256 * 1024)
#define NOINLINE    __attribute__((noinline))

static struct board *board;
static __thread char own_locals[THREAD_CHILD_LOCALS] = "thread-local";
static char static_stack[STACK_BYTES] __attribute__((aligned(64)));
static sem_t never;
typedef void *library_fn(void);
static library_fn *library_locals;
static volatile int sink;

static void sleep_for_good(void)
{
	while (sem_wait(&never))
		;
}

static NOINLINE void note(struct facts *f, void *outer_local)
{
	volatile char local[64];
	pthread_attr_t attr;
	void *lowest;
	size_t bytes;

	local[0] = 0;
	f->handle = pthread_self();
	f->local = (uintptr_t)local;
	f->outer_local = (uintptr_t)outer_local;
	f->errno_at = (uintptr_t)&errno;
	f->own_locals = (uintptr_t)own_locals;
	f->library_locals = library_locals ? (uintptr_t)library_locals() : 0;
	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &lowest, &bytes);
		f->lowest = (uintptr_t)lowest;
		f->end = f->lowest + bytes;
		pthread_attr_destroy(&attr);
	}
	__atomic_store_n(&f->tid, gettid(), __ATOMIC_RELEASE);
	sleep_for_good();
	sink += local[0];
}

static NOINLINE void note_in_frame(enum role role)
{
	volatile char outer[64];

	outer[0] = 0;
	note(&board->facts[role], (void *)outer);
	sink += outer[0];
}

static void *run_plain(void *role)
{
	note_in_frame((enum role)(uintptr_t)role);
	sink++;
	return NULL;
}

static void on_signal(int number)
{
	note_in_frame(number == SIGUSR1 ? ROLE_ALTERNATE : ROLE_NESTED_ALT);
	sink++;
}

static void raise_on(void *memory, int number)
{
	stack_t stack = { .ss_sp = memory, .ss_size = STACK_BYTES };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(number, &act, NULL);
	pthread_kill(pthread_self(), number);
}

static void *run_alternate(void *unused)
{
	(void)unused;
	raise_on(malloc(STACK_BYTES), SIGUSR1);
	return NULL;
}

static void *run_nested_alternate(void *unused)
{
	char memory[STACK_BYTES];

	(void)unused;
	raise_on(memory, SIGUSR2);
	sink += memory[5];
	return NULL;
}

static void enter_coroutine(int role)
{
	note_in_frame((enum role)role);
	sink++;
}

static void switch_to(void *memory, enum role role)
{
	ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = memory;
	there.uc_stack.ss_size = STACK_BYTES;
	there.uc_link = &here;
	makecontext(&there, (void (*)(void))enter_coroutine, 1, (int)role);
	swapcontext(&here, &there);
}

static void *run_coroutine(void *unused)
{
	(void)unused;
	switch_to(malloc(STACK_BYTES), ROLE_COROUTINE);
	return NULL;
}

static void *run_nested_coroutine(void *unused)
{
	char memory[STACK_BYTES];

	(void)unused;
	switch_to(memory, ROLE_NESTED_CORO);
	sink += memory[5];
	return NULL;
}

static NOINLINE void go_down(int depth, enum role role)
{
	if (depth)
		go_down(depth - 1, role);
	else
		note_in_frame(role);
	sink++;
}

static void *run_deep(void *unused)
{
	(void)unused;
	go_down(UNWIND_FRAMES_MAX + 50, ROLE_DEEP);
	return NULL;
}

static pthread_t start(void *(*routine)(void *), void *arg, void *memory, bool guard)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (memory)
		pthread_attr_setstack(&attr, memory, STACK_BYTES);
	else
		pthread_attr_setstacksize(&attr, 4 * STACK_BYTES);
	if (!guard)
		pthread_attr_setguardsize(&attr, 0);
	if (pthread_create(&thread, &attr, routine, arg))
		_exit(3);
	pthread_attr_destroy(&attr);
	return thread;
}

static void *run_borrower(void *memory)
{
	switch_to(memory, ROLE_BORROWER);
	return NULL;
}

static void *run_lender(void *unused)
{
	char memory[STACK_BYTES];

	(void)unused;
	start(run_borrower, memory, NULL, true);
	note_in_frame(ROLE_LENDER);
	sink += memory[5];
	return NULL;
}

static void *run_outer(void *unused)
{
	char memory[STACK_BYTES] __attribute__((aligned(64)));

	(void)unused;
	start(run_plain, (void *)ROLE_INNER, memory, true);
	note_in_frame(ROLE_OUTER);
	sink += memory[5];
	return NULL;
}

static void *run_deep_outer(void *unused)
{
	char memory[STACK_BYTES] __attribute__((aligned(64)));

	(void)unused;
	start(run_plain, (void *)ROLE_IN_DEEP, memory, true);
	go_down(UNWIND_FRAMES_MAX + 50, ROLE_DEEP_OUTER);
	sink += memory[5];
	return NULL;
}

/* With a guard of its own, by which it is seen not to belong to what lies below. */
static void *make_heap_stack(void)
{
	char *memory = aligned_alloc(4096, 4096 + STACK_BYTES);

	if (!memory || mprotect(memory, 4096, PROT_NONE))
		_exit(5);
	return memory + 4096;
}

static void start_role(enum role role)
{
	void *arg = (void *)(uintptr_t)role;
	struct timespec step = { .tv_nsec = 1000000 };

	switch (role) {
	case ROLE_IN_HEAP:
		start(run_plain, arg, make_heap_stack(), true);
		break;
	case ROLE_IN_STATIC:
		start(run_plain, arg, static_stack, true);
		break;
	case ROLE_ALTERNATE:
		start(run_alternate, NULL, NULL, true);
		break;
	case ROLE_NESTED_ALT:
		start(run_nested_alternate, NULL, NULL, true);
		break;
	case ROLE_COROUTINE:
		start(run_coroutine, NULL, NULL, true);
		break;
	case ROLE_NESTED_CORO:
		start(run_nested_coroutine, NULL, NULL, true);
		break;
	case ROLE_DEEP:
		start(run_deep, NULL, NULL, true);
		break;
	case ROLE_OUTER:
		start(run_outer, NULL, NULL, true);
		break;
	case ROLE_LENDER:
		start(run_lender, NULL, NULL, true);
		break;
	case ROLE_DEEP_OUTER:
		start(run_deep_outer, NULL, NULL, true);
		break;
	case ROLE_IN_DEEP:
	case ROLE_INNER:
	case ROLE_BORROWER:
		break;
	default:
		start(run_plain, arg, NULL, role != ROLE_NO_GUARD);
	}
	while (!__atomic_load_n(&board->facts[role].tid, __ATOMIC_ACQUIRE))
		nanosleep(&step, NULL);
}

static void *run_short(void *slot)
{
	char local[64];

	board->ended[(uintptr_t)slot] = (uintptr_t)local;
	board->ended_handle[(uintptr_t)slot] = pthread_self();
	return NULL;
}

static void end_some(void)
{
	pthread_t threads[THREAD_CHILD_CACHED];

	for (uintptr_t i = 0; i < THREAD_CHILD_CACHED; i++)
		threads[i] = start(run_short, (void *)i, NULL, true);
	for (uintptr_t i = 0; i < THREAD_CHILD_CACHED; i++)
		pthread_join(threads[i], NULL);
}

/* A thread's first steps include this call; nobody answers, so it stays there. */
static int hold_newborns(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_robust_list, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		    &program) < 0)
		return errno;
	return 0;
}

/* A record as the recording side keeps it, in a file of its name. */
static struct wire_task *make_record(void)
{
	struct wire_task *r;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), THREAD_CHILD_TABLE, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		_exit(4);
	r = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	r[1].state = WIRE_TASK_BORN;
	r[1].argument = board->argument = (uintptr_t)static_stack;
	return &r[1];
}

static void start_unborn(void)
{
	board->unborn_fails = hold_newborns();
	if (board->unborn_fails)
		return;
	board->facts[ROLE_UNBORN].handle = start(run_plain, (void *)0x1234, NULL, true);
	board->facts[ROLE_RECORDED].handle = start(run_plain, make_record(), NULL, true);
}

int thread_child_run(const char *fd)
{
	void *library = dlopen("libstdc++.so.6", RTLD_NOW);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd), 0);
	if (board == MAP_FAILED)
		return 2;
	if (library)
		library_locals = (library_fn *)dlsym(library, "__cxa_get_globals");
	sem_init(&never, 0, 0);
	for (enum role role = ROLE_PLAIN; role < ROLES; role++)
		if (role != ROLE_UNBORN && role != ROLE_RECORDED)
			start_role(role);
	end_some();
	start_unborn();
	__atomic_store_n(&board->ready, 1, __ATOMIC_RELEASE);
	note_in_frame(ROLE_MAIN);
	return 0;
}
