/* SPDX-License-Identifier: MIT
 *
 * lives MODE [N]: threads, processes and ends of all kinds. What it prints and how it ends is the
 * same with libstrand.so and without. Where its table is to be looked at it says "ready" and goes on
 * when it may read a line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

extern char **environ;

static sem_t never, begun;
static char **arguments;

#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "lives.c:%d: not so: %s (errno %d)\n", __LINE__, \
				#condition, errno);                                      \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

/* Every call that strand stands in front of must leave errno alone. */
#define QUIETLY(call)                     \
	({                                \
		__typeof__(call) result_; \
		errno = 4711;             \
		result_ = (call);         \
		CHECK(errno == 4711);     \
		result_;                  \
	})

static void ready(void)
{
	char byte = 0;

	puts("ready");
	fflush(stdout);
	while (byte != '\n')
		CHECK(read(0, &byte, 1) == 1);
}

/* -- threads ------------------------------------------------------------------------------------- */

static void *stay(void *p)
{
	sem_post(&begun);
	sem_wait(&never);
	return p;
}

static void *end(void *p)
{
	return p;
}

static void *end_by_exit(void *p)
{
	pthread_exit(p);
}

static int stay_c11(void *p)
{
	stay(p);
	return 0;
}

static int end_c11(void *p)
{
	return (int)(intptr_t)p;
}

static int exit_c11(void *p)
{
	thrd_exit((int)(intptr_t)p);
}

static pthread_t create(void *(*start)(void *), const pthread_attr_t *attr)
{
	pthread_t thread;

	CHECK(QUIETLY(pthread_create(&thread, attr, start, &never)) == 0);
	return thread;
}

static void *detach_itself(void *p)
{
	CHECK(QUIETLY(pthread_detach(pthread_self())) == 0);
	return stay(p);
}

/* States of every kind; `start` and name of each are told, for the table is to have them. */
static void kinds(int n)
{
	pthread_attr_t detached;
	pthread_t thread;
	thrd_t c11;
	void *value;
	int status;

	(void)n;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	printf("stay %p end %p exit %p c11 %p self %p argument %p\n", (void *)stay, (void *)end,
	       (void *)end_by_exit, (void *)stay_c11, (void *)detach_itself, (void *)&never);
	thread = create(stay, NULL);
	CHECK(pthread_setname_np(thread, "named") == 0);
	create(stay, &detached);
	create(end, &detached);
	create(detach_itself, NULL);
	create(end, NULL);
	create(end_by_exit, NULL);
	pthread_cancel(create(stay, NULL));
	CHECK(QUIETLY(pthread_detach(create(end, NULL))) == 0);
	CHECK(QUIETLY(pthread_detach(create(stay, NULL))) == 0);
	CHECK(QUIETLY(pthread_join(create(end, NULL), &value)) == 0 && value == &never);
	CHECK(QUIETLY(pthread_join(create(end_by_exit, NULL), &value)) == 0 && value == &never);
	CHECK(thrd_create(&c11, end_c11, (void *)7) == thrd_success);
	CHECK(thrd_join(c11, &status) == thrd_success && status == 7);
	CHECK(thrd_create(&c11, exit_c11, (void *)-8) == thrd_success);
	CHECK(thrd_join(c11, &status) == thrd_success && status == -8);
	CHECK(thrd_create(&c11, stay_c11, &never) == thrd_success);
	CHECK(thrd_create(&c11, end_c11, NULL) == thrd_success);
	CHECK(thrd_detach(c11) == thrd_success);
	for (n = 0; n < 5; n++)
		sem_wait(&begun);
	usleep(100000);
	ready();
}

static void one_by_one(int n)
{
	for (; n > 0; n--)
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
	ready();
}

static void detached_one_by_one(int n)
{
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (; n > 0; n--) {
		while (pthread_create(&thread, &detached, end, NULL) == EAGAIN)
			sched_yield();
		if (n % 64 == 0)
			usleep(1000);
	}
	usleep(200000);
	ready();
}

static pthread_barrier_t all;

static void *meet(void *p)
{
	pthread_barrier_wait(&all);
	pthread_barrier_wait(&all);
	return p;
}

