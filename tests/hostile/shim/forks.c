/* SPDX-License-Identifier: MIT
 *
 * Processes made in every way while other threads hold and take locks. Argument: the way.
 */
#include "prog.h"
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

enum { WORKERS = 4, LOCKS = 8, STORM = 32 };

static pthread_mutex_t locks[LOCKS];
static pthread_mutex_t handed_over = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;

static void *take_locks(void *arg)
{
	unsigned chance = (unsigned)(size_t)arg;

	while (!stop) {
		pthread_mutex_t *lock = &locks[(chance = chance * 1103515245 + 12345) >> 16 & 7];

		pthread_mutex_lock(lock);
		if (chance & 64)
			sched_yield();
		pthread_mutex_unlock(lock);
	}
	return NULL;
}

static int status_of(pid_t pid)
{
	int status;

	PROG_CHECK(pid > 0);
	PROG_CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void *lock_in_child(void *arg)
{
	pthread_mutex_lock(&handed_over);
	pthread_mutex_unlock(&handed_over);
	return arg;
}

/* A child with threads of its own, that ends in one of several ways. */
static void be_a_child(int number)
{
	pthread_t thread;

	pthread_mutex_lock(&handed_over);
	thread = prog_thread(lock_in_child, NULL);
	pthread_mutex_unlock(&handed_over);
	pthread_join(thread, NULL);
	if (number % 3 == 0)
		_exit(number % 50);
	if (number % 3 == 1)
		execl("/bin/sh", "sh", "-c", "exit $0", (char[]){ "0" }, NULL);
	quick_exit(number % 50);
}

static void storm(void)
{
	pid_t pids[STORM];

	for (int i = 0; i < STORM; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			be_a_child(i);
		if (i % 4 == 3)
			PROG_CHECK(status_of(pids[i]) == (i % 3 == 1 ? 0 : i % 50));
	}
	for (int i = 0; i < STORM; i++)
		if (i % 4 != 3)
			PROG_CHECK(status_of(pids[i]) == (i % 3 == 1 ? 0 : i % 50));
}

static void raw(void)
{
	for (int i = 0; i < 10; i++) {
		pid_t pid = (pid_t)syscall(SYS_fork);

		if (pid == 0) {
			pthread_mutex_lock(&handed_over);
			pthread_mutex_unlock(&handed_over);
			_exit(i);
		}
		PROG_CHECK(status_of(pid) == i);
		pid = _Fork();
		if (pid == 0)
			be_a_child(3);
		PROG_CHECK(status_of(pid) == 3);
	}
}

static pid_t start_by_vfork(int number, const char *text)
{
	pid_t pid = vfork();

	if (pid != 0)
		return pid;
	if (number % 2)
		_exit(number);
	execl("/bin/sh", "sh", "-c", "exit $0", text, NULL);
	_exit(99);
}

static void by_vfork(void)
{
	for (int i = 0; i < 50; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		PROG_CHECK(status_of(start_by_vfork(i, text)) == i);
	}
}

static void by_spawn(void)
{
	char *argv[] = { "sh", "-c", "exit 5", NULL };

	for (int i = 0; i < 30; i++) {
		pid_t pid;

		PROG_CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
		PROG_CHECK(status_of(pid) == 5);
		PROG_CHECK(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ) == ENOENT);
	}
}

static void by_system(void)
{
	for (int i = 0; i < 20; i++)
		PROG_CHECK(WEXITSTATUS(system("exit 6")) == 6);
}

static void by_popen(void)
{
	char line[32] = "";

	for (int i = 0; i < 20; i++) {
		FILE *file = popen("echo one line", "r");

		PROG_CHECK(file && fgets(line, sizeof(line), file));
		PROG_CHECK(strcmp(line, "one line\n") == 0 && pclose(file) == 0);
	}
}

/* The grandchild outlives its parent, and is nobody's child afterwards. */
static void twice(void)
{
	int link[2];
	char answer = 0;
	pid_t pid;

	PROG_CHECK(pipe(link) == 0);
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid > 0)
			_exit(0);
		prog_nap_ms(50);
		pthread_join(prog_thread(lock_in_child, NULL), NULL);
		PROG_CHECK(write(link[1], "y", 1) == 1);
		exit(0);
	}
	PROG_CHECK(status_of(pid) == 0);
	PROG_CHECK(read(link[0], &answer, 1) == 1 && answer == 'y');
}

static int prepared, in_parent, in_child;

static void prepare(void)
{
	pthread_mutex_lock(&handed_over);
	prepared++;
}

static void after_in_parent(void)
{
	in_parent++;
	pthread_mutex_unlock(&handed_over);
}

static void after_in_child(void)
{
	in_child++;
	pthread_mutex_unlock(&handed_over);
}

static void with_handlers(void)
{
	PROG_CHECK(pthread_atfork(prepare, after_in_parent, after_in_child) == 0);
	for (int i = 1; i <= 8; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			PROG_CHECK(prepared == i && in_parent == i - 1 && in_child == 1);
			be_a_child(3);
		}
		PROG_CHECK(status_of(pid) == 3 && in_parent == i && in_child == 0);
	}
}

static void *fork_here(void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		pthread_join(prog_thread(lock_in_child, NULL), NULL);
		pthread_exit(NULL); /* the only thread of the child: it ends with 0 */
	}
	PROG_CHECK(status_of(pid) == 0);
	return arg;
}

static void in_threads(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_t first = prog_thread(fork_here, NULL),
			  second = prog_thread(fork_here, NULL);

		pthread_join(first, NULL);
		pthread_join(second, NULL);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*go)(void);
	} ways[] = { { "storm", storm },	  { "raw", raw },
		     { "vfork", by_vfork },	  { "spawn", by_spawn },
		     { "system", by_system },	  { "popen", by_popen },
		     { "twice", twice },	  { "handlers", with_handlers },
		     { "in_threads", in_threads } };
	pthread_t workers[WORKERS];

	PROG_CHECK(argc == 2);
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&locks[i], NULL);
	for (int i = 0; i < WORKERS; i++)
		workers[i] = prog_thread(take_locks, (void *)(size_t)(i + 1));
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			ways[i].go();
	stop = true;
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	prog_end(true);
}
