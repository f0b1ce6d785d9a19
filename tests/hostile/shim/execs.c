/* SPDX-License-Identifier: MIT
 *
 * One process that becomes the same program again and again, by every function of the exec family,
 * with threads there or not; then it shows its environment. Arguments: `threads` or `alone`.
 */
#include "prog.h"
#include <fcntl.h>
#include <sys/syscall.h>

extern char **environ;

enum { STEPS = 8 };

static void *nap(void *arg)
{
	prog_sleep_long();
	return arg;
}

/* What is not strand's, in the order in which it is there. */
static void show_environment(void)
{
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, "MARK", 4) == 0)
			printf("%s\n", *entry);
}

static void fail_to_exec(void)
{
	char *argv[] = { "x", NULL };

	PROG_CHECK(execl("/nonexistent", "x", NULL) == -1 && errno == ENOENT);
	PROG_CHECK(execv("/tmp", argv) == -1 && errno == EACCES);
	PROG_CHECK(execvp("strand-no-such-program", argv) == -1 && errno == ENOENT);
	PROG_CHECK(execve("/dev/null", argv, environ) == -1 && errno == EACCES);
}

static void become_next(char *self, char *way, int step)
{
	char number[16], mark[32];
	char *argv[] = { "execs", way, number, NULL }, *env[] = { mark, "MARKED=yes", NULL };

	snprintf(number, sizeof(number), "%d", step + 1);
	snprintf(mark, sizeof(mark), "MARK=%d", step);
	switch (step) {
	case 0:
		execl(self, "execs", way, number, NULL);
		break;
	case 1:
		execle(self, "execs", way, number, NULL, env);
		break;
	case 2:
		execv(self, argv);
		break;
	case 3:
		execve(self, argv, env);
		break;
	case 4:
		execvp(self, argv);
		break;
	case 5:
		execvpe(self, argv, env);
		break;
	case 6:
		execlp(self, "execs", way, number, NULL);
		break;
	case 7:
		fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, env);
		break;
	}
	PROG_CHECK(!"exec worked");
}

int main(int argc, char **argv)
{
	static char self[4096];
	int step = argc > 2 ? atoi(argv[2]) : 0;

	PROG_CHECK(argc >= 2);
	PROG_CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	printf("step %d\n", step);
	show_environment();
	fflush(stdout);
	if (strcmp(argv[1], "threads") == 0)
		prog_thread(nap, NULL);
	fail_to_exec();
	if (step < STEPS)
		become_next(self, argv[1], step);
	prog_say("ok\n");
	_exit(9);
}