static void at_once(int n)
{
	pthread_t *threads = calloc((size_t)n, sizeof(*threads));
	pthread_attr_t small;
	int i;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	pthread_barrier_init(&all, NULL, (unsigned)n + 1);
	for (i = 0; i < n; i++)
		CHECK(pthread_create(&threads[i], &small, meet, NULL) == 0);
	pthread_barrier_wait(&all);
	ready();
	pthread_barrier_wait(&all);
	for (i = 0; i < n; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	ready();
	free(threads);
}

/* Threads that create threads, from many sides at once. */
static void *breed(void *p)
{
	intptr_t depth = (intptr_t)p;
	pthread_t children[3];
	int i;

	if (depth == 0)
		return NULL;
	for (i = 0; i < 3; i++)
		CHECK(pthread_create(&children[i], NULL, breed, (void *)(depth - 1)) == 0);
	CHECK(pthread_detach(children[0]) == 0);
	CHECK(pthread_join(children[1], NULL) == 0);
	CHECK(pthread_join(children[2], NULL) == 0);
	return NULL;
}

static void families(int n)
{
	pthread_t thread;

	for (; n > 0; n--) {
		CHECK(pthread_create(&thread, NULL, breed, (void *)4) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	usleep(200000);
	ready();
}

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void *hold(void *p)
{
	CHECK(pthread_rwlock_rdlock(&lock) == 0);
	return p;
}

/* Ended, joined, and still held: the record stays until the lock is unlocked or made anew. */
static void holds(int n)
{
	int i;

	for (i = 0; i < n; i++)
		CHECK(pthread_join(create(hold, NULL), NULL) == 0);
	ready();
	CHECK(pthread_rwlock_unlock(&lock) == 0);
	ready();
	CHECK(pthread_rwlock_init(&lock, NULL) == 0);
	ready();
}

static sigjmp_buf way_out;

static void leave_by_jump(int signal)
{
	(void)signal;
	siglongjmp(way_out, 1);
}

static void *wait_and_jump(void *arg)
{
	struct timespec past = { .tv_sec = 1 };

	if (sigsetjmp(way_out, 1) == 0)
		sem_wait(&never);
	CHECK(sem_timedwait(&never, &past) == -1 && errno == ETIMEDOUT);
	sem_post(&begun);
	for (;;)
		pause();
	return arg;
}

/* A wait that was left is over, at the latest with the next one. */
static void jumps(int n)
{
	pthread_t thread = create(wait_and_jump, NULL);

	(void)n;
	signal(SIGUSR1, leave_by_jump);
	usleep(100000);
	pthread_kill(thread, SIGUSR1);
	sem_wait(&begun);
	ready();
}

static void impossible(int n)
{
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	pthread_attr_init(&attr);
	CHECK(pthread_attr_setstacksize(&attr, (size_t)1 << 46) == 0);
	for (i = 0; i < n; i++)
		CHECK(pthread_create(&thread, &attr, end, NULL) == EAGAIN);
	ready();
}

/* All descriptors are taken: nothing can be opened any more. */
static void no_files(int n)
{
	struct rlimit limit = { .rlim_cur = 3, .rlim_max = 3 };

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(open("/dev/null", O_RDONLY) == -1 && errno == EMFILE);
	at_once(n);
}

/* The table's path leads nowhere any more. */
static void other_root(int n)
{
	CHECK(chroot("/proc/self/fdinfo") == 0);
	at_once(n);
}

/* -- processes ----------------------------------------------------------------------------------- */

static int status_of(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void *fork_often(void *p)
{
	int i;

	for (i = 0; i < (int)(intptr_t)p; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			CHECK(pthread_join(create(end, NULL), NULL) == 0);
			_exit(40 + i % 2);
		}
		CHECK(status_of(pid) == 40 + i % 2);
	}
	return NULL;
}

static void *churn(void *p)
{
	volatile int *stop = p;

	while (!*stop)
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
	return NULL;
}

static void fork_storm(int n)
{
	volatile int stop = 0;
	pthread_t forkers[4], churner;
	int i;

	CHECK(pthread_create(&churner, NULL, churn, (void *)&stop) == 0);
	for (i = 0; i < 4; i++)
		CHECK(pthread_create(&forkers[i], NULL, fork_often, (void *)(intptr_t)n) == 0);
	for (i = 0; i < 4; i++)
		CHECK(pthread_join(forkers[i], NULL) == 0);
	stop = 1;
	CHECK(pthread_join(churner, NULL) == 0);
	ready();
}

/* Children made by other means: the table is theirs as soon as they do something. */
static void raw_fork(int n)
{
	pid_t pid = (pid_t)syscall(SYS_fork);

	(void)n;
	if (pid == 0) {
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
		create(stay, NULL);
		sem_wait(&begun);
		printf("child %d\n", getpid());
		ready();
		_exit(3);
	}
	CHECK(status_of(pid) == 3);
}

static void forked_thread(int n)
{
	pid_t pid;

	(void)n;
	create(stay, NULL);
	sem_wait(&begun);
	CHECK(pthread_rwlock_rdlock(&lock) == 0);
	pid = fork();
	if (pid == 0) {
		create(stay, NULL);
		sem_wait(&begun);
		printf("child %d\n", getpid());
		ready();
		_exit(3);
	}
	CHECK(status_of(pid) == 3);
}

static void spawns(int n)
{
	char *argv[] = { "sh", "-c", "exit 5", NULL };
	FILE *pipe;
	pid_t pid;
	int i;

	create(stay, NULL);
	for (i = 0; i < n; i++) {
		pid = vfork();
		if (pid == 0) {
			execv("/bin/sh", argv);
			_exit(9);
		}
		CHECK(status_of(pid) == 5);
		pid = vfork();
		if (pid == 0) {
			execl("/nonexistent", "nonexistent", NULL);
			_exit(6);
		}
		CHECK(status_of(pid) == 6);
		CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
		CHECK(status_of(pid) == 5);
		CHECK(posix_spawnp(&pid, "nonexistent-program", NULL, NULL, argv, environ) ==
		      ENOENT);
		CHECK(WEXITSTATUS(system("exit 7")) == 7);
		pipe = popen("exit 8", "r");
		CHECK(pipe && WEXITSTATUS(pclose(pipe)) == 8);
	}
	CHECK(pthread_join(create(end, NULL), NULL) == 0);
	ready();
}

/* Each image calls the next one by another function. */
static void chain(int n)
{
	static char mode[] = "chain";
	char next[16];
	char *argv[] = { arguments[0], mode, next, NULL };
	int fd;

	CHECK(pthread_join(create(end, NULL), NULL) == 0);
	CHECK(execv("/nonexistent", argv) == -1 && errno == ENOENT);
	snprintf(next, sizeof(next), "%d", n + 1);
	switch (n) {
	case 0:
		execv(arguments[0], argv);
		break;
	case 1:
		execve(arguments[0], argv, environ);
		break;
	case 2:
		execvp(arguments[0], argv);
		break;
	case 3:
		execvpe(arguments[0], argv, environ);
		break;
	case 4:
		execl(arguments[0], arguments[0], mode, next, NULL);
		break;
	case 5:
		execlp(arguments[0], arguments[0], mode, next, NULL);
		break;
	case 6:
		execle(arguments[0], arguments[0], mode, next, NULL, environ);
		break;
	case 7:
		fd = open(arguments[0], O_RDONLY | O_CLOEXEC);
		fexecve(fd, argv, environ);
		break;
	case 8:
		execveat(AT_FDCWD, arguments[0], argv, environ, 0);
		break;
	default:
		ready();
		exit(11);
	}
	CHECK(!"exec");
}

static void daemonize(int n)
{
	int pipes[2];
	char byte = 0;

	(void)n;
	CHECK(pthread_join(create(end, NULL), NULL) == 0);
	CHECK(pipe(pipes) == 0);
	if (fork() == 0) {
		int fd;

		setsid();
		if (fork() != 0)
			_exit(0);
		for (fd = 0; fd < 1024; fd++)
			if (fd != pipes[1])
				close(fd);
		for (fd = 0; fd < 300; fd++)
			create(stay, NULL);
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
		CHECK(write(pipes[1], "x", 1) == 1);
		_exit(0);
	}
	close(pipes[1]);
	CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'x');
	while (wait(NULL) > 0)
		;
	/* daemon() forks past every wrapper. */
	CHECK(pipe(pipes) == 0);
	if (fork() == 0) {
		CHECK(daemon(0, 0) == 0);
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
		CHECK(write(pipes[1], "y", 1) == 1);
		exit(0);
	}
	close(pipes[1]);
	CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'y');
}

/* -- a sandbox ------------------------------------------------------------------------------------ */

/* What a thread needs, and what the C library's stdio does; whoever calls more is killed. */
static const int allowed[] = {
	SYS_read,	  SYS_write,	      SYS_mmap,	 SYS_munmap,	      SYS_mprotect,
	SYS_madvise,	  SYS_futex,	      SYS_clone, SYS_clone3,	      SYS_exit,
	SYS_exit_group,	  SYS_rt_sigprocmask, SYS_rseq,	 SYS_set_robust_list, SYS_brk,
	SYS_rt_sigreturn, SYS_vfork,	      SYS_wait4,
};

static void enter_sandbox(void)
{
	enum { COUNT = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter code[COUNT + 3];
	struct sock_fprog program = { .len = COUNT + 3, .filter = code };
	unsigned i;

	code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					       offsetof(struct seccomp_data, nr));
	for (i = 0; i < COUNT; i++)
		code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)allowed[i], COUNT - i, 0);
	code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

static void sandbox(int n)
{
	pthread_t thread;
	int i;

	puts("here");
	create(stay, NULL);
	sem_wait(&begun);
	enter_sandbox();
	for (i = 0; i < n; i++) {
		create(stay, NULL);
		sem_wait(&begun);
	}
	CHECK(pthread_create(&thread, NULL, end, &never) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	ready();
}

/* -- ends ---------------------------------------------------------------------------------------- */

static void say_handler(void)
{
	CHECK(write(1, "handler\n", 8) == 8);
}

/* For whoever compares it with the table's exit_sp. */
static void say_stack(const volatile void *here)
{
	fprintf(stderr, "stack %p\n", (const void *)here);
}

static int exit_status;

static void *call_exit(void *p)
{
	volatile char here = 0;

	(void)p;
	say_stack(&here);
	exit(exit_status);
}

static void *call__exit(void *p)
{
	volatile char here = 0;

	(void)p;
	say_stack(&here);
	_exit(exit_status);
}

static void create_exiting(void *(*start)(void *), int status)
{
	exit_status = status;
	create(start, NULL);
}

static void *end_later(void *p)
{
	usleep(50000);
	return p;
}

static void handler_exits(int signal)
{
	(void)signal;
	_exit(31);
}

static void exit_again(void)
{
	_exit(33);
}

static void *fail_exec(void *arg)
{
	char *argv[] = { arguments[0], NULL };

	execv("/nonexistent", argv);
	return stay(arg);
}

static int ends(const char *how)
{
	volatile char here = 0;

	say_stack(&here);
	atexit(say_handler);
	at_quick_exit(say_handler);
	create(stay, NULL);
	sem_wait(&begun);
	if (!strcmp(how, "return"))
		return 21;
	if (!strcmp(how, "exit"))
		exit(22);
	if (!strcmp(how, "thread-exit"))
		create_exiting(call_exit, 23);
	if (!strcmp(how, "_exit"))
		_exit(24);
	if (!strcmp(how, "_Exit"))
		_Exit(25);
	if (!strcmp(how, "thread-_exit"))
		create_exiting(call__exit, 26);
	if (!strcmp(how, "quick_exit"))
		quick_exit(27);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "segv"))
		*(volatile int *)NULL = 0;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "raw"))
		syscall(SYS_exit_group, 28);
	if (!strcmp(how, "handler-exits")) {
		signal(SIGALRM, handler_exits);
		ualarm(1000, 0);
		exit(30);
	}
	if (!strcmp(how, "two-exits")) {
		create_exiting(call_exit, 32);
		exit(32);
	}
	if (!strcmp(how, "exec-fails")) {
		create(fail_exec, NULL);
		usleep(100000 + getpid() % 20 * 1000);
		exit(37);
	}
	if (!strcmp(how, "sandboxed-vfork")) {
		enter_sandbox();
		if (vfork() == 0)
			_exit(7);
		return 38;
	}
	if (!strcmp(how, "exit-in-handler")) {
		atexit(exit_again);
		exit(34);
	}
	if (!strcmp(how, "main-gone-exit")) {
		create_exiting(call_exit, 35);
		pthread_exit(NULL);
	}
	pause();
	return 1;
}

static volatile int children_ended;

static void count_child(int signal)
{
	(void)signal;
	children_ended++;
}

static void check_childless(void)
{
	CHECK(!children_ended);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	say_handler();
}

/* Whoever looks at its end is not its child, as far as it can see. */
static int analysed(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGCHLD, count_child);
	CHECK(open("/dev/zero", O_RDONLY) > 2);
	atexit(check_childless);
	create(stay, NULL);
	sem_wait(&begun);
	return 36;
}

/* No other thread is left: the process ends with 0. */
static int last(const char *how)
{
	atexit(say_handler);
	if (!strcmp(how, "last-thread"))
		create(end_later, NULL);
	else if (!strcmp(how, "last-main"))
		CHECK(pthread_join(create(end, NULL), NULL) == 0);
	else if (!strcmp(how, "last-cancelled")) {
		create(end_later, NULL);
		pthread_cancel(pthread_self());
		pthread_testcancel();
	}
	pthread_exit(NULL);
}

static const struct mode {
	const char *name;
	void (*run)(int n);
} modes[] = {
	{ "kinds", kinds },
	{ "one-by-one", one_by_one },
	{ "detached", detached_one_by_one },
	{ "at-once", at_once },
	{ "families", families },
	{ "holds", holds },
	{ "jumps", jumps },
	{ "impossible", impossible },
	{ "no-files", no_files },
	{ "other-root", other_root },
	{ "fork-storm", fork_storm },
	{ "raw-fork", raw_fork },
	{ "fork", forked_thread },
	{ "spawns", spawns },
	{ "sandbox", sandbox },
	{ "chain", chain },
	{ "daemon", daemonize },
};

int main(int argc, char **argv)
{
	size_t i;

	arguments = argv;
	CHECK(argc > 1);
	sem_init(&never, 0, 0);
	sem_init(&begun, 0, 0);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run(argc > 2 ? atoi(argv[2]) : 0);
			return 12;
		}
	if (!strcmp(argv[1], "analysed"))
		return analysed();
	if (!strncmp(argv[1], "last", 4))
		return last(argv[1]);
	return ends(argv[1]);
}
